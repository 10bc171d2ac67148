"""The service about its own health: figures, and whether somebody should look.

Above it lies the dispatcher; below it the verdict in rules/health.py, and the figures that the service and the store
take.
"""

from __future__ import annotations

import os
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from enhanced_memory.errors import EnhancedMemoryError
from enhanced_memory.registry import operation
from enhanced_memory.rules.health import Signs, verdict
from enhanced_memory.shapes import SystemHealth, VectorStatus

if TYPE_CHECKING:
    from enhanced_memory.context import Context
    from enhanced_memory.store.base import Overview

_MEGABYTE = 1024 * 1024


@operation(writes=False, transaction=False, administrative=True)
def get_system_health(ctx: Context) -> SystemHealth:
    """Tell whether the memory service is well: healthy, degraded or failing, each reason with what to do about it.

    Use when something seems wrong, or to watch the service: disk, write queue, backup, integrity, how executed code is
    confined, and how many requests of each kind there were and how long they took. Milliseconds at any size.
    """
    service = ctx.service
    facts = service.facts()
    condition = facts["condition"]
    overview, vectors, unreadable = None, None, None
    try:
        overview, vectors = ctx.read(_look)
    except EnhancedMemoryError as error:  # health is asked above all when something fails
        unreadable = error.message
    integrity = dict(facts.get("integrity") or {"status": "unchecked"})
    last_backup = facts.get("last_backup")
    status, reasons = verdict(
        Signs(
            time=datetime.now(UTC).isoformat(),
            disk_bytes=condition.disk_bytes,
            disk_free_bytes=condition.disk_free_bytes,
            log_bytes=condition.log_bytes,
            files_in_place=condition.files_in_place,
            writable=condition.writable,
            unreadable=unreadable,
            integrity=str(integrity.get("status")),
            log_cut_at=facts.get("log_cut_at"),
            damage_met_at=facts.get("damage_met_at"),
            queue_depth=facts["queue_depth"],
            queue_places=service.settings.max_queue,
            writer_quiet_s=condition.writer_quiet_s,
            erasure_is_late=condition.erasure_is_late,
            watchdog_s=facts["watchdog_s"],
            watchdog_late_s=facts["watchdog_late_s"],
            last_backup=last_backup,
            first_memory=overview.first_memory if overview else None,
            newest_change=overview.newest_change if overview else None,
        )
    )
    free = condition.disk_free_bytes
    health: SystemHealth = {
        "status": status,
        "reasons": reasons,
        "total_entities": overview.entities if overview else None,
        "database_size_mb": _megabytes(condition.store_bytes),
        "wal_size_mb": _megabytes(condition.log_bytes),
        "disk_free_mb": None if free is None else _megabytes(free),
        "memory_usage_mb": _megabytes(facts["memory_usage_bytes"]),
        "cpu_percent": facts["cpu_percent"],
        "uptime_s": facts["uptime_s"],
        "connections": facts["connections"],
        "queue_depth": facts["queue_depth"],
        "reading": facts["reading"],
        "requests": facts["requests"],
        "last_backup": last_backup,
        "integrity": integrity,
        "sandbox": facts.get("sandbox", {"isolation": "unknown", "layers": {}}),
        "schema_version": condition.schema_version,
        "sqlite_version": condition.engine_version,
        "version": facts["version"],
        "pid": os.getpid(),
        "database": service.settings.db_path,
    }
    if vectors is not None:
        health["vectors"] = vectors
    return health


def _look(ctx: Context) -> tuple[Overview, VectorStatus | None]:
    """What only the store can tell: figures of all namespaces, and how far the vectors are, where they are on."""
    overview = ctx.store.entities.overview()
    meaning = ctx.service.meaning
    if meaning is None:
        return overview, None
    done = ctx.store.vectors.count()
    total = ctx.store.index.rows() - overview.entities
    return overview, {"model": meaning.model, "done": done, "total": max(total, done)}


def _megabytes(size: float) -> float:
    return round(size / _MEGABYTE, 3)
