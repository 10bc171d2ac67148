"""What code answers or passes on, as JSON data: made inside the worker, where a bomb harms nobody.

Above lies the worker, below nothing. Ten nested lists of ten references to one another stand for 10^10 elements: the
budget counts what would be written, so such a thing ends after a megabyte, not after an hour.
"""

from __future__ import annotations

import datetime
import json
import math
from collections import deque
from collections.abc import Iterable, Iterator
from json.encoder import encode_basestring
from typing import Any, Final, TypeVar

from enhanced_memory.sandbox import limits

_MAX_INTEGER_BITS: Final = 3_300
"""Just under the 1,000 digits that the wire takes."""

_LISTS: Final[tuple[type[Iterable[Any]], ...]] = (
    list, tuple, deque, range, type({}.keys()), type({}.values()), type({}.items()),
)  # fmt: skip
_Item = TypeVar("_Item")
_MOMENTS: Final = (datetime.datetime, datetime.date, datetime.time)


class NotPlain(ValueError):
    """A value that is not JSON data, nested too deeply or too large; the message says where."""


def to_plain(value: Any, what: str, max_bytes: int) -> Any:
    """`value` as dicts with text keys, lists, text, numbers, booleans and None.

    Tuples, sets (sorted where they can be), deques, ranges and dict views become lists; dates and times ISO 8601
    text; numbers and dates as keys their text. `what` names the value in errors.

    Raises: NotPlain: something else in it, a number that is not finite or too large, half a surrogate pair, more
            than MAX_NESTING levels (a list that contains itself), more than MAX_CONTAINERS lists and dicts, or more
            than `max_bytes` bytes of compact JSON.
    """
    return _Converter(what, max_bytes).convert(value, 0)


class _Converter:
    def __init__(self, what: str, max_bytes: int) -> None:
        self.what = what
        self.max_bytes = max_bytes
        self.left = max_bytes
        self.containers = 0

    def convert(self, value: Any, depth: int) -> Any:
        """`value` as JSON data, its bytes taken from the budget."""
        if depth > limits.MAX_NESTING:
            raise NotPlain(f"{self.what} is nested deeper than {limits.MAX_NESTING} levels")
        if isinstance(value, str):
            return self.text(value)
        if value is None or isinstance(value, (bool, int, float)):
            return self.number(value)
        if isinstance(value, dict):
            return {self.key(key): self.convert(item, depth + 1) for key, item in self.items(value.items())}
        if isinstance(value, (set, frozenset)):
            value = _in_order(value)
        if isinstance(value, _LISTS):
            return [self.convert(item, depth + 1) for item in self.items(value)]
        if isinstance(value, _MOMENTS):
            return self.text(value.isoformat())
        raise NotPlain(
            f"{self.what} holds a value of type {type(value).__name__}, which is not JSON data"
            " (text, numbers, booleans, None, lists, dicts)"
        )

    def items(self, container: Iterable[_Item]) -> Iterator[_Item]:
        """What is in a list or dict; its brackets and commas are taken from the budget."""
        self.containers += 1
        if self.containers > limits.MAX_CONTAINERS:
            raise NotPlain(f"{self.what} has more than {limits.MAX_CONTAINERS:,} lists and dicts")
        self.spend(2)
        for number, item in enumerate(container):
            if number:
                self.spend(1)
            yield item

    def key(self, key: Any) -> str:
        if key is not None and not isinstance(key, (str, bool, int, float, *_MOMENTS)):
            raise NotPlain(f"{self.what} has a key of type {type(key).__name__}; keys are text")
        plain = self.convert(key, 0)
        self.spend(1)  # the colon
        if isinstance(plain, str):
            return plain
        self.spend(2)  # the quotes
        return json.dumps(plain)

    def number(self, value: float | None) -> float | None:
        if isinstance(value, int) and value.bit_length() > _MAX_INTEGER_BITS:
            raise NotPlain(f"{self.what} holds an integer of about {value.bit_length() * 3 // 10:,} digits")
        if isinstance(value, float) and not math.isfinite(value):
            raise NotPlain(f"{self.what} holds {value!r}, which JSON cannot express")
        self.spend(len(json.dumps(value)))
        return value

    def text(self, value: str) -> str:
        self.spend(len(value))  # before work is put into it
        try:
            self.spend(len(encode_basestring(value).encode()) - len(value))
        except UnicodeEncodeError:
            raise NotPlain(f"{self.what} holds half of a surrogate pair, which is no character") from None
        return value

    def spend(self, count: int) -> None:
        self.left -= count
        if self.left < 0:
            raise NotPlain(f"{self.what} is larger than {self.max_bytes:,} bytes")


def _in_order(values: set[Any] | frozenset[Any]) -> list[Any]:
    """A set's members sorted, so that the same set always reads the same, or as they come where they do not compare."""
    try:
        return sorted(values)
    except TypeError:
        return list(values)
