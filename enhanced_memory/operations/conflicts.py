"""Conflicts: what contradicts, updates or repeats what is remembered already."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from enhanced_memory.errors import InvalidParams
from enhanced_memory.operations.entities import existing_entity
from enhanced_memory.operations.graph import number_of
from enhanced_memory.registry import operation
from enhanced_memory.rules import conflicts as rules
from enhanced_memory.rules import ranking
from enhanced_memory.shapes import (
    MAX_BATCH,
    Conflict,
    ConflictList,
    Conflicts,
    Cursor,
    EntityDraft,
    Fraction,
    Name,
)
from enhanced_memory.store.base import Entity, Filter, Finding, Match

if TYPE_CHECKING:
    from enhanced_memory.context import Context

_OBSERVATIONS = 50
"""Observations of the entity that candidates are looked up for."""

_WORDS = 10
_RELATED = 30
_ROWS = 20
"""Words of an observation to look up, words that may stand for them, and rows to take for it."""


@operation(writes=True, core=True, idempotent=True)
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
    own = None if entity_name is None else existing_entity(ctx, entity_name)
    name, observations = entity_name, [] if own is None else list(own.observations)
    if entity_data is not None:
        name, observations = entity_data.get("name"), list(dict.fromkeys(entity_data["observations"]))
    found: list[Conflict] = []
    for entity in _candidates(ctx, observations):
        if entity.name == name and entity.namespace == ctx.store.namespace:
            continue
        verdict = rules.compare(entity.observations, observations, threshold=threshold)
        if verdict is not None:
            found.append(_told(entity, verdict))
    found.sort(key=lambda conflict: (-conflict["confidence"], conflict["existing_id"]))
    if own is not None:
        for conflict in found:
            conflict["conflict_id"] = ctx.store.conflicts.record(_finding(own, conflict))
    return {"conflicts": found, "conflict_count": len(found)}


@operation(writes=False)
def list_conflicts(
    ctx: Context,
    status: Annotated[Literal["pending", "resolved", "ignored"], Field(description="Which ones.")] = "pending",
    limit: Annotated[int, Field(ge=1, le=MAX_BATCH, description="Most conflicts.")] = 50,
    cursor: Annotated[Cursor | None, Field(description="next_cursor of the page before.")] = None,
) -> ConflictList:
    """List recorded conflicts with their evidence, oldest first. Raises: InvalidParams: a cursor that is none."""
    after = 0 if cursor is None else number_of(cursor)
    found = ctx.store.conflicts.page(status, after, limit + 1)
    return {
        "conflicts": [
            {
                "conflict_id": number,
                "entity": finding.entity,
                "entity_id": finding.entity_id,
                "existing_entity": finding.other,
                "existing_id": finding.other_id,
                "conflict_type": finding.kind,  # type: ignore[typeddict-item]
                "confidence": finding.confidence,
                "suggested_action": finding.action,
                "status": status,
                "evidence": [dict(each) for each in finding.evidence],  # type: ignore[misc]
            }
            for number, finding in found[:limit]
        ],
        "next_cursor": str(found[limit - 1][0]) if len(found) > limit else None,
    }


def _candidates(ctx: Context, observations: Sequence[str]) -> list[Entity]:
    """Entities that may be in conflict: those whose rows share a subject or words with one of the observations."""
    index = ctx.store.index
    rows = index.rows()
    ids: dict[int, None] = {}
    for observation in observations[:_OBSERVATIONS]:
        words = rules.subject_terms(observation)[:_WORDS] + rules.related_terms(observation)[:_RELATED]
        counts = {
            word: ranking.Count(often.rows, often.who) for word, often in index.frequencies(words).items() if often.rows
        }
        chosen = ranking.choose_terms(counts, rows)
        helpful = [(word,) for word in chosen.helpful]
        if chosen.needed:
            match = Match(any_of=[(word,) for word in chosen.needed], helpful=helpful)
        else:
            match = Match(all_of=helpful)
        ids.update((hit.entity_id, None) for hit in index.best(match, Filter(), _ROWS) if hit.slot)
    return [entity for entity in ctx.store.entities.by_ids(list(ids)).values() if entity.damage is None]


def _told(entity: Entity, verdict: rules.Verdict) -> Conflict:
    return {
        "existing_entity": entity.name,
        "existing_id": entity.id,
        "conflict_type": verdict.conflict_type,
        "confidence": round(verdict.confidence, 3),
        "suggested_action": verdict.suggested_action,
        "details": verdict.details,
        "evidence": [
            {
                "new": each.new,
                "existing": each.existing,
                "reason": each.reason,
                "confidence": round(each.confidence, 3),
            }
            for each in verdict.evidence
        ],
    }


def _finding(own: Entity, conflict: Conflict) -> Finding:
    return Finding(
        entity=own.name,
        entity_id=own.id,
        other=conflict["existing_entity"],
        other_id=conflict["existing_id"],
        kind=conflict["conflict_type"],
        confidence=conflict["confidence"],
        action=conflict["suggested_action"],
        evidence=[dict(each) for each in conflict["evidence"]],
    )
