"""The writer: one thread that owns the one connection that writes, and commits many waiting requests at once.

It takes what waits, runs it in one transaction, commits (synced), and only then answers all of it. A request that
fails takes back its own changes and no others. Above it lies the store; below it the connection.
"""

from __future__ import annotations

import logging
import queue
import sqlite3
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from enhanced_memory.errors import Busy, EnhancedMemoryError, Internal, ShuttingDown
from enhanced_memory.store.base import Draft
from enhanced_memory.store.sqlite.connections import Connection, translation

_LARGEST_GROUP = 256
"""Requests in one transaction at the most: bounds how long the first of them waits for the last."""

_HOUSEKEEPING_EVERY_S = 1.0

log = logging.getLogger(__name__)


class Chores(Protocol):
    """What the writer does beside the requests, in its own thread."""

    def make_ready(self, drafts: Sequence[Draft]) -> Callable[[], None]:
        """Begin to work out what a group will likely create; what is returned ends that, before its transaction."""

    def begin_group(self) -> None:
        """A transaction begins; forget what an earlier, lost one gathered."""

    def end_group(self, connection: Connection) -> None:
        """Write what the requests of the transaction gathered, before it commits."""

    def check_files(self, connection: Connection) -> None:
        """Whether what is written lies where the next start looks for it. Raises: ReadOnly: no longer."""

    def committed(self) -> None:
        """A transaction was committed and its files are as they were."""

    def tidy(self, connection: Connection, idle: bool) -> None:
        """About once a second, between transactions; opens its own."""


Then = Callable[[Any, BaseException | None], None]
"""Told the result or the error of a write once it is known; quick, since all other writes wait meanwhile."""


class _SpoiltError(Exception):
    """A request failed after it had changed something, and had no savepoint to take that back."""


class _Job:
    """One request on its way through the writer. `then` is called once, with the result or the error it came to."""

    __slots__ = ("alone", "claim", "deadline", "done", "drafts", "error", "result", "then", "work")

    def __init__(
        self,
        work: Callable[[Connection], Any],
        deadline: float,
        drafts: Sequence[Draft] = (),
        *,
        alone: bool = False,
        then: Then | None = None,
    ) -> None:
        self.work = work
        self.deadline = deadline
        self.drafts = drafts
        self.alone = alone
        self.then = then
        self.claim = threading.Lock()  # whoever takes it decides: the writer to run the job, the caller to give it up
        self.done = threading.Lock()  # held until the job is done; cheaper than an Event, and there are thousands
        self.done.acquire()
        self.result: Any = None
        self.error: BaseException | None = None

    def finish(self) -> None:
        """Its fate is known: tell whoever is to know, and let go who waits."""
        if self.then is not None:
            try:
                self.then(self.result, self.error)
            except Exception:  # one caller is left without an answer; without the writer all would be
                log.exception("a write could not be answered")
        self.done.release()

    def settle(self) -> None:
        """Wait until it is finished; if its turn does not come before its deadline, give it up as Busy."""
        if self.done.acquire(timeout=max(0.0, self.deadline - time.monotonic())):
            return
        if self.claim.acquire(blocking=False):
            self.error = Busy(
                "the writer did not get to this request in time; it was not run", hint="ask again in a moment"
            )
            self.finish()
        self.done.acquire()  # it may have begun: its statements end at the deadline, and only then is its fate known


def _nothing() -> None:
    """What there is to do where nothing is being made ready."""


@dataclass(frozen=True)
class _Group:
    """Requests of one transaction, or one that runs outside any; `end_making` ends what was begun to make ready."""

    jobs: list[_Job]
    end_making: Callable[[], None] = _nothing
    alone: bool = False


_NOTHING = _Group([])


class Writer:
    """The queue before the writing connection, and the thread behind it."""

    def __init__(self, connection: Connection, max_queue: int, chores: Chores) -> None:
        self._connection = connection
        self._max_queue = max_queue
        self._chores = chores
        self._waiting: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._held: _Job | None = None  # taken from the queue, and to run alone after the group under way
        self._closing = self._ended = False
        connection.seen_at = time.monotonic()
        self.group_size = 0  # requests in the last transaction, or in the one under way
        self._busy = False
        self.commits = 0
        self.committed_requests = 0
        self._thread = threading.Thread(target=self._run, name="writer", daemon=True)
        self._thread.start()

    @property
    def queue_depth(self) -> int:
        """Requests that wait."""
        return self._waiting.qsize()

    @property
    def is_at_work(self) -> bool:
        """Whether a group is under way, or requests wait."""
        return self._busy or self._waiting.qsize() > 0

    @property
    def quiet_s(self) -> float:
        """Seconds since the thread was last seen at work, or looking for some, which it does every second."""
        return max(0.0, time.monotonic() - self._connection.seen_at)

    def submit(
        self, work: Callable[[Connection], Any], timeout_s: float, drafts: Sequence[Draft] = (), *, alone: bool = False
    ) -> Any:
        """Run `work` in the writer's thread and return its result once it is committed and synced.

        `drafts` are what it will likely create, made ready beforehand where others are written with it. With `alone` it
        runs outside any transaction, for what cannot be done inside one.

        Raises: Busy: the queue is full, or its turn did not come within `timeout_s`; it was not run.
                ShuttingDown; whatever `work` raised, its changes taken back; a translated error of the commit.
        """
        job = _Job(work, time.monotonic() + timeout_s, drafts, alone=alone)
        self._queue(job)
        job.settle()
        if job.error is not None:
            raise job.error
        return job.result

    def submit_later(
        self, work: Callable[[Connection], Any], timeout_s: float, then: Then, drafts: Sequence[Draft] = ()
    ) -> Callable[[], None]:
        """As `submit`, but nobody waits: `then` is told what came of it, in the writer's thread.

        What is returned waits until `then` has been called, and calls it itself with Busy when the time is over before
        the request's turn came. Call it once.

        Raises: Busy: the queue is full. ShuttingDown.
        """
        job = _Job(work, time.monotonic() + timeout_s, drafts, then=then)
        self._queue(job)
        return job.settle

    def _queue(self, job: _Job) -> None:
        """Raises: Busy, ShuttingDown."""
        if self._closing:
            raise ShuttingDown("the service is ending and takes no more writes", hint="ask again when it is back")
        if self._waiting.qsize() >= self._max_queue:
            raise Busy("too many writes are waiting", hint="ask again in a moment")
        self._waiting.put(job)

    def close(self) -> None:
        """Finish what waits, then end the thread. Later requests get ShuttingDown."""
        self._closing = True
        self._waiting.put(None)
        self._thread.join()

    def _run(self) -> None:
        last_housekeeping = time.monotonic()
        following = _NOTHING
        while not self._ended or following.jobs:
            self._connection.seen_at = time.monotonic()
            group = following if following.jobs else self._take(wait=True)
            self._busy = bool(group.jobs)
            group.end_making()
            # What the next group needs is worked out beside this one's transaction.
            following = self._take(most=(self._waiting.qsize() + len(group.jobs) + 1) // 2) if group.jobs else _NOTHING
            if group.alone:
                self._run_alone(group.jobs[0])
            else:
                self._commit(group.jobs)
            self._busy = bool(following.jobs)
            if self._ended or time.monotonic() - last_housekeeping >= _HOUSEKEEPING_EVERY_S:
                self._tidy(idle=not group.jobs)
                last_housekeeping = time.monotonic()

    def _take(self, *, wait: bool = False, most: int = _LARGEST_GROUP) -> _Group:
        """What waits, as far as it fits one transaction; one that runs alone is a group of its own."""
        jobs: list[_Job] = []
        try:
            while len(jobs) < most and not self._ended:
                job = self._held or self._waiting.get(wait and not jobs, _HOUSEKEEPING_EVERY_S)
                self._held = None
                if job is None:
                    self._ended = True
                elif job.alone and jobs:
                    self._held = job
                    break
                elif job.claim.acquire(blocking=False):
                    jobs.append(job)
                    if job.alone:
                        return _Group(jobs, alone=True)
        except queue.Empty:
            pass
        # Of one alone it may turn out in its turn that nothing is to be created.
        drafts = [draft for job in jobs for draft in job.drafts] if len(jobs) > 1 else []
        return _Group(jobs, self._chores.make_ready(drafts))

    def _run_alone(self, job: _Job) -> None:
        try:
            job.result = job.work(self._connection)
        except Exception as error:
            job.error = translation(error) if isinstance(error, sqlite3.Error) else error
        job.finish()

    def _commit(self, group: list[_Job]) -> None:
        """Run the group in one transaction and answer it; if the transaction is lost, each request alone."""
        if not group:
            return
        try:
            self._chores.check_files(self._connection)  # what is refused is nowhere
            try:
                self._attempt(group, careful=False)
            except _SpoiltError:
                self._roll_back()
                self._attempt(group, careful=True)
            self._chores.check_files(self._connection)  # nor is acknowledged what went elsewhere meanwhile
            self._chores.committed()
        except EnhancedMemoryError as error:
            for job in group:
                job.result, job.error = None, error
        except sqlite3.Error as error:
            self._roll_back()
            if len(group) == 1:
                group[0].result, group[0].error = None, translation(error)
            else:
                # Nobody was answered and nothing is left of the transaction, so running each again is safe, and
                # a request that fits (a full disk may hold one more) is not taken down by one that does not.
                for job in group:
                    self._commit([job])
                return
        except BaseException as error:
            self._roll_back()
            log.exception("the writer met an error outside any request")
            for job in group:
                job.result, job.error = None, Internal(f"the write failed ({type(error).__name__})")
        for job in group:
            job.finish()

    def _attempt(self, group: list[_Job], *, careful: bool) -> None:
        """Run the group's requests and commit; if `careful`, each in a savepoint of its own.

        Savepoints are a tenth of what a small request costs, and few requests fail once they have changed something.

        Raises: _SpoiltError: one did, so the others have to be run again, carefully. sqlite3.Error: nothing is left.
        """
        connection = self._connection
        connection.deadline = float("inf")
        connection.execute("BEGIN IMMEDIATE")
        self._chores.begin_group()
        self.group_size = len(group)
        for job in group:
            if careful:
                connection.execute("SAVEPOINT request")
            changes = connection.total_changes
            connection.deadline = job.deadline
            connection.seen_at = time.monotonic()
            job.error = None
            try:
                job.result = job.work(connection)
            except BaseException as error:
                connection.deadline = float("inf")
                if not connection.in_transaction:
                    raise _as_lost(error) from error
                if not careful and connection.total_changes != changes:
                    raise _SpoiltError from error
                job.error = translation(error) if isinstance(error, sqlite3.Error) else error
                if careful:
                    connection.execute("ROLLBACK TO request")
            connection.deadline = float("inf")
            if careful:
                connection.execute("RELEASE request")
        self._chores.end_group(connection)
        connection.execute("COMMIT")
        self.commits += 1
        self.committed_requests += sum(job.error is None for job in group)

    def _roll_back(self) -> None:
        if self._connection.in_transaction:
            try:
                self._connection.execute("ROLLBACK")
            except sqlite3.Error:
                log.exception("the transaction could not be rolled back")

    def _tidy(self, idle: bool) -> None:
        try:
            self._chores.tidy(self._connection, idle)
        except (sqlite3.Error, EnhancedMemoryError) as error:
            self._roll_back()
            log.warning("housekeeping failed and will be tried again: %s", error)


def _as_lost(error: BaseException) -> sqlite3.Error:
    """The error with which SQLite ended the whole transaction by itself."""
    cause = error if isinstance(error, sqlite3.Error) else error.__cause__
    return cause if isinstance(cause, sqlite3.Error) else sqlite3.OperationalError(str(error))
