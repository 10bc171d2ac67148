"""Paths: how entities hang together over several relations."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from enhanced_memory.operations.entities import existing_entity
from enhanced_memory.operations.words import graph_entity, relation
from enhanced_memory.registry import operation
from enhanced_memory.shapes import MAX_BATCH, Name, PathFound, SubGraph
from enhanced_memory.store.base import Edge

if TYPE_CHECKING:
    from enhanced_memory.context import Context

_MOST_RELATIONS = 10_000
"""Relations followed from one ring of entities to the next: bounds the time a hub costs."""


@operation(writes=False)
def find_path(
    ctx: Context,
    from_: Annotated[Name, Field(description="Where to begin.")],
    to: Annotated[Name, Field(description="Where to end.")],
    max_hops: Annotated[int, Field(ge=1, le=10, description="Most relations on the way.")] = 4,
) -> PathFound:
    """Find the shortest way from one entity to another along relations, in whichever direction they point.

    Use to see how two things hang together. The path is empty when they are the same or no way is short enough;
    `found` tells which.

    Raises: NotFound: an end is not there.
    """
    start, goal = existing_entity(ctx, from_), existing_entity(ctx, to)
    came: dict[int, tuple[int, Edge] | None] = {start.id: None}
    ring = [start.id]
    for _ in range(max_hops):
        if goal.id in came or not ring:
            break
        following = []
        inside = set(ring)
        for source, target, edge in ctx.store.relations.links(ring, _MOST_RELATIONS):
            for here, there in ((source, target), (target, source)):
                if here in inside and there not in came:
                    came[there] = (here, edge)
                    following.append(there)
        ring = following
    path = []
    step = came.get(goal.id)
    while step is not None:
        path.append(relation(step[1]))
        step = came[step[0]]
    return {"found": goal.id in came, "path": path[::-1], "hops": len(path)}


@operation(writes=False)
def neighbors(
    ctx: Context,
    name: Annotated[Name, Field(description="The entity in the middle.")],
    depth: Annotated[int, Field(ge=1, le=5, description="How many relations away.")] = 1,
    limit: Annotated[int, Field(ge=1, le=MAX_BATCH, description="Most entities beside the one in the middle.")] = 50,
) -> SubGraph:
    """Read what lies around an entity: the entities up to `depth` relations away, and the relations between them.

    Use to learn the surroundings of something known. The nearest come first; `more` tells that the limit cut it.

    Raises: NotFound.
    """
    middle = existing_entity(ctx, name)
    seen = [middle.id]
    ring = [middle.id]
    more = False
    for _ in range(depth):
        following: dict[int, None] = {}
        for source, target, _edge in ctx.store.relations.links(ring, _MOST_RELATIONS):
            following.update(dict.fromkeys(end for end in (source, target) if end not in seen))
        ring = list(following)[: limit + 1 - len(seen)]
        more = more or len(ring) < len(following)
        seen += ring
        if not ring:
            break
    entities = ctx.store.entities.by_ids(seen)
    ctx.store.entities.count_accesses(seen)
    inside = set(seen)
    return {
        "entities": [graph_entity(entities[number]) for number in seen if number in entities],
        "relations": [
            relation(edge)
            for source, target, edge in ctx.store.relations.links(seen, _MOST_RELATIONS)
            if source in inside and target in inside
        ],
        "more": more,
    }
