"""The service about itself: figures, a sign of life, and what it can do."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from enhanced_memory import __version__
from enhanced_memory.registry import operation, operations
from enhanced_memory.shapes import Described, MatchingNames, MemoryStatus, NoticedChanges, Pong, RunningList

if TYPE_CHECKING:
    from enhanced_memory.context import Context

_MEGABYTE = 1024 * 1024


@operation(writes=False, core=True)
def get_memory_status(ctx: Context) -> MemoryStatus:
    """Tell how much is remembered: entities by type and tier, relations, versions, space saved, namespaces.

    Use to see what kind of memories there are. Cheap, 200 tokens or so. Example: get_memory_status()
    """
    figures = ctx.store.entities.statistics()
    saved = 1 - figures.stored_bytes / figures.original_bytes if figures.original_bytes else 0.0
    status: MemoryStatus = {
        "total_entities": figures.entities,
        "total_relations": figures.relations,
        "by_type": dict(figures.by_type),
        "by_tier": dict(figures.by_tier),
        "compression": {
            "original_bytes": figures.original_bytes,
            "stored_bytes": figures.stored_bytes,
            "savings_pct": round(100 * saved, 1),
        },
        "versioning": {"total_versions": figures.versions, "total_branches": figures.branches},
        "conflicts": {"pending": figures.pending_conflicts},
        "always_include_count": figures.pinned,
        "auto_extracted_count": figures.auto_extracted,
        "database_size_mb": round(figures.store_bytes / _MEGABYTE, 3),
        "namespaces": dict(figures.namespaces),
    }
    meaning = ctx.service.meaning
    if meaning is not None:
        done = ctx.store.vectors.count()
        total = ctx.store.index.rows() - sum(figures.namespaces.values())
        status["vectors"] = {"model": meaning.model, "done": done, "total": max(total, done)}
    return status


@operation(writes=False, transaction=False)
def ping(ctx: Context) -> Pong:
    """Answer, so that a client knows the service is there and which version it is."""
    return {"pong": True, "pid": os.getpid(), "version": __version__, "database": ctx.service.settings.db_path}


@operation(writes=False, transaction=False, administrative=True)
def list_running(ctx: Context) -> RunningList:
    """List the long operations under way, and how far each is."""
    return {"running": ctx.service.running()}  # type: ignore[typeddict-item]


@operation(writes=False, transaction=False, administrative=True)
def wait_for_changes(
    ctx: Context,
    after: Annotated[
        int | None, Field(ge=0, le=2**53, description="`last` of the reply before; else from now.")
    ] = None,
    timeout_s: Annotated[float, Field(ge=0, le=25, description="Seconds to wait for a change.")] = 20.0,
) -> NoticedChanges:
    """Wait until something is written, by any client, and tell where; at once where that happened since `after`.

    Use to keep a copy or a display fresh: pass `last` on as `after`. Only the latest changes are kept, of all
    namespaces; where some are missing, `missed` says so, and everything may have changed.

    Raises: ShuttingDown: the service ends.
    """
    return ctx.service.changes(after, timeout_s)  # type: ignore[return-value]


@operation(writes=False, administrative=True)
def complete_names(
    ctx: Context,
    beginning: Annotated[str, Field(max_length=512, description="How the names begin; in small or capital letters.")],
    limit: Annotated[int, Field(ge=1, le=100, description="Most names.")] = 20,
) -> MatchingNames:
    """List names of entities that begin with some letters, for a person or program that fills in a name.

    Looks for the beginning as it is given, in small letters, in capitals and with a capital first letter. Reads no
    entity, and counts as no access.
    """
    spellings = dict.fromkeys((beginning, beginning.lower(), beginning.upper(), beginning[:1].upper() + beginning[1:]))
    names = {name for spelling in spellings for name in ctx.store.entities.names(spelling, limit)}
    return {"names": sorted(names)[:limit]}


@operation(writes=False, transaction=False, administrative=True)
def describe(ctx: Context) -> Described:
    """List every operation with its words and the JSON Schema of its parameters and reply."""
    return {
        "version": __version__,
        "operations": [
            {
                "name": declared.name,
                "title": declared.title,
                "description": declared.description,
                "writes": declared.writes,
                "core": declared.core,
                "params": declared.params_schema,
                "result": declared.result_schema,
            }
            for declared in operations().values()
        ],
    }
