"""Upkeep: backups of the store, and the check of all that is in it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, cast

from pydantic import Field

from enhanced_memory.registry import operation
from enhanced_memory.shapes import BackupMade, Verified

if TYPE_CHECKING:
    from enhanced_memory.context import Context


@operation(writes=True, long=True, administrative=True)
def backup(
    ctx: Context,
    path: Annotated[
        str | None,
        Field(min_length=1, max_length=4_096, description="New file, absolute; else one in the backups' folder."),
    ] = None,
) -> BackupMade:
    """Back up the whole store, all namespaces, into one compressed file that was checked after it was written.

    Everything acknowledged before is in it; reads and writes go on meanwhile. Without a path, backups older than seven
    days are deleted from the folder. `enhanced-memory restore` brings one back.

    Raises: InvalidParams, AlreadyExists: the path cannot be taken; DiskFull; Corrupt: the database is damaged;
    Busy: another backup or check is under way.
    """
    return cast(BackupMade, ctx.service.upkeep.backup(path, ctx.progress))


@operation(writes=True, long=True, administrative=True, idempotent=True)
def verify_database(
    ctx: Context,
    repair: Annotated[bool, Field(description="Make anew what can be derived: indexes, vectors of nothing.")] = False,
) -> Verified:
    """Check the whole store: every page, checksum and version, every entry of the index, the ends of relations.

    Use when something looks wrong, or now and then. `repair` makes the index anew, in which searches find less until
    it is done, and never touches what cannot be derived: for that there are backups.

    Raises: Busy: a backup or another check is under way; ReadOnly: nothing can be repaired.
    """
    return cast(Verified, ctx.service.upkeep.verify(repair, ctx.progress))
