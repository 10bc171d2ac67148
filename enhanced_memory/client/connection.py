"""How a client reaches the daemon: one road for a request, walked alike by the asyncio and the blocking client.

`Road.exchange` says once what happens to a request: take a kept connection or open one, send, read the reply's line,
and after a lost connection go once more where that is safe. It is a coroutine over `Steps`, the four moves that wait.
The asyncio client's steps suspend; the blocking client's wait inside themselves, so `walk` runs the same coroutine to
its end without an event loop. Above lie the two clients; below lie the wire and the operating system. Standard
library only, and asyncio is loaded when it is first used.
"""

from __future__ import annotations

import os
import socket
import stat
import struct
import time
from collections import deque
from collections.abc import Coroutine, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, TypeVar

from enhanced_memory import wire
from enhanced_memory.client.methods import LONG, READS, TIMED, WRITES
from enhanced_memory.errors import DaemonUnavailable, ParseError

if TYPE_CHECKING:
    from enhanced_memory.settings import Settings

Reply: TypeAlias = dict[str, Any]
"""A daemon's answer: `success`, and with it the operation's keys or `error`, `code`, and perhaps `hint`, `details`."""

T = TypeVar("T")

_RECEIVE_BYTES = 64 * 1024
"""Read at once. Most replies fit; from 128 KiB on, each call would have its memory mapped and unmapped."""


LONG_S = 3600.0
"""How long an operation that works in slices may take, at the least."""

_ATTEMPTS = 12
_PAUSE_S = 0.05
"""How often a repeatable request is sent at the most, and the pause before each but the first two: half a second in
all, within which a killed process is gone and its socket refuses."""


class Request:
    """One request, encoded, and what the client knows of its fate.

    `writes`: it may change something, as whatever is not known to be a read. `repeatable`: it may be sent again when
    its fate is unknown. `sent` turns true when the first byte may have left.
    """

    __slots__ = ("data", "method", "own_s", "repeatable", "request_id", "sent", "writes")

    def __init__(self, method: str, request_id: str | None, data: bytes, own_s: float = 0.0) -> None:
        """`own_s`: seconds that the daemon gives the operation beside those for waiting and answering."""
        self.method = method
        self.own_s = own_s
        self.request_id = request_id
        self.data = data
        self.writes = method not in READS
        self.repeatable = method in READS or method in WRITES
        self.sent = False

    def allowed_s(self, timeout_s: float) -> float:
        """Seconds it may take, where others may take `timeout_s`: its own on top, an hour at least if it is long."""
        return max(timeout_s, LONG_S) if self.method in LONG else timeout_s + self.own_s


def _own_s(method: str, params: Mapping[str, Any]) -> float:
    """Seconds that code to be run may take; nothing where the daemon will refuse what is given."""
    given = params.get("timeout_s", TIMED[method]) if method in TIMED else 0.0
    return float(given) if isinstance(given, (int, float)) and 0 <= given <= LONG_S else 0.0


class Steps(Protocol):
    """The moves of an exchange that may wait. Each raises TimeoutError, or is cancelled, when its time is over."""

    async def connect(self, path: str) -> socket.socket | None:
        """As `open_connection`."""

    async def send(self, sock: socket.socket, data: bytes) -> None:
        """Send all of `data`."""

    async def receive(self, sock: socket.socket) -> bytes:
        """What comes next, empty at the end."""

    async def start(self, settings: Settings) -> None:
        """As `launch.ensure_daemon`."""

    async def pause(self) -> None:
        """Wait a moment."""


class BlockingSteps:
    """Steps that wait in the calling thread until `deadline`, a time of the monotonic clock."""

    def __init__(self, deadline: float) -> None:
        self._deadline = deadline

    def _left_s(self) -> float:
        left_s = self._deadline - time.monotonic()
        if left_s <= 0:
            raise TimeoutError
        return left_s

    async def connect(self, path: str) -> socket.socket | None:
        return open_connection(path, self._left_s())

    async def send(self, sock: socket.socket, data: bytes) -> None:
        sock.settimeout(self._left_s())
        sock.sendall(data)

    async def receive(self, sock: socket.socket) -> bytes:
        sock.settimeout(self._left_s())
        return sock.recv(_RECEIVE_BYTES)

    async def start(self, settings: Settings) -> None:
        from enhanced_memory.client.launch import ensure_daemon

        ensure_daemon(settings, timeout_s=self._left_s())

    async def pause(self) -> None:
        time.sleep(min(_PAUSE_S, self._left_s()))


class AsyncioSteps:
    """Steps that wait in the running event loop; the caller's own time-out bounds them, `timeout_s` their threads."""

    def __init__(self, timeout_s: float) -> None:
        import asyncio

        self._loop = asyncio.get_running_loop()
        self._timeout_s = timeout_s

    async def connect(self, path: str) -> socket.socket | None:
        try:
            return open_connection(path, 0)
        except BlockingIOError:  # the daemon's queue of newcomers is full, and no loop can watch for a place in it
            sock = await self._loop.run_in_executor(None, open_connection, path, self._timeout_s)
            if sock is not None:
                sock.setblocking(False)
            return sock

    async def send(self, sock: socket.socket, data: bytes) -> None:
        await self._loop.sock_sendall(sock, data)

    async def receive(self, sock: socket.socket) -> bytes:
        return await self._loop.sock_recv(sock, _RECEIVE_BYTES)

    async def start(self, settings: Settings) -> None:
        import asyncio

        from enhanced_memory.client.launch import ensure_daemon

        await asyncio.to_thread(ensure_daemon, settings, timeout_s=self._timeout_s)

    async def pause(self) -> None:
        import asyncio

        await asyncio.sleep(_PAUSE_S)


class Road:
    """The way to one daemon: its settings, and the connections kept open to it. Safe for many threads.

    Kept connections are plain non-blocking sockets that belong to no event loop, so a client serves one loop after
    another. A socket is in use by one exchange or idle here, never both.
    """

    def __init__(self, settings: Settings, *, client: str | None, autostart: bool) -> None:
        self._settings = settings
        self._path = settings.socket_path
        self._client = client
        self._autostart = autostart
        self._idle: deque[tuple[int, socket.socket]] = deque()

    def request(self, method: str, params: Mapping[str, Any] | None, request_id: str | None) -> Request:
        """The request as it goes over the wire; a write without a request id is given one of its own.

        The id makes repeating safe: the daemon answers a second request of the same id with the first reply.

        Raises: whatever `wire.encode` raises for parameters that JSON cannot hold.
        """
        if request_id is None and method not in READS:
            request_id = os.urandom(16).hex()
        message: dict[str, Any] = {
            "method": method,
            "params": params or {},
            "namespace": self._settings.namespace,
        }
        if self._client is not None:
            message["client"] = self._client
        if request_id is not None:
            message["request_id"] = request_id
        return Request(method, request_id, wire.encode(message), _own_s(method, params or {}))

    async def exchange(self, request: Request, steps: Steps) -> Reply:
        """Send `request` and give back the reply, failures of the daemon's included.

        A connection that ends before the whole reply is there is replaced, and the request sent again where it is
        repeatable: a read changes nothing, and a write in one transaction carries its request id. A socket whose
        exchange did not end well is closed, so that a late reply is never read as another's.

        Raises: DaemonUnavailable: nobody answers, somebody else does, or the connection was lost for good.
        """
        for attempt in range(_ATTEMPTS):
            if attempt > 1:  # the socket of a process that is being killed takes connections until it is gone
                await steps.pause()
            sock = await self._connection(request, steps)
            try:
                request.sent = True
                answer = await talk(sock, request.data, steps)
                if answer is None:
                    sock.close()
                    if request.repeatable:
                        continue
                    break
                reply = understood(answer, self._path)
            except BaseException:
                sock.close()
                raise
            if reply.get("code") == "shutting_down":
                sock.close()
                request.sent = False  # the daemon says that it did nothing
                if self._autostart and attempt + 1 < _ATTEMPTS:
                    await steps.start(self._settings)
                    continue
            else:
                self._keep(sock)
            return reply
        raise self._lost(request, f"the daemon at {self._path} ended the connection without answering {request.method}")

    def timed_out(self, request: Request, timeout_s: float) -> DaemonUnavailable:
        """The error for a `request` that was given up after `timeout_s` seconds."""
        if not request.sent:
            return DaemonUnavailable(
                f"{request.method} could not be sent to {self._path} within {timeout_s:g} s",
                hint="every connection was in use, or the daemon takes no more; allow a longer timeout_s",
            )
        return self._lost(request, f"{request.method} got no answer from {self._path} within {timeout_s:g} s")

    def close(self) -> None:
        """Close the connections that are idle."""
        with suppress(IndexError):
            while True:
                self._idle.pop()[1].close()

    def __del__(self) -> None:
        self.close()

    async def _connection(self, request: Request, steps: Steps) -> socket.socket:
        """A connection for one exchange: one that was kept, else a new one, to a daemon started if need be."""
        sock = self._kept()
        if sock is not None:
            return sock
        try:
            sock = await steps.connect(self._path)
            if sock is None and self._autostart:
                await steps.start(self._settings)
                sock = await steps.connect(self._path)
        except DaemonUnavailable as error:
            if request.sent:
                raise self._lost(request, error.message) from error
            raise
        if sock is None:
            if request.sent:
                raise self._lost(request, f"the daemon at {self._path} ended before it answered {request.method}")
            raise DaemonUnavailable(
                f"no memory daemon answers at {self._path}",
                hint="start it with memory-db-service, or set MEMORY_DB_SOCKET to the path it listens on",
            )
        return sock

    def _kept(self) -> socket.socket | None:
        """An idle connection whose other end is still there."""
        with suppress(IndexError):
            while True:
                owner, sock = self._idle.pop()
                if owner == os.getpid() and _is_quiet(sock):  # those from before a fork are the parent's
                    return sock
                sock.close()
        return None

    def _keep(self, sock: socket.socket) -> None:
        sock.setblocking(False)
        self._idle.append((os.getpid(), sock))

    def _lost(self, request: Request, sentence: str) -> DaemonUnavailable:
        """The error for a request that was sent and not answered."""
        if not request.writes:
            return DaemonUnavailable(sentence, hint="look at the daemon's log, then ask again")
        return DaemonUnavailable(
            f"{sentence}; the daemon may or may not have stored it",
            hint="ask before repeating, or repeat it with the request_id in details",
            details={"request_id": request.request_id},
        )


def walk(coroutine: Coroutine[Any, Any, T]) -> T:
    """The result of a coroutine that never suspends, which is so of any that only takes blocking steps."""
    try:
        coroutine.send(None)
    except StopIteration as done:
        result: T = done.value
        return result
    raise RuntimeError("a blocking step suspended")


def open_connection(path: str, timeout_s: float) -> socket.socket | None:
    """A connection to the daemon listening at `path`, or None where nobody listens.

    With a `timeout_s` of 0 it does not wait, and the socket is non-blocking. Connecting to a Unix socket waits for one
    thing, a place in the listener's queue; non-blocking sockets are told EAGAIN instead and cannot be watched for it,
    so a wait is left to the kernel, bounded by the socket's own send time-out.

    Raises: BlockingIOError: the queue is full and `timeout_s` is 0. TimeoutError: it stayed full.
            DaemonUnavailable: what is there is no socket, or not a daemon of this user's.
    """
    try:
        sock = _connected(path, timeout_s)
    except DaemonUnavailable:  # which is an OSError too
        raise
    except (FileNotFoundError, ConnectionRefusedError):
        _check_kind(path)
        return None
    except BlockingIOError:
        if timeout_s:
            raise TimeoutError from None
        raise
    except (OSError, ValueError) as error:
        raise DaemonUnavailable(
            f"cannot connect to {path}: {getattr(error, 'strerror', None) or error}",
            hint=_whose(path) or "set MEMORY_DB_SOCKET to a path of at most 107 bytes that you may use",
        ) from error
    return sock


def _connected(path: str, timeout_s: float) -> socket.socket:
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        if timeout_s:
            microseconds = max(1, int(timeout_s * 1_000_000))
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("ll", *divmod(microseconds, 1_000_000)))
        else:
            sock.setblocking(False)
        sock.connect(path)
        _check_owner(sock, path)
    except BaseException:
        sock.close()
        raise
    return sock


async def talk(sock: socket.socket, data: bytes, steps: Steps) -> bytes | None:
    """Send `data` and read one line, its newline included; None where the connection ends before that."""
    with suppress(ConnectionError):  # the daemon may have said why before it closed: `busy` at once, or `too_large`
        await steps.send(sock, data)
    parts = []
    while True:
        try:
            part = await steps.receive(sock)
        except ConnectionError:
            return None
        if not part:
            return None
        parts.append(part)
        if b"\n" in part:
            return b"".join(parts)


def understood(answer: bytes, path: str) -> Reply:
    """The reply in the line `answer`. Raises: DaemonUnavailable: it is not one line of this protocol."""
    try:
        reply = wire.decode(answer)
    except ParseError as error:
        reply = error
    if not isinstance(reply, dict) or not isinstance(reply.get("success"), bool):
        raise DaemonUnavailable(
            f"what answers at {path} does not speak as the memory daemon does",
            hint="set MEMORY_DB_SOCKET to the path the daemon listens on",
        )
    return reply


def _check_owner(sock: socket.socket, path: str) -> None:
    """Raises: DaemonUnavailable: the listener is neither this user nor root."""
    uid = wire.peer_uid(sock)
    if uid not in (os.geteuid(), 0):
        raise DaemonUnavailable(
            f"the socket {path} is held by {_user(uid)}, not by you; nothing was sent to it",
            hint="set MEMORY_DB_SOCKET to a path of your own",
        )


def _check_kind(path: str) -> None:
    """Raises: DaemonUnavailable: something is at `path` and is no socket."""
    try:
        mode = os.stat(path).st_mode
    except OSError:
        return
    if not stat.S_ISSOCK(mode):
        raise DaemonUnavailable(
            f"{path} is not a socket", hint="move what is there, or set MEMORY_DB_SOCKET to another path"
        )


def _whose(path: str) -> str | None:
    """A sentence naming the owner of what is at `path`, where that is somebody else."""
    try:
        uid = os.stat(path).st_uid
    except (OSError, ValueError):
        return None
    if uid == os.geteuid():
        return None
    return f"it belongs to {_user(uid)}; set MEMORY_DB_SOCKET to a path of your own"


def _user(uid: int) -> str:
    import pwd

    try:
        return f"user {pwd.getpwuid(uid).pw_name}"
    except KeyError:
        return f"user id {uid}"


def _is_quiet(sock: socket.socket) -> bool:
    """Whether an idle, non-blocking connection is open and has nothing to read, as it must between two exchanges."""
    try:
        sock.recv(1, socket.MSG_PEEK)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False
