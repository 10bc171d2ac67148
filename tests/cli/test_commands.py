"""The commands about versions, neighbours, conflicts, code and talk: what they print, for people and for programs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from enhanced_memory.cli import versions
from tests.cli.conftest import ROOT, Run, StandIn, at_terminal, command
from tests.conftest import PATIENCE_S, Daemon, StartDaemon


@pytest.fixture
def daemon(start_daemon: StartDaemon) -> Daemon:
    """A daemon at the socket of the environment."""
    return start_daemon(socket_path=Path(os.environ["MEMORY_DB_SOCKET"]))


@pytest.fixture
def ada(run: Run, daemon: Daemon) -> None:
    """Two related memories, one of which has a branch that was merged."""
    run("add", "Ada", "person", "writes programs")
    run("add", "Bob", "person", "plays chess")
    run("relate", "Ada", "knows", "Bob")
    run("call", "memory_branch", "entity_name=Ada", "branch_name=proposal")
    run("add", "Ada", "person", "likes tea")
    run("call", "memory_checkout", "entity_name=Ada", "branch_name=main")
    run("add", "Ada", "person", "lives in London")
    run("call", "memory_merge", "entity_name=Ada", "source_branch=proposal")


def cells(text: str) -> list[list[str]]:
    """The cells of plain lines."""
    return [line.split("\t") for line in text.splitlines()]


@pytest.mark.process
@pytest.mark.usefixtures("ada")
def test_history_is_plain_lines_in_a_pipe_and_a_graph_at_a_terminal(run: Run) -> None:
    rows = cells(run("history", "Ada").out)
    assert [(row[0], row[1], row[2], row[3], row[7], row[8]) for row in rows] == [
        ("4", "main", "3", "merged", "1", "0"),
        ("3", "main", "1", "updated", "1", "0"),
        ("2", "proposal", "1", "updated", "1", "0"),
        ("1", "main", "", "created", "1", "0"),
    ]
    status, shown = at_terminal("history", "Ada")
    assert status == 0
    drawn = [line.partition("  ")[0] for line in shown.splitlines()]
    assert drawn == [
        "● version 4",
        "│",
        "│",
        "├─╮ ",
        "● │ version 3",
        "│ │",
        "│ ● version 2",
        "│ │",
        "├─╯ ",
        "● version 1",
        "",
    ]
    assert "+ lives in London" in shown
    limited = run("history", "Ada", "--limit", "1")
    assert "--cursor" in limited.err
    assert run("history", "Nobody").status == 1


def drawn(*parents: tuple[int, int | None, int | None]) -> list[str]:
    """The lines of the graph of versions given as number, parent and merge parent."""
    given = [{"version": number, "parent": parent, "merge_parent": merged} for number, parent, merged in parents]
    return [lanes.rstrip() for lanes, _, _ in versions.graph(given)]


def test_a_graph_draws_branches_beside_one_another() -> None:
    assert drawn((3, 2, None), (2, 1, None), (1, None, None)) == ["●", "●", "●"]
    assert drawn((3, 1, None), (2, 1, None), (1, None, None)) == ["●", "│ ●", "├─╯", "●"]
    assert drawn((4, 3, 2), (3, 1, None), (2, 1, None), (1, None, None)) == ["●", "├─╮", "● │", "│ ●", "├─╯", "●"]
    assert drawn((5, 4, None), (4, 2, 3), (3, 1, None)) == ["●", "●", "├─╮", "│ ●"]


@pytest.mark.process
@pytest.mark.usefixtures("ada")
def test_versions_are_compared_listed_and_brought_back(run: Run) -> None:
    assert "+- likes tea" in run("diff", "Ada").out.splitlines()
    assert run("diff", "Ada", "1", "1").err == "They say the same.\n"
    assert {row[1]: row[0] for row in cells(run("branches", "Ada").out)} == {"main": "*", "proposal": ""}
    assert run("revert", "Ada", "1", "--message", "too much").out == "reverted\tAda\t5\n"
    assert run("open", "Ada", "--json").json["entities"][0]["observations"] == ["writes programs"]
    rows = cells(run("changes", "--since", "1h").out)
    assert rows[-1][1:] == ["reverted", "Ada", "5", "too much", "enhanced-memory"]
    assert ["relation created", "Ada knows Bob"] in [row[1:3] for row in rows]
    bogus = run("changes", "--since", "bogus")
    assert (bogus.status, bogus.err.splitlines()[0]) == (1, "Error: since: 'bogus' is no time")


@pytest.mark.process
@pytest.mark.usefixtures("ada")
def test_colours_are_left_out_where_the_environment_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    _, shown = at_terminal("diff", "Ada", kind="xterm")
    assert "\x1b[32m+- likes tea" in shown
    monkeypatch.setenv("NO_COLOR", "1")
    _, shown = at_terminal("diff", "Ada", kind="xterm")
    assert "\x1b[3" not in shown
    assert "+- likes tea" in shown


@pytest.mark.process
@pytest.mark.usefixtures("ada")
def test_what_lies_around_a_memory_is_a_tree(run: Run) -> None:
    run("add", "Carl", "person")
    run("relate", "Carl", "teaches", "Bob", "--strength", "0.5")
    assert cells(run("graph", "Ada", "--depth", "2").out) == [["Ada", "knows", "Bob"], ["Carl", "teaches", "Bob"]]
    _, shown = at_terminal("graph", "Ada", "--depth", "2")
    assert [line.rstrip() for line in shown.splitlines()] == [
        "Ada",
        "└── ─ knows → Bob",
        "    └── ← teaches ─ Carl",
    ]
    assert run("relate", "Carl", "teaches", "Bob").out == "unchanged\tCarl\tteaches\tBob\n"
    assert run("relate", "Carl", "teaches", "Bob", "--delete").out == "deleted\tCarl\tteaches\tBob\n"
    assert run("relate", "Carl", "teaches", "Bob", "--delete").status == 1


@pytest.mark.process
@pytest.mark.usefixtures("ada")
def test_the_context_is_text(run: Run) -> None:
    assert "likes tea" in run("context", "who", "likes", "tea").out
    assert "did not fit" in run("context", "tea", "--max-tokens", "1").err
    assert run("context", "--json").json["entities"]


@pytest.mark.process
@pytest.mark.usefixtures("ada")
def test_memories_and_observations_are_deleted(run: Run) -> None:
    assert run("delete", "Ada", "--observation", "likes tea").out == "removed\tAda\tlikes tea\n"
    assert run("delete", "Ada", "--observation", "likes tea").status == 1
    ended = run("delete", "Bob", "Nobody")
    assert (ended.status, ended.out, ended.err) == (1, "deleted\tBob\n", "Nothing is remembered under 'Nobody'.\n")
    assert run("history", "Bob").err == "Bob is deleted; `enhanced-memory revert` brings it back.\n"


@pytest.mark.process
def test_conflicts_stand_side_by_side(run: Run, daemon: Daemon) -> None:
    assert run("conflicts").err == "There are no pending conflicts.\n"
    run("add", "Ann", "person", "lives in Graz", "likes tea")
    run("add", "Anna", "person", "lives in Graz", "likes tea")
    run("call", "detect_conflicts", "entity_name=Anna")
    (first, *_), *_ = rows = cells(run("conflicts").out)
    assert rows[0][1:5] == ["duplicate", "1.00", "Anna", "Ann"]
    assert run("conflicts", "list", "--json").json["conflicts"][0]["conflict_id"] == int(first)
    _, shown = at_terminal("conflicts")
    assert "Anna" in shown.splitlines()[1]
    assert "lives in Graz   lives in Graz" in shown


def test_a_conflict_is_resolved_and_reopened_by_its_number(run: Run, stand_in: StandIn) -> None:
    stand_in.answer = lambda _method, _params: {"success": True, "action_taken": "merged", "details": {"moved": 2}}
    ended = run("conflicts", "resolve", "7", "--strategy", "merge", "--dry-run", "--notes", "one person")
    assert cells(ended.out) == [["action_taken", "merged"], ["details.moved", "2"]]
    run("conflicts", "reopen", "7")
    assert [(request["method"], request["params"]) for request in stand_in.requests] == [
        ("resolve_conflict", {"conflict_id": 7, "strategy": "merge", "dry_run": True, "notes": "one person"}),
        ("reopen_conflict", {"conflict_id": 7}),
    ]


@pytest.mark.process
def test_code_runs_in_the_sandbox_and_may_be_kept(run: Run, daemon: Daemon, tmp_path: Path) -> None:
    run("add", "Ada", "person", "likes tea")
    ended = run("run", "-", "--var", "word=tea", stdin=b"print('looking')\nresult = len(search_nodes(word))")
    assert ended.out == "looking\n1\n"
    failed = run("run", "-", "--json", stdin=b"1 / 0")
    assert (failed.status, failed.json["code"]) == (1, "sandbox_error")
    code = tmp_path / "count.py"
    code.write_text("result = [len(search_nodes(word)), times * 2]\n")
    assert (
        run("skills", "save", "count", str(code), "-d", "counts a word", "--tag", "demo").out == "created\tcount\t1\n"
    )
    assert run("skills", "run", "count", "word=tea", "times=21").out == "[1, 42]\n"
    assert cells(run("skills").out)[0][:4] == ["count", "1", "1", "100%"]
    assert run("skills", "show", "count").out == code.read_text()
    assert run("skills", "list", "--tag", "other").out == ""
    assert run("skills", "delete", "count").out == "deleted\tcount\t1\n"
    assert run("skills", "show", "count").status == 1
    assert run("run", "-", stdin=b"\xff").err == "Error: - is not UTF-8\n"


@pytest.mark.process
def test_a_conversation_is_extracted_from(run: Run, daemon: Daemon) -> None:
    talk = b"user: I prefer dark mode in every editor.\n"
    tried = run("extract", "-", "--dry-run", stdin=talk)
    ((kind, _, line, fact),) = cells(tried.out)
    assert (kind, line) == ("preference", "1")
    assert "dark mode" in fact
    assert tried.err == "1 fact found, and nothing was remembered.\n"
    assert run("extract", "-", "--session", "s1", stdin=talk).err == "1 fact remembered.\n"
    assert run("open", "auto-extracted-s1").status == 0
    again = run("extract", "-", "--session", "s1", stdin=talk)
    assert (again.status, again.err) == (0, "1 fact found, and nothing new: known already.\n")
    more = run("extract", "-", "--session", "s1", stdin=talk + b"user: Never use tabs in this repository.\n")
    assert more.err == "2 facts found: 1 new and remembered, 1 known already.\n"
    secret = run("extract", "-", "--session", "s2", stdin=b"user: I always use the password Zebra99!\n")
    assert secret.err == "1 fact remembered.\n1 secret was masked: password.\n"


@pytest.mark.process
@pytest.mark.usefixtures("ada")
def test_the_dashboard_shows_everything_on_one_screen(run: Run) -> None:
    plain = cells(run("dashboard").out)
    assert ["status.total_entities", "2"] in plain
    assert ["health.status", "healthy"] in plain
    assert any(row[0] == "changes" and row[2:4] == ["merged", "Ada"] for row in plain)
    seen = run("dashboard", "--json").json
    assert seen["changes"][0]["action"] == "merged"
    _, shown = at_terminal("dashboard")
    assert "healthy" in shown
    assert "2 with 1 relations" in shown


@pytest.mark.process
@pytest.mark.usefixtures("ada")
def test_names_are_completed_while_the_daemon_runs(run: Run) -> None:
    run("add", "Ada Lovelace", "person")

    def completed(words: str, shell: str = "bash") -> list[str]:
        asked = {"COMP_WORDS": words, "COMP_CWORD": str(len(words.split(" ")) - 1)}
        environment = os.environ | asked | {"_ENHANCED_MEMORY_COMPLETE": f"{shell}_complete"}
        done = subprocess.run(command(), cwd=ROOT, env=environment, capture_output=True, text=True, check=True)
        return sorted(done.stdout.split("\n"))

    assert [line for line in completed("enhanced-memory open Ad") if line] == ["plain,Ada", "plain,Ada\\ Lovelace"]
    assert "plain,Bob" in completed("enhanced-memory relate Ada knows ")
    assert "Ada Lovelace" in completed("enhanced-memory history ada", "zsh")
    assert "plain,conflicts" in completed("enhanced-memory conf")


@pytest.mark.process
def test_completing_starts_no_daemon(home: Path) -> None:
    environment = os.environ | {
        "COMP_WORDS": "enhanced-memory open A",
        "COMP_CWORD": "2",
        "_ENHANCED_MEMORY_COMPLETE": "bash_complete",
    }
    done = subprocess.run(command(), cwd=ROOT, env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""
    assert not (home / ".memories").exists()


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_shell_gets_its_script(run: Run, shell: str) -> None:
    assert f"_ENHANCED_MEMORY_COMPLETE={shell}_complete" in run("completion", shell).out


LONG_CALL = """
import sys
from enhanced_memory.client import methods
methods.LONG = frozenset({"rest"})
from enhanced_memory.cli.main import main
main(["call", "rest", "{}", *sys.argv[1:]])
"""


@pytest.mark.process
def test_a_long_operation_shows_a_person_how_far_it_is(stand_in: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def answer(method: str, _params: dict[str, Any]) -> dict[str, Any]:
        if method == "list_running":
            asked.append(method)
            if len(asked) >= 2:
                seen.set()
            return {"success": True, "running": [{"method": "rest", "done": 30, "total": 60, "seconds": 1}]}
        if waits:
            assert seen.wait(PATIENCE_S)
        return {"success": True, "rested": True}

    seen, waits = threading.Event(), True
    stand_in.answer = answer
    monkeypatch.setattr("tests.cli.conftest.command", lambda *words: [sys.executable, "-c", LONG_CALL, *words])
    status, shown = at_terminal(kind="xterm")
    assert status == 0
    assert "rest" in shown
    assert "50%" in shown
    waits = False
    asked.clear()
    done = subprocess.run([sys.executable, "-c", LONG_CALL], cwd=ROOT, capture_output=True, text=True, check=True)
    assert (json.loads(done.stdout), done.stderr, asked) == ({"success": True, "rested": True}, "", [])
