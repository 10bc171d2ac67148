"""Messages between the supervisor and a worker: four bytes of length, then one JSON object.

Above lie the supervisor and the worker, below the wire's JSON rules, which are strict enough for bytes that a hostile
process sends: no deep nesting, no long integers, no NaN, no half characters.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from typing import Any, Final

from enhanced_memory import wire
from enhanced_memory.errors import ParseError, TooLarge

START: Final = struct.Struct("=d")
"""What the zygote is told of a run: its time limit, in seconds."""

_LENGTH: Final = struct.Struct(">I")
_PIECE: Final = 256 * 1024
"""Bytes asked for at once: a length that promises much takes no memory before the bytes are there."""


def encode(message: Mapping[str, Any], limit: int) -> bytes:
    """`message` with its length in front.

    Raises: TooLarge: over `limit` bytes. ValueError, TypeError: it is not JSON data.
    """
    data = wire.encode(message)
    if len(data) > limit:
        raise TooLarge(f"{len(data):,} bytes of JSON are more than the {limit:,} that fit")
    return _LENGTH.pack(len(data)) + data


def receive(read: Callable[[int], bytes], limit: int) -> dict[str, Any] | None:
    """The next message, from `read(n)` that gives at most n bytes and none at the end; None at the end.

    Raises: ParseError: it is no JSON object within the limits.
    """
    header = _exactly(read, _LENGTH.size)
    if header is None:
        return None
    (length,) = _LENGTH.unpack(header)
    if length > limit:
        raise ParseError(f"a message of {length:,} bytes")
    data = _exactly(read, length)
    if data is None:
        return None
    message = wire.decode(data)
    if not isinstance(message, dict):
        raise ParseError("a message that is no object")
    return message


def _exactly(read: Callable[[int], bytes], count: int) -> bytes | None:
    """`count` bytes, or None where the stream ends before."""
    pieces = bytearray()
    while len(pieces) < count:
        piece = read(min(count - len(pieces), _PIECE))
        if not piece:
            return None
        pieces += piece
    return bytes(pieces)
