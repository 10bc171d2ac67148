"""Copies of a database: made while it is written, opened alone, and told apart from files that are something else.

Above it lie the store, which copies itself, and the service's upkeep programs, which check and restore copies.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from typing import Final

from enhanced_memory.errors import Corrupt
from enhanced_memory.store.base import Analyser
from enhanced_memory.store.sqlite import schema
from enhanced_memory.store.sqlite.checking import Report, check, living_entities, table_counts
from enhanced_memory.store.sqlite.connections import Connection, open_alone, open_reader, translated

HEADER_BYTES: Final = 100
"""What a database file begins with. Source: SQLite's file format."""

_MAGIC: Final = b"SQLite format 3\0"

_SLICE_PAGES: Final = 128
_PAUSE_S: Final = 0.002
"""Pages copied at once, half a MiB, in about a millisecond; then others have the disk and the processor for two."""


def copy_database(path: str, target: str, progress: Callable[[int, int], None]) -> dict[str, int]:
    """Copy the database at `path`, as it stands now, into the empty file `target`; returns the rows of its tables.

    The copy is of one snapshot, page by page, read on a connection of its own: a writer is never waited for and never
    waits. `progress` is told pages done and pages in all, and may raise to stop.
    """
    with translated(), closing(_reader(path)) as source, closing(sqlite3.connect(target)) as copy:
        copy.execute("PRAGMA synchronous = OFF")  # whoever keeps the copy syncs it
        source.execute("BEGIN")  # held until the end, else every commit would have the copy begin anew
        counts = table_counts(source)

        def tell(_status: int, left: int, total: int) -> None:
            progress(total - left, total)
            time.sleep(_PAUSE_S)

        source.backup(copy, pages=_SLICE_PAGES, progress=tell)
        source.execute("ROLLBACK")
    return counts


def seal(path: str) -> None:
    """Make a copy one file that needs no log beside it."""
    with translated(), closing(open_alone(path)) as connection:
        connection.execute("PRAGMA journal_mode = DELETE")


def check_copy(
    path: str, analyser: Analyser | None, progress: Callable[[int, int], None]
) -> tuple[Report, dict[str, int]]:
    """The check of a database that nobody else has open, and the rows of its tables; see checking.check."""
    with translated(), closing(open_alone(path)) as connection:
        return check(connection, analyser, progress), table_counts(connection)


def check_live(path: str, analyser: Analyser, progress: Callable[[int, int], None]) -> Report:
    """The check of a database that a daemon has open: on a connection that only reads."""
    with translated(), closing(_reader(path)) as connection:
        return check(connection, analyser, progress)


def count_entities(path: str) -> dict[str, int]:
    """Living entities of a database by namespace; it may be open elsewhere."""
    with translated(), closing(_reader(path)) as connection:
        return living_entities(connection)


def schema_of(path: str) -> int:
    """The schema of a copy. Raises: Corrupt: it is damaged, of another program, or newer than this program."""
    with translated(), closing(open_alone(path)) as connection:
        return schema.known_version(connection)


def fold_log(path: str) -> bool:
    """Bring a database's write-ahead log into the file, so that the file is whole by itself; false if that fails."""
    with open(path, "rb") as file:
        if file.read(len(_MAGIC)) != _MAGIC:
            return False
    try:
        with closing(open_alone(path)) as connection:
            connection.execute("PRAGMA synchronous = FULL")
            busy, _, _ = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            (mode,) = connection.execute("PRAGMA journal_mode = DELETE").fetchone()
    except sqlite3.Error:
        return False
    return not busy and mode == "delete" and not os.path.exists(f"{path}-wal")


def _reader(path: str) -> Connection:
    """A connection that only reads, and may make temporary tables; also where nothing can be made beside the file."""
    log = f"{path}-wal"
    if os.access(os.path.dirname(path), os.W_OK) or (os.path.exists(log) and os.path.getsize(log)):
        return open_reader(path, temporary=True)
    return open_reader(path, immutable=True, temporary=True)


def expected_bytes(header: bytes) -> int:
    """How large the database is that begins with these `HEADER_BYTES` bytes. Raises: Corrupt: they begin none."""
    if len(header) < HEADER_BYTES or header[: len(_MAGIC)] != _MAGIC:
        raise Corrupt("it holds no SQLite database", hint="name a file that `enhanced-memory backup` has made")
    page = int.from_bytes(header[16:18], "big")
    return (65_536 if page == 1 else page) * int.from_bytes(header[28:32], "big")
