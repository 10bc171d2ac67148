"""Notes that the service keeps about the store itself, in the table `meta`; of all namespaces.

Above it lies the store's transaction.
"""

from __future__ import annotations

from typing import Final

from enhanced_memory.store.sqlite.scope import Scope

_PREFIX: Final = "note:"


class SQLiteNotes:
    """The notes among the rows of `meta`."""

    def __init__(self, scope: Scope) -> None:
        self._scope = scope

    def get(self, key: str) -> str | None:
        """What was noted, or None."""
        row = self._scope.connection.execute("SELECT value FROM meta WHERE key = ?", (_PREFIX + key,)).fetchone()
        return None if row is None else str(row[0])

    def put(self, key: str, value: str) -> None:
        """Note it, in the place of what was noted before."""
        self._scope.connection.execute("INSERT OR REPLACE INTO meta (key, value) VALUES (?, ?)", (_PREFIX + key, value))
