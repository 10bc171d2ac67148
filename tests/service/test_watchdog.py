"""What the watchdog asks: whether reads and writes still come through, at no cost to the disk."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from enhanced_memory.errors import TimedOut
from enhanced_memory.service.dispatcher import MemoryDBService
from enhanced_memory.settings import Settings
from tests.conftest import PATIENCE_S

ENDLESS = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n"


@pytest.fixture
def service(tmp_path: Path) -> Iterator[MemoryDBService]:
    """A service on a database with one memory."""
    opened = MemoryDBService(Settings.load({"db_path": str(tmp_path / "memory.db")}))
    entity = {"name": "Ann", "entityType": "person", "observations": ["drinks tea"]}
    assert opened.handle_request({"method": "create_entities", "params": {"entities": [entity]}})["success"]
    yield opened
    opened.close()


def keep_writer_at(service: MemoryDBService, work: Callable[[Any], Any], timeout_s: float) -> threading.Thread:
    """Have the writer do `work`, and return when it has begun."""
    begun = threading.Event()

    def job(transaction: Any) -> None:
        begun.set()
        work(transaction)

    def write() -> None:
        with contextlib.suppress(TimedOut):
            service._store.write(job, "default", timeout_s)

    thread = threading.Thread(target=write)
    thread.start()
    assert begun.wait(PATIENCE_S)
    return thread


def test_a_service_that_works_is_alive_and_asking_writes_nothing_to_the_disk(
    service: MemoryDBService, tmp_path: Path
) -> None:
    files = [tmp_path / "memory.db", tmp_path / "memory.db-wal"]
    before = [(file.stat().st_size, file.stat().st_mtime_ns) for file in files]
    assert all(service.is_alive(PATIENCE_S) for _ in range(50))
    assert [(file.stat().st_size, file.stat().st_mtime_ns) for file in files] == before


def test_a_writer_that_is_stuck_is_no_life(service: MemoryDBService) -> None:
    release = threading.Event()
    writing = keep_writer_at(service, lambda _: release.wait(PATIENCE_S), PATIENCE_S)
    assert not service.is_alive(0.1)
    health = service.health()
    assert health["queue_depth"] == 1
    release.set()
    writing.join(PATIENCE_S)
    assert service.is_alive(PATIENCE_S)


def test_a_writer_that_works_on_something_long_is_alive(service: MemoryDBService) -> None:
    writing = keep_writer_at(service, lambda tx: tx._scope.connection.execute(ENDLESS), 1.5)
    assert service.is_alive(0.5)
    assert writing.is_alive()
    writing.join(PATIENCE_S)


def test_a_service_that_refuses_is_alive(service: MemoryDBService) -> None:
    service._store.close()
    assert service.is_alive(PATIENCE_S)
