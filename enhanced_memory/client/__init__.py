"""The client: the daemon's operations as methods, awaited or blocking. Standard library only at run time.

Above it lie scripts, the MCP server and the command line; below it the connection, and `methods.py`, made from the
register. Replies are dicts and failures are replies, `{"success": False, "error": ..., "code": ...}`; only a daemon
that cannot be reached, or is lost, raises DaemonUnavailable.
"""

from __future__ import annotations

import os
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Self
from weakref import WeakKeyDictionary

from enhanced_memory.client.connection import AsyncioSteps, BlockingSteps, Reply, Request, Road, walk
from enhanced_memory.client.methods import AsyncMethods, BlockingMethods
from enhanced_memory.errors import DaemonUnavailable, InvalidParams

if TYPE_CHECKING:
    import asyncio

    from enhanced_memory.settings import Settings
    from enhanced_memory.shapes import EntityInput

__all__ = ["BlockingMemoryClient", "DaemonUnavailable", "MemoryClient", "Reply"]


class _Client(ABC):
    """What both clients are made of.

    `socket_path`, `namespace`: as in Settings; what is None comes from `settings`, or without those from the
    environment. `client`: the name this client gives itself, kept with what it writes. `timeout_s`: seconds a call may
    take, with waiting for a connection, repeating and starting a daemon included (an hour at least for the long
    operations, which work in slices; for code that is run, its own time comes on top). `max_connections`: connections
    open at once, each in use by one call; they are kept open between calls. `autostart`: start the daemon when nobody
    answers. A write is given a request id where the caller gives none, so that it can be sent again safely after a
    lost connection: a restart of the daemon goes unnoticed.

    Raises: InvalidParams: a setting from the environment, `timeout_s` or `max_connections` makes no sense.
    """

    def __init__(
        self,
        socket_path: str | os.PathLike[str] | None = None,
        *,
        namespace: str | None = None,
        client: str | None = None,
        timeout_s: float = 30.0,
        max_connections: int = 8,
        autostart: bool = False,
        settings: Settings | None = None,
    ) -> None:
        from enhanced_memory.settings import Settings  # imported here: it takes longer than all the rest

        if timeout_s <= 0 or max_connections < 1:
            raise InvalidParams("timeout_s and max_connections must be above 0")
        flags = dict(vars(settings)) if settings is not None else {}
        if socket_path is not None:
            flags["socket_path"] = os.fspath(socket_path)
        if namespace is not None:
            flags["namespace"] = namespace
        self._road = Road(Settings.load(flags), client=client, autostart=autostart)
        self._timeout_s = timeout_s
        self._make_slots(max_connections)

    @abstractmethod
    def _make_slots(self, count: int) -> None:
        """Prepare what keeps calls beyond `count` waiting."""

    def _request(self, method: str, params: Mapping[str, Any] | None, request_id: str | None) -> Request | Reply:
        """The request to send, or the failure to answer with where JSON cannot hold it."""
        try:
            return self._road.request(method, params, request_id)
        except (TypeError, ValueError, RecursionError) as error:
            return InvalidParams(f"{method} cannot be written as JSON: {error}", details={"path": "params"}).reply()


class MemoryClient(_Client, AsyncMethods):
    """The daemon's client for asyncio; it serves one event loop after another.

    `client = MemoryClient()`, then `await client.create_entities([...])`. Calls run at the same time as far as
    `max_connections` allows; a call that is cancelled or timed out costs its connection and nothing else.
    """

    def _make_slots(self, count: int) -> None:
        self._count = count
        self._slots: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Semaphore] = WeakKeyDictionary()

    async def call(
        self, method: str, params: Mapping[str, Any] | None = None, *, request_id: str | None = None
    ) -> Reply:
        """The daemon's reply to one request. Raises: DaemonUnavailable."""
        import asyncio

        request = self._request(method, params, request_id)
        if not isinstance(request, Request):
            return request
        loop = asyncio.get_running_loop()
        slots = self._slots.get(loop)
        if slots is None:
            slots = self._slots[loop] = asyncio.Semaphore(self._count)
        timeout_s = request.allowed_s(self._timeout_s)
        try:
            async with asyncio.timeout(timeout_s), slots:
                return await self._road.exchange(request, AsyncioSteps(timeout_s))
        except TimeoutError:
            raise self._road.timed_out(request, timeout_s) from None

    async def create_entities_batch(
        self, entities: Sequence[EntityInput], batch_size: int = 100, **kwargs: Any
    ) -> Reply:
        """Create or update many entities, `batch_size` a request; each request is atomic, the whole is not.

        `kwargs` are those of `create_entities`. One reply for all: `results` of every entity, and `stored`, their
        number. The first request that fails ends it; its reply comes back with `results` and `stored` of those before.

        Raises: DaemonUnavailable: the daemon was lost; `stored` in its details counts what was acknowledged.
        """
        return await _in_batches(self.create_entities, entities, batch_size, kwargs)

    async def close(self) -> None:
        """Close the connections kept open. A client used again after this opens new ones."""
        self._road.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()


class BlockingMemoryClient(_Client, BlockingMethods):
    """The daemon's client for plain code; any number of threads may use one."""

    def _make_slots(self, count: int) -> None:
        self._slots = threading.BoundedSemaphore(count)

    def call(self, method: str, params: Mapping[str, Any] | None = None, *, request_id: str | None = None) -> Reply:
        """The daemon's reply to one request. Raises: DaemonUnavailable."""
        request = self._request(method, params, request_id)
        if not isinstance(request, Request):
            return request
        timeout_s = request.allowed_s(self._timeout_s)
        deadline = time.monotonic() + timeout_s
        if not self._slots.acquire(timeout=timeout_s):
            raise self._road.timed_out(request, timeout_s)
        try:
            return walk(self._road.exchange(request, BlockingSteps(deadline)))
        except TimeoutError:
            raise self._road.timed_out(request, timeout_s) from None
        finally:
            self._slots.release()

    def create_entities_batch(self, entities: Sequence[EntityInput], batch_size: int = 100, **kwargs: Any) -> Reply:
        """As `MemoryClient.create_entities_batch`."""

        async def create(*args: Any, **more: Any) -> Reply:
            return self.create_entities(*args, **more)

        return walk(_in_batches(create, entities, batch_size, kwargs))

    def close(self) -> None:
        """Close the connections kept open. A client used again after this opens new ones."""
        self._road.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


async def _in_batches(
    create: Callable[..., Coroutine[Any, Any, Reply]],
    entities: Sequence[EntityInput],
    batch_size: int,
    kwargs: Mapping[str, Any],
) -> Reply:
    """The reply of `create_entities_batch`. A request id is given to each request with its number added."""
    if batch_size < 1:
        return InvalidParams("batch_size must be above 0", details={"path": "batch_size"}).reply()
    results: list[Any] = []
    for start in range(0, max(len(entities), 1), batch_size):
        more = dict(kwargs)
        if more.get("request_id") is not None:
            more["request_id"] = f"{more['request_id']}/{start // batch_size}"
        try:
            reply = await create(list(entities[start : start + batch_size]), **more)
        except DaemonUnavailable as error:
            details = {**(error.details or {}), "stored": len(results)}
            raise DaemonUnavailable(error.message, hint=error.hint, details=details) from error
        if not reply["success"]:
            return {**reply, "results": results, "stored": len(results)}
        results += reply["results"]
    return {"success": True, "results": results, "stored": len(results)}
