"""What the command line tells beside its answers: conflicts of a write, ways out as commands, what may be meant."""

from __future__ import annotations

import os
import shlex
from pathlib import Path

import pytest

from enhanced_memory.cli.hints import COMMANDS, in_commands, meant
from enhanced_memory.cli.main import COMMANDS as PROGRAM
from enhanced_memory.registry import operations
from tests.cli.conftest import Run, StandIn, at_terminal
from tests.conftest import Daemon, StartDaemon


@pytest.fixture
def daemon(start_daemon: StartDaemon) -> Daemon:
    """A daemon at the socket of the environment."""
    return start_daemon(socket_path=Path(os.environ["MEMORY_DB_SOCKET"]))


@pytest.mark.process
def test_a_write_tells_each_conflict_in_a_sentence_and_how_to_look_and_decide(run: Run, daemon: Daemon) -> None:
    assert run("add", "Ada", "person", "Lives in London", "Likes tea").err == ""
    told = run("add", "Ada Byron", "person", "Lives in Paris")
    assert told.out == "created\tAda Byron\t1\n"
    sentence, way_out = told.err.splitlines()
    assert sentence == ("Conflict 1: 'Ada Byron' contradicts 'Ada': 'Lives in Paris' here, 'Lives in London' there.")
    assert "`enhanced-memory conflicts`" in way_out
    assert "`enhanced-memory conflicts resolve 1 --strategy ...`" in way_out
    told = run("add", "Ada B", "person", "Likes tea", "Lives in London")
    assert told.err.startswith("Conflict 2: 'Ada B' repeats 'Ada': both say '")
    assert "conflicts" in run("add", "Ada C", "person", "Likes tea", "--json").json["results"][0]


def test_many_conflicts_are_counted_and_a_look_that_was_cut_short_is_told(run: Run, stand_in: StandIn) -> None:
    one = {"conflict_type": "duplicate", "existing_entity": "x", "evidence": []}
    written = {"name": "o'Neil", "action": "created", "version": 1}
    reply = {"success": True, "results": [{**written, "conflicts": [one] * 7}], "conflicts_checked": False}
    stand_in.answer = lambda _method, _params: reply
    lines = run("add", "o'Neil", "person").err.splitlines()
    assert lines[:5] == ["\"o'Neil\" repeats 'x'."] * 5
    assert lines[5] == "There are 2 more conflicts."
    command = lines[7].split("`")[1]
    assert shlex.split(command) == ["enhanced-memory", "call", "detect_conflicts", "entity_name=o'Neil"]


def test_a_hint_names_commands_where_there_are_commands() -> None:
    hint = "search_nodes finds the right name; create_entities makes a new one"
    assert in_commands(hint) == ("`enhanced-memory search` finds the right name; `enhanced-memory add` makes a new one")
    assert in_commands("list_running tells how far it is") == "`enhanced-memory call list_running` tells how far it is"
    assert in_commands("it was renamed to 'search_nodes'") == "it was renamed to 'search_nodes'"
    assert in_commands("did you mean memory_diff? `describe` lists every operation") == (
        "did you mean memory_diff? `enhanced-memory operations` lists every operation"
    )
    assert in_commands(None) is None


def test_every_operation_and_command_that_hints_are_put_into_is_there() -> None:
    for operation, command in COMMANDS.items():
        assert command.split()[0] in PROGRAM
        assert operation.strip("`").split()[0] in operations()


@pytest.mark.process
def test_a_failure_speaks_of_commands_to_people_and_of_operations_to_programs(run: Run, daemon: Daemon) -> None:
    missing = run("history", "Nobody")
    assert missing.err.splitlines()[1] == "Hint: `enhanced-memory search` finds names"
    assert run("history", "Nobody", "--json").json["hint"] == "search_nodes finds names"


@pytest.mark.process
def test_a_name_that_is_nearly_one_that_is_there_is_told(run: Run, daemon: Daemon) -> None:
    run("add", "Nobody", "person")
    run("add", "nimble", "person")
    assert run("open", "Nobdy").err == "Nothing is remembered under 'Nobdy'. Did you mean 'Nobody'?\n"
    assert run("open", "Zoe").err == "Nothing is remembered under 'Zoe'.\n"
    assert meant("CODX", ["codex", "all"]) == " Did you mean 'codex'?"


@pytest.mark.process
def test_where_nothing_is_found_an_unknown_namespace_is_told(run: Run, daemon: Daemon) -> None:
    run("--namespace", "work", "add", "Ada", "person", "likes tea")
    expected = "There is no namespace 'wrok' yet. Those that are there: work. Did you mean 'work'?"
    for command in (("search", "tea"), ("open", "Ada"), ("status",), ("changes",), ("conflicts",)):
        assert run("--namespace", "wrok", *command).err.splitlines()[-1] == expected
    assert "namespace" not in run("--namespace", "work", "search", "chess").err
    assert run("--namespace", "wrok", "search", "tea", "--json").err == ""


@pytest.mark.process
def test_what_was_read_otherwise_than_it_looks_is_told(run: Run, daemon: Daemon) -> None:
    run("add", "Ada", "person", "likes tea")
    run("add", "Bob", "person", "likes coffee")
    told = run("search", "likes tier:gold since:foo")
    assert len(told.out.splitlines()) == 2
    assert "tier:gold, since:foo" in told.err
    assert "working, episodic, semantic or procedural" in told.err
    assert "notice" not in run("search", "likes tier:working since:7d", "--json").json
    assert run("search", "--", "-tea").out.splitlines()[0].split("\t")[1] == "Bob"
    assert len(run("search", "--", "-tea").out.splitlines()) == 1
    month = "Note: --since 1m was taken for 1 month of 30 days; 1min is in minutes.\n"
    assert run("changes", "--since", "1m").err == month
    assert run("search", "--since", "1m", "tea").err == month
    assert run("changes", "--since", "5min").err == ""


@pytest.mark.process
def test_changes_have_authors_come_newest_first_if_asked_and_give_a_cursor_to_copy(run: Run, daemon: Daemon) -> None:
    for name in ("Ada", "Bob", "Cid"):
        run("add", name, "person")
    first = run("changes", "--limit", "1")
    assert first.out.rstrip("\n").split("\t")[1:] == ["created", "Ada", "1", "", "enhanced-memory"]
    words = shlex.split(first.err)
    rest = run("changes", "--cursor", words[words.index("--cursor") + 1])
    assert [line.split("\t")[2] for line in rest.out.splitlines()] == ["Bob", "Cid"]
    newest = run("changes", "--newest", "--limit", "2")
    assert [line.split("\t")[2] for line in newest.out.splitlines()] == ["Cid", "Bob"]
    assert newest.err == ""
    assert run("changes", "--newest", "--cursor", "x").status == 2


@pytest.mark.process
def test_a_decision_is_told_in_sentences_at_a_terminal(run: Run, daemon: Daemon) -> None:
    run("add", "Ada", "person", "Lives in London")
    run("add", "Ada Byron", "person", "Lives in Paris")
    _, left = at_terminal("conflicts", "resolve", "1")
    assert left.splitlines()[0] == "Conflict 1: left open, since nobody but you can tell which is right."
    _, tried = at_terminal("conflicts", "resolve", "1", "--strategy", "merge", "--dry-run")
    assert tried.splitlines()[-1] == "Nothing was changed: the same without --dry-run does it."
    _, done = at_terminal("conflicts", "resolve", "1", "--strategy", "merge")
    assert done.splitlines() == [
        "Conflict 1: 'Ada Byron' is merged into 'Ada'.",
        "'Ada' gets: Lives in Paris",
        "'Ada Byron' leaves all reads; its history stays.",
        "`enhanced-memory conflicts reopen 1` undoes it.",
    ]
    _, back = at_terminal("conflicts", "reopen", "1")
    assert back == "Conflict 1 is open again (merge undone): 'Ada' and 'Ada Byron' stand as before.\n"
    for strategy, said in (
        ("update", "Conflict 1: 'Ada Byron' counts fully, 'Ada' less."),
        ("branch", "Conflict 1: what 'Ada Byron' says is branch"),
        ("ignore", "Conflict 1: both may stand."),
    ):
        assert at_terminal("conflicts", "resolve", "1", "--strategy", strategy)[1].startswith(said)
        assert at_terminal("conflicts", "reopen", "1")[0] == 0
    assert at_terminal("delete", "Ada", "--observation", "Lives in London")[1] == "Ada: removed 'Lives in London'\n"
    assert at_terminal("delete", "Ada")[1] == "Ada: deleted\n"


def test_setup_speaks_in_sentences_at_a_terminal_and_names_what_may_be_meant(run: Run, home: Path) -> None:
    path = home / "mcp.json"
    given = ("setup", "cursor", "--file", str(path))
    assert at_terminal(*given)[1].splitlines()[0] == f"{path}: enhanced-memory was added"
    assert at_terminal(*given)[1].splitlines()[0] == f"{path}: enhanced-memory is there already, nothing was changed"
    assert at_terminal(*given, "--remove")[1].splitlines()[0] == f"{path}: enhanced-memory was taken out"
    assert run("setup", "codx").err.rstrip().endswith("Did you mean 'codex'?")


@pytest.mark.process
def test_what_failing_code_had_printed_is_printed(run: Run, daemon: Daemon, tmp_path: Path) -> None:
    failing = tmp_path / "failing.py"
    failing.write_text("print('one')\nprint('two')\n1 / 0\n")
    ended = run("run", str(failing))
    assert (ended.status, ended.out) == (1, "one\ntwo\n")
    assert ended.err == "Error: line 3: ZeroDivisionError: division by zero\n"
    run("skills", "save", "failing", str(failing), "-d", "fails")
    assert run("skills", "run", "failing").out == "one\ntwo\n"
    assert run("run", str(failing), "--json").json["details"]["stdout"] == "one\ntwo\n"


@pytest.mark.process
def test_a_restore_while_the_daemon_runs_names_the_command_that_stops_it(run: Run, daemon: Daemon) -> None:
    run("add", "Ada", "person")
    path = run("backup", "--json").json["path"]
    refused = run("restore", path, "--db", str(daemon.db))
    assert refused.status != 0
    assert "`enhanced-memory stop`" in refused.err


@pytest.mark.process
def test_undoing_the_last_curation_where_none_moved_anything_says_so(run: Run, daemon: Daemon) -> None:
    run("curate", "--apply")
    ended = run("curate", "--undo", "last")
    assert ended.status == 1
    assert ended.err.startswith("Error: there is nothing to put back: no curation has moved a memory")
