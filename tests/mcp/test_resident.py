"""One resident for all assistants: who starts it, what it keeps apart, and how it ends."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from enhanced_memory import wire
from enhanced_memory.mcp import pump
from enhanced_memory.settings import Settings
from tests.conftest import PATIENCE_S, PROMPTLY_S
from tests.mcp.test_server_process import ANN, MODERN, ROOT, Pipes, command_line, environment, serve

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.mcp.conftest import Place

pytestmark = pytest.mark.process
__all__ = ["serve"]


def greeted(pipes: Pipes) -> Pipes:
    """The same, once its session has begun."""
    assert pipes.greet()["instructions"]
    return pipes


def answers(place: Place, lines: str, *flags: str) -> subprocess.CompletedProcess[str]:
    """What a server says to lines that come at once and are followed by the end of its input."""
    return subprocess.run(
        [sys.executable, *command_line(place, *flags)],
        input=lines,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        env=environment(place),
    )


HELLO = json.dumps(
    {
        "jsonrpc": "2.0",
        "id": "hello",
        "method": "initialize",
        "params": {
            "protocolVersion": "2025-06-18",
            "capabilities": {},
            "clientInfo": {"name": "lines", "version": "1"},
        },
    }
)


@pytest.mark.slow
def test_ten_assistants_that_start_at_once_are_served_by_one_resident(
    place: Place, serve: Callable[..., Pipes]
) -> None:
    servers = [serve(MODERN, "--namespace", f"room {number}") for number in range(10)]
    for server in servers:
        server.send("server/discover", {}, id="hello")
    for server in servers:
        assert json.loads(server.output.readline())["result"]["instructions"]

    assert len(place.residents()) == 1


def test_sessions_of_one_resident_keep_their_namespaces_profiles_and_names_apart(
    place: Place, serve: Callable[..., Pipes]
) -> None:
    here, there = serve(MODERN, "--namespace", "here"), serve(MODERN, "--namespace", "there", "--tools", "full")
    assert not here.call("create_entities", entities=ANN)["isError"]

    assert here.call("search_nodes", query="oolong")["structuredContent"]["count"] == 1
    assert there.call("search_nodes", query="oolong")["structuredContent"]["count"] == 0
    assert here.call("ping")["isError"]
    assert there.call("ping")["structuredContent"]["pong"] is True
    assert len(place.residents()) == 1


def test_a_namespace_from_the_environment_is_the_assistants_own(place: Place) -> None:
    def run(namespace: str) -> Any:
        call = {"name": "create_entities", "arguments": {"entities": ANN}}
        asked = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": call})
        done = subprocess.run(
            [sys.executable, *command_line(place)],
            input=f"{HELLO}\n{asked}\n",
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
            env={**environment(place), "MEMORY_NAMESPACE": namespace},
        )
        return json.loads(done.stdout.splitlines()[1])["result"]["structuredContent"]["results"][0]["action"]

    assert [run("one"), run("two"), run("one")] == ["created", "created", "unchanged"]


def test_what_was_asked_before_the_input_ended_is_answered(place: Place) -> None:
    call = {"name": "search_nodes", "arguments": {"query": "tea"}}
    asked = [
        json.dumps({"jsonrpc": "2.0", "id": number, "method": "tools/call", "params": call}) for number in range(5)
    ]
    done = answers(place, "\n".join([HELLO, *asked]) + "\n")

    replies = {message["id"]: message for message in map(json.loads, done.stdout.splitlines())}
    assert done.returncode == 0
    assert [replies[number]["result"]["structuredContent"]["count"] for number in range(5)] == [0] * 5


def test_a_line_that_is_no_message_is_answered_with_an_error_under_its_own_id(place: Place) -> None:
    half = r'{"jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": {"name": "\ud800"}}'
    done = answers(place, "\n".join([HELLO, half, "nonsense", "", '{"id": 8}', "[" * 5000]) + "\n")

    said = [json.loads(line) for line in done.stdout.splitlines()]
    errors = {message["id"]: message["error"]["code"] for message in said if "error" in message}
    assert errors == {7: -32700, None: -32700, 8: -32600}
    assert sum("error" in message for message in said) == 4


def test_a_request_whose_id_cannot_be_answered_is_refused(place: Place) -> None:
    lines = [f'{{"jsonrpc": "2.0", "id": {number}, "method": "ping"}}' for number in ("null", "1.5", "[]")]
    done = answers(place, "\n".join([HELLO, *lines]) + "\n")

    errors = [message for message in map(json.loads, done.stdout.splitlines()) if "error" in message]
    assert [(message["id"], message["error"]["code"]) for message in errors] == [(None, -32600)] * 3


def test_a_session_with_a_cancelled_request_ends_with_its_input(place: Place, serve: Callable[..., Pipes]) -> None:
    server = greeted(serve("2025-06-18"))
    call = {"name": "execute_code", "arguments": {"code": "while True: pass", "timeout_s": 30}}
    server.send("tools/call", call, id="endless")
    server.send("notifications/cancelled", {"requestId": "endless"})
    assert server.request("ping", {}) == {}

    server.input.close()

    assert server.process.wait(PROMPTLY_S) == 0, "it waits for an answer that will not come"


def test_more_requests_than_may_wait_are_all_answered(place: Place) -> None:
    asked = [json.dumps({"jsonrpc": "2.0", "id": number, "method": "tools/list"}) for number in range(600)]
    done = answers(place, "\n".join([HELLO, *asked]) + "\n")

    replies = {message["id"] for message in map(json.loads, done.stdout.splitlines()) if "result" in message}
    assert replies == {"hello", *range(600)}


def test_an_answer_larger_than_any_buffer_comes_whole(place: Place, serve: Callable[..., Pipes]) -> None:
    server = greeted(serve("2025-06-18"))
    text = "päth/" * 10_000
    entities = [{"name": f"thing {number}", "entityType": "thing", "observations": [text]} for number in range(20)]
    result = server.call("create_entities", entities=entities, no_such_parameter=text)

    assert result["isError"]
    assert len(server.call("execute_code", code=f"result = {text!r}")["structuredContent"]["result"]) > 0


def test_a_resident_nobody_needs_ends_and_takes_its_socket_away(place: Place) -> None:
    env = {**environment(place), "MEMORY_MCP_IDLE_S": "0.05"}
    with subprocess.Popen(
        [sys.executable, *command_line(place)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=env
    ) as process:
        assert process.stdin
        assert process.stdout
        process.stdin.write(HELLO.encode() + b"\n")
        process.stdin.flush()
        assert process.stdout.readline()
        (resident,) = place.residents()
    resident.wait(PROMPTLY_S)

    assert list(place.folder.glob("s.mcp-*")) == []
    assert process.returncode == 0


def test_a_resident_whose_socket_somebody_took_away_ends_as_well(place: Place) -> None:
    env = {**environment(place), "MEMORY_MCP_IDLE_S": "0.05"}
    with subprocess.Popen(
        [sys.executable, *command_line(place)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=env
    ) as process:
        assert process.stdin
        assert process.stdout
        process.stdin.write(HELLO.encode() + b"\n")
        process.stdin.flush()
        assert process.stdout.readline()
        (resident,) = place.residents()
        for path in place.folder.glob("s.mcp-*"):
            path.unlink()
    resident.wait(PROMPTLY_S)

    assert "Traceback" not in (place.folder / "mcp.log").read_text()


def test_a_resident_that_nobody_finds_ends_long_before_it_is_idle_and_leaves_anothers_socket_alone(
    place: Place,
) -> None:
    assert answers(place, HELLO + "\n").returncode == 0
    (resident,) = place.residents()
    (path,) = place.folder.glob("s.mcp-*")
    path.unlink()
    with socket.socket(socket.AF_UNIX) as another:
        another.bind(str(path))
        resident.wait(PROMPTLY_S)

        assert path.exists()


def test_a_resident_with_a_session_does_not_end_however_idle_it_is(place: Place, serve: Callable[..., Pipes]) -> None:
    waiting = greeted(serve(MODERN))
    (resident,) = place.residents()
    for _ in range(3):
        greeted(serve(MODERN)).close()

    assert waiting.call("search_nodes", query="tea")["structuredContent"]["success"] is True
    assert place.residents() == [resident]


def test_a_resident_that_was_killed_ends_its_sessions_with_a_sentence_and_is_replaced(
    place: Place, serve: Callable[..., Pipes]
) -> None:
    server = greeted(serve(MODERN))
    (resident,) = place.residents()
    resident.kill()
    assert server.process.wait(PROMPTLY_S) == 1
    assert "start this program again" in (place.folder / "log").read_text()

    assert greeted(serve(MODERN)).call("search_nodes", query="tea")["structuredContent"]["success"] is True
    (another,) = place.residents()
    assert another != resident


def test_sigterm_ends_the_resident_at_once_and_in_order(place: Place, serve: Callable[..., Pipes]) -> None:
    server = greeted(serve(MODERN))
    (resident,) = place.residents()
    resident.send_signal(signal.SIGTERM)
    resident.wait(PROMPTLY_S)

    assert server.process.wait(PROMPTLY_S) == 1
    assert list(place.folder.glob("s.mcp-*")) == []
    log = (place.folder / "mcp.log").read_text()
    assert log.rstrip().endswith("ended")
    assert "Traceback" not in log


def test_a_session_that_begins_with_nonsense_harms_no_other(place: Place, serve: Callable[..., Pipes]) -> None:
    server = greeted(serve(MODERN))
    (path,) = place.folder.glob("s.mcp-*")
    for line in (b"nonsense\n", b"[]\n", b'{"flags": 5, "environ": {}}\n', b'{"flags": {}}\n', b""):
        with socket.socket(socket.AF_UNIX) as stranger:
            stranger.settimeout(10)
            stranger.connect(str(path))
            stranger.sendall(line)
            stranger.shutdown(socket.SHUT_WR)
            assert b"welcome" not in stranger.recv(100)

    assert server.call("search_nodes", query="tea")["structuredContent"]["success"] is True


def test_the_resident_is_its_owners_alone(place: Place, serve: Callable[..., Pipes]) -> None:
    greeted(serve(MODERN))
    (path,) = place.folder.glob("s.mcp-*")

    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE((place.folder / "mcp.log").stat().st_mode) == 0o600


def test_a_pump_leaves_another_users_socket_alone(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    path = str(place.folder / "other")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen()
        monkeypatch.setattr(wire, "peer_uid", lambda _: os.geteuid() + 54_321)
        with pytest.raises(pump.Unusable, match="another user"):
            pump.connected(path)


def test_a_path_that_no_socket_can_have_is_served_alone(place: Place) -> None:
    folder = place.folder / ("long" * 24)
    done = subprocess.run(
        [sys.executable, ROOT / "server.py", "--socket", folder / "s", "--no-autostart"],
        input=f"{HELLO}\n",
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        env=environment(place),
    )

    assert json.loads(done.stdout.splitlines()[0])["result"]["serverInfo"]["name"] == "enhanced-memory"
    assert "serving alone" in done.stderr
    assert place.residents() == []


def test_with_standalone_no_resident_is_started(place: Place, serve: Callable[..., Pipes]) -> None:
    server = greeted(serve(MODERN, "--standalone"))

    assert server.call("search_nodes", query="tea")["structuredContent"]["success"] is True
    assert place.residents() == []


def test_an_update_is_served_by_a_new_resident_while_the_old_one_finishes_its_sessions(place: Place) -> None:
    copy = place.folder / "copy"
    shutil.copytree(ROOT / "enhanced_memory", copy / "enhanced_memory", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "server.py", copy)

    def started() -> subprocess.Popen[bytes]:
        command: list[str | Path] = [sys.executable, copy / "server.py", *command_line(place)[1:]]
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment(place))
        say(process, HELLO)
        return process

    def say(process: subprocess.Popen[bytes], line: str) -> dict[str, Any]:
        assert process.stdin
        assert process.stdout
        process.stdin.write(line.encode() + b"\n")
        process.stdin.flush()
        answer: dict[str, Any] = json.loads(process.stdout.readline())
        return answer

    with started() as before:
        (old,) = place.residents()
        with (copy / "enhanced_memory" / "__init__.py").open("a") as source:
            source.write("# another state of the source\n")
        with started() as after:
            (new,) = set(place.residents()) - {old}
            listed = '{"jsonrpc": "2.0", "id": 2, "method": "tools/list"}'
            assert say(before, listed)["result"]["tools"]
            assert say(after, listed)["result"]["tools"]
            assert before.stdin
            before.stdin.close()
            old.wait(PROMPTLY_S)
            assert say(after, listed)["result"]["tools"]
            assert place.residents() == [new]


def test_the_pump_and_the_settings_agree_on_paths(monkeypatch: pytest.MonkeyPatch, place: Place) -> None:
    monkeypatch.chdir(place.folder)
    for flags, environ in (
        ({}, {}),
        ({}, {"MEMORY_DB_SOCKET": "~/mine"}),
        ({"socket_path": "near/by"}, {"MEMORY_DB_SOCKET": "~/mine"}),
        ({"socket_path": "$HOME/there"}, {}),
    ):
        told = pump.greeting(flags, environ)
        expected = Settings.load(flags, environ)
        assert pump.resident_path(told).rpartition(".mcp-")[0] == expected.socket_path
        assert Settings.load(told["flags"], told["environ"]) == expected


@pytest.mark.parametrize(
    ("words", "flags"),
    [
        ([], {}),
        (["--db", "x", "--tools=full"], {"db_path": "x", "tools": "full"}),
        (["--no-autostart", "--namespace", "work"], {"autostart": "0", "namespace": "work"}),
        (["--standalone"], None),
        (["--help"], None),
        (["--db"], None),
        (["--db="], None),
        (["word"], None),
    ],
)
def test_a_command_line_of_settings_is_the_pumps_and_any_other_is_not(
    words: list[str], flags: dict[str, str] | None
) -> None:
    assert pump.settings_in(words) == flags


def test_the_pump_loads_the_standard_library_only_and_little_of_it() -> None:
    source = (
        "import json, sys\n"
        f"sys.path.insert(0, {str(ROOT)!r})\n"
        "before = set(sys.modules)\n"
        "import enhanced_memory.mcp.main\n"
        "print(json.dumps(sorted(set(sys.modules) - before)))\n"
    )
    done = subprocess.run([sys.executable, "-I", "-S", "-c", source], capture_output=True, text=True, check=True)
    loaded = set(json.loads(done.stdout))

    assert {name.split(".")[0] for name in loaded} <= sys.stdlib_module_names | {"enhanced_memory"}
    assert not loaded & {"asyncio", "dataclasses", "enhanced_memory.client", "enhanced_memory.settings", "subprocess"}
    assert Path(ROOT / "server.py").is_file()
