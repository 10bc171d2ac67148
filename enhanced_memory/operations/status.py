"""The service about itself: figures, a sign of life, and what it can do."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from enhanced_memory import __version__
from enhanced_memory.registry import operation, operations
from enhanced_memory.shapes import Described, MemoryStatus, Pong, RunningList

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
