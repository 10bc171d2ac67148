"""The mark beside the database: how far the write-ahead log went when writes were acknowledged last.

SQLite takes a log that was cut off, damaged or removed for one that ended earlier, and says nothing. So after each
commit its length is noted in a small file, before anybody is answered; the next start compares. The note costs two
system calls and no sync: after a killed process the kernel still has it, and after a power cut it may be older than the
log, which only means that less can be told. Above it lies the store; below it SQLite's index of the log, whose first
bytes tell length and salt, the number that every new beginning of the log gets (https://sqlite.org/walformat.html).
"""

from __future__ import annotations

import logging
import os
import struct
import zlib
from contextlib import suppress
from typing import Final, NamedTuple

log = logging.getLogger(__name__)

_HEADER_BYTES: Final = 48
"""The header of the log's index, which stands there twice; SQLite writes one after the other."""

_FRAMES_AT: Final = 16
_SALT_AT: Final = 32
_SALT_BYTES: Final = 8
_NO_LOG: Final = bytes(_SALT_BYTES)
"""The salt where SQLite found no log, or one whose first bytes are no log's."""

_NOTE: Final = struct.Struct("<8sQI")
"""Salt, frames, and the CRC-32 of both."""


class _Extent(NamedTuple):
    """Which log it is, and how many frames it has."""

    salt: bytes
    frames: int


class LogMark:
    """The mark of one database, for its only writer.

    Made once connections of ours have read the database, and closed when all of them are: to close any descriptor of
    the index would let go of SQLite's locks on it. Where it cannot be made, nothing is noted and nothing told.
    """

    def __init__(self, path: str) -> None:
        self._path = f"{path}.mark"
        self._index = self._file = -1
        try:
            self._index = os.open(f"{path}-shm", os.O_RDONLY | os.O_CLOEXEC)
            self._file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        except OSError as error:
            log.warning("the length of the log cannot be noted: %s", error)

    def log_was_cut(self) -> bool:
        """Whether the log lacks frames that were acknowledged. To be asked before anything is written."""
        noted, found = self._noted(), self._found()
        if noted is None or found is None:
            return False
        # Another salt is that of a later log: what the noted one held was brought into the database before.
        return found.salt == _NO_LOG or (found.salt == noted.salt and found.frames < noted.frames)

    def note(self) -> None:
        """Note how far the log goes now; after a commit, before it is acknowledged."""
        found = self._found()
        if found is not None:
            with suppress(OSError):  # a full disk: an older note stays, which tells less
                os.pwrite(self._file, _packed(found), 0)

    def forget(self) -> None:
        """Note nothing; before the log is emptied."""
        with suppress(OSError):
            os.pwrite(self._file, _packed(_Extent(_NO_LOG, 0)), 0)

    def close(self) -> None:
        """Take the mark away, when the connections are closed and the log is emptied."""
        for descriptor in (self._index, self._file):
            with suppress(OSError):
                os.close(descriptor)
        self._index = self._file = -1
        with suppress(OSError):
            os.unlink(self._path)

    def _found(self) -> _Extent | None:
        """What the index tells; None where it cannot be had."""
        try:
            header = os.pread(self._index, 2 * _HEADER_BYTES, 0)
        except OSError:
            return None
        if len(header) < 2 * _HEADER_BYTES or header[:_HEADER_BYTES] != header[_HEADER_BYTES:]:
            return None
        (frames,) = struct.unpack_from("=I", header, _FRAMES_AT)
        return _Extent(header[_SALT_AT : _SALT_AT + _SALT_BYTES], frames)

    def _noted(self) -> _Extent | None:
        try:
            note = os.pread(self._file, _NOTE.size, 0)
        except OSError:
            return None
        if len(note) < _NOTE.size:
            return None
        salt, frames, _ = _NOTE.unpack(note)
        noted = _Extent(salt, frames)
        return noted if frames and note == _packed(noted) else None


def _packed(extent: _Extent) -> bytes:
    body = _NOTE.pack(extent.salt, extent.frames, 0)[: -struct.calcsize("I")]
    return body + struct.pack("<I", zlib.crc32(body))
