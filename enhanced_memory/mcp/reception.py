"""The resident at work: it takes in sessions, one for each connection, and ends when nobody needs it.

Above it lies `resident`, which prepares the process; below it the server, its sessions and the launcher's lock.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from enhanced_memory import wire
from enhanced_memory.errors import EnhancedMemoryError, InvalidParams
from enhanced_memory.mcp import sessions
from enhanced_memory.mcp.app import shared
from enhanced_memory.mcp.pump import fingerprint, lock_path
from enhanced_memory.mcp.watching import Watch
from enhanced_memory.settings import Settings
from enhanced_memory.starting import locks, opened

_LOOK_S = 5.0
"""Between two looks whether the source is still the one that runs here, and the socket where pumps look for it."""

_HOLD_S = 1.0
"""How long the end is put off when somebody is just starting a resident."""

_BACKLOG = 128

_log = logging.getLogger(__name__)


class Reception:
    """The sessions of one daemon's assistants, until nobody needs them."""

    def __init__(self, path: str, settings: Settings) -> None:
        self._path = path
        self._settings = settings
        self._apps: dict[str, asyncio.Future[Any]] = {}
        self._keepers: set[asyncio.Task[None]] = set()
        self._conversations: set[asyncio.Task[None]] = set()
        self._over = asyncio.Event()
        self._watch = Watch(settings)
        self._idle_s = settings.mcp_idle_s
        self._source = fingerprint()
        self._idle: asyncio.TimerHandle | None = None
        self._server: asyncio.Server | None = None
        self._bound: os.stat_result | None = None

    async def run(self, ready: Callable[[], None]) -> None:
        """Serve until the end, or SIGTERM; calls `ready` when the first session can come."""
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, self._over.set)
        await self._app(self._settings.tools)
        mask = os.umask(0o177)  # the owner's alone from its first instant
        try:
            self._server = await asyncio.start_unix_server(
                self._serve, self._path, limit=sessions.MAX_MESSAGE_BYTES, backlog=_BACKLOG
            )
        finally:
            os.umask(mask)
        self._bound = os.lstat(self._path)
        _log.info("serving assistants at %s", self._path)
        ready()
        self._rest(self._idle_s)
        watching = asyncio.create_task(self._watch_for_end())
        try:
            await self._over.wait()
        finally:
            watching.cancel()
            self._server.close()
            self._take_socket_away()
            for task in (*self._conversations, *self._keepers):
                task.cancel()
            await asyncio.gather(*self._conversations, *self._keepers, return_exceptions=True)
            _log.info("ended")

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection from its first line to its end; whatever goes wrong in it stays in it."""
        task = asyncio.current_task()
        assert task is not None
        self._conversations.add(task)
        if self._idle is not None:
            self._idle.cancel()
        try:
            settings = await self._greeted(reader, writer)
            if settings is not None:
                app = await self._app(settings.tools)
                writer.write(b"welcome\n")
                async with sessions.opened(settings, self._watch) as session:
                    await sessions.converse(app, session, reader, writer)
        except asyncio.CancelledError:
            _log.info("a session was ended with the process")  # asyncio would log a trace of it
        except Exception:
            _log.exception("a session met a defect and was ended")
        finally:
            writer.close()
            self._conversations.discard(task)
            if not self._conversations:
                self._rest(0.0 if fingerprint() != self._source else self._idle_s)

    async def _greeted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> Settings | None:
        """The settings of a session that begins; None where it does not, and its pump has been told why."""
        if wire.peer_uid(writer.get_extra_info("socket")) not in (os.geteuid(), 0):
            return None
        line = await reader.readline()
        try:
            told = wire.decode(line)
            return Settings.load(told["flags"], environ=told["environ"])
        except InvalidParams:
            writer.write(b"settings\n")
        except (EnhancedMemoryError, KeyError, TypeError):
            writer.write(b"that is no greeting\n")
        return None

    async def _app(self, profile: str) -> Any:
        """The server of a profile, made when it is first needed and kept running to the end."""
        if profile not in self._apps:
            self._apps[profile] = asyncio.get_running_loop().create_future()
            self._keepers.add(asyncio.create_task(self._keep(profile, self._apps[profile])))
        return await asyncio.shield(self._apps[profile])

    async def _keep(self, profile: str, made: asyncio.Future[Any]) -> None:
        """A task of its own, since what a server sets up must be taken down where it was set up."""
        app = shared(profile)
        async with app._lifespan_manager():
            made.set_result(app)
            await self._over.wait()

    def _rest(self, seconds: float) -> None:
        """Nobody is here: end after a while."""
        self._idle = asyncio.get_running_loop().call_later(seconds, self._end_if_alone)

    def _end_if_alone(self) -> None:
        """End, unless somebody is here or on the way: whoever starts a resident holds the lock, and looks for us first.

        A pump that was connected and not yet greeted meets a closed connection, and starts another resident.
        """
        if self._conversations or self._over.is_set():
            return
        try:
            with opened(lock_path(self._path)) as lock:
                if not locks(lock):
                    self._rest(_HOLD_S)
                    return
                self._take_socket_away()
        except OSError as error:  # the folder is gone, so nobody finds us any more
            _log.warning("the lock cannot be taken: %s", error)
        self._over.set()

    def _take_socket_away(self) -> None:
        """Remove the socket, unless it is gone or another resident's by now."""
        if self._is_found():
            with suppress(OSError):
                os.unlink(self._path)

    def _is_found(self) -> bool:
        """Whether who looks for us finds us: our socket is at its path."""
        try:
            return self._bound is not None and os.path.samestat(os.lstat(self._path), self._bound)
        except OSError:
            return False

    async def _watch_for_end(self) -> None:
        """When the socket is gone, or the source has changed, nobody comes any more: end with the last session."""
        while True:
            await asyncio.sleep(_LOOK_S)
            if not self._is_found() or fingerprint() != self._source:
                self._end_if_alone()
