"""The command that curates: it shows before it does, and what it did can be put back."""

from __future__ import annotations

import os
import signal
import sqlite3
from pathlib import Path

import pytest

from tests.cli.conftest import Run, StandIn, at_terminal
from tests.conftest import Daemon, StartDaemon

MOVE = {
    "name": "notes\tof May",
    "from": "working",
    "to": "episodic",
    "reason": "40 days old, never read",
    "action": "moved",
}
PLAN = {
    "success": True,
    "promoted_to_episodic": 1,
    "promoted_to_semantic": 0,
    "promoted_to_procedural": 0,
    "decayed": 2,
    "moves": [MOVE],
    "moves_total": 3,
    "dry_run": True,
    "namespace": "default",
    "run_id": None,
}


@pytest.fixture
def daemon(start_daemon: StartDaemon) -> Daemon:
    """A daemon at the socket of the environment, with an old memory and three episodes that share something."""
    place = {"socket_path": Path(os.environ["MEMORY_DB_SOCKET"])}
    started = start_daemon(**place)
    entities = [{"name": "old", "entityType": "t", "observations": ["x"]}]
    entities += [{"name": n, "entityType": "t", "observations": ["shared", n], "tier": "episodic"} for n in "abc"]
    started.ask("create_entities", {"entities": entities})
    assert started.end(signal.SIGTERM) == 0
    with sqlite3.connect(started.db) as db:
        db.execute("UPDATE entities SET created_at = '2020-01-01T00:00:00.000000Z'")
    db.close()
    return start_daemon(**place)


@pytest.mark.process
def test_curate_shows_what_it_would_do_does_it_when_told_to_and_puts_it_back(run: Run, daemon: Daemon) -> None:
    plan = ["moved\told\tworking\tepisodic", "made\tt: shared\tepisodic\tsemantic"]
    shown = run("curate")
    assert (shown.status, [line.rsplit("\t", 1)[0] for line in shown.out.splitlines()]) == (0, plan)
    assert "Nothing was changed" in shown.err
    assert run("--json", "status").json["by_tier"]["semantic"] == 0
    done = run("curate", "--apply")
    assert done.out == shown.out
    assert "Done: 1 to episodic, 1 to semantic, 0 to procedural." in done.err
    assert run("--json", "status").json["by_tier"]["semantic"] == 1
    assert run("curate").out == ""
    again = run("curate", "--apply").err
    assert "Every memory is in the tier it belongs to." in again
    assert "Done" not in again
    undone = run("curate", "--undo", "last")
    assert undone.out == "restored\t1\ndeleted\t1\nreverted\t0\n"
    by_tier = run("--json", "status").json["by_tier"]
    assert (by_tier["working"], by_tier["episodic"], by_tier["semantic"]) == (1, 3, 0)
    assert run("curate", "--undo", "last").status == 1


@pytest.mark.process
def test_as_json_it_answers_with_one_reply(run: Run, daemon: Daemon) -> None:
    assert run("curate", "--json").json["dry_run"] is True
    run_id = run("curate", "--json", "--apply").json["run_id"]
    assert run("curate", "--json", "--undo", run_id).json["undone"] is True
    assert run("curate", "--undo", run_id).err == f"{run_id} was put back before; nothing was changed.\n"


def test_at_a_terminal_the_moves_are_a_table_that_nobody_elses_words_can_break(stand_in: StandIn) -> None:
    stand_in.answer = lambda method, params: PLAN
    status, shown = at_terminal("curate")
    assert status == 0
    assert "Memory" in shown
    assert "notes\\tof May" in shown
    assert "… and 2 more." in shown
    assert stand_in.asked("autonomous_curation") == [{"dry_run": True}]


def test_undoing_tells_what_was_left_alone(run: Run, stand_in: StandIn) -> None:
    stand_in.answer = lambda method, params: {
        "success": True,
        "run_id": "r",
        "undone": True,
        "restored": 4,
        "deleted": 0,
        "reverted": 0,
        "skipped": [{"name": "a\tb", "reason": "it was moved since"}],
        "skipped_total": 1,
    }
    told = run("curate", "--undo", "r")
    assert told.out.splitlines()[-1] == "skipped\ta\\tb\tit was moved since"
    assert "1 were left alone" in told.err


def test_undo_and_apply_do_not_go_together(run: Run) -> None:
    assert run("curate", "--apply", "--undo", "last").status == 2
