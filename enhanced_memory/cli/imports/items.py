"""What every reader gives: records, conversations, and items that cannot be used, each with its place in the source.

Above it lie the readers of the formats; below it the standard library.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

MOST_NAME: Final = 512
MOST_TYPE: Final = 128
"""Characters of an entity's name and type, as the operations take them."""

MOST_OBSERVATION: Final = 60_000
"""Bytes of one observation made here; the operations take 64 KiB. A longer text is cut into several."""

_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f]+")


@dataclass(slots=True)
class Record:
    """An entity or a relation, as a line of the reference memory server's file says it.

    place: where it stands, as a person finds it. number: a positive number of its own, ascending. text: the line.
    size: bytes of the source that it came from.
    """

    place: str
    number: int
    text: str
    size: int = 0


class Turn(NamedTuple):
    """What one side of a conversation says in one go. date: ISO 8601, None where nobody knows."""

    date: str | None
    speaker: str
    text: str


@dataclass(slots=True)
class Conversation:
    """A conversation whose facts are to be extracted. session: its id. began: ISO 8601, None where nobody knows."""

    place: str
    session: str
    began: str | None
    turns: list[Turn]
    size: int = 0


@dataclass(slots=True)
class Bad:
    """An item that is skipped, and why. number: its line, where the source has lines."""

    place: str
    reason: str
    number: int | None = None
    size: int = 0


Item = Record | Conversation | Bad


def entity(
    place: str, number: int, name: str, kind: str, observations: list[str], *, size: int = 0, **more: Any
) -> Record:
    """The record of an entity; `more` are further keys of it, left out where they are None."""
    value = {"type": "entity", "name": name, "entityType": kind, "observations": observations}
    return Record(place, number, _line(value | {key: item for key, item in more.items() if item is not None}), size)


def relation(place: str, number: int, source: str, kind: str, target: str) -> Record:
    """The record of a relation."""
    return Record(place, number, _line({"type": "relation", "from": source, "relationType": kind, "to": target}))


def label(text: str, most: int) -> str:
    """`text` as a name or type may be: one line, no control characters, no longer than `most` characters."""
    return sound(_CONTROL.sub(" ", text))[:most].strip()


def sound(text: str) -> str:
    """`text` without the halves of characters that JSON can spell and UTF-8 cannot."""
    return text.encode("utf-8", "replace").decode()


def pieces(text: str, most: int = MOST_OBSERVATION) -> Iterator[str]:
    """`text` stripped, in pieces of at most `most` bytes, cut at line ends or spaces where there are any."""
    rest = sound(text).strip().encode()
    while len(rest) > most:
        cut = max(rest.rfind(b"\n", most // 2, most), rest.rfind(b" ", most // 2, most))
        if cut < 0:
            cut = most
            while rest[cut] & 0xC0 == 0x80:  # not within a character
                cut -= 1
        yield rest[:cut].decode().strip()
        rest = rest[cut:].lstrip()
    if rest:
        yield rest.decode()


def instant(value: object) -> str | None:
    """A time as exports write it - seconds since 1970, or ISO 8601 - as UTC, ISO 8601 with Z; None where it is none."""
    try:
        if isinstance(value, bool) or value is None:
            return None
        if isinstance(value, int | float):
            time = datetime.fromtimestamp(value, UTC)
        else:
            time = datetime.fromisoformat(str(value))
            time = time.astimezone(UTC) if time.tzinfo else time.replace(tzinfo=UTC)
    except (ValueError, OverflowError, OSError):
        return None
    return time.isoformat().replace("+00:00", "Z")


def _line(value: Mapping[str, Any]) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
