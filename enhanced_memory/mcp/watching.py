"""Who is to hear of changes: one watch on the daemon for all sessions, and the resources each of them follows.

Above it lie the sessions; below it the client. The daemon is asked to wait for the next change, one request for all,
and only as long as somebody follows something.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from enhanced_memory.client import DaemonUnavailable, MemoryClient
from enhanced_memory.mcp.clients import DEFAULT_NAME
from enhanced_memory.settings import Settings

ENTITY = "memory://entity/"
"""What the address of an entity begins with; its name follows, percent-encoded."""

_WAIT_S = 20.0
"""How long the daemon waits for a change before it says that there was none."""

_GATHER_S = 0.1
"""After a change, others are gathered for so long: a resource is told at most ten times a second."""

_LISTEN_S = 1.0
"""How long a follower has to take the news."""

_AGAIN_S = 0.5
"""Between two attempts to reach a daemon that does not answer."""

_log = logging.getLogger(__name__)

Tell = Callable[[str], Awaitable[None]]


@dataclass(frozen=True, eq=False)
class _Follower:
    namespace: str
    uris: frozenset[str]
    tell: Tell


class Watch:
    """Followers of resources, told whenever what they follow may have changed."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._followers: set[_Follower] = set()
        self._task: asyncio.Task[None] | None = None
        self._begun = asyncio.Event()

    async def begun(self) -> None:
        """Return when no later change can be missed; where no daemon answers, its start will count as a change."""
        await self._begun.wait()

    @contextmanager
    def following(self, namespace: str, uris: frozenset[str], tell: Tell) -> Iterator[None]:
        """While the context lasts, have `tell` awaited with each of `uris` that may have changed in `namespace`."""
        follower = _Follower(namespace, uris, tell)
        self._followers.add(follower)
        if self._task is None:
            self._task = asyncio.create_task(self._watch())
        try:
            yield
        finally:
            self._followers.discard(follower)
            if not self._followers and self._task is not None:
                self._task.cancel()
                self._task = None
                self._begun.clear()

    async def _watch(self) -> None:
        """Ask the daemon again and again; one that ends is waited for, and may have changed everything."""
        last: int | None = None
        patience_s = _WAIT_S + self._settings.operation_timeout_s
        async with MemoryClient(settings=self._settings, client=DEFAULT_NAME, timeout_s=patience_s) as client:
            while True:
                try:
                    params = {"timeout_s": _WAIT_S} | ({} if last is None else {"after": last})
                    reply = await client.call("wait_for_changes", params)
                except DaemonUnavailable:
                    reply = {"success": False}
                if not reply["success"]:
                    last = last or 0  # nothing was told before: whatever happens until it answers is news
                    self._begun.set()
                    await asyncio.sleep(_AGAIN_S)
                    continue
                last = reply["last"]
                self._begun.set()
                await self._tell(reply)
                if reply["changes"]:
                    await asyncio.sleep(_GATHER_S)

    async def _tell(self, reply: Mapping[str, Any]) -> None:
        told = [
            self._tell_one(follower, uri)
            for follower in self._followers
            for uri in follower.uris
            if reply["missed"] or any(_concerns(change, follower.namespace, uri) for change in reply["changes"])
        ]
        await asyncio.gather(*told)

    @staticmethod
    async def _tell_one(follower: _Follower, uri: str) -> None:
        """Tell one follower; one that does not listen, or is gone, keeps no other waiting."""
        try:
            async with asyncio.timeout(_LISTEN_S):
                await follower.tell(uri)
        except Exception as error:
            _log.info("a follower could not be told of a change: %s", type(error).__name__)


def _concerns(change: Mapping[str, Any], namespace: str, uri: str) -> bool:
    """Whether a change may have changed what a resource says."""
    if change["namespace"] != namespace:
        return False
    if change["names"] is None or not uri.startswith(ENTITY):
        return True
    name = uri.removeprefix(ENTITY).partition("#")[0].partition("?")[0]  # as it is read
    return unquote(name) in change["names"]
