"""Rows of the table `entities` as entities, with what was read lately kept.

Above it lie `entities` and the scope; below it the contents.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from enhanced_memory.store.base import Entity
from enhanced_memory.store.sqlite.codec import CorruptBlob
from enhanced_memory.store.sqlite.contents import SMALL_BLOB, Contents, Unpacked
from enhanced_memory.store.sqlite.stamps import as_stamp

SELECT = (
    "SELECT entities.id, namespaces.name, entities.name, entity_type, tier, always_include, relevance_score,"
    " source_session, source_timestamp, extraction_method, last_confirmed, access_count, entities.created_at,"
    " coalesce(updated_at, entities.created_at), coalesce(last_accessed, entities.created_at), current_version,"
    " current_branch, original_size, compressed_size, checksum, compressed_data, deleted_at, parent_entity_id,"
    " conflict_resolution_method"
    " FROM entities JOIN namespaces ON namespaces.id = entities.namespace_id"
)
"""What a row is made of; a condition follows."""

_KEPT = 4_096
"""Entities of up to SMALL_BLOB stored bytes that are kept; their observations are kept by the contents as well."""

_UNKNOWN_TIME = "1970-01-01T00:00:00.000000Z"


class Rows:
    """Makes entities of rows that SELECT gives. Safe for many threads.

    An entity is kept by its whole row, stored bytes included, so what has changed is never mistaken for it.
    """

    def __init__(self, contents: Contents) -> None:
        self._contents = contents
        self._known = lru_cache(_KEPT)(self._read)

    def entity(self, row: tuple[Any, ...]) -> Entity:
        """A row as an entity; damaged content is told, not raised, so that one bad row hides no other."""
        blob = row[20]
        return self._known(row) if isinstance(blob, bytes) and len(blob) <= SMALL_BLOB else self._read(row)

    def _read(self, row: tuple[Any, ...]) -> Entity:
        damage = None
        try:
            unpacked = self._contents.unpack(row[20], row[19])
        except CorruptBlob as error:
            unpacked, damage = Unpacked((), None), str(error)
        times = [as_stamp(time) for time in row[12:15]]
        confirmed = as_stamp(row[10])
        if None in times or not _is_share(row[6]) or (confirmed is None and row[10] is not None):
            unpacked, damage = Unpacked((), None), "its times or its relevance are not as they were written"
        return Entity(
            id=row[0],
            namespace=row[1],
            name=row[2],
            entity_type=row[3],
            observations=unpacked.observations,
            tier=row[4],
            always_include=bool(row[5]),
            relevance_score=row[6] if _is_share(row[6]) else 0.0,
            source_session=row[7],
            source_timestamp=row[8],
            extraction_method=row[9],
            last_confirmed=confirmed,
            access_count=row[11],
            created_at=times[0] or _UNKNOWN_TIME,
            updated_at=times[1] or _UNKNOWN_TIME,
            last_accessed=times[2] or _UNKNOWN_TIME,
            version=row[15],
            branch=row[16],
            original_bytes=row[17],
            stored_bytes=row[18],
            checksum=row[19],
            deleted_at=row[21],
            parent_entity_id=row[22],
            conflict_resolution_method=row[23],
            slots=unpacked.slots,
            damage=damage,
        )


def _is_share(value: object) -> bool:
    return isinstance(value, int | float) and 0 <= value <= 1
