"""Conflicts that a change of a memory settles, or opens again, without anybody deciding."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

GRAZ, VIENNA = "Ben lives in Graz", "Ben lives in Vienna"


@pytest.fixture
def conflict(ask: Any) -> int:
    """Ben and Ben Hall, who live in two towns; gives the number of the contradiction between them."""
    for name, lives in (("Ben", GRAZ), ("Ben Hall", VIENNA)):
        entity = {"name": name, "entityType": "person", "observations": [f"{name} plays go", lives]}
        reply = ask("create_entities", entities=[entity])
        assert reply["success"]
    (found,) = reply["results"][0]["conflicts"]
    assert found["conflict_type"] == "contradiction"
    number: int = found["conflict_id"]
    return number


def numbers(ask: Any, status: str) -> list[int]:
    return [each["conflict_id"] for each in ask("list_conflicts", status=status)["conflicts"]]


def replaced(ask: Any, name: str, *observations: str) -> None:
    entity = {"name": name, "entityType": "person", "observations": list(observations)}
    assert ask("create_entities", entities=[entity], on_existing="replace", check_conflicts=False)["success"]


def deleted(ask: Any, name: str, observation: str) -> None:
    assert ask("delete_observations", deletions=[{"entityName": name, "observations": [observation]}])["success"]


@pytest.mark.parametrize(
    "change",
    [
        lambda ask: replaced(ask, "Ben", "Ben lives in Linz"),
        lambda ask: replaced(ask, "Ben Hall", "Ben Hall plays go"),
        lambda ask: deleted(ask, "Ben Hall", VIENNA),
        lambda ask: deleted(ask, "Ben", GRAZ),
    ],
)
def test_a_conflict_is_settled_by_the_change_that_takes_its_evidence_away(
    ask: Any, conflict: int, change: Callable[[Any], None]
) -> None:
    change(ask)
    assert numbers(ask, "pending") == []
    assert ask("get_memory_status")["conflicts"] == {"pending": 0}
    (settled,) = ask("list_conflicts", status="resolved")["conflicts"]
    assert (settled["conflict_id"], settled["resolution"]["strategy"]) == (conflict, "outdated")
    assert {(each["new"], each["existing"]) for each in settled["evidence"]} == {(VIENNA, GRAZ)}


def test_a_change_that_leaves_the_evidence_leaves_the_conflict_pending(ask: Any, conflict: int) -> None:
    deleted(ask, "Ben", "Ben plays go")
    replaced(ask, "Ben Hall", VIENNA, "Ben Hall sings")
    assert ask("add_observations", observations=[{"entityName": "Ben", "contents": ["Ben has a dog"]}])["success"]
    assert ask("update_entity", entityName="Ben", entityType="human")["success"]
    assert numbers(ask, "pending") == [conflict]


@pytest.mark.parametrize("dry_run", [True, False])
def test_a_conflict_that_a_change_settled_cannot_be_merged_by_mistake(ask: Any, conflict: int, dry_run: bool) -> None:
    replaced(ask, "Ben", "Ben likes tea")
    reply = ask("resolve_conflict", conflict_id=conflict, strategy="merge", dry_run=dry_run)
    assert (reply["success"], reply["code"]) == (False, "version_conflict")
    assert "its evidence is no longer there" in reply["error"]
    assert ask("open_nodes", names=["Ben", "Ben Hall"])["missing"] == []


def test_going_back_opens_what_the_change_settled(ask: Any, conflict: int) -> None:
    before = ask("list_conflicts")
    replaced(ask, "Ben", "Ben likes tea")
    assert ask("memory_revert", entity_name="Ben", version=1)["success"]
    assert ask("list_conflicts") == before
    deleted(ask, "Ben", GRAZ)  # what it said last, so that going back only adds
    assert numbers(ask, "pending") == []
    assert ask("memory_revert", entity_name="Ben", version=1)["success"]
    assert ask("list_conflicts") == before


def test_another_branch_that_says_otherwise_settles_a_conflict_and_coming_back_opens_it(
    ask: Any, conflict: int
) -> None:
    assert ask("memory_branch", entity_name="Ben", branch_name="idea")["success"]
    assert ask("memory_checkout", entity_name="Ben", branch_name="idea")["success"]
    assert numbers(ask, "pending") == [conflict]
    deleted(ask, "Ben", GRAZ)
    assert numbers(ask, "pending") == []
    assert ask("memory_checkout", entity_name="Ben", branch_name="main")["success"]
    assert numbers(ask, "pending") == [conflict]
    assert ask("memory_checkout", entity_name="Ben", branch_name="idea")["success"]
    assert numbers(ask, "pending") == []


def test_a_conflict_is_opened_again_only_when_both_say_it_again(ask: Any, conflict: int) -> None:
    deleted(ask, "Ben", GRAZ)
    deleted(ask, "Ben Hall", VIENNA)
    assert ask("memory_revert", entity_name="Ben", version=1)["success"]
    assert numbers(ask, "pending") == []
    assert ask("memory_revert", entity_name="Ben Hall", version=1)["success"]
    assert numbers(ask, "pending") == [conflict]


def test_a_deleted_memory_that_comes_back_without_the_evidence_settles_the_conflict(ask: Any, conflict: int) -> None:
    deleted(ask, "Ben", GRAZ)
    assert ask("memory_revert", entity_name="Ben", version=1)["success"]
    assert ask("delete_entities", entityNames=["Ben"])["success"]
    assert ask("memory_revert", entity_name="Ben", version=2)["success"]
    assert numbers(ask, "pending") == []


def test_a_settled_conflict_that_is_said_anew_is_found_anew(ask: Any, conflict: int) -> None:
    deleted(ask, "Ben", GRAZ)
    reply = ask("add_observations", observations=[{"entityName": "Ben", "contents": [GRAZ]}])
    (found,) = reply["results"][0]["conflicts"]
    assert numbers(ask, "pending") == [found["conflict_id"]]


def test_a_settled_conflict_can_be_opened_by_hand_and_then_decided(ask: Any, conflict: int) -> None:
    deleted(ask, "Ben", GRAZ)
    reopened = ask("reopen_conflict", conflict_id=conflict)
    assert (reopened["undone"], reopened["updated_entities"]) == ("outdated", [])
    assert numbers(ask, "pending") == [conflict]
    assert ask("resolve_conflict", conflict_id=conflict, strategy="merge")["action_taken"] == "merged"


def test_a_settled_conflict_is_no_hindrance_to_reopening_one_that_was_decided_before(ask: Any, conflict: int) -> None:
    other = {"name": "Benny", "entityType": "person", "observations": ["Ben plays go", "Ben has a dog", "Ben sings"]}
    assert ask("create_entities", entities=[other], check_conflicts=False)["success"]
    ids = {each["name"]: each["id"] for each in ask("search_nodes", query="", limit=9)["results"]}
    told = {"entity_id": ids["Benny"], "existing_id": ids["Ben"], "conflict_type": "update"}
    number = ask("resolve_conflict", conflict_data=told)["details"]["conflict_id"]
    deleted(ask, "Ben Hall", VIENNA)
    assert numbers(ask, "resolved") == [conflict, number]
    assert ask("reopen_conflict", conflict_id=number)["success"]


def test_what_a_caller_tells_of_is_not_what_a_change_settled(ask: Any, conflict: int) -> None:
    deleted(ask, "Ben", GRAZ)
    ids = {each["name"]: each["id"] for each in ask("search_nodes", query="", limit=9)["results"]}
    told = {"entity_id": ids["Ben Hall"], "existing_id": ids["Ben"], "conflict_type": "contradiction"}
    reply = ask("resolve_conflict", conflict_data=told, strategy="merge")
    assert reply["action_taken"] == "merged"
    assert reply["details"]["conflict_id"] != conflict


def test_a_decision_stays_whatever_changes_later(ask: Any, conflict: int) -> None:
    assert ask("resolve_conflict", conflict_id=conflict, strategy="ignore")["success"]
    deleted(ask, "Ben", GRAZ)
    assert ask("memory_revert", entity_name="Ben", version=1)["success"]
    assert (numbers(ask, "pending"), numbers(ask, "ignored")) == ([], [conflict])
