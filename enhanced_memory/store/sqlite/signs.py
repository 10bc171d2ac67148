"""The signs of all vectors, in memory: one bit a dimension, with which the nearest of a million are soon found.

Above it lies `vectors`, which judges what is found here by the vectors themselves. The table is what counts, this only
points into it. One for all transactions of a store; until it is opened it costs nothing and imports nothing.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Sequence
from typing import TYPE_CHECKING, Any

from enhanced_memory.store.sqlite.indexing import FAR_ROWS, FAR_SLOTS, NEAR_SLOTS

if TYPE_CHECKING:
    import numpy

    Numbers = numpy.ndarray[Any, numpy.dtype[Any]]

_WORD_BITS = 64
_FIRST_ROOM = 1_024


class Signs:
    """Row numbers with signs, and the entities whose observations may lack vectors. Safe for many threads.

    A row that was taken away is still found, and its vector then missed in the table, until the next `clear`.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._changed: dict[int, None] = {}
        self._notify: Callable[[], None]
        self._rows: Numbers
        self._bits: Numbers  # a row for each 64 dimensions, a column for each vector
        self._held = 0
        self._gone = 0
        self.dimensions = 0

    @property
    def is_open(self) -> bool:
        """Whether vectors are wanted."""
        return self.dimensions > 0

    @property
    def is_stale(self) -> bool:
        """Whether so many rows were taken away that it is worth reading the others anew."""
        return self._gone > 1_000 + self._held // 4

    @property
    def count(self) -> int:
        """How many vectors there are, about: a write that fails after it added or took some away is not made up for."""
        return max(self._held - self._gone, 0)

    def open(self, dimensions: int, changed: Callable[[], None]) -> None:
        """Be ready for vectors of so many dimensions; `changed` is called when an entity is to be taken."""
        self._notify = changed
        self.dimensions = dimensions
        self.clear()

    def clear(self) -> None:
        """Hold nothing."""
        import numpy

        with self._lock:
            self._rows = numpy.zeros(_FIRST_ROOM, numpy.int64)
            self._bits = numpy.zeros((self.dimensions // _WORD_BITS, _FIRST_ROOM), numpy.uint64)
            self._held = self._gone = 0

    def add(self, rows: Sequence[int], vectors: Sequence[bytes]) -> None:
        """Hold the signs of these rows' vectors too."""
        import numpy

        if not rows:
            return
        bits = self._signs(b"".join(vectors))
        with self._lock:
            end = self._held + len(rows)
            if end > len(self._rows):
                room = max(end, 2 * len(self._rows))
                self._rows = numpy.resize(self._rows, room)
                wider = numpy.zeros((len(self._bits), room), numpy.uint64)
                wider[:, : self._held] = self._bits[:, : self._held]
                self._bits = wider
            self._rows[self._held : end] = rows
            self._bits[:, self._held : end] = bits
            self._held = end

    def lose(self, count: int) -> None:
        """So many rows were taken away."""
        self._gone += count

    def expect(self, entity_id: int) -> None:
        """An observation came to this entity."""
        if self.is_open:
            with self._lock:
                self._changed[entity_id] = None
            self._notify()

    def take_changed(self, limit: int) -> list[int]:
        """Up to `limit` entities to which observations came, the first first."""
        with self._lock:
            taken = list(self._changed)[:limit]
            for number in taken:
                del self._changed[number]
        return taken

    def nearest(self, vector: bytes, limit: int, entities: Collection[int] | None) -> list[int]:
        """About `limit` rows whose signs differ least from the vector's; only of these entities, unless None."""
        import numpy

        with self._lock:
            held, rows, bits = self._held, self._rows[: self._held], self._bits[:, : self._held]
        if not held or (entities is not None and not entities):
            return []
        if entities is not None:
            chosen = numpy.isin(_entities_of(rows), numpy.fromiter(entities, numpy.int64, len(entities)))
            rows, bits = rows[chosen], bits[:, chosen]
        differing = numpy.zeros(len(rows), numpy.uint16)
        for word, wanted in zip(bits, self._signs(vector)[:, 0], strict=True):
            differing += numpy.bitwise_count(word ^ wanted)
        if len(rows) > limit:
            rows = rows[numpy.argpartition(differing, limit)[:limit]]
        return [int(row) for row in numpy.unique(rows)]

    def _signs(self, vectors: bytes) -> Numbers:
        """The signs of vectors, a column for each."""
        import numpy

        numbers = numpy.frombuffer(vectors, "<f2").reshape(-1, self.dimensions)
        return numpy.packbits(numbers > 0, axis=1).view(numpy.uint64).T


def _entities_of(rows: Numbers) -> Numbers:
    """Whose rows they are; `entity_and_slot` for many."""
    import numpy

    far = rows >= FAR_ROWS
    return numpy.where(far, (rows - FAR_ROWS) // FAR_SLOTS, rows // NEAR_SLOTS)
