"""Index rows: how they are numbered, and the queue in which they wait for the end of a group of writes.

Above it lie `index` and `entities`; below it the connection.
"""

from __future__ import annotations

from itertools import groupby
from operator import itemgetter

from enhanced_memory.store.base import Analyser
from enhanced_memory.store.sqlite.connections import Connection

NEAR_SLOTS = 8
FAR_SLOTS = 16_384
FAR_ROWS = 1 << 40
"""Row numbers: the first 8 places of an entity lie at id * 8, the others from 2^40 on at id * 16,384.

Dense numbers keep the index's lists of rows short, and most entities hold few observations; 16,384 places hold the
10,000 observations an entity may have, and those it lost meanwhile.
"""


def row_number(entity_id: int, slot: int) -> int:
    """The index row of an entity's place `slot`."""
    if slot < NEAR_SLOTS:
        return entity_id * NEAR_SLOTS + slot
    return FAR_ROWS + entity_id * FAR_SLOTS + slot


def entity_and_slot(row: int) -> tuple[int, int]:
    """Whose row it is: entity number and place."""
    return divmod(row, NEAR_SLOTS) if row < FAR_ROWS else divmod(row - FAR_ROWS, FAR_SLOTS)


def row_ranges(entity_id: int) -> tuple[tuple[int, int], tuple[int, int]]:
    """The first and last numbers of the entity's near rows, and of its far ones."""
    far = FAR_ROWS + entity_id * FAR_SLOTS
    return (entity_id * NEAR_SLOTS, (entity_id + 1) * NEAR_SLOTS - 1), (far, far + FAR_SLOTS - 1)


ENTITY_OF_ROW = (
    f"CASE WHEN search_index.rowid < {FAR_ROWS} THEN search_index.rowid / {NEAR_SLOTS}"
    f" ELSE (search_index.rowid - {FAR_ROWS}) / {FAR_SLOTS} END"
)
"""The same in SQL."""

_INSERT = "INSERT INTO search_index (rowid, body, who, name, type) VALUES (?, ?, ?, ?, ?)"
_DELETE = "INSERT INTO search_index (search_index, rowid, body, who, name, type) VALUES ('delete', ?, ?, ?, ?, ?)"

Fields = tuple[str, str, str, str]
"""Words of the columns body, who, name, type, parted by spaces."""


def label_fields(analyser: Analyser, name: str, entity_type: str) -> Fields:
    """The row of an entity's name and type."""
    return "", "", " ".join(analyser.label(name)), " ".join(analyser.label(entity_type))


def observation_fields(analyser: Analyser, text: str) -> Fields:
    """The row of an observation."""
    who, body = analyser.observation(text)
    return " ".join(body), " ".join(who), "", ""


class IndexQueue:
    """Changes of the index that wait for the end of the writer's group.

    The full-text index writes a segment of its own at every savepoint, which doubles the price of a small write; so
    each request's changes are kept aside, and those of the whole group are written together before it commits.
    A request that searches gets them written first. Used by the writer's thread alone.
    """

    def __init__(self) -> None:
        self.awaited = range(0)
        """Entities that the index, which is being made anew, does not hold yet: they come as they are then."""
        self._settled: list[tuple[str, tuple[object, ...]]] = []  # of requests that succeeded, not yet written
        self._own: list[tuple[str, tuple[object, ...]]] = []  # of the request that runs
        self._exposed: list[tuple[str, tuple[object, ...]]] = []  # settled ones written inside its savepoint

    def insert(self, row: int, fields: Fields) -> None:
        """Add a row."""
        if entity_and_slot(row)[0] in self.awaited:
            return
        self._own.append((_INSERT, (row, *fields)))

    def delete(self, row: int, fields: Fields) -> None:
        """Take a row away; `fields` must be what it was inserted with."""
        if entity_and_slot(row)[0] in self.awaited:
            return
        self._own.append((_DELETE, (row, *fields)))

    def begin_group(self) -> None:
        """A transaction begins."""
        self._settled, self._own, self._exposed = [], [], []

    def succeed(self) -> None:
        """The request that ran is to be kept."""
        self._settled += self._own
        self._own, self._exposed = [], []

    def fail(self) -> None:
        """The request that ran is taken back, with all that was written inside its savepoint."""
        self._settled = self._exposed + self._settled
        self._own, self._exposed = [], []

    def flush(self, connection: Connection) -> None:
        """Write what waits."""
        for statement, run in groupby(self._settled + self._own, key=itemgetter(0)):
            connection.executemany(statement, [values for _, values in run])
        self._exposed += self._settled
        self._settled, self._own = [], []
