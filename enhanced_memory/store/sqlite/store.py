"""The store on SQLite: one connection that writes behind one thread, and others that read beside it.

Above it lie the service and, through their context, the operations; below it the files of the tables.
"""

from __future__ import annotations

import logging
import os
import queue
import sqlite3
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from datetime import UTC, datetime
from functools import partial
from typing import TypeVar

from enhanced_memory.errors import Busy, Corrupt, ReadOnly, ShuttingDown
from enhanced_memory.store.base import (
    Analyser,
    Branches,
    Condition,
    Conflicts,
    Curation,
    Draft,
    Entities,
    Helpers,
    History,
    Index,
    Notes,
    Relations,
    Requests,
    Skills,
    Transaction,
    Transitions,
    Vectors,
    Versions,
)
from enhanced_memory.store.sqlite import dictionary, schema
from enhanced_memory.store.sqlite.branches import SQLiteBranches
from enhanced_memory.store.sqlite.checking import quick_problem
from enhanced_memory.store.sqlite.codec import Codec, checksum
from enhanced_memory.store.sqlite.conflicts import SQLiteConflicts
from enhanced_memory.store.sqlite.connections import BUSY_TIMEOUT_MS, Connection, open_reader, translated
from enhanced_memory.store.sqlite.contents import Contents
from enhanced_memory.store.sqlite.copies import copy_database
from enhanced_memory.store.sqlite.curation import SQLiteCuration
from enhanced_memory.store.sqlite.drafts import (
    SMALL,
    WORTH_A_PROCESS,
    WORTH_A_THREAD,
    Ready,
    as_sent,
    ready_by_name,
    ready_from_sent,
)
from enhanced_memory.store.sqlite.entities import SQLiteEntities
from enhanced_memory.store.sqlite.erasing import Erasing
from enhanced_memory.store.sqlite.history import SQLiteHistory
from enhanced_memory.store.sqlite.index import FrequencyCache, SQLiteIndex
from enhanced_memory.store.sqlite.indexing import IndexQueue, entity_and_slot
from enhanced_memory.store.sqlite.logmark import LogMark
from enhanced_memory.store.sqlite.notes import SQLiteNotes
from enhanced_memory.store.sqlite.opening import open_database
from enhanced_memory.store.sqlite.relations import SQLiteRelations
from enhanced_memory.store.sqlite.requests import KEEP_S, SQLiteRequests
from enhanced_memory.store.sqlite.rows import Rows
from enhanced_memory.store.sqlite.scope import Clock, Scope
from enhanced_memory.store.sqlite.signs import Signs
from enhanced_memory.store.sqlite.skills import SQLiteSkills
from enhanced_memory.store.sqlite.stamps import earlier
from enhanced_memory.store.sqlite.transitions import SQLiteTransitions
from enhanced_memory.store.sqlite.vectors import SQLiteVectors
from enhanced_memory.store.sqlite.versions import SQLiteVersions
from enhanced_memory.store.sqlite.writer import Writer
from enhanced_memory.turns import Turns

T = TypeVar("T")

_TRAIN_FROM = 500
_TRAIN_AGAIN_AT = 4
_TRAIN_ON = 2_000
"""A dictionary of the store's own words is made from 500 entities on, and again when they are 4 times as many; from
2,000 of them at the most, which takes a third of a second. Each takes 32 KiB of the file."""

MAKE_READY, TRAIN = "make ready", "train"
"""Tasks for a helping process: drafts (`drafts.as_sent`), and a dictionary of so many entities."""

_MAKING_S, _TRAINING_S = 2.0, 30.0
"""Seconds they may take. The writer waits for drafts, which take a few milliseconds."""

_EXPIRE_EVERY_S = 60.0

_LOG_FRAMES = 256
"""Pages in the write-ahead log from which it is worth emptying when nothing else is to do: 1 MiB."""

_LARGE_LOG_BYTES = 32 * 1024 * 1024
"""Size from which it is emptied although others read: what follows a kill has to read it, and must take no second."""

_LOG_WAIT_MS = 100
"""How long readers are waited for then, once a second until they have ended; writes wait meanwhile."""

_NONE_READY: Mapping[str, Ready] = {}
_REPAIR_TIMEOUT_S = 600.0
"""How long a step of a repair may wait for its turn."""

_REPAIRED_AT_ONCE = 500
_REINDEXED = 40
"""Entities whose index rows are made in one transaction of a repair: some 20 ms, which other writers wait."""

log = logging.getLogger(__name__)


def utc_now() -> datetime:
    """The time, as the machine tells it."""
    return datetime.now(UTC)


def _size(path: str) -> int | None:
    """Bytes of a file, or None where there is none."""
    try:
        return os.stat(path).st_size
    except OSError:
        return None


def _disk(path: str) -> tuple[int | None, int | None]:
    """Bytes of the disk that `path` lies on, and of those free for us."""
    try:
        disk = os.statvfs(os.path.dirname(path) or ".")
    except OSError:
        return None, None
    return disk.f_blocks * disk.f_frsize, disk.f_bavail * disk.f_frsize


class SQLiteTransaction:
    """One transaction on one namespace: its tables, each behind what `store.base` promises of it."""

    def __init__(self, scope: Scope, frequencies: FrequencyCache) -> None:
        self.namespace = scope.namespace
        self.now = scope.now
        self._scope = scope
        self._frequencies = frequencies
        self._index: Index | None = None
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
        if self._index is None:
            self._index = SQLiteIndex(self._scope, self._frequencies)
        return self._index

    @property
    def vectors(self) -> Vectors:
        """Meaning."""
        return SQLiteVectors(self._scope, self.entities.by_ids)

    @property
    def conflicts(self) -> Conflicts:
        """Conflicts that were found."""
        return SQLiteConflicts(self._scope)

    @property
    def skills(self) -> Skills:
        """Kept procedures."""
        return SQLiteSkills(self._scope)

    @property
    def transitions(self) -> Transitions:
        """Moves from tier to tier."""
        return SQLiteTransitions(self._scope)

    @property
    def curation(self) -> Curation:
        """Curations that ran."""
        return SQLiteCuration(self._scope)

    @property
    def requests(self) -> Requests:
        """First replies to writes that carried a request id."""
        return SQLiteRequests(self._scope)

    @property
    def notes(self) -> Notes:
        """What the service notes about the store."""
        return SQLiteNotes(self._scope)


class SQLiteStore:
    """A database file. Its opener must be its only one; the daemon sees to that with a lock beside the file.

    One that fails its check, or cannot be written, is opened read-only; a large one is checked while it is served, and
    becomes read-only when it fails.
    """

    def __init__(
        self,
        path: str,
        analyser: Analyser,
        *,
        readers: int = 4,
        read_wait_s: float = 30.0,
        max_queue: int = 1_024,
        clock: Callable[[], datetime] = utc_now,
        helpers: Helpers | None = None,
    ) -> None:
        path = os.path.realpath(path)  # SQLite keeps the log beside the file itself, not beside a link to it
        self._path = path
        self._analyser = analyser
        self._helpers = helpers
        self._clock = Clock(clock)
        self._codec = Codec()
        self._contents = Contents(self._codec)
        self._rows = Rows(self._contents)
        self._frequencies = FrequencyCache()
        self._index_queue = IndexQueue()
        self._namespaces_of_group: dict[str, int] = {}
        self._ready_of_group: Mapping[str, Ready] = _NONE_READY
        self._signs = Signs()
        self._accesses: Counter[int] = Counter()
        self._accesses_lock = threading.Lock()
        self._trained_on = 0
        self._trainer: threading.Thread | None = None
        self._requests_expired_at = 0.0
        self._log_checked_at = 0
        self._log_owed = True
        """Whether the log is to be emptied as soon as no reader holds it: it may hold what was erased."""
        self._erasing = Erasing(self._codec)
        self._closed = False
        opened = open_database(path)
        self._read_only = opened.read_only
        self._immutable = opened.immutable
        self._integrity = self._checked(opened.damage) if opened.checked else {"status": "unknown"}
        self._writer_connection = opened.writer
        self._writer: Writer | None = None
        self._checker: threading.Thread | None = None
        self._checking: Connection | None = None
        self._mark: LogMark | None = None
        self._log_was_cut = False
        if opened.writer is not None:
            self._mark = self._compared(opened.writer)
            self._prepare(opened.writer)
        self._reader_places = Turns(readers)
        self._read_wait_s = read_wait_s
        self._readers: queue.SimpleQueue[Connection] = queue.SimpleQueue()
        with translated():
            self._opened_readers = [open_reader(path, immutable=self._immutable) for _ in range(readers)]
        for reader in self._opened_readers:
            self._readers.put(reader)
        self._files: dict[str, os.stat_result] = {}
        if self._read_only is None and self._writer_connection is not None:
            self._files = {name: os.stat(name) for name in (path, f"{path}-wal")}
            self._writer = Writer(self._writer_connection, max_queue, self)
        else:
            self._tell_read_only()
            with closing(open_reader(path, immutable=self._immutable)) as reader, suppress(sqlite3.DatabaseError):
                self._trained_on = load_dictionaries(reader, self._codec)
        if not opened.checked and self._integrity["status"] == "unknown":
            self._checker = threading.Thread(target=self._check_file, name="file check", daemon=True)
            self._checker.start()

    # -------------------------------------------------------------------------------------------------- transactions

    def write(
        self, work: Callable[[Transaction], T], namespace: str, timeout_s: float, drafts: Sequence[Draft] = ()
    ) -> T:
        """Run `work` alone, and return what it returned once it is synced to disk; `drafts` are made ready before."""
        writer = self._open_writer()
        ready, drafts = self._divided(drafts)
        done: T = writer.submit(self._job(work, namespace, ready), timeout_s, drafts)
        return done

    def write_later(
        self,
        work: Callable[[Transaction], T],
        namespace: str,
        timeout_s: float,
        then: Callable[[T | None, BaseException | None], None],
        drafts: Sequence[Draft] = (),
    ) -> Callable[[], None]:
        """The same without waiting: the writer's thread calls `then` with what came of it."""
        writer = self._open_writer()
        ready, drafts = self._divided(drafts)
        return writer.submit_later(self._job(work, namespace, ready), timeout_s, then, drafts)

    def _divided(self, drafts: Sequence[Draft]) -> tuple[Mapping[str, Ready], Sequence[Draft]]:
        """What is made ready here and now, and what the writer may make ready for a group; the rest is in its turn."""
        if len(drafts) >= WORTH_A_THREAD:
            return ready_by_name(drafts, self._contents, self._analyser), ()
        small = sum(len(text) for draft in drafts for text in draft.observations) <= SMALL
        return _NONE_READY, drafts if small else ()

    def _job(
        self, work: Callable[[Transaction], T], namespace: str, ready: Mapping[str, Ready]
    ) -> Callable[[Connection], T]:
        """`work` as the writer runs it."""

        def job(connection: Connection) -> T:
            known = ready or self._ready_of_group
            scope = self._scope(
                connection, namespace, self._clock.tick(), self._index_queue, known, self._namespaces_of_group
            )
            try:
                result = work(SQLiteTransaction(scope, self._frequencies))
            except BaseException:
                self._index_queue.fail()
                self._namespaces_of_group.clear()
                raise
            self._index_queue.succeed()
            return result

        return job

    def read(self, work: Callable[[Transaction], T], namespace: str, timeout_s: float) -> T:
        """Run `work` on a snapshot; it waits for no writer."""
        deadline = time.monotonic() + timeout_s
        if self._closed:
            raise ShuttingDown("the service is ending", hint="ask again when it is back")
        try:
            self._reader_places.enter(min(timeout_s, self._read_wait_s))
        except TimeoutError:
            raise Busy("too many reads are under way", hint="ask again in a moment") from None
        try:
            with translated():
                connection = self._readers.get_nowait()  # there is one for each place
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
            self._reader_places.leave()

    def scrub(self, erased: Sequence[Sequence[str]], timeout_s: float) -> None:
        """Overwrite what was erased: no page of the file or its log holds any of these texts any more.

        Rewrites the index and the whole file, so it takes seconds for a large store, and the space of a second file.
        """
        self._erasing.add(erased)
        writer = self._open_writer()
        if self._erasing.is_owed or self._erasing.is_late:
            writer.submit(self._overwrite, timeout_s, alone=True)

    def _overwrite(self, connection: Connection) -> None:
        if self._erasing.is_owed:  # else another has done it meanwhile
            self._log_owed = True
            if self._erasing.overwrite(connection):
                self._trained_on = 0
        if self._log_owed:
            self._empty_log(connection, _LOG_WAIT_MS)

    def copy(self, target: str, progress: Callable[[int, int], None]) -> Mapping[str, int]:
        """Write the store as it stands now into the empty file `target`; returns the rows of its tables."""
        return copy_database(self._path, target, progress)

    def repair(
        self,
        *,
        index: bool,
        table_indexes: Sequence[str],
        vectors: Sequence[int],
        progress: Callable[[int, int], None],
    ) -> Mapping[str, int]:
        """Make anew what can be derived: the full-text index, SQLite's own indexes; drop vectors of nothing."""
        writer = self._open_writer()
        done = {"table_indexes": len(table_indexes), "vectors": len(vectors), "index_rows": 0}
        for name in table_indexes:
            writer.submit(partial(_reindex, name), _REPAIR_TIMEOUT_S, alone=True)
        for start in range(0, len(vectors), _REPAIRED_AT_ONCE):
            part = vectors[start : start + _REPAIRED_AT_ONCE]
            writer.submit(partial(self._drop_vectors, part), _REPAIR_TIMEOUT_S)
        if index:
            done["index_rows"] = self._reindex_in_slices(writer, progress)
        return done

    @property
    def is_writing(self) -> bool:
        """Whether a write is under way, or waits."""
        return self._writer is not None and self._writer.is_at_work

    @property
    def read_only(self) -> str | None:
        """Why nothing can be written, or None."""
        return self._read_only

    @property
    def integrity(self) -> Mapping[str, str]:
        """What the check at the start found: status ok, bad or unknown, with checked_at and problem where there are."""
        return self._integrity

    @property
    def is_reading(self) -> bool:
        """Whether a read is under way."""
        return self._reader_places.taken > 0

    def count_accesses(self, ids: Iterable[int]) -> None:
        """Note that these entities were read, by whomever; it is written later, together with others."""
        if self._read_only is not None:
            return
        with self._accesses_lock:
            self._accesses.update(ids)

    @property
    def log_was_cut(self) -> bool:
        """Whether the log had lost acknowledged writes when the store was opened."""
        return self._log_was_cut

    def gauges(self) -> Mapping[str, int]:
        """queue_depth: writes that wait; group_size: those committed together last; and counts since the start."""
        return {
            "queue_depth": 0 if self._writer is None else self._writer.queue_depth,
            "group_size": 0 if self._writer is None else self._writer.group_size,
            "commits": 0 if self._writer is None else self._writer.commits,
            "committed_requests": 0 if self._writer is None else self._writer.committed_requests,
        }

    def condition(self) -> Condition:
        """How SQLite and the files stand; only the file system is asked."""
        disk_bytes, disk_free_bytes = _disk(self._path)
        store_bytes = _size(self._path)
        return Condition(
            engine_version=sqlite3.sqlite_version,
            schema_version=schema.CURRENT,
            store_bytes=store_bytes or 0,
            log_bytes=_size(f"{self._path}-wal") or 0,
            disk_bytes=disk_bytes,
            disk_free_bytes=disk_free_bytes,
            files_in_place=store_bytes is not None and self._displaced() is None,
            writable=all(os.access(path, os.W_OK) for path in (self._path, os.path.dirname(self._path) or ".")),
            writer_quiet_s=0.0 if self._writer is None else self._writer.quiet_s,
            erasure_is_late=self._erasing.is_late,
        )

    def close(self) -> None:
        """Finish what was begun, write what was gathered, checkpoint, and let go of the files."""
        if self._closed:
            return
        self._closed = True
        if self._writer is not None:
            self._writer.close()
        if self._trainer is not None:
            self._trainer.join()
        if self._checker is not None:
            checking = self._checking
            if checking is not None:
                checking.deadline = 0.0  # its statement ends at its next look at the clock
            self._checker.join()
        for connection in self._opened_readers:
            connection.close()
        if self._mark is not None:
            self._mark.forget()
        if self._writer_connection is not None:
            if self._writer is not None and self._read_only is None:
                with suppress(sqlite3.Error):
                    # A process beside us may have the database open yet.
                    self._empty_log(self._writer_connection, _LOG_WAIT_MS)
            self._writer_connection.close()  # the last to close checkpoints and removes the write-ahead log
        if self._mark is not None:
            self._mark.close()

    # -------------------------------------------------------------------------------------- the writer's other chores

    def make_ready(self, drafts: Sequence[Draft]) -> Callable[[], None]:
        """Begin to make ready what the next group of writes will likely create; what is returned ends it."""
        collect = None
        if self._helpers is not None and len(drafts) >= WORTH_A_PROCESS:
            with suppress(ValueError):  # as below
                collect = self._helpers.begin(MAKE_READY, as_sent(drafts), _MAKING_S)

        def end() -> None:
            self._ready_of_group = _NONE_READY
            with suppress(Exception):  # which the turn of the request that is to blame will tell
                made = None if collect is None else collect()
                self._ready_of_group = (
                    ready_by_name(drafts, self._contents, self._analyser)
                    if made is None
                    else ready_from_sent(drafts, made)
                )

        return end

    def begin_group(self) -> None:
        """A group of writes begins."""
        self._index_queue.begin_group()
        self._namespaces_of_group.clear()

    def end_group(self, connection: Connection) -> None:
        """Write the index rows the group gathered."""
        self._ready_of_group = _NONE_READY
        self._index_queue.flush(connection)

    def check_files(self, connection: Connection) -> None:
        """Whether the database's file and its log are those that were opened.

        Raises: ReadOnly: one was removed or replaced by another. Whoever starts next would not find what is written
        from now on. What lies in a log that was removed is brought into the database's file first, so that nothing
        acknowledged is lost.
        """
        path = self._displaced()
        if path is None:
            return
        if path != self._path:
            with suppress(sqlite3.Error):
                self._empty_log(connection, _LOG_WAIT_MS)
        raise ReadOnly(
            f"{path} was removed or replaced while the daemon had it open, so nothing more is written",
            hint="reading goes on; put the file back, or take a backup and stop the daemon, which starts anew",
        )

    def committed(self) -> None:
        """Note how far the log goes, for the next start to compare."""
        if self._mark is not None:
            self._mark.note()

    def _displaced(self) -> str | None:
        """The path of the database or its log at which another file lies than the one that was opened, or none."""
        for path, opened in self._files.items():
            try:
                if not os.path.samestat(os.stat(path), opened):
                    return path
            except OSError:
                return path
        return None

    def tidy(self, connection: Connection, idle: bool) -> None:
        """About once a second: gathered accesses, expired request ids, owed erasures, the log, a new dictionary."""
        if self._read_only is not None:
            return
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
        if not self._closed:
            if idle and self._erasing.is_late:
                self._overwrite_if_due(connection)
            self._shrink_log(connection, idle)
            self._train_if_due(connection)

    def _overwrite_if_due(self, connection: Connection) -> None:
        """Overwrite what could not be overwritten when it was erased, as on a full disk."""
        _, free_bytes = _disk(self._path)
        if self._erasing.is_due(_size(self._path) or 0, free_bytes):
            try:
                self._overwrite(connection)
                log.info("what was erased is overwritten in %s", self._path)
            except sqlite3.Error as error:
                log.warning("what was erased is not overwritten in %s yet: %s", self._path, error)

    def _shrink_log(self, connection: Connection, idle: bool) -> None:
        """Empty the write-ahead log when it has grown and nobody reads it.

        Readers are waited for, for a moment, where it is owed or has become large: each that ends is on its way.
        """
        urgent = self._log_owed or (_size(f"{self._path}-wal") or 0) >= _LARGE_LOG_BYTES
        if self._writer is None or not (urgent or (idle and self._writer.commits != self._log_checked_at)):
            return
        self._log_checked_at = self._writer.commits
        if urgent:
            self._empty_log(connection, _LOG_WAIT_MS)
        elif connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()[1] >= _LOG_FRAMES:
            self._empty_log(connection, 0)

    def _empty_log(self, connection: Connection, wait_ms: int) -> None:
        """Bring the write-ahead log into the database, and cut it to nothing; owed where a reader holds it so long."""
        if self._mark is not None:
            self._mark.forget()
        connection.execute(f"PRAGMA busy_timeout = {wait_ms}")
        try:
            (is_held, *_) = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        finally:
            connection.execute(f"PRAGMA busy_timeout = {BUSY_TIMEOUT_MS}")
        self._log_owed = True
        if not is_held and self._erasing.settle(connection):
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")  # of the note that nothing is owed
        self._log_owed = bool(is_held)

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
            self._rows,
            self._analyser,
            index_queue or IndexQueue(),
            self._signs,
            self.count_accesses,
            ready,
            {} if namespaces is None else namespaces,
        )

    def _open_writer(self) -> Writer:
        """The writer. Raises: ReadOnly: there is none, or writes would add to the damage."""
        if self._writer is None or self._read_only is not None:
            raise ReadOnly(
                f"the database is open for reading only: {self._read_only}",
                hint="see `enhanced-memory verify`; end the daemon, mend the cause or restore a backup, start it again",
            )
        return self._writer

    # --------------------------------------------------------------------------------------------- the start's check

    def _prepare(self, connection: Connection) -> None:
        """Bring the schema up, read the dictionaries, renew a stale index; damage met here allows reading only."""
        try:
            with translated():
                schema.prepare(connection, lambda namespace: self._scope(connection, namespace, self._clock.tick()))
                self._trained_on = load_dictionaries(connection, self._codec)
                self._erasing.load(connection)
                self._reindex_if_stale(connection)
        except Corrupt as error:
            cause = error.__cause__
            if not isinstance(cause, sqlite3.Error):
                raise
            with translated():
                if schema.known_version(connection) < schema.CURRENT:
                    raise
            self._read_only = f"it fails its check: {cause}"
            self._integrity = self._checked(str(cause))

    def _compared(self, connection: Connection) -> LogMark:
        """The mark of the log, once the log was held against the one that the last end left."""
        with translated():
            connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()  # so that the log is open
        mark = LogMark(self._path)
        if mark.log_was_cut():
            self._log_was_cut = True
            log.error("the log of %s was cut off, damaged or removed since it was written; writes are lost", self._path)
        return mark

    def _checked(self, problem: str | None) -> dict[str, str]:
        found = {"status": "ok" if problem is None else "bad", "checked_at": self._clock.now()}
        return found if problem is None else {**found, "problem": problem}

    def _check_file(self) -> None:
        """SQLite's check of every page, beside the requests."""
        try:
            with closing(open_reader(self._path, immutable=self._immutable)) as connection:
                self._checking = connection
                problem = None if self._closed else quick_problem(connection)
        except sqlite3.Error as error:
            log.warning("the database could not be checked: %s", error)
            return
        if self._closed:
            return
        self._integrity = self._checked(problem)
        if problem is not None and self._read_only is None:
            self._read_only = f"it fails its check: {problem}"
            self._tell_read_only()

    def _tell_read_only(self) -> None:
        log.error("the database %s is open for reading only: %s", self._path, self._read_only)

    # -------------------------------------------------------------------------------------------------------- repair

    def _drop_vectors(self, rows: Sequence[int], connection: Connection) -> None:
        """Delete these vectors; those of observations that are there are made again."""
        for row in rows:
            self._signs.lose(connection.execute("DELETE FROM vectors WHERE row = ?", (row,)).rowcount)
            self._signs.expect(entity_and_slot(row)[0])

    def _reindex_in_slices(self, writer: Writer, progress: Callable[[int, int], None]) -> int:
        """Empty the full-text index and fill it again, a few entities at a time; searches find what is in already.

        Until the end the database says that its index is stale, so a start in between makes all of it anew.
        """

        def empty(connection: Connection) -> int:
            with _transaction(connection):
                connection.execute("INSERT OR REPLACE INTO meta (key, value) VALUES ('analyser_version', '0')")
                connection.execute("INSERT INTO search_index (search_index) VALUES ('delete-all')")
            (last,) = connection.execute("SELECT coalesce(max(id), 0) FROM entities").fetchone()
            waiting.awaited = range(1, last + 1)
            return int(last)

        def fill(connection: Connection) -> None:
            awaited = waiting.awaited
            rows = connection.execute(
                "SELECT id FROM entities WHERE id BETWEEN ? AND ? ORDER BY id LIMIT ?",
                (awaited.start, awaited.stop - 1, _REINDEXED),
            )
            numbers = [row[0] for row in rows.fetchall()]
            waiting.begin_group()
            waiting.awaited = range(0)
            scope = self._scope(connection, "default", self._clock.tick(), waiting)
            entities = SQLiteEntities(scope)
            try:
                with _transaction(connection):
                    for entity in entities.by_ids(numbers).values():
                        entities.index_anew(entity)
                    scope.flush_index()
                    if len(numbers) < _REINDEXED:
                        wanted = str(self._analyser.version)
                        connection.execute("UPDATE meta SET value = ? WHERE key = 'analyser_version'", (wanted,))
            except BaseException:
                waiting.awaited = awaited
                raise
            if len(numbers) == _REINDEXED:
                waiting.awaited = range(numbers[-1] + 1, awaited.stop)

        waiting = self._index_queue
        last = writer.submit(empty, _REPAIR_TIMEOUT_S, alone=True)
        writer.submit(fill, _REPAIR_TIMEOUT_S, alone=True)
        while waiting.awaited:
            progress(waiting.awaited.start, last)
            writer.submit(fill, _REPAIR_TIMEOUT_S, alone=True)
        return self.read(lambda tx: tx.index.rows(), "default", _REPAIR_TIMEOUT_S)

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

        attempts = self._erasing.attempts

        def keep(connection: Connection) -> int | None:
            if self._erasing.attempts != attempts:
                return None  # the sample may have held what was erased since
            (highest,) = connection.execute("SELECT max(id) FROM dictionaries").fetchone()
            number: int = max(highest, self._codec.highest_id) + 1  # one that was dropped is not to be taken for this
            connection.execute("BEGIN IMMEDIATE")
            try:
                connection.execute(
                    "INSERT INTO dictionaries (id, data, checksum, trained_on, created_at) VALUES (?, ?, ?, ?, ?)",
                    (number, data, checksum(data), entities, self._clock.tick()),
                )
                connection.execute("COMMIT")
            except BaseException:
                connection.execute("ROLLBACK")
                raise
            self._codec.add_dictionary(number, data)
            self._codec.use_dictionary(number)
            return number

        try:
            data = self._trained(entities)
            # In the writer's thread from the row to its use, so that a scrub comes before or after, never in between.
            number = self._open_writer().submit(keep, _TRAINING_S, alone=True)
            if number is None:
                self._trained_on = 0
            else:
                log.info("dictionary %d made from %d entities", number, min(entities, _TRAIN_ON))
        except ShuttingDown:  # the next start makes it
            return
        except Exception as error:  # it is only a matter of space: the store works on with the dictionary it has
            log.warning("no dictionary was made: %s", error)

    def _trained(self, entities: int) -> bytes:
        """The dictionary, made by a helping process if there is one: it would hold up all others for half a second."""
        collect = None if self._helpers is None else self._helpers.begin(TRAIN, entities, _TRAINING_S, patiently=True)
        made = None if collect is None else collect()
        if made is None:
            return dictionary.train(self.read(partial(sample, entities), "", _TRAINING_S))
        return str(made).encode("latin-1")

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


def sample(entities: int, transaction: Transaction) -> list[str]:
    """What a dictionary is made from: texts of at most `_TRAIN_ON` entities, spread over a store of so many."""
    step = max(1, entities // _TRAIN_ON)
    found = transaction.entities.by_ids(range(1, entities + 1, step)[:_TRAIN_ON])
    return ["\n".join(entity.observations) for entity in found.values()]


def load_dictionaries(connection: Connection, codec: Codec) -> int:
    """Give the codec the database's dictionaries; the newest packs what is written from now on.

    Returns how many entities the newest was made from.
    """
    newest = 0
    rows = connection.execute("SELECT id, data, checksum, trained_on FROM dictionaries ORDER BY id")
    for number, data, digest, trained_on in rows.fetchall():
        if checksum(data) != digest:
            log.error("dictionary %d fails its checksum; what was packed with it cannot be read", number)
            continue
        codec.add_dictionary(number, data)
        codec.use_dictionary(number)
        newest = trained_on
    return newest


def _reindex(name: str, connection: Connection) -> None:
    """Make one of SQLite's own indexes anew."""
    connection.execute('REINDEX "{}"'.format(name.replace('"', '""')))


@contextmanager
def _transaction(connection: Connection) -> Iterator[None]:
    """A transaction of the writer's thread outside its groups."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
