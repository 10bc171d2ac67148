"""Moves from tier to tier: the log of them, and the few columns that tell who is due for one.

Above it lies the store's transaction. A move is no version and leaves the time of change alone, since an entity says
the same in every tier.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress

from enhanced_memory.store.base import Aging, Move, Moved, Said, Transition
from enhanced_memory.store.sqlite.codec import CorruptBlob
from enhanced_memory.store.sqlite.filters import marks
from enhanced_memory.store.sqlite.scope import Scope
from enhanced_memory.store.sqlite.stamps import as_stamp

_CHUNK = 500

_AGING = (
    "SELECT id, name, entity_type, tier, always_include, relevance_score, last_confirmed, access_count, created_at,"
    " coalesce(last_accessed, created_at), deleted_at FROM entities WHERE +namespace_id = ? AND id > ?"
    " ORDER BY id LIMIT ?"
)

_MOVED = """
SELECT r.entity_id, e.name, f.from_tier, l.to_tier, l.id, n.id, n.run_id, e.deleted_at IS NULL
FROM (SELECT entity_id, min(id) AS first, max(id) AS last FROM tier_transitions
      WHERE run_id = :run AND entity_id > :after GROUP BY entity_id ORDER BY entity_id LIMIT :limit) r
JOIN entities e ON e.id = r.entity_id
JOIN tier_transitions f ON f.id = r.first
JOIN tier_transitions l ON l.id = r.last
JOIN tier_transitions n ON n.id = (SELECT max(id) FROM tier_transitions WHERE entity_id = r.entity_id)
ORDER BY r.entity_id
"""


class SQLiteTransitions:
    """The `tier_transitions` table, and the tiers of one namespace."""

    def __init__(self, scope: Scope) -> None:
        self._scope = scope

    def page(self, entity_id: int | None, run_id: str | None, below: int | None, limit: int) -> list[Transition]:
        """Up to `limit` transitions numbered under `below`, newest first: all, or of one entity, or of one run."""
        parts, values = ["e.namespace_id = ?"], [self._scope.namespace_id]
        for condition, value in (("t.entity_id = ?", entity_id), ("t.run_id = ?", run_id), ("t.id < ?", below)):
            if value is not None:
                parts.append(condition)
                values.append(value)  # type: ignore[arg-type]
        rows = self._scope.connection.execute(
            "SELECT t.id, t.entity_id, e.name, t.from_tier, t.to_tier, t.reason, t.run_id, t.created_at"
            " FROM tier_transitions t JOIN entities e ON e.id = t.entity_id"
            f" WHERE {' AND '.join(parts)} ORDER BY t.id DESC LIMIT ?",
            (*values, limit),
        )
        return [Transition(*row) for row in rows.fetchall()]

    def aging(self, after: int, limit: int) -> tuple[list[Aging], int | None]:
        """The entities among the `limit` numbered above `after`, and the last of these numbers, if any."""
        rows = self._scope.connection.execute(_AGING, (self._scope.namespace_id, after, limit)).fetchall()
        found = []
        for row in rows:
            created = as_stamp(row[8])
            accessed = created if row[9] == row[8] else as_stamp(row[9])
            confirmed = None if row[6] is None else as_stamp(row[6])
            sound = _is_sound(row[5], row[7]) and (row[6] is None) == (confirmed is None)
            if row[10] is None and sound and created is not None and accessed is not None:
                number, name, kind, tier = row[:4]
                found.append(
                    Aging(number, name, kind, tier, bool(row[4]), row[5], confirmed, row[7], created, accessed)
                )
        return found, rows[-1][0] if rows else None

    def said(self, ids: Sequence[int]) -> list[Said]:
        """What those of `ids` say that live and can be read, in order of their numbers; nothing is kept at hand."""
        found = []
        for part in _parts(sorted(ids)):
            rows = self._scope.connection.execute(
                f"SELECT id, compressed_data, checksum FROM entities WHERE id IN ({marks(len(part))})"
                " AND deleted_at IS NULL ORDER BY id",
                part,
            )
            for number, blob, stored in rows.fetchall():
                with suppress(CorruptBlob):
                    unpacked = self._scope.contents.unpack_once(blob, stored)
                    found.append(Said(number, unpacked.observations, unpacked.slots))
        return found

    def practised(self, least: int) -> list[int]:
        """Entities that bear the name of a skill with at least so many successful runs, in order of their numbers."""
        rows = self._scope.connection.execute(
            "SELECT e.id FROM (SELECT name FROM skills WHERE namespace_id = :namespace AND deleted_at IS NULL"
            " GROUP BY name HAVING sum(success_count) >= :least) s"
            " JOIN entities e ON e.namespace_id = :namespace AND e.name = s.name AND e.deleted_at IS NULL"
            " ORDER BY e.id",
            {"namespace": self._scope.namespace_id, "least": least},
        )
        return [row[0] for row in rows.fetchall()]

    def still(self, ids: Sequence[int], tier: str) -> dict[int, str]:
        """Names of those of `ids` that live, are in this tier and are not pinned."""
        found: dict[int, str] = {}
        for part in _parts(ids):
            rows = self._scope.connection.execute(
                f"SELECT id, name FROM entities WHERE id IN ({marks(len(part))}) AND +tier = ? AND deleted_at IS NULL"
                " AND NOT +always_include",
                (*part, tier),
            )
            found.update(rows.fetchall())
        return found

    def move(self, moves: Sequence[Move], run_id: str) -> list[Move]:
        """Do those moves whose entity lives, is in `from_tier` and is not pinned; returns these. Logged."""
        done = []
        for move in moves:
            changed = self._scope.connection.execute(
                "UPDATE entities SET tier = ? WHERE id = ? AND +tier = ? AND deleted_at IS NULL"
                " AND NOT +always_include",
                (move.to_tier, move.entity_id, move.from_tier),
            )
            if changed.rowcount:
                self.note(move, run_id)
                done.append(move)
        return done

    def note(self, move: Move, run_id: str) -> None:
        """Log a move that was done otherwise."""
        self._scope.connection.execute(
            "INSERT INTO tier_transitions (entity_id, from_tier, to_tier, reason, run_id, created_at)"
            " VALUES (?, ?, ?, ?, ?, ?)",
            (move.entity_id, move.from_tier, move.to_tier, move.reason, run_id, self._scope.now),
        )

    def moved(self, run_id: str, after: int, limit: int) -> list[Moved]:
        """Up to `limit` entities numbered above `after` that a curation moved."""
        rows = self._scope.connection.execute(_MOVED, {"run": run_id, "after": after, "limit": limit})
        return [Moved(*row) for row in rows.fetchall()]

    def put_back(self, moved: Sequence[Moved], reason: str, run_id: str) -> list[Moved]:
        """Give these their first tier again, unless they are gone or were moved since; returns those. Logged."""
        done = []
        for each in moved:
            changed = self._scope.connection.execute(
                "UPDATE entities SET tier = ? WHERE id = ? AND +tier = ? AND deleted_at IS NULL"
                " AND (SELECT max(id) FROM tier_transitions WHERE entity_id = entities.id) = ?",
                (each.from_tier, each.entity_id, each.to_tier, each.last),
            )
            if changed.rowcount:
                self.note(Move(each.entity_id, each.to_tier, each.from_tier, reason), run_id)
                done.append(each)
        return done


def _parts(ids: Sequence[int]) -> Iterator[Sequence[int]]:
    """The numbers in parts that fit one statement."""
    for start in range(0, len(ids), _CHUNK):
        yield ids[start : start + _CHUNK]


def _is_sound(relevance: object, accesses: object) -> bool:
    """Whether the numbers are what we wrote; a damaged row may hold anything."""
    return isinstance(relevance, int | float) and 0 <= relevance <= 1 and isinstance(accesses, int)
