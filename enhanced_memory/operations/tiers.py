"""Tiers: moving a memory from one to another by hand, and the log of all such moves."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, cast

from pydantic import Field

from enhanced_memory.errors import InvalidParams, NotFound
from enhanced_memory.operations.entities import existing_entity
from enhanced_memory.operations.graph import number_of
from enhanced_memory.operations.versions import any_entity
from enhanced_memory.registry import operation
from enhanced_memory.shapes import (
    MAX_BATCH,
    Cursor,
    Line,
    Message,
    Name,
    Promoted,
    Tier,
    TransitionLine,
    TransitionList,
)
from enhanced_memory.store.base import Change, Transition

if TYPE_CHECKING:
    from enhanced_memory.context import Context

_EntityNumber = Annotated[int, Field(ge=1, le=2**53)]


@operation(writes=True, core=True, idempotent=True)
def promote_to_tier(
    ctx: Context,
    new_tier: Annotated[Tier, Field(description="Where it belongs.")],
    entity_id: Annotated[_EntityNumber | None, Field(description="Number of the entity.")] = None,
    entityName: Annotated[Name | None, Field(description="Or its name.")] = None,
    reason: Annotated[Message | None, Field(description="Why; kept in the log.")] = None,
) -> Promoted:
    """Move a memory to another tier: working (now), episodic (happened), semantic (known), procedural (how to).

    Use when a memory turns out to last. Tells the tier before. Example: promote_to_tier(entityName='Ann',
    new_tier='semantic')

    autonomous_curation does the routine; list_transitions has the log.

    Raises: InvalidParams: not exactly one of entity_id and entityName. NotFound.
    """
    if (entity_id is None) == (entityName is None):
        raise InvalidParams("promote_to_tier takes entity_id or entityName", details={"path": "entity_id"})
    entity = existing_entity(ctx, entityName or _name_of(ctx, cast(int, entity_id)))
    change = Change("updated", reason, ctx.caller.client, method="manual")
    ctx.store.entities.update(entity, change, attributes={"tier": new_tier})
    return {"id": entity.id, "name": entity.name, "from_tier": cast(Tier, entity.tier), "to_tier": new_tier}


@operation(writes=False)
def list_transitions(
    ctx: Context,
    entityName: Annotated[Name | None, Field(description="Only of this entity, deleted ones too.")] = None,
    run_id: Annotated[Line | None, Field(description="Only of this curation; undo:ID for its undoing.")] = None,
    limit: Annotated[int, Field(ge=1, le=MAX_BATCH, description="Most transitions.")] = 50,
    cursor: Annotated[Cursor | None, Field(description="next_cursor of the page before.")] = None,
) -> TransitionList:
    """List moves of memories from tier to tier, newest first, with their reasons.

    Use to see what a curation did, or how a memory came to its tier. Pass next_cursor on until it is null.

    Raises: NotFound: nothing was ever called so. InvalidParams: a cursor that is none.
    """
    entity_id = None if entityName is None else any_entity(ctx, entityName).id
    below = None if cursor is None else number_of(cursor)
    found = ctx.store.transitions.page(entity_id, run_id, below, limit + 1)
    return {
        "transitions": [_told(transition) for transition in found[:limit]],
        "next_cursor": str(found[limit - 1].id) if len(found) > limit else None,
    }


def _name_of(ctx: Context, number: int) -> str:
    """The name of the namespace's entity of that number. Raises: NotFound."""
    entity = ctx.store.entities.by_ids([number]).get(number)
    if entity is None or entity.namespace != ctx.store.namespace:
        raise NotFound(
            f"there is no entity {number}", hint="search_nodes tells the id of each", details={"entity_id": number}
        )
    return entity.name


def _told(transition: Transition) -> TransitionLine:
    return {
        "id": transition.id,
        "name": transition.name,
        "entity_id": transition.entity_id,
        "from_tier": transition.from_tier,
        "to_tier": transition.to_tier,
        "reason": transition.reason,
        "run_id": transition.run_id,
        "created": transition.created_at,
    }
