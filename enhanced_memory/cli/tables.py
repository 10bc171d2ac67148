"""Edits in the text of a TOML file: one table is put in, replaced or taken out, and no other byte changes.

Above it lie the entries that `setup` writes; below it the standard library. A new table goes to the end of the file,
where TOML allows any. Every edit is read again with tomllib and must say what was there before, with the one change:
a file written in a way that this cannot follow is refused, not damaged.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Mapping
from typing import Any, Final, TypeAlias

from enhanced_memory.cli.jsonc import Unfit

Table: TypeAlias = tuple[str, str]
"""Name of the table of tables, and of the table in it."""

_WORDS: Final = re.compile(
    r'"""(?:\\.|[^\\])*?"{3,5}|' + r"'''.*?'{3,5}|" + r'"(?:\\.|[^"\\\n])*"|' + r"'[^'\n]*'|#[^\r\n]*", re.DOTALL
)
"""Strings and comments, in which brackets mean nothing."""

_BARE_KEY: Final = re.compile(r"[A-Za-z0-9_-]+")


class Unreadable(ValueError):
    """A text that is no TOML; the sentence names line and column."""


def read(text: str) -> dict[str, Any]:
    """What `text` says. Raises: Unreadable."""
    try:
        return tomllib.loads(text.removeprefix("\ufeff"))
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise Unreadable(str(error) or "nested too deep") from error


def put(text: str, table: Table, value: Mapping[str, Any]) -> str:
    """`text` with `table` holding `value`; the same text if it does already.

    Comments inside a table that is replaced go with it. Raises: Unreadable; Unfit: the place cannot be written to.
    """
    outer, inner = table
    wanted = read(text)
    tables = wanted.setdefault(outer, {})
    if not isinstance(tables, dict):
        raise Unfit(f"{outer} is no table")
    if tables.get(inner) == value:
        return text
    newline = "\r\n" if "\r\n" in text else "\n"
    written = newline.join([f"[{_key(outer)}.{_key(inner)}]", *(f"{_key(k)} = {_plain(v)}" for k, v in value.items())])
    spans = _spans(text, table)
    if spans:
        edited = _without(text, spans[1:])
        edited = edited[: spans[0][0]] + written + edited[spans[0][1] :]
    elif text.endswith("\n") or not text.strip("\ufeff"):
        edited = text + newline * bool(text.strip("\ufeff")) + written + newline
    else:
        edited = text + newline + newline + written
    tables[inner] = dict(value)
    return _checked(edited, wanted, table)


def drop(text: str, table: Table) -> str:
    """`text` without `table` and the tables in it; the same text where it is not there.

    Raises: Unreadable; Unfit: it is written in a way that cannot be taken out.
    """
    outer, inner = table
    wanted = read(text)
    tables = wanted.get(outer)
    if not isinstance(tables, dict) or inner not in tables:
        return text
    del tables[inner]
    if not tables:
        del wanted[outer]
    edited = _without(text, [_with_gap(text, span) for span in _spans(text, table)])
    if not tables and read(edited).get(outer) == {}:
        wanted[outer] = {}  # the empty table has a heading of its own, which is not ours
    return _checked(edited, wanted, table)


def _checked(edited: str, wanted: Mapping[str, Any], table: Table) -> str:
    """`edited`, if it says what is wanted."""
    try:
        found = read(edited)
    except Unreadable:
        found = None
    if found != wanted:
        raise Unfit(f"{'.'.join(table)} is written in a way that cannot be edited here")
    return edited


def _spans(text: str, table: Table) -> list[tuple[int, int]]:
    """Where `table` and the tables in it are, each from its heading to the end of its last line with a value."""
    spans: list[tuple[int, int]] = []
    start, end, depth = None, 0, 0
    at = 1 if text.startswith("\ufeff") else 0
    for line in _masked(text)[at:].split("\n"):
        heading = _heading(text[at : at + len(line)].strip()) if not depth and line.lstrip().startswith("[") else None
        if heading is not None:
            if start is not None:
                spans.append((start, end))
            start = at if heading[:2] == list(table) else None
        depth += sum(map(line.count, "[{")) - sum(map(line.count, "]}"))
        if line.strip():
            comment = text.find("#", at + len(line.rstrip()), at + len(line))
            end = at + len(text[at : at + len(line)].rstrip() if comment >= 0 else line.rstrip())
        at += len(line) + 1
    if start is not None:
        spans.append((start, end))
    return spans


def _masked(text: str) -> str:
    """`text`, its strings overwritten by letters and its comments by blanks, so that what is left is punctuation."""
    return _WORDS.sub(lambda found: (" " if found.group().startswith("#") else "x") * len(found.group()), text)


def _heading(line: str) -> list[str] | None:
    """The names of a table's heading, None where the line is something else."""
    try:
        here: Any = tomllib.loads(line)
    except tomllib.TOMLDecodeError:
        return None
    names = []
    while isinstance(here, dict) and len(here) == 1:
        [(name, here)] = here.items()
        names.append(name)
        here = here[0] if isinstance(here, list) and here else here
    return names


def _with_gap(text: str, span: tuple[int, int]) -> tuple[int, int]:
    """A span with the line end that goes when it goes: after it, and before it where it is the last of the file."""
    start, end = span
    rest = re.match(r"\r?\n", text[end:])
    if text[end:].strip():
        return start, end + (rest.end() if rest else 0)
    gap = re.search(r"\r?\n\Z" if rest else r"(\r?\n){1,2}\Z", text[:start])
    return (gap.start() if gap else start), end + (rest.end() if rest else 0)


def _without(text: str, spans: list[tuple[int, int]]) -> str:
    for start, end in sorted(spans, reverse=True):
        text = text[:start] + text[end:]
    return text


def _key(name: str) -> str:
    return name if _BARE_KEY.fullmatch(name) else _plain(name)


def _plain(value: Any) -> str:
    """A value as TOML. Raises: Unfit: it is of a kind that no entry has, such as a date."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_key(name)} = {_plain(inner)}" for name, inner in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_plain, value)) + "]"
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(value, bool | int | float):
        return json.dumps(value)
    raise Unfit(f"{value!r} cannot be written again")
