"""The program as a whole: its options, how a run ends, and how little it loads."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from typing import get_args

import pytest

from enhanced_memory import __version__, shapes
from enhanced_memory.cli import session
from enhanced_memory.cli.main import COMMANDS
from tests.cli.conftest import ROOT, Run, StandIn, command, start
from tests.conftest import PATIENCE_S

HEAVY = (
    "fastmcp",
    "numpy",
    "rich",
    "pydantic",
    "sqlite3",
    "asyncio",
    "enhanced_memory.store",
    "enhanced_memory.service",
)


def test_the_version_is_told(run: Run) -> None:
    assert run("--version").out == f"enhanced-memory {__version__}\n"


@pytest.mark.process
@pytest.mark.parametrize("arguments", [("--version",), ("--help",), ("--no-autostart", "status")])
def test_nothing_heavy_is_loaded(arguments: tuple[str, ...]) -> None:
    program = f"import atexit, sys; atexit.register(lambda: print(*sys.modules, file=sys.stderr)); {command()[2]}"
    ended = subprocess.run([sys.executable, "-c", program, *arguments], cwd=ROOT, capture_output=True, text=True)
    loaded = ended.stderr.rpartition("sys builtins")[2].split()
    assert "click" in loaded
    assert not set(HEAVY) & set(loaded)


def test_the_help_names_every_command_and_gives_examples(run: Run) -> None:
    ended = run("--help")
    assert ended.status == 0
    assert "Examples:" in ended.out
    for name in COMMANDS:
        assert f"\n  {name} " in ended.out


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_explains_itself_with_an_example(run: Run, name: str) -> None:
    ended = run(name, "--help")
    assert ended.status == 0
    assert "Examples:" in ended.out


@pytest.mark.parametrize(
    "arguments",
    [
        ("--wrong",),
        ("search",),
        ("search", "--limit", "0", "Ada"),
        ("add", "Ada"),
        ("open",),
        ("call", "ping", "neither"),
        ("call", "ping", "{broken"),
        ("call", "ping", "-"),
        ("import", "no-such-file"),
        ("--log-level", "LOUD", "status"),
    ],
)
def test_wrong_usage_ends_with_status_2(run: Run, arguments: tuple[str, ...]) -> None:
    ended = run(*arguments)
    assert ended.status == 2
    assert ended.out == ""
    assert "Error: " in ended.err


def test_a_misspelt_command_is_told_the_nearest(run: Run) -> None:
    ended = run("serch", "Ada")
    assert ended.status == 2
    assert "Did you mean search?" in ended.err


def test_without_a_daemon_the_run_ends_with_status_3_and_a_way_out(run: Run) -> None:
    ended = run("--no-autostart", "status")
    assert ended.status == 3
    assert ended.out == ""
    first, second = ended.err.splitlines()
    assert first.startswith("Error: no memory daemon answers at ")
    assert second.startswith("Hint: ")


def test_without_a_daemon_json_holds_the_failure(run: Run) -> None:
    ended = run("status", "--json", "--no-autostart")
    assert ended.status == 3
    assert ended.err == ""
    assert ended.json["success"] is False
    assert ended.json["code"] == "unavailable"


TAKEN = {
    "success": True,
    "results": [{"name": "x", "action": "created", "version": 1}],
    "lines": ["x"],
    "entities": 1,
    "relations": 0,
    "next_cursor": None,
}
REFUSAL = {"success": False, "error": "the disk is full", "code": "disk_full", "hint": "make room"}


def test_a_failure_is_a_sentence_and_a_hint_on_standard_error(run: Run, stand_in: StandIn) -> None:
    stand_in.answer = lambda _method, _params: REFUSAL
    ended = run("add", "Ada", "person")
    assert (ended.status, ended.out, ended.err) == (1, "", "Error: the disk is full\nHint: make room\n")


@pytest.mark.parametrize("arguments", [("--json", "add", "Ada", "person"), ("add", "Ada", "person", "--json")])
def test_json_may_stand_before_or_after_the_command(run: Run, stand_in: StandIn, arguments: tuple[str, ...]) -> None:
    stand_in.answer = lambda _method, _params: REFUSAL
    ended = run(*arguments)
    assert (ended.status, ended.err) == (1, "")
    assert ended.json == REFUSAL


def test_a_reply_cannot_move_the_cursor_of_a_terminal(run: Run, stand_in: StandIn) -> None:
    stand_in.answer = lambda _method, _params: {**REFUSAL, "error": "red \x1b[31m text \x9b2J"}
    assert run("status").err.startswith("Error: red \\x1b[31m text \\x9b2J\n")


def test_options_choose_socket_and_namespace(run: Run, stand_in: StandIn) -> None:
    socket_path = os.environ.pop("MEMORY_DB_SOCKET")
    run("call", "ping", "--socket", socket_path, "--namespace", "work")
    assert stand_in.requests == [{"method": "ping", "params": {}, "namespace": "work", "client": "enhanced-memory"}]


@pytest.mark.process
@pytest.mark.parametrize("characters", [10, 1_000_000])
@pytest.mark.parametrize("arguments", [("call", "ping"), ("add", "x", "y"), ("export", "-"), ("--json", "open", "x")])
def test_a_reader_who_goes_away_causes_no_trace(stand_in: StandIn, arguments: tuple[str, ...], characters: int) -> None:
    taken, refused = {**TAKEN, "lines": ["a" * characters] * 10}, {**REFUSAL, "error": "a" * characters}
    stand_in.answer = lambda method, _params: refused if method == "open_nodes" else taken
    reading, writing = os.pipe()
    os.close(reading)
    with start(*arguments, stdout=writing, stderr=subprocess.PIPE) as process:
        os.close(writing)
        _, err = process.communicate(timeout=PATIENCE_S)
    assert (process.returncode, err) == (141, b"")


@pytest.mark.process
@pytest.mark.parametrize("arguments", [("call", "ping"), ("add", "x", "y"), ("export", "-")])
def test_a_full_disk_behind_the_output_is_told(stand_in: StandIn, arguments: tuple[str, ...]) -> None:
    stand_in.answer = lambda _method, _params: TAKEN
    with open("/dev/full", "wb") as full:
        ended = subprocess.run(command(*arguments), cwd=ROOT, stdout=full, stderr=subprocess.PIPE, text=True)
    assert ended.returncode == 1
    assert ended.stderr.endswith(": No space left on device\n")
    assert ended.stderr.startswith("Error: ")


@pytest.mark.process
def test_control_c_ends_quietly_with_status_130(stand_in: StandIn) -> None:
    asked, go_on = threading.Event(), threading.Event()

    def wait(_method: str, _params: object) -> dict[str, object]:
        asked.set()
        go_on.wait(PATIENCE_S)
        return {"success": True}

    stand_in.answer = wait
    with start("call", "ping", stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert asked.wait(PATIENCE_S)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=PATIENCE_S)
    go_on.set()
    assert (process.returncode, out, err.strip()) == (130, b"", b"")


@pytest.mark.process
def test_a_locale_without_our_letters_is_no_reason_to_fail(stand_in: StandIn) -> None:
    stand_in.answer = lambda _method, _params: {
        "success": True,
        "results": [{"name": "Ωmega", "action": "created", "version": 1}],
    }
    environment = {**os.environ, "PYTHONIOENCODING": "latin-1"}
    out = subprocess.check_output(command("add", "x", "y"), cwd=ROOT, env=environment)
    assert out == b"created\t\\u03a9mega\t1\n"


def test_json_is_utf_8_whatever_the_locale(run: Run, stand_in: StandIn) -> None:
    stand_in.answer = lambda _method, _params: {"success": True, "text": "Ωmega 🐘"}
    assert json.loads(run("call", "ping").out)["text"] == "Ωmega 🐘"


def test_the_words_options_offer_are_those_of_the_operations() -> None:
    assert get_args(shapes.Tier) == session.TIERS
    assert get_args(shapes.OnExisting) == session.ON_EXISTING


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--json"], "Missing command."),
        (["serch", "--json"], "There is no command 'serch'. Did you mean search?"),
        (["search", "--no-such-option", "--json", "tea"], "No such option '--no-such-option'."),
        (["--json", "add", "Ada"], "Missing argument 'TYPE'."),
        (["open", "--json"], "Missing argument 'NAME...'."),
        (["search", "tea", "--limit", "0", "--json"], "Invalid value for '--limit': 0 is not in the range 1<=x<=1000."),
        (["--json", "curate", "--apply", "--undo", "last"], "--undo and --apply do not go together"),
        (["--json", "--namespace", "", "--log-level", "LOUD", "status"], "MEMORY_LOG_LEVEL must be one of "),
    ],
)
def test_wrong_usage_is_told_as_json_where_json_is_wanted(run: Run, arguments: list[str], sentence: str) -> None:
    ended = run(*arguments)
    assert (ended.status, ended.err) == (2, "")
    assert ended.json.keys() == {"success", "error", "code", "hint"}
    assert (ended.json["success"], ended.json["code"]) == (False, "usage")
    assert ended.json["error"].startswith(sentence)
    assert "--help tells what is understood" in ended.json["hint"]


def test_wrong_usage_is_told_to_a_person_where_json_is_only_a_word_of_the_question(run: Run) -> None:
    ended = run("search", "--limit", "0", "--", "--json")
    assert (ended.status, ended.out) == (2, "")
    assert "Usage: enhanced-memory search" in ended.err
