"""Reading processes: they answer searches when more come than one interpreter can answer, and help the writer.

Threads of one process take turns at its interpreter, so a machine's other cores lie idle while searches queue, or while
the writer works out what it is about to write. The processes are forked before the daemon has any thread, which costs
no import and little memory, and wait for work on a socket pair; when the daemon is gone, however it went, they read the
end of it and go too.

Above it lie main, which makes them, and the dispatcher, which asks them; below it the operations and the store.
"""

from __future__ import annotations

import contextlib
import gc
import json
import logging
import os
import queue
import signal
import socket
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import IO, Any, Final, NoReturn, cast

from setproctitle import setproctitle

from enhanced_memory import wire
from enhanced_memory.context import Caller, Checks, Context, Service, Upkeep
from enhanced_memory.errors import Busy
from enhanced_memory.registry import find
from enhanced_memory.service.analyser import WordAnalyser
from enhanced_memory.settings import Settings
from enhanced_memory.store.sqlite.snapshots import Snapshots
from enhanced_memory.turns import Turns

log = logging.getLogger(__name__)

_TITLE: Final = "memory-db-reader"
"""What lists of processes show, so that who looks for the daemon finds one."""

_PATIENCE_S: Final = 5.0
"""How long a search may take there, which is a hundred times what it takes; then the daemon does it itself."""

_GRACE_S: Final = 1.0
"""How long a process may take beyond the time limit, at which it ends a statement by itself."""


@dataclass(frozen=True)
class Answer:
    """What an operation gave, an object as JSON text, and the entities that were read for it."""

    result: bytes
    accessed: list[int]


@dataclass(frozen=True)
class _Process:
    """One of them, and the line to it."""

    pid: int
    line: socket.socket
    replies: IO[bytes]

    def end(self) -> None:
        """Have it end, whatever it is doing, and leave nothing of it."""
        self.replies.close()
        self.line.close()
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)
        with contextlib.suppress(ChildProcessError):
            os.waitpid(self.pid, 0)


class Readers:
    """`settings.read_processes` processes that read the database. Safe for many threads.

    To be made before the process has threads, descriptors that must not be shared, or the database open.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._places = Turns(settings.read_processes)
        self._free: queue.SimpleQueue[_Process] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._alive = 0
        self._answered = 0
        if settings.read_processes:
            find("search_nodes")  # loaded before the fork, so that all share it
            gc.freeze()
        lines: list[socket.socket] = []
        for _ in range(settings.read_processes):
            ours, theirs = socket.socketpair()
            lines.append(ours)
            pid = os.fork()
            if pid == 0:
                _become_reader(theirs, settings)
            theirs.close()
            self._free.put(_Process(pid, ours, ours.makefile("rb")))
            self._alive += 1

    def answer(self, caller: Caller, method: str, arguments: Mapping[str, Any], timeout_s: float) -> Answer | None:
        """What the operation gives for arguments that were checked; None: they cannot tell, and whoever asks has to
        find out without them.

        Raises: Busy: its turn did not come in time.
        """
        if not self._alive:
            return None
        try:
            self._places.enter(min(timeout_s, self._settings.read_wait_s))
        except TimeoutError:
            raise Busy("too many reads are under way", hint="ask again in a moment") from None
        try:
            try:
                process = self._free.get_nowait()
            except queue.Empty:  # it was lost, and its place was not
                return None
            patience_s = min(timeout_s, _PATIENCE_S)
            request = {"method": method, "arguments": arguments, "namespace": caller.namespace, "timeout_s": patience_s}
            reply = self._sent(process, wire.encode(request), patience_s)()
            if reply is None:
                return None
            self._answered += 1  # threads may count past one another; it is told, and nothing depends on it
            return Answer(reply["text"], reply["accessed"])
        finally:
            self._places.leave()

    def begin(self, task: str, data: Any, timeout_s: float) -> Callable[[], Any] | None:
        """Have a process that is idle do a task of the store's, as `store.base.Helpers` says."""
        if not self._alive:
            return None
        line = wire.encode({"task": task, "data": data, "timeout_s": timeout_s})
        try:
            self._places.enter(0)
        except TimeoutError:
            return None
        try:
            process = self._free.get_nowait()
        except queue.Empty:
            self._places.leave()
            return None
        receive = self._sent(process, line, timeout_s)

        def collect() -> Any:
            try:
                reply = receive()
                return None if reply is None else reply["made"]
            finally:
                self._places.leave()

        return collect

    def told(self) -> dict[str, int]:
        """processes: how many there are; answered: searches they have answered since the start, about."""
        return {"processes": self._alive, "answered": self._answered}

    def _sent(self, process: _Process, line: bytes, timeout_s: float) -> Callable[[], dict[str, Any] | None]:
        """Send it a request. What is returned waits for the reply, and has the process free again, or given up; None:
        it failed, or was given up."""
        lost: Exception | None = None
        try:
            process.line.settimeout(timeout_s + _GRACE_S)
            process.line.sendall(line)
        except OSError as error:
            lost = error

        def receive() -> dict[str, Any] | None:
            try:
                if lost is not None:
                    raise lost
                answer = process.replies.readline()
                if not answer.endswith(b"\n"):
                    raise ConnectionError("it has ended")
                reply: dict[str, Any] = json.loads(answer)
                if "bytes" in reply:
                    reply["text"] = process.replies.read(reply["bytes"])
                    if len(reply["text"]) != reply["bytes"]:
                        raise ConnectionError("it has ended")
            except (OSError, ValueError) as error:  # it is gone, or too slow, or does not answer in JSON
                log.warning("reading process %d is given up: %s", process.pid, error or type(error).__name__)
                with self._lock:
                    self._alive -= 1
                process.end()
                return None
            self._free.put(process)
            return None if reply.get("failed") else reply

        return receive

    def close(self) -> None:
        """End them all; nobody must be asking."""
        self._alive = 0
        while True:
            try:
                self._free.get_nowait().end()
            except queue.Empty:
                return


def _become_reader(line: socket.socket, settings: Settings) -> NoReturn:
    """The life of a forked process: answer what comes on `line` until its end. It must not return to the daemon's."""
    status = 1
    try:
        for number in (signal.SIGINT, signal.SIGTERM):  # they are for the daemon, whose end we see
            signal.signal(number, signal.SIG_IGN)
        setproctitle(_TITLE)
        null = os.open(os.devnull, os.O_RDWR)
        for descriptor in (0, 1):
            os.dup2(null, descriptor)
        os.closerange(3, line.fileno())
        os.closerange(line.fileno() + 1, os.sysconf("SC_OPEN_MAX"))
        _serve(line, settings)
        status = 0
    finally:
        os._exit(status)


def _serve(line: socket.socket, settings: Settings) -> None:
    """Answer requests, one a line, until there are no more."""
    service = Service(
        settings=settings,
        write=_not_here,
        read=_not_here,
        facts=_not_here,
        scrub=_not_here,
        running=_not_here,
        changes=_not_here,
        ask=_not_here,
        run_code=_not_here,
        check_code=_not_here,
        checks=cast(Checks, None),
        upkeep=cast(Upkeep, None),
    )
    snapshots: Snapshots | None = None
    for request in line.makefile("rb"):
        asked = json.loads(request)
        reply: dict[str, Any] = {"failed": True}
        text = b""
        with contextlib.suppress(Exception):  # the daemon tries the same itself, and tells its caller
            snapshots = snapshots or Snapshots(settings.db_path, WordAnalyser())
            if "task" in asked:
                reply = {"made": snapshots.do(asked["task"], asked["data"], asked["timeout_s"])}
            else:
                reply, text = _answered(snapshots, service, asked)
        line.sendall(wire.encode(reply) + text)


def _not_here(*_: Any, **__: Any) -> NoReturn:
    raise NotImplementedError("only the daemon can do that")


def _answered(snapshots: Snapshots, service: Service, asked: Mapping[str, Any]) -> tuple[dict[str, Any], bytes]:
    """The reply, and what the operation gives as JSON text, which follows it as it is: nobody reads it on its way."""
    declared, arguments = find(asked["method"]), asked["arguments"]
    caller = Caller(asked["namespace"])
    snapshots.accessed.clear()
    result = snapshots.read(
        lambda tx: declared.handler(Context(tx, tx.now, caller, service), **arguments),
        caller.namespace,
        asked["timeout_s"],
    )
    text = wire.encode(result)
    return {"accessed": snapshots.accessed, "bytes": len(text)}, text
