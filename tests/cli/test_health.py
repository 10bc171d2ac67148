"""The command health and scripts/monitor.py: what they show, and the exit status that monitors go by."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import ROOT, Run, StandIn, at_terminal, start
from tests.conftest import PATIENCE_S, Daemon, StartDaemon

HEALTH: dict[str, Any] = {
    "success": True,
    "status": "healthy",
    "reasons": [],
    "total_entities": 1234,
    "database_size_mb": 12.5,
    "wal_size_mb": 0.25,
    "disk_free_mb": 4000.0,
    "memory_usage_mb": 60.0,
    "cpu_percent": 1.5,
    "uptime_s": 90_061.0,
    "connections": 2,
    "queue_depth": 0,
    "requests": {
        "ping": {"count": 1, "errors": 0, "p50_ms": 0.1, "p99_ms": 0.1},
        "search_nodes": {"count": 20, "errors": 1, "p50_ms": 2.25, "p99_ms": 9.0},
    },
    "last_backup": None,
    "integrity": {"status": "ok"},
    "sandbox": {"isolation": "kernel", "layers": {"seccomp": "on", "landlock": "missing"}},
    "schema_version": 3,
    "sqlite_version": "3.53.0",
    "version": "0.1.0",
    "pid": 7,
    "database": "/home/ann/memory.db",
}


@pytest.fixture
def daemon(start_daemon: StartDaemon) -> Daemon:
    """A daemon at the socket of the environment."""
    return start_daemon(socket_path=Path(os.environ["MEMORY_DB_SOCKET"]))


def monitor(*arguments: str) -> subprocess.CompletedProcess[str]:
    """A run of scripts/monitor.py that sees no installed package."""
    command = [sys.executable, "-S", str(ROOT / "scripts" / "monitor.py"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S, cwd="/")


@pytest.mark.process
def test_a_daemon_that_is_well_ends_both_programs_with_status_0(run: Run, daemon: Daemon) -> None:
    ended = run("health", "--json")
    assert (ended.status, ended.json["status"], ended.json["pid"]) == (0, "healthy", daemon.process.pid)
    told = monitor()
    assert (told.returncode, told.stderr) == (0, "")
    figures = json.loads(told.stdout)
    assert figures["total_entities"] == 0
    assert {"database_size_mb", "memory_usage_mb", "status"} <= figures.keys()


@pytest.mark.parametrize(("status", "exit_status"), [("healthy", 0), ("degraded", 1), ("failing", 2)])
def test_the_exit_status_tells_the_state(run: Run, stand_in: StandIn, status: str, exit_status: int) -> None:
    stand_in.answer = lambda *_: {**HEALTH, "status": status}
    assert run("health").status == exit_status
    assert run("--json", "health").status == exit_status
    assert monitor().returncode == exit_status


def test_where_no_daemon_is_the_status_is_2_and_none_is_started(run: Run, home: Path) -> None:
    ended = run("health")
    assert ended.status == 2
    assert ended.out.startswith("status\tunreachable\n") or "\nstatus\tunreachable\n" in ended.out
    assert run("health", "--json").json["status"] == "unreachable"
    told = monitor()
    assert told.returncode == 2
    assert json.loads(told.stdout)["status"] == "unreachable"
    assert not (home / ".memories").exists()


def test_an_answer_that_is_a_failure_is_unreachable_too(run: Run, stand_in: StandIn) -> None:
    stand_in.answer = lambda *_: {"success": False, "error": "the service is ending", "code": "shutting_down"}
    ended = run("health")
    assert ended.status == 2
    assert "reasons\tthe service is ending.\n" in ended.out
    assert json.loads(monitor().stdout) == {"status": "unreachable", "reasons": ["the service is ending"]}


def test_into_a_pipe_each_figure_is_a_line(run: Run, stand_in: StandIn) -> None:
    stand_in.answer = lambda *_: {**HEALTH, "reasons": ["The disk\tis full.", "No backup."]}
    lines = run("health").out.splitlines()
    assert lines[:3] == ["status\thealthy", "reasons\tThe disk\\tis full.", "reasons\tNo backup."]
    assert "requests.search_nodes.p99_ms\t9.0" in lines


@pytest.mark.process
def test_at_a_terminal_it_shows_the_reasons_first_and_the_most_frequent_requests(stand_in: StandIn) -> None:
    stand_in.answer = lambda *_: {**HEALTH, "status": "degraded", "reasons": ["There is no backup yet."]}
    status, shown = at_terminal("health")
    assert status == 1
    for words in ("degraded", "There is no backup yet.", "1,234", "kernel, without landlock", "1 day, 1:01:01"):
        assert words in shown
    assert shown.index("no backup") < shown.index("Entities")
    assert shown.index("search_nodes") < shown.index("ping")


@pytest.mark.process
@pytest.mark.parametrize("program", ["command", "script"])
def test_watching_tells_it_again_until_it_is_interrupted(stand_in: StandIn, program: str) -> None:
    stand_in.answer = lambda *_: HEALTH
    if program == "command":
        process = start("health", "--watch", "0.1", "--json", stdout=subprocess.PIPE)
    else:
        command = [sys.executable, str(ROOT / "scripts" / "monitor.py"), "--watch", "0.1"]
        process = subprocess.Popen(command, stdout=subprocess.PIPE)
    with process:
        assert process.stdout is not None
        assert [json.loads(process.stdout.readline())["status"] for _ in range(3)] == ["healthy"] * 3
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE_S) == 130


@pytest.mark.process
@pytest.mark.parametrize("kind", ["dumb", "xterm"])
def test_watching_at_a_terminal_draws_again_and_ends_with_ctrl_c(stand_in: StandIn, kind: str) -> None:
    import psutil

    def answer(method: str, _: dict[str, Any]) -> dict[str, Any]:
        if len(stand_in.requests) == 3:
            [child] = psutil.Process().children()
            child.send_signal(signal.SIGINT)
        return {**HEALTH, "total_entities": len(stand_in.requests)}

    stand_in.answer = answer
    status, shown = at_terminal("health", "--watch", "0.1", kind=kind)
    assert status == 130
    assert shown.count("Entities") >= 2
