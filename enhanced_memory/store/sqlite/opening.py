"""Opening a database that may be damaged, or on a disk that takes no writes: how it can be opened, and why not better.

Above it lies the store; below it the connections and SQLite's own check.
"""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from typing import Final

from enhanced_memory.errors import Corrupt, ReadOnly
from enhanced_memory.store.sqlite import schema
from enhanced_memory.store.sqlite.checking import quick_problem
from enhanced_memory.store.sqlite.connections import Connection, open_reader, open_writer, translated

CHECKED_BEFORE_BYTES: Final = 16 * 1024 * 1024
"""Databases up to this size are checked before the first request, in some 50 ms; larger ones while they are served."""

_UNWRITABLE: Final = (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM)
_DAMAGED: Final = (sqlite3.SQLITE_CORRUPT,)


@dataclass(frozen=True)
class Opened:
    """A database as it could be opened.

    `writer` is None where `read_only` says why it takes no writes. `immutable`: nothing can be made beside the file, so
    readers must be told that it does not change. `damage` is what the check found; `checked` is false where the file is
    too large for a check at once.
    """

    writer: Connection | None
    read_only: str | None
    immutable: bool = False
    damage: str | None = None
    checked: bool = True


def open_database(path: str) -> Opened:
    """Open the database, made where it is missing.

    Raises: Corrupt: it is no database, another program's, or a newer one's; ReadOnly: it can be neither written nor
    read, or would have to be written first.
    """
    if not os.path.exists(path) or not os.path.getsize(path):
        with translated():
            return Opened(open_writer(path), None)
    checked = os.path.getsize(path) <= CHECKED_BEFORE_BYTES
    immutable = False
    damage = None
    with translated():
        try:
            with closing(open_reader(path)) as looking:
                schema.known_version(looking)
                damage = quick_problem(looking) if checked else None
        except sqlite3.DatabaseError as error:
            if _code(error) in _UNWRITABLE:
                immutable, damage = _looked_at_immutable(path, checked)
            elif _code(error) in _DAMAGED:
                damage = str(error)
            else:
                raise
        if damage is not None:
            _refuse_old(path, immutable, f"it fails its check: {damage}")
            return Opened(None, f"it fails its check: {damage}", immutable, damage)
        writer = None
        folder = os.path.dirname(os.path.realpath(path))
        try:
            if not os.access(folder, os.W_OK):  # no lock can be made there either, so not even the file is written
                raise _unwritable(folder)
            writer = open_writer(path)
            writer.execute("BEGIN IMMEDIATE")
            writer.execute("ROLLBACK")
        except sqlite3.DatabaseError as error:
            if writer is not None:
                writer.close()
            if _code(error) not in _UNWRITABLE:
                raise
            reason = f"its file or folder takes no writes ({error})"
            _refuse_old(path, immutable, reason)
            return Opened(None, reason, immutable, checked=checked)
    return Opened(writer, None, checked=checked)


def _looked_at_immutable(path: str, checked: bool) -> tuple[bool, str | None]:
    """For a folder in which nothing can be made. Raises: ReadOnly: what the log holds could not be read."""
    log = f"{path}-wal"
    if os.path.exists(log) and os.path.getsize(log):
        raise ReadOnly(
            f"the folder of {path} cannot be written, and the database was not closed before: its log cannot be read",
            hint="make the folder writable, or copy the database with its -wal file to one that is",
        )
    with closing(open_reader(path, immutable=True)) as looking:
        schema.known_version(looking)
        return True, quick_problem(looking) if checked else None


def _refuse_old(path: str, immutable: bool, reason: str) -> None:
    """Raises: ReadOnly: it has an older schema, which only a write could bring up."""
    try:
        with closing(open_reader(path, immutable=immutable)) as looking:
            version = schema.known_version(looking)
    except sqlite3.DatabaseError as error:
        raise Corrupt(
            f"the database {path} is damaged and cannot be read ({error})",
            hint="restore it: enhanced-memory restore, with the newest good backup",
        ) from error
    if version < schema.CURRENT:
        raise ReadOnly(
            f"the database {path} has the older schema {version} and cannot be brought to {schema.CURRENT}: {reason}",
            hint="make it writable, or restore a backup with `enhanced-memory restore`",
        )


def _unwritable(folder: str) -> sqlite3.Error:
    error = sqlite3.OperationalError(f"nothing can be made in {folder}")
    error.sqlite_errorcode = sqlite3.SQLITE_READONLY
    return error


def _code(error: sqlite3.Error) -> int:
    return (getattr(error, "sqlite_errorcode", None) or 0) & 0xFF
