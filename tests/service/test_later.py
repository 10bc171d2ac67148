"""Writes that come while others are under way: answered by the writer, with the replies that the others get."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from enhanced_memory.service.dispatcher import MemoryDBService
from enhanced_memory.settings import Settings
from tests.conftest import PATIENCE_S


class Place:
    """A service, and the answers that came later."""

    def __init__(self, path: Path, **settings: Any) -> None:
        self.service = MemoryDBService(Settings.load({"db_path": str(path / "memory.db"), **settings}))
        self.answers: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()

    @contextmanager
    def busy(self) -> Iterator[None]:
        """The writer is at work."""
        begun, release = threading.Event(), threading.Event()

        def work(_: Any) -> None:
            begun.set()
            assert release.wait(PATIENCE_S)

        thread = threading.Thread(target=lambda: self.service._store.write(work, "default", PATIENCE_S))
        thread.start()
        assert begun.wait(PATIENCE_S)
        try:
            yield
        finally:
            release.set()
            thread.join(PATIENCE_S)

    def later(self, method: str, /, request_id: str | None = None, **params: Any) -> Callable[[], None] | None:
        request: dict[str, Any] = {"method": method, "params": params, "id": 7}
        if request_id is not None:
            request["request_id"] = request_id
        return self.service.handle_later(request, self.answers.put)

    def answer(self) -> dict[str, Any]:
        return self.answers.get(timeout=PATIENCE_S)

    def ask(self, method: str, /, **params: Any) -> dict[str, Any]:
        return self.service.handle_request({"method": method, "params": params})


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    place = Place(tmp_path)
    yield place
    place.service.close()


def ann(*observations: str, **fields: Any) -> dict[str, Any]:
    return {"name": "Ann", "entityType": "person", "observations": list(observations), **fields}


def test_a_write_is_answered_by_the_writer_once_it_is_safe(place: Place) -> None:
    with place.busy():
        assert place.later("create_entities", entities=[ann("drinks tea")]) is not None
        assert place.later("add_observations", observations=[{"entityName": "Ann", "contents": ["sings"]}]) is not None
        assert place.answers.empty()
    created, added = place.answer(), place.answer()
    assert (created["success"], created["id"], created["results"][0]["action"]) == (True, 7, "created")
    assert added["results"] == [{"entityName": "Ann", "addedObservations": ["sings"], "version": 2}]
    assert place.ask("open_nodes", names=["Ann"])["entities"][0]["observations"] == ["drinks tea", "sings"]


def test_nothing_is_left_to_a_writer_that_does_nothing(place: Place) -> None:
    assert place.later("create_entities", entities=[ann("drinks tea")]) is None
    assert place.ask("open_nodes", names=["Ann"])["missing"] == ["Ann"]


@pytest.mark.parametrize(
    ("method", "params"),
    [
        ("ping", {}),
        ("search_nodes", {"query": "tea"}),
        ("purge_entities", {"entityNames": ["Ann"], "confirm": True}),
        ("create_entities", {"entities": []}),
        ("no_such_method", {}),
    ],
)
def test_what_is_no_write_of_one_transaction_or_is_wrong_is_not_begun(
    place: Place, method: str, params: dict[str, Any]
) -> None:
    with place.busy():
        assert place.later(method, **params) is None
    assert place.answers.empty()


def test_a_write_that_fails_gets_its_error_and_the_others_what_they_asked(place: Place) -> None:
    with place.busy():
        place.later("create_entities", entities=[ann("drinks tea")])
        place.later("create_entities", entities=[ann("drinks tea")], on_existing="error")
        place.later("create_entities", entities=[ann("drinks tea", expected_version=9)])
        place.later("create_entities", entities=[ann("sings")])
    codes = [place.answer().get("code", "ok") for _ in range(4)]
    assert codes == ["ok", "already_exists", "version_conflict", "ok"]
    assert place.ask("open_nodes", names=["Ann"])["entities"][0]["observations"] == ["drinks tea", "sings"]


def test_a_write_whose_turn_does_not_come_in_time_is_busy_and_never_happens(tmp_path: Path) -> None:
    place = Place(tmp_path, operation_timeout_s="1")
    try:
        with place.busy():
            wait = place.later("create_entities", entities=[ann("drinks tea")])
            assert wait is not None
            wait()
            assert place.answer()["code"] == "busy"
        assert place.ask("open_nodes", names=["Ann"])["missing"] == ["Ann"]
        assert place.answers.empty()
    finally:
        place.service.close()


def test_the_same_request_id_gives_the_first_reply_again(place: Place) -> None:
    with place.busy():
        for _ in range(2):
            place.later("create_entities", request_id="one", entities=[ann("drinks tea")])
        place.later("create_entities", request_id="one", entities=[ann("sings")])
    first, second, other = place.answer(), place.answer(), place.answer()
    assert first == second
    assert first["results"][0]["action"] == "created"
    assert other["code"] == "invalid_request"


def test_a_write_that_is_alone_in_its_turn_is_told_its_conflicts(place: Place) -> None:
    facts = ["plays the hurdy-gurdy in Graz", "collects enamelled thimbles", "is allergic to quinces"]
    place.ask("create_entities", entities=[ann(*facts)])
    with place.busy():
        place.later("create_entities", entities=[ann(*facts) | {"name": "Anna"}])
    reply = place.answer()
    assert "conflicts_checked" not in reply, "there was time for the check"
    assert [conflict["existing_entity"] for conflict in reply["results"][0]["conflicts"]] == ["Ann"]


def test_every_answer_is_counted_and_told_to_those_who_wait_for_changes(place: Place) -> None:
    last = place.service.changes.wait(None, 0)["last"]
    with place.busy():
        place.later("create_entities", entities=[ann("drinks tea")])
        place.later("create_entities", entities=[ann("drinks tea")], on_existing="error")
    place.answer(), place.answer()
    told = place.service.tally.told()["create_entities"]
    assert (told["count"], told["errors"]) == (2, 1)
    assert place.service.changes.wait(last, 0)["changes"] == [{"namespace": "default", "names": ["Ann"]}]


def test_a_service_that_ends_answers_what_it_took_and_takes_nothing_more(tmp_path: Path) -> None:
    place = Place(tmp_path)
    with place.busy():
        assert place.later("create_entities", entities=[ann("drinks tea")]) is not None
        place.service.begin_shutdown()
        assert place.later("create_entities", entities=[ann("sings")]) is None
    assert place.answer()["success"]
    place.service.close()
