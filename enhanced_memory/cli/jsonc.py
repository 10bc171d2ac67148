"""Edits in the text of a JSON file that change one value and not a byte around it; comments and trailing commas stay.

Above it lie the entries that `setup` writes; below it the standard library. A file that a person keeps is theirs: it
is scanned for the places of its values, and only the text of one value, with the comma it needs, is put in or out.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

Path: TypeAlias = Sequence[str | int]
"""Keys of objects and places in lists, from the outside in."""

APPEND: Final = -1
"""As the last step of a path: one more item at the end of a list."""

MAX_DEPTH: Final = 200
"""Nesting beyond which a file is refused; configurations have a dozen levels."""

_SPACE: Final = re.compile(r"[ \t\r\n]+")
_COMMENT: Final = re.compile(r"//[^\r\n]*|/\*.*?\*/", re.DOTALL)
_STRING: Final = re.compile(r'"(?:[^"\\\x00-\x1f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*"')
_SCALAR: Final = re.compile(
    r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?(?![\w.+-])|(?:true|false|null)(?!\w)"
)


class Unreadable(ValueError):
    """A text that is no JSON, not even with comments: the sentence names line and column, counted from 1."""

    def __init__(self, text: str, at: int, expected: str) -> None:
        line_start = text.rfind("\n", 0, at) + 1
        super().__init__(f"line {text.count(chr(10), 0, at) + 1}, column {at - line_start + 1}: expected {expected}")


class Unfit(ValueError):
    """A path leads through something that is no object or list."""


@dataclass
class _Value:
    """A value's place in the text. `tail`: the end of the last token or comment before the bracket that closes it."""

    start: int
    end: int
    plain: Any
    children: list[_Child] = field(default_factory=list)
    tail: int = 0
    commented: bool = False


@dataclass
class _Child:
    """A member or item. `before`: end of the token or comment before it; `comma`: where the one after it is.

    `below`: what is before it is a comment that goes to the end of its line.
    """

    key: str | int
    start: int
    before: int
    below: bool
    value: _Value
    comma: int | None = None


def read(text: str) -> Any:
    """What `text` says, None where it holds no value at all. Raises: Unreadable."""
    root = _Scanner(text).root()
    return None if root is None else root.plain


def put(text: str, path: Path, value: Any) -> str:
    """`text` with `value` at `path`; objects and lists missing on the way are made. The same text if it is there.

    Raises: Unreadable; Unfit: something on the way is no object or list.
    """
    root = _Scanner(text).root()
    if root is None:
        return text + _newline(text).join(_lines(_wrapped(path, value), "  ")) + _newline(text)
    here = root
    for depth, step in enumerate(path):
        if not isinstance(here.plain, list if isinstance(step, int) else dict):
            raise Unfit(f"{'.'.join(map(str, path[:depth])) or 'the whole'} is not what it should be")
        child = _last(here, step)
        if child is None:
            return _inserted(
                text, root, here, None if isinstance(step, int) else step, _wrapped(path[depth + 1 :], value)
            )
        here = child.value
    if _same(here.plain, value):
        return text
    return text[: here.start] + _written(text, root, value, _indent_at(text, here.start)) + text[here.end :]


def drop(text: str, path: Path) -> str:
    """`text` without what is at `path`, and without the objects and lists on the way that are empty then.

    The same text where nothing is there. Raises: Unreadable.
    """
    here = _Scanner(text).root()
    chain: list[tuple[_Value, _Child]] = []
    for step in path:
        child = None if here is None else _last(here, step)
        if here is None or child is None:
            return text
        chain.append((here, child))
        here = child.value
    while len(chain) > 1 and len(chain[-1][0].children) == 1 and not chain[-1][0].commented:
        chain.pop()
    return _without(text, *chain[-1])


def _without(text: str, box: _Value, child: _Child) -> str:
    """`text` without one child, its comma, and where it was the last the comma before it."""
    ends_line = re.match(r"[ \t]*\r?\n", text[(child.value.end if child.comma is None else child.comma + 1) :])
    cuts = [(child.start if child.below and not ends_line else child.before, child.value.end)]
    place = next(index for index, other in enumerate(box.children) if other is child)
    comma = child.comma if child.comma is not None else box.children[place - 1].comma if place else None
    if comma is not None:
        cuts.append((comma, comma + 1))
    for start, end in sorted(cuts, reverse=True):
        text = text[:start] + text[end:]
    return text


def _inserted(text: str, root: _Value, box: _Value, key: str | None, value: Any) -> str:
    """`text` with one more child at the end of `box`, written in the manner of those that are there."""
    spread = "\n" in text[box.start : box.end] or (not box.children and "\n" in text)
    newline = _newline(text)
    last = box.children[-1] if box.children else None
    label = "" if key is None else f"{json.dumps(key, ensure_ascii=False)}: "
    if spread:
        outer = _indent_at(text, box.start)
        indent = _indent_of(text, box) or outer + _unit(text, root)
        piece = f"{newline}{indent}{label}{_written(text, root, value, indent)}"
        if last is None and "\n" not in text[box.tail : box.end]:
            piece += newline + outer
    else:
        separators = (", ", ": ") if re.search(r'": |", ', text) or not box.children else (",", ":")
        space = separators[0][1:] if last is not None else ""
        piece = space + label.rstrip() + separators[1][1:] * (key is not None)
        piece += json.dumps(value, ensure_ascii=False, separators=separators)
    if last is not None and last.comma is not None:
        piece += ","
    text = text[: box.tail] + piece + text[box.tail :]
    if last is not None and last.comma is None:
        text = text[: last.value.end] + "," + text[last.value.end :]
    return text


def _written(text: str, root: _Value, value: Any, indent: str) -> str:
    """`value` as JSON whose further lines stand at `indent`."""
    if "\n" not in text:
        return json.dumps(value, ensure_ascii=False)
    return f"{_newline(text)}{indent}".join(_lines(value, _unit(text, root)))


def _lines(value: Any, unit: str) -> list[str]:
    return json.dumps(value, ensure_ascii=False, indent=unit).split("\n")


def _wrapped(path: Path, value: Any) -> Any:
    """`value` inside the objects and lists that lead to it."""
    for step in reversed(path):
        value = [value] if isinstance(step, int) else {step: value}
    return value


def _last(box: _Value, step: str | int) -> _Child | None:
    """The child at `step`; of several of one name the last, which is the one that counts."""
    return next((child for child in reversed(box.children) if child.key == step), None)


def _same(one: Any, other: Any) -> bool:
    """Whether two values are the same JSON: to Python 1, 1.0 and true are equal."""
    return json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)


def _newline(text: str) -> str:
    first = text.find("\n")
    return "\r\n" if first > 0 and text[first - 1] == "\r" else "\n"


def _indent_at(text: str, at: int) -> str:
    """The white space that opens the line of the place `at`."""
    line = text[text.rfind("\n", 0, at) + 1 : at].removeprefix("\ufeff")
    return line[: len(line) - len(line.lstrip(" \t"))]


def _indent_of(text: str, box: _Value) -> str | None:
    """How the children of `box` are indented: as the last of those that open a line; None where none does."""
    for child in reversed(box.children):
        line_start = text.rfind("\n", 0, child.start) + 1
        if line_start > box.start and not text[line_start : child.start].strip(" \t"):
            return text[line_start : child.start]
    return None


def _unit(text: str, root: _Value) -> str:
    """One step of indentation: that of the outermost members, two spaces where they tell none."""
    return _indent_of(text, root) or "  "


class _Scanner:
    """Reads a text once, from its beginning to its end, and notes where every value is."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 1 if text.startswith("\ufeff") else 0
        self._mark = self._at
        self._below = self._commented = False

    def root(self) -> _Value | None:
        """The outermost value. Raises: Unreadable."""
        self._skip()
        if self._at == len(self._text):
            return None
        value = self._value(0)
        self._skip()
        if self._at < len(self._text):
            raise Unreadable(self._text, self._at, "nothing more")
        return value

    def _skip(self) -> None:
        """Go past white space and comments; the mark is left at the end of the last comment or token."""
        while True:
            if space := _SPACE.match(self._text, self._at):
                self._at = space.end()
            elif comment := _COMMENT.match(self._text, self._at):
                self._at = self._mark = comment.end()
                self._below = comment.group().startswith("//")
                self._commented = True
            else:
                return

    def _next(self) -> str:
        self._skip()
        return self._text[self._at : self._at + 1]

    def _step(self) -> int:
        """Take one character of punctuation; gives where it stood."""
        self._at += 1
        self._mark, self._below = self._at, False
        return self._at - 1

    def _take(self, token: re.Pattern[str], expected: str) -> Any:
        """Take a string, number or word; gives what it says."""
        found = token.match(self._text, self._at)
        if found is None:
            raise Unreadable(self._text, self._at, expected)
        try:
            plain = json.loads(found.group())
        except ValueError:  # a number of thousands of digits
            raise Unreadable(self._text, self._at, "a shorter number") from None
        self._at = self._mark = found.end()
        self._below = False
        return plain

    def _value(self, depth: int) -> _Value:
        opening, start = self._next(), self._at
        if depth > MAX_DEPTH:
            raise Unreadable(self._text, start, f"at most {MAX_DEPTH} levels")
        if opening not in ("{", "["):
            is_string = opening == '"'
            plain = self._take(_STRING if is_string else _SCALAR, "the string's end" if is_string else "a value")
            return _Value(start, self._at, plain)
        self._step()
        return self._box(start, opening == "{", depth)

    def _box(self, start: int, is_object: bool, depth: int) -> _Value:
        """An object or list whose opening bracket has been taken."""
        closing = "}" if is_object else "]"
        children: list[_Child] = []
        outside, self._commented = self._commented, False
        while self._next() != closing:
            if children and children[-1].comma is None:
                raise Unreadable(self._text, self._at, f"a comma or {closing}")
            before, below, at = self._mark, self._below, self._at
            key: str | int = len(children)
            if is_object:
                key = self._take(_STRING, f"a name in quotes or {closing}")
                if self._next() != ":":
                    raise Unreadable(self._text, self._at, "a colon")
                self._step()
                self._skip()
            child = _Child(key, at, before, below, self._value(depth + 1))
            children.append(child)
            if self._next() == ",":
                child.comma = self._step()
        tail, commented = self._mark, self._commented
        self._step()
        self._commented = outside or commented
        plain: Mapping[Any, Any] | list[Any]
        plain = {c.key: c.value.plain for c in children} if is_object else [c.value.plain for c in children]
        return _Value(start, self._at, plain, children, tail, commented)
