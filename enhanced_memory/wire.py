"""The wire: how a stream of bytes becomes messages and messages become bytes, and who is at the other end.

A message is one JSON value. `Framer` cuts what a socket delivers into frames and decodes each; `as_request` holds a
message against the shape of a request; `encode` writes one line. Above lie the listener and the client, below it only
the errors. Standard library only: the client loads it.

A frame begins at the first byte behind the last one that is no blank (space, tab, carriage return, newline). It ends
at a newline or at the end of the stream; one that begins with { or [ ends with the bracket that closes it, if that
comes first. So `{}{}` are two frames and `{} junk` are two as well, wherever the stream happens to be cut.
"""

from __future__ import annotations

import json
import re
import socket
import struct
import sys
from collections.abc import Mapping
from typing import Any, Final

from enhanced_memory.errors import InvalidRequest, ParseError, TooLarge

MAX_NESTING: Final = 64
"""Objects and lists within one another in a message. Source: the contract's section on the wire."""

MAX_INTEGER_DIGITS: Final = 1_000
"""Digits of an integer in a message, far below the 4,300 at which Python refuses to convert one."""

MAX_CONTAINERS: Final = 200_000
MAX_VALUES: Final = 2_000_000
"""Lists and objects of a message, and values: honest ones have a tenth of this; more would take gigabytes to hold."""

MAX_LABEL: Final = 128
"""Characters of `namespace`, `client` and `request_id`."""

WAITING: Final = object()
"""What `Framer.next` gives while the rest of a message is still to come."""

_PASSED_OVER: Final = object()

# --------------------------------------------------------------------------------------------------------- messages


class Spelled(dict[str, Any]):
    """A message most of which is JSON text already: the members of the object `text`, which come behind the first."""

    def __init__(self, text: bytes, **first: Any) -> None:
        """`text` is an object with members, as `encode` writes it; `first` and what is set later are other members."""
        super().__init__(first)
        self.text = text
        self._first = len(first)

    def encode(self) -> bytes:
        """As `wire.encode` would write it whole: `first`, the text, what was set later."""
        members = [_ENCODER.encode({key: value})[1:-1].encode() for key, value in self.items()]
        members.insert(self._first, self.text.strip()[1:-1])
        return b"{" + b",".join(members) + b"}\n"

    def whole(self) -> dict[str, Any]:
        """The message without the text: all of its members."""
        members = list(self.items())
        return {**dict(members[: self._first]), **json.loads(self.text), **dict(members[self._first :])}


def encode(message: Mapping[str, Any]) -> bytes:
    """`message` as one line of compact JSON in UTF-8, newline included.

    Raises: ValueError, TypeError: it is not JSON data (NaN, a lone surrogate, a set, ...).
    """
    if isinstance(message, Spelled):
        return message.encode()
    return _ENCODER.encode(message).encode() + b"\n"


def decode(data: bytes) -> Any:
    """The one JSON value in `data`; blanks around it do not matter.

    Raises: ParseError: not JSON, not UTF-8, NaN or Infinity, a number too large for either kind, a lone surrogate,
            an integer of more than MAX_INTEGER_DIGITS digits, or more than MAX_NESTING levels.
            TooLarge: more than MAX_CONTAINERS lists and objects, or MAX_VALUES values.
    """
    if data.count(b"{") + data.count(b"[") > MAX_NESTING:
        _check_nesting(data)
    if data.count(b",") > MAX_VALUES and _STRINGS.sub(b"", data).count(b",") > MAX_VALUES:
        raise TooLarge(f"the request has more than {MAX_VALUES:,} values", hint=_IN_PARTS)
    try:
        value = _DECODER.decode(data.decode())
        if _SURROGATE.search(data):
            _ENCODER.encode(value).encode()
    except UnicodeDecodeError as error:
        raise ParseError(f"not UTF-8: the byte at position {error.start} belongs to no character") from None
    except UnicodeEncodeError:
        raise ParseError("not Unicode: an escape holds half of a surrogate pair") from None
    except json.JSONDecodeError as error:
        raise ParseError(f"not JSON: {error.msg} at character {error.pos}") from None
    return value


def as_request(message: Any) -> dict[str, Any]:
    """`message` as a request: `method`, `params` ({} where absent), and `id`, `namespace`, `client`, `request_id` if
    given. Other keys are left out, since the protocol grows.

    Raises: InvalidRequest: not an object, or one of these has the wrong type or length.
    """
    if not isinstance(message, dict):
        raise InvalidRequest("a request is a JSON object with a string `method`", hint=_EXAMPLE)
    if not isinstance(message.get("method"), str):
        raise InvalidRequest("the request has no string `method`", hint=_EXAMPLE)
    request: dict[str, Any] = {"params": {}}
    for key, value in message.items():
        if key in _LABELS:
            if not isinstance(value, str) or not 1 <= len(value) <= MAX_LABEL or not _is_label(value):
                raise InvalidRequest(
                    f"`{key}` is a string of 1 to {MAX_LABEL} printable characters without blanks at its ends"
                )
        elif key == "params" and not isinstance(value, dict):
            raise InvalidRequest("`params` is an object", hint=_EXAMPLE)
        elif key not in _REQUEST_KEYS:
            continue
        request[key] = value
    return request


def _is_label(text: str) -> bool:
    return text.isprintable() and text == text.strip()


_IN_PARTS: Final = "send it in parts, a batch in smaller batches"
_EXAMPLE: Final = 'for example {"method": "ping", "params": {}}'
_LABELS: Final = frozenset({"namespace", "client", "request_id"})
_REQUEST_KEYS: Final = frozenset({"method", "params", "id"})


def _finite(literal: str) -> float:
    number = float(literal)
    if number in (float("inf"), float("-inf")):
        raise ParseError("a number in it is too large")
    return number


def _integer(literal: str) -> int:
    if len(literal.lstrip("-")) > MAX_INTEGER_DIGITS:
        raise ParseError(f"an integer in it has more than {MAX_INTEGER_DIGITS:,} digits")
    return int(literal)


def _refused(literal: str) -> float:
    raise ParseError(f"not JSON: {literal} is no JSON number")


_ENCODER: Final = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"))
_DECODER: Final = json.JSONDecoder(parse_float=_finite, parse_int=_integer, parse_constant=_refused)
_SURROGATE: Final = re.compile(rb"\\u[dD][89a-fA-F]")

# ----------------------------------------------------------------------------------------------------------- frames

_BLANKS: Final = re.compile(rb"[ \t\r\n]*+")
_FOR_GOOD: Final = b"+" if sys.version_info >= (3, 11, 5) else b""
"""Makes a repeated group possessive, which spares memory for ways back that are never taken. Before 3.11.5 Python
matched such groups wrongly (python/cpython issue 106052)."""

_TEXT: Final = re.compile(rb'[^"\\]*+(?:\\.[^"\\]*+)*%b' % _FOR_GOOD, re.DOTALL)
"""The inside of a string, up to its closing quote; a backslash that is cut from what it escapes is left standing."""

_STRINGS: Final = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*%b"' % _FOR_GOOD, re.DOTALL)

_BRACKETS: Final = re.compile(
    rb'[^"{}\[\]]*+(?:"[^"\\]*+(?:\\.[^"\\]*+)*%b"[^"{}\[\]]*+)*%b(?:([{\[]++)|([}\]]++)|(")|\Z)'
    % (_FOR_GOOD, _FOR_GOOD),
    re.DOTALL,
)
"""Whatever is no bracket, strings whole, and then the next brackets of one direction or a string without an end.

Every quantifier is possessive: each byte is looked at once, whatever the bytes are.
"""
_MAX_BRACKETS: Final = 2 * MAX_CONTAINERS + MAX_NESTING
"""Runs of brackets a frame may have before it is not searched on: each costs about a microsecond."""

_TOO_DEEP: Final = f"nested deeper than {MAX_NESTING} levels"
_OPENING, _CLOSING, _OPEN_STRING = 1, 2, 3
_QUOTE: Final = ord('"')
_SPACE: Final = ord(" ")


def _check_nesting(data: bytes) -> None:
    """Raises: ParseError: more than MAX_NESTING levels, TooLarge: more than MAX_CONTAINERS lists and objects.

    Looked at before parsing, which needs stack for each level and memory for each container.
    """
    depth = containers = 0
    for match in _BRACKETS.finditer(data):
        if match.lastindex == _OPENING:
            opened = match.end() - match.start(_OPENING)
            depth += opened
            containers += opened
            if depth > MAX_NESTING:
                raise ParseError(_TOO_DEEP)
            if containers > MAX_CONTAINERS:
                raise _too_many_containers()
        elif match.lastindex == _CLOSING:
            depth -= match.end() - match.start(_CLOSING)


def _too_many_containers() -> TooLarge:
    return TooLarge(f"the request has more than {MAX_CONTAINERS:,} lists and objects", hint=_IN_PARTS)


class Framer:
    """Cuts one stream into frames and decodes them, the same way however its bytes arrive.

    Feed it bytes and ask for `next` until that gives WAITING. Time grows with the bytes alone: a line that is there as
    a whole goes to the JSON parser as it is, and only an unfinished one, or one that is not one value, is searched for
    closing brackets. Memory stays below `limit` and what was fed last: of a larger frame only the length is kept.
    """

    def __init__(self, limit: int) -> None:
        """`limit`: largest frame, in bytes, blanks before it not counted."""
        self.frame_bytes = 0
        """Bytes of the frame that `next` took last."""
        self._limit = limit
        self._buffer = bytearray()
        """What was fed and is not yet handed out; a begun frame begins it, less what was dropped."""
        self._closed = False
        self._searched = 0
        """No newline lies before this place in the buffer."""
        self._shared_line = False
        """The line at hand is more, or less, than one JSON value: look for the bracket that ends each frame."""
        self._scanned = 0
        """The search for the closing bracket goes on at this place in the buffer, `_depth` brackets deep."""
        self._depth = 0
        self._in_text = False
        self._bracketed = False
        self._dropped = 0
        self._brackets = 0
        self._hopeless = False
        """The frame at hand has too many brackets to search on; it was told, and ends with its line."""
        self._told = False
        """That the frame at hand is over the limit was raised already; the rest of it is passed over."""

    def feed(self, data: bytes) -> None:
        """Take the bytes that came next."""
        self._buffer += data

    def close(self) -> None:
        """The stream has ended: what is there is the last frame."""
        self._closed = True

    @property
    def begun(self) -> bool:
        """Whether a frame has begun and not ended, once `next` has given WAITING."""
        return bool(self._buffer) or self._dropped > 0

    @property
    def held_bytes(self) -> int:
        """Bytes that are held: fed, and neither handed out nor forgotten."""
        return len(self._buffer)

    @property
    def told(self) -> bool:
        """Whether the frame that has begun is over the limit, and `next` has raised so."""
        return self._told or self._hopeless

    def next(self) -> Any:
        """The next message, or WAITING.

        Raises: ParseError, TooLarge: this frame is wrong; the next call goes on behind it. A frame over the limit is
                told as soon as that is known, once, and its rest is passed over as it comes.
        """
        passed_over = self._next()
        while passed_over is _PASSED_OVER:
            passed_over = self._next()
        return passed_over

    def _next(self) -> Any:
        """As `next`, or _PASSED_OVER: a frame ended that was told to be too large before."""
        if not self._dropped and not self._scanned and not self._begin():
            return WAITING
        newline = self._buffer.find(b"\n", self._searched)
        stop = len(self._buffer) if newline < 0 else newline
        self._searched = stop
        ended = newline >= 0 or self._closed
        if self._hopeless:
            return self._pass_over(stop, ended=ended, behind=newline >= 0)
        if ended and stop <= self._limit and not self._dropped and not self._shared_line:
            line = bytes(memoryview(self._buffer)[:stop])
            try:
                message = decode(line)
            except ParseError:
                self._shared_line = True
            except TooLarge:
                self._take(stop, behind=newline >= 0)
                raise
            else:
                self._take(stop, behind=newline >= 0)
                return message
        end = self._frame_end(stop)
        if end < 0 and not ended:
            if self._dropped + stop > self._limit:
                self._drop(self._scanned if self._bracketed else stop)
                if not self._told:
                    self._told = True
                    raise self._over_limit()
            return WAITING
        return self._cut(stop if end < 0 else end)

    def _begin(self) -> bool:
        """Skip the blanks before a frame and see how it begins; False where there is none yet."""
        if self._buffer and self._buffer[0] <= _SPACE:
            blanks = _BLANKS.match(self._buffer).end()  # type: ignore[union-attr]  # it matches anything
            if self._buffer.find(b"\n", 0, blanks) >= 0:
                self._shared_line = False
            self._discard(blanks)
        if not self._buffer:
            return False
        self._bracketed = self._buffer[0] in b"{["
        return True

    def _frame_end(self, stop: int) -> int:
        """The place behind the bracket that closes the frame, or -1 where that does not lie before `stop`."""
        if not self._bracketed or (self._in_text and not self._leave_text(stop)):
            return -1
        for match in _BRACKETS.finditer(self._buffer, self._scanned, stop):
            self._scanned = match.end()
            self._brackets += 1
            if self._brackets > _MAX_BRACKETS:
                self._hopeless = True
                if self._told:
                    return -1
                raise ParseError(_TOO_DEEP) if self._depth > MAX_NESTING else _too_many_containers()
            if match.lastindex == _OPENING:
                self._depth += match.end() - match.start(_OPENING)
            elif match.lastindex == _CLOSING:
                closing = match.start(_CLOSING)
                if match.end() - closing >= self._depth:
                    return closing + self._depth
                self._depth -= match.end() - closing
            elif match.lastindex == _OPEN_STRING:
                self._in_text = True
                self._leave_text(stop)
                break
        return -1

    def _leave_text(self, stop: int) -> bool:
        """Go to the end of the string the search is in; False where that does not lie before `stop`."""
        self._scanned = _TEXT.match(self._buffer, self._scanned, stop).end()  # type: ignore[union-attr]
        if self._scanned == stop or self._buffer[self._scanned] != _QUOTE:
            return False
        self._scanned += 1
        self._in_text = False
        return True

    def _cut(self, end: int) -> Any:
        """The message in the frame that ends at `end`. Raises: as `next`."""
        if self._dropped + end > self._limit:
            told, self._told = self._told, False
            self._take(end)
            if told:
                return _PASSED_OVER
            raise self._over_limit()
        frame = bytes(memoryview(self._buffer)[:end])
        self._take(end)
        return decode(frame)

    def _pass_over(self, stop: int, *, ended: bool, behind: bool) -> Any:
        """Forget what came of a hopeless frame, up to the end of its line."""
        if not ended:
            self._drop(stop)
            return WAITING
        self._take(stop, behind)
        self._hopeless = self._told = False
        return _PASSED_OVER

    def _over_limit(self) -> TooLarge:
        return TooLarge(f"the request is larger than {self._limit:,} bytes", hint=_IN_PARTS)

    def _take(self, end: int, behind: int = 0) -> None:
        """Leave the frame that ends at `end`, and so many bytes behind it."""
        self.frame_bytes = self._dropped + end
        self._discard(end + behind)
        self._scanned = self._depth = self._dropped = self._brackets = 0
        self._in_text = False

    def _drop(self, count: int) -> None:
        """Forget the first `count` bytes of a frame that is over the limit."""
        self._discard(count)
        self._dropped += count
        self._scanned = 0

    def _discard(self, count: int) -> None:
        del self._buffer[:count]  # moves no bytes: a bytearray only advances its start
        self._searched = max(0, self._searched - count)


# ------------------------------------------------------------------------------------------------------------ peers


def peer_uid(connection: socket.socket) -> int:
    """User id of the process at the other end of a connected Unix socket, as the kernel noted it.

    Raises: OSError: the other end is gone.
    """
    if sys.platform == "linux":
        pid_uid_gid = struct.Struct("iII")
        credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, pid_uid_gid.size)
        return int(pid_uid_gid.unpack(credentials)[1])
    # LOCAL_PEERCRED of BSD and macOS: struct xucred begins with its version and the uid.
    return int(struct.unpack_from("II", connection.getsockopt(0, 1, 128))[1])
