"""Waiting for changes, and names by their beginnings: what a front-end asks to keep its readers fresh."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from enhanced_memory.service.dispatcher import MemoryDBService
from tests.conftest import PROMPTLY_S
from tests.operations.conftest import Ask

Remember = Callable[..., dict[str, Any]]


def test_a_write_of_another_client_ends_the_waiting_and_is_told_by_name(ask: Ask, remember: Remember) -> None:
    last = ask("wait_for_changes")["last"]
    heard: list[dict[str, Any]] = []
    waiting = threading.Thread(target=lambda: heard.append(ask("wait_for_changes", after=last, timeout_s=25.0)))
    waiting.start()
    remember("Ann", "drinks tea")
    waiting.join(PROMPTLY_S)

    assert heard[0]["changes"] == [{"namespace": "default", "names": ["Ann"]}]
    assert heard[0]["missed"] is False


def test_what_was_written_since_the_last_reply_is_told_at_once(ask: Ask, remember: Remember) -> None:
    last = ask("wait_for_changes")["last"]
    remember("Ann", "drinks tea")
    ask("create_entities", namespace="work", entities=[{"name": "Bob", "entityType": "person", "observations": []}])
    told = ask("wait_for_changes", after=last)

    assert [change["names"] for change in told["changes"]] == [["Ann"], ["Bob"]]
    assert [change["namespace"] for change in told["changes"]] == ["default", "work"]
    assert ask("wait_for_changes", after=told["last"], timeout_s=0.0)["changes"] == []


def test_reads_and_failed_writes_are_no_changes(ask: Ask, remember: Remember) -> None:
    remember("Ann", "drinks tea")
    last = ask("wait_for_changes")["last"]
    ask("search_nodes", query="tea")
    assert not ask("add_observations", observations=[{"entityName": "Nobody", "contents": ["x"]}])["success"]

    assert ask("wait_for_changes", after=last, timeout_s=0.0)["last"] == last


def test_a_write_whose_reach_is_unknown_says_that_anything_may_have_changed(ask: Ask, remember: Remember) -> None:
    remember("Ann", "drinks tea")
    remember("Bob", "drinks beer")
    ask("create_relations", relations=[{"from": "Ann", "to": "Bob", "relationType": "knows"}])
    last = ask("wait_for_changes")["last"]
    ask("delete_entities", entityNames=["Ann"])  # which takes a relation from Bob as well

    assert ask("wait_for_changes", after=last)["changes"] == [{"namespace": "default", "names": None}]


def test_what_executed_code_writes_is_told(ask: Ask) -> None:
    last = ask("wait_for_changes")["last"]
    code = "create_entities([{'name': 'Ann', 'entityType': 'person', 'observations': ['tea']}])\nresult = 1"
    assert ask("execute_code", code=code)["success"]

    assert ["Ann"] in [change["names"] for change in ask("wait_for_changes", after=last)["changes"]]


def test_who_asks_late_or_with_another_daemons_number_hears_that_some_are_missing(ask: Ask, remember: Remember) -> None:
    last = ask("wait_for_changes")["last"]
    for _ in range(300):
        remember("Ann", "drinks tea")
    assert ask("wait_for_changes", after=last)["missed"] is True
    assert ask("wait_for_changes", after=last + 10_000_000)["missed"] is True
    assert ask("wait_for_changes", after=1)["missed"] is True


def test_the_end_of_the_service_ends_the_waiting(ask: Ask, service: MemoryDBService) -> None:
    last = ask("wait_for_changes")["last"]
    heard: list[dict[str, Any]] = []
    waiting = threading.Thread(target=lambda: heard.append(ask("wait_for_changes", after=last, timeout_s=25.0)))
    waiting.start()
    service.begin_shutdown()
    waiting.join(PROMPTLY_S)

    assert heard[0]["code"] == "shutting_down"


def test_names_are_completed_in_their_order_whatever_the_case_of_the_beginning(ask: Ask, remember: Remember) -> None:
    for name in ("Anna Berg", "Ann", "annex", "Bob", "ANNUAL", "Änne"):
        remember(name)
    ask("delete_entities", entityNames=["Ann"])

    assert ask("complete_names", beginning="ann")["names"] == ["ANNUAL", "Anna Berg", "annex"]
    assert ask("complete_names", beginning="ann", limit=1)["names"] == ["ANNUAL"]
    assert ask("complete_names", beginning="Än")["names"] == ["Änne"]
    assert ask("complete_names", beginning="x%")["names"] == []
    assert len(ask("complete_names", beginning="")["names"]) == 5
