"""The store on SQLite: one connection that writes behind one thread, and others that read beside it.

Above it lie the service and, through their context, the operations; below it the files of the tables.
"""

from __future__ import annotations

import logging
import os
import queue
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import closing
from datetime import UTC, datetime
from typing import TypeVar

from enhanced_memory.errors import Busy, ShuttingDown
from enhanced_memory.store.base import (
    Analyser,
    Branches,
    Conflicts,
    Draft,
    Entities,
    History,
    Index,
    Relations,
    Requests,
    Transaction,
    Vectors,
    Versions,
)
from enhanced_memory.store.sqlite import dictionary, schema
from enhanced_memory.store.sqlite.branches import SQLiteBranches
from enhanced_memory.store.sqlite.codec import Codec, checksum, dictionary_of
from enhanced_memory.store.sqlite.conflicts import SQLiteConflicts
from enhanced_memory.store.sqlite.connections import BUSY_TIMEOUT_MS, Connection, open_reader, open_writer, translated
from enhanced_memory.store.sqlite.contents import Contents
from enhanced_memory.store.sqlite.drafts import Ready, ready_by_name
from enhanced_memory.store.sqlite.entities import SQLiteEntities
from enhanced_memory.store.sqlite.history import SQLiteHistory
from enhanced_memory.store.sqlite.index import FrequencyCache, SQLiteIndex
from enhanced_memory.store.sqlite.indexing import IndexQueue
from enhanced_memory.store.sqlite.relations import SQLiteRelations
from enhanced_memory.store.sqlite.requests import KEEP_S, SQLiteRequests
from enhanced_memory.store.sqlite.scope import Clock, Scope, earlier
from enhanced_memory.store.sqlite.signs import Signs
from enhanced_memory.store.sqlite.vectors import SQLiteVectors
from enhanced_memory.store.sqlite.versions import SQLiteVersions
from enhanced_memory.store.sqlite.writer import Writer

T = TypeVar("T")

_TRAIN_FROM = 500
_TRAIN_AGAIN_AT = 8
_TRAIN_ON = 2_000
"""A dictionary of the store's own words is made from 500 entities on, and again when they are 8 times as many; from
2,000 of them at the most, which takes about a second."""

_PIECE = 16
"""Characters of an erased text in a row that a dictionary must not hold: words alone are nobody's."""

_EXPIRE_EVERY_S = 60.0

_LOG_FRAMES = 256
"""Pages in the write-ahead log from which it is worth emptying when nothing else is to do: 1 MiB."""

_NONE_READY: Mapping[str, Ready] = {}

log = logging.getLogger(__name__)


def _utc_now() -> datetime:
    return datetime.now(UTC)


class SQLiteTransaction:
    """One transaction on one namespace: its tables, each behind what `store.base` promises of it."""

    def __init__(self, scope: Scope, frequencies: FrequencyCache) -> None:
        self.namespace = scope.namespace
        self.now = scope.now
        self._scope = scope
        self._frequencies = frequencies
        self.entities: Entities = SQLiteEntities(scope)  # the others are made when they are asked for, which is seldom

    @property
    def relations(self) -> Relations:
        """How entities hang together."""
        return SQLiteRelations(self._scope)

    @property
    def versions(self) -> Versions:
        """The history of entities."""
        return SQLiteVersions(self._scope)

    @property
    def branches(self) -> Branches:
        """Lines of versions beside one another."""
        return SQLiteBranches(self._scope)

    @property
    def history(self) -> History:
        """What stood at an instant."""
        return SQLiteHistory(self._scope)

    @property
    def index(self) -> Index:
        """Full text."""
        return SQLiteIndex(self._scope, self._frequencies)

    @property
    def vectors(self) -> Vectors:
        """Meaning."""
        return SQLiteVectors(self._scope, self.entities.by_ids)

    @property
    def conflicts(self) -> Conflicts:
        """Conflicts that were found."""
        return SQLiteConflicts(self._scope)

    @property
    def requests(self) -> Requests:
        """First replies to writes that carried a request id."""
        return SQLiteRequests(self._scope)


class SQLiteStore:
    """A database file. Its opener must be its only one; the daemon sees to that with a lock beside the file."""

    def __init__(
        self,
        path: str,
        analyser: Analyser,
        *,
        readers: int = 4,
        max_queue: int = 1_024,
        clock: Callable[[], datetime] = _utc_now,
    ) -> None:
        self._path = path
        self._analyser = analyser
        self._clock = Clock(clock)
        self._codec = Codec()
        self._contents = Contents(self._codec)
        self._frequencies = FrequencyCache()
        self._index_queue = IndexQueue()
        self._namespaces_of_group: dict[str, int] = {}
        self._signs = Signs()
        self._accesses: Counter[int] = Counter()
        self._accesses_lock = threading.Lock()
        self._trained_on = 0
        self._trainer: threading.Thread | None = None
        self._requests_expired_at = 0.0
        self._log_checked_at = 0
        self._closed = False
        with translated():
            if os.path.exists(path) and os.path.getsize(path):
                with closing(open_reader(path)) as looking:
                    schema.refuse_foreign(looking)
            connection = open_writer(path)
            schema.prepare(connection, lambda namespace: self._scope(connection, namespace, self._clock.tick()))
            self._load_dictionaries(connection)
            self._reindex_if_stale(connection)
        self._writer_connection = connection
        self._reader_places = threading.Semaphore(readers)
        self._readers: queue.SimpleQueue[Connection] = queue.SimpleQueue()
        self._opened_readers: list[Connection] = []
        self._writer = Writer(connection, max_queue, self)

    # -------------------------------------------------------------------------------------------------- transactions

    def write(
        self, work: Callable[[Transaction], T], namespace: str, timeout_s: float, drafts: Sequence[Draft] = ()
    ) -> T:
        """Run `work` alone, and return what it returned once it is synced to disk; `drafts` are made ready before."""
        ready = ready_by_name(drafts, self._contents, self._analyser)

        def job(connection: Connection) -> T:
            scope = self._scope(
                connection, namespace, self._clock.tick(), self._index_queue, ready, self._namespaces_of_group
            )
            try:
                result = work(SQLiteTransaction(scope, self._frequencies))
            except BaseException:
                self._index_queue.fail()
                self._namespaces_of_group.clear()
                raise
            self._index_queue.succeed()
            return result

        done: T = self._writer.submit(job, timeout_s)
        return done

    def read(self, work: Callable[[Transaction], T], namespace: str, timeout_s: float) -> T:
        """Run `work` on a snapshot; it waits for no writer."""
        deadline = time.monotonic() + timeout_s
        if self._closed:
            raise ShuttingDown("the service is ending", hint="ask again when it is back")
        if not self._reader_places.acquire(timeout=timeout_s):
            raise Busy("too many reads are under way", hint="ask again in a moment")
        try:
            with translated():
                connection = self._reader()
                try:
                    connection.deadline = deadline
                    connection.execute("BEGIN")
                    try:
                        scope = self._scope(connection, namespace, self._clock.now())
                        return work(SQLiteTransaction(scope, self._frequencies))
                    finally:
                        connection.deadline = float("inf")
                        connection.execute("ROLLBACK")
                finally:
                    self._readers.put(connection)
        finally:
            self._reader_places.release()

    def scrub(self, texts: Sequence[str], timeout_s: float) -> None:
        """Overwrite what was erased, these texts: no page of the file or its log holds any of them any more.

        Rewrites the index and the whole file, so it takes seconds for a large store, and the space of a second file.
        """

        def work(connection: Connection) -> None:
            self._drop_dictionaries(connection, texts)
            connection.execute("INSERT INTO search_index (search_index) VALUES ('optimize')")
            connection.execute("VACUUM")
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()

        self._writer.submit(work, timeout_s, alone=True)

    def gauges(self) -> Mapping[str, int]:
        """queue_depth: writes that wait; commits and committed_requests since the start."""
        return {
            "queue_depth": self._writer.queue_depth,
            "commits": self._writer.commits,
            "committed_requests": self._writer.committed_requests,
        }

    def close(self) -> None:
        """Finish what was begun, write what was gathered, checkpoint, and let go of the files."""
        if self._closed:
            return
        self._closed = True
        self._writer.close()
        if self._trainer is not None:
            self._trainer.join()
        for connection in self._opened_readers:
            connection.close()
        self._writer_connection.close()  # the last to close checkpoints and removes the write-ahead log

    # -------------------------------------------------------------------------------------- the writer's other chores

    def begin_group(self) -> None:
        """A group of writes begins."""
        self._index_queue.begin_group()
        self._namespaces_of_group.clear()

    def end_group(self, connection: Connection) -> None:
        """Write the index rows the group gathered."""
        self._index_queue.flush(connection)

    def tidy(self, connection: Connection, idle: bool) -> None:
        """About once a second: gathered accesses, expired request ids, the log's size, a new dictionary."""
        with self._accesses_lock:
            counts, self._accesses = self._accesses, Counter()
        now = time.monotonic()
        expire = now - self._requests_expired_at >= _EXPIRE_EVERY_S
        if counts or expire:
            scope = self._scope(connection, "default", self._clock.tick())
            connection.execute("BEGIN IMMEDIATE")
            SQLiteEntities(scope).write_accesses(counts)
            if expire:
                self._requests_expired_at = now
                connection.execute("DELETE FROM requests WHERE created_at < ?", (earlier(scope.now, KEEP_S),))
            connection.execute("COMMIT")
        if idle and not self._closed:
            self._shrink_log(connection)
            self._train_if_due(connection)

    def _shrink_log(self, connection: Connection) -> None:
        """Empty the write-ahead log when it has grown and nobody reads it; a reader is never waited for."""
        if self._writer.commits == self._log_checked_at:
            return
        self._log_checked_at = self._writer.commits
        connection.execute("PRAGMA busy_timeout = 0")
        try:
            _, frames, _ = connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
            if frames >= _LOG_FRAMES:
                connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        finally:
            connection.execute(f"PRAGMA busy_timeout = {BUSY_TIMEOUT_MS}")

    def _count_accesses(self, ids: Iterable[int]) -> None:
        with self._accesses_lock:
            self._accesses.update(ids)

    # ------------------------------------------------------------------------------------------------------- helpers

    def _scope(
        self,
        connection: Connection,
        namespace: str,
        now: str,
        index_queue: IndexQueue | None = None,
        ready: Mapping[str, Ready] = _NONE_READY,
        namespaces: dict[str, int] | None = None,
    ) -> Scope:
        return Scope(
            connection,
            namespace,
            now,
            self._contents,
            self._analyser,
            index_queue or IndexQueue(),
            self._signs,
            self._count_accesses,
            ready,
            {} if namespaces is None else namespaces,
        )

    def _reader(self) -> Connection:
        """A reading connection that nobody uses; the semaphore holds their number."""
        try:
            return self._readers.get_nowait()
        except queue.Empty:
            connection = open_reader(self._path)
            self._opened_readers.append(connection)
            return connection

    def _load_dictionaries(self, connection: Connection) -> None:
        """Give the codec the database's dictionaries; the newest packs what is written from now on."""
        rows = connection.execute("SELECT id, data, checksum, trained_on FROM dictionaries ORDER BY id")
        for number, data, digest, trained_on in rows.fetchall():
            if checksum(data) != digest:
                log.error("dictionary %d fails its checksum; what was packed with it cannot be read", number)
                continue
            self._codec.add_dictionary(number, data)
            self._codec.use_dictionary(number)
            self._trained_on = trained_on

    def _drop_dictionaries(self, connection: Connection, texts: Sequence[str]) -> None:
        """Pack anew whatever was made with a dictionary that holds a piece of the texts, and delete that dictionary."""
        pieces = {text[at : at + _PIECE].encode() for text in texts for at in range(max(1, len(text) - _PIECE + 1))}
        pieces = {piece for piece in pieces if len(piece) >= _PIECE}
        rows = connection.execute(
            "SELECT id, data FROM dictionaries WHERE id <> ?", (schema.SHIPPED_DICTIONARY,)
        ).fetchall()
        unwanted = {number for number, data in rows if any(piece in data for piece in pieces)}
        if not unwanted:
            return
        self._codec.use_dictionary(schema.SHIPPED_DICTIONARY)
        self._trained_on = 0
        connection.execute("BEGIN IMMEDIATE")
        try:
            for table in ("entities", "versions"):
                self._pack_anew(connection, table, unwanted)
            for number in unwanted:
                connection.execute("DELETE FROM dictionaries WHERE id = ?", (number,))
            connection.execute("COMMIT")
        except BaseException:
            connection.execute("ROLLBACK")
            raise

    def _pack_anew(self, connection: Connection, table: str, unwanted: set[int]) -> None:
        """Every blob of a table that was made with one of these dictionaries, with the shipped one."""
        rows = connection.execute(
            f"SELECT id, compressed_data, checksum FROM {table} WHERE compressed_data IS NOT NULL"
        )
        for number, blob, stored in rows.fetchall():
            try:
                if dictionary_of(blob) not in unwanted:
                    continue
                packed = self._codec.encode(self._codec.decode(blob, stored if table == "entities" else stored.hex()))
            except (ValueError, TypeError, AttributeError):  # damaged before; without its dictionary it stays so
                continue
            if table == "entities":
                connection.execute(
                    "UPDATE entities SET compressed_data = ?, checksum = ?, compressed_size = ?,"
                    " compression_ratio = CAST(? AS REAL) / original_size WHERE id = ?",
                    (packed, checksum(packed), len(packed), len(packed), number),
                )
            else:
                digest = bytes.fromhex(checksum(packed))
                connection.execute(
                    "UPDATE versions SET compressed_data = ?, checksum = ? WHERE id = ?", (packed, digest, number)
                )

    def _train_if_due(self, connection: Connection) -> None:
        """Start making a dictionary of the store's own words, beside the writer, when there are enough of them."""
        (entities,) = connection.execute("SELECT coalesce(max(id), 0) FROM entities").fetchone()
        if entities < max(_TRAIN_FROM, self._trained_on * _TRAIN_AGAIN_AT):
            return
        if self._trainer is None or not self._trainer.is_alive():
            self._trained_on = entities
            self._trainer = threading.Thread(target=self._train, args=(entities,), name="trainer", daemon=True)
            self._trainer.start()

    def _train(self, entities: int) -> None:
        """Make a dictionary from a sample spread over the whole store, and use it from now on."""

        def sample(transaction: Transaction) -> list[str]:
            step = max(1, entities // _TRAIN_ON)
            found = transaction.entities.by_ids(range(1, entities + 1, step)[:_TRAIN_ON])
            return ["\n".join(entity.observations) for entity in found.values()]

        def keep(connection: Connection) -> int:
            return int(
                connection.execute(
                    "INSERT INTO dictionaries (data, checksum, trained_on, created_at) VALUES (?, ?, ?, ?)"
                    " RETURNING id",
                    (data, checksum(data), entities, self._clock.tick()),
                ).fetchone()[0]
            )

        try:
            data = dictionary.train(self.read(sample, "default", 30.0))
            number = self._writer.submit(keep, 30.0)
            self._codec.add_dictionary(number, data)
            self._codec.use_dictionary(number)
            log.info("dictionary %d made from %d entities", number, min(entities, _TRAIN_ON))
        except Exception as error:  # it is only a matter of space: the store works on with the dictionary it has
            log.warning("no dictionary was made: %s", error)

    def _reindex_if_stale(self, connection: Connection) -> None:
        """Make the index anew if another analyser made it."""
        row = connection.execute("SELECT value FROM meta WHERE key = 'analyser_version'").fetchone()
        wanted = str(self._analyser.version)
        if row is not None and row[0] == wanted:
            return
        connection.execute("BEGIN IMMEDIATE")
        try:
            if row is not None:
                self._rebuild_index(connection)
            connection.execute("INSERT OR REPLACE INTO meta (key, value) VALUES ('analyser_version', ?)", (wanted,))
            connection.execute("COMMIT")
        except BaseException:
            connection.execute("ROLLBACK")
            raise

    def _rebuild_index(self, connection: Connection) -> None:
        """Every row of the index, from the entities."""
        connection.execute("INSERT INTO search_index (search_index) VALUES ('delete-all')")
        for (namespace,) in connection.execute("SELECT name FROM namespaces").fetchall():
            scope = self._scope(connection, namespace, self._clock.tick())
            entities = SQLiteEntities(scope)
            after = 0
            while page := entities.page(after, 500):
                for entity in page:
                    entities.index_anew(entity)
                scope.flush_index()
                after = page[-1].id
