"""The warm process from which workers are forked: started empty, single-threaded, with everything loaded.

Above lies the supervisor, which executes this in a process without environment and descriptors; below the worker.
It never sees code or memories: it forks, kills at the hard limit, and tells how a worker ended. It ends with the
daemon, whose end of the control socket closes then, and takes the workers with it.

On the control socket: once, towards the supervisor, a line of JSON with the layers of confinement that hold. Then,
towards the zygote, START messages (the time limit) with two descriptors each: the worker's pipe and a watch socket.
When the supervisor closes its end of the watch the worker is killed; when the worker has ended the zygote writes a
line of JSON {signal, killed (why, or ""), peak_bytes} to the watch and closes it.
"""

from __future__ import annotations

import contextlib
import datetime
import encodings.ascii
import encodings.latin_1
import encodings.utf_16  # noqa: F401 - what code may want later must be here before files are out of reach
import gc
import heapq  # noqa: F401 - imported by Counter.most_common when it is first called
import json
import os
import resource
import select
import signal
import socket
import sys
import time
import unicodedata  # noqa: F401 - for "\N{...}" in source text
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, NoReturn

from enhanced_memory.sandbox import confinement, frames, limits, policy, worker

_MAX_DESCRIPTORS: Final = 64


@dataclass
class _Run:
    pid: int
    watch: socket.socket
    deadline: float
    killed: str = ""
    """Why it was killed: `left` by its supervisor, out of `time` or of `memory`."""

    def kill(self, reason: str) -> None:
        """End the worker and whatever is in its session."""
        self.killed = reason
        with contextlib.suppress(ProcessLookupError):  # it has not got to making its session yet
            os.killpg(self.pid, signal.SIGKILL)
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)


def main(control_descriptor: int) -> NoReturn:
    """Serve until the supervisor is gone."""
    descriptors = min(_MAX_DESCRIPTORS, resource.getrlimit(resource.RLIMIT_NOFILE)[0])
    resource.setrlimit(resource.RLIMIT_NOFILE, (descriptors, descriptors))
    _warm_up()
    control = socket.socket(fileno=control_descriptor)
    held = probe()
    control.sendall(json.dumps(held).encode() + b"\n")
    try:
        _serve(control, held)
    finally:
        os._exit(0)


def _warm_up() -> None:
    """Do once what loads modules or fills caches, and leave it out of the workers' garbage collection."""
    datetime.datetime.strptime("2024-02-29 10:00", "%Y-%m-%d %H:%M").astimezone().strftime("%A %B")
    Counter("tea").most_common(1)
    policy.compile_code("import re\nfor a, b in [(1, 2)]:\n    print(f'{a:>5} {b!r}', re.sub('(a)', r'\\1', 'a'))")
    gc.collect()
    gc.freeze()


def _serve(control: socket.socket, held: dict[str, bool]) -> None:
    """Take messages and ends of workers as they come; return when the supervisor is gone."""
    ended_reader, ended_writer = os.pipe()
    os.set_blocking(ended_reader, False)
    os.set_blocking(ended_writer, False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(ended_writer)
    runs: dict[int, _Run] = {}
    poll = select.poll()
    poll.register(control, select.POLLIN)
    poll.register(ended_reader, select.POLLIN)
    while True:
        ready = {descriptor for descriptor, _ in poll.poll(_milliseconds(runs))}
        # Descriptors are closed last: a run that begins in this round must not get the number of one that ended in it.
        for watched in ready & runs.keys():
            poll.unregister(watched)
            runs[watched].kill("left")
        if control.fileno() in ready:
            message, descriptors, _, _ = socket.recv_fds(control, frames.START.size, 2)
            if len(message) < frames.START.size or len(descriptors) < 2:
                for run in runs.values():
                    run.kill("left")
                return
            run = _start(frames.START.unpack(message)[0], descriptors[0], descriptors[1], held)
            runs[run.watch.fileno()] = run
            poll.register(run.watch, select.POLLIN)
        if ended_reader in ready:
            os.read(ended_reader, 4096)
            for watched in [number for number, run in runs.items() if _has_ended(run)]:
                with contextlib.suppress(KeyError):  # it is out of the poll since its supervisor left
                    poll.unregister(watched)
                runs.pop(watched).watch.close()
        now = time.monotonic()
        for run in runs.values():
            if now >= run.deadline and not run.killed:
                run.kill("time")
            elif sys.platform != "linux" and not run.killed and resident_bytes(run.pid) > limits.MEMORY_BYTES:
                run.kill("memory")


def _milliseconds(runs: dict[int, _Run]) -> float | None:
    """Until the next hard limit, or the next look at the workers' memory."""
    deadlines = [run.deadline for run in runs.values() if not run.killed]
    if not deadlines:
        return None
    until_s = max(0.0, min(deadlines) - time.monotonic())
    return 1000 * (until_s if sys.platform == "linux" else min(until_s, limits.WATCH_S)) + 1


def resident_bytes(pid: int) -> int:
    """Memory that a process holds, for systems that do not keep its limit themselves; 0 where it is gone."""
    import psutil  # Linux does without: there it costs the start 30 ms and is not needed

    try:
        return int(psutil.Process(pid).memory_info().rss)
    except psutil.Error:
        return 0


def _start(timeout_s: float, pipe: int, watch: int, held: dict[str, bool]) -> _Run:
    zygote = os.getpid()
    pid = os.fork()
    if pid == 0:
        _forget()
        worker.live(pipe, timeout_s, held, zygote)
    os.close(pipe)
    return _Run(pid, socket.socket(fileno=watch), time.monotonic() + timeout_s + limits.GRACE_S)


def _forget() -> None:
    """In a fork: the zygote's ways with signals end here."""
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)


def _has_ended(run: _Run) -> bool:
    """Whether the worker is no more; then the supervisor is told how it ended."""
    pid, status, usage = os.wait4(run.pid, os.WNOHANG)
    if pid == 0:
        return False
    with contextlib.suppress(ProcessLookupError, PermissionError):  # what it may have left, where it could fork
        os.killpg(run.pid, signal.SIGKILL)
    ended_by = os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0
    peak_bytes = usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    told = {"signal": ended_by, "killed": run.killed, "peak_bytes": peak_bytes}
    with contextlib.suppress(OSError):
        run.watch.sendall(json.dumps(told).encode() + b"\n")
    return True


# ------------------------------------------------------------------------------------------------------ the probe


def probe() -> dict[str, bool]:
    """Which layers hold in a worker, found by one that tries: forked, confined, and asked to break out."""
    ours, theirs = socket.socketpair()
    zygote = os.getpid()
    pid = os.fork()
    if pid == 0:
        try:
            held = worker.enter(theirs.fileno(), limits.MIN_TIMEOUT_S, zygote)
            os.write(worker.PIPE, frames.encode(_tried(held), limits.MAX_FROM_WORKER_BYTES))
        finally:
            os._exit(0)
    theirs.close()
    with ours:
        told = frames.receive(ours.recv, limits.MAX_FROM_WORKER_BYTES)
    os.waitpid(pid, 0)
    return {layer: told is not None and bool(told[layer]) for layer in confinement.LAYERS}


def _tried(held: dict[str, bool]) -> dict[str, bool]:
    """`held`, less the layers that let through what they should have stopped."""
    files = not _works(lambda: os.open("/", os.O_RDONLY))
    sockets = not _works(lambda: socket.socket(socket.AF_UNIX).close())
    return {**held, "landlock": held["landlock"] and files, "seccomp": held["seccomp"] and files and sockets}


def _works(attempt: Callable[[], object]) -> bool:
    try:
        attempt()
    except OSError:
        return False
    return True
