"""Vectors: what observations mean, beside the index and under its row numbers.

Above it lies the store's transaction; below it the signs in memory, which point at the rows worth reading. A row leaves
in the transaction in which its observation leaves the index, and comes later, when somebody has made it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from enhanced_memory.store.base import Entity, Filter, Hit, Unembedded
from enhanced_memory.store.sqlite.filters import conditions, is_everything, marks
from enhanced_memory.store.sqlite.indexing import entity_and_slot, row_number, row_ranges
from enhanced_memory.store.sqlite.scope import Scope

_MODEL = "vector_model"

_JUDGED = 1_000
"""Vectors read for one search: of the nearest ten by the vectors, the best 1,000 by their signs have 99.5 % among
100,000, 93 % among a million."""

_CHUNK = 500
_LOADED_AT_ONCE = 10_000
_COMPARED_AT_ONCE = 256


class SQLiteVectors:
    """The `vectors` table."""

    def __init__(self, scope: Scope, by_ids: Callable[[Sequence[int]], dict[int, Entity]]) -> None:
        self._scope = scope
        self._by_ids = by_ids
        self._signs = scope.signs

    def begin(self, model: str, dimensions: int, changed: Callable[[], None]) -> None:
        """Vectors of this model are wanted from now on; those of another are dropped."""
        execute = self._scope.connection.execute
        row = execute("SELECT value FROM meta WHERE key = ?", (_MODEL,)).fetchone()
        if row is None or row[0] != model:
            execute("DELETE FROM vectors")
            execute("INSERT OR REPLACE INTO meta (key, value) VALUES (?, ?)", (_MODEL, model))
        self._signs.open(dimensions, changed)
        self._load()

    def _load(self) -> None:
        """The signs of all rows."""
        self._signs.clear()
        rows = self._scope.connection.execute("SELECT row, data FROM vectors")
        while part := rows.fetchmany(_LOADED_AT_ONCE):
            self._signs.add([row for row, _ in part], [data for _, data in part])

    def missing(self, after: int, limit: int) -> tuple[list[Unembedded], int | None]:
        """Those without vectors among the `limit` entities numbered above `after`, and the last of these, if any."""
        rows = self._scope.connection.execute(
            "SELECT id FROM entities WHERE id > ? AND deleted_at IS NULL ORDER BY id LIMIT ?", (after, limit)
        )
        ids = [row[0] for row in rows.fetchall()]
        return self.missing_of(ids), ids[-1] if ids else None

    def missing_of(self, ids: Iterable[int]) -> list[Unembedded]:
        """Those without vectors of these entities."""
        said = {
            row_number(entity.id, slot): Unembedded(entity.id, slot, text)
            for entity in self._by_ids(list(ids)).values()
            for slot, text in _slots(entity)
        }
        there = self._read(list(said), "row")
        return [each for row, each in said.items() if row not in there]

    def take_changed(self, limit: int) -> list[int]:
        """Up to `limit` entities that got observations since they were last taken."""
        if self._signs.is_stale:
            self._load()
        return self._signs.take_changed(limit)

    def put(self, made: Sequence[tuple[Unembedded, bytes]]) -> None:
        """Keep vectors; one whose observation is no longer there, or says something else by now, is dropped."""
        if not self._signs.is_open:
            return
        entities = self._by_ids(list({each.entity_id for each, _ in made}))
        rows, vectors = [], []
        for each, vector in made:
            entity = entities.get(each.entity_id)
            place = None if entity is None else entity.position(each.slot)
            if entity is not None and place is not None and entity.observations[place] == each.text:
                row = row_number(each.entity_id, each.slot)
                kept = self._scope.connection.execute("INSERT OR IGNORE INTO vectors VALUES (?, ?)", (row, vector))
                if kept.rowcount:
                    rows.append(row)
                    vectors.append(vector)
        self._signs.add(rows, vectors)

    def count(self) -> int:
        """How many observations have vectors."""
        return self._signs.count

    def nearest(self, vector: bytes, wanted: Filter, limit: int) -> list[Hit]:
        """The `limit` observations that mean most nearly the same, best first; 1,000 at the most."""
        if not self._signs.is_open:
            return []
        entities = None
        if not is_everything(self._scope, wanted):
            parts, values = conditions(self._scope, wanted)
            found = self._scope.connection.execute(f"SELECT id FROM entities WHERE {' AND '.join(parts)}", values)
            entities = {row[0] for row in found.fetchall()}
        rows = self._signs.nearest(vector, _JUDGED, entities)
        ranked = sorted(self._cosines(vector, rows).items(), key=lambda item: (-item[1], -item[0]))
        return [Hit(*entity_and_slot(row), cosine) for row, cosine in ranked[:limit]]

    def likeness(self, vector: bytes, places: Sequence[tuple[int, int]]) -> list[float | None]:
        """The cosine, -1..1, for each (entity, place in the index); None for one that has no vector yet."""
        if not self._signs.is_open:
            return [None] * len(places)
        rows = [row_number(*place) for place in places]
        cosines = self._cosines(vector, rows)
        return [cosines.get(row) for row in rows]

    def alike(self, places: Sequence[tuple[int, int]], least: float, most: int) -> list[tuple[int, int]]:
        """Pairs of these (entity, place in the index) whose cosine is at least `least`, by their order in `places`.

        The earlier one first, and of each later one no more than `most` pairs, those with the earliest.
        """
        if not self._signs.is_open:
            return []
        import numpy

        rows = [row_number(*place) for place in places]
        there = self._read(rows, "row, data")
        held = [at for at, row in enumerate(rows) if row in there]
        if not held:
            return []
        matrix = numpy.frombuffer(b"".join(there[rows[at]][1] for at in held), "<f2").astype(numpy.float32)
        matrix = matrix.reshape(len(held), -1)
        found: list[tuple[int, int]] = []
        for start in range(0, len(held), _COMPARED_AT_ONCE):
            cosines = matrix[start : start + _COMPARED_AT_ONCE] @ matrix.T
            for at, row in enumerate(cosines, start):
                found += [(held[int(other)], held[at]) for other in numpy.flatnonzero(row[:at] >= least)[:most]]
        return found

    def _cosines(self, vector: bytes, rows: Sequence[int]) -> dict[int, float]:
        """The likeness of those rows that there are. All vectors have length 1."""
        import numpy

        found = self._read(rows, "row, data")
        if not found:
            return {}
        kept = [row for row, (_, data) in found.items() if len(data) == len(vector)]
        matrix = numpy.frombuffer(b"".join(found[row][1] for row in kept), "<f2").astype(numpy.float32)
        cosines = matrix.reshape(len(kept), -1) @ numpy.frombuffer(vector, "<f2").astype(numpy.float32)
        return dict(zip(kept, cosines.tolist(), strict=True))

    def _read(self, rows: Sequence[int], columns: str) -> dict[int, tuple[Any, ...]]:
        """Those of the rows that there are, by number."""
        found = {}
        for start in range(0, len(rows), _CHUNK):
            part = rows[start : start + _CHUNK]
            statement = f"SELECT {columns} FROM vectors WHERE row IN ({marks(len(part))})"
            found.update({row[0]: row for row in self._scope.connection.execute(statement, part)})
        return found


def forget(scope: Scope, entity_id: int, slot: int) -> None:
    """The observation at this place is gone."""
    row = row_number(entity_id, slot)
    scope.signs.lose(scope.connection.execute("DELETE FROM vectors WHERE row = ?", (row,)).rowcount)


def forget_all(scope: Scope, entity_id: int) -> None:
    """All observations of the entity are gone, those too that could no longer be read."""
    for rows in row_ranges(entity_id):
        scope.signs.lose(scope.connection.execute("DELETE FROM vectors WHERE row BETWEEN ? AND ?", rows).rowcount)


def _slots(entity: Entity) -> Iterable[tuple[int, str]]:
    """The observations of an entity with their places in the index."""
    return zip(entity.slots or range(1, len(entity.observations) + 1), entity.observations, strict=True)
