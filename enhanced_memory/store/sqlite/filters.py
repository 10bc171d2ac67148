"""Filters on entities as conditions of SQL.

Above it lie `entities` and `index`, which both narrow what they find.
"""

from __future__ import annotations

from enhanced_memory.store.base import Filter
from enhanced_memory.store.sqlite.scope import Scope


def conditions(scope: Scope, wanted: Filter) -> tuple[list[str], list[object]]:
    """Conditions on the table `entities`, and their values, that let through what the filter wants and lives."""
    numbers = list(scope.numbers(wanted.namespaces or [scope.namespace]).values())
    parts = ["entities.deleted_at IS NULL", f"entities.namespace_id IN ({marks(len(numbers))})"]
    values: list[object] = [*numbers]
    for column, allowed in (("entity_type", wanted.entity_types), ("tier", wanted.tiers)):
        if allowed:
            parts.append(f"entities.{column} IN ({marks(len(allowed))})")
            values += allowed
    if wanted.pinned:
        parts.append("entities.always_include")
    for operator, instant in ((">=", wanted.since), ("<", wanted.until)):
        if instant is not None:
            parts.append(f"coalesce(entities.updated_at, entities.created_at) {operator} ?")
            values.append(instant)
    return parts, values


def is_everything(scope: Scope, wanted: Filter) -> bool:
    """Whether the filter lets every living entity of the store through."""
    if wanted.entity_types or wanted.tiers or wanted.pinned or wanted.since is not None or wanted.until is not None:
        return False
    (total,) = scope.connection.execute("SELECT count(*) FROM namespaces").fetchone()
    return len(scope.numbers(wanted.namespaces or [scope.namespace])) == int(total)


def marks(count: int) -> str:
    """That many question marks, parted by commas."""
    return ", ".join("?" * count)
