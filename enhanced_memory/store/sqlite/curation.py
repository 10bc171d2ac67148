"""Curations that ran: what each did beyond moving tiers, so that it can be put back and is not done twice.

Above it lies the store's transaction; the moves themselves are in `transitions`.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from enhanced_memory.store.base import Consolidation, Run
from enhanced_memory.store.sqlite.scope import Scope
from enhanced_memory.store.sqlite.stamps import as_stamp

_SELECT = (
    "SELECT c.id, c.run_id, c.entity_id, c.before_version, c.after_version, c.before_score, c.after_score, c.added,"
    " c.sources FROM consolidations c WHERE c.undone_at IS NULL"
)
_RUN = (
    "SELECT run_id, namespaces.name, author, began_at, ended_at, undone_at FROM curation_runs"
    " JOIN namespaces ON namespaces.id = namespace_id"
)
_LAST_ROUND = "curated_at"


class SQLiteCuration:
    """The `curation_runs` and `consolidations` tables."""

    def __init__(self, scope: Scope) -> None:
        self._scope = scope

    def begin(self, run_id: str, author: str | None) -> None:
        """A curation of the transaction's namespace begins."""
        self._scope.connection.execute(
            "INSERT INTO curation_runs (run_id, namespace_id, author, began_at) VALUES (?, ?, ?, ?)",
            (run_id, self._scope.own_namespace(), author, self._scope.now),
        )

    def end(self, run_id: str) -> None:
        """It has done all of its work."""
        self._scope.connection.execute(
            "UPDATE curation_runs SET ended_at = ? WHERE run_id = ?", (self._scope.now, run_id)
        )

    def find(self, run_id: str) -> Run | None:
        """The curation of that name, of whatever namespace, or None."""
        row = self._scope.connection.execute(f"{_RUN} WHERE run_id = ?", (run_id,)).fetchone()
        return None if row is None else Run(*row)

    def last(self) -> Run | None:
        """The newest curation of the namespace that did something and was not put back, or None."""
        row = self._scope.connection.execute(
            f"{_RUN} WHERE namespace_id = ? AND undone_at IS NULL AND"
            " (EXISTS (SELECT 1 FROM tier_transitions t WHERE t.run_id = curation_runs.run_id)"
            " OR EXISTS (SELECT 1 FROM consolidations c WHERE c.run_id = curation_runs.run_id))"
            " ORDER BY began_at DESC LIMIT 1",
            (self._scope.namespace_id,),
        ).fetchone()
        return None if row is None else Run(*row)

    def note_undone(self, run_id: str) -> None:
        """It was put back."""
        self._scope.connection.execute(
            "UPDATE curation_runs SET undone_at = ? WHERE run_id = ?", (self._scope.now, run_id)
        )

    def keep(self, done: Consolidation) -> None:
        """Keep what was done to a semantic entity; its `id` is given by the store."""
        self._scope.connection.execute(
            "INSERT INTO consolidations (run_id, entity_id, before_version, after_version, before_score, after_score,"
            " added, sources) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (
                *(done.run_id, done.entity_id, done.before_version, done.after_version),
                *(done.before_score, done.after_score),
                *(json.dumps(list(done.added), ensure_ascii=False), json.dumps(list(done.sources))),
            ),
        )

    def kept(self, run_id: str) -> list[Consolidation]:
        """What a curation did to semantic entities and was not put back, oldest first."""
        rows = self._scope.connection.execute(f"{_SELECT} AND c.run_id = ? ORDER BY c.id", (run_id,))
        return list(map(_consolidation, rows.fetchall()))

    def all_kept(self) -> list[Consolidation]:
        """The same of all curations of the namespace."""
        rows = self._scope.connection.execute(
            f"{_SELECT} AND c.run_id IN (SELECT run_id FROM curation_runs WHERE namespace_id = ?) ORDER BY c.id",
            (self._scope.namespace_id,),
        )
        return list(map(_consolidation, rows.fetchall()))

    def forget(self, ids: Sequence[int]) -> None:
        """These were put back."""
        self._scope.connection.executemany(
            "UPDATE consolidations SET undone_at = ? WHERE id = ?", [(self._scope.now, number) for number in ids]
        )

    def last_round(self) -> str | None:
        """When the daemon last finished curating every namespace, or None."""
        row = self._scope.connection.execute("SELECT value FROM meta WHERE key = ?", (_LAST_ROUND,)).fetchone()
        return None if row is None else as_stamp(row[0])

    def note_round(self) -> None:
        """It has just done so."""
        self._scope.connection.execute(
            "INSERT OR REPLACE INTO meta (key, value) VALUES (?, ?)", (_LAST_ROUND, self._scope.now)
        )


def _consolidation(row: tuple[Any, ...]) -> Consolidation:
    return Consolidation(*row[:7], added=_list(row[7], str), sources=_list(row[8], int))  # type: ignore[misc]


def _list(text: object, kind: type) -> list[Any]:
    """A kept list; one that is damaged tells nothing."""
    try:
        found = json.loads(text) if isinstance(text, str) else []
    except ValueError:
        return []
    return [each for each in found if type(each) is kind] if isinstance(found, list) else []
