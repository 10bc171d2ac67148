"""The commands about what is remembered, over a real daemon, and what they show to people and to pipes."""

from __future__ import annotations

import os
from pathlib import Path

import psutil
import pytest

from tests.cli.conftest import Run, StandIn, at_terminal
from tests.conftest import PATIENCE_S, Daemon, StartDaemon

RESULT = {
    "id": 7,
    "name": "Ada",
    "type": "person",
    "observations": ["lives in London", "writes\tprograms", "rides a horse"],
    "score": 1.5,
    "matches": [{"index": 2, "score": 1.0}, {"index": 1, "score": 0.5}],
}
FOUND = {
    "success": True,
    "query": "x",
    "count": 1,
    "results": [RESULT],
    "relations": [],
    "more": True,
    "mode": "lexical",
}


@pytest.fixture
def daemon(start_daemon: StartDaemon) -> Daemon:
    """A daemon at the socket of the environment."""
    return start_daemon(socket_path=Path(os.environ["MEMORY_DB_SOCKET"]))


@pytest.mark.process
def test_what_is_added_is_found_and_opened(run: Run, daemon: Daemon) -> None:
    assert run("add", "Ada", "person", "lives in London", "--tier", "semantic").out == "created\tAda\t1\n"
    assert (
        run("add", "Ada", "person", "-", "rides a horse", stdin=b"plays chess\n\n  sings \n").out == "updated\tAda\t2\n"
    )
    assert run("add", "Ada", "person", "sings").out == "unchanged\tAda\t2\n"
    rank, name, kind, _score, *said = run("search", "who", "rides").out.rstrip("\n").split("\t")
    assert (rank, name, kind, said) == ("1", "Ada", "person", ["rides a horse"])
    assert run("open", "Ada").out.splitlines() == [
        "entity\tAda\tperson\tsemantic\t2",
        "observation\tAda\tlives in London",
        "observation\tAda\tplays chess",
        "observation\tAda\tsings",
        "observation\tAda\trides a horse",
    ]


@pytest.mark.process
def test_replace_makes_the_list_the_new_content(run: Run, daemon: Daemon) -> None:
    run("add", "Ada", "person", "lives in London")
    run("add", "Ada", "person", "--replace", "lives in Paris")
    assert run("open", "Ada", "--json").json["entities"][0]["observations"] == ["lives in Paris"]
    assert run("add", "Ada", "person", "--on-existing", "error").err.startswith("Error: ")


@pytest.mark.process
def test_a_pinned_entity_is_counted_by_the_status(run: Run, daemon: Daemon) -> None:
    run("add", "Ada", "person", "--pin")
    lines = run("status").out.splitlines()
    assert "total_entities\t1" in lines
    assert "by_type.person\t1" in lines
    assert "always_include_count\t1" in lines
    assert run("--json", "status").json["always_include_count"] == 1


@pytest.mark.process
def test_a_name_that_is_not_there_ends_open_with_status_1(run: Run, daemon: Daemon) -> None:
    run("add", "Ada", "person")
    ended = run("open", "Ada", "Babbage")
    assert ended.status == 1
    assert ended.out == "entity\tAda\tperson\tworking\t1\n"
    assert ended.err == "Nothing is remembered under 'Babbage'.\n"


@pytest.mark.process
def test_namespaces_are_separate_memories(run: Run, daemon: Daemon) -> None:
    run("add", "Ada", "person", "--namespace", "work")
    assert run("open", "Ada").status == 1
    assert run("--namespace", "work", "open", "Ada").status == 0


@pytest.mark.process
def test_the_daemon_is_started_when_nobody_answers(run: Run) -> None:
    daemon = psutil.Process(run("call", "ping").json["pid"])
    assert daemon.cmdline()[1].endswith("memory_db_service.py")
    daemon.kill()
    daemon.wait(PATIENCE_S)


def test_a_search_asks_only_for_what_was_given(run: Run, stand_in: StandIn) -> None:
    stand_in.answer = lambda _method, _params: FOUND
    run("search", "where", "is", "Ada")
    run("search", "Ada", "--limit", "3", "--type", "person", "--tier", "semantic", "--mode", "lexical", "--offset", "2")
    run("search", "--since", "7d", "--until", "2d", "--min-relevance", "0.5", "--", "Ada", "-Paris")
    assert stand_in.asked("search_nodes") == [
        {"query": "where is Ada"},
        {"query": "Ada", "limit": 3, "offset": 2, "entity_type": "person", "tier": "semantic", "mode": "lexical"},
        {"query": "Ada -Paris", "since": "7d", "until": "2d", "min_relevance": 0.5},
    ]


def test_a_pipe_gets_a_line_a_result_with_what_matched_best_first(run: Run, stand_in: StandIn) -> None:
    stand_in.answer = lambda _method, _params: FOUND
    ended = run("search", "x", "--offset", "4")
    assert ended.out == "5\tAda\tperson\t1.5000\trides a horse\twrites\\tprograms\n"
    assert ended.err == "1 shown, and there are more: --offset 5 gives the next.\n"


def test_a_result_found_by_its_name_shows_its_first_observations(run: Run, stand_in: StandIn) -> None:
    by_name = {**RESULT, "observations": ["a", "b", "c", "d"], "matches": []}
    stand_in.answer = lambda _method, _params: {**FOUND, "results": [by_name]}
    assert run("search", "Ada").out == "1\tAda\tperson\t1.5000\ta\tb\tc\n"


def test_only_what_matched_is_shown_as_it_comes(run: Run, stand_in: StandIn) -> None:
    matched = {**RESULT, "observations": ["rides a horse"], "matches": [{"index": 2, "score": 1.0}]}
    stand_in.answer = lambda _method, _params: {**FOUND, "results": [matched]}
    assert run("search", "x", "--detail", "matched").out == "1\tAda\tperson\t1.5000\trides a horse\n"


def test_names_alone_are_a_line_each(run: Run, stand_in: StandIn) -> None:
    stand_in.answer = lambda _method, _params: {**FOUND, "results": [{"id": 7, "name": "Ada", "score": 1}]}
    assert run("search", "x", "--detail", "names").out == "1\tAda\t\t1.0000\n"


def test_a_damaged_result_says_so(run: Run, stand_in: StandIn) -> None:
    damaged = {**RESULT, "observations": [], "matches": [], "error": "fails its checksum", "code": "corrupt"}
    stand_in.answer = lambda _method, _params: {**FOUND, "results": [damaged]}
    assert run("search", "x").out == "1\tAda\tperson\t1.5000\tfails its checksum\n"


def test_a_search_without_results_says_so_and_is_no_failure(run: Run, stand_in: StandIn) -> None:
    stand_in.answer = lambda _method, _params: {**FOUND, "results": [], "more": False}
    ended = run("search", "x")
    assert (ended.status, ended.out, ended.err) == (0, "", "Nothing found.\n")


@pytest.mark.process
def test_people_at_a_terminal_get_a_table(stand_in: StandIn) -> None:
    stand_in.answer = lambda _method, _params: FOUND
    status, shown = at_terminal("search", "x")
    assert status == 0
    lines = [line.split() for line in shown.splitlines() if line.strip()]
    assert lines[0] == ["#", "Name", "Type", "Observations", "Score"]
    assert lines[2:4] == [["1", "Ada", "person", "rides", "a", "horse", "1.50"], ["writes\\tprograms"]]
    assert lines[4][:2] == ["1", "shown,"]


@pytest.mark.process
def test_people_see_an_entity_with_its_relations(run: Run, daemon: Daemon) -> None:
    run("add", "Ada", "person", "line one\nline two")
    run("add", "Analytical Engine", "machine")
    run(
        "call",
        "create_relations",
        '{"relations": [{"from": "Ada", "relationType": "programs", "to": "Analytical Engine"}]}',
    )
    status, shown = at_terminal("open", "Ada")
    assert status == 0
    assert [line.rstrip() for line in shown.splitlines()] == [
        "Ada  person, working, version 1",
        " • line one",
        "   line two",
        " → programs Analytical Engine",
    ]


@pytest.mark.process
def test_the_status_is_a_table_for_people(run: Run, daemon: Daemon) -> None:
    run("add", "Ada", "person", "lives in London")
    status, shown = at_terminal("status")
    rows = [line.split() for line in shown.splitlines()]
    assert status == 0
    assert ["Entities", "1"] in rows
    assert ["person", "1"] in rows
