"""Conflicts that were found, each pair and kind once, and what was decided about them.

Above it lie the store's transaction and its entities, whose changes settle conflicts by themselves.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Sequence
from typing import Any

from enhanced_memory.store.base import NO_LONGER_SAID, Entity, Finding, Resolution
from enhanced_memory.store.sqlite.scope import Scope

_FROM = (
    " FROM conflicts c JOIN entities a ON a.id = c.entity_id JOIN entities b ON b.id = c.conflicting_entity_id"
    " WHERE c.namespace_id = ?"
)
_SELECT = (
    "SELECT c.id, a.name, a.id, b.name, b.id, c.conflict_type, c.confidence, c.suggested_action, c.evidence,"
    f" c.resolution_status, c.strategy, c.resolved_at, c.resolution_notes, c.undo{_FROM}"
)
_LIVING = " AND a.deleted_at IS NULL AND b.deleted_at IS NULL"


class SQLiteConflicts:
    """The `conflicts` table of one namespace."""

    def __init__(self, scope: Scope) -> None:
        self._scope = scope

    def record(self, finding: Finding, run: str | None = None) -> int | None:
        """Keep a finding as pending; its number, or that of the one that waits for this pair and kind already.

        None where this pair and kind was decided on, both entities stayed, and the finding shows nothing that it did
        not. `run` names the search of the whole namespace that found it.
        """
        known = self.find(finding.entity_id, finding.other_id, finding.kind)
        kept = None if known is None else self.get(known)
        if known is not None and kept is not None and _still_says(kept, finding):
            if kept.resolution is not None:
                return None
            if run is not None:
                self._scope.connection.execute("UPDATE conflicts SET run = ? WHERE id = ?", (run, known))
            return known
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
        """Up to `limit` conflicts of a status numbered above `after`; pending ones only if both their entities live."""
        living = _LIVING if status == "pending" else ""
        rows = self._scope.connection.execute(
            f"{_SELECT} AND c.resolution_status = ? AND c.id > ?{living} ORDER BY c.id LIMIT ?",
            (self._scope.namespace_id, status, after, limit),
        )
        return [(row[0], _finding(row)) for row in rows]

    def of_run(self, run: str, after: int, limit: int) -> list[tuple[int, Finding]]:
        """Up to `limit` conflicts of a search, numbered above `after`, whose entities both live."""
        rows = self._scope.connection.execute(
            f"{_SELECT}{_LIVING} AND c.run = ? AND c.id > ? ORDER BY c.id LIMIT ?",
            (self._scope.namespace_id, run, after, limit),
        )
        return [(row[0], _finding(row)) for row in rows]

    def kinds_of_run(self, run: str) -> dict[str, int]:
        """How many conflicts of each kind a search found whose entities both live."""
        statement = (
            f"SELECT c.conflict_type, count(*){_FROM}{_LIVING} AND c.run = ? GROUP BY c.conflict_type ORDER BY 1"
        )
        return dict(self._scope.connection.execute(statement, (self._scope.namespace_id, run)))

    def get(self, number: int) -> Finding | None:
        """The conflict of that number, or None."""
        row = self._scope.connection.execute(f"{_SELECT} AND c.id = ?", (self._scope.namespace_id, number)).fetchone()
        return None if row is None else _finding(row)

    def find(self, entity_id: int, other_id: int, kind: str) -> int | None:
        """The number of the conflict of this kind between the two, either way round: a pending one, else the last."""
        row = self._scope.connection.execute(
            "SELECT id FROM conflicts WHERE conflict_type = :kind AND (entity_id = :entity AND"  # OR can use the index
            " conflicting_entity_id = :other OR entity_id = :other AND conflicting_entity_id = :entity)"
            " ORDER BY resolution_status = 'pending' DESC, id DESC",
            {"kind": kind, "entity": entity_id, "other": other_id},
        ).fetchone()
        return None if row is None else int(row[0])

    def next_number(self) -> int:
        """The number that the next conflict will get."""
        row = self._scope.connection.execute("SELECT seq FROM sqlite_sequence WHERE name = 'conflicts'").fetchone()
        return 1 if row is None else int(row[0]) + 1

    def resolve(self, number: int, resolution: Resolution) -> None:
        """Note what was decided about a pending conflict."""
        known = self._undo(number)
        self._scope.connection.execute(
            "UPDATE conflicts SET resolution_status = ?, strategy = ?, resolved_at = ?, resolution_notes = ?, undo = ?"
            " WHERE id = ?",
            (
                resolution.status,
                resolution.strategy,
                resolution.resolved_at,
                resolution.notes,
                json.dumps({**resolution.undo, "traces": known.get("traces", [])}),
                number,
            ),
        )

    def reopen(self, number: int, traces: Sequence[tuple[int, int]]) -> None:
        """Make a conflict pending again, and note the versions that its resolution left on no branch."""
        traces = [*self._undo(number).get("traces", []), *traces]
        self._scope.connection.execute(
            "UPDATE conflicts SET resolution_status = 'pending', strategy = NULL, resolved_at = NULL,"
            " resolution_notes = NULL, undo = ? WHERE id = ?",
            (json.dumps({"traces": traces}) if traces else None, number),
        )

    def resolved_after(self, number: int) -> int | None:
        """The last resolved conflict that shares an entity with this one and was resolved later, or None."""
        row = self._scope.connection.execute(
            "SELECT later.id FROM conflicts own JOIN conflicts later ON later.resolved_at > own.resolved_at"
            " AND (later.entity_id IN (own.entity_id, own.conflicting_entity_id)"
            " OR later.conflicting_entity_id IN (own.entity_id, own.conflicting_entity_id))"
            " WHERE own.id = ? AND later.resolution_status = 'resolved' AND later.strategy <> ?"
            " ORDER BY later.resolved_at DESC",
            (number, NO_LONGER_SAID),
        ).fetchone()
        return None if row is None else int(row[0])

    def _undo(self, number: int) -> dict[str, Any]:
        row = self._scope.connection.execute("SELECT undo FROM conflicts WHERE id = ?", (number,)).fetchone()
        found: dict[str, Any] = json.loads(row[0] or "{}")
        return found


def settle_outdated(scope: Scope, entity: Entity, contents: Collection[str], other: Callable[[int], Entity]) -> None:
    """Settle what of the entity's conflicts its new contents no longer bear out; open again what they do once more.

    A pending conflict is outdated when the entity said something of its evidence, and now nothing. One that was
    outdated is pending when both entities, the other as `other` reads it, say some of it.
    """
    rows = scope.connection.execute(
        "SELECT id, entity_id, conflicting_entity_id, resolution_status, evidence FROM conflicts"
        " WHERE (entity_id = :entity OR conflicting_entity_id = :entity)"
        " AND (resolution_status = 'pending' OR strategy = :outdated)",
        {"entity": entity.id, "outdated": NO_LONGER_SAID},
    ).fetchall()
    said, says = set(entity.observations), set(contents) if rows else set()
    for number, entity_id, other_id, status, kept in rows:
        ours, theirs = ("new", "existing") if entity_id == entity.id else ("existing", "new")
        shown = json.loads(kept or "[]")
        left = {each[theirs] for each in shown if each[ours] in says}
        if status == "pending" and not left and any(each[ours] in said for each in shown):
            change: tuple[str | None, ...] = ("resolved", NO_LONGER_SAID, scope.now)
        elif status != "pending" and not left.isdisjoint(other(other_id if ours == "new" else entity_id).observations):
            change = ("pending", None, None)
        else:
            continue
        scope.connection.execute(
            "UPDATE conflicts SET resolution_status = ?, strategy = ?, resolved_at = ? WHERE id = ?", (*change, number)
        )


def _finding(row: tuple[Any, ...]) -> Finding:
    status, strategy, resolved_at, notes, undo = row[9:14]
    resolution = None
    if status != "pending":
        resolution = Resolution(status, strategy or "", resolved_at or "", notes, json.loads(undo or "{}"))
    return Finding(
        entity=row[1],
        entity_id=row[2],
        other=row[3],
        other_id=row[4],
        kind=row[5],
        confidence=row[6],
        action=row[7] or "",
        evidence=json.loads(row[8] or "[]"),
        resolution=resolution,
    )


def _still_says(kept: Finding, finding: Finding) -> bool:
    """Whether a conflict on record leaves nothing to record of a finding of the same pair and kind."""
    if kept.resolution is None:
        return True
    # One of a pair that was made one, or said something else, is found again only if it was brought back since.
    return kept.resolution.strategy not in ("merge", "branch", NO_LONGER_SAID) and _shown(finding) <= _shown(kept)


def _shown(finding: Finding) -> set[frozenset[str]]:
    """The pairs of observations it shows, whichever of a pair is the newer."""
    return {frozenset((str(each.get("new")), str(each.get("existing")))) for each in finding.evidence}
