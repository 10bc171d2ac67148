"""First replies to writes that carried a request id, kept in the transaction that made them.

Above it lies the store's transaction; the dispatcher asks here before it runs such a write.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Sequence

from enhanced_memory.store.sqlite.scope import Scope
from enhanced_memory.store.sqlite.stamps import earlier

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

    def forget(self, texts: Sequence[str]) -> None:
        """Drop the kept replies that tell any of these texts: they are to be erased."""
        told = [json.dumps(text, ensure_ascii=False)[1:-1] for text in texts]
        rows = self._scope.connection.execute(
            "SELECT request_id, reply FROM requests WHERE namespace_id = ?", (self._scope.namespace_id,)
        ).fetchall()
        for request_id, reply in rows:
            kept = zlib.decompress(reply).decode()
            if any(text in kept for text in told):
                self._scope.connection.execute(
                    "DELETE FROM requests WHERE namespace_id = ? AND request_id = ?",
                    (self._scope.namespace_id, request_id),
                )

    def remember(self, request_id: str, fingerprint: str, reply: str) -> None:
        """Keep the reply of the write that this transaction is."""
        self._scope.connection.execute(
            "INSERT OR REPLACE INTO requests (namespace_id, request_id, fingerprint, reply, created_at)"
            " VALUES (?, ?, ?, ?, ?)",
            (self._scope.own_namespace(), request_id, fingerprint, zlib.compress(reply.encode(), 1), self._scope.now),
        )
