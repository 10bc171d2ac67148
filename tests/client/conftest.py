"""What tests of the client have besides: listeners that behave as told, and both clients behind one face."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from enhanced_memory import wire
from memory_client import BlockingMemoryClient, MemoryClient
from tests.conftest import PROMPTLY_S


class StandIn:
    """A listener whose first connection has the first of `manners`, its second the second, the last all the rest."""

    def __init__(self, path: Path, *manners: Callable[[StandIn, socket.socket], None]) -> None:
        self.path = path
        self.requests: list[dict[str, Any]] = []
        self.connections = 0
        self.ended = threading.Semaphore(0)
        """Released for each connection that is over."""
        self._manners = list(manners)
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._listener.bind(str(path))
        self._listener.listen(64)
        self._threads = [threading.Thread(target=self._serve, daemon=True)]
        self._threads[0].start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            manner = self._manners[min(self.connections, len(self._manners) - 1)]
            self.connections += 1
            self._threads.append(threading.Thread(target=self._attend, args=(manner, connection), daemon=True))
            self._threads[-1].start()

    def _attend(self, manner: Callable[[StandIn, socket.socket], None], connection: socket.socket) -> None:
        with connection:
            connection.settimeout(PROMPTLY_S)
            manner(self, connection)
        self.ended.release()

    def read(self, connection: socket.socket) -> dict[str, Any] | None:
        """The next request on a connection, or None at its end."""
        data = b""
        while not data.endswith(b"\n"):
            try:
                part = connection.recv(65536)
            except OSError:
                return None
            if not part:
                return None
            data += part
        request: dict[str, Any] = wire.decode(data)
        self.requests.append(request)
        return request

    def close(self) -> None:
        """Stop listening and wait until every connection is over, which is when the clients have closed theirs."""
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for thread in self._threads:
            thread.join(PROMPTLY_S)
            assert not thread.is_alive(), "a connection was left open"


Manner = Callable[[StandIn, socket.socket], None]


class Caller:
    """Either client, called alike: the asyncio one in an event loop of its own."""

    def __init__(self, client: MemoryClient | BlockingMemoryClient) -> None:
        self.client = client
        self._runner = asyncio.Runner()

    def __getattr__(self, name: str) -> Callable[..., Any]:
        method = getattr(self.client, name)
        if isinstance(self.client, BlockingMemoryClient):
            return method  # type: ignore[no-any-return]
        return lambda *args, **kwargs: self._runner.run(method(*args, **kwargs))

    def end(self) -> None:
        """Close the client and the event loop."""
        self.close()
        self._runner.close()


@pytest.fixture
def listen(short_folder: Path) -> Iterator[Callable[..., StandIn]]:
    """Start a stand-in with the given manners; it is closed after the clients are."""
    servers: list[StandIn] = []

    def start(*manners: Manner) -> StandIn:
        servers.append(StandIn(short_folder / "memory.sock", *manners))
        return servers[-1]

    yield start
    for server in servers:
        server.close()


@pytest.fixture(params=[MemoryClient, BlockingMemoryClient])
def connect(request: pytest.FixtureRequest, listen: object) -> Iterator[Callable[..., Caller]]:
    """Make a client for a path; the test runs once with each of the two."""
    callers: list[Caller] = []

    def make(path: Path | None = None, **options: Any) -> Caller:
        callers.append(Caller(request.param(path, **{"timeout_s": PROMPTLY_S, **options})))
        return callers[-1]

    yield make
    for caller in callers:
        caller.end()
