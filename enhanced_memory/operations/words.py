"""How stored things are told on the wire; shared by the operations.

Above it lie the operations' files; below it the shapes and the store's words.
"""

from __future__ import annotations

from enhanced_memory.errors import Corrupt
from enhanced_memory.shapes import EntityDetails, GraphEntity, Relation, RelationFields
from enhanced_memory.store.base import Edge, Entity, Outline


def damaged(entity: Entity | Outline) -> Corrupt:
    """The error of an entity whose content cannot be read."""
    return Corrupt(
        f"{entity.name!r} cannot be read: {entity.damage}",
        hint="delete it, then memory_revert brings back a version that can be read; other memories are untouched",
        details={"entity": entity.name},
    )


def graph_entity(entity: Entity) -> GraphEntity:
    """The entity as the reference server shapes it; one that cannot be read is marked."""
    told = GraphEntity(
        name=entity.name,
        entityType=entity.entity_type,
        observations=list(entity.observations),
        version=entity.version,
        branch=entity.branch,
        tier=entity.tier,
    )
    if entity.damage is not None:
        told["error"], told["code"] = damaged(entity).message, Corrupt.code
    return told


def entity_details(entity: Entity) -> EntityDetails:
    """The entity with all that is known of it."""
    return EntityDetails(
        id=entity.id,
        name=entity.name,
        entityType=entity.entity_type,
        observations=list(entity.observations),
        tier=entity.tier,
        always_include=entity.always_include,
        relevance_score=entity.relevance_score,
        source_session=entity.source_session,
        source_timestamp=entity.source_timestamp,
        extraction_method=entity.extraction_method,
        last_confirmed=entity.last_confirmed,
        access_count=entity.access_count,
        created_at=entity.created_at,
        updated_at=entity.updated_at,
        last_accessed=entity.last_accessed,
        current_version=entity.version,
        current_branch=entity.branch,
        original_size=entity.original_bytes,
        compressed_size=entity.stored_bytes,
        checksum=entity.checksum,
    )


def relation(edge: Edge) -> Relation:
    """The relation, without what it does not say."""
    told: Relation = {"from": edge.source, "to": edge.target, "relationType": edge.relation_type}
    if edge.strength is not None:
        told["strength"] = edge.strength
    if edge.metadata is not None:
        told["metadata"] = dict(edge.metadata)
    return told


def edge(given: RelationFields) -> Edge:
    """A relation as a caller sent it."""
    return Edge(
        source=given["from"],
        target=given["to"],
        relation_type=given["relationType"],
        strength=given.get("strength"),
        metadata=given.get("metadata"),
    )
