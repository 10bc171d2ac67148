"""The commands backup, restore and verify: what they ask, print and end with."""

from __future__ import annotations

import os
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from enhanced_memory.cli.session import EXIT_UNAVAILABLE
from enhanced_memory.service.dispatcher import MemoryDBService
from enhanced_memory.settings import Settings
from tests.cli.conftest import Run, StandIn

MADE = {"success": True, "path": "/b/m.db.gz", "bytes": 1234, "sha256": "0" * 64, "entities": 2, "problems": 0}


def answering(stand_in: StandIn, **replies: dict[str, Any]) -> None:
    stand_in.answer = lambda method, _params: replies.get(method, {"success": True})


def test_backup_asks_the_daemon_that_runs_and_tells_what_was_made(run: Run, stand_in: StandIn) -> None:
    answering(stand_in, backup=MADE)
    ended = run("backup")
    assert (ended.status, ended.out, ended.err) == (0, "/b/m.db.gz: 2 memories, 1,234 bytes\n", "")
    assert stand_in.asked("backup") == [{"path": None}] or stand_in.asked("backup") == [{}]


def test_backup_sends_the_path_as_the_caller_sees_it(
    run: Run, stand_in: StandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answering(stand_in, backup=MADE)
    monkeypatch.chdir(tmp_path)
    run("backup", "mine.gz")
    run("backup", "~/mine.gz")
    home = os.environ["HOME"]
    assert [params["path"] for params in stand_in.asked("backup")] == [f"{tmp_path}/mine.gz", f"{home}/mine.gz"]


def test_a_quiet_backup_says_nothing_unless_something_is_wrong(run: Run, stand_in: StandIn) -> None:
    answering(stand_in, backup=MADE)
    ended = run("backup", "--quiet")
    assert (ended.status, ended.out, ended.err) == (0, "", "")
    answering(stand_in, backup={**MADE, "problems": 3})
    ended = run("backup", "--quiet")
    assert (ended.status, ended.out) == (1, "")
    assert "3 things in the database are damaged" in ended.err


def test_backup_answers_in_json(run: Run, stand_in: StandIn) -> None:
    answering(stand_in, backup=MADE)
    assert run("backup", "--json").json == MADE


def test_restore_wants_a_file_or_a_drill(run: Run) -> None:
    assert run("restore").status == 2


VERIFIED = {
    "success": True,
    "ok": False,
    "checked": {"entities": 3, "vectors": 0},
    "problems": [{"kind": "entity", "entity": "Ann\x1b[0m", "detail": "cannot be read"}],
    "problem_counts": {"entity": 51},
    "repaired": {"index_rows": 9},
}


def test_verify_lists_the_problems_and_ends_with_1(run: Run, stand_in: StandIn) -> None:
    answering(stand_in, verify_database=VERIFIED)
    ended = run("verify", "--repair")
    assert ended.status == 1
    assert "entity\tAnn\\x1b[0m\tcannot be read\n" in ended.out
    assert "repaired: 9 index rows\n" in ended.out
    assert "checked 3 entities: there are problems\n" in ended.out
    assert "and 50 more of the kind entity" in ended.err
    assert stand_in.asked("verify_database") == [{"repair": True}]


def test_verify_that_finds_nothing_ends_with_0(run: Run, stand_in: StandIn) -> None:
    whole = {**VERIFIED, "ok": True, "problems": [], "problem_counts": {}, "repaired": {}}
    answering(stand_in, verify_database=whole)
    ended = run("verify")
    assert (ended.status, ended.out) == (0, "checked 3 entities: all is well\n")
    assert run("verify", "--json").json == whole


def test_verify_without_a_daemon_says_so(run: Run) -> None:
    assert run("verify", "--no-autostart").status == EXIT_UNAVAILABLE


@pytest.mark.process
def test_without_a_daemon_backup_restore_and_drill_work_on_the_files_and_start_none(run: Run, home: Path) -> None:
    (home / ".memories").mkdir()
    with closing(MemoryDBService(Settings.load())) as service:
        entity = {"name": "Ann", "entityType": "person", "observations": ["x"]}
        assert service.handle_request({"method": "create_entities", "params": {"entities": [entity]}})["success"]
    made = run("backup", "--json").json
    assert made["entities"] == 1
    drill = run("restore", "--drill", "--json").json
    assert (drill["entities"], drill["live"], drill["path"]) == ({"default": 1}, {"default": 1}, made["path"])
    assert "memories in default\t1 in the backup, 1 now" in run("restore", "--drill").out
    ended = run("restore", made["path"])
    assert ended.out.startswith(f"restored 1 memories from {made['path']}\n")
    Path(made["path"]).write_bytes(b"")
    ended = run("restore", made["path"], "--json")
    assert (ended.status, ended.json["code"]) == (1, "corrupt")
    assert run("restore", "--drill").status == 1
    assert not Path(os.environ["MEMORY_DB_SOCKET"]).exists()
