"""The listener: connections on the Unix socket, a thread for each, and the service's answers in order.

One thread accepts and never waits for a client; whatever a client does, or leaves undone, costs that client's own
thread. A reply that the service gives in its own time, as to one of many writes at once, is sent by the thread that
gives it, which waits for no client either. Above it lies main, which gives it the socket; below it the wire. It knows
frames and replies; what a request means, and whether it is one, the service says.
"""

from __future__ import annotations

import contextlib
import functools
import logging
import os
import secrets
import select
import socket
import struct
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any, Final, Protocol

from enhanced_memory import wire
from enhanced_memory.errors import (
    Busy,
    EnhancedMemoryError,
    Internal,
    ParseError,
    RequestError,
    ShuttingDown,
)
from enhanced_memory.settings import Settings

log = logging.getLogger(__name__)

_IDLE_BYTES: Final = 16 * 1024
"""Read at once while a connection is idle: most requests fit, and a thousand idle connections hold little."""

_BEGUN_BYTES: Final = 256 * 1024
"""Read at once while a request is under way; about what the kernel keeps for a Unix socket."""

_LARGE_BYTES: Final = 256 * 1024
_LARGE_AT_ONCE: Final = 4
"""Requests from this size on are parsed one at a time, which holds the interpreter, and so many are answered at a time:
each takes a multiple of itself in memory."""

_MAX_HELD_BYTES: Final = 256 * 1024 * 1024
"""Bytes of unfinished large requests that are held for all connections together."""

_LINGER_S: Final = 1.0
"""A connection we end stays open this long, so that a client in the middle of sending can still read why."""

_LOOK_EVERY_S: Final = 1.0
"""How often to look whether the socket's path is still there."""

_MAX_LINGERING: Final = 64
"""Refused connections kept open at once; the oldest goes when there are more."""

_PAUSE_S: Final = 0.1
"""How long to leave newcomers waiting when neither a descriptor nor a thread is to be had."""

_MAX_DISCARDED: Final = 64 * 1024 * 1024
"""Bytes read and thrown away before a connection we end is closed all the same."""

_LOGGED_A_SECOND: Final = 50
"""Request lines a busy service writes to its log in a second; the rest are counted. At DEBUG all are written."""


class Gauges(Protocol):
    """What the listener tells the service about itself."""

    connections: int


class Service(Protocol):
    """What the listener needs of the service: an answer to each message, `id` echoed, that never fails.

    `handle_later` has it given by another thread, which must not be kept, and returns what waits for that; or it does
    nothing and returns None.
    """

    @property
    def gauges(self) -> Gauges: ...

    def handle_request(self, request: Any) -> dict[str, Any]: ...

    def handle_later(self, request: Any, answer: Callable[[dict[str, Any]], None]) -> Callable[[], None] | None: ...


class Listener:
    """Accepts on `server`, which listens and is closed by `drain`, and has `service` answer.

    Connections are served at the same time, the requests of one in their order. `settings` gives the limits:
    max_connections, max_request_bytes, request_timeout_s, reply_timeout_s. `retake` is asked about once a second for
    another socket, in the place of one whose path was removed. Without it the socket is another's and outlives us:
    whoever still waits on it when we stop is left to the next daemon.
    """

    def __init__(
        self,
        server: socket.socket,
        service: Service,
        settings: Settings,
        *,
        retake: Callable[[], socket.socket | None] | None,
    ) -> None:
        self._server = server
        self._retake = retake
        self._service = service
        self._settings = settings
        self._connections: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._draining = False
        self._when_quiet: Callable[[], None] | None = None
        self._refused: deque[tuple[float, socket.socket]] = deque()
        self._wake, self._woken = socket.socketpair()
        self._spare = _spare_descriptor()
        self._large = threading.BoundedSemaphore(_LARGE_AT_ONCE)
        self._large_parsing = threading.Lock()
        self._held = _Held(_MAX_HELD_BYTES)
        self._request_log = _RequestLog()
        self._acceptor = threading.Thread(target=self._accept_all, name="acceptor", daemon=True)

    def start(self) -> None:
        """Begin to accept."""
        self._server.setblocking(False)
        self._acceptor.start()

    def drain(self, when_quiet: Callable[[], None]) -> None:
        """Stop accepting, close what is idle, and let what was sent be answered, by a service that says shutting_down.

        Returns at once; `when_quiet` is called, in any thread, when the last connection has ended.
        """
        self._draining = True
        self._wake.send(b"\0")
        self._acceptor.join()
        with self._lock:
            self._when_quiet = when_quiet
            for connection in self._connections:
                # Nobody can send more, and whoever waits for more reads the end; what was sent is still answered.
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RD)
            quiet = not self._connections
        if quiet:
            when_quiet()

    def close(self) -> None:
        """After `drain`: cut the connections that are left."""
        with self._lock:
            for connection in self._connections:
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)
        self._part_with_refused(float("inf"))
        self._wake.close()
        self._woken.close()
        if self._spare is not None:
            os.close(self._spare)
            self._spare = None

    # ------------------------------------------------------------------------------------------------- accepting

    def _accept_all(self) -> None:
        poll = select.poll()
        poll.register(self._server, select.POLLIN)
        poll.register(self._woken, select.POLLIN)
        look_again_at = 0.0
        while not self._draining:
            poll.poll(_LINGER_S * 1000 if self._refused or self._retake else None)
            if self._retake and time.monotonic() >= look_again_at:
                look_again_at = time.monotonic() + _LOOK_EVERY_S
                self._move(poll, self._retake())
            try:
                self._accept()
            except Exception:  # one newcomer is lost; without us all would be
                log.exception("a newcomer met a defect")
            self._part_with_refused(time.monotonic())
            if self._spare is None and not self._refused:
                self._spare = _spare_descriptor()
        while self._retake and self._accept():
            pass
        self._server.close()

    def _move(self, poll: select.poll, server: socket.socket | None) -> None:
        """Accept on another socket from now on, after those who wait at the old one."""
        if server is None:
            return
        log.warning("the socket's path was removed and is taken again")
        while self._accept():
            pass
        poll.unregister(self._server)
        self._server.close()
        server.setblocking(False)
        poll.register(server, select.POLLIN)
        self._server = server

    def _accept(self) -> bool:
        """Take one newcomer, if there is one: serve it, or say why not."""
        try:
            connection, _ = self._server.accept()
        except (BlockingIOError, ConnectionAbortedError):
            return False
        except OSError as error:
            self._refuse_without_descriptors(error)
            return False
        if not _is_ours(connection):
            connection.close()
        elif self._draining:
            self._refuse(connection, _shutting_down())
        elif len(self._connections) >= self._settings.max_connections:
            self._refuse(connection, _busy(f"all {self._settings.max_connections} connections are in use"))
        else:
            self._begin(connection)
        return True

    def _begin(self, connection: socket.socket) -> None:
        with self._lock:
            self._connections.add(connection)
            self._service.gauges.connections = len(self._connections)
        try:
            threading.Thread(target=self._serve, args=(connection,), name="connection", daemon=True).start()
        except RuntimeError:  # the system has no thread left for us
            self._forget(connection)
            log.warning("no thread for a newcomer at %d connections", len(self._connections))
            self._refuse(connection, _busy("the daemon can start no further thread"))

    def _refuse(self, connection: socket.socket, error: EnhancedMemoryError) -> None:
        """Say why, and leave the connection open for a moment: a client that sends first could not read it else."""
        with contextlib.suppress(OSError):
            connection.send(wire.encode(error.reply()), socket.MSG_DONTWAIT)
            connection.shutdown(socket.SHUT_WR)
        self._refused.append((time.monotonic() + _LINGER_S, connection))

    def _part_with_refused(self, now: float) -> None:
        while self._refused and (self._refused[0][0] <= now or len(self._refused) > _MAX_LINGERING):
            _part(self._refused.popleft()[1], wait_s=0)

    def _refuse_without_descriptors(self, error: OSError) -> None:
        """Accepting has failed, as a rule for want of descriptors: free one to tell the newcomer.

        The spare one goes first; a newcomer told that way then stands in for it. Where neither is left, newcomers wait
        in the kernel's queue, and we a moment before the next try.
        """
        if self._spare is not None:
            log.warning("cannot accept at %d connections: %s", len(self._connections), error.strerror)
            os.close(self._spare)
            self._spare = None
        elif self._refused:
            _part(self._refused.popleft()[1], wait_s=0)
        try:
            connection, _ = self._server.accept()
        except OSError:
            select.select([self._woken], [], [], _PAUSE_S)
        else:
            self._refuse(connection, _busy("the daemon has no descriptor left"))

    # ------------------------------------------------------------------------------------------------- conversing

    def _serve(self, connection: socket.socket) -> None:
        """Answer one connection's requests until it ends; the work of a connection's thread."""
        replies = _Replies(connection, self._settings)
        try:
            self._converse(connection, replies)
        except OSError as error:  # the client is gone, or does not take its reply
            log.debug("connection dropped: %s", error)
        except Exception:
            log.exception("connection dropped by a defect")
        finally:
            replies.end()
            self._forget(connection)
            connection.close()

    def _forget(self, connection: socket.socket) -> None:
        self._held.note(connection, 0)
        with self._lock:
            self._connections.discard(connection)
            self._service.gauges.connections = len(self._connections)
            quiet = self._when_quiet if not self._connections else None
        if quiet is not None:
            quiet()

    def _converse(self, connection: socket.socket, replies: _Replies) -> None:
        settings = self._settings
        framer = wire.Framer(settings.max_request_bytes)
        finish_by: float | None = None  # when the request that has begun must be there
        ended = False
        while True:
            try:
                answered = self._answer_next(connection, framer, replies)
            except Busy as error:
                replies.send(wire.encode(error.reply()))
                _part(connection, wait_s=_LINGER_S)
                return
            if answered:
                finish_by = None
                continue
            if ended:
                return
            if not framer.begun:
                try:
                    data = connection.recv(_IDLE_BYTES)
                except BlockingIOError:  # nothing came for as long as a promised reply may take
                    replies.settle()
                    continue
            else:
                finish_by = finish_by or time.monotonic() + settings.request_timeout_s
                try:
                    data = _receive(connection, finish_by)
                except TimeoutError:
                    if not framer.told:
                        replies.send(wire.encode(self._unfinished().reply()))
                    _part(connection, wait_s=_LINGER_S)
                    return
            framer.feed(data)
            if not data:
                framer.close()
                ended = True

    def _answer_next(self, connection: socket.socket, framer: wire.Framer, replies: _Replies) -> bool:
        """Answer the next request, or have it answered; False where there is none yet.

        Raises: Busy: it is large, and there are too many already. OSError: the client does not take the reply.
        """
        self._held.note(connection, framer.held_bytes)
        if framer.held_bytes < _LARGE_BYTES:
            return self._answer(framer.next, framer, replies, may_be_later=True)
        if not self._large.acquire(timeout=self._settings.operation_timeout_s):
            raise _busy("too many large requests are under way")
        try:
            return self._answer(functools.partial(self._parse_alone, framer), framer, replies, may_be_later=False)
        finally:
            self._large.release()

    def _parse_alone(self, framer: wire.Framer) -> Any:
        with self._large_parsing:
            return framer.next()

    def _answer(self, parse: Callable[[], Any], framer: wire.Framer, replies: _Replies, *, may_be_later: bool) -> bool:
        """As `_answer_next`; `parse` gives the request, and the reply may be left to the service's own time."""
        started = time.perf_counter()
        try:
            message = parse()
        except RequestError as error:  # of a frame that is no message, and so has no id
            reply = (_shutting_down() if self._draining else error).reply()
            replies.send(self._line(None, reply, started, framer.frame_bytes))
            return True
        if message is wire.WAITING:
            return False
        replies.settle()
        in_bytes = framer.frame_bytes
        if may_be_later and self._is_left_to_service(message, replies, started, in_bytes):
            return True
        try:
            reply = self._service.handle_request(message)
        except Exception:
            reply = _defect(message)
        replies.send(self._line(message, reply, started, in_bytes))
        return True

    def _is_left_to_service(self, message: Any, replies: _Replies, started: float, in_bytes: int) -> bool:
        """Whether the service gives the reply in its own time, and this thread may go on to read."""
        replies.promise()
        try:
            wait = self._service.handle_later(
                message, lambda reply: replies.keep(self._line(message, reply, started, in_bytes))
            )
        except Exception:
            log.exception("a request could not be left to the service")
            wait = None
        replies.wait_with(wait)
        return wait is not None

    def _line(self, message: Any, reply: dict[str, Any], started: float, in_bytes: int) -> bytes:
        """The reply as it is sent, and its line in the log."""
        try:
            line = wire.encode(reply)
        except Exception:
            reply = _defect(message)
            line = wire.encode(reply)
        self._request_log.note(message, reply, time.perf_counter() - started, in_bytes, len(line))
        return line

    def _unfinished(self) -> RequestError:
        """Why a request that was begun is given up."""
        within = f"within {self._settings.request_timeout_s:g} s"
        return ParseError(f"the request was not finished {within}", hint="end it with a newline")


class _Replies:
    """The replies of one connection, in order: those of its own thread, and one at a time that another thread gives."""

    def __init__(self, connection: socket.socket, settings: Settings) -> None:
        self._connection = connection
        self._settings = settings
        self._wait: Callable[[], None] | None = None
        self._unsent = threading.Lock()  # held from a promise until it is about to be kept
        self._sending = threading.Lock()
        self._looks_up = False

    def send(self, line: bytes) -> None:
        """Send a reply, after the one that was promised. Raises: OSError: the client does not take it."""
        self.settle()
        with self._sending:
            _send(self._connection, line, self._settings.reply_timeout_s)

    def promise(self) -> None:
        """Another thread will send the next reply, perhaps before this returns; nothing else is promised now."""
        self._unsent.acquire()

    def wait_with(self, wait: Callable[[], None] | None) -> None:
        """What waits until the promise is kept, as far as it lies with who keeps it; None: nobody will."""
        self._wait = wait
        if wait is None:
            self._unsent.release()
        elif not self._looks_up:
            # Who gave the promise may have to be asked for it when the time is over, so reading ends by then.
            self._looks_up = True
            limit = struct.pack("ll", *divmod(round(self._settings.operation_timeout_s * 1e6), 10**6))
            self._connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, limit)

    def settle(self) -> None:
        """Wait until the promise is kept, if there is one; its last bytes may still be under way."""
        if self._wait is None:
            return
        if not self._unsent.acquire(blocking=False):
            self._wait()
            self._unsent.acquire()
        self._unsent.release()
        self._wait = None

    def end(self) -> None:
        """Nothing more is to be sent: wait until all is."""
        self.settle()
        self._sending.acquire()

    def keep(self, line: bytes) -> None:
        """Send the promised reply, in a thread that waits for no client: what is not taken at once goes to another."""
        if not self._sending.acquire(blocking=False):  # the reply before this one is not taken yet
            if not self._started(self._keep_behind, line):
                self._unsent.release()
            return
        # The client may ask again before `send` returns; what it gets then waits for `_sending`.
        self._unsent.release()
        try:
            sent = self._connection.send(line, socket.MSG_DONTWAIT)
        except BlockingIOError:
            sent = 0
        except OSError:  # the client is gone, as its own thread will see
            sent = len(line)
        if sent == len(line) or not self._started(self._keep_rest, line[sent:]):
            self._sending.release()

    def _started(self, keep: Callable[[bytes], None], rest: bytes) -> bool:
        """Have another thread send what is left; where there is none, the connection ends."""
        try:
            threading.Thread(target=keep, args=(rest,), name="reply", daemon=True).start()
        except RuntimeError:
            self._cut()
            return False
        return True

    def _keep_behind(self, line: bytes) -> None:
        self._sending.acquire()
        self._unsent.release()
        self._keep_rest(line)

    def _keep_rest(self, rest: bytes) -> None:
        try:
            _send(self._connection, rest, self._settings.reply_timeout_s)
        except OSError as error:
            log.debug("connection dropped: %s", error)
            self._cut()
        finally:
            self._sending.release()

    def _cut(self) -> None:
        """End the connection, which cannot get its reply whole; its own thread reads the end of it."""
        with contextlib.suppress(OSError):
            self._connection.shutdown(socket.SHUT_RDWR)


class _Held:
    """How many bytes of large requests are held for all connections together. Safe for many threads."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._lock = threading.Lock()
        self._by_connection: dict[socket.socket, int] = {}
        self._total = 0

    def note(self, connection: socket.socket, held_bytes: int) -> None:
        """Note what a connection holds. Raises: Busy: it is large, and too much would be held with it."""
        if held_bytes < _LARGE_BYTES:
            if connection not in self._by_connection:
                return
            held_bytes = 0
        with self._lock:
            before = self._by_connection.pop(connection, 0)
            self._total += held_bytes - before
            if held_bytes:
                self._by_connection[connection] = held_bytes
            if held_bytes <= before or self._total <= self._limit:
                return
        raise _busy("too many large requests are being sent")


class _RequestLog:
    """One line a request; of a busy second the first `_LOGGED_A_SECOND`, and later how many were left out.

    Sizes and codes only: memories are private. Threads may count past one another; nothing depends on it.
    """

    def __init__(self) -> None:
        self._second = 0
        self._written = 0
        self._left_out = 0

    def note(self, message: Any, reply: dict[str, Any], took_s: float, in_bytes: int, out_bytes: int) -> None:
        if not log.isEnabledFor(logging.INFO):
            return
        second = int(time.monotonic())
        if second != self._second:
            left_out, self._second, self._written, self._left_out = self._left_out, second, 0, 0
            if left_out:
                log.info("op=* left_out=%d", left_out)
        if self._written >= _LOGGED_A_SECOND and not log.isEnabledFor(logging.DEBUG):
            self._left_out += 1
            return
        self._written += 1
        code = reply.get("code")
        # What is no operation may be anything, a secret too.
        known = isinstance(message, dict) and code not in ("unknown_method", "invalid_request", "shutting_down")
        log.info(
            "op=%s ok=%d ms=%d in_bytes=%d out_bytes=%d%s",
            message.get("method") if known else "?",
            code is None,
            took_s * 1000,
            in_bytes,
            out_bytes,
            "" if code is None else f" code={code}",
        )


def _busy(sentence: str) -> Busy:
    return Busy(sentence, hint="try again in a moment, or close connections that are no longer used")


def _shutting_down() -> ShuttingDown:
    return ShuttingDown("the daemon is shutting down; nothing of this request happened", hint="connect again")


def _defect(message: Any) -> dict[str, Any]:
    """The reply to a request that met a defect, which goes to the log."""
    number = secrets.token_hex(6)
    log.exception("a request met a defect, %s", number)
    reply = Internal(f"the service met a defect; its log has the trace under {number}").reply()
    if isinstance(message, dict) and "id" in message:
        reply["id"] = message["id"]
    return reply


def _spare_descriptor() -> int | None:
    try:
        return os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None


def _is_ours(connection: socket.socket) -> bool:
    """Whether the user at the other end is the daemon's own, or root."""
    try:
        return wire.peer_uid(connection) in (os.geteuid(), 0)
    except OSError:  # it left already
        return False


def _receive(connection: socket.socket, finish_by: float) -> bytes:
    """What comes next, empty at the end. Raises: TimeoutError: nothing came before `finish_by`."""
    connection.settimeout(max(0.001, finish_by - time.monotonic()))
    try:
        return connection.recv(_BEGUN_BYTES)
    finally:
        connection.settimeout(None)


def _send(connection: socket.socket, line: bytes, timeout_s: float) -> None:
    """Send a whole line. Raises: TimeoutError: it was not taken within `timeout_s` seconds."""
    until = time.monotonic() + timeout_s
    rest = memoryview(line)
    while True:
        try:
            rest = rest[connection.send(rest, socket.MSG_DONTWAIT) :]
        except BlockingIOError:
            pass
        else:
            if not rest:
                return
        poll = select.poll()
        poll.register(connection, select.POLLOUT)
        if not poll.poll(max(0.0, until - time.monotonic()) * 1000):
            raise TimeoutError("the client does not take its reply")


def _part(connection: socket.socket, wait_s: float) -> None:
    """Close for good, but only after `wait_s` seconds unless the client closes first.

    What it still sends is read and thrown away: closing on unread bytes would reset the connection under its hands.
    """
    until = time.monotonic() + wait_s
    with connection, contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_WR)
        for _ in range(_MAX_DISCARDED // _BEGUN_BYTES):
            connection.settimeout(max(0, until - time.monotonic()))
            if not connection.recv(_BEGUN_BYTES):
                return
