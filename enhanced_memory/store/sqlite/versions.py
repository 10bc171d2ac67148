"""Versions: every change of an entity's name, type or observations, as a keyframe or a delta against its parent.

Above it lie `entities`, which appends, and the store's transaction, through which history is read; below it the
contents and the deltas. History is only ever appended to.
"""

from __future__ import annotations

from collections.abc import Sequence

from enhanced_memory.errors import Corrupt
from enhanced_memory.store.base import Change, Entity, PastVersion
from enhanced_memory.store.sqlite.codec import CorruptBlob
from enhanced_memory.store.sqlite.contents import Packed
from enhanced_memory.store.sqlite.delta import applied, difference
from enhanced_memory.store.sqlite.scope import Scope

_LONGEST_CHAIN = 1_000
"""Deltas between two keyframes at the most: bounds the time to read any version (about 10 µs a delta)."""

_INSERT = (
    "INSERT INTO versions (entity_id, version_number, branch_name, compressed_data, commit_message, created_at, action,"
    " parent_version, delta_depth, delta_bytes, checksum, name, entity_type, author, session, method)"
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)

_LINEAGE = """
WITH RECURSIVE lineage (version_number, parent_version, delta_depth, compressed_data, checksum, name, entity_type) AS (
    SELECT version_number, parent_version, delta_depth, compressed_data, checksum, name, entity_type
    FROM versions WHERE entity_id = :entity AND version_number = :version
    UNION ALL
    SELECT v.version_number, v.parent_version, v.delta_depth, v.compressed_data, v.checksum, v.name, v.entity_type
    FROM lineage l JOIN versions v ON v.entity_id = :entity AND v.version_number = l.parent_version
    WHERE l.delta_depth > 0
)
SELECT delta_depth, compressed_data, checksum, name, entity_type FROM lineage
"""


class SQLiteVersions:
    """The `versions` table."""

    def __init__(self, scope: Scope) -> None:
        self._scope = scope

    def begin(self, entity_id: int, name: str, entity_type: str, change: Change, number: int = 1) -> None:
        """The first version of a new entity: a keyframe whose bytes lie in the entities row."""
        self._insert(entity_id, number, "main", change, number - 1 or None, (0, 0, None), (name, entity_type))

    def append(
        self,
        entity: Entity,
        change: Change,
        observations: Sequence[str],
        stored_bytes: int,
        *,
        name: str,
        entity_type: str,
    ) -> int:
        """The next version, on the entity's branch and on top of its current one; returns its number.

        `entity` is the state before, `observations` are the new content, which takes `stored_bytes` in the entities
        row; the row itself is written after this.
        """
        connection = self._scope.connection
        depth, delta_bytes, has_data = connection.execute(
            "SELECT delta_depth, delta_bytes, compressed_data IS NOT NULL FROM versions"
            " WHERE entity_id = ? AND version_number = ?",
            (entity.id, entity.version),
        ).fetchone()
        if depth == 0 and not has_data:
            connection.execute(
                "UPDATE versions SET (compressed_data, checksum) ="
                " (SELECT compressed_data, checksum FROM entities WHERE id = versions.entity_id)"
                " WHERE entity_id = ? AND version_number = ?",
                (entity.id, entity.version),
            )
        (number,) = connection.execute(
            "SELECT max(version_number) + 1 FROM versions WHERE entity_id = ?", (entity.id,)
        ).fetchone()
        delta = self._scope.contents.pack_delta(difference(entity.observations, observations))
        delta_bytes += len(delta.blob)
        if depth + 1 > _LONGEST_CHAIN or delta_bytes > stored_bytes:
            self._insert(entity.id, number, entity.branch, change, entity.version, (0, 0, None), (name, entity_type))
        else:
            stored = (depth + 1, delta_bytes, delta)
            names = (name if name != entity.name else None, entity_type if entity_type != entity.entity_type else None)
            self._insert(entity.id, number, entity.branch, change, entity.version, stored, names)
        return int(number)

    def read(self, entity: Entity, version: int) -> PastVersion | None:
        """That version of the entity, whole, or None. Raises: Corrupt: its stored bytes fail their check."""
        row = self._scope.connection.execute(
            "SELECT branch_name, parent_version, action, commit_message, author, session, method, created_at"
            " FROM versions WHERE entity_id = ? AND version_number = ?",
            (entity.id, version),
        ).fetchone()
        if row is None:
            return None
        name, entity_type, observations = self._content(entity, version)
        return PastVersion(
            version=version,
            branch=row[0],
            parent=row[1],
            action=row[2],
            message=row[3],
            author=row[4],
            session=row[5],
            method=row[6],
            created_at=row[7],
            name=name,
            entity_type=entity_type,
            observations=tuple(observations),
        )

    def _content(self, entity: Entity, version: int) -> tuple[str, str, list[str]]:
        """Name, type and observations at that version: its keyframe with the deltas since applied."""
        lineage = self._scope.connection.execute(_LINEAGE, {"entity": entity.id, "version": version}).fetchall()
        _, blob, checksum, name, entity_type = lineage.pop()
        try:
            if blob is None:
                if entity.damage is not None:
                    raise CorruptBlob(entity.damage)
                observations = list(entity.observations)
            else:
                observations = list(self._scope.contents.unpack(blob, checksum).observations)
            for _, blob, checksum, new_name, new_type in reversed(lineage):
                observations = applied(observations, self._scope.contents.unpack_delta(blob, checksum))
                name, entity_type = new_name or name, new_type or entity_type
        except ValueError as error:
            raise Corrupt(
                f"version {version} of {entity.name!r} cannot be read: {error}",
                hint="other versions may be whole; restore the database from a backup to get this one back",
            ) from error
        return name, entity_type, observations

    def _insert(
        self,
        entity_id: int,
        number: int,
        branch: str,
        change: Change,
        parent: int | None,
        stored: tuple[int, int, Packed | None],
        names: tuple[str | None, str | None],
    ) -> None:
        depth, delta_bytes, packed = stored
        self._scope.connection.execute(
            _INSERT,
            (
                entity_id,
                number,
                branch,
                None if packed is None else packed.blob,
                change.message,
                self._scope.now,
                change.action,
                parent,
                depth,
                delta_bytes,
                None if packed is None else packed.checksum,
                *names,
                change.author,
                change.session,
                change.method,
            ),
        )
