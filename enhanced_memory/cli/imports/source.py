"""What is imported, read with bounds: a file, standard input, the conversations in a .zip, or a folder of notes.

Above it lie the readers of the formats; below it the standard library, and ijson, which reads JSON item by item. A
.zip is read where it lies: nothing of it is written anywhere, so no name in it can lead out of a folder.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import stat
import sys
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Final

from enhanced_memory.cli.imports.items import Bad
from enhanced_memory.cli.session import Failed

HEAD_BYTES: Final = 64 * 1024
"""What is looked at to tell the format."""

MOST_ITEM_BYTES: Final = 64 * 1024 * 1024
"""One item of a JSON file may be this large; it is held in memory."""

MOST_UNPACKED_BYTES: Final = 8 * 1024**3
MOST_RATIO: Final = 250
"""Bounds of what a .zip may unpack to, in bytes and in bytes a packed one. Text shrinks to a tenth, seldom to a
fiftieth; a bomb of deflated zeros to a thousandth."""

CONVERSATIONS: Final = re.compile(r"(?:.*/)?conversations(?:[-_]\d{1,6})?\.json", re.ASCII)
"""The files of a ChatGPT or Claude export that hold conversations; a large export has several, with numbers."""

NOTE_SUFFIXES: Final = (".md", ".markdown")


class TooLargeError(ValueError):
    """An item goes on beyond what may be held in memory."""


class _Metered(io.RawIOBase):
    """The bytes of a stream without a byte order mark, counted, and bounded between two calls of `mark`."""

    def __init__(self, stream: BinaryIO) -> None:
        self._read = getattr(stream, "read1", stream.read)
        self.passed = 0
        self.marked: int | None = None

    def readable(self) -> bool:
        """It is."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Read into the buffer. Raises: TooLargeError."""
        if self.marked is not None and self.passed - self.marked > MOST_ITEM_BYTES:
            raise TooLargeError
        data = self._read(len(buffer))
        if self.passed == 0 and data.startswith(b"\xef\xbb\xbf"):
            self.passed += 3
            data = data[3:] or self._read(len(buffer))
        buffer[: len(data)] = data
        self.passed += len(data)
        return len(data)


@dataclass
class Part:
    """One stream of bytes. label: what tells it from others of the same source, empty where it is alone."""

    label: str
    _metered: _Metered
    stream: io.BufferedReader

    @classmethod
    def of(cls, stream: BinaryIO, label: str = "") -> Part:
        """The part that reads `stream`."""
        metered = _Metered(stream)
        return cls(label, metered, io.BufferedReader(metered, HEAD_BYTES))

    def head(self) -> bytes:
        """The first bytes, without taking them."""
        return self.stream.peek(HEAD_BYTES)[:HEAD_BYTES]

    def place(self, number: int) -> str:
        """What a person calls the item of this number."""
        return f"{self.label} item {number}".lstrip()

    def json_items(self, path: str) -> Iterator[tuple[int, Any, int] | Bad]:
        """The items of a JSON array at `path`, in ijson's notation: number from 1, value, and bytes of the source.

        Where the JSON breaks off or is none, the last thing given is a Bad that says so.
        """
        import ijson

        number = 0
        self._metered.marked = before = self._metered.passed
        try:
            for value in ijson.items(self.stream, path, use_float=True):
                number += 1
                passed = self._metered.passed
                yield number, value, passed - before
                self._metered.marked = before = passed
        except TooLargeError:
            reason = f"is larger than {MOST_ITEM_BYTES // 1024**2} MiB; it and what follows is skipped"
            yield Bad(self.place(number + 1), reason)
        except ijson.JSONError as error:
            sentence = str(error).split("\n")[0].strip("b'. ")[:100]
            yield Bad(self.place(number + 1), f"is no JSON, it and what follows is skipped: {sentence}")


@dataclass
class Source:
    """What is imported. path: as given. folder: set for a folder of notes, which has no parts. total: bytes, or None.

    longest: bytes of the longest line that may be taken.
    """

    path: str
    longest: int
    folder: Path | None = None
    total: int | None = None
    _parts: Callable[[], Iterator[Part]] = lambda: iter(())

    @property
    def is_folder(self) -> bool:
        """Whether it is a folder, of notes or of a conversations.json."""
        return self.path != "-" and os.path.isdir(self.path)

    def parts(self) -> Iterator[Part]:
        """Its streams, one after the other. Raises: Failed: a .zip that is damaged or a bomb. OSError."""
        try:
            yield from self._parts()
        except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
            raise _refused(self.path, f"is no .zip that can be read: {error}") from error

    def values(self, path: str) -> Iterator[tuple[str, Any, int] | Bad]:
        """The items of a JSON array at `path`, part by part: place, value, and bytes. Raises: as `parts`."""
        for part in self.parts():
            yield from (
                found if isinstance(found, Bad) else (part.place(found[0]), *found[1:])
                for found in part.json_items(path)
            )


@contextlib.contextmanager
def opened(path: str, longest: int) -> Iterator[tuple[Source, bytes]]:
    """The source at `path`, `-` for standard input, and its first bytes. Raises: OSError, Failed."""
    if path != "-" and os.path.isdir(path):
        inside = sorted(
            name
            for name in os.listdir(path)
            if CONVERSATIONS.fullmatch(name) and os.path.isfile(os.path.join(path, name))
        )
        if not inside:
            yield Source(path, longest, folder=Path(path)), b""
            return
        files = [os.path.join(path, name) for name in inside]
        with open(files[0], "rb") as first:
            head = Part.of(first).head()
        total = sum(os.path.getsize(file) for file in files)
        yield Source(path, longest, None, total, lambda: _files(files)), head
        return
    with contextlib.ExitStack() as stack:
        stream = sys.stdin.buffer if path == "-" else stack.enter_context(open(path, "rb"))
        part = Part.of(stream)
        head = part.head()
        if head.startswith(b"PK\x03\x04"):
            if path == "-":
                raise _refused("standard input", "is a .zip, which can only be read from a file")
            packed = stack.enter_context(_archive(path))
            members = _members(path, packed)
            with packed.open(members[0]) as first_member:
                head = Part.of(first_member).head()  # type: ignore[arg-type]  # a stream of bytes in all but name
            total = sum(member.file_size for member in members)
            yield Source(path, longest, None, total, lambda: _unpacked(packed, members)), head
            return
        state = os.fstat(stream.fileno()) if path != "-" else None
        size = state.st_size if state is not None and stat.S_ISREG(state.st_mode) else None
        yield Source(path, longest, None, size, lambda: iter((part,))), head


def _files(paths: list[str]) -> Iterator[Part]:
    for path in paths:
        with open(path, "rb") as stream:
            yield Part.of(stream, os.path.basename(path) if len(paths) > 1 else "")


def _archive(path: str) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(path)
    except (zipfile.BadZipFile, NotImplementedError, ValueError) as error:
        raise _refused(path, f"is no .zip that can be read: {error}") from error


def _members(path: str, packed: zipfile.ZipFile) -> list[zipfile.ZipInfo]:
    """The members that hold conversations, in order. Raises: Failed: there are none, or they are not to be trusted."""
    members = sorted(
        (member for member in packed.infolist() if CONVERSATIONS.fullmatch(member.filename)), key=lambda m: m.filename
    )
    if not members:
        raise _refused(path, "is a .zip without a conversations.json")
    for member in members:
        if member.flag_bits & 1:
            raise _refused(path, "is a .zip with a password; unpack it and import its conversations.json")
        if member.file_size > MOST_RATIO * max(member.compress_size, 4096):
            raise _refused(path, "unpacks to far more than any conversation would; it is not read")
    if sum(member.file_size for member in members) > MOST_UNPACKED_BYTES:
        raise _refused(path, f"unpacks to more than {MOST_UNPACKED_BYTES // 1024**3} GiB; it is not read")
    return members


def _unpacked(packed: zipfile.ZipFile, members: list[zipfile.ZipInfo]) -> Iterator[Part]:
    for member in members:
        # zipfile gives no more bytes than the member declares, whatever is packed in it.
        with packed.open(member) as stream:
            name = member.filename.rpartition("/")[2]
            yield Part.of(stream, name if len(members) > 1 else "")  # type: ignore[arg-type]


def _refused(path: str, reason: str) -> Failed:
    """The end of a run whose source is not to be read."""
    return Failed({"success": False, "error": f"{path} {reason}", "code": "parse_error"})
