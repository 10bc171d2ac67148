"""The codec: plain data to stored bytes and back, trusting nothing that it reads.

Above it lies `contents`; below it zlib and pickle, which are imported here and nowhere else.

A blob is a header and a compressed pickle of protocol 5. The first byte is the number of the format:

    1     a varint follows, the id of a preset dictionary; then raw deflate with that dictionary
    2     raw deflate
    3     the pickle as it is
    0x78  no header: `zlib.compress(pickle)` as other tools write it; read, never written

What is written uses no memo and no frame, and for ASCII text the opcode UNICODE, a line without a length byte: every
`pickle.loads` reads it, and it deflates 2 points better. What is read passes, in this order: the size cap, the
checksum, inflating with a bound, the opcode gate, and an unpickler that looks nothing up. A pickle that is one entity's
lines of text and nothing else is read by its pattern alone, in a tenth of the time: it has no opcodes to walk.
"""

from __future__ import annotations

import hashlib
import io
import pickle
import re
import struct
import zlib
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple, NoReturn

from enhanced_memory.errors import TooLarge

if TYPE_CHECKING:
    from zlib import _Compress

MAX_PLAIN_BYTES: Final = 64 * 1024 * 1024
"""Bound of a pickle, and of its text once what is repeated in it is written out: four times the largest request."""

MAX_STORED_BYTES: Final = MAX_PLAIN_BYTES + 64 * 1024
"""Bound of a blob: deflate adds at most 5 bytes to each 16 KiB that it cannot shrink."""

DICTIONARY_BYTES: Final = 32_506
"""The longest dictionary of which deflate reaches the first byte: its 32 KiB window less 262 bytes of look-ahead."""

PICKLE_STARTS: Final = b"\x80\x05}Vadd\n]V\x80\x05}Vobservations\n](V"
"""First bytes of the pickles written most, of an observation added and of several observations: dictionaries end so."""

LINE_START: Final = b"V"
LINE_END: Final = b"\n"
"""What stands around a line of text in a pickle; in dictionaries too."""

MAX_OPCODES: Final = 1_000_000
"""Bound of the opcodes in a pickle, so of the objects it makes; 10,000 observations with their places take 20,000."""

MAX_DEPTH: Final = 16
"""Bound of the nesting; an entity has 2 levels."""

LEVEL: Final = 6
"""Deflate level; 9 saved 0.1 points more and took up to a fifth longer (tests/bench/bench_codec.py)."""

DICTIONARY_REACH: Final = 16 * 1024
"""Longer pickles are deflated without a dictionary, which hardly helps them, and at `LARGE_LEVEL`."""

LARGE_LEVEL: Final = 1
"""Deflate level of long pickles: 6 points less saved than at 6 in a fifth of the time, since an entity that grows by
single observations is packed whole each time (tests/bench/bench_history.py)."""

_PRESET, _DEFLATE, _STORED, _ZLIB = 0x01, 0x02, 0x03, 0x78

_PROTOCOL = b"\x80\x05"
_UNICODE, _FRAME, _STOP, _MARK, _MEMOIZE, _LONG1 = 0x56, 0x95, 0x2E, 0x28, 0x94, 0x8A
_TEXTS = {0x8C: 1, 0x58: 4}
"""SHORT_BINUNICODE and BINUNICODE: bytes of the length that follows."""
_GETS = {0x68: 1, 0x6A: 4}
"""BINGET and LONG_BINGET: bytes of the place in the memo that follows."""
_FIXED = {0x4E: 1, 0x88: 1, 0x89: 1, 0x4B: 2, 0x4D: 3, 0x4A: 5, 0x47: 9}
"""NONE, NEWTRUE, NEWFALSE, BININT1, BININT2, BININT and BINFLOAT: bytes of the whole."""

_LINE = rb"V[^\n\\\x80-\xff]*+\n"
_ONLY_LINES = re.compile(rb"\x80\x05}Vobservations\n\](?:(%b)as|\(((?:%b)++)es)\." % (_LINE, _LINE))
"""The pickle of an entity whose observations are all lines: most are, and what it makes can be read off."""

_LAST_LINE_FEED = re.compile(rb"\n(?!V)")
"""Where a run of UNICODE opcodes ends."""

_TEXT, _SCALAR, _LIST, _DICT = 0, 1, 2, 3
"""Kinds of values on the gate's stack: the low two bits; above them the value's height, 0 for text and scalars."""

_EMPTIES = {0x5D: 1 << 2 | _LIST, 0x7D: 1 << 2 | _DICT}
"""EMPTY_LIST and EMPTY_DICT: what they put on the gate's stack."""
_PUTS = {0x61: (_LIST, 1), 0x65: (_LIST, 0), 0x73: (_DICT, 2), 0x75: (_DICT, 0)}
"""APPEND, APPENDS, SETITEM and SETITEMS: what they fill, and with how many values (0: all since the last MARK)."""


class CorruptBlob(ValueError):
    """Stored bytes were refused; the sentence says by which step. Nothing of them was used."""


def checksum(blob: bytes) -> str:
    """SHA-256 of the stored bytes, in hex."""
    return hashlib.sha256(blob).hexdigest()


def dictionary_of(blob: bytes) -> int | None:
    """The id of the dictionary a blob was made with, or None. Raises: CorruptBlob: its header has no end."""
    return _read_varint(blob, 1)[0] if blob[:1] == bytes((_PRESET,)) else None


def observations_of(data: object) -> list[str]:
    """The observations of an entity's decoded data, whatever other keys it has.

    Raises: CorruptBlob: the data is not a dict with a list of strings under "observations".
    """
    observations = data.get("observations") if isinstance(data, dict) else None
    if not isinstance(observations, list) or not all(isinstance(text, str) for text in observations):
        raise CorruptBlob("its shape is not that of an entity: a list of strings under 'observations'")
    return observations


class _Preset(NamedTuple):
    """How new blobs are made: their header, and a deflate stream that has read the dictionary and is copied each time.

    Reading 32 KiB takes 40 µs, a copy 10.
    """

    header: bytes
    stream: _Compress


class Codec:
    """Encodes with one preset dictionary or none, decodes with every dictionary it was given.

    Ids are 0 to 2³¹ - 1. Safe for many threads: a dictionary can be added while others decode.
    """

    def __init__(self, dictionaries: Mapping[int, bytes] | None = None, current: int | None = None) -> None:
        """Take the dictionaries by id, and the id that new blobs use (None: no dictionary)."""
        self._dictionaries: Mapping[int, bytes] = {}
        self._preset: _Preset | None = None
        self.dictionary_id: int | None = None
        """The dictionary that new blobs are made with."""
        for dictionary_id, data in (dictionaries or {}).items():
            self.add_dictionary(dictionary_id, data)
        self.use_dictionary(current)

    @property
    def highest_id(self) -> int:
        """The highest id of the dictionaries it was given, -1 where there were none."""
        return max(self._dictionaries, default=-1)

    def add_dictionary(self, dictionary_id: int, data: bytes) -> None:
        """Make blobs of this dictionary readable.

        The bytes must be the ones the blobs were made with: nothing in a blob tells, so check them before.
        Raises: ValueError: the id is out of range, or already stands for other bytes.
        """
        if not 0 <= dictionary_id < 2**31:
            raise ValueError(f"dictionary id {dictionary_id} is not in 0..2^31-1")
        if self._dictionaries.get(dictionary_id, data) != data:
            raise ValueError(f"dictionary {dictionary_id} is already here with other bytes")
        self._dictionaries = {**self._dictionaries, dictionary_id: data}  # a new dict: readers keep theirs

    def use_dictionary(self, dictionary_id: int | None) -> None:
        """Make new blobs with this dictionary (None: without any). Raises: ValueError: it was not added."""
        if dictionary_id is None:
            self._preset = self.dictionary_id = None
            return
        if dictionary_id not in self._dictionaries:
            raise ValueError(f"dictionary {dictionary_id} was not added")
        data = self._dictionaries[dictionary_id]
        stream = zlib.compressobj(LEVEL, zlib.DEFLATED, -zlib.MAX_WBITS, zlib.DEF_MEM_LEVEL, zdict=data)
        self._preset = _Preset(bytes((_PRESET,)) + _varint(dictionary_id), stream)
        self.dictionary_id = dictionary_id

    def encode(self, data: dict[str, Any]) -> bytes:
        """The smallest blob of plain data: dicts with str keys, lists, str, int, float, bool, None.

        Never larger than the pickle plus 1 byte, nor, up to `DICTIONARY_REACH`, than `zlib.compress(pickle, 6)`: a
        dictionary makes some text larger, by up to 4 %, so it is tried without as well (7 of 30 µs for three facts).
        Raises: TooLarge: over 64 MiB or 1,000,000 values and lines. TypeError, ValueError: the data is not plain.
        """
        if type(data) is not dict:
            raise TypeError(f"a blob holds a dict, not {type(data).__name__}")
        pieces = [_PROTOCOL]
        _write(data, pieces.append, MAX_DEPTH)
        pieces.append(b".")
        plain = b"".join(pieces)
        opcodes = len(pieces) + plain.count(LINE_END)  # a piece may be many lines; line feeds inside text count too
        if len(plain) > MAX_PLAIN_BYTES or opcodes > MAX_OPCODES:
            raise TooLarge(
                f"{len(plain):,} bytes in {opcodes:,} parts are more than one entity can hold",
                hint="divide it into several entities",
            )
        small = len(plain) <= DICTIONARY_REACH
        deflated = zlib.compress(plain, LEVEL if small else LARGE_LEVEL, -zlib.MAX_WBITS)
        blobs = [bytes((_STORED,)) + plain, bytes((_DEFLATE,)) + deflated]
        preset = self._preset
        if preset is not None and small:
            stream = preset.stream.copy()
            blobs.append(preset.header + stream.compress(plain) + stream.flush())
        return min(blobs, key=len)

    def decode(self, blob: bytes, stored_checksum: str) -> dict[str, Any]:
        """The data of a blob: a dict with str keys and plain values, its text encodable as UTF-8.

        Raises: CorruptBlob: any step refuses the blob.
        """
        if type(blob) is not bytes:
            raise CorruptBlob(f"it is stored as {type(blob).__name__}, not as bytes")
        if len(blob) > MAX_STORED_BYTES:
            raise CorruptBlob(f"its {len(blob):,} bytes are over the size cap")
        if checksum(blob) != stored_checksum:
            raise CorruptBlob("its bytes do not match their checksum")
        plain = self._inflated(blob)
        lines = _ONLY_LINES.fullmatch(plain) if len(plain) <= DICTIONARY_REACH else None
        return _loaded(_framed(plain)) if lines is None else {"observations": _texts(lines[1] or lines[2])}

    def _inflated(self, blob: bytes) -> bytes:
        """The pickle in a blob, of at most `MAX_PLAIN_BYTES`."""
        kind = blob[0] if blob else None
        start = 1
        if kind == _STORED:
            if len(blob) > MAX_PLAIN_BYTES + 1:
                raise CorruptBlob(f"its pickle has more than {MAX_PLAIN_BYTES:,} bytes")
            return blob[1:]
        if kind == _PRESET:
            dictionary_id, start = _read_varint(blob, start)
            dictionary = self._dictionaries.get(dictionary_id)
            if dictionary is None:
                raise CorruptBlob(f"it was made with dictionary {dictionary_id}, which is not here")
            stream = zlib.decompressobj(-zlib.MAX_WBITS, zdict=dictionary)
        elif kind == _DEFLATE:
            stream = zlib.decompressobj(-zlib.MAX_WBITS)
        elif kind == _ZLIB:
            stream, start = zlib.decompressobj(), 0
        else:
            raise CorruptBlob("its first byte names no format")
        try:
            plain = stream.decompress(blob[start:], MAX_PLAIN_BYTES + 1)
        except zlib.error as error:
            raise CorruptBlob(f"it does not inflate: {error}") from None
        if len(plain) > MAX_PLAIN_BYTES:
            raise CorruptBlob(f"it inflates to more than {MAX_PLAIN_BYTES:,} bytes")
        if not stream.eof:
            raise CorruptBlob("it does not inflate: its end is missing")
        if stream.unused_data:
            raise CorruptBlob(f"{len(stream.unused_data):,} bytes follow its end")
        return plain


def _varint(number: int) -> bytes:
    """A number from 0 in groups of seven bits, the low ones first; all bytes but the last have the high bit set."""
    groups = bytearray()
    while number > 0x7F:
        groups.append(number & 0x7F | 0x80)
        number >>= 7
    groups.append(number)
    return bytes(groups)


def _read_varint(blob: bytes, start: int) -> tuple[int, int]:
    """The number at `start`, at most five bytes long, and where what follows begins."""
    number = 0
    for shift, byte in zip(range(0, 35, 7), blob[start : start + 5], strict=False):
        number |= (byte & 0x7F) << shift
        start += 1
        if byte < 0x80:
            return number, start
    raise CorruptBlob("the dictionary id in its header has no end")


def _write(value: object, emit: Callable[[bytes], object], room: int) -> None:
    """Emit the opcodes of a plain value that may nest `room` levels deep."""
    if type(value) is str:
        emit(_text(value))
    elif value is None:
        emit(b"N")
    elif type(value) is bool:
        emit(b"\x88" if value else b"\x89")
    elif type(value) is int:
        emit(_integer(value))
    elif type(value) is float:
        emit(b"G" + struct.pack(">d", value))
    elif room == 0:
        raise ValueError(f"plain data nests at most {MAX_DEPTH} levels deep")
    elif type(value) is list:
        emit(b"]")
        _write_items(value, emit, room - 1, (1, b"a", b"e"))
    elif type(value) is dict:
        if not all(type(key) is str for key in value):
            raise TypeError("plain data has keys of type str only")
        emit(b"}")
        _write_items([part for item in value.items() for part in item], emit, room - 1, (2, b"s", b"u"))
    else:
        raise TypeError(f"plain data holds no {type(value).__name__}")


def _write_items(
    values: Sequence[object], emit: Callable[[bytes], object], room: int, puts: tuple[int, bytes, bytes]
) -> None:
    """Emit what goes into the list or dict just opened.

    `puts` says how many values make one item, and the opcodes that put one item, or all since a mark, where they go.
    """
    one, put_one, put_all = puts
    if len(values) > one:
        emit(b"(")
    lines = _lines(values) if one == 1 else None
    if lines is not None:
        emit(lines)
    else:
        for value in values:
            _write(value, emit, room)
    if values:
        emit(put_all if len(values) > one else put_one)


def _lines(values: Sequence[object]) -> bytes | None:
    """A list of strings in one go, if each can be a line; opcode for opcode what `_text` gives."""
    try:
        joined = "\nV".join(values)  # type: ignore[arg-type]
    except TypeError:
        return None
    if not values or not joined.isascii() or "\\" in joined or joined.count("\n") != len(values) - 1:
        return None
    return LINE_START + joined.encode() + LINE_END


def _text(text: str) -> bytes:
    """One string. UNICODE reads backslashes as escapes and ends at a line feed; what has those goes with its length."""
    utf8 = text.encode()
    if len(utf8) == len(text) and "\n" not in text and "\\" not in text:
        return LINE_START + utf8 + LINE_END
    if len(utf8) < 256:
        return b"\x8c" + bytes((len(utf8),)) + utf8
    return b"X" + len(utf8).to_bytes(4, "little") + utf8


def _integer(number: int) -> bytes:
    """One integer of at most 255 bytes."""
    if 0 <= number < 1 << 16:
        return b"K" + bytes((number,)) if number < 256 else b"M" + number.to_bytes(2, "little")
    if -(1 << 31) <= number < 1 << 31:
        return b"J" + number.to_bytes(4, "little", signed=True)
    size = number.bit_length() // 8 + 1
    if size > 255:
        raise ValueError("plain data holds integers of at most 255 bytes")
    return b"\x8a" + bytes((size,)) + number.to_bytes(size, "little", signed=True)


def _texts(lines: bytes) -> list[str]:
    """The texts of lines, each between `LINE_START` and `LINE_END`."""
    return lines[len(LINE_START) : -len(LINE_END)].decode("ascii").split("\nV")


def _framed(plain: bytes) -> bytes:
    """The opcode gate: the same pickle in one frame, once it is known to make one dict of plain data.

    The gate walks the opcodes with a stack of kinds instead of values. It lets through what CPython's picklers write
    for plain data at protocol 5, and UNICODE as the codec writes it. It refuses all else: opcodes that look up, call or
    build; the PUT family, whose index makes CPython allocate gigabytes; a memo that gives back a list or dict, which
    could then hold itself; keys that are not text, whose hashes could be chosen to collide; lone surrogates; opcodes,
    depth and repeated text over their bounds.

    The frames are laid together into one: the unpickler sees exactly the bytes seen here, and reads them at once.
    """
    if plain[:2] != _PROTOCOL:
        _refuse("no pickle of protocol 5", 0)
    stack = bytearray()
    fence, fences = 0, []  # where the values since the last MARK begin, and the same for the marks before it
    memo: list[int] = []  # bytes of each text; -1: a list or dict
    fresh: int | None = None  # what MEMOIZE would put into the memo
    lines, repeated_bytes = 0, 0
    at = part = 2  # the opcode, and where the part of the body begins that it belongs to
    parts, frame_end = [], 0
    try:
        for _ in range(MAX_OPCODES):
            opcode = plain[at]
            if opcode == _UNICODE:
                last = _LAST_LINE_FEED.search(plain, at)
                run = plain[at : last.end()] if last else b"\\"
                if not run.isascii() or b"\\" in run:
                    _refuse("a line of text with escapes, or without an end", at)
                at += len(run)
                count = run.count(b"\n")
                lines += count
                if lines > MAX_OPCODES:
                    _refuse(f"more than {MAX_OPCODES:,} lines", at)
                stack += bytes(count)
                fresh = None
            elif opcode in _TEXTS:
                start = at + 1 + _TEXTS[opcode]
                fresh = int.from_bytes(plain[at + 1 : start], "little")
                at = start + fresh
                plain[start:at].decode()
                stack.append(_TEXT)
            elif opcode == _MEMOIZE and fresh is not None:
                memo.append(fresh)
                fresh = None
                at += 1
            elif opcode in _EMPTIES:
                stack.append(_EMPTIES[opcode])
                fresh = -1
                at += 1
            elif opcode == _MARK:
                fences.append(fence)
                fence = len(stack)
                fresh = None
                at += 1
            elif opcode in _PUTS:
                kind, count = _PUTS[opcode]
                first = len(stack) - count if count else fence
                if first < fence:
                    _refuse("items that are not there", at)
                items = stack[first:]
                del stack[first:]
                if not count:
                    fence = fences.pop()
                if first <= fence or stack[-1] & 3 != kind:
                    _refuse("items without a list or dict for them", at)
                if kind == _DICT and (len(items) % 2 or any(items[::2])):
                    _refuse("a dict whose keys are not text", at)
                height = max(items, default=0) >> 2
                if height >= MAX_DEPTH:
                    _refuse("data nested too deep", at)
                stack[-1] = max(stack[-1], height + 1 << 2 | kind)
                fresh = None
                at += 1
            elif opcode in _FIXED:
                stack.append(_SCALAR)
                fresh = None
                at += _FIXED[opcode]
            elif opcode == _LONG1:
                stack.append(_SCALAR)
                fresh = None
                at += 2 + plain[at + 1]
            elif opcode in _GETS:
                end = at + 1 + _GETS[opcode]
                size = memo[int.from_bytes(plain[at + 1 : end], "little")]
                repeated_bytes += size
                if size < 0 or repeated_bytes > MAX_PLAIN_BYTES:
                    _refuse("a list or dict again, or too much text again", at)
                stack.append(_TEXT)
                fresh = None
                at = end
            elif opcode == _FRAME:
                size = int.from_bytes(plain[at + 1 : at + 9], "little")
                if at < frame_end or at + 9 + size > len(plain):
                    _refuse("a frame inside another or past the end", at)
                parts.append(plain[part:at])
                at = part = at + 9
                frame_end = at + size
            elif opcode == _STOP:
                break
            else:
                _refuse(f"opcode 0x{opcode:02x}", at)
        else:
            _refuse(f"more than {MAX_OPCODES:,} opcodes", at)
    except CorruptBlob:
        raise
    except (IndexError, ValueError):  # it ends within an opcode, takes what is not there, or its text is not UTF-8
        raise CorruptBlob(f"the opcode gate refuses it: malformed at byte {at:,} of its pickle") from None
    if at + 1 != len(plain) or fences or len(stack) != 1 or stack[0] & 3 != _DICT:
        _refuse("not one dict, or more behind it,", at)
    parts.append(plain[part:])
    body = b"".join(parts)
    return _PROTOCOL + bytes((_FRAME,)) + len(body).to_bytes(8, "little") + body


def _refuse(what: str, at: int) -> NoReturn:
    raise CorruptBlob(f"the opcode gate refuses it: {what} at byte {at:,} of its pickle")


class _PlainUnpickler(pickle.Unpickler):
    """An unpickler that looks nothing up: the second wall, should the gate ever let a name through."""

    def find_class(self, module_name: str, global_name: str) -> NoReturn:
        raise CorruptBlob(f"the unpickler refuses to look up {module_name}.{global_name}")

    def persistent_load(self, pid: object) -> NoReturn:
        raise CorruptBlob(f"the unpickler refuses to load the persistent object {pid!r}")


def _loaded(framed: bytes) -> dict[str, Any]:
    """Unpickle what has passed the gate."""
    try:
        data = _PlainUnpickler(io.BytesIO(framed)).load()
    except CorruptBlob:
        raise
    except Exception as error:
        raise CorruptBlob(f"the unpickler refuses it: {error}") from None
    if type(data) is not dict:
        raise CorruptBlob(f"it holds {type(data).__name__}, not a dict")
    return data
