"""What the tests of the MCP server share: a folder short enough for sockets, and a daemon that tests answer for."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from enhanced_memory.settings import Settings
from tests.conftest import PROMPTLY_S

Answer = Callable[[dict[str, Any]], Awaitable[dict[str, Any]]]


class StandIn:
    """A socket where the test answers in the daemon's place; `requests` holds what came, in order."""

    def __init__(self, path: str, answer: Answer) -> None:
        self.requests: list[dict[str, Any]] = []
        self._path = path
        self._answer = answer

    async def __aenter__(self) -> StandIn:
        self._server = await asyncio.start_unix_server(self._serve, self._path)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await reader.readline():
            request = json.loads(line)
            self.requests.append(request)
            writer.write(json.dumps(await self._answer(request)).encode() + b"\n")
            await writer.drain()
        writer.close()


class Place:
    """A folder of its own, with the settings of everything that runs in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def settings(self, **changes: Any) -> Settings:
        """Settings for this place; without autostart unless `changes` say so."""
        flags = {"db_path": str(self.folder / "m.db"), "socket_path": str(self.folder / "s"), "autostart": "0"}
        return Settings.load({**flags, **changes}, environ={})

    def stand_in(self, answer: Answer) -> StandIn:
        """A stand-in for the daemon of this place."""
        return StandIn(str(self.folder / "s"), answer)

    def daemons(self) -> list[psutil.Process]:
        """The daemons that work in this place."""
        return [
            process
            for process in psutil.process_iter(["cmdline"])
            if str(self.folder / "m.db") in (process.info["cmdline"] or ())
            and any(word.endswith("memory_db_service.py") for word in process.info["cmdline"])
        ]

    def residents(self) -> list[psutil.Process]:
        """The residents that serve this place's assistants; a child of one is about to become another program."""
        found = [
            process
            for process in psutil.process_iter(["cmdline", "ppid"])
            if "enhanced_memory.mcp.resident" in (words := process.info["cmdline"] or [])
            and words[-1].startswith(f"{self.folder}/")
        ]
        numbers = {process.pid for process in found}
        return [process for process in found if process.info["ppid"] not in numbers]


@pytest.fixture
def place(short_folder: Path) -> Iterator[Place]:
    """An empty place; whatever daemon or resident still works in it at the end is ended."""
    place = Place(short_folder)
    yield place
    for process in (*place.residents(), *place.daemons()):
        process.kill()
        process.wait(PROMPTLY_S)
