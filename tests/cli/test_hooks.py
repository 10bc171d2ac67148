"""The command hook: context when a session of Claude Code starts, lasting facts at its end, and never in its way."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from enhanced_memory.cli import hooks
from tests.cli.conftest import ROOT, Run, StandIn, command
from tests.conftest import PROMPTLY_S, Daemon, StartDaemon

TRANSCRIPT = Path(__file__).parent / "transcripts" / "session.jsonl"


def told(event: str, **more: Any) -> bytes:
    """What Claude Code writes to a hook."""
    common = {"session_id": "s1", "transcript_path": str(TRANSCRIPT), "cwd": "/home/ada/difference-engine"}
    return json.dumps({**common, "hook_event_name": event, **more}).encode()


@pytest.fixture
def daemon(start_daemon: StartDaemon, home: Path) -> Daemon:
    """A daemon at the socket of the environment."""
    return start_daemon(socket_path=Path(os.environ["MEMORY_DB_SOCKET"]))


def remember(daemon: Daemon, name: str, *observations: str, pinned: bool = False) -> None:
    entity = {"name": name, "entityType": "project", "observations": observations, "always_include": pinned}
    assert daemon.ask("create_entities", {"entities": [entity]})["success"]


def context_of(out: str) -> str:
    """What the model is given."""
    added = json.loads(out)["hookSpecificOutput"]
    assert added["hookEventName"] == "SessionStart"
    context: str = added["additionalContext"]
    return context


@pytest.mark.process
def test_a_session_starts_with_what_is_remembered_of_its_project(run: Run, daemon: Daemon) -> None:
    remember(daemon, "Difference Engine", "Prints its tables itself")
    remember(daemon, "House rules", "Tea at four", pinned=True)
    remember(daemon, "Loom", "Weaves leaves")
    ended = run("hook", "session-start", stdin=told("SessionStart", source="startup"))
    assert ended.status == 0
    text = context_of(ended.out)
    assert text.startswith("From the lasting memory")
    assert "Prints its tables itself" in text
    assert "Tea at four" in text
    assert "Weaves" not in text


@pytest.mark.process
def test_a_project_that_nothing_is_known_of_starts_with_what_is_newest(run: Run, daemon: Daemon) -> None:
    remember(daemon, "Loom", "Weaves leaves")
    ended = run("hook", "session-start", stdin=told("SessionStart", cwd="/src/xylophone"))
    assert "Weaves leaves" in context_of(ended.out)


@pytest.mark.process
def test_an_empty_memory_says_nothing(run: Run, daemon: Daemon) -> None:
    ended = run("hook", "session-start", stdin=told("SessionStart"))
    assert (ended.status, ended.out, ended.err) == (0, "", "")


@pytest.mark.process
def test_the_context_stays_under_what_claude_code_takes(run: Run, daemon: Daemon) -> None:
    for number in range(40):
        remember(daemon, f"Engine {number}", *(f"Wheel {wheel} turns {'very ' * 30}well" for wheel in range(20)))
    ended = run("hook", "session-start", stdin=told("SessionStart"))
    assert 1_000 < len(context_of(ended.out)) < 10_000


@pytest.mark.process
def test_the_lasting_facts_that_the_user_said_are_kept(run: Run, daemon: Daemon) -> None:
    for event in ("PreCompact", "SessionEnd"):
        ended = run("hook", "session-end", stdin=told(event))
        assert (ended.status, ended.out, ended.err) == (0, "", "")
    graph = daemon.ask("read_graph")
    kept = " | ".join(text for entity in graph["entities"] for text in entity["observations"])
    assert "pytest" in kept
    assert "PostgreSQL" in kept
    assert "linter" in kept
    for never in ("Redis", "silence", "pigeons", "abacus", "read from a file", "side chains", "reminders", "secrets"):
        assert never not in kept
    assert len(graph["entities"]) == 1
    [version] = daemon.ask("memory_history", {"entity_name": graph["entities"][0]["name"]})["versions"]
    assert version["message"] == "session in difference-engine"


def test_the_talk_is_what_the_user_typed_in_its_order() -> None:
    assert hooks.talk_of(str(TRANSCRIPT)).split("User: ")[1:] == [
        "I prefer pytest over unittest. We decided to use PostgreSQL for the ledger.\n\n",
        "My daughter is called Byron.\n\n",
        "<private>I prefer secrets</private>\n\nAlways run the linter before a commit.",
    ]


def test_of_a_long_transcript_the_newest_words_are_read_up_to_the_bounds(tmp_path: Path) -> None:
    path = tmp_path / "long.jsonl"
    with path.open("w") as file:
        for number in range(3_000):
            file.write(json.dumps({"type": "assistant", "message": {"content": "x" * 6_000}}) + "\n")
            message = {"role": "user", "content": f"message {number} " + "word " * 100}
            file.write(json.dumps({"type": "user", "message": message}) + "\n")
    assert path.stat().st_size > hooks.TRANSCRIPT_BYTES
    talk = hooks.talk_of(str(path))
    assert hooks.TALK_CHARACTERS - 1_000 < len(talk) <= hooks.TALK_CHARACTERS + 2 * 3_000
    assert "message 2999 " in talk
    assert "message 100 " not in talk


@pytest.mark.parametrize(
    "line",
    [
        "[" * 5_000 + '"user"',
        '{"type": "user"}',
        '{"type": "user", "message": "I prefer tea"}',
        '{"type": "user", "message": {"role": "user", "content": {"text": "I prefer tea"}}}',
        '{"type": "user", "message": {"role": "user", "content": [1, {"type": "text", "text": 2}]}}',
        '["user"]',
        "\udcff".encode("utf-8", "surrogateescape").decode("latin-1") + '"user"',
    ],
)
def test_a_line_of_another_shape_is_passed_over(tmp_path: Path, line: str) -> None:
    path = tmp_path / "odd.jsonl"
    path.write_text(line + '\n{"type": "user", "message": {"role": "user", "content": "hello"}}\n', encoding="latin-1")
    assert hooks.talk_of(str(path)) == "User: hello"


@pytest.mark.parametrize("event", ["session-start", "session-end"])
def test_without_a_daemon_a_hook_ends_well_with_a_line_on_standard_error(run: Run, event: str) -> None:
    ended = run("--no-autostart", "hook", event, stdin=told("x"))
    assert (ended.status, ended.out) == (0, "")
    assert ended.err.startswith("enhanced-memory: no memory daemon answers at ")
    assert ended.err.count("\n") == 1


@pytest.mark.parametrize("stdin", [b"", b"{", b"[]", b"\xff", b'{"cwd": 3, "transcript_path": []}', b"[" * 100_000])
@pytest.mark.parametrize("event", ["session-start", "session-end"])
def test_whatever_it_is_told_a_hook_ends_well(run: Run, stand_in: StandIn, event: str, stdin: bytes) -> None:
    stand_in.answer = lambda _method, _params: {"success": True, "text": "", "entities": []}
    ended = run("hook", event, stdin=stdin)
    assert (ended.status, ended.out) == (0, "")


@pytest.mark.parametrize("path", ["/no/such/file", "/dev/zero", "/tmp"])
def test_a_transcript_that_is_no_file_is_told_and_nothing_is_asked(run: Run, stand_in: StandIn, path: str) -> None:
    ended = run("hook", "session-end", stdin=told("SessionEnd", transcript_path=path))
    assert (ended.status, ended.out) == (0, "")
    assert ended.err.startswith("enhanced-memory: ")
    assert stand_in.requests == []


def test_a_failure_of_the_daemon_is_a_line_on_standard_error(run: Run, stand_in: StandIn) -> None:
    stand_in.answer = lambda _method, _params: {"success": False, "error": "the disk is full", "code": "disk_full"}
    ended = run("hook", "session-end", stdin=told("SessionEnd"))
    assert (ended.status, ended.out, ended.err) == (0, "", "enhanced-memory: the disk is full\n")


@pytest.mark.process
def test_a_daemon_that_hangs_holds_a_session_up_for_five_seconds_at_most(home: Path, start_daemon: StartDaemon) -> None:
    daemon = start_daemon(socket_path=Path(os.environ["MEMORY_DB_SOCKET"]))
    daemon.process.send_signal(signal.SIGSTOP)
    began = time.monotonic()
    ended = subprocess.run(
        command("hook", "session-start"),
        cwd=ROOT,
        input=told("SessionStart"),
        capture_output=True,
        timeout=PROMPTLY_S,
    )
    daemon.process.send_signal(signal.SIGCONT)
    assert (ended.returncode, ended.stdout) == (0, b"")
    assert ended.stderr.startswith(b"enhanced-memory: ")
    assert time.monotonic() - began >= hooks.LIMIT_S


@pytest.mark.process
def test_a_daemon_that_does_not_run_is_started(run: Run, home: Path) -> None:
    ended = run("hook", "session-end", stdin=told("SessionEnd"))
    lock = home / ".memories" / "memory.db.lock"
    os.kill(int(lock.read_text()), signal.SIGTERM)
    assert (ended.status, ended.err) == (0, "")
