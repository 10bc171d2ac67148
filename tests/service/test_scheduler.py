"""The daemon's own curation: when it is due, what it remembers, how it ends. Nobody waits: the test is the clock."""

from __future__ import annotations

import logging
import signal
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from enhanced_memory.errors import Busy
from enhanced_memory.service.dispatcher import MemoryDBService
from enhanced_memory.service.scheduler import Scheduler
from enhanced_memory.settings import Settings
from tests.conftest import PATIENCE_S, PROMPTLY_S, StartDaemon

HOUR_S = 3600.0


class Place:
    """A database, the time, and a scheduler beside a service that runs none of its own."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.now = datetime(2026, 1, 1, tzinfo=UTC)
        self.open()

    def open(self) -> None:
        """Start, or start again."""
        self.service = MemoryDBService(Settings.load({"db_path": str(self._path)}), clock=lambda: self.now)
        self.scheduler = self.scheduled(threading.Event())

    def scheduled(self, ended: threading.Event) -> Scheduler:
        """A scheduler that curates every 24 hours."""
        return Scheduler(self.service._store, self.service.handle_request, 24, lambda: self.now, ended)

    def restart(self) -> None:
        """End and start again."""
        self.service.close()
        self.open()

    def ask(self, method: str, namespace: str = "default", **params: Any) -> dict[str, Any]:
        """The reply, a success."""
        reply = self.service.handle_request({"method": method, "params": params, "namespace": namespace})
        assert reply["success"], reply
        return reply

    def add_old(self, *names: str, namespace: str = "default") -> None:
        """Memories that a curation moves once 40 days have passed."""
        entities = [{"name": name, "entityType": "t", "observations": [f"about {name}"]} for name in names]
        self.ask("create_entities", namespace, entities=entities)

    def pass_hours(self, hours: float) -> None:
        """Let time pass."""
        self.now += timedelta(hours=hours)

    def moved(self, namespace: str = "default") -> set[str]:
        """What curations have moved."""
        return {line["name"] for line in self.ask("list_transitions", namespace)["transitions"]}


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    """An empty one."""
    opened = Place(tmp_path / "memory.db")
    yield opened
    opened.service.close()


def test_every_namespace_is_curated_when_it_is_due_and_the_log_says_so_in_a_line_each(
    place: Place, caplog: pytest.LogCaptureFixture
) -> None:
    place.add_old("a", "b")
    place.add_old("c", namespace="other")
    place.pass_hours(24 * 40)
    with caplog.at_level(logging.INFO, "enhanced_memory.service.scheduler"):
        assert place.scheduler.look() == 24 * HOUR_S
    assert (place.moved(), place.moved("other")) == ({"a", "b"}, {"c"})
    assert ["episodic=2" in caplog.text, len(caplog.messages)] == [True, 2]
    assert not any(name in caplog.text for name in ("other", "default"))


def test_it_is_not_done_again_before_the_time_and_a_restart_changes_nothing_of_that(place: Place) -> None:
    place.add_old("a")
    place.scheduler.look()
    place.pass_hours(24 * 30 - 30)
    place.scheduler.look()
    assert place.moved() == set()
    place.restart()
    place.pass_hours(20)
    assert place.scheduler.look() == pytest.approx(4 * HOUR_S, abs=1)
    place.restart()
    place.pass_hours(3)
    assert place.scheduler.look() == pytest.approx(HOUR_S, abs=1)
    assert place.moved() == set()
    place.restart()
    place.pass_hours(7 + 24)
    assert place.scheduler.look() == 24 * HOUR_S
    assert place.moved() == {"a"}


def test_a_time_in_the_future_does_not_put_it_off_for_ever(place: Place) -> None:
    place.add_old("a")
    place.pass_hours(24 * 4_000)
    place.scheduler.look()
    place.service.close()
    place.now = datetime(2026, 6, 1, tzinfo=UTC)
    place.open()
    assert place.scheduler.look() == 24 * HOUR_S


def test_a_run_that_meets_another_is_tried_again_soon(place: Place) -> None:
    place.add_old("a")
    place.pass_hours(24 * 40)
    with place.service._service.curating:
        assert place.service.handle_request({"method": "autonomous_curation"})["code"] == Busy.code
        assert place.scheduler.look() == 600.0
    assert place.moved() == set()
    assert place.scheduler.look() == 24 * HOUR_S
    assert place.moved() == {"a"}


def test_what_the_end_cut_off_is_done_after_the_next_start(place: Place) -> None:
    place.add_old("a")
    place.pass_hours(24 * 40)
    place.service.begin_shutdown()
    assert place.scheduler.look() == 600.0
    place.restart()
    assert place.scheduler.look() == 24 * HOUR_S
    assert place.moved() == {"a"}


class Steps(threading.Event):
    """An event that tells the test how long somebody would wait for it, and waits for the test instead."""

    def __init__(self, then: Callable[[float], bool]) -> None:
        super().__init__()
        self._then = then

    def wait(self, timeout: float | None = None) -> bool:
        """What the test makes of it."""
        assert timeout is not None
        return self._then(timeout)


def test_the_thread_looks_again_every_ten_minutes_and_ends_when_it_is_told(place: Place) -> None:
    waits: list[float] = []
    closed = threading.Event()
    place.add_old("a")

    def then(timeout: float) -> bool:
        waits.append(timeout)
        if len(waits) < 3:
            place.pass_hours(24 * 20)
            return False
        closed.set()
        return threading.Event.wait(ended, PROMPTLY_S)

    ended = Steps(then)
    scheduler = place.scheduled(ended)
    scheduler.start()
    assert closed.wait(PROMPTLY_S)
    scheduler.close()
    assert waits == [600.0] * 3
    assert place.moved() == {"a"}


@pytest.mark.process
def test_the_daemon_curates_where_it_is_told_to_and_only_there(start_daemon: StartDaemon) -> None:
    daemon = start_daemon()
    daemon.ask("create_entities", {"entities": [{"name": "a", "entityType": "t", "observations": []}]})
    assert daemon.end(signal.SIGTERM) == 0
    _make_old(daemon.db)
    daemon = start_daemon()
    assert daemon.ask("get_memory_status")["by_tier"]["working"] == 1
    assert daemon.end(signal.SIGTERM) == 0
    daemon = start_daemon("--curation", "1")
    until = time.monotonic() + PATIENCE_S
    while not (log := daemon.ask("list_transitions")["transitions"]):
        assert time.monotonic() < until, "nothing was curated"
    assert [(line["name"], line["to_tier"]) for line in log] == [("a", "episodic")]
    assert daemon.end(signal.SIGTERM) == 0


@pytest.mark.process
@pytest.mark.parametrize("signum", [signal.SIGKILL, signal.SIGTERM])
def test_a_run_cut_off_by_a_signal_leaves_whole_slices_and_can_be_undone(
    start_daemon: StartDaemon, signum: signal.Signals
) -> None:
    daemon = start_daemon()
    for part in range(4):
        entities = [{"name": f"{part} {at}", "entityType": "t", "observations": []} for at in range(1_000)]
        daemon.ask("create_entities", {"entities": entities})
    assert daemon.end(signal.SIGTERM) == 0
    _make_old(daemon.db)
    daemon = start_daemon()
    with daemon.connect() as connection:
        connection.sendall(b'{"method": "autonomous_curation"}\n')
        until = time.monotonic() + PATIENCE_S
        while not daemon.ask("list_transitions", {"limit": 1})["transitions"]:
            assert time.monotonic() < until, "nothing was curated"
        assert daemon.end(signum) == (0 if signum == signal.SIGTERM else -signum)
    daemon = start_daemon()
    run_id = daemon.ask("list_transitions", {"limit": 1})["transitions"][0]["run_id"]
    episodic = daemon.ask("get_memory_status")["by_tier"]["episodic"]
    assert 0 < episodic <= 4_000
    assert episodic % 50 == 0
    undone = daemon.ask("undo_curation", {"run_id": run_id})
    assert (undone["restored"], undone["skipped"]) == (episodic, [])
    assert daemon.ask("get_memory_status")["by_tier"]["working"] == 4_000


def _make_old(path: Path) -> None:
    """Let all that a database remembers be of long ago; nobody else may have it open."""
    with sqlite3.connect(path) as db:
        db.execute("UPDATE entities SET created_at = '2020-01-01T00:00:00.000000Z', last_accessed = NULL")
    db.close()


def test_a_service_of_its_own_settings_curates_by_itself_and_ends_with_it(tmp_path: Path) -> None:
    service = MemoryDBService(Settings.load({"db_path": str(tmp_path / "memory.db"), "curation": "1"}))
    service.close()
    assert not any(thread.name == "scheduler" for thread in threading.enumerate())
