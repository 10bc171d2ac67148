"""Versions: every change of an entity's name, type or observations, as a keyframe or a delta against its parent.

Above it lie `entities` and `branches`, which append, and the store's transaction, through which history is read; below
it the contents and the deltas. History is only ever appended to. What an entity is called is not part of a version but
of time: the table of renames tells it for every instant.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from enhanced_memory.errors import Corrupt
from enhanced_memory.store.base import Change, Entity, PastVersion
from enhanced_memory.store.sqlite.codec import CorruptBlob
from enhanced_memory.store.sqlite.contents import Packed
from enhanced_memory.store.sqlite.delta import apply, difference
from enhanced_memory.store.sqlite.scope import Scope

_LONGEST_CHAIN = 1_500
"""Deltas between two keyframes at the most: bounds the time to read any version (about 20 µs a delta)."""

_INSERT = (
    "INSERT INTO versions (entity_id, version_number, branch_name, compressed_data, commit_message, created_at, action,"
    " parent_version, merged_version, delta_depth, delta_bytes, checksum, entity_type, author, session, method)"
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)

_FIRST_ROW = (
    "INSERT INTO versions SELECT * FROM all_versions WHERE entity_id = ?1"
    " AND NOT EXISTS (SELECT 1 FROM versions WHERE entity_id = ?1)"
)
"""What the view tells of the first version, as a row."""

_BEGIN = (
    "INSERT INTO versions (entity_id, version_number, branch_name, commit_message, delta_depth, delta_bytes, author,"
    " session) VALUES (?, 1, 'main', ?, 0, 0, ?, ?)"
)

_HEADS = (
    "SELECT version_number, branch_name, parent_version, merged_version, action, commit_message, author, session,"
    " method, created_at FROM all_versions WHERE entity_id = ?"
)

_BACKWARDS = (
    "SELECT version_number, parent_version, delta_depth, compressed_data, checksum, entity_type FROM all_versions"
    " WHERE entity_id = ? AND version_number <= ? ORDER BY version_number DESC"
)

_FIRST_PARENTS = """
WITH RECURSIVE line (version_number, parent_version) AS (
    SELECT version_number, parent_version FROM all_versions WHERE entity_id = :entity AND version_number = :head
    UNION ALL
    SELECT v.version_number, v.parent_version
    FROM line l JOIN versions v ON v.entity_id = :entity AND v.version_number = l.parent_version
)
SELECT version_number FROM line WHERE version_number < :below LIMIT :limit
"""

_BY_HAND = Change("created", method="manual")
"""What begins most entities, and what a version without a row says of itself."""

_Content = tuple[str, tuple[str, ...]]
"""Type and observations."""


class SQLiteVersions:
    """The `versions` table."""

    def __init__(self, scope: Scope) -> None:
        self._scope = scope

    # ------------------------------------------------------------------------------------------------------ writing

    def begin(self, entity_id: int, change: Change) -> None:
        """The first version of an entity created now: a keyframe whose bytes, type and time its row has.

        One made by hand of which nothing else is to be told gets its row with the second, in `settle`.
        """
        if change == _BY_HAND:
            return
        if (change.action, change.method) == ("created", "manual"):
            self._scope.connection.execute(_BEGIN, (entity_id, change.message, change.author, change.session))
        else:
            self._insert(entity_id, 1, "main", change, None, None, (0, 0, None), None)

    def take_over(self, entity_id: int, number: int, entity_type: str, change: Change) -> None:
        """A version of an entity of an older layout, on top of those before it: a keyframe whose bytes its row has."""
        self._insert(entity_id, number, "main", change, number - 1 or None, None, (0, 0, None), entity_type)

    def append(
        self,
        entity: Entity,
        change: Change,
        entity_type: str,
        observations: Sequence[str],
        stored_bytes: int,
        merged: int | None = None,
    ) -> int:
        """The next version on the entity's own branch, on top of its current one; returns its number.

        `entity` is the state before; type and observations are the new content, which takes `stored_bytes` in the
        entities row. The row itself is written after this. `merged` is the version merged in, if any.
        """
        self.settle(entity)
        number = self._next(entity.id)
        stored: tuple[int, int, Packed | None]
        kept_type: str | None
        if entity.damage is None:
            before = (entity.entity_type, entity.observations)
            stored, kept_type = self._stored(
                entity.id, entity.version, before, (entity_type, observations), stored_bytes
            )
        else:  # nothing can be told against what cannot be read, so the history begins anew
            stored, kept_type = (0, 0, None), entity_type
        self._insert(entity.id, number, entity.branch, change, entity.version, merged, stored, kept_type)
        self.set_head(entity.id, entity.branch, number)
        return number

    def append_aside(
        self,
        entity: Entity,
        tip: PastVersion,
        branch: str,
        change: Change,
        entity_type: str,
        observations: Sequence[str],
        merged: int | None = None,
    ) -> int:
        """The next version on a branch the entity is not on, on top of `tip`; what reads see stays as it is."""
        packed = self._scope.contents.pack(observations, None)
        self._write_first_row(entity)
        number = self._next(entity.id)
        stored, kept_type = self._stored(
            entity.id, tip.version, (tip.entity_type, tip.observations), (entity_type, observations), len(packed.blob)
        )
        if stored[0] == 0:
            stored = (0, 0, packed)
        self._insert(entity.id, number, branch, change, tip.version, merged, stored, kept_type)
        self.set_head(entity.id, branch, number)
        return number

    def settle(self, entity: Entity) -> None:
        """Copy what the current version leaves to the entities row out of it: the row will change."""
        self._write_first_row(entity)
        self._scope.connection.execute(
            "UPDATE versions SET checksum = ?, (compressed_data, created_at, entity_type) ="
            " (SELECT e.compressed_data, coalesce(versions.created_at, e.created_at),"
            " coalesce(versions.entity_type, e.entity_type) FROM entities e WHERE e.id = versions.entity_id)"
            " WHERE entity_id = ? AND version_number = ? AND delta_depth = 0 AND compressed_data IS NULL",
            (_digest(entity.checksum), entity.id, entity.version),
        )

    def _write_first_row(self, entity: Entity) -> None:
        """Give the first version its row, if it has none; more versions are about to follow."""
        if entity.version == 1:
            self._scope.connection.execute(_FIRST_ROW, (entity.id,))

    def _stored(
        self, entity_id: int, parent: int, old: tuple[str, Sequence[str]], new: tuple[str, Sequence[str]], size: int
    ) -> tuple[tuple[int, int, Packed | None], str | None]:
        """How a version is kept: depth, bytes of deltas and the delta, or (0, 0, None) for a keyframe; and its type.

        A keyframe comes when the deltas since the last one take more than a whole, or are too many to read quickly;
        so all versions together take at most about twice what their changes take.
        """
        row = self._scope.connection.execute(
            "SELECT delta_depth, delta_bytes FROM versions WHERE entity_id = ? AND version_number = ?",
            (entity_id, parent),
        ).fetchone()
        if row is None:  # a damaged history; what comes now is whole again
            return (0, 0, None), new[0]
        depth, delta_bytes = row
        delta = self._scope.contents.pack_delta(difference(old[1], new[1]))
        delta_bytes += len(delta.blob)
        if depth + 1 > _LONGEST_CHAIN or delta_bytes > size:
            return (0, 0, None), new[0]
        return (depth + 1, delta_bytes, delta), new[0] if new[0] != old[0] else None

    def _next(self, entity_id: int) -> int:
        statement = "SELECT coalesce(max(version_number), 0) + 1 FROM versions WHERE entity_id = ?"
        return int(self._scope.connection.execute(statement, (entity_id,)).fetchone()[0])

    def set_head(self, entity_id: int, branch: str, number: int) -> None:
        """Make a version the newest of its branch."""
        self._scope.connection.execute(
            "UPDATE branches SET head_version = ? WHERE entity_id = ? AND name = ?", (number, entity_id, branch)
        )

    def _insert(
        self,
        entity_id: int,
        number: int,
        branch: str,
        change: Change,
        parent: int | None,
        merged: int | None,
        stored: tuple[int, int, Packed | None],
        entity_type: str | None,
    ) -> None:
        depth, delta_bytes, packed = stored
        blob, checksum = (None, None) if packed is None else (packed.blob, bytes.fromhex(packed.checksum))
        self._scope.connection.execute(
            _INSERT,
            (
                *(entity_id, number, branch, blob, change.message, self._scope.now, change.action, parent, merged),
                *(depth, delta_bytes, checksum, entity_type, change.author, change.session, change.method),
            ),
        )

    # ------------------------------------------------------------------------------------------------------ reading

    def read(self, entity: Entity, version: int) -> PastVersion | None:
        """That version of the entity, whole, or None. Raises: Corrupt: its stored bytes fail their check."""
        row = self._scope.connection.execute(f"{_HEADS} AND version_number = ?", (entity.id, version)).fetchone()
        return None if row is None else self._past(entity, row, self._content(entity, version, {}))

    def newest(self, entity: Entity, head: int | None, below: int | None, limit: int) -> list[PastVersion]:
        """Up to `limit` versions numbered under `below`, newest first: all, or those that led to `head`."""
        values = {"entity": entity.id, "head": head, "below": below or 2**62, "limit": limit}
        if head is None:
            statement = (
                "SELECT version_number FROM all_versions WHERE entity_id = :entity AND version_number < :below"
                " ORDER BY version_number DESC LIMIT :limit"
            )
        else:
            statement = _FIRST_PARENTS
        numbers = [row[0] for row in self._scope.connection.execute(statement, values)]
        known: dict[int, _Content] = {}
        found = []
        for number in reversed(numbers):  # from the oldest on, so that each is the one before with its delta applied
            row = self._scope.connection.execute(f"{_HEADS} AND version_number = ?", (entity.id, number)).fetchone()
            found.append(self._past(entity, row, self._content(entity, number, known)))
        return found[::-1]

    def texts(self, entity: Entity) -> set[str]:
        """Every observation of any version that can be read, and every name the entity had."""
        rows = self._scope.connection.execute(
            "SELECT compressed_data, checksum, delta_depth FROM versions WHERE entity_id = ?", (entity.id,)
        )
        found: set[str] = set()
        for blob, checksum, depth in rows.fetchall():
            with suppress(ValueError, TypeError, AttributeError):  # what cannot be read was told in no reply either
                if depth:
                    found.update(self._scope.contents.unpack_delta(blob, checksum.hex()).get("add", []))
                elif blob is not None:
                    found.update(self._scope.contents.unpack(blob, checksum.hex()).observations)
        names = self._scope.connection.execute("SELECT old_name FROM renames WHERE entity_id = ?", (entity.id,))
        return found | {row[0] for row in names}

    def ancestors(self, entity: Entity, version: int) -> set[int]:
        """The versions that `version` came from by parents and merges, itself among them."""
        rows = self._scope.connection.execute(
            "SELECT version_number, parent_version, merged_version FROM versions WHERE entity_id = ?", (entity.id,)
        )
        parents = {number: [p for p in (parent, merged) if p is not None] for number, parent, merged in rows}
        found: set[int] = set()
        waiting = [version]
        while waiting:
            number = waiting.pop()
            if number not in found:
                found.add(number)
                waiting += parents.get(number, [])
        return found

    def last_on(self, entity_id: int, branch: str, after: str, until: str) -> int | None:
        """The last version made on a branch later than one instant and not later than another, or None."""
        row = self._scope.connection.execute(
            "SELECT version_number FROM all_versions WHERE entity_id = :entity AND branch_name = :branch AND"
            " coalesce(created_at, (SELECT created_at FROM entities WHERE id = :entity)) > :after AND"
            " coalesce(created_at, (SELECT created_at FROM entities WHERE id = :entity)) <= :until"
            " ORDER BY version_number DESC LIMIT 1",
            {"entity": entity_id, "branch": branch, "after": after, "until": until},
        ).fetchone()
        return None if row is None else int(row[0])

    def name_at(self, entity: Entity, instant: str) -> str:
        """What the entity was called at an instant."""
        row = self._scope.connection.execute(
            "SELECT old_name FROM renames WHERE entity_id = ? AND created_at > ? ORDER BY id LIMIT 1",
            (entity.id, instant),
        ).fetchone()
        return entity.name if row is None else str(row[0])

    def _past(self, entity: Entity, row: tuple[Any, ...], content: _Content) -> PastVersion:
        action, method = (row[4], row[8]) if row[4] is not None else ("created", "manual")
        created_at = row[9] or entity.created_at
        return PastVersion(
            version=row[0],
            branch=row[1],
            parent=row[2],
            merged=row[3],
            action=action,
            message=row[5],
            author=row[6],
            session=row[7],
            method=method,
            created_at=created_at,
            name=self.name_at(entity, created_at),
            entity_type=content[0],
            observations=content[1],
        )

    def _content(self, entity: Entity, version: int, known: dict[int, _Content]) -> _Content:
        """Type and observations at a version: its keyframe, or one in `known`, with the deltas since applied.

        What was worked out on the way is not kept but for the version itself.
        """
        steps: list[tuple[bytes, str, str | None]] = []
        # A version's parent has a lower number, so one walk downwards meets all of them; a branch's steps lie between.
        rows = self._scope.connection.execute(_BACKWARDS, (entity.id, version))
        wanted: int | None = version
        try:
            base: _Content | None = None
            for number, parent, depth, blob, checksum, entity_type in rows:
                if number != wanted:
                    continue
                if number in known:
                    base = known[number]
                    break
                steps.append((blob, checksum.hex() if checksum else "", entity_type))
                if depth == 0:
                    break
                wanted = parent
            if base is None:
                blob, checksum, first_type = steps.pop()
                base = (first_type or entity.entity_type, self._keyframe(entity, blob, checksum))
            kind, observations = base[0], list(base[1])
            for blob, checksum, new_type in reversed(steps):
                apply(observations, self._scope.contents.unpack_delta(blob, checksum))
                kind = new_type or kind
        except ValueError as error:
            raise Corrupt(
                f"version {version} of {entity.name!r} cannot be read: {error}",
                hint="other versions may be whole; restore the database from a backup to get this one back",
            ) from error
        finally:
            rows.close()
        known[version] = (kind, tuple(observations))
        return known[version]

    def _keyframe(self, entity: Entity, blob: bytes | None, checksum: str) -> tuple[str, ...]:
        """The observations of a keyframe; without bytes of its own it is the entity's current version."""
        if blob is not None:
            return self._scope.contents.unpack(blob, checksum).observations
        if entity.damage is not None:
            raise CorruptBlob(entity.damage)
        return entity.observations


def _digest(checksum: object) -> bytes | None:
    """A checksum as versions keep it; None for one that a damaged row holds, which then matches nothing."""
    try:
        return bytes.fromhex(checksum)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return None
