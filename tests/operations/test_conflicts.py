"""Conflicts between memories, as a caller meets them."""

from __future__ import annotations

from typing import Any

import pytest


def detect(ask: Any, *observations: str, name: str = "new", **more: Any) -> list[dict[str, Any]]:
    data = {"name": name, "entityType": "fact", "observations": list(observations)}
    reply = ask("detect_conflicts", entity_data=data, **more)
    assert reply["conflict_count"] == len(reply["conflicts"])
    found: list[dict[str, Any]] = reply["conflicts"]
    return found


@pytest.mark.parametrize(
    ("old", "new", "kind", "action"),
    [
        ("Ann likes mushrooms", "Ann does not like mushrooms", "contradiction", "review"),
        ("The user lives in Paris", "The user moved to Berlin", "update", "update"),
        ("Deploys happen on Thursdays", "Deploys happen on thursdays.", "duplicate", "merge"),
    ],
)
def test_a_pair_is_judged_and_its_evidence_shown(
    ask: Any, remember: Any, old: str, new: str, kind: str, action: str
) -> None:
    remember("old", old)
    (conflict,) = detect(ask, new)
    assert (conflict["existing_entity"], conflict["conflict_type"], conflict["suggested_action"]) == (
        "old",
        kind,
        action,
    )
    assert [(e["new"], e["existing"]) for e in conflict["evidence"]] == [(new, old)]


def test_the_share_of_common_observations_decides_between_duplicate_and_update(ask: Any, remember: Any) -> None:
    facts = [f"Fact {letter} about the {letter} thing" for letter in "abcdefghij"]
    remember("ten", *facts)
    assert detect(ask, *facts[:9])[0]["conflict_type"] == "duplicate"
    assert detect(ask, *facts[:5])[0]["conflict_type"] == "update"
    assert detect(ask, *facts[:9], threshold=0.95)[0]["conflict_type"] == "update"


def test_an_entity_is_in_no_conflict_with_itself(ask: Any, remember: Any) -> None:
    remember("Ann", "Ann likes tea")
    assert detect(ask, "Ann likes tea", name="Ann") == []


def test_unrelated_memories_are_no_conflict(ask: Any, remember: Any) -> None:
    remember("old", "The kitchen was painted green")
    assert detect(ask, "Ann speaks Portuguese") == []


def test_findings_for_a_stored_entity_are_recorded_once_and_listed(ask: Any, remember: Any) -> None:
    remember("old", "Ann likes mushrooms")
    remember("new", "Ann does not like mushrooms")
    first = ask("detect_conflicts", entity_name="new")["conflicts"][0]["conflict_id"]
    assert ask("detect_conflicts", entity_name="new")["conflicts"][0]["conflict_id"] == first
    listed = ask("list_conflicts")["conflicts"]
    assert [(c["conflict_id"], c["entity"], c["existing_entity"]) for c in listed] == [(first, "new", "old")]
    assert ask("get_memory_status")["conflicts"] == {"pending": 1}


def test_a_duplicate_is_found_wherever_it_lies(ask: Any, remember: Any) -> None:
    for number in range(120):
        remember(f"e{number}", f"Sensor {number * 37} reports {number * 11} degrees in hall {number}")
    for number in (0, 60, 119):
        found = detect(ask, f"Sensor {number * 37} reports {number * 11} degrees in hall {number}")
        assert (found[0]["existing_entity"], found[0]["conflict_type"]) == (f"e{number}", "duplicate")


def test_one_of_data_and_name_is_needed(ask: Any) -> None:
    assert ask("detect_conflicts")["code"] == "invalid_params"
    assert ask("detect_conflicts", entity_name="nobody")["code"] == "not_found"
