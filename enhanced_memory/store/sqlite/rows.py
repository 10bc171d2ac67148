"""Rows of the table `entities` as entities, with what was read lately kept.

Above it lie `entities` and the scope; below it the contents.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Generic, TypeVar

from enhanced_memory.store.base import Details, Entity, Outline
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

OUTLINE = (
    "SELECT id, namespace_id, name, entity_type, tier, always_include, relevance_score, source_session, last_confirmed,"
    " created_at, coalesce(updated_at, created_at), checksum, length(compressed_data) FROM entities"
)
"""What an outline is made of, but for the content, which its checksum stands for; a condition follows."""

DETAILS = (
    "SELECT id, current_version, current_branch, access_count, coalesce(last_accessed, created_at), checksum,"
    " compressed_data FROM entities"
)
"""What is told of an entity beside its outline; a condition follows."""

_KEPT = 4_096
_KEPT_OUTLINES = 8_192
"""Entities of up to SMALL_BLOB stored bytes that are kept; their observations are kept by the contents as well. What a
search notes with an outline takes some 4 KiB, so 32 MiB for all of them."""

_Row = tuple[Any, ...]
_T = TypeVar("_T")

_UNKNOWN_TIME = "1970-01-01T00:00:00.000000Z"
_BAD_COLUMNS = "its times or its relevance are not as they were written"
_BYTES = "it has bytes where a text belongs"


class _Kept(Generic[_T]):
    """What was made of the latest row of each number, as long as that row stays as it was. Safe for many threads."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._lock = threading.Lock()
        self.known: dict[int, tuple[_Row, _T]] = {}

    def get(self, row: _Row) -> _T | None:
        """What was made of this very row, if it is kept."""
        kept = self.known.get(row[0])
        return kept[1] if kept is not None and kept[0] == row else None

    def put(self, row: _Row, made: _T) -> None:
        """Keep it; what was put first goes when there are too many."""
        with self._lock:
            self.known.pop(row[0], None)
            self.known[row[0]] = row, made
            if len(self.known) > self._most:
                del self.known[next(iter(self.known))]


class Rows:
    """Makes entities of rows that SELECT gives, and outlines of those of OUTLINE. Safe for many threads.

    An entity is kept by its whole row, stored bytes included, so what has changed is never mistaken for it. An outline
    is kept by its row, which has the checksum of the stored bytes.
    """

    def __init__(self, contents: Contents) -> None:
        self._contents = contents
        self._known: _Kept[Entity] = _Kept(_KEPT)
        self._outlines: _Kept[Outline] = _Kept(_KEPT_OUTLINES)
        self._namespaces: Mapping[int, str] = {}

    def entity(self, row: _Row) -> Entity:
        """A row as an entity; damaged content is told, not raised, so that one bad row hides no other."""
        entity = self._known.get(row)
        if entity is None:
            entity = self._read(row)
            if isinstance(row[20], bytes) and len(row[20]) <= SMALL_BLOB:
                self._known.put(row, entity)
        return entity

    def outlines(
        self,
        rows: Iterable[_Row],
        namespaces: Callable[[], Mapping[int, str]],
        blobs: Callable[[Sequence[int]], Mapping[int, Any]],
    ) -> dict[int, Outline]:
        """Rows as outlines, by number; one of an unknown namespace is left out.

        `namespaces` gives the names of all, by number, and `blobs` the stored bytes of some entities, which are asked
        for what is not known yet.
        """
        known, found = self._outlines.known, {}
        unknown = []
        for row in rows:
            kept = known.get(row[0])
            if kept is not None and kept[0] == row:
                found[row[0]] = kept[1]
            else:
                unknown.append(row)
        if unknown:
            stored = blobs([row[0] for row in unknown])
            if not all(row[1] in self._namespaces for row in unknown):
                self._namespaces = namespaces()
            for row in unknown:
                if row[1] in self._namespaces:
                    found[row[0]] = outline = self._outlined(row, stored[row[0]])
                    if outline.damage is None and row[12] <= SMALL_BLOB:
                        self._outlines.put(row, outline)
        return found

    def details(self, row: _Row) -> Details:
        """A row that DETAILS gives as such; the stored bytes are checked again."""
        _, version, branch, accesses, accessed, checksum, blob = row
        damage, last = self._unpacked(blob, checksum)[1], as_stamp(accessed)
        return Details(version, branch, accesses, last or _UNKNOWN_TIME, _BAD_COLUMNS if last is None else damage)

    def _outlined(self, row: _Row, blob: Any) -> Outline:
        unpacked, damage = self._unpacked(blob, row[11])
        created, updated, confirmed = map(as_stamp, (row[9], row[10], row[8]))
        if None in (created, updated) or not _is_share(row[6]) or (confirmed is None and row[8] is not None):
            unpacked, damage = Unpacked((), None), _BAD_COLUMNS
        if bytes in map(type, row[:9]):
            unpacked, damage, row = Unpacked((), None), _BYTES, _spelled(row)
        return Outline(
            id=row[0],
            namespace=self._namespaces[row[1]],
            name=row[2],
            entity_type=row[3],
            observations=unpacked.observations,
            tier=row[4],
            always_include=bool(row[5]),
            relevance_score=row[6] if _is_share(row[6]) else 0.0,
            source_session=row[7],
            last_confirmed=confirmed,
            created_at=created or _UNKNOWN_TIME,
            updated_at=updated or _UNKNOWN_TIME,
            slots=unpacked.slots,
            damage=damage,
        )

    def _unpacked(self, blob: Any, checksum: Any) -> tuple[Unpacked, str | None]:
        """The content, and what is wrong with it if something is."""
        try:
            return self._contents.unpack(blob, checksum), None
        except CorruptBlob as error:
            return Unpacked((), None), str(error)

    def _read(self, row: _Row) -> Entity:
        unpacked, damage = self._unpacked(row[20], row[19])
        times = [as_stamp(time) for time in row[12:15]]
        confirmed = as_stamp(row[10])
        if None in times or not _is_share(row[6]) or (confirmed is None and row[10] is not None):
            unpacked, damage = Unpacked((), None), _BAD_COLUMNS
        if bytes in map(type, (*row[:20], *row[21:])):
            unpacked, damage, row = Unpacked((), None), _BYTES, _spelled(row)
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


def _spelled(row: _Row) -> _Row:
    """The row with text in the place of bytes, so that what is told of it can be told."""
    return tuple(value.decode(errors="replace") if isinstance(value, bytes) else value for value in row)


def _is_share(value: object) -> bool:
    return isinstance(value, int | float) and 0 <= value <= 1
