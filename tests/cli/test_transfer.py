"""Import and export: what goes in comes out again, bad lines are told by number, and nothing is left half done."""

from __future__ import annotations

import itertools
import json
import os
import stat
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Run, StandIn, at_terminal, entity, relation, write_lines
from tests.conftest import Daemon, StartDaemon

TWO_AT_ONCE = '{"type":"relation","from":"x"}{"type":"relation","from":"y"}'
CUT_SHORT = '{"type":"entity","name":"half'
SAMPLE = (
    relation("Ada", "knows", "Babbage"),
    entity("Ada", "lives in London", "writes programs"),
    CUT_SHORT,
    "",
    entity("Babbage"),
    TWO_AT_ONCE,
    relation("Babbage", "knows", "Ada"),
    relation("Ada", "knows", "nobody"),
)


@pytest.fixture
def daemon(start_daemon: StartDaemon) -> Daemon:
    """A daemon at the socket of the environment."""
    return start_daemon(socket_path=Path(os.environ["MEMORY_DB_SOCKET"]))


def graph(text: str) -> tuple[dict[str, Any], set[tuple[str, str, str]]]:
    """The entities and relations in the lines of a file."""
    items = [json.loads(line) for line in text.rstrip("\n").split("\n")]
    entities = {item["name"]: (item["entityType"], item["observations"]) for item in items if item["type"] == "entity"}
    relations = {(item["from"], item["relationType"], item["to"]) for item in items if item["type"] == "relation"}
    assert len(entities) + len(relations) == len(items)
    return entities, relations


@pytest.mark.process
def test_bad_lines_are_told_by_number_and_the_others_go_in(run: Run, daemon: Daemon, tmp_path: Path) -> None:
    ended = run("import", str(write_lines(tmp_path / "memory.jsonl", *SAMPLE)))
    assert (ended.status, ended.err) == (0, "")
    summary, *told = ended.out.splitlines()
    assert summary == "2 entities created, 2 relations; 3 skipped:"
    assert [line.partition(":")[0] for line in told] == ["line 3", "line 6", "line 8"]
    assert "nobody" in told[2]


@pytest.mark.process
def test_what_was_imported_is_exported_as_the_same_graph(run: Run, daemon: Daemon, tmp_path: Path) -> None:
    names = [f"entity {number}" for number in range(1_200)]
    entities = [entity(name, f"is {name}", "line one\nline two\u2028three", "ünïcödé 🐘") for name in names]
    relations = [relation(name, "follows", before) for before, name in itertools.pairwise(names)]
    source = write_lines(tmp_path / "in.jsonl", *relations, *entities)
    assert run("import", str(source)).out == "1,200 entities created, 1,199 relations\n"
    target = tmp_path / "out.jsonl"
    assert run("export", str(target)).out == "1,200 entities, 1,199 relations\n"
    assert graph(target.read_text()) == graph(source.read_text())
    piped = run("export", "-")
    assert piped.out == target.read_text()
    assert piped.err == "1,200 entities, 1,199 relations\n"


@pytest.mark.process
def test_a_full_export_carries_history_which_an_import_leaves_out(run: Run, daemon: Daemon, tmp_path: Path) -> None:
    for text in ("one", "two"):
        run("add", "Ada", "person", text)
    run("add", "Bob", "person")
    target = tmp_path / "all.jsonl"
    assert run("export", "--history", str(target)).out == "2 entities, 0 relations, 3 versions\n"
    versions = [item for line in target.read_text().splitlines() if (item := json.loads(line))["type"] == "version"]
    assert [(item["entity"], item["version"], item["added"]) for item in versions] == [
        ("Ada", 2, ["two"]),
        ("Ada", 1, ["one"]),
        ("Bob", 1, []),
    ]
    assert {"branch": "main", "parent": 1, "action": "updated", "removed": []}.items() <= versions[0].items()
    expected = "0 entities created, 0 relations, 2 unchanged, 3 versions of the history left out\n"
    assert run("import", str(target)).out == expected
    assert run("import", "--dry-run", str(target)).out == expected


@pytest.mark.process
def test_importing_a_file_again_changes_nothing(run: Run, daemon: Daemon, tmp_path: Path) -> None:
    source = write_lines(tmp_path / "memory.jsonl", entity("Ada", "x"), entity("Bob"), relation("Ada", "knows", "Bob"))
    run("import", str(source))
    assert run("import", str(source)).out == "0 entities created, 0 relations, 3 unchanged\n"
    assert run("status", "--json").json["versioning"]["total_versions"] == 2


@pytest.mark.process
def test_an_import_may_replace_what_is_there(run: Run, daemon: Daemon, tmp_path: Path) -> None:
    run("add", "Ada", "person", "old")
    run("import", "--on-existing", "replace", str(write_lines(tmp_path / "memory.jsonl", entity("Ada", "new"))))
    assert run("open", "Ada", "--json").json["entities"][0]["observations"] == ["new"]


@pytest.mark.process
def test_an_import_reads_standard_input(run: Run, daemon: Daemon) -> None:
    ended = run("import", "-", stdin=json.dumps(entity("Ada")).encode())
    assert ended.out == "1 entity created, 0 relations\n"


NOTHING_ELSE: dict[str, Any] = {"relations": 0, "unchanged": 0, "errors": []}


def taking(reply_to: dict[int, dict[str, Any]] | None = None, most_bytes: int = 1 << 30) -> Any:
    """An answer that takes every line of an import as an entity, except as `reply_to` says for a line's number."""

    def answer(_method: str, params: dict[str, Any]) -> dict[str, Any]:
        if sum(len(line["text"]) for line in params["lines"]) > most_bytes:
            return {"success": False, "error": "the request is too large", "code": "too_large"}
        for line in params["lines"]:
            if reply_to and line["line"] in reply_to:
                return reply_to[line["line"]]
        return {"success": True, "created": len(params["lines"]), "updated": 0, **NOTHING_ELSE}

    return answer


def sent(stand_in: StandIn) -> list[list[int]]:
    """The line numbers of each request of an import."""
    return [[line["line"] for line in params["lines"]] for params in stand_in.asked("import_graph")]


def test_relations_are_sent_after_all_entities_with_their_numbers(run: Run, stand_in: StandIn, tmp_path: Path) -> None:
    stand_in.answer = taking()
    run("import", str(write_lines(tmp_path / "memory.jsonl", *SAMPLE)))
    assert sent(stand_in) == [[2, 3, 5, 6], [1, 7, 8]]
    texts = [line["text"] for params in stand_in.asked("import_graph") for line in params["lines"]]
    assert texts == [SAMPLE[i] if isinstance(SAMPLE[i], str) else json.dumps(SAMPLE[i]) for i in (1, 2, 4, 5, 0, 6, 7)]


def test_a_slice_holds_250_lines_at_most(run: Run, stand_in: StandIn, tmp_path: Path) -> None:
    stand_in.answer = taking()
    run("import", str(write_lines(tmp_path / "memory.jsonl", *(entity(f"e{number}") for number in range(501)))))
    assert [len(numbers) for numbers in sent(stand_in)] == [250, 250, 1]


def test_a_slice_stays_far_below_the_largest_request(
    run: Run, stand_in: StandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MEMORY_MAX_REQUEST_BYTES", "4000")
    stand_in.answer = taking()
    run("import", str(write_lines(tmp_path / "memory.jsonl", *["x" * 300] * 7)))
    assert sent(stand_in) == [[1, 2, 3], [4, 5, 6], [7]]


def test_a_slice_that_is_too_large_is_halved_down_to_the_line_to_blame(
    run: Run, stand_in: StandIn, tmp_path: Path
) -> None:
    stand_in.answer = taking(most_bytes=100)
    ended = run("import", str(write_lines(tmp_path / "memory.jsonl", "a" * 40, "b" * 101, "c" * 40, "d" * 40)))
    assert ended.out == "3 entities created, 0 relations; 1 skipped:\nline 2: the request is too large\n"
    assert sent(stand_in) == [[1, 2, 3, 4], [1, 2], [1], [2], [3, 4]]


def test_a_slice_that_takes_too_long_is_halved_and_one_line_that_does_ends_the_import(
    run: Run, stand_in: StandIn, tmp_path: Path
) -> None:
    stand_in.answer = taking({3: {"success": False, "error": "it took too long", "code": "timeout"}})
    ended = run("import", str(write_lines(tmp_path / "memory.jsonl", "a", "b", "c", "d")))
    assert ended.status == 1
    assert ended.err.startswith(
        "Error: the import stopped at line 3: it took too long\nHint: in so far: 2 entities created,"
    )
    assert sent(stand_in) == [[1, 2, 3, 4], [1, 2], [3, 4], [3]]


def test_a_line_longer_than_a_request_is_passed_over_and_told(
    run: Run, stand_in: StandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MEMORY_MAX_REQUEST_BYTES", "1024")
    stand_in.answer = taking()
    ended = run("import", str(write_lines(tmp_path / "memory.jsonl", "a", "b" * 5_000, "c", "d" * 1_023, "e" * 1_024)))
    assert ended.out.splitlines()[0] == "3 entities created, 0 relations; 2 skipped:"
    assert [line[:7] for line in ended.out.splitlines()[1:]] == ["line 2:", "line 5:"]
    assert sent(stand_in) == [[1, 3], [4]]


def test_lines_end_at_line_feeds_alone(run: Run, stand_in: StandIn, tmp_path: Path) -> None:
    stand_in.answer = taking()
    (tmp_path / "memory.jsonl").write_bytes(b"\xef\xbb\xbffirst\r\n\r\nth\x0bi\xe2\x80\xa8rd\n\xff\xfe\nfifth")
    ended = run("import", str(tmp_path / "memory.jsonl"))
    lines = stand_in.asked("import_graph")[0]["lines"]
    assert [(line["line"], line["text"]) for line in lines] == [(1, "first"), (3, "th\x0bi\u2028rd"), (5, "fifth")]
    assert ended.out.splitlines()[1:] == ["line 4: is not UTF-8"]


def test_a_file_without_one_good_line_ends_with_status_1(run: Run, stand_in: StandIn, tmp_path: Path) -> None:
    errors = [{"line": 1, "error": "no JSON"}]
    stand_in.answer = lambda _method, _params: {
        "success": True,
        "created": 0,
        "updated": 0,
        **NOTHING_ELSE,
        "errors": errors,
    }
    source = write_lines(tmp_path / "memory.jsonl", "nonsense")
    ended = run("import", str(source))
    assert (ended.status, ended.out) == (1, "")
    told, error, hint = ended.err.splitlines()
    assert (told, error) == ("line 1: no JSON", f"Error: no line of {source} could be read as jsonl")
    assert hint.startswith("Hint: ")
    as_json = run("import", str(source), "--json")
    assert (as_json.status, as_json.err) == (1, "")
    assert as_json.json["success"] is False
    assert as_json.json["errors"] == [{"place": "line 1", **errors[0]}]


def test_an_empty_file_is_imported_without_a_request(run: Run, stand_in: StandIn, tmp_path: Path) -> None:
    ended = run("import", str(write_lines(tmp_path / "memory.jsonl")))
    assert (ended.status, ended.out) == (0, "0 entities created, 0 relations\n")
    assert stand_in.requests == []


def test_a_summary_as_json_holds_every_bad_line(run: Run, stand_in: StandIn, tmp_path: Path) -> None:
    errors = [{"line": number, "error": "no JSON"} for number in range(200, 0, -1)]
    stand_in.answer = lambda _method, _params: {
        "success": True,
        "created": 1,
        "updated": 4,
        "relations": 2,
        "unchanged": 3,
        "errors": errors,
    }
    source = str(write_lines(tmp_path / "memory.jsonl", *(["x"] * 200)))
    assert run("import", source, "--json").json == {
        "success": True,
        "format": "jsonl",
        "conversations": 0,
        "entities": 5,
        "created": 1,
        "updated": 4,
        "relations": 2,
        "unchanged": 3,
        "skipped": 200,
        "secrets": 0,
        "history_left_out": 0,
        "errors": [{"place": f"line {error['line']}", **error} for error in errors[::-1]],
        "dry_run": False,
    }
    told = run("import", source).out.splitlines()
    assert (told[1], told[100], told[101:]) == (
        "line 1: no JSON",
        "line 100: no JSON",
        ["and 100 more; --json gives them all"],
    )


def test_an_import_that_cannot_go_on_says_how_far_it_came(run: Run, stand_in: StandIn, tmp_path: Path) -> None:
    stand_in.answer = taking({251: {"success": False, "error": "the disk is full", "code": "disk_full"}})
    ended = run("import", str(write_lines(tmp_path / "memory.jsonl", *(entity(f"e{n}") for n in range(300)))))
    assert ended.status == 1
    assert ended.err.splitlines() == [
        "Error: the import stopped at line 251: the disk is full",
        "Hint: in so far: 250 entities created, 0 relations; import the same again, nothing goes in twice",
    ]


PAGES: dict[str | None, dict[str, Any]] = {
    None: {"success": True, "lines": ["one", "zwö"], "next_cursor": "e2", "entities": 2, "relations": 0, "versions": 0},
    "e2": {"success": True, "lines": [], "next_cursor": "r0", "entities": 0, "relations": 0, "versions": 0},
    "r0": {"success": True, "lines": ["three"], "next_cursor": None, "entities": 0, "relations": 1, "versions": 0},
}


def test_an_export_follows_the_pages_to_the_end(run: Run, stand_in: StandIn, tmp_path: Path) -> None:
    stand_in.answer = lambda _method, params: PAGES[params.get("cursor")]
    target = tmp_path / "memory.jsonl"
    ended = run("export", str(target), "--json")
    assert ended.json == {"success": True, "entities": 2, "relations": 1, "versions": 0, "file": str(target)}
    assert target.read_text() == "one\nzwö\nthree\n"
    assert stat.S_IMODE(target.stat().st_mode) == 0o600


def test_a_file_is_replaced_through_a_link_only_when_the_export_is_whole(
    run: Run, stand_in: StandIn, tmp_path: Path
) -> None:
    target, link = tmp_path / "memory.jsonl", tmp_path / "link"
    target.write_text("before")
    link.symlink_to(target)
    failure = {"success": False, "error": "it is damaged", "code": "corrupt"}
    stand_in.answer = lambda _method, params: failure if params.get("cursor") == "r0" else PAGES[params.get("cursor")]
    ended = run("export", str(link))
    assert (ended.status, ended.err) == (1, "Error: it is damaged\n")
    assert target.read_text() == "before"
    stand_in.answer = lambda _method, params: PAGES[params.get("cursor")]
    assert run("export", str(link)).status == 0
    assert target.read_text() == "one\nzwö\nthree\n"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["link", "memory.jsonl"]


def test_an_export_to_a_device_writes_to_it_as_it_is(run: Run, stand_in: StandIn) -> None:
    stand_in.answer = lambda _method, params: PAGES[params.get("cursor")]
    assert run("export", "/dev/null").out == "2 entities, 1 relation\n"
    assert stat.S_ISCHR(os.stat("/dev/null").st_mode)


def test_a_folder_that_is_not_there_is_named(run: Run, stand_in: StandIn, tmp_path: Path) -> None:
    target = tmp_path / "nowhere" / "memory.jsonl"
    ended = run("export", str(target))
    assert (ended.status, ended.err) == (1, f"Error: {target}: No such file or directory\n")


@pytest.mark.process
def test_people_see_a_bar_and_programs_do_not(stand_in: StandIn, tmp_path: Path, run: Run) -> None:
    stand_in.answer = taking()
    source = str(write_lines(tmp_path / "memory.jsonl", entity("Ada")))
    status, shown = at_terminal("import", source, kind="xterm")
    assert status == 0
    assert "Importing" in shown
    assert run("import", source).err == ""
