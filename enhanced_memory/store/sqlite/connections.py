"""Connections: how the one that writes and those that read are opened, limited in time, and their errors translated.

Above it lie the writer and the store. sqlite3's exceptions end here; what leaves is of the project's own tree.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

from enhanced_memory.errors import Busy, Corrupt, DiskFull, EnhancedMemoryError, Internal, ReadOnly, TimedOut

BUSY_TIMEOUT_MS = 5_000
_INSTRUCTIONS_BETWEEN_CHECKS = 20_000
"""Virtual-machine steps between two looks at the clock: about a millisecond."""

_WAL_LIMIT_BYTES = 64 * 1024 * 1024
_AUTOCHECKPOINT_PAGES = 2_000


_MISSING = ("no such table", "no such column", "Could not decode to UTF-8", "vtable constructor failed")
"""How SQLite and sqlite3 begin to say that what our statements name, or the text they found, is not as we made it."""


class Connection(sqlite3.Connection):
    """A connection that stops its statement when `deadline` (time.monotonic seconds) has passed."""

    deadline: float = float("inf")
    seen_at: float = 0.0
    """When a statement was last seen running, as time.monotonic tells."""

    def limit_time(self) -> None:
        """Look at the deadline every so often while statements run."""
        self.set_progress_handler(self._look, _INSTRUCTIONS_BETWEEN_CHECKS)

    def _look(self) -> bool:
        """Whether the statement is to be stopped."""
        self.seen_at = time.monotonic()
        return self.seen_at > self.deadline


def open_writer(path: str) -> Connection:
    """The connection that writes and checkpoints; there is one. Makes the file if it is not there.

    Every commit is synced before it returns (WAL with synchronous=FULL).
    """
    connection = _open(path, "rwc")
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA fullfsync = ON")  # macOS: fsync alone leaves data in the drive's cache
    connection.execute("PRAGMA checkpoint_fullfsync = ON")
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute(f"PRAGMA journal_size_limit = {_WAL_LIMIT_BYTES}")
    connection.execute(f"PRAGMA wal_autocheckpoint = {_AUTOCHECKPOINT_PAGES}")
    connection.execute("PRAGMA cache_size = -65536")
    return connection


def open_reader(path: str, *, immutable: bool = False, temporary: bool = False) -> Connection:
    """A connection that only reads: it never writes, and so never checkpoints.

    It has read once, so that the files are open: they stay the same whatever becomes of their names.
    `immutable`: nothing can change the file, and beside it nothing can be made, as on a medium that is read-only.
    `temporary`: it may make temporary tables in memory.
    """
    connection = _open(path, "ro&immutable=1" if immutable else "ro")
    if not temporary:
        connection.execute("PRAGMA query_only = ON")
    connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    connection.execute("PRAGMA cache_size = -16384")
    return connection


def open_alone(path: str) -> Connection:
    """A connection to a database that nobody else has open, such as a copy; it takes the file as it is."""
    return _open(path, "rw")


def _open(path: str, mode: str) -> Connection:
    connection: Connection = sqlite3.connect(
        f"file:{quote(str(Path(path)))}?mode={mode}",
        uri=True,
        timeout=BUSY_TIMEOUT_MS / 1000,
        isolation_level=None,
        check_same_thread=False,
        cached_statements=512,
        factory=Connection,
    )
    connection.execute("PRAGMA mmap_size = 0")
    connection.execute("PRAGMA temp_store = MEMORY")
    connection.execute("PRAGMA trusted_schema = OFF")
    connection.limit_time()
    return connection


@contextmanager
def translated() -> Iterator[None]:
    """Turn sqlite3's errors into those of the project."""
    try:
        yield
    except sqlite3.Error as error:
        raise translation(error) from error


def translation(error: sqlite3.Error) -> EnhancedMemoryError:
    """What a sqlite3 error means to a caller."""
    code = getattr(error, "sqlite_errorcode", None) or 0
    primary = code & 0xFF
    if primary == sqlite3.SQLITE_FULL:
        return DiskFull(
            "the disk is full, so nothing was stored", hint="free some space; writing goes on by itself then"
        )
    if primary in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM):
        return ReadOnly(
            f"the database cannot be written ({error})", hint="check the owner, mode and mount of the database's folder"
        )
    if code == sqlite3.SQLITE_CORRUPT_VTAB:
        return Corrupt(f"the search index is damaged ({error})", hint="`enhanced-memory verify --repair` makes it anew")
    if primary in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
        return Corrupt(f"the database file is damaged ({error})", hint="restore it from the newest good backup")
    if primary == sqlite3.SQLITE_INTERRUPT:
        return TimedOut("the operation took longer than its time limit and was stopped; nothing of it happened")
    if primary in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return Busy(
            "another process holds the database", hint="only the daemon may have it open; end the other program"
        )
    if primary == sqlite3.SQLITE_IOERR:
        return Internal(f"the disk failed while the database was in use ({error})", hint="check the disk, then restart")
    if str(error).startswith(_MISSING):
        return Corrupt(
            f"the database lacks a table, or holds text that is none ({error})",
            hint="`enhanced-memory verify --repair` mends what can be mended; else restore the newest good backup",
        )
    return Internal(f"the database refused a statement ({error})")
