"""Reading processes: they answer searches when more come than one interpreter can answer, and help the writer.

Threads of one process take turns at its interpreter, so a machine's other cores lie idle while searches queue, or while
the writer works out what it is about to write. The processes are forked before the daemon has any thread, which costs
no import and little memory, and wait for work on a socket pair; when the daemon is gone, however it went, they read the
end of it and go too. One more does what nobody waits for, and gives way to all others.

Above it lie main, which makes them, and the dispatcher, which asks them; below it the operations and the store.
"""

from __future__ import annotations

import contextlib
import gc
import io
import json
import logging
import os
import select
import signal
import socket
import struct
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NoReturn, cast

from setproctitle import setproctitle

from enhanced_memory import wire
from enhanced_memory.context import Caller, Checks, Context, Service, Upkeep
from enhanced_memory.errors import Busy
from enhanced_memory.registry import find
from enhanced_memory.service import garbage
from enhanced_memory.service.analyser import WordAnalyser
from enhanced_memory.settings import Settings
from enhanced_memory.store.sqlite.snapshots import Snapshots
from enhanced_memory.turns import Turns

log = logging.getLogger(__name__)

_TITLE: Final = "memory-db-reader"
_PATIENT_TITLE: Final = "memory-db-helper"
"""What lists of processes show, so that who looks for the daemon finds one."""

_PATIENCE_S: Final = 5.0
_LONG_PATIENCE_S: Final = 60.0
"""How long a search may take there, which is a hundred times what it takes; then the daemon does it itself. And what
nobody waits for."""

_GIVES_WAY: Final = 10
"""Niceness of the process for what nobody waits for: beside busy ones it gets about a tenth of a core."""

_GRACE_S: Final = 1.0
"""How long a process may take beyond the time limit, at which it ends a statement by itself."""

_AHEAD: Final = 2
"""Requests that a process may have been sent at once: one to work on, and the next."""

_REPLY_BYTES: Final = 64 * 1024
"""Read of a reply at once: all of most."""


@dataclass(frozen=True)
class Answer:
    """What an operation gave, an object as JSON text, and the entities that were read for it."""

    result: bytes
    accessed: list[int]


class _Process:
    """One of them, and the line to it, on which replies come in the order of the requests. Safe for many threads."""

    def __init__(self, pid: int, line: socket.socket) -> None:
        self.load = 0
        """Requests that were sent and have no reply yet, one that takes all of it counting as _AHEAD; the crew's."""
        self._pid = pid
        self._line = line
        self._replies = io.BufferedReader(line.makefile("rb", buffering=0), _REPLY_BYTES)
        self._turns: deque[threading.Lock] = deque()
        self._lock = threading.Lock()

    def send(self, line: bytes) -> Callable[[], dict[str, Any]]:
        """Send a request. What is returned waits for its reply; call it once, since the next ones wait for it.

        It raises: OSError, ValueError: the process is gone, or too slow, or does not answer in JSON.
        """
        turn = threading.Lock()
        turn.acquire()
        with self._lock:
            if not self._turns:
                turn.release()
            self._turns.append(turn)
            try:
                self._line.sendall(line)
            except OSError:  # so that whoever waits for it learns it
                self._shut()

        def receive() -> dict[str, Any]:
            turn.acquire()
            try:
                return self._received()
            except BaseException:
                self._shut()
                raise
            finally:
                with self._lock:
                    self._turns.popleft()
                    if self._turns:
                        self._turns[0].release()

        return receive

    def _received(self) -> dict[str, Any]:
        answer = self._replies.readline()
        if not answer.endswith(b"\n"):
            raise ConnectionError("it has ended")
        reply: dict[str, Any] = json.loads(answer)
        if "bytes" in reply:
            reply["text"] = self._replies.read(reply["bytes"]) or b""
            if len(reply["text"]) != reply["bytes"]:
                raise ConnectionError("it has ended")
        return reply

    def _shut(self) -> None:
        with contextlib.suppress(OSError):
            self._line.shutdown(socket.SHUT_RDWR)

    def end(self) -> None:
        """Have it end, whatever it is doing, and leave nothing of it; nobody must be waiting for a reply."""
        self._replies.close()
        self._line.close()
        with contextlib.suppress(ProcessLookupError):
            os.kill(self._pid, signal.SIGKILL)
        with contextlib.suppress(ChildProcessError):
            os.waitpid(self._pid, 0)


class _Crew:
    """Processes that are alike, each of which does one thing after the other. Safe for many threads.

    A busy one is sent _AHEAD requests at once: it need not wait until a thread of ours has its turn to send the next.
    """

    def __init__(self, processes: Sequence[_Process]) -> None:
        self._processes = list(processes)
        self._places = Turns(len(processes) * _AHEAD)
        self._lock = threading.Lock()

    @property
    def alive(self) -> int:
        """How many are not lost."""
        return len(self._processes)

    def send(self, line: bytes, wait_s: float) -> Callable[[], dict[str, Any] | None] | None:
        """Send a request to the one with the least to do, waiting up to `wait_s` seconds until it is not too much.

        What is returned waits for the reply; call it once. It gives None if the process failed, and gives up one that
        is lost. None: all are lost. Raises: TimeoutError: all had too much to do.
        """
        if not self.alive:
            return None
        self._places.enter(wait_s)
        return self._sent(line, 1)

    def send_to_idle(self, line: bytes) -> Callable[[], dict[str, Any] | None] | None:
        """Send a request to one that has nothing to do, and nothing else until it is done; None: there is none."""
        for taken in range(_AHEAD):
            try:
                self._places.enter(0)
            except TimeoutError:
                self._leave(taken)
                return None
        return self._sent(line, _AHEAD)

    def _sent(self, line: bytes, load: int) -> Callable[[], dict[str, Any] | None] | None:
        with self._lock:
            process = min(self._processes, key=lambda process: process.load, default=None)
            if process is None or process.load + load > _AHEAD:  # one was lost, and its places were not
                process = None
            else:
                process.load += load
        if process is None:
            self._leave(load)
            return None
        receive = process.send(line)

        def received() -> dict[str, Any] | None:
            try:
                reply = receive()
            except (OSError, ValueError) as error:
                self._give_up(process, load, error)
                return None
            else:
                with self._lock:
                    process.load -= load
                return None if reply.get("failed") else reply
            finally:
                self._leave(load)

        return received

    def _give_up(self, process: _Process, load: int, error: Exception) -> None:
        with self._lock:
            process.load -= load
            if process in self._processes:
                log.warning("a process beside us is given up: %s", error or type(error).__name__)
                self._processes.remove(process)
            unused = not process.load
        if unused:
            process.end()

    def _leave(self, places: int) -> None:
        for _ in range(places):
            self._places.leave()

    def close(self) -> None:
        """End them all; nobody must be asking."""
        with self._lock:
            processes, self._processes = self._processes, []
        for process in processes:
            process.end()


class Readers:
    """`settings.read_processes` processes that read the database, and a patient one. Safe for many threads.

    To be made before the process has threads, descriptors that must not be shared, or the database open.
    """

    def __init__(self, settings: Settings) -> None:
        self._wait_s = settings.read_wait_s
        self._answered = 0
        if settings.read_processes:
            find("search_nodes")  # loaded before the fork, so that all share it
            gc.freeze()
        self._quick = _Crew([_started(settings, _TITLE, _PATIENCE_S) for _ in range(settings.read_processes)])
        self._patient = _Crew(
            [_started(settings, _PATIENT_TITLE, _LONG_PATIENCE_S, _GIVES_WAY)] if settings.read_processes else []
        )

    def answer(self, caller: Caller, method: str, arguments: Mapping[str, Any], timeout_s: float) -> Answer | None:
        """What the operation gives for arguments that were checked; None: they cannot tell, and whoever asks has to
        find out without them.

        Raises: Busy: its turn did not come in time.
        """
        patience_s = min(timeout_s, _PATIENCE_S)
        request = {"method": method, "arguments": arguments, "namespace": caller.namespace, "timeout_s": patience_s}
        try:
            receive = self._quick.send(wire.encode(request), min(timeout_s, self._wait_s))
        except TimeoutError:
            raise Busy("too many reads are under way", hint="ask again in a moment") from None
        reply = None if receive is None else receive()
        if reply is None:
            return None
        self._answered += 1  # threads may count past one another; it is told, and nothing depends on it
        return Answer(reply["text"], reply["accessed"])

    def begin(self, task: str, data: Any, timeout_s: float, *, patiently: bool = False) -> Callable[[], Any] | None:
        """Have a process that is idle do a task of the store's, as `store.base.Helpers` says."""
        line = wire.encode({"task": task, "data": data, "timeout_s": timeout_s})
        receive = (self._patient if patiently else self._quick).send_to_idle(line)
        if receive is None:
            return None

        def collect() -> Any:
            reply = receive()
            return None if reply is None else reply["made"]

        return collect

    def told(self) -> dict[str, int]:
        """processes: how many answer searches; answered: searches they have answered since the start, about."""
        return {"processes": self._quick.alive, "answered": self._answered}

    def close(self) -> None:
        """End them all; nobody must be asking."""
        self._quick.close()
        self._patient.close()


def _started(settings: Settings, title: str, patience_s: float, niceness: int = 0) -> _Process:
    """A process that waits for work, forked from this one; one that has not answered after `patience_s` is lost."""
    ours, theirs = socket.socketpair()
    pid = os.fork()
    if pid == 0:
        os.nice(niceness)
        _become_reader(theirs, settings, title)
    theirs.close()
    # The kernel's own limit: that of Python would make three calls of one, and each lets the interpreter go.
    limit = struct.pack("ll", int(patience_s + _GRACE_S), 0)
    ours.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, limit)
    ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, limit)
    return _Process(pid, ours)


def _become_reader(line: socket.socket, settings: Settings, title: str) -> NoReturn:
    """The life of a forked process: answer what comes on `line` until its end. It must not return to the daemon's."""
    status = 1
    try:
        for number in (signal.SIGINT, signal.SIGTERM):  # they are for the daemon, whose end we see
            signal.signal(number, signal.SIG_IGN)
        setproctitle(title)
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
    since_collected = 0
    requests = line.makefile("rb")
    while True:
        if since_collected >= garbage.WORTH and not select.select([line], [], [], garbage.IDLE_S)[0]:
            gc.collect()
            since_collected = 0
        request = requests.readline()
        if not request:
            return
        since_collected += 1
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
