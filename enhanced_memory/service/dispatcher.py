"""The dispatcher: from a request to its reply.

Above it lies the listener, which brings requests and takes replies; below it the operations and the store. It looks
the operation up, checks the arguments, opens one transaction, calls the handler and makes the reply. It alone opens
the store, and it alone says `success`.
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
from typing import Any, TypeVar, cast

from enhanced_memory import __version__, wire
from enhanced_memory.context import Caller, Context, Service
from enhanced_memory.embedding.base import MINILM, Embedder, is_installed, open_embedder
from enhanced_memory.errors import EnhancedMemoryError, Internal, InvalidParams, InvalidRequest, ShuttingDown
from enhanced_memory.registry import Operation, find, operations
from enhanced_memory.rules import text
from enhanced_memory.sandbox.supervisor import Supervisor
from enhanced_memory.service.changes import Changes, named_in
from enhanced_memory.service.embedding import VectorMaker
from enhanced_memory.settings import Settings
from enhanced_memory.store.base import Store, Transaction
from enhanced_memory.store.sqlite.store import SQLiteStore

T = TypeVar("T")

log = logging.getLogger(__name__)


class _Analyser:
    """The rules' analyser as the store wants it."""

    version = text.ANALYSER_VERSION
    label = staticmethod(text.analyse)
    observation = staticmethod(text.subject_and_body)


class Gauges:
    """What others tell the service about itself."""

    def __init__(self) -> None:
        self.connections = 0
        self.started = time.monotonic()


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

    `embedder` is used instead of the one that the settings name.
    """

    def __init__(self, settings: Settings | None = None, embedder: Embedder | None = None) -> None:
        self.settings = settings or Settings.load()
        wanted = self.settings.embedder
        meaning_is_on = self.settings.semantic == "auto" and (embedder is not None or is_installed(wanted))
        operations()
        self.gauges = Gauges()
        self.running = Running()
        self.changes = Changes()
        self._closing = False
        self._store: Store = SQLiteStore(
            self.settings.db_path, _Analyser(), readers=self.settings.readers, max_queue=self.settings.max_queue
        )
        self.meaning: VectorMaker | None = None
        if meaning_is_on:
            self.meaning = VectorMaker(self._store, wanted, lambda: embedder or open_embedder(wanted))
        elif self.settings.semantic == "auto" and wanted != MINILM:
            log.warning("search by meaning is off: the packages of %s are not installed", wanted)
        self._sandbox = Supervisor(allow_partial=self.settings.sandbox_allow_partial)
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
            meaning=self.meaning,
        )

    def handle_request(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """The reply to one request: {"success": True, ...} or {"success": False, "error", "code", ...}; never raises.

        The request: method, params = {}, id, namespace = "default", client, request_id. `id` is echoed.
        """
        try:
            reply = {"success": True, **self._answer(wire.as_request(request))}
        except EnhancedMemoryError as error:
            reply = error.reply()
        except Exception:
            number = uuid.uuid4().hex[:12]
            log.exception("request %s met a defect", number)
            reply = Internal(
                f"the service met a defect; its log has the trace under {number}", hint="please report it"
            ).reply()
        if isinstance(request, Mapping) and "id" in request:
            reply["id"] = request["id"]
        return reply

    def begin_shutdown(self) -> None:
        """From now on every new request is answered with `shutting_down`."""
        self._closing = True
        self.changes.close()

    def close(self) -> None:
        """Finish what was begun and close the store."""
        self.begin_shutdown()
        self._sandbox.close()
        if self.meaning is not None:
            self.meaning.close()
        self._store.close()

    # -------------------------------------------------------------------------------------------- the road of a request

    def _answer(self, request: Mapping[str, Any]) -> dict[str, Any]:
        if self._closing:
            raise ShuttingDown("the service is ending", hint="ask again when it is back")
        declared = find(request["method"])
        params = dict(request["params"])
        request_id = self._request_id(declared, request, params)
        caller = Caller(request.get("namespace") or self.settings.namespace, request.get("client"))
        return self._carried_out(declared, caller, params, request_id)

    def _ask(self, caller: Caller, method: str, params: Mapping[str, Any]) -> dict[str, Any]:
        """Another operation's result, for an operation that is made of others. Raises what it raises."""
        return self._carried_out(find(method), caller, params, None)

    def _carried_out(
        self, declared: Operation, caller: Caller, params: Mapping[str, Any], request_id: str | None
    ) -> dict[str, Any]:
        arguments = declared.check(params)
        if declared.long:
            with self.running.begun(declared.name, caller.namespace) as progress:
                context = Context(cast(Transaction, None), "", caller, self._service, progress)
                return dict(declared.handler(context, **arguments))
        if not declared.transaction:
            context = Context(cast(Transaction, None), "", caller, self._service)
            return dict(declared.handler(context, **arguments))
        if not declared.writes:
            return dict(self._read(caller, lambda ctx: declared.handler(ctx, **arguments)))
        names = named_in(declared.name, arguments)
        if request_id is None:
            return dict(self._write(caller, lambda ctx: declared.handler(ctx, **arguments), names))
        fingerprint = _fingerprint(declared.name, params)
        return self._write(caller, lambda ctx: _once(ctx, declared, arguments, request_id, fingerprint), names)

    def _write(self, caller: Caller, work: Callable[[Context], T], names: list[str] | None = None) -> T:
        """Run `work` in a write transaction and note the change; `names` are the entities it changes, if known."""
        done = self._store.write(
            lambda tx: work(Context(tx, tx.now, caller, self._service)),
            caller.namespace,
            self.settings.operation_timeout_s,
        )
        self.changes.note(caller.namespace, names)
        return done

    def _read(self, caller: Caller, work: Callable[[Context], T]) -> T:
        return self._store.read(
            lambda tx: work(Context(tx, tx.now, caller, self._service)),
            caller.namespace,
            self.settings.operation_timeout_s,
        )

    def _scrub(self, texts: Sequence[str]) -> None:
        self._store.scrub(texts, self.settings.operation_timeout_s)

    def _facts(self) -> Mapping[str, Any]:
        return {
            **self._store.gauges(),
            "connections": self.gauges.connections,
            "uptime_s": time.monotonic() - self.gauges.started,
            "version": __version__,
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


def _once(
    ctx: Context, declared: Operation, arguments: dict[str, Any], request_id: str, fingerprint: str
) -> dict[str, Any]:
    """Do the write unless this id did it before; then its first reply is given again."""
    seen = ctx.store.requests.recall(request_id)
    if seen is not None:
        if seen[0] != fingerprint:
            raise InvalidRequest(
                f"request_id {request_id!r} was used for another request within the hour",
                hint="give every request an id of its own",
            )
        return cast(dict[str, Any], json.loads(seen[1]))
    result = dict(declared.handler(ctx, **arguments))
    ctx.store.requests.remember(request_id, fingerprint, json.dumps(result, ensure_ascii=False, separators=(",", ":")))
    return result


def _fingerprint(method: str, params: Mapping[str, Any]) -> str:
    """What tells one request from another under the same id."""
    canonical = json.dumps([method, params], ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()[:32]
