"""Branches of entities: lines of versions beside one another, of which reads and searches see one.

Above it lies the store's transaction; below it the versions. Rows exist once an entity has more than `main`.
"""

from __future__ import annotations

from enhanced_memory.store.base import Branch, Entity
from enhanced_memory.store.sqlite.scope import Scope
from enhanced_memory.store.sqlite.versions import SQLiteVersions

MAIN = "main"


class SQLiteBranches:
    """The `branches` table."""

    def __init__(self, scope: Scope) -> None:
        self._scope = scope
        self._versions = SQLiteVersions(scope)

    def all(self, entity: Entity) -> list[Branch]:
        """The entity's branches, oldest first."""
        rows = self._scope.connection.execute(
            "SELECT name, head_version, created_from_version, description, created_at FROM branches"
            " WHERE entity_id = ? ORDER BY id",
            (entity.id,),
        ).fetchall()
        if not rows:
            return [Branch(MAIN, entity.version, 1, None, entity.created_at)]
        return [Branch(*row) for row in rows]

    def head(self, entity: Entity, name: str) -> int | None:
        """The newest version of a branch, or None if the entity has no such branch."""
        if name == entity.branch:
            return entity.version
        row = self._scope.connection.execute(
            "SELECT head_version FROM branches WHERE entity_id = ? AND name = ?", (entity.id, name)
        ).fetchone()
        return None if row is None else int(row[0])

    def having(self, name: str, limit: int) -> list[int]:
        """Up to `limit` living entities of the namespace that have a branch of this name, the newest branches first."""
        rows = self._scope.connection.execute(
            "SELECT branches.entity_id FROM branches JOIN entities ON entities.id = branches.entity_id"
            " WHERE branches.name = ? AND entities.namespace_id = ? AND entities.deleted_at IS NULL"
            " ORDER BY branches.id DESC LIMIT ?",
            (name, self._scope.namespace_id, limit),
        )
        return [row[0] for row in rows]

    def create(self, entity: Entity, name: str, from_version: int, description: str | None) -> None:
        """A new branch that starts at a version."""
        known = self._scope.connection.execute("SELECT 1 FROM branches WHERE entity_id = ?", (entity.id,)).fetchone()
        if known is None:
            self._insert(entity.id, MAIN, entity.version, 1, None, entity.created_at)
        self._insert(entity.id, name, from_version, from_version, description, self._scope.now)

    def delete(self, entity: Entity, name: str) -> None:
        """Drop a branch's name; its versions stay in the history."""
        self._scope.connection.execute("DELETE FROM branches WHERE entity_id = ? AND name = ?", (entity.id, name))

    def _insert(
        self, entity_id: int, name: str, head: int, created_from: int, description: str | None, created_at: str
    ) -> None:
        self._scope.connection.execute(
            "INSERT INTO branches (entity_id, name, head_version, created_from_version, description, created_at)"
            " VALUES (?, ?, ?, ?, ?, ?)",
            (entity_id, name, head, created_from, description, created_at),
        )
