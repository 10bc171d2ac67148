"""Rows that hold what was never written: each is told, and hides no other."""

from __future__ import annotations

import sqlite3
from typing import Any

import pytest

from enhanced_memory.service.dispatcher import MemoryDBService


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE entities SET compressed_data = 5 WHERE name = 'bad'",
        "UPDATE entities SET compressed_data = 'text' WHERE name = 'bad'",
        "UPDATE entities SET checksum = 5 WHERE name = 'bad'",
        "UPDATE entities SET created_at = 'junk' WHERE name = 'bad'",
        "UPDATE entities SET relevance_score = 'high' WHERE name = 'bad'",
        "UPDATE entities SET relevance_score = 9e999 WHERE name = 'bad'",
        "UPDATE entities SET current_version = 999 WHERE name = 'bad'",
        "UPDATE entities SET entity_type = x'ff' WHERE name = 'bad'",
        "UPDATE entities SET source_session = x'ff' WHERE name = 'bad'",
        "UPDATE relations SET metadata = '{bad'",
        "UPDATE relations SET metadata = '[1]'",
    ],
)
def test_a_damaged_row_hides_no_other_and_can_be_purged(
    service: MemoryDBService, ask: Any, remember: Any, damage: str
) -> None:
    remember("good", "zebra stripes")
    remember("bad", "zebra hooves")
    ask("create_relations", relations=[{"from": "good", "to": "bad", "relationType": "knows", "metadata": {"a": 1}}])
    with sqlite3.connect(service.settings.db_path) as db:
        db.execute(damage)
    for method, params in (
        ("search_nodes", {"query": "zebra"}),
        ("search_nodes", {"query": ""}),
        ("read_graph", {}),
        ("open_nodes", {"names": ["good", "bad"]}),
        ("get_context", {"query": "zebra"}),
        ("neighbors", {"name": "good"}),
        ("export_graph", {}),
        ("get_memory_status", {}),
    ):
        reply = ask(method, **params)
        assert reply["success"], (method, reply)
        assert "zebra stripes" in str(reply) or method == "get_memory_status"
    ask("add_observations", observations=[{"entityName": "bad", "contents": ["more"]}])
    ask("delete_entities", entityNames=["bad"])
    assert ask("purge_entities", entityNames=["bad"], confirm=True)["purged"] == ["bad"]
    assert ask("search_nodes", query="zebra")["count"] == 1


def test_a_name_of_bytes_hides_no_other(service: MemoryDBService, ask: Any, remember: Any) -> None:
    remember("good", "zebra stripes")
    remember("bad", "zebra hooves")
    with sqlite3.connect(service.settings.db_path) as db:
        db.execute("UPDATE entities SET name = x'62ff' WHERE name = 'bad'")
    results = {result["name"]: result.get("code") for result in ask("search_nodes", query="zebra")["results"]}
    assert results == {"good": None, "b\ufffd": "corrupt"}
    assert {entity["name"] for entity in ask("read_graph")["entities"]} == {"good", "b\ufffd"}
    assert ask("export_graph")["success"]
    assert ask("detect_memory_conflicts")["success"]
    assert ask("verify_database")["problems"]


@pytest.mark.parametrize("version", [2**53 + 1, 2**63, 2**200])
def test_a_version_beyond_all_numbers_is_a_bad_parameter(ask: Any, remember: Any, version: int) -> None:
    remember("Ann", "a")
    assert ask("open_nodes", names=["Ann"], version=version)["code"] == "invalid_params"
    assert ask("memory_revert", entity_name="Ann", version=version)["code"] == "invalid_params"


def test_what_cannot_be_read_is_rescued_by_deleting_it_and_reverting(
    service: MemoryDBService, ask: Any, remember: Any
) -> None:
    remember("Ann", "zebra stripes")
    ask("add_observations", observations=[{"entityName": "Ann", "contents": ["more"]}])
    with sqlite3.connect(service.settings.db_path) as db:
        db.execute("UPDATE entities SET compressed_data = x'00'")
    assert ask("open_nodes", names=["Ann"])["code"] == "corrupt"
    assert ask("delete_entities", entityNames=["Ann"])["deleted"] == ["Ann"]
    back = ask("memory_revert", entity_name="Ann", version=1)["new_version"]
    ask("add_observations", observations=[{"entityName": "Ann", "contents": ["again"]}])
    assert ask("open_nodes", names=["Ann"])["entities"][0]["observations"] == ["zebra stripes", "again"]
    assert ask("open_nodes", names=["Ann"], version=back)["entities"][0]["observations"] == ["zebra stripes"]
    assert ask("open_nodes", names=["Ann"], version=1)["entities"][0]["observations"] == ["zebra stripes"]
    assert ask("search_nodes", query="zebra")["count"] == 1


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE entities SET compressed_data = x'00' WHERE name = 'bad'",
        "UPDATE entities SET last_accessed = 'junk' WHERE name = 'bad'",
        "UPDATE entities SET updated_at = 'junk' WHERE name = 'bad'",
    ],
)
@pytest.mark.parametrize("found_before", [True, False])
def test_a_search_tells_damage_also_of_what_it_has_found_before(
    service: MemoryDBService, ask: Any, remember: Any, damage: str, found_before: bool
) -> None:
    remember("good", "zebra stripes")
    remember("bad", "zebra zebra hooves")
    if found_before:
        assert [result["name"] for result in ask("search_nodes", query="zebra hooves")["results"]] == ["bad", "good"]
    with sqlite3.connect(service.settings.db_path) as db:
        db.execute(damage)
    good, bad = ask("search_nodes", query="zebra hooves")["results"]
    assert (good["name"], good["observations"]) == ("good", ["zebra stripes"])
    assert (bad["name"], bad["code"], bad["observations"], bad["matches"]) == ("bad", "corrupt", [], [])
