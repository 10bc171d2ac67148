"""The command doctor: every point is looked at, what is wrong is told with the way out, and nothing is changed."""

from __future__ import annotations

import json
import os
import socket
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from enhanced_memory import __version__
from enhanced_memory.cli import doctor
from enhanced_memory.cli.clients import CLIENTS
from enhanced_memory.cli.session import Session
from tests.cli.conftest import Ended, Run, StandIn, at_terminal
from tests.conftest import StartDaemon


@pytest.fixture(autouse=True)
def quiet_machine(monkeypatch: pytest.MonkeyPatch, home: Path) -> None:
    """No assistant on the path."""
    monkeypatch.setenv("PATH", "/usr/bin:/bin")


def points(ended: Ended) -> dict[str, list[dict[str, str]]]:
    """The findings of a run with --json, by their check."""
    found: dict[str, list[dict[str, str]]] = {}
    for point in ended.json["checks"]:
        found.setdefault(point["check"], []).append(point)
    return found


def state(found: dict[str, list[dict[str, str]]], check: str) -> list[str]:
    return [point["state"] for point in found[check]]


HEALTH: dict[str, Any] = {
    "success": True,
    "reasons": [],
    "integrity": {"status": "ok"},
    "sandbox": {"isolation": "kernel", "layers": {"seccomp": "on"}},
    "last_backup": None,
}


@pytest.fixture
def daemon_says(stand_in: StandIn, home: Path) -> Callable[..., None]:
    """Script a daemon that is well, but for what is given."""
    database = home / ".memories" / "memory.db"
    database.parent.mkdir(mode=0o700)
    database.touch(0o600)
    os.chmod(os.environ["MEMORY_DB_SOCKET"], 0o600)

    def script(pong: dict[str, Any] | None = None, health: str = "healthy", **more: Any) -> None:
        replies = {
            "ping": {"success": True, "pid": 1, "version": __version__, "database": str(database), **(pong or {})},
            "get_system_health": {**HEALTH, "status": health, **more},
            "get_memory_status": {"success": True, "total_entities": 3},
            "search_nodes": {"success": True, "results": []},
        }
        stand_in.answer = lambda method, _params: replies[method]

    script()
    return script


def test_with_the_daemon_down_every_other_point_is_looked_at_and_no_daemon_is_started(run: Run, home: Path) -> None:
    ended = run("doctor", "--json")
    assert ended.status == 1
    assert ended.json["status"] == "warning"
    found = points(ended)
    assert {
        "python",
        "packages",
        "settings",
        "socket",
        "daemon",
        "database",
        "disk",
        "backups",
        "service",
    } <= found.keys()
    assert found["daemon"] == [
        {
            "check": "daemon",
            "state": "warning",
            "says": "does not run; it is started when needed",
            "way_out": "enhanced-memory doctor --start",
        }
    ]
    assert list(home.iterdir()) == []


@pytest.mark.process
def test_a_daemon_that_runs_is_looked_into(run: Run, start_daemon: StartDaemon) -> None:
    daemon = start_daemon(socket_path=Path(os.environ["MEMORY_DB_SOCKET"]))
    ended = run("--db", str(daemon.db), "doctor", "--json")
    found = points(ended)
    for check in ("python", "packages", "settings", "socket", "daemon", "version", "lock", "index", "vectors", "disk"):
        assert state(found, check) == ["ok"], found[check]
    assert found["daemon"][0]["says"] == f"answers (pid {daemon.process.pid})"
    assert str(daemon.db) in found["database"][0]["says"]


@pytest.mark.process
def test_start_starts_the_daemon(run: Run, home: Path) -> None:
    found = points(run("doctor", "--start", "--json"))
    os.kill(int((home / ".memories" / "memory.db.lock").read_text()), 15)
    assert state(found, "daemon") == state(found, "lock") == state(found, "socket") == ["ok"]


def test_all_is_well_gives_status_0(run: Run, daemon_says: Callable[..., None], home: Path) -> None:
    (home / ".memories" / "memory.db.lock").write_text("1\n")
    run("setup", "cursor")
    backups = home / ".memories" / "backups"
    backups.mkdir()
    (backups / "memory.db.gz").touch()
    found = points(run("doctor", "--json"))
    assert state(found, "lock") == ["warning"], "a stand-in holds no lock"
    others = [point for check, listed in found.items() for point in listed if check != "lock"]
    assert [point for point in others if point["state"] != "ok"] == []


def test_packages_that_are_not_as_needed_are_named() -> None:
    missing, old = sorted(doctor.unfit(["click>=99", "no-such-package>=1,<2", "rich>=14,<16"]), reverse=True)
    assert missing == "no-such-package is missing"
    assert old.endswith("and click>=99 is needed")


@pytest.mark.parametrize(
    ("version", "requirement", "fits"),
    [
        ("8.5.1", "click>=8.1,<9", True),
        ("9.0", "click>=8.1,<9", False),
        ("9.0rc1", "x<9", False),
        ("2.12", "x>=2.12.0", True),
        ("2.9", "x>=2.12", False),
        ("1.0+local", "x==1.0", True),
        ("3", "x", True),
    ],
)
def test_a_version_keeps_its_bounds_or_not(version: str, requirement: str, fits: bool) -> None:
    _, bounds = doctor._parsed(requirement)
    assert all(doctor._holds(version, sign, bound) for sign, bound in bounds) is fits


def test_settings_that_make_no_sense_are_each_told_and_the_rest_is_still_looked_at(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MEMORY_READERS", "many")
    monkeypatch.setenv("MEMORY_LOG_LEVEL", "LOUD")
    monkeypatch.setenv("MEMORY_NAMESPACES", "work")
    ended = run("doctor", "--json")
    assert ended.status == 2
    told = points(ended)["settings"]
    assert [point["state"] for point in told] == ["failure", "failure", "warning"]
    assert "MEMORY_LOG_LEVEL must be one of" in told[0]["says"]
    assert "unset MEMORY_READERS" in told[1]["way_out"]
    assert told[2]["way_out"] == "did you mean MEMORY_NAMESPACE?"
    assert "disk" in points(ended)


def test_a_socket_path_that_is_too_long_is_a_failure(run: Run) -> None:
    found = points(run("doctor", "--json", "--socket", "/tmp/" + "x" * 120))
    assert state(found, "socket") == ["failure"]
    assert "125 bytes" in found["socket"][0]["says"]


def test_something_else_in_the_sockets_place_is_a_failure(run: Run) -> None:
    Path(os.environ["MEMORY_DB_SOCKET"]).touch()
    found = points(run("doctor", "--json"))
    assert state(found, "socket") == ["failure"]


def test_a_socket_that_others_may_reach_is_a_warning(run: Run, daemon_says: Callable[..., None]) -> None:
    os.chmod(os.environ["MEMORY_DB_SOCKET"], 0o666)
    [point] = points(run("doctor", "--json"))["socket"]
    assert point["state"] == "warning"
    assert point["way_out"] == f"chmod 600 {os.environ['MEMORY_DB_SOCKET']}"


def test_a_socket_that_nobody_listens_on_is_no_failure(run: Run) -> None:
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(os.environ["MEMORY_DB_SOCKET"])
    os.chmod(os.environ["MEMORY_DB_SOCKET"], 0o600)
    found = points(run("doctor", "--json"))
    assert state(found, "socket") == ["ok"]
    assert state(found, "daemon") == ["warning"]


@pytest.mark.process
def test_a_daemon_at_another_socket_is_told_with_its_process(run: Run, start_daemon: StartDaemon) -> None:
    daemon = start_daemon()
    [point] = points(run("--db", str(daemon.db), "doctor", "--json"))["daemon"]
    assert point["state"] == "failure"
    assert f"process {daemon.process.pid} holds {daemon.db}" in point["says"]


def test_a_daemon_of_another_version_is_a_warning(run: Run, daemon_says: Callable[..., None]) -> None:
    daemon_says(pong={"version": "0.0.9"})
    [point] = points(run("doctor", "--json"))["version"]
    assert (point["state"], point["says"]) == ("warning", f"the daemon is 0.0.9, this program {__version__}")


def test_a_daemon_that_keeps_another_database_is_a_warning(run: Run, daemon_says: Callable[..., None]) -> None:
    daemon_says(pong={"database": "/elsewhere/memory.db"})
    assert state(points(run("doctor", "--json")), "lock") == ["warning"]


@pytest.mark.parametrize(("status", "expected"), [("degraded", "warning"), ("failing", "failure")])
def test_health_is_told_with_its_reasons(
    run: Run, daemon_says: Callable[..., None], status: str, expected: str
) -> None:
    daemon_says(health=status, reasons=["the disk is nearly full"])
    [point] = points(run("doctor", "--json"))["database"]
    assert point["state"] == expected
    assert "the disk is nearly full" in point["says"]


def test_damage_a_weak_sandbox_and_vectors_that_are_not_made_are_told(
    run: Run, daemon_says: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MEMORY_SEMANTIC")
    daemon_says(
        integrity={"status": "bad"},
        sandbox={"isolation": "partial", "layers": {"landlock": "missing", "seccomp": "on"}},
    )
    found = points(run("doctor", "--json"))
    assert state(found, "integrity") == ["failure"]
    assert state(found, "sandbox") == ["warning"]
    assert found["sandbox"][0]["says"].endswith("missing: landlock")
    assert state(found, "vectors")[0] in ("ok", "warning")


@pytest.mark.parametrize(("place", "mode", "want"), [("memory.db", 0o644, "600"), ("", 0o777, "700")])
def test_a_database_that_others_may_reach_is_a_warning(
    run: Run, daemon_says: Callable[..., None], home: Path, place: str, mode: int, want: str
) -> None:
    path = home / ".memories" / place
    path.chmod(mode)
    told = points(run("doctor", "--json"))["database"]
    assert [point["state"] for point in told] == ["warning", "ok"]
    assert told[0]["way_out"] == f"chmod {want} {path}"


def test_a_backup_of_last_month_is_a_warning(run: Run, daemon_says: Callable[..., None], home: Path) -> None:
    backups = home / ".memories" / "backups"
    backups.mkdir()
    (backups / "old.gz").touch()
    month_ago = time.time() - 30 * 86_400
    os.utime(backups / "old.gz", (month_ago, month_ago))
    [point] = points(run("doctor", "--json"))["backups"]
    assert (point["state"], point["says"]) == ("warning", f"the newest is 30 days old, in {backups}")
    daemon_says(last_backup="2020-01-01T00:00:00.000000Z")
    assert state(points(run("doctor", "--json")), "backups") == ["warning"]


def test_a_memory_without_any_backup_is_a_warning(run: Run, daemon_says: Callable[..., None]) -> None:
    assert state(points(run("doctor", "--json")), "backups") == ["warning"]


def test_assistants_are_found_with_the_state_of_their_entries(run: Run, home: Path) -> None:
    run("setup", "cursor")
    codex = CLIENTS["codex"].path(os.environ)
    codex.parent.mkdir()
    codex.write_text('[mcp_servers.enhanced-memory]\ncommand = "/gone/memory-mcp"\n')
    (home / ".gemini").mkdir()
    (home / ".claude.json").write_text("{broken")
    ended = run("doctor", "--json")
    found = points(ended)
    assert ended.status == 2
    assert state(found, "cursor") == ["ok"]
    assert state(found, "codex") == ["failure"]
    assert "/gone/memory-mcp" in found["codex"][0]["says"]
    assert found["codex"][0]["way_out"].startswith("enhanced-memory setup codex")
    assert state(found, "gemini") == ["ok"]
    assert state(found, "claude-code") == ["failure"]
    assert "windsurf" not in found


def test_a_service_whose_program_is_gone_is_a_failure(run: Run, home: Path) -> None:
    folder = home / ".config/systemd/user"
    folder.mkdir(parents=True)
    (folder / "memory-db.service").write_text("[Service]\nExecStart=/gone/memory-db-service\n")
    told = points(run("doctor", "--json"))["service"]
    assert [point["state"] for point in told[:2]] == ["warning", "failure"]
    assert "lacks memory-db.socket" in told[0]["says"]


def test_a_point_that_cannot_be_looked_at_is_a_finding_and_not_the_end() -> None:
    def broken(_patient: doctor.Patient) -> Iterator[doctor.Finding]:
        yield doctor.Finding("packages", "ok", "the first half")
        raise ImportError("no module named click")

    told = list(doctor.looked("packages", broken, doctor.Patient(Session(), start=False)))
    assert [finding.state for finding in told] == ["ok", "failure"]
    assert told[1].says == "cannot be looked at: ImportError: no module named click"


def test_piped_it_is_a_line_a_point(run: Run) -> None:
    rows = [line.split("\t") for line in run("doctor").out.splitlines()]
    assert all(len(row) == 4 and row[0] in ("ok", "warning", "failure") for row in rows)
    assert [row[1] for row in rows[:4]] == ["python", "packages", "settings", "socket"]


@pytest.mark.process
def test_at_a_terminal_it_is_a_table_with_the_way_out_below(home: Path) -> None:
    status, shown = at_terminal("doctor")
    assert status == 1
    assert "What was seen" in shown
    assert "→ enhanced-memory doctor --start" in shown


def test_the_exit_status_is_explained(run: Run) -> None:
    assert "0 all is well, 1 there are warnings, 2 something does not work" in " ".join(
        run("doctor", "--help").out.split()
    )


def test_the_python_of_the_environment_is_told(run: Run) -> None:
    [point] = points(run("doctor", "--json"))["python"]
    assert point["says"].endswith(sys.executable)
    assert json.dumps(point)
