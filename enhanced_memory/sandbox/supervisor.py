"""The keeper of the cell: starts the zygote, sends it runs, answers the code's calls, and never trusts a worker.

Above lies whoever runs code and hands in the memory operations as functions; below the zygote, as a process. Whatever
comes from a worker is held against limits and types: it may be the code's doing, and say anything.
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import keyword
import queue
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from enhanced_memory.errors import (
    Busy,
    CodeError,
    EnhancedMemoryError,
    Internal,
    InvalidParams,
    ParseError,
    SandboxError,
    SandboxMemory,
    SandboxRejected,
    SandboxTimeout,
    ShuttingDown,
    TimedOut,
    TooLarge,
)
from enhanced_memory.sandbox import confinement, frames, limits
from enhanced_memory.turns import Turns

START_WITHIN_S: Final = 30.0
"""A zygote takes about 0.2 s to start; a machine that does much else may need several."""

_END_WITHIN_S: Final = 5.0
"""From the hard limit to the zygote's word that the worker has ended."""

_LOOK_EVERY_S: Final = 0.25
"""How often to ask whether somebody still waits for a run."""

_LAYERS: Final = ("guards", "process", *confinement.LAYERS)

_TAKEN_NAMES: Final = frozenset({"print", "printed", "builtins", "breakpoint"})
"""Names that RestrictedPython keeps to itself."""

_BOOT: Final = """
import sys
sys.path[:0] = sys.argv[2:]
from enhanced_memory.sandbox.zygote import main
main(int(sys.argv[1]))
"""


def _waited_for() -> bool:
    """Of a run whose asker always waits."""
    return False


@dataclass(frozen=True)
class Outcome:
    """What a run gave. `result` is JSON data; `stdout` what it printed; `operations` how often it called what."""

    result: Any
    stdout: str
    execution_time_ms: float
    memory_used_mb: float
    operations: dict[str, int]


class Supervisor:
    """Runs code in workers of its own, several at once, for any thread. Starts nothing before the first run."""

    def __init__(self, *, allow_partial: bool = False, wait_s: float = limits.WAIT_S) -> None:
        """`allow_partial`: on Linux, run code even where isolation is below `kernel`.

        `wait_s`: how long a run may wait for a place.
        """
        self._allow_partial = allow_partial
        self._wait_s = wait_s
        self._places = Turns(limits.MAX_RUNS, limits.MAX_WAITING)
        self._lock = threading.Lock()
        self._zygote: _Zygote | None = None
        self._held: dict[str, bool] | None = None
        self._closed = False

    def run(
        self,
        code: str,
        *,
        context_vars: Mapping[str, Any] | None = None,
        timeout_s: float = limits.MAX_TIMEOUT_S,
        functions: Mapping[str, Sequence[str]],
        call: Callable[[str, dict[str, Any]], Any],
        gone: Callable[[], bool] = _waited_for,
    ) -> Outcome:
        """Execute `code` and wait for its end: at most `timeout_s` and half a second, and the wait for a place before.

        `context_vars` are variables the code finds, JSON data. `functions` are the operations it can call, by name
        with their parameter names in order; `call(name, arguments)` carries one out, in this thread, and gives JSON
        data or raises an EnhancedMemoryError, which the code meets as an OperationError. `gone` is asked now and then
        whether nobody waits for the outcome any more; then the run ends.

        Raises: SandboxRejected, SandboxError, SandboxTimeout, SandboxMemory: as they say.
                InvalidParams: `timeout_s` outside 0.1 to 30, or a variable that cannot have its name.
                TooLarge: the code is over 256 KiB, or with its variables over 16 MiB.
                Busy: 4 runs go on and 16 wait, or no place came free in time. ShuttingDown: closed. TimedOut: `gone`.
                Internal: the sandbox cannot be started.
        """
        request = _checked(code, context_vars or {}, timeout_s, functions)
        with self._place():
            zygote = self._ready()
            return _Run(zygote, timeout_s, functions, call, gone).converse(request)

    def check(self, code: str) -> None:
        """Compile `code` as `run` would and execute nothing of it; in a worker, since source can harm a compiler.

        Raises: SandboxRejected: it is no Python, or not available here, with the line. TooLarge, Busy, ShuttingDown,
                Internal, SandboxTimeout, SandboxMemory, SandboxError: as `run`.
        """
        request = _checked(code, {}, limits.CHECK_S, {}, only_compile=True)
        with self._place():
            _Run(self._ready(), limits.CHECK_S, {}, _no_operation, _waited_for).converse(request)

    def confinement_report(self) -> dict[str, Any]:
        """How code is held: {"isolation": kernel, partial or language, "layers": {name: "on" or "missing"}}.

        Starts the zygote where none ever was, since only a worker that tries can tell; what it found stands from then
        on. Where it cannot be started no code runs: isolation is `unavailable`, and every layer missing.
        """
        try:
            held = self._held or self._started().held
        except (Internal, ShuttingDown):
            return {"isolation": "unavailable", "layers": dict.fromkeys(_LAYERS, "missing")}
        return {
            "isolation": confinement.isolation(held),
            "layers": {
                "guards": "on",
                "process": "on",
                **{layer: "on" if on else "missing" for layer, on in held.items()},
            },
        }

    def close(self) -> None:
        """End the zygote and every worker; runs that go on fail with ShuttingDown. May be called twice."""
        with self._lock:
            self._closed = True
            zygote, self._zygote = self._zygote, None
        if zygote is not None:
            zygote.close()

    @contextlib.contextmanager
    def _place(self) -> Iterator[None]:
        """Have a place for a run, after a wait for it. Raises: Busy: too many wait, or none came free in time."""
        try:
            self._places.enter(self._wait_s)
        except queue.Full:
            raise Busy(
                f"{limits.MAX_RUNS} runs of code go on and {limits.MAX_WAITING} wait",
                hint="try again in a few seconds",
            ) from None
        except TimeoutError:
            raise Busy(
                f"no place to run code came free within {self._wait_s:g} seconds",
                hint="try again when fewer run, or give each run a shorter timeout_s",
            ) from None
        try:
            yield
        finally:
            self._places.leave()

    def _ready(self) -> _Zygote:
        """The zygote, if code may run under it. Raises: SandboxRejected, Internal, ShuttingDown."""
        zygote = self._started()
        isolation = confinement.isolation(zygote.held)
        if sys.platform == "linux" and isolation != "kernel" and not self._allow_partial:
            missing = ", ".join(layer for layer, on in zygote.held.items() if not on)
            raise SandboxRejected(
                f"code is not run here: isolation is {isolation}, not kernel (missing: {missing})",
                hint="run the service where seccomp is available, or allow weaker isolation in the settings",
            )
        return zygote

    def _started(self) -> _Zygote:
        """The zygote, started where there is none or the last one has ended."""
        with self._lock:
            if self._closed:
                raise ShuttingDown("the service is ending and runs no more code")
            if self._zygote is not None and not self._zygote.alive():
                self._zygote.stop()
                self._zygote = None
            if self._zygote is None:
                self._zygote = _Zygote()
                self._held = self._zygote.held
            return self._zygote


def _no_operation(name: str, _: dict[str, Any]) -> Any:
    """Stands for the memory operations where none is offered; never called."""
    raise Internal(f"{name} was called by code that was only to be compiled")


def _checked(
    code: str,
    variables: Mapping[str, Any],
    timeout_s: float,
    functions: Mapping[str, Sequence[str]],
    *,
    only_compile: bool = False,
) -> bytes:
    """The first message to a worker. Raises: InvalidParams, TooLarge."""
    if not limits.MIN_TIMEOUT_S <= timeout_s <= limits.MAX_TIMEOUT_S:
        raise InvalidParams(
            f"timeout_s must lie between {limits.MIN_TIMEOUT_S:g} and {limits.MAX_TIMEOUT_S:g}, not {timeout_s:g}",
            details={"path": "timeout_s"},
        )
    for name in variables:
        if not name.isidentifier() or keyword.iskeyword(name) or name.startswith("_") or name in _TAKEN_NAMES:
            raise InvalidParams(
                f"{name[:100]!r} cannot be the name of a variable here", details={"path": f"context_vars.{name[:100]}"}
            )
    try:
        if len(code.encode()) > limits.MAX_CODE_BYTES:
            raise TooLarge(f"the code is larger than {limits.MAX_CODE_BYTES:,} bytes")
        return frames.encode(
            {"code": code, "context_vars": variables, "functions": functions, "only_compile": only_compile},
            limits.MAX_TO_WORKER_BYTES,
        )
    except (ValueError, TypeError) as error:
        raise InvalidParams(f"code and context_vars must be JSON data: {error}") from None


# --------------------------------------------------------------------------------------------------------- one run


class _Run:
    """One run as the supervisor sees it: sends the request, answers calls, makes an Outcome or an error of the end."""

    def __init__(
        self,
        zygote: _Zygote,
        timeout_s: float,
        functions: Mapping[str, Sequence[str]],
        call: Callable[[str, dict[str, Any]], Any],
        gone: Callable[[], bool],
    ) -> None:
        self._zygote = zygote
        self._timeout_s = timeout_s
        self._functions = functions
        self._call = call
        self._gone = gone
        self._calls: Counter[str] = Counter()
        self._entities = 0

    def converse(self, request: bytes) -> Outcome:
        """Do the run and wait until its worker is gone. Raises: as `Supervisor.run`."""
        started_at = time.monotonic()
        pipe, watch = self._zygote.start(self._timeout_s)
        with pipe, watch:
            try:
                last = self._until_last(pipe, request)
            finally:
                elapsed_s = time.monotonic() - started_at
                end = self._zygote.end_of_run(watch)
        try:
            return self._outcome(last, end, elapsed_s)
        except CodeError as error:
            error.execution_time_ms = round(elapsed_s * 1000, 2)
            raise

    def _until_last(self, pipe: socket.socket, request: bytes) -> dict[str, Any] | None:
        """The worker's last message, its calls answered meanwhile; None where it ended without one or sent nonsense.

        Raises: TimedOut: nobody waits for it any more.
        """
        # The zygote kills at the hard limit; this bound is for a zygote that does not.
        bound_s = self._timeout_s + limits.GRACE_S + _END_WITHIN_S
        pipe.settimeout(bound_s)
        outgoing = request
        while True:
            # A worker that is gone takes nothing any more, but its last message may be there to be read.
            with contextlib.suppress(OSError):
                pipe.sendall(outgoing)
            self._await(pipe, bound_s)
            try:
                message = frames.receive(pipe.recv, limits.MAX_FROM_WORKER_BYTES)
            except (OSError, ParseError):
                return None
            if message is None or message.get("kind") != "call":
                return message
            try:
                outgoing = self._answer(message.get("name"), message.get("arguments"))
            except _Overrun:
                return None

    def _await(self, pipe: socket.socket, bound_s: float) -> None:
        """Return when the worker has said something, or `bound_s` seconds have passed. Raises: TimedOut: as above."""
        poll = select.poll()
        poll.register(pipe, select.POLLIN)
        until = time.monotonic() + bound_s
        while not poll.poll(_LOOK_EVERY_S * 1000) and time.monotonic() < until:
            if self._gone():
                raise TimedOut("the code was stopped, since nobody waits for its answer any more")

    def _answer(self, name: Any, arguments: Any) -> bytes:
        """The reply to a call of the code, whatever comes of it. Raises: _Overrun: no honest worker makes this call."""
        if not isinstance(name, str) or name not in self._functions or not isinstance(arguments, dict):
            raise _Overrun
        if self._calls.total() >= limits.MAX_CALLS:
            raise _Overrun
        self._calls[name] += 1
        try:
            lists = [arguments.get(each) for each in limits.ENTITY_LISTS]
            self._entities += sum(len(each) for each in lists if isinstance(each, list))
            if self._entities > limits.MAX_ENTITIES:
                raise TooLarge(f"a run may write {limits.MAX_ENTITIES} entities, and this would be {self._entities}")
            return frames.encode({"value": self._call(name, arguments)}, limits.MAX_TO_WORKER_BYTES)
        except EnhancedMemoryError as error:
            failure = {"message": error.message, "code": error.code, "hint": error.hint}
            return frames.encode({"error": failure}, limits.MAX_TO_WORKER_BYTES)

    def _outcome(self, last: dict[str, Any] | None, end: Mapping[str, Any] | None, elapsed_s: float) -> Outcome:
        """What the last message and the worker's end come to. Raises: as `Supervisor.run`."""
        kind = str(last.get("kind")) if last else ""
        if last is None or kind not in _LAST_WORDS or not _LAST_WORDS[kind](last):
            raise self._died(end, elapsed_s)
        stdout = last.get("stdout", "")
        details = {"stdout": stdout} if stdout else {}
        if kind == "done":
            return Outcome(
                result=last["result"],
                stdout=stdout,
                execution_time_ms=round(elapsed_s * 1000, 2),
                memory_used_mb=round((end or {}).get("peak_bytes", 0) / 1024**2, 2),
                operations=dict(self._calls),
            )
        if kind == "rejected":
            raise SandboxRejected(last["message"], details={"line": last["line"]})
        if kind == "timeout":
            raise self._timed_out(details)
        if kind == "memory":
            raise self._out_of_memory(details)
        if kind == "unconfined":
            raise Internal("a worker could not be confined as it should; the code was not run")
        where = "" if last["line"] is None else f"line {last['line']}: "
        raise SandboxError(
            f"{where}{last['type']}: {last['message']}" if last["message"] else f"{where}{last['type']}",
            details={"type": last["type"], "message": last["message"], "line": last["line"], **details},
        )

    def _timed_out(self, details: Mapping[str, Any] | None = None) -> SandboxTimeout:
        return SandboxTimeout(
            f"the code was stopped at its limit of {self._timeout_s:g} seconds",
            hint=f"do less at once, or give it up to {limits.MAX_TIMEOUT_S:g} seconds with timeout_s",
            details=details or None,
        )

    def _out_of_memory(self, details: Mapping[str, Any] | None = None) -> SandboxMemory:
        return SandboxMemory(
            f"the code needed more than {limits.MEMORY_BYTES // 1024**2} MiB of memory", details=details or None
        )

    def _died(self, end: Mapping[str, Any] | None, elapsed_s: float) -> EnhancedMemoryError:
        """The error for a worker that ended without a word that could be understood."""
        if self._zygote.closed:
            return ShuttingDown("the service is ending; the code was stopped")
        if end is None:
            return Internal("the sandbox ended during the run; the next run starts it anew")
        if end["killed"] == "memory":
            return self._out_of_memory()
        if end["signal"] == signal.SIGXCPU or elapsed_s >= self._timeout_s:
            return self._timed_out()
        if end["signal"] == signal.SIGSYS:
            return SandboxError("the code tried what no code may and was stopped", details={"type": "Violation"})
        return SandboxError(
            "the process of the code died",
            hint="usual reasons: nesting many thousands deep, or memory running out",
            details={"type": "Died", "signal": end["signal"]},
        )


class _Overrun(Exception):
    """A worker that asks for what its own side would have refused: it has been taken over."""


def _line_or_none(value: Any) -> bool:
    return value is None or type(value) is int


_LAST_WORDS: Final[Mapping[str, Callable[[dict[str, Any]], bool]]] = {
    "done": lambda last: "result" in last and _is_stdout(last),
    "rejected": lambda last: _is_text(last.get("message")) and _line_or_none(last.get("line")),
    "error": lambda last: (
        _is_text(last.get("type"))
        and _is_text(last.get("message"))
        and _line_or_none(last.get("line"))
        and _is_stdout(last)
    ),
    "timeout": lambda last: _is_stdout(last),
    "memory": lambda last: _is_stdout(last),
    "unconfined": lambda _: True,
}
"""The kinds of a last message, and whether one of that kind has the shape it should."""


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and len(value) <= limits.MAX_MESSAGE_CHARS


def _is_stdout(last: Mapping[str, Any]) -> bool:
    stdout = last.get("stdout")
    return isinstance(stdout, str) and len(stdout) <= limits.MAX_STDOUT_BYTES + 100


# ------------------------------------------------------------------------------------------------------ the zygote


class _Zygote:
    """The zygote's process, as its parent holds it."""

    def __init__(self) -> None:
        """Start it and wait until it can fork. Raises: Internal: it does not come up."""
        self.closed = False
        """Whether it was ended on purpose."""
        self._lock = threading.Lock()
        try:
            self._control, self._process = self._begun()
        except OSError as error:  # no memory, process or descriptor to be had, or an update took the interpreter away
            raise Internal(f"the sandbox cannot be started ({error.strerror})", hint="restart the daemon") from error
        try:
            self._control.settimeout(START_WITHIN_S)
            with self._control.makefile("rb") as lines:
                told = json.loads(lines.readline())
            self.held: dict[str, bool] = {layer: bool(told[layer]) for layer in confinement.LAYERS}
        except (OSError, ValueError, KeyError) as error:
            self.stop()
            raise Internal("the sandbox does not start; standard error of the service says why") from error

    @staticmethod
    def _begun() -> tuple[socket.socket, subprocess.Popen[bytes]]:
        """Its process, and our end of the line to it. Raises: OSError."""
        # No descriptor but one, no environment, no site packages but those needed: what is not there cannot leak,
        # and no lock or socket of ours outlives us in it. Its own session keeps the terminal's Ctrl-C from it.
        control, theirs = socket.socketpair()
        with theirs, contextlib.ExitStack() as undo:
            undo.enter_context(control)
            process = subprocess.Popen(  # noqa: S603 - our own interpreter and our own text
                [sys.executable, "-I", "-S", "-X", "utf8", "-c", _BOOT, str(theirs.fileno()), *_paths()],
                env={},
                cwd="/",
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                start_new_session=True,
            )
            undo.pop_all()
        return control, process

    def alive(self) -> bool:
        """Whether it can still fork."""
        return self._process.poll() is None

    def start(self, timeout_s: float) -> tuple[socket.socket, socket.socket]:
        """A new worker: our end of its pipe, and of the watch over it. Raises: Internal, ShuttingDown."""
        pipe, its_pipe = socket.socketpair()
        watch, its_watch = socket.socketpair()
        with its_pipe, its_watch:
            try:
                with self._lock:  # one message at a time, so that descriptors stay with theirs
                    socket.send_fds(
                        self._control, [frames.START.pack(timeout_s)], [its_pipe.fileno(), its_watch.fileno()]
                    )
            except OSError:
                pipe.close()
                watch.close()
                if self.closed:
                    raise ShuttingDown("the service is ending and runs no more code") from None
                raise Internal("the sandbox ended; the next run starts it anew") from None
        return pipe, watch

    def end_of_run(self, watch: socket.socket) -> dict[str, Any] | None:
        """Have the worker killed if it is still there; how it ended, or None where the zygote ended before."""
        watch.settimeout(_END_WITHIN_S)
        try:
            watch.shutdown(socket.SHUT_WR)
            with watch.makefile("rb") as lines:
                told = lines.read()  # to the end: then the zygote has let go of the run
        except OSError:
            told = b""
        if not told:
            self.stop()  # it is gone or stuck; its workers end with it
            return None
        end: dict[str, Any] = json.loads(told)
        return end

    def close(self) -> None:
        """End it and its workers, on purpose: runs that go on fail with ShuttingDown. May be called twice."""
        self.closed = True
        self.stop()

    def stop(self) -> None:
        """End it and its workers."""
        self._control.close()  # which it sees, and ends
        try:
            self._process.wait(_END_WITHIN_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def _paths() -> list[str]:
    """The folders of this package and of the packages that a worker needs."""
    folders = []
    for package in ("enhanced_memory", "RestrictedPython", "timeout_decorator", "psutil"):
        spec = importlib.util.find_spec(package)
        if spec is None or spec.origin is None:
            raise Internal(f"the package {package} is not installed")
        folders.append(str(Path(spec.origin).parents[1]))
    return list(dict.fromkeys(folders))
