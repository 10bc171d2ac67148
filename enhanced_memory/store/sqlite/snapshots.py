"""Reads from another process than the one that writes: one connection, with caches of its own.

Above it lie the service's helping processes; below it what the store's own reads use. WAL lets it read beside the
writer, and it never writes or checkpoints, as no reader does.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

from enhanced_memory.store.base import Analyser, Transaction
from enhanced_memory.store.sqlite import dictionary
from enhanced_memory.store.sqlite.codec import Codec
from enhanced_memory.store.sqlite.connections import open_reader, translated
from enhanced_memory.store.sqlite.contents import Contents
from enhanced_memory.store.sqlite.drafts import made_as_sent
from enhanced_memory.store.sqlite.index import FrequencyCache
from enhanced_memory.store.sqlite.indexing import IndexQueue
from enhanced_memory.store.sqlite.rows import Rows
from enhanced_memory.store.sqlite.scope import Clock, Scope
from enhanced_memory.store.sqlite.signs import Signs
from enhanced_memory.store.sqlite.store import MAKE_READY, TRAIN, SQLiteTransaction, load_dictionaries, sample, utc_now

T = TypeVar("T")


class Snapshots:
    """A database that another process has open for writing, to be read in one thread.

    `accessed` gathers the entities that were read, for whoever counts accesses; to be emptied by them.
    """

    def __init__(self, path: str, analyser: Analyser) -> None:
        with translated():
            self._connection = open_reader(path)
        self._analyser = analyser
        self._clock = Clock(utc_now)
        self._frequencies = FrequencyCache()
        self._signs = Signs()
        self._codec = Codec()
        self._dictionaries: set[int] | None = None
        self.accessed: list[int] = []

    def read(self, work: Callable[[Transaction], T], namespace: str, timeout_s: float) -> T:
        """Run `work` on a snapshot. Raises: what `work` raises; translated errors of SQLite."""
        connection = self._connection
        with translated():
            connection.deadline = time.monotonic() + timeout_s
            connection.execute("BEGIN")
            try:
                self._know_dictionaries()
                scope = Scope(
                    connection,
                    namespace,
                    self._clock.now(),
                    self._contents,
                    self._rows,
                    self._analyser,
                    IndexQueue(),
                    self._signs,
                    self.accessed.extend,
                )
                return work(SQLiteTransaction(scope, self._frequencies))
            finally:
                connection.deadline = float("inf")
                connection.execute("ROLLBACK")

    def do(self, task: str, data: Any, timeout_s: float) -> Any:
        """A task of the store that has the database open for writing, as its `Helpers` brought it; JSON in and out.

        Raises: KeyError: there is no such task; translated errors of SQLite.
        """
        tasks: dict[str, Callable[[Any, float], Any]] = {MAKE_READY: self._make_ready, TRAIN: self._train}
        return tasks[task](data, timeout_s)

    def _make_ready(self, sent: list[Any], timeout_s: float) -> list[list[Any] | None]:
        self.read(lambda _: None, "", timeout_s)  # tells of new dictionaries
        return made_as_sent(sent, self._contents, self._analyser)

    def _train(self, entities: int, timeout_s: float) -> str:
        """A dictionary of the words of the store, which has so many entities, as Latin-1."""
        return dictionary.train(self.read(partial(sample, entities), "", timeout_s)).decode("latin-1")

    def _know_dictionaries(self) -> None:
        """Take in the dictionaries that were made since the last snapshot; begin anew if one was dropped."""
        found = {number for (number,) in self._connection.execute("SELECT id FROM dictionaries")}
        if found == self._dictionaries:
            return
        if self._dictionaries is None or not found >= self._dictionaries:
            self._codec = Codec()
            self._contents = Contents(self._codec)
            self._rows = Rows(self._contents)
        load_dictionaries(self._connection, self._codec)
        self._dictionaries = found
