"""The daemon's log: lines on standard error that never hold anyone up.

Above it lies main; below it the logging module.
"""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
import queue
import stat
import threading
import time
from collections.abc import Iterator
from typing import Final

_STDERR: Final = 2
_APPENDED_AND_READ: Final = os.O_APPEND | os.O_RDWR

_MAX_WAITING: Final = 10_000
"""Lines kept for a reader who does not read, a megabyte or so; later ones are lost."""

_MAX_FILE_BYTES: Final = 10 * 1024 * 1024
_KEPT_BYTES: Final = _MAX_FILE_BYTES // 2
"""A log file of our own that would grow beyond the first of these is cut to about the second: its newest lines."""

_FLUSH_S: Final = 1.0
"""How long the end of the daemon waits for its last lines to be read."""


@contextlib.contextmanager
def logging_to_stderr(level: str) -> Iterator[None]:
    """Write log records of `level` and above to standard error, one line each, times in UTC.

    A thread of its own writes them: whoever started us may have put a pipe there and never read it, and a full pipe
    must not stop the requests whose lines go into it.
    """
    handler = _Handler()
    formatter = logging.Formatter("%(asctime)s.%(msecs)03dZ %(levelname)s %(message)s", "%Y-%m-%dT%H:%M:%S")
    formatter.converter = time.gmtime
    handler.setFormatter(formatter)
    root = logging.getLogger()
    root.addHandler(handler)
    root.setLevel(level)
    try:
        yield
    finally:
        root.removeHandler(handler)
        handler.close()


class _Handler(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self._lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._is_own_file = _is_own_file()
        self._writer = threading.Thread(target=self._write, name="log", daemon=True)
        self._writer.start()

    def emit(self, record: logging.LogRecord) -> None:
        if self._lines.qsize() < _MAX_WAITING:
            self._lines.put(self.format(record))

    def close(self) -> None:
        self._lines.put(None)
        self._writer.join(_FLUSH_S)
        super().close()

    def _write(self) -> None:
        while (line := self._lines.get()) is not None:
            with contextlib.suppress(OSError):  # nobody can be told that standard error is gone
                if self._is_own_file and os.fstat(_STDERR).st_size > _MAX_FILE_BYTES:
                    _drop_older_half()
                os.write(_STDERR, line.encode(errors="backslashreplace") + b"\n")


def _is_own_file() -> bool:
    """Whether standard error is a file that a client of ours opened for us: to be appended to, and read.

    A shell opens files for writing alone; how large those may grow is for whoever named them to say.
    """
    try:
        flags = fcntl.fcntl(_STDERR, fcntl.F_GETFL)
        return stat.S_ISREG(os.fstat(_STDERR).st_mode) and flags & _APPENDED_AND_READ == _APPENDED_AND_READ
    except OSError:
        return False


def _drop_older_half() -> None:
    """Cut the log file to its newest whole lines."""
    size = os.fstat(_STDERR).st_size
    kept = os.pread(_STDERR, _KEPT_BYTES, size - _KEPT_BYTES)
    os.ftruncate(_STDERR, 0)
    os.write(_STDERR, kept[kept.find(b"\n") + 1 :])
