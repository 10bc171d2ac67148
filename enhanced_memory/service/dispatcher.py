"""The dispatcher: from a request to its reply.

Above it lies the listener, which brings requests and takes replies; below it the operations and the store. It looks
the operation up, checks the arguments, opens one transaction, calls the handler and makes the reply. In the
daemon it alone opens the store, and it alone says `success`.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import logging
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import Any, TypeVar, cast

from enhanced_memory import __version__, wire
from enhanced_memory.context import Caller, Context, Service
from enhanced_memory.embedding.base import MINILM, Embedder, is_installed, open_embedder
from enhanced_memory.errors import (
    Busy,
    Corrupt,
    EnhancedMemoryError,
    Internal,
    InvalidParams,
    InvalidRequest,
    ShuttingDown,
    TimedOut,
)
from enhanced_memory.registry import More, Operation, find, is_loaded, load_first
from enhanced_memory.sandbox.supervisor import Supervisor
from enhanced_memory.service.allowance import Allowance
from enhanced_memory.service.analyser import WordAnalyser
from enhanced_memory.service.changes import Changes, named_in
from enhanced_memory.service.embedding import VectorMaker
from enhanced_memory.service.model import open_model
from enhanced_memory.service.readers import Readers
from enhanced_memory.service.scheduler import Scheduler
from enhanced_memory.service.tally import OK, UNKNOWN, Tally
from enhanced_memory.service.upkeep import Upkeep
from enhanced_memory.service.vitals import Vitals
from enhanced_memory.settings import Settings
from enhanced_memory.store.base import Draft, Store, Transaction
from enhanced_memory.store.sqlite.store import SQLiteStore, utc_now

T = TypeVar("T")

log = logging.getLogger(__name__)


class Gauges:
    """What others tell the service about itself."""

    def __init__(self) -> None:
        self.connections = 0
        self.watchdog_s: float | None = None
        """Within how many seconds a watchdog expects a sign of life; None where none does."""
        self.alive_at = time.monotonic()
        """When the watchdog last got one."""


class Running:
    """The long operations that are under way, and how far each is. Safe for many threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._begun: dict[int, dict[str, Any]] = {}
        self._numbers = itertools.count(1)

    @contextmanager
    def begun(self, method: str, namespace: str) -> Iterator[Callable[[int, int], None]]:
        """Around an operation: gives the function that notes steps done and steps in all."""
        number = next(self._numbers)
        note = {"method": method, "namespace": namespace, "done": 0, "total": 0, "began": time.monotonic()}
        with self._lock:
            self._begun[number] = note
        try:
            yield lambda done, total: note.update(done=done, total=total)
        finally:
            with self._lock:
                del self._begun[number]

    def told(self) -> list[dict[str, Any]]:
        """method, namespace, done, total and seconds of each, the oldest first."""
        now = time.monotonic()
        with self._lock:
            notes = [dict(note) for note in self._begun.values()]
        return [note | {"seconds": round(now - note.pop("began"), 1)} for note in notes]


class MemoryDBService:
    """The service without its socket: opens the store and answers requests. Safe for many threads.

    `embedder` is used instead of the one that the settings name; `clock` tells the time, for tests and benches that
    need memories of another day. `readers` answer some of the searches.
    """

    def __init__(
        self,
        settings: Settings | None = None,
        embedder: Embedder | None = None,
        clock: Callable[[], datetime] = utc_now,
        readers: Readers | None = None,
    ) -> None:
        self.settings = settings or Settings.load()
        self._readers = readers
        wanted = self.settings.embedder
        meaning_is_on = self.settings.semantic == "auto" and (embedder is not None or is_installed(wanted))
        load_first()
        self.gauges = Gauges()
        self.running = Running()
        self.tally = Tally()
        self._vitals = Vitals()
        self.changes = Changes()
        self._closing = False
        self._store: Store = SQLiteStore(
            self.settings.db_path,
            WordAnalyser(),
            readers=self.settings.readers,
            read_wait_s=self.settings.read_wait_s,
            max_queue=self.settings.max_queue,
            clock=clock,
            helpers=readers,
        )
        self.meaning: VectorMaker | None = None
        if meaning_is_on:
            self.meaning = VectorMaker(self._store, wanted, lambda: embedder or open_embedder(wanted))
        elif self.settings.semantic == "auto" and wanted != MINILM:
            log.warning("search by meaning is off: the packages of %s are not installed", wanted)
        self.upkeep = Upkeep(self._store, self.settings)
        self._sandbox = Supervisor(
            allow_partial=self.settings.sandbox_allow_partial, wait_s=self.settings.operation_timeout_s
        )
        self._service = Service(
            settings=self.settings,
            write=self._write,
            read=self._read,
            facts=self._facts,
            scrub=self._scrub,
            running=self.running.told,
            changes=self.changes.wait,
            ask=self._ask,
            run_code=self._sandbox.run,
            check_code=self._sandbox.check,
            upkeep=self.upkeep,
            meaning=self.meaning,
            ask_model=open_model(self.settings.llm_model, self.settings.operation_timeout_s),
            checks=Allowance(self._is_busy),
        )
        self._scheduler: Scheduler | None = None
        if self.settings.curation:
            hours = self.settings.curation_interval_h
            self._scheduler = Scheduler(self._store, self.handle_request, hours, clock)
            self._scheduler.start()

    def handle_request(self, request: Mapping[str, Any], gone: Callable[[], bool] | None = None) -> dict[str, Any]:
        """The reply to one request: {"success": True, ...} or {"success": False, "error", "code", ...}; never raises.

        The request: method, params = {}, id, namespace = "default", client, request_id. `id` is echoed. `gone` tells
        whether whoever asked has left; whoever gives it sends the reply on, which may be `wire.Spelled`.
        """
        began = time.perf_counter()
        try:
            result = self._answer(wire.as_request(request), gone)
            if gone is not None and isinstance(result, wire.Spelled):
                reply: dict[str, Any] = wire.Spelled(result.text, success=True)
            else:
                reply = {"success": True, **_whole(result)}
        except Exception as error:
            reply = self._failure(error)
        return self._finished(request, reply, began)

    def handle_later(self, request: Any, answer: Callable[[dict[str, Any]], None]) -> Callable[[], None] | None:
        """Have a write that comes while others are under way answered by another thread, which calls `answer`.

        So nobody has to be woken to pass the reply on: as a rule the writer does. `answer` must be quick, wait for
        nobody and never raise. What is returned waits until it will be called by itself, or calls it when the time is
        over; call that once at the most. None: nothing was done, and `handle_request` is to be asked.
        """
        if not self._store.is_writing:
            return None
        began = time.perf_counter()
        try:
            known = wire.as_request(request)
            declared = find(known["method"])
            if not (declared.writes and declared.transaction):
                return None
            self._refuse_when_ending()
            params = dict(known["params"])
            request_id = self._request_id(declared, known, params)
            arguments = declared.check(params)
        except EnhancedMemoryError:  # which handle_request tells
            return None
        caller = self._caller(known)
        names = named_in(declared.name, arguments)
        key = _key(declared, params, request_id)

        def tell(reply: dict[str, Any]) -> None:
            answer(self._finished(request, reply, began))

        def then(done: tuple[dict[str, Any], bool] | None, error: BaseException | None) -> None:
            if done is None or error is not None:
                tell(self._failure(error))
                return
            self.changes.note(caller.namespace, names)
            result, more = done[0], _more(declared, arguments, done)

            def complete(more: More) -> None:
                tell({"success": True, **self._completed(more, caller, result, key)})

            if more is None or not _started(partial(complete, more)):
                tell({"success": True, **result})

        try:
            return self._store.write_later(
                lambda tx: _once(Context(tx, tx.now, caller, self._service), declared, arguments, key),
                caller.namespace,
                self.settings.operation_timeout_s,
                then,
                _drafts(declared, arguments),
            )
        except EnhancedMemoryError:
            return None

    def health(self) -> dict[str, Any]:
        """What get_system_health answers, and not counted as a request. Raises: EnhancedMemoryError."""
        return self._carried_out(find("get_system_health"), Caller(self.settings.namespace), {}, None)

    def facts(self) -> Mapping[str, Any]:
        """The figures that only the running service knows, as operations get them."""
        return self._facts()

    def is_alive(self, patience_s: float) -> bool:
        """Whether the store still reads, and its writer still comes to what waits, or is at least at work.

        The write is an empty one and touches no disk. Whatever is answered, a refusal too, is a sign of life.
        """
        namespace = self.settings.namespace
        try:
            self._store.read(lambda tx: tx.entities.find(""), namespace, patience_s)
            self._store.write(lambda _: None, namespace, patience_s)
        except (Busy, TimedOut):
            return self._store.condition().writer_quiet_s < patience_s
        except EnhancedMemoryError:
            pass
        return True

    @property
    def versions(self) -> str:
        """Those of the program, of SQLite and of the tables, for the log."""
        engine = self._store.condition()
        return f"version {__version__}, SQLite {engine.engine_version}, schema {engine.schema_version}"

    def begin_shutdown(self) -> None:
        """From now on every new request is answered with `shutting_down`, and so are backups and checks under way."""
        self._closing = True
        self.upkeep.stop()
        self.changes.close()

    def close(self) -> None:
        """Finish what was begun and close the store."""
        self.begin_shutdown()
        if self._scheduler is not None:
            self._scheduler.close()
        self._sandbox.close()
        self.upkeep.close()
        if self.meaning is not None:
            self.meaning.close()
        if self._readers is not None:
            self._readers.close()  # so that the store is the last to let go of the database
        self._store.close()

    # -------------------------------------------------------------------------------------------- the road of a request

    def _answer(self, request: Mapping[str, Any], gone: Callable[[], bool] | None) -> dict[str, Any]:
        self._refuse_when_ending()
        declared = find(request["method"])
        params = dict(request["params"])
        request_id = self._request_id(declared, request, params)
        caller = self._caller(request)
        if gone is not None:
            caller = replace(caller, gone=gone)
        return self._carried_out(declared, caller, params, request_id)

    def _caller(self, request: Mapping[str, Any]) -> Caller:
        return Caller(request.get("namespace") or self.settings.namespace, request.get("client"))

    def _failure(self, error: BaseException | None) -> dict[str, Any]:
        """The reply to a request that came to this error; one that is no answer to the caller goes to the log."""
        if isinstance(error, EnhancedMemoryError):
            if isinstance(error, Corrupt):
                self.upkeep.note_damage()
            return error.reply()
        number = uuid.uuid4().hex[:12]
        log.error("request %s met a defect", number, exc_info=error)
        return Internal(
            f"the service met a defect; its log has the trace under {number}", hint="please report it"
        ).reply()

    def _finished(self, request: Any, reply: dict[str, Any], began: float) -> dict[str, Any]:
        """The reply with the request's id, once it is counted."""
        if isinstance(request, Mapping) and "id" in request:
            reply["id"] = request["id"]
        method = request.get("method") if isinstance(request, Mapping) else None
        if not isinstance(method, str) or not is_loaded(method):
            method = UNKNOWN
        self.tally.note(method, reply.get("code", OK), time.perf_counter() - began)
        return reply

    def _refuse_when_ending(self) -> None:
        """Raises: ShuttingDown."""
        if self._closing:
            raise ShuttingDown("the service is ending", hint="ask again when it is back")

    def _ask(self, caller: Caller, method: str, params: Mapping[str, Any]) -> dict[str, Any]:
        """Another operation's result, for an operation that is made of others. Raises what it raises."""
        return _whole(self._carried_out(find(method), caller, params, None))

    def _carried_out(
        self, declared: Operation, caller: Caller, params: Mapping[str, Any], request_id: str | None
    ) -> dict[str, Any]:
        """The operation's result, which is `wire.Spelled` where another process gave it. Raises what it raises."""
        arguments = declared.check(params)
        if declared.long:
            with self.running.begun(declared.name, caller.namespace) as note:

                def progress(done: int, total: int) -> None:
                    note(done, total)
                    self._refuse_when_ending()

                context = Context(cast(Transaction, None), "", caller, self._service, progress)
                return dict(declared.handler(context, **arguments))
        if not declared.transaction:
            context = Context(cast(Transaction, None), "", caller, self._service)
            return dict(declared.handler(context, **arguments))
        if not declared.writes:
            if declared.apart and (found := self._answered_apart(declared, caller, arguments)) is not None:
                return found
            return dict(self._read(caller, lambda ctx: declared.handler(ctx, **arguments)))
        key = _key(declared, params, request_id)
        drafts = _drafts(declared, arguments)
        done = self._write(
            caller, lambda ctx: _once(ctx, declared, arguments, key), drafts, named_in(declared.name, arguments)
        )
        more = _more(declared, arguments, done)
        return done[0] if more is None else self._completed(more, caller, done[0], key)

    def _answered_apart(self, declared: Operation, caller: Caller, arguments: Mapping[str, Any]) -> wire.Spelled | None:
        """The result as a reading process gives it, if there is other work to do here and one can tell; else None."""
        if self._readers is None or self.meaning is not None or self._store.read_only:
            return None
        if not (self._store.is_reading or self._store.is_writing):
            return None
        answer = self._readers.answer(caller, declared.name, arguments, self.settings.operation_timeout_s)
        if answer is None:
            return None
        self._store.count_accesses(answer.accessed)
        return wire.Spelled(answer.result)

    def _completed(
        self,
        more: More,
        caller: Caller,
        result: dict[str, Any],
        key: tuple[str, str] | None,
    ) -> dict[str, Any]:
        """The reply with what `more` adds to it, kept for whoever repeats the request. The write itself is done: what
        fails here is logged, and the reply goes out as it was."""
        try:
            complete = more(Context(cast(Transaction, None), "", caller, self._service))
            return result if complete is None else self._write(caller, lambda ctx: _kept(ctx, complete(ctx), key))
        except Exception as error:
            log.warning("the reply could not be completed: %s", error)
            return result

    def _write(
        self,
        caller: Caller,
        work: Callable[[Context], T],
        drafts: Sequence[Draft] = (),
        names: list[str] | None = None,
    ) -> T:
        """Run `work` in a write transaction and note the change; `names` are the entities it changes, if known."""
        done = self._store.write(
            lambda tx: work(Context(tx, tx.now, caller, self._service)),
            caller.namespace,
            self.settings.operation_timeout_s,
            drafts,
        )
        self.changes.note(caller.namespace, names)
        return done

    def _read(self, caller: Caller, work: Callable[[Context], T]) -> T:
        return self._store.read(
            lambda tx: work(Context(tx, tx.now, caller, self._service)),
            caller.namespace,
            self.settings.operation_timeout_s,
        )

    def _scrub(self, erased: Sequence[Sequence[str]]) -> None:
        self._store.scrub(erased, self.settings.operation_timeout_s)

    def _is_busy(self) -> bool:
        """Whether more than one write is under way."""
        gauges = self._store.gauges()
        return gauges["queue_depth"] > 0 or gauges["group_size"] > 1

    def _facts(self) -> Mapping[str, Any]:
        return {
            **self._store.gauges(),
            "condition": self._store.condition(),
            "connections": self.gauges.connections,
            "requests": self.tally.told(),
            "watchdog_s": self.gauges.watchdog_s,
            "watchdog_late_s": time.monotonic() - self.gauges.alive_at,
            "reading": self._readers.told() if self._readers is not None else {"processes": 0, "answered": 0},
            **self._vitals.figures(),
            "version": __version__,
            "sandbox": self._sandbox.confinement_report(),
            "last_backup": self.upkeep.last_backup(),
            "integrity": self.upkeep.integrity(),
            "log_cut_at": self.upkeep.log_cut_at(),
            "damage_met_at": self.upkeep.damage_met_at(),
            "read_only": self._store.read_only,
        }

    @staticmethod
    def _request_id(declared: Operation, request: Mapping[str, Any], params: dict[str, Any]) -> str | None:
        """The request's id for a write, from beside the params or taken out of them. Raises: InvalidParams."""
        if not declared.writes:
            return None
        given = params.pop("request_id", request.get("request_id"))
        if given is not None and (not isinstance(given, str) or not 0 < len(given) <= wire.MAX_LABEL):
            raise InvalidParams(
                f"request_id: must be a string of 1 to {wire.MAX_LABEL} characters", details={"path": "request_id"}
            )
        return given


def _whole(result: dict[str, Any]) -> dict[str, Any]:
    """The result with all its members at hand."""
    return result.whole() if isinstance(result, wire.Spelled) else result


def _started(work: Callable[[], None]) -> bool:
    """Begin `work` in a thread of its own; False if there is none left."""
    try:
        threading.Thread(target=work, name="completion", daemon=True).start()
    except RuntimeError:
        return False
    return True


def _more(declared: Operation, arguments: dict[str, Any], done: tuple[dict[str, Any], bool]) -> More | None:
    """What is to be done after a write, if there is something; `done` is its reply, and whether it is new."""
    if declared.after is None or not done[1]:
        return None
    try:
        return declared.after(arguments, done[0])
    except Exception as error:
        log.warning("the reply could not be completed: %s", error)
        return None


def _drafts(declared: Operation, arguments: dict[str, Any]) -> Sequence[Draft]:
    """What can be made ready before the turn of a write comes."""
    return () if declared.drafts is None else declared.drafts(arguments)


def _key(declared: Operation, params: Mapping[str, Any], request_id: str | None) -> tuple[str, str] | None:
    """Under what the first reply is kept, and what tells whether it is the same request; None without an id."""
    return None if request_id is None else (request_id, _fingerprint(declared.name, params))


def _once(
    ctx: Context, declared: Operation, arguments: dict[str, Any], key: tuple[str, str] | None
) -> tuple[dict[str, Any], bool]:
    """Do the write unless this id did it before; then its first reply is given again. With it, whether it is new."""
    seen = None if key is None else ctx.store.requests.recall(key[0])
    if key is not None and seen is not None:
        if seen[0] != key[1]:
            raise InvalidRequest(
                f"request_id {key[0]!r} was used for another request within the hour",
                hint="give every request an id of its own",
            )
        return cast(dict[str, Any], json.loads(seen[1])), False
    return _kept(ctx, dict(declared.handler(ctx, **arguments)), key), True


def _kept(ctx: Context, reply: dict[str, Any], key: tuple[str, str] | None) -> dict[str, Any]:
    """The reply, kept under the request's id and fingerprint if it has them."""
    if key is not None:
        ctx.store.requests.remember(*key, json.dumps(reply, ensure_ascii=False, separators=(",", ":")))
    return reply


def _fingerprint(method: str, params: Mapping[str, Any]) -> str:
    """What tells one request from another under the same id."""
    canonical = json.dumps([method, params], ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()[:32]
