"""Relations between entities.

Above it lies the store's transaction. A relation that ends keeps its row with the time of its end, for the history.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from typing import Any

from enhanced_memory.store.base import Edge, Link
from enhanced_memory.store.sqlite.filters import marks
from enhanced_memory.store.sqlite.scope import Scope

_EVER = (
    "SELECT r.id, a.name, b.name, r.relation_type, r.strength, r.metadata, a.id, b.id, r.deleted_at FROM relations r"
    " JOIN entities a ON a.id = r.from_entity_id JOIN entities b ON b.id = r.to_entity_id"
)
_SELECT = f"{_EVER} WHERE r.deleted_at IS NULL"
_CHUNK = 500


class SQLiteRelations:
    """The `relations` table of one namespace."""

    def __init__(self, scope: Scope) -> None:
        self._scope = scope

    def create(self, edge: Edge, source_id: int, target_id: int) -> bool:
        """Make the relation; False if there is one of this type between the two already."""
        metadata = None if edge.metadata is None else json.dumps(edge.metadata, ensure_ascii=False, sort_keys=True)
        cursor = self._scope.connection.execute(
            "INSERT INTO relations (namespace_id, from_entity_id, to_entity_id, relation_type, strength, metadata,"
            " created_at) VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
            (
                self._scope.own_namespace(),
                source_id,
                target_id,
                edge.relation_type,
                edge.strength,
                metadata,
                self._scope.now,
            ),
        )
        return cursor.rowcount == 1

    def delete(self, source_id: int, target_id: int, relation_type: str) -> bool:
        """End the relation; False if there is none."""
        cursor = self._scope.connection.execute(
            "UPDATE relations SET deleted_at = ? WHERE from_entity_id = ? AND to_entity_id = ? AND relation_type = ?"
            " AND deleted_at IS NULL",
            (self._scope.now, source_id, target_id, relation_type),
        )
        return cursor.rowcount == 1

    def end_all(self, entity_id: int) -> None:
        """End every relation of an entity, for its deletion."""
        self._scope.connection.execute(
            "UPDATE relations SET deleted_at = ? WHERE from_entity_id = ? AND deleted_at IS NULL",
            (self._scope.now, entity_id),
        )
        self._scope.connection.execute(
            "UPDATE relations SET deleted_at = ? WHERE to_entity_id = ? AND deleted_at IS NULL",
            (self._scope.now, entity_id),
        )

    def between(self, source_id: int, target_id: int, relation_type: str) -> Edge | None:
        """The relation, or None."""
        row = self._scope.connection.execute(
            f"{_SELECT} AND r.from_entity_id = ? AND r.to_entity_id = ? AND r.relation_type = ?",
            (source_id, target_id, relation_type),
        ).fetchone()
        return None if row is None else _edge(row)

    def touching(self, ids: Sequence[int], limit: int) -> list[Edge]:
        """Relations with at least one end among `ids`, oldest first."""
        return [edge for _, _, edge in self.links(ids, limit)]

    def links(self, ids: Sequence[int], limit: int) -> list[tuple[int, int, Edge]]:
        """Relations with at least one end among `ids`, oldest first, with the numbers of their ends."""
        found: dict[int, tuple[int, int, Edge]] = {}
        for part in _parts(ids):
            listed = marks(len(part))
            statement = (  # with OR in the place of UNION ALL every relation would be looked at
                f"{_EVER} WHERE r.id IN (SELECT id FROM relations WHERE from_entity_id IN ({listed})"
                f" AND deleted_at IS NULL UNION ALL SELECT id FROM relations WHERE to_entity_id IN ({listed})"
                " AND deleted_at IS NULL) ORDER BY r.id LIMIT ?"
            )
            for row in self._scope.connection.execute(statement, (*part, *part, limit)):
                found[row[0]] = (row[6], row[7], _edge(row))
        return [found[number] for number in sorted(found)[:limit]]

    def leaving(self, ids: Sequence[int]) -> list[Edge]:
        """Relations that start at one of `ids`, oldest first."""
        found: dict[int, Edge] = {}
        for part in _parts(ids):
            statement = f"{_SELECT} AND r.from_entity_id IN ({marks(len(part))})"
            for row in self._scope.connection.execute(statement, part):
                found[row[0]] = _edge(row)
        return [found[number] for number in sorted(found)]

    def ends(self, relation_type: str, source_ids: Sequence[int]) -> dict[int, list[int]]:
        """Per entity of `source_ids`, those that a relation of this type leads to, oldest relation first."""
        found: dict[int, list[int]] = {}
        for part in _parts(source_ids):
            rows = self._scope.connection.execute(
                f"SELECT from_entity_id, to_entity_id FROM relations WHERE from_entity_id IN ({marks(len(part))})"
                " AND relation_type = ? AND deleted_at IS NULL ORDER BY id",
                (*part, relation_type),
            )
            for source, target in rows:
                found.setdefault(source, []).append(target)
        return found

    def starts(self, relation_type: str, after: int, limit: int) -> list[int]:
        """Up to `limit` entities of the namespace numbered above `after` at which a relation of this type starts."""
        rows = self._scope.connection.execute(
            "SELECT DISTINCT from_entity_id FROM relations WHERE from_entity_id > ? AND relation_type = ?"
            " AND namespace_id = ? AND deleted_at IS NULL ORDER BY from_entity_id LIMIT ?",
            (after, relation_type, self._scope.namespace_id, limit),
        )
        return [row[0] for row in rows.fetchall()]

    def restore(self, entity_id: int, ended_at: str) -> tuple[list[Edge], list[Edge]]:
        """Make the relations again that ended with the entity's deletion; those made, and those whose end is gone.

        One that had ended before, with the deletion of its other end, is made too where that end is back.
        """
        rows = self._scope.connection.execute(
            "SELECT r.id, a.name, b.name, r.relation_type, r.strength, r.metadata, a.id, b.id,"
            " a.deleted_at IS NULL AND b.deleted_at IS NULL"
            " FROM relations r JOIN entities a ON a.id = r.from_entity_id JOIN entities b ON b.id = r.to_entity_id"
            " WHERE r.id IN (SELECT id FROM relations WHERE from_entity_id = :entity"
            " UNION ALL SELECT id FROM relations WHERE to_entity_id = :entity) AND (r.deleted_at = :ended OR"
            " a.deleted_at IS NULL AND b.deleted_at IS NULL AND"
            " EXISTS (SELECT 1 FROM versions v WHERE v.entity_id IN (r.from_entity_id, r.to_entity_id)"
            " AND v.created_at = r.deleted_at AND v.action = 'deleted') AND NOT EXISTS (SELECT 1"
            " FROM relations l WHERE l.from_entity_id = r.from_entity_id AND l.to_entity_id = r.to_entity_id"
            " AND l.relation_type = r.relation_type AND coalesce(l.deleted_at, '~') > r.deleted_at)) ORDER BY r.id",
            {"entity": entity_id, "ended": ended_at},
        ).fetchall()
        made: list[Edge] = []
        lost: list[Edge] = []
        for row in rows:
            if row[8]:
                self.create(_edge(row), row[6], row[7])
            (made if row[8] else lost).append(_edge(row))
        return made, lost

    def of(self, entity_id: int) -> list[Link]:
        """The live relations of one entity, oldest first."""
        found: dict[int, Link] = {}
        for column in ("from_entity_id", "to_entity_id"):
            for row in self._scope.connection.execute(f"{_SELECT} AND r.{column} = ?", (entity_id,)):
                found[row[0]] = _link(row)
        return [found[number] for number in sorted(found)]

    def numbered(self, numbers: Iterable[int]) -> dict[int, Link]:
        """Those of these numbers that there are, live or ended, by number."""
        rows: list[tuple[Any, ...]] = []
        for part in _parts(list(numbers)):
            rows += self._scope.connection.execute(f"{_EVER} WHERE r.id IN ({marks(len(part))})", part)
        return {row[0]: _link(row) for row in rows}

    def revive(self, number: int) -> None:
        """Let an ended relation live again, in its old place among the others; there must be no live one like it."""
        # The row keeps its number, by which relations are ordered; the life it had becomes a row of its own.
        self._scope.connection.execute(
            "INSERT INTO relations (namespace_id, from_entity_id, to_entity_id, relation_type, strength, metadata,"
            " created_at, deleted_at) SELECT namespace_id, from_entity_id, to_entity_id, relation_type, strength,"
            " metadata, created_at, deleted_at FROM relations WHERE id = ?",
            (number,),
        )
        self._scope.connection.execute(
            "UPDATE relations SET created_at = ?, deleted_at = NULL WHERE id = ?", (self._scope.now, number)
        )

    def page(self, after: int, limit: int) -> list[tuple[int, Edge]]:
        """Up to `limit` relations numbered above `after`, with their numbers."""
        statement = f"{_SELECT} AND r.namespace_id = ? AND r.id > ? ORDER BY r.id LIMIT ?"
        rows = self._scope.connection.execute(statement, (self._scope.namespace_id, after, limit))
        return [(row[0], _edge(row)) for row in rows]


def _link(row: tuple[Any, ...]) -> Link:
    return Link(number=row[0], source_id=row[6], target_id=row[7], edge=_edge(row), ended_at=row[8])


def _edge(row: tuple[Any, ...]) -> Edge:
    metadata = None
    with suppress(ValueError, TypeError):  # a damaged row keeps its relation, without what cannot be read
        metadata = None if row[5] is None else json.loads(row[5])
    if not isinstance(metadata, dict):
        metadata = None
    return Edge(source=row[1], target=row[2], relation_type=row[3], strength=row[4], metadata=metadata)


def _parts(ids: Sequence[int]) -> Iterator[Sequence[int]]:
    """The numbers in parts that fit one statement."""
    for start in range(0, len(ids), _CHUNK):
        yield ids[start : start + _CHUNK]
