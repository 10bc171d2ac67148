"""Over HTTP: only with the token, only by the right name, and on this machine unless more is said."""

from __future__ import annotations

import asyncio
import http.client
import json
import re
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
from fastmcp import Client
from fastmcp.client.auth import BearerAuth

from tests.conftest import PATIENCE_S
from tests.mcp.test_server_process import ANN, command_line, environment

if TYPE_CHECKING:
    from tests.mcp.conftest import Place

pytestmark = pytest.mark.process

TOKEN = "a-token-that-is-long-enough"
HELLO = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "initialize",
    "params": {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "raw", "version": "1"}},
}


@contextmanager
def serving(place: Place, *flags: str, **variables: str) -> Iterator[tuple[int, str]]:
    """A server over HTTP: its port, and the line by which it says that it listens."""
    with subprocess.Popen(
        [sys.executable, *command_line(place, "--http", "127.0.0.1:0", *flags)],
        stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        env={**environment(place), **variables},
    ) as process:
        assert process.stderr
        try:
            said = process.stderr.readline()
            found = re.search(r"http://127\.0\.0\.1:(\d+)/mcp", said)
            assert found, said
            yield int(found[1]), said
        finally:
            process.terminate()


def status(port: int, **headers: str) -> int:
    """The status of a greeting with these headers; an underscore stands for a dash, and None for no header."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE_S)
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    connection.putrequest("POST", "/mcp", skip_host="Host" in given)
    body = json.dumps(HELLO).encode()
    more = {"Content-Type": "application/json", "Accept": "application/json, text/event-stream"}
    for name, value in {**more, "Content-Length": str(len(body)), **given}.items():
        connection.putheader(name, value)
    connection.endheaders(body)
    answered = connection.getresponse().status
    connection.close()
    return answered


def refused(place: Place, *flags: str, **variables: str) -> str:
    """What the program says when it does not serve."""
    done = subprocess.run(
        [sys.executable, *command_line(place, *flags)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        env={**environment(place), **variables},
    )
    assert done.returncode == 2
    return done.stderr


def test_only_who_has_the_token_and_asks_by_the_right_name_is_served(place: Place) -> None:
    bearer = {"Authorization": f"Bearer {TOKEN}"}
    with serving(place, MEMORY_HTTP_TOKEN=TOKEN) as (port, _):
        assert status(port, **bearer) == 200
        assert status(port, **bearer, Origin=f"http://127.0.0.1:{port}") == 200
        assert status(port) == 401
        assert status(port, Authorization="Bearer another-token-of-that-length") == 401
        assert status(port, Authorization=f"Basic {TOKEN}") == 401
        assert status(port, **bearer, Host="evil.example") == 421
        assert status(port, **bearer, Origin="http://evil.example") == 403


def test_a_client_does_a_session_with_the_token_from_the_file(place: Place) -> None:
    async def session(port: int, token: str) -> Any:
        async with Client(f"http://127.0.0.1:{port}/mcp", auth=BearerAuth(token)) as client:
            assert await client.list_tools()
            await client.call_tool("create_entities", {"entities": ANN})
            return (await client.call_tool("search_nodes", {"query": "oolong"})).structured_content

    file = place.folder / "http-token"
    with serving(place) as (port, said):
        assert str(file) in said
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        token = file.read_text().strip()
        assert token not in said
        assert asyncio.run(session(port, token))["count"] == 1
    with serving(place):
        assert file.read_text().strip() == token


def test_another_machine_must_be_allowed_by_name(place: Place) -> None:
    assert "--http-allow" in refused(place, "--http", "0.0.0.0:0")
    with serving(place, "--http-allow", "memory.example", MEMORY_HTTP_TOKEN=TOKEN) as (port, _):
        assert status(port, Authorization=f"Bearer {TOKEN}", Host="memory.example") == 200
        assert status(port, Authorization=f"Bearer {TOKEN}", Host="other.example") == 421


def test_what_cannot_be_used_is_named(place: Place) -> None:
    assert "HOST:PORT" in refused(place, "--http", "8765")
    assert "HOST:PORT" in refused(place, "--http", "127.0.0.1:http!")
    assert "MEMORY_HTTP_TOKEN" in refused(place, "--http", "127.0.0.1:0", MEMORY_HTTP_TOKEN="short")
    assert "--http" in refused(place, "--http-allow", "memory.example")
    file = place.folder / "http-token"
    file.write_text(TOKEN)
    file.chmod(0o644)
    assert "chmod 600" in refused(place, "--http", "127.0.0.1:0")
