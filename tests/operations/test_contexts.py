"""Contexts within a budget, paths and neighbourhoods."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from enhanced_memory.rules.budget import estimated_tokens


def relate(ask: Any, *edges: tuple[str, str]) -> None:
    relations = [{"from": a, "to": b, "relationType": "knows"} for a, b in edges]
    assert ask("create_relations", relations=relations)["success"]


def test_pins_come_first_then_what_fits_the_query(ask: Any, remember: Any) -> None:
    remember("tea", "Ann likes green tea", type_="fact")
    remember("rule", "Always answer in French", type_="rule", always_include=True)
    remember("car", "Ann drives a red car", type_="fact")
    reply = ask("get_context", query="what tea does she like")
    assert [(e["name"], e["pinned"]) for e in reply["entities"]] == [("rule", True), ("tea", False)]
    assert reply["text"] == "rule (rule)\n- Always answer in French\n\ntea (fact)\n- Ann likes green tea"


def test_an_entity_found_by_its_name_alone_is_told_with_its_observations(ask: Any, remember: Any) -> None:
    remember("Difference Engine", "Prints its tables itself")
    reply = ask("get_context", query="difference engine")
    assert reply["text"] == "Difference Engine (thing)\n- Prints its tables itself"


def test_a_context_without_a_query_tells_the_latest(ask: Any, remember: Any) -> None:
    remember("old", "first")
    remember("new", "second")
    assert [e["name"] for e in ask("get_context")["entities"]] == ["new", "old"]


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(budget=st.integers(1, 400))
def test_a_context_never_exceeds_its_budget(ask: Any, remember: Any, budget: int) -> None:
    for number in range(8):
        remember(f"entity {number}", *[f"fact {number}.{line} about zebras" for line in range(6)])
    reply = ask("get_context", query="zebras", max_tokens=budget)
    assert estimated_tokens(reply["text"]) == reply["tokens"] <= budget
    assert reply["omitted"] + len(reply["entities"]) == 8


def test_the_shortest_path_is_found_in_either_direction(ask: Any, remember: Any) -> None:
    for name in "abcdef":
        remember(name)
    relate(ask, ("a", "b"), ("c", "b"), ("c", "d"), ("d", "e"), ("a", "f"), ("f", "d"))
    path = ask("find_path", **{"from": "a", "to": "e"})
    assert [(r["from"], r["to"]) for r in path["path"]] == [("a", "f"), ("f", "d"), ("d", "e")]
    assert ask("find_path", **{"from": "a", "to": "e", "max_hops": 2}) == {
        "success": True,
        "found": False,
        "path": [],
        "hops": 0,
    }
    assert ask("find_path", **{"from": "a", "to": "a"})["found"] is True


def test_neighbours_are_told_nearest_first_with_the_relations_among_them(ask: Any, remember: Any) -> None:
    for name in "abcde":
        remember(name)
    relate(ask, ("a", "b"), ("b", "c"), ("c", "d"), ("d", "e"), ("a", "c"))
    near = ask("neighbors", name="a")
    assert [e["name"] for e in near["entities"]] == ["a", "b", "c"]
    assert [(r["from"], r["to"]) for r in near["relations"]] == [("a", "b"), ("b", "c"), ("a", "c")]
    assert [e["name"] for e in ask("neighbors", name="a", depth=2)["entities"]] == ["a", "b", "c", "d"]
    cut = ask("neighbors", name="a", limit=1)
    assert (len(cut["entities"]), cut["more"]) == (2, True)


@pytest.mark.parametrize("method", ["find_path", "neighbors"])
def test_a_missing_end_is_not_found(ask: Any, remember: Any, method: str) -> None:
    remember("a")
    params = {"from": "a", "to": "nobody"} if method == "find_path" else {"name": "nobody"}
    assert ask(method, **params)["code"] == "not_found"
