"""The daemon as the tools reach it: one pooled client for each name an assistant gives itself.

Above it lie the tools and the server's lifespan; below it the client.
"""

from __future__ import annotations

import logging

from enhanced_memory.client import DaemonUnavailable, MemoryClient
from enhanced_memory.settings import Settings

DEFAULT_NAME = "mcp"
"""What the daemon is told when an assistant does not give its name."""

_ANSWER_MARGIN_S = 5.0
"""Seconds waited beyond the daemon's own limit, so that its `timeout` reply is what the assistant reads."""

_MAX_CALLS = 32
"""Calls of one assistant under way at once; each needs a connection, which is opened when it is first needed."""

_log = logging.getLogger(__name__)


class Clients:
    """Clients of one daemon, made when they are first asked for; `close` gives their connections back."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._by_name: dict[str, MemoryClient] = {}

    def named(self, name: str) -> MemoryClient:
        """The client that tells the daemon `name`; nothing is connected before its first call."""
        client = self._by_name.get(name)
        if client is None:
            client = self._by_name[name] = MemoryClient(
                settings=self._settings,
                client=name,
                timeout_s=self._settings.operation_timeout_s + _ANSWER_MARGIN_S,
                max_connections=_MAX_CALLS,
                autostart=self._settings.autostart,
            )
        return client

    async def wake(self) -> None:
        """See that the daemon runs, so that the first tool call need not wait for it; a failure is only logged."""
        try:
            await self.named(DEFAULT_NAME).call("ping", {})
        except DaemonUnavailable as error:
            _log.warning("the daemon does not answer yet: %s", error.message)

    async def close(self) -> None:
        """Close every connection."""
        for client in self._by_name.values():
            await client.close()
        self._by_name.clear()
