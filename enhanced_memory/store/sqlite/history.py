"""Time travel: what stood at an instant, and what changed between two.

Above it lies the store's transaction; below it versions, renames, checkouts and the lives of relations.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from enhanced_memory.store.base import ChangeNote, Edge, Entity, PastVersion
from enhanced_memory.store.sqlite.entities import SQLiteEntities
from enhanced_memory.store.sqlite.filters import marks
from enhanced_memory.store.sqlite.scope import Scope
from enhanced_memory.store.sqlite.versions import SQLiteVersions

GONE = frozenset({"deleted", "merged_away"})
"""Actions after which an entity is in no read."""

# Numbers of versions begin at -2^40 (all_versions), and a cursor has none below 0.
_CHANGES = """
SELECT coalesce(v.created_at, e.created_at), 'entity', v.id + 1099511627776, e.id, e.name, v.version_number,
       v.branch_name, coalesce(v.action, 'created'), v.commit_message, v.author, NULL, NULL, NULL, NULL
FROM all_versions v JOIN entities e ON e.id = v.entity_id
WHERE e.namespace_id = :namespace AND coalesce(v.created_at, e.created_at) >= :since
  AND coalesce(v.created_at, e.created_at) < :until
UNION ALL
SELECT r.created_at, 'relation', 2 * r.id, NULL, a.name, NULL, NULL, 'created', NULL, NULL,
       b.name, r.relation_type, r.strength, r.metadata
FROM relations r JOIN entities a ON a.id = r.from_entity_id JOIN entities b ON b.id = r.to_entity_id
WHERE r.namespace_id = :namespace AND r.created_at >= :since AND r.created_at < :until
UNION ALL
SELECT r.deleted_at, 'relation', 2 * r.id + 1, NULL, a.name, NULL, NULL, 'deleted', NULL, NULL,
       b.name, r.relation_type, r.strength, r.metadata
FROM relations r JOIN entities a ON a.id = r.from_entity_id JOIN entities b ON b.id = r.to_entity_id
WHERE r.namespace_id = :namespace AND r.deleted_at >= :since AND r.deleted_at < :until
"""


class SQLiteHistory:
    """The past of one namespace."""

    def __init__(self, scope: Scope) -> None:
        self._scope = scope
        self._versions = SQLiteVersions(scope)
        self._entities = SQLiteEntities(scope)

    def named_at(self, names: Sequence[str], instant: str) -> dict[str, Entity]:
        """Those of `names` that stood at the instant, with what they said, by the name they had then."""
        found: dict[str, Entity] = {}
        for start in range(0, len(names), 500):
            part = names[start : start + 500]
            rows = self._scope.connection.execute(
                f"SELECT id FROM entities WHERE namespace_id = ? AND name IN ({marks(len(part))})"
                " UNION SELECT entity_id FROM renames JOIN entities ON entities.id = renames.entity_id"
                f" WHERE namespace_id = ? AND old_name IN ({marks(len(part))})",
                (self._scope.namespace_id, *part, self._scope.namespace_id, *part),
            ).fetchall()
            for entity in self._entities.even_deleted([row[0] for row in rows]):
                past = self.at(entity, instant)
                if past is not None and past.name in part:
                    found[past.name] = past
        return found

    def page_at(self, instant: str, after: int, limit: int, entity_type: str | None) -> list[Entity]:
        """Up to `limit` entities numbered above `after` that stood at the instant, as they were then."""
        found: list[Entity] = []
        while len(found) < limit:
            rows = self._scope.connection.execute(
                "SELECT id FROM entities WHERE +namespace_id = ? AND id > ? ORDER BY id LIMIT ?",
                (self._scope.namespace_id, after, limit),
            ).fetchall()
            if not rows:
                break
            for entity in self._entities.even_deleted([row[0] for row in rows]):
                past = self.at(entity, instant)
                if past is not None and entity_type in (None, past.entity_type):
                    found.append(past)
            after = rows[-1][0]
        return found[:limit]

    def count_at(self, instant: str, entity_type: str | None) -> int:
        """How many entities stood at the instant."""
        count, after = 0, 0
        while page := self.page_at(instant, after, 500, entity_type):
            count, after = count + len(page), page[-1].id
        return count

    def at(self, entity: Entity, instant: str) -> Entity | None:
        """The entity as reads saw it at the instant, or None if it was not there."""
        branch, past = self._seen_at(entity, instant)
        if past is None:
            return None
        tier = self._scope.connection.execute(
            "SELECT from_tier FROM tier_transitions WHERE entity_id = ? AND created_at > ? ORDER BY id LIMIT 1",
            (entity.id, instant),
        ).fetchone()
        return replace(
            entity,
            name=self._versions.name_at(entity, instant),
            entity_type=past.entity_type,
            observations=past.observations,
            version=past.version,
            branch=branch,
            tier=entity.tier if tier is None else tier[0],
            slots=None,
            damage=None,
        )

    def relations_at(self, instant: str, ids: Sequence[int], *, leaving: bool) -> list[Edge]:
        """Relations that stood at the instant and start at one of `ids`, or, without `leaving`, touch one."""
        found: dict[int, Edge] = {}
        for column in ("from_entity_id",) if leaving else ("from_entity_id", "to_entity_id"):
            for start in range(0, len(ids), 500):
                part = ids[start : start + 500]
                rows = self._scope.connection.execute(
                    "SELECT id, from_entity_id, to_entity_id, relation_type, strength, metadata FROM relations"
                    f" WHERE {column} IN ({marks(len(part))}) AND created_at <= ?"
                    " AND (deleted_at IS NULL OR deleted_at > ?)",
                    (*part, instant, instant),
                ).fetchall()
                ends = {e.id: e for e in self._entities.even_deleted([row[i] for row in rows for i in (1, 2)])}
                for number, source, target, kind, strength, metadata in rows:
                    found[number] = Edge(
                        self._versions.name_at(ends[source], instant),
                        self._versions.name_at(ends[target], instant),
                        kind,
                        strength,
                        None if metadata is None else json.loads(metadata),
                    )
        return [found[number] for number in sorted(found)]

    def changes(self, since: str, until: str, after: tuple[str, str, int] | None, limit: int) -> list[ChangeNote]:
        """Up to `limit` changes from `since` on and before `until`, in order, behind the one called `after`."""
        instant, kind, number = after or ("", "", 0)
        rows = self._scope.connection.execute(
            f"WITH changes (at, kind, number, entity, name, version, branch, action, message, author, target,"
            f" relation_type, strength, metadata) AS ({_CHANGES}) SELECT * FROM changes"
            " WHERE (at, kind, number) > (:at, :kind, :number) ORDER BY at, kind, number LIMIT :limit",
            {
                "namespace": self._scope.namespace_id,
                "since": max(since, instant),
                "until": until,
                "at": instant,
                "kind": kind,
                "number": number,
                "limit": limit,
            },
        ).fetchall()
        return [_note(row) for row in rows]

    def _seen_at(self, entity: Entity, instant: str) -> tuple[str, PastVersion | None]:
        """The branch that reads saw at the instant, and its newest version of then, if the entity was there."""
        row = self._scope.connection.execute(
            "SELECT branch_name, version_number, created_at FROM checkouts WHERE entity_id = ? AND created_at <= ?"
            " ORDER BY id DESC LIMIT 1",
            (entity.id, instant),
        ).fetchone()
        branch, start, since = row if row is not None else ("main", None, "")
        number = self._versions.last_on(entity.id, branch, since, instant)
        if number is None:  # as it was checked out, which only one that is there can be, whatever that version did
            return branch, None if start is None else self._versions.read(entity, start)
        past = self._versions.read(entity, number)
        return branch, None if past is None or past.action in GONE else past


def _note(row: tuple[Any, ...]) -> ChangeNote:
    at, kind, number, _, name, version, branch, action, message, author, target, relation_type, strength, metadata = row
    edge = None
    if kind == "relation":
        edge = Edge(name, target, relation_type, strength, None if metadata is None else json.loads(metadata))
    return ChangeNote((at, kind, number), name, version, branch, action, message, author, edge)
