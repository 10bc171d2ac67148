"""Conflicts: what contradicts, updates or repeats what is remembered already."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from enhanced_memory.errors import InvalidParams
from enhanced_memory.operations.detection import conflicts_with, record, search_namespace
from enhanced_memory.operations.entities import existing_entity
from enhanced_memory.operations.graph import number_of
from enhanced_memory.registry import operation
from enhanced_memory.shapes import (
    MAX_BATCH,
    Conflict,
    ConflictList,
    Conflicts,
    Cursor,
    EntityDraft,
    EntityType,
    Fraction,
    MemoryConflicts,
    Name,
    RecordedConflict,
)

if TYPE_CHECKING:
    from enhanced_memory.context import Context
    from enhanced_memory.store.base import Entity, Finding


@operation(writes=True, transaction=False, core=True, idempotent=True)
def detect_conflicts(
    ctx: Context,
    entity_data: Annotated[EntityDraft | None, Field(description="What is about to be stored.")] = None,
    entity_name: Annotated[
        Name | None, Field(description="Or an entity that is stored; findings are recorded.")
    ] = None,
    threshold: Annotated[Fraction, Field(description="Share in common that makes a duplicate.")] = 0.85,
) -> Conflicts:
    """Find memories that contradict, update or repeat an entity, stored or not yet stored, surest first.

    Use before storing what may be known otherwise. Tells what stands against what, and what to do. Example:
    detect_conflicts(entity_data={'observations':['Ann drinks only coffee']})

    Sureness is 0 to 1. A duplicate is to be merged, an update to be made, a contradiction to be reviewed. Findings for
    entity_name are recorded as pending, once.

    Raises: InvalidParams: not exactly one of entity_data and entity_name. NotFound.
    """
    if (entity_data is None) == (entity_name is None):
        raise InvalidParams("detect_conflicts takes entity_data or entity_name", details={"path": "entity_data"})
    own, found = ctx.read(lambda inner: _detected(inner, entity_data, entity_name, threshold))
    if own is not None and found:
        name, number = own.name, own.id
        ctx.write(lambda inner: record(inner, name, number, found))
    return {"conflicts": found, "conflict_count": len(found)}


@operation(writes=True, idempotent=True, long=True)
def detect_memory_conflicts(
    ctx: Context,
    threshold: Annotated[Fraction, Field(description="Share of common observations that makes a duplicate.")] = 0.85,
    entity_type: Annotated[EntityType | None, Field(description="Only among entities of this type.")] = None,
    limit: Annotated[int, Field(ge=1, le=MAX_BATCH, description="Most conflicts of this page.")] = 50,
    cursor: Annotated[Cursor | None, Field(description="next_cursor of the page before.")] = None,
) -> MemoryConflicts:
    """Search everything remembered for memories that contradict, update or repeat one another.

    Use to tidy up, now and then: it may take minutes over very many memories, and tells list_running how far it is.
    What it finds is recorded as pending, each pair once, for resolve_conflict; what was decided before is left out.
    Further pages are of the same search, and are quick. Tells how many conflicts there are of each type.

    Raises: InvalidParams: a cursor of a search that another one followed, or that is none.
    """
    run, after = ("", 0) if cursor is None else _place(cursor)
    if cursor is None:
        run = search_namespace(ctx, threshold, entity_type)
    found, by_type = ctx.read(
        lambda inner: (inner.store.conflicts.of_run(run, after, limit + 1), inner.store.conflicts.kinds_of_run(run))
    )
    if cursor is not None and not found:
        raise InvalidParams(
            "cursor: another search followed the one that this is of",
            hint="leave out cursor to search anew",
            details={"path": "cursor"},
        )
    return {
        "conflicts": [_recorded(number, finding) for number, finding in found[:limit]],
        "total_conflicts": sum(by_type.values()),
        "by_type": by_type,
        "next_cursor": f"{run}/{found[limit - 1][0]}" if len(found) > limit else None,
    }


def _place(cursor: str) -> tuple[str, int]:
    """The search that a cursor is of, and the number behind which it goes on. Raises: InvalidParams."""
    run, _, number = cursor.rpartition("/")
    return run, number_of(number)


@operation(writes=False)
def list_conflicts(
    ctx: Context,
    status: Annotated[Literal["pending", "resolved", "ignored"], Field(description="Which ones.")] = "pending",
    limit: Annotated[int, Field(ge=1, le=MAX_BATCH, description="Most conflicts.")] = 50,
    cursor: Annotated[Cursor | None, Field(description="next_cursor of the page before.")] = None,
) -> ConflictList:
    """List recorded conflicts with their evidence, oldest first.

    A pending conflict is resolved, by the strategy outdated, when one of its memories no longer says what it shows, and
    pending again when both do, after a revert or another branch.

    Raises: InvalidParams: a cursor that is none.
    """
    after = 0 if cursor is None else number_of(cursor)
    found = ctx.store.conflicts.page(status, after, limit + 1)
    return {
        "conflicts": [_recorded(number, finding) for number, finding in found[:limit]],
        "next_cursor": str(found[limit - 1][0]) if len(found) > limit else None,
    }


def _detected(
    ctx: Context, entity_data: EntityDraft | None, entity_name: str | None, threshold: float
) -> tuple[Entity | None, list[Conflict]]:
    """The stored entity that is asked about, if one is, and what is in conflict."""
    own = None if entity_name is None else existing_entity(ctx, entity_name)
    if own is not None:
        return own, conflicts_with(ctx, own.name, own.entity_type, own.observations, threshold)[0]
    assert entity_data is not None
    name, entity_type = entity_data.get("name"), entity_data.get("entityType")
    observations = list(dict.fromkeys(entity_data["observations"]))
    return None, conflicts_with(ctx, name, entity_type, observations, threshold)[0]


def _recorded(number: int, finding: Finding) -> RecordedConflict:
    done = finding.resolution
    told: RecordedConflict = {
        "conflict_id": number,
        "entity": finding.entity,
        "entity_id": finding.entity_id,
        "existing_entity": finding.other,
        "existing_id": finding.other_id,
        "conflict_type": finding.kind,  # type: ignore[typeddict-item]
        "confidence": finding.confidence,
        "suggested_action": finding.action,
        "status": "pending" if done is None else done.status,
        "evidence": [dict(each) for each in finding.evidence],  # type: ignore[misc]
    }
    if done is not None:
        told["resolution"] = {"strategy": done.strategy, "resolved_at": done.resolved_at, "notes": done.notes}
    return told
