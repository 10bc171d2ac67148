"""First replies to writes that carried a request id, kept in the transaction that made them.

Above it lies the store's transaction; the dispatcher asks here before it runs such a write.
"""

from __future__ import annotations

import zlib

from enhanced_memory.store.sqlite.scope import Scope, earlier

KEEP_S = 3_600
"""How long an id is remembered. Source: contract, section 2."""


class SQLiteRequests:
    """The `requests` table of one namespace."""

    def __init__(self, scope: Scope) -> None:
        self._scope = scope

    def recall(self, request_id: str) -> tuple[str, str] | None:
        """Fingerprint and reply of the write with this id within the last hour, or None."""
        row = self._scope.connection.execute(
            "SELECT fingerprint, reply FROM requests WHERE namespace_id = ? AND request_id = ? AND created_at >= ?",
            (self._scope.namespace_id, request_id, earlier(self._scope.now, KEEP_S)),
        ).fetchone()
        return None if row is None else (row[0], zlib.decompress(row[1]).decode())

    def forget_all(self) -> None:
        """Drop every kept reply of the namespace: what is erased may be told in one."""
        self._scope.connection.execute("DELETE FROM requests WHERE namespace_id = ?", (self._scope.namespace_id,))

    def remember(self, request_id: str, fingerprint: str, reply: str) -> None:
        """Keep the reply of the write that this transaction is."""
        self._scope.connection.execute(
            "INSERT OR REPLACE INTO requests (namespace_id, request_id, fingerprint, reply, created_at)"
            " VALUES (?, ?, ?, ?, ?)",
            (self._scope.own_namespace(), request_id, fingerprint, zlib.compress(reply.encode(), 1), self._scope.now),
        )
