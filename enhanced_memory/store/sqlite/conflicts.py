"""Conflicts that were found, each pair and kind once.

Above it lies the store's transaction.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from enhanced_memory.store.base import Finding
from enhanced_memory.store.sqlite.scope import Scope


class SQLiteConflicts:
    """The `conflicts` table of one namespace."""

    def __init__(self, scope: Scope) -> None:
        self._scope = scope

    def record(self, finding: Finding, run: str | None = None) -> int | None:
        """Keep a finding as pending; its number, or that of the one that waits for this pair and kind already.

        None where this pair and kind was decided on, and the evidence is what it was then. `run` names the search of
        the whole namespace that found it.
        """
        known = self._scope.connection.execute(
            "SELECT id, resolution_status, evidence FROM conflicts WHERE conflict_type = ?"
            " AND ((entity_id = ? AND conflicting_entity_id = ?) OR (conflicting_entity_id = ? AND entity_id = ?))"
            " ORDER BY id",
            (finding.kind, finding.entity_id, finding.other_id, finding.entity_id, finding.other_id),
        ).fetchall()
        for number, status, _ in known:
            if status == "pending":
                if run is not None:
                    self._scope.connection.execute("UPDATE conflicts SET run = ? WHERE id = ?", (run, number))
                return int(number)
        grounds = _grounds(finding.evidence)
        if any(_grounds(json.loads(evidence or "[]")) == grounds for _, _, evidence in known):
            return None
        row = self._scope.connection.execute(
            "INSERT INTO conflicts (namespace_id, entity_id, conflicting_entity_id, conflict_type, confidence,"
            " suggested_action, detected_at, evidence, run) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING id",
            (
                self._scope.own_namespace(),
                finding.entity_id,
                finding.other_id,
                finding.kind,
                finding.confidence,
                finding.action,
                self._scope.now,
                json.dumps([dict(each) for each in finding.evidence], ensure_ascii=False),
                run,
            ),
        ).fetchone()
        return int(row[0])

    def page(self, status: str, after: int, limit: int) -> list[tuple[int, Finding]]:
        """Up to `limit` conflicts of a status numbered above `after`, whose entities both live."""
        rows = self._scope.connection.execute(
            "SELECT c.id, a.name, a.id, b.name, b.id, c.conflict_type, c.confidence, c.suggested_action, c.evidence"
            " FROM conflicts c JOIN entities a ON a.id = c.entity_id JOIN entities b ON b.id = c.conflicting_entity_id"
            " WHERE c.namespace_id = ? AND c.resolution_status = ? AND c.id > ? AND a.deleted_at IS NULL"
            " AND b.deleted_at IS NULL ORDER BY c.id LIMIT ?",
            (self._scope.namespace_id, status, after, limit),
        )
        return [(row[0], _finding(row[1:])) for row in rows]

    def of_run(self, run: str, after: int, limit: int) -> list[tuple[int, str, Finding]]:
        """Up to `limit` conflicts of a search, numbered above `after`, with their status, whose entities both live."""
        rows = self._scope.connection.execute(
            "SELECT c.id, c.resolution_status, a.name, a.id, b.name, b.id, c.conflict_type, c.confidence,"
            f" c.suggested_action, c.evidence{_OF_RUN} AND c.id > ? ORDER BY c.id LIMIT ?",
            (self._scope.namespace_id, run, after, limit),
        )
        return [(row[0], row[1], _finding(row[2:])) for row in rows]

    def kinds_of_run(self, run: str) -> dict[str, int]:
        """How many conflicts of each kind a search found whose entities both live."""
        statement = f"SELECT c.conflict_type, count(*){_OF_RUN} GROUP BY c.conflict_type ORDER BY 1"
        return dict(self._scope.connection.execute(statement, (self._scope.namespace_id, run)))


_OF_RUN = (
    " FROM conflicts c JOIN entities a ON a.id = c.entity_id JOIN entities b ON b.id = c.conflicting_entity_id"
    " WHERE c.namespace_id = ? AND c.run = ? AND a.deleted_at IS NULL AND b.deleted_at IS NULL"
)


def _finding(row: tuple[Any, ...]) -> Finding:
    """Names and numbers of both entities, kind, confidence, action and evidence, as a finding."""
    return Finding(
        entity=row[0],
        entity_id=row[1],
        other=row[2],
        other_id=row[3],
        kind=row[4],
        confidence=row[5],
        action=row[6] or "",
        evidence=json.loads(row[7] or "[]"),
    )


def _grounds(evidence: Sequence[Mapping[str, Any]]) -> frozenset[frozenset[str]]:
    """The pairs of observations of some evidence, whichever of the two is the new one."""
    return frozenset(frozenset((str(each.get("new")), str(each.get("existing")))) for each in evidence)
