"""Relations: how entities hang together."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from enhanced_memory.errors import NotFound
from enhanced_memory.operations.words import edge, relation
from enhanced_memory.registry import operation
from enhanced_memory.shapes import MAX_BATCH, CreatedRelations, DeletedRelations, RelationFields, RelationInput

if TYPE_CHECKING:
    from enhanced_memory.context import Context

_Relations = Annotated[
    list[RelationInput],
    Field(
        min_length=1,
        max_length=MAX_BATCH,
        description="Each with from, to and relationType (active voice, as in works_at).",
    ),
]


@operation(writes=True, core=True, idempotent=True)
def create_relations(ctx: Context, relations: _Relations) -> CreatedRelations:
    """Relate entities that exist: Ann works_at Initech.

    Use when it matters how things hang together. Tells which were made, which existed. Example:
    create_relations(relations=[{'from':'Ann','to':'Initech','relationType':'works_at'}])

    Raises: NotFound: an end is not there; nothing of the batch happens.
    """
    ids = _ends(ctx, relations)
    missing = [name for given in relations for name in (given["from"], given["to"]) if name not in ids]
    if missing:
        raise NotFound(
            f"there is no entity {missing[0]!r} to relate",
            hint="create it with create_entities first",
            details={"entities": list(dict.fromkeys(missing))},
        )
    reply: CreatedRelations = {"relations": [], "existing": []}
    for given in relations:
        ends = ids[given["from"]], ids[given["to"]]
        if ctx.store.relations.create(edge(given), *ends):
            reply["relations"].append(relation(edge(given)))
        else:
            stored = ctx.store.relations.between(*ends, given["relationType"])
            reply["existing"].append(relation(stored or edge(given)))
    return reply


@operation(writes=True, core=True, destructive=True, idempotent=True)
def delete_relations(ctx: Context, relations: _Relations) -> DeletedRelations:
    """End relations between entities.

    Use when it is so no longer; the history keeps them. Tells which were ended, which missing. Example:
    delete_relations(relations=[{'from':'Ann','to':'Initech','relationType':'works_at'}])
    """
    ids = _ends(ctx, relations)
    reply: DeletedRelations = {"deleted": [], "missing": []}
    for given in relations:
        source, target = ids.get(given["from"]), ids.get(given["to"])
        ended = (
            source is not None
            and target is not None
            and ctx.store.relations.delete(source, target, given["relationType"])
        )
        reply["deleted" if ended else "missing"].append(relation(edge(given)))
    return reply


def _ends(ctx: Context, relations: list[RelationFields]) -> dict[str, int]:
    """The numbers of the entities that the relations name, as far as they exist."""
    names = list(dict.fromkeys(name for given in relations for name in (given["from"], given["to"])))
    return {name: entity.id for name, entity in ctx.store.entities.find_many(names).items()}
