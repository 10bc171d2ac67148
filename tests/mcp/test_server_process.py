"""The MCP server as assistants run it: a program on pipes, which starts the daemon and survives its death."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import fastmcp
import pytest
from fastmcp.client.transports import StdioTransport
from mcp.client import Client
from mcp.client.stdio import StdioServerParameters, stdio_client

from enhanced_memory import __version__
from tests.conftest import PATIENCE_S, PROMPTLY_S

if TYPE_CHECKING:
    from tests.mcp.conftest import Place

pytestmark = pytest.mark.process

ROOT = Path(__file__).parents[2]
HANDSHAKES = ("2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25")
MODERN = "2026-07-28"


class Pipes:
    """An MCP server as a child process, spoken to line by line as a client written from scratch would."""

    def __init__(self, place: Place, protocol: str, *flags: str) -> None:
        with (place.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, *command_line(place, *flags)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                cwd=place.folder,
                env=environment(place),
            )
        assert self.process.stdin
        assert self.process.stdout
        self.input, self.output = self.process.stdin, self.process.stdout
        self.protocol = protocol
        self._ids = 0

    def send(self, method: str, params: dict[str, Any], **more: Any) -> None:
        """Send one message; without an `id` among `more` it is a notification."""
        if self.protocol == MODERN:
            about = {
                "protocolVersion": MODERN,
                "clientInfo": {"name": "pipes", "version": "1"},
                "clientCapabilities": {},
            }
            params = {**params, "_meta": {f"io.modelcontextprotocol/{key}": value for key, value in about.items()}}
        message = {"jsonrpc": "2.0", "method": method, "params": params, **more}
        self.input.write(json.dumps(message).encode() + b"\n")
        self.input.flush()

    def request(self, method: str, params: dict[str, Any]) -> dict[str, Any]:
        """The result of one request; notifications of the server are passed over."""
        self._ids += 1
        self.send(method, params, id=self._ids)
        while True:
            message = json.loads(self.output.readline())
            if message.get("id") == self._ids:
                result: dict[str, Any] = message["result"]
                return result

    def greet(self) -> dict[str, Any]:
        """Begin as the protocol's version has it, and return what the server says of itself."""
        if self.protocol == MODERN:
            return self.request("server/discover", {})
        about = {"name": "pipes", "version": "1"}
        given = {"protocolVersion": self.protocol, "capabilities": {}, "clientInfo": about}
        greeting = self.request("initialize", given)
        assert greeting["protocolVersion"] == self.protocol
        self.send("notifications/initialized", {})
        return greeting

    def call(self, tool: str, **arguments: Any) -> dict[str, Any]:
        """The result of a tool."""
        return self.request("tools/call", {"name": tool, "arguments": arguments})

    def close(self) -> None:
        """Close the server's input and wait for its end; whatever it still writes must be the protocol's."""
        self.input.close()
        for line in self.output:
            json.loads(line)
        self.output.close()
        self.process.wait(PROMPTLY_S)


def command_line(place: Place, *flags: str) -> list[str]:
    """The words after `python` that serve a place."""
    paths = ["--db", str(place.folder / "m.db"), "--socket", str(place.folder / "s")]
    return [str(ROOT / "server.py"), *paths, *flags]


def environment(place: Place) -> dict[str, str]:
    """An environment in which nothing of the user's can be reached."""
    return {"PATH": os.environ["PATH"], "HOME": str(place.folder)}


Serve = Callable[..., Pipes]


@pytest.fixture
def serve(place: Place) -> Iterator[Serve]:
    """Starts servers in the place; all are ended with the test."""
    started = []

    def start(protocol: str, *flags: str) -> Pipes:
        started.append(Pipes(place, protocol, *flags))
        return started[-1]

    yield start
    for server in started:
        if server.process.poll() is None:
            server.close()


ANN = [{"name": "Ann", "entityType": "person", "observations": ["drinks oolong tea"]}]


@pytest.mark.parametrize("mode", ["legacy", "auto"])
def test_what_was_created_is_found_after_the_daemon_was_killed_through_the_official_client(
    place: Place, mode: str
) -> None:
    async def session() -> dict[str, Any]:
        program = StdioServerParameters(
            command=sys.executable, args=command_line(place), env=environment(place), cwd=place.folder
        )
        with (place.folder / "log").open("a") as log:
            async with Client(stdio_client(program, errlog=log), mode=mode) as client:
                created = await client.call_tool("create_entities", {"entities": ANN})
                assert created.structured_content["results"][0]["action"] == "created"
                (daemon,) = place.daemons()
                daemon.kill()
                daemon.wait(PROMPTLY_S)
                found = await client.call_tool("search_nodes", {"query": "who drinks oolong?"})
                assert found.structured_content
                return dict(found.structured_content)

    reply = asyncio.run(session())
    assert [result["name"] for result in reply["results"]] == ["Ann"]


@pytest.mark.parametrize("mode", ["legacy", "auto"])
def test_fastmcps_client_does_a_session(place: Place, mode: str) -> None:
    async def session() -> dict[str, Any]:
        transport = StdioTransport(sys.executable, command_line(place), env=environment(place), cwd=str(place.folder))
        async with asyncio.timeout(60), fastmcp.Client(transport, mode=mode) as client:
            assert "search_nodes" in [tool.name for tool in await client.list_tools()]
            await client.call_tool("create_entities", {"entities": ANN})
            found = await client.call_tool("search_nodes", {"query": "oolong"})
            return dict(found.structured_content)

    assert asyncio.run(session())["count"] == 1


@pytest.mark.parametrize("protocol", [*HANDSHAKES, MODERN])
def test_what_was_created_is_found_after_the_daemon_was_killed_over_bare_pipes(
    place: Place, serve: Serve, protocol: str
) -> None:
    server = serve(protocol)
    assert "search_nodes" in server.greet()["instructions"]
    assert "search_nodes" in [tool["name"] for tool in server.request("tools/list", {})["tools"]]
    assert not server.call("create_entities", entities=ANN)["isError"]

    (daemon,) = place.daemons()
    daemon.kill()
    daemon.wait(PROMPTLY_S)

    found = json.loads(server.call("search_nodes", query="oolong")["content"][0]["text"])
    assert [result["name"] for result in found["results"]] == ["Ann"]
    (again,) = place.daemons()
    assert again.pid != daemon.pid


def test_a_write_goes_through_after_the_daemon_was_killed(place: Place, serve: Serve) -> None:
    server = serve(MODERN)
    assert not server.call("create_entities", entities=ANN)["isError"]
    (daemon,) = place.daemons()
    daemon.kill()
    daemon.wait(PROMPTLY_S)

    added = server.call("add_observations", observations=[{"entityName": "Ann", "contents": ["lives in Graz"]}])
    assert added["structuredContent"]["results"][0]["addedObservations"] == ["lives in Graz"]


@pytest.mark.slow
def test_ten_servers_started_at_once_share_one_daemon(place: Place, serve: Serve) -> None:
    servers = [serve(MODERN) for _ in range(10)]
    for number, server in enumerate(servers):
        entity = {"name": f"thing {number}", "entityType": "thing", "observations": ["shared"]}
        server.send("tools/call", {"name": "create_entities", "arguments": {"entities": [entity]}}, id="create")
    for server in servers:
        assert json.loads(server.output.readline())["result"]["isError"] is False

    found = servers[0].call("search_nodes", query="shared", limit=20)["structuredContent"]
    assert {result["name"] for result in found["results"]} == {f"thing {number}" for number in range(10)}
    assert len(place.daemons()) == 1


def test_the_daemon_stays_when_the_server_that_started_it_ends_and_holds_none_of_its_streams(
    place: Place, serve: Serve
) -> None:
    server = serve(MODERN)
    assert not server.call("create_entities", entities=ANN)["isError"]
    server.close()  # reads its output to the end, which comes only when nobody else can write there

    assert server.process.returncode == 0
    (daemon,) = place.daemons()
    assert os.getsid(daemon.pid) != os.getsid(0)


def test_without_autostart_a_call_fails_and_no_daemon_is_started(place: Place, serve: Serve) -> None:
    server = serve(MODERN, "--no-autostart")
    result = server.call("search_nodes", query="tea")

    assert result["isError"]
    assert result["structuredContent"]["code"] == "unavailable"
    assert place.daemons() == []


def test_namespaces_and_profiles_are_chosen_by_flags(serve: Serve) -> None:
    here, there = serve(MODERN, "--namespace", "here"), serve(MODERN, "--namespace", "there", "--tools", "full")
    assert not here.call("create_entities", entities=ANN)["isError"]

    assert here.call("search_nodes", query="oolong")["structuredContent"]["count"] == 1
    assert there.call("search_nodes", query="oolong")["structuredContent"]["count"] == 0
    assert here.call("ping")["isError"]
    assert there.call("ping")["structuredContent"]["pong"] is True


@pytest.mark.parametrize("flags", [[], ["--standalone"]])
def test_a_line_that_is_no_message_leaves_the_server_answering(serve: Serve, flags: list[str]) -> None:
    server = serve("2025-06-18", *flags)
    server.greet()
    server.input.write(b'nonsense\n\xff\n{"jsonrpc": "2.0"}\n[]\n')

    assert server.request("tools/list", {})["tools"]


def test_a_project_s_own_env_file_is_not_read(place: Place, serve: Serve) -> None:
    (place.folder / ".env").write_text("FASTMCP_LOG_LEVEL=nonsense\n")

    assert serve(MODERN).greet()["instructions"]


@pytest.mark.parametrize(("flags", "file"), [([], "mcp.log"), (["--standalone"], "log")])
def test_the_log_is_plain_lines_without_memories(place: Place, serve: Serve, flags: list[str], file: str) -> None:
    server = serve(MODERN, "--log-level", "debug", *flags)
    assert not server.call("create_entities", entities=ANN)["isError"]
    server.close()

    log = (place.folder / file).read_text()
    assert "INFO" in log
    assert "\x1b" not in log
    assert "oolong" not in log


@pytest.mark.parametrize("flags", [[], ["--standalone"]])
def test_an_assistant_that_goes_away_without_a_word_leaves_no_trace_in_the_log(
    place: Place, serve: Serve, flags: list[str]
) -> None:
    server = serve(MODERN, "--no-autostart", *flags)
    server.greet()
    server.output.close()
    for number in range(50):  # enough to fail at writing before the end of the input is seen
        server.send("tools/list", {}, id=number)
    server.input.close()

    assert server.process.wait(PROMPTLY_S) == 0
    for log in place.folder.glob("*log"):
        assert "Traceback" not in log.read_text()


@pytest.mark.parametrize("flags", [[], ["--standalone"]])
@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGTERM])
def test_one_signal_ends_the_server_though_its_input_stays_open(
    serve: Serve, sign: signal.Signals, flags: list[str]
) -> None:
    server = serve(MODERN, *flags)
    server.greet()
    server.process.send_signal(sign)

    assert server.process.wait(PROMPTLY_S) == -sign


def test_version_and_help_answer_without_loading_fastmcp() -> None:
    script = (
        "import sys\n"
        "from enhanced_memory.mcp.command import command\n"
        "for flag in ('--version', '--help'):\n"
        "    command.main([flag], standalone_mode=False)\n"
        "sys.exit('fastmcp' in sys.modules or 'mcp' in sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE_S)

    assert done.returncode == 0
    assert done.stdout.startswith(f"memory-mcp {__version__}\n")
    assert "MEMORY_TOOLS" in done.stdout


def test_a_setting_that_is_wrong_is_named_in_one_line(place: Place) -> None:
    env = {**environment(place), "MEMORY_TOOLS": "everything"}
    done = subprocess.run(
        [sys.executable, ROOT / "server.py"], env=env, capture_output=True, text=True, timeout=PATIENCE_S, check=False
    )

    assert done.returncode == 2
    assert done.stdout == ""
    assert "MEMORY_TOOLS must be one of core, full" in done.stderr
