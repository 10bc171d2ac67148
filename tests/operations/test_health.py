"""The health of a service that is well, and of services that something was done to."""

from __future__ import annotations

import os
import sqlite3
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from enhanced_memory import __version__
from enhanced_memory.rules.health import Signs, verdict
from enhanced_memory.service.dispatcher import MemoryDBService
from enhanced_memory.settings import Settings
from tests.operations.conftest import Ask

Remember = Callable[..., dict[str, Any]]


@contextmanager
def service_on(db: Path) -> Iterator[MemoryDBService]:
    """A service on this database."""
    service = MemoryDBService(Settings.load({"db_path": str(db)}))
    try:
        yield service
    finally:
        service.close()


def health_of(service: MemoryDBService) -> dict[str, Any]:
    reply = service.handle_request({"method": "get_system_health"})
    assert reply["success"], reply
    return reply


def test_an_empty_database_is_healthy(ask: Ask, service: MemoryDBService) -> None:
    health = ask("get_system_health")
    assert (health["status"], health["reasons"], health["total_entities"]) == ("healthy", [], 0)
    assert health["last_backup"] is None
    assert (health["version"], health["sqlite_version"]) == (__version__, sqlite3.sqlite_version)
    assert (health["pid"], health["database"]) == (os.getpid(), service.settings.db_path)
    assert health["database_size_mb"] > 0
    assert health["disk_free_mb"] > 0
    assert health["memory_usage_mb"] > 10
    assert health["cpu_percent"] >= 0
    assert health["uptime_s"] >= 0
    assert (health["connections"], health["queue_depth"]) == (0, 0)
    assert "vectors" not in health


def test_entities_of_all_namespaces_are_counted_and_deleted_ones_are_not(ask: Ask) -> None:
    entities = [{"name": name, "entityType": "thing", "observations": ["one"]} for name in ("a", "b")]
    ask("create_entities", entities=entities)
    ask("create_entities", namespace="work", entities=entities)
    ask("delete_entities", entityNames=["a"])
    assert ask("get_system_health")["total_entities"] == 3


def test_requests_are_told_by_operation_with_their_errors_and_times(ask: Ask, remember: Remember) -> None:
    remember("Ann", "drinks tea")
    ask("open_nodes", names=["Ann"])
    ask("open_nodes", nonsense=1)
    ask("no_such_operation")
    ask("another_one")
    requests = ask("get_system_health")["requests"]
    assert {method: (each["count"], each["errors"]) for method, each in requests.items()} == {
        "?": (2, 2),
        "create_entities": (1, 0),
        "open_nodes": (2, 1),
    }
    assert 0 < requests["create_entities"]["p50_ms"] <= requests["create_entities"]["p99_ms"]


def test_health_is_told_when_the_databases_file_is_gone(ask: Ask, service: MemoryDBService) -> None:
    Path(service.settings.db_path).unlink()
    health = ask("get_system_health")
    assert health["status"] == "failing"
    assert "gone or replaced" in health["reasons"][0]


def test_health_is_told_when_the_database_cannot_be_read(tmp_path: Path) -> None:
    db = tmp_path / "memory.db"
    with service_on(db):
        pass
    with closing(sqlite3.connect(db)) as connection:
        connection.execute("DROP TABLE versions")
        connection.commit()
    with service_on(db) as service:
        health = health_of(service)
    assert health["status"] == "failing"
    assert health["total_entities"] is None
    assert any("could not be read" in reason for reason in health["reasons"])


def made_older(db: Path, age: timedelta) -> None:
    """Put the times of everything in the database back by `age`."""
    with closing(sqlite3.connect(db)) as connection:
        stamp = (datetime.now(UTC) - age).isoformat(timespec="microseconds")[:-6] + "Z"
        connection.execute("UPDATE entities SET created_at = ?", (stamp,))
        connection.execute("UPDATE versions SET created_at = ?", (stamp,))
        connection.commit()


@pytest.mark.parametrize(
    ("age", "status", "word"),
    [
        (timedelta(days=1), "healthy", ""),
        (timedelta(days=3), "degraded", "no backup yet"),
        (timedelta(hours=-1), "degraded", "clock went back"),
        (timedelta(seconds=-1), "healthy", ""),
    ],
)
def test_the_age_of_what_is_stored_tells_of_a_missing_backup_and_of_a_clock_that_went_back(
    tmp_path: Path, age: timedelta, status: str, word: str
) -> None:
    db = tmp_path / "memory.db"
    with service_on(db) as service:
        entity = {"name": "Ann", "entityType": "person", "observations": ["drinks tea"]}
        assert service.handle_request({"method": "create_entities", "params": {"entities": [entity]}})["success"]
    made_older(db, age)
    with service_on(db) as service:
        health = health_of(service)
    assert (health["status"], len(health["reasons"])) == (status, 0 if status == "healthy" else 1)
    assert word in "".join(health["reasons"])


# ----------------------------------------------------------------------------------------------------- the verdict

NOW = "2026-05-10T12:00:00.000000Z"
MB = 1024 * 1024


@pytest.mark.parametrize(
    ("signs", "status", "word"),
    [
        ({}, "healthy", ""),
        ({"disk_bytes": 1000 * MB, "disk_free_bytes": 501 * MB}, "healthy", ""),
        ({"disk_bytes": 1000 * MB, "disk_free_bytes": 499 * MB}, "degraded", "499 MB are left"),
        ({"disk_bytes": 1000 * MB, "disk_free_bytes": 49 * MB}, "failing", "49 MB are left"),
        ({"disk_bytes": 20_000 * MB, "disk_free_bytes": 999 * MB}, "degraded", "999 MB are left"),
        ({"disk_bytes": 4_000_000 * MB, "disk_free_bytes": 5 * 1024 * MB}, "healthy", ""),
        ({"log_bytes": 129 * MB}, "degraded", "129 MB"),
        ({"writable": False}, "failing", "read-only"),
        ({"integrity": "bad"}, "failing", "backup"),
        ({"integrity": "unknown"}, "degraded", "verify_database"),
        ({"integrity": "unchecked"}, "healthy", ""),
        ({"log_cut_at": "2026-05-10T11:00:00Z"}, "degraded", "may be missing"),
        ({"damage_met_at": "2026-05-10T11:00:00Z"}, "degraded", "met damaged data"),
        ({"erasure_is_late": True}, "degraded", "purged"),
        ({"queue_depth": 5, "queue_places": 10}, "healthy", ""),
        ({"queue_depth": 6, "queue_places": 10}, "degraded", "6 writes wait"),
        ({"writer_quiet_s": 11.0}, "degraded", "no sign for 11 s"),
        ({"writer_quiet_s": 121.0}, "failing", "no sign for 121 s"),
        ({"watchdog_late_s": 1000.0}, "healthy", ""),
        ({"watchdog_s": 60.0, "watchdog_late_s": 31.0}, "degraded", "stuck for 31 s"),
        ({"last_backup": "2026-05-08T12:00:01Z", "first_memory": "2020-01-01T00:00:00Z"}, "healthy", ""),
        ({"last_backup": "2026-05-08T11:59:59Z"}, "degraded", "2 days old"),
        ({"first_memory": "2026-05-08T11:59:59.000000Z"}, "degraded", "no backup yet"),
        ({"first_memory": "nonsense", "newest_change": "2026-05-08 11:59:59"}, "healthy", ""),
        ({"newest_change": "2026-05-10T12:00:06.000000Z"}, "degraded", "clock went back"),
    ],
)
def test_each_trouble_is_a_reason_of_its_own(signs: dict[str, Any], status: str, word: str) -> None:
    told, reasons = verdict(Signs(time=NOW, **signs))
    assert (told, len(reasons)) == (status, 0 if status == "healthy" else 1)
    assert word in "".join(reasons)


def test_the_worst_reason_comes_first_and_decides() -> None:
    status, reasons = verdict(Signs(time=NOW, log_bytes=200 * MB, integrity="bad", queue_depth=9))
    assert status == "failing"
    assert "failed its check" in reasons[0]
    assert len(reasons) == 3
    assert all(reason.endswith(".") for reason in reasons)


def test_where_no_program_can_be_started_health_is_told_and_code_and_backups_say_why(
    service: MemoryDBService, ask: Any, remember: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    remember("first")
    monkeypatch.setattr(sys, "executable", "/nowhere/python")  # as after an update that took the interpreter away
    health = ask("get_system_health")
    assert (health["success"], health["sandbox"]["isolation"]) == (True, "unavailable")
    for method, params in (("execute_code", {"code": "result = 1"}), ("backup", {}), ("verify_database", {})):
        assert "cannot be started (No such file or directory)" in str(
            service.handle_request({"method": method, "params": params})
        )
