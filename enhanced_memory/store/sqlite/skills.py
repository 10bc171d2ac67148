"""Skills: kept procedures in versions, with how their runs went.

Above it lies the store's transaction.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from enhanced_memory.store.base import Skill
from enhanced_memory.store.sqlite.scope import Scope

_COLUMNS = "id, name, version, description, code, tags, created_at, run_count, success_count, total_ms, last_error"


class SQLiteSkills:
    """The `skills` table of one namespace: a row a version."""

    def __init__(self, scope: Scope) -> None:
        self._scope = scope

    def find(self, name: str, version: int | None = None) -> Skill | None:
        """That version of a skill, or its newest, or None."""
        row = self._scope.connection.execute(
            f"SELECT {_COLUMNS} FROM skills WHERE namespace_id = ? AND name = ? AND version = coalesce(?, version)"
            " AND deleted_at IS NULL ORDER BY version DESC LIMIT 1",
            (self._scope.namespace_id, name, version),
        ).fetchone()
        return None if row is None else _skill(row)

    def versions(self, name: str, below: int | None, limit: int) -> list[Skill]:
        """Up to `limit` versions of a skill numbered under `below`, newest first."""
        rows = self._scope.connection.execute(
            f"SELECT {_COLUMNS} FROM skills WHERE namespace_id = ? AND name = ? AND version < coalesce(?, version + 1)"
            " AND deleted_at IS NULL ORDER BY version DESC LIMIT ?",
            (self._scope.namespace_id, name, below, limit),
        )
        return [_skill(row) for row in rows]

    def page(self, tag: str | None, after: int, limit: int) -> list[Skill]:
        """The newest version of each skill, of those with a tag if one is given, by name, behind that of a row."""
        rows = self._scope.connection.execute(
            f"SELECT {_COLUMNS} FROM skills AS one WHERE namespace_id = ? AND deleted_at IS NULL"
            " AND version = (SELECT max(version) FROM skills WHERE namespace_id = one.namespace_id AND name = one.name"
            " AND deleted_at IS NULL)"
            " AND name > coalesce((SELECT name FROM skills WHERE id = ?), '')"
            " AND (? IS NULL OR EXISTS (SELECT 1 FROM json_each(iif(json_valid(tags), tags, '[]')) WHERE value = ?))"
            " ORDER BY name LIMIT ?",
            (self._scope.namespace_id, after, tag, tag, limit),
        )
        return [_skill(row) for row in rows]

    def add(self, name: str, description: str, code: str, tags: Sequence[str]) -> Skill:
        """The next version of a skill; numbers go on where a deleted one of that name ended."""
        namespace = self._scope.own_namespace()
        row = self._scope.connection.execute(
            "INSERT INTO skills (namespace_id, name, version, description, code, tags, created_at)"
            " SELECT ?, ?, coalesce(max(version), 0) + 1, ?, ?, ?, ? FROM skills WHERE namespace_id = ? AND name = ?"
            f" RETURNING {_COLUMNS}",
            (namespace, name, description, code, _packed(tags), self._scope.now, namespace, name),
        ).fetchone()
        return _skill(row)

    def describe(self, skill: Skill, description: str, tags: Sequence[str]) -> None:
        """Give a version another description and other tags."""
        self._scope.connection.execute(
            "UPDATE skills SET description = ?, tags = ? WHERE id = ?", (description, _packed(tags), skill.id)
        )

    def delete(self, name: str) -> int:
        """Take a skill with all its versions out of every read; how many there were."""
        return self._scope.connection.execute(
            "UPDATE skills SET deleted_at = ? WHERE namespace_id = ? AND name = ? AND deleted_at IS NULL",
            (self._scope.now, self._scope.namespace_id, name),
        ).rowcount

    def count_run(self, skill: Skill, ms: float, error: str | None) -> None:
        """Note a run of this version; the last error stays when a later run succeeds."""
        self._scope.connection.execute(
            "UPDATE skills SET run_count = run_count + 1, success_count = success_count + ?, total_ms = total_ms + ?,"
            " last_error = coalesce(?, last_error) WHERE id = ?",
            (error is None, ms, error, skill.id),
        )

    def forget_errors(self) -> None:
        """Drop the last error of every skill, deleted ones too."""
        self._scope.connection.execute(
            "UPDATE skills SET last_error = NULL WHERE namespace_id = ? AND last_error IS NOT NULL",
            (self._scope.namespace_id,),
        )


def _packed(tags: Sequence[str]) -> str | None:
    return json.dumps(list(tags), ensure_ascii=False) if tags else None


def _skill(row: Sequence[Any]) -> Skill:
    number, name, version, description, code, tags, *rest = row
    return Skill(number, name, version, description, code, _unpacked(tags), *rest)


def _unpacked(tags: str | None) -> tuple[str, ...]:
    """The tags of a row; none where they cannot be read, which loses no skill."""
    try:
        found = json.loads(tags or "[]")
    except ValueError:
        return ()
    return tuple(tag for tag in found if isinstance(tag, str)) if isinstance(found, list) else ()
