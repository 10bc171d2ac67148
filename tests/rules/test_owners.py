"""Whom observations without a subject are about."""

from __future__ import annotations

import pytest

from enhanced_memory.rules.conflicts import compare, judge_owned
from enhanced_memory.rules.owners import NOBODY, names_at_start, names_subject, owner_of


@pytest.mark.parametrize(
    ("name", "entity_type", "observation", "said"),
    [
        ("Ada", "person", "Ada lives in Paris", "lives in Paris"),
        ("Ada", "person", "ada's manager is Wei", "manager is Wei"),
        ("checkout-service", "service", "The checkout service listens on port 9090", "listens on port 9090"),
        ("Ada Byron", "person", "Ada lives in Paris", "lives in Paris"),
        ("Ada", "person", "8 May 2023 Ada: I live in Paris", "I live in Paris"),
        ("Ada Byron", "person", "Ada Lovelace lives in Paris", None),
        ("Mobile App", "project", "Mobile is slow", None),
        ("Ada", "person", "Adam lives in Paris", None),
        ("Ada", "person", "Lives with Ada", None),
        ("42", "ticket", "42 is open", None),
    ],
)
def test_an_observation_that_begins_with_the_name_speaks_of_the_entity(
    name: str, entity_type: str, observation: str, said: str | None
) -> None:
    assert names_subject(observation, owner_of(name, entity_type)) == said


def test_an_observation_without_a_subject_is_about_its_entity() -> None:
    ada, notes = owner_of("Ada", "person"), owner_of("Trip planning", "note")
    for old, new in (("Lives in London", "Ada lives in Paris"), ("is allergic to nuts", "Ada is not allergic to nuts")):
        for finding in (judge_owned(old, new, ada, notes), judge_owned(new, old, notes, ada)):
            assert finding is not None
            assert finding.kind == "contradiction"
        assert judge_owned(old, new, NOBODY, NOBODY) is None
    assert compare(["Lives in London"], ["Ada lives in Paris"], same_type=False, owners=(ada, notes)) is not None


@pytest.mark.parametrize("old", ["User prefers tabs", "The user prefers tabs", "I prefer tabs", "Bruno prefers tabs"])
def test_what_names_its_subject_is_not_about_the_entity(old: str) -> None:
    owners = owner_of("Ada", "person"), owner_of("Style", "note")
    assert judge_owned(old, "Ada prefers spaces", *owners) is None


def test_two_people_may_live_in_two_places_but_one_under_two_names_may_not() -> None:
    def found(one: str, other: str, entity_type: str) -> bool:
        owners = owner_of(one, entity_type), owner_of(other, entity_type)
        return judge_owned("Lives in London", "Lives in Paris", *owners) is not None

    assert not found("Ada", "Bruno", "person")
    assert found("Ada", "Ada Byron", "person")
    assert found("Ada", "Adele, Ada's other name", "person")
    assert found("old", "new", "note")
    owners = owner_of("Ada", "person"), owner_of("Bruno", "person")
    assert judge_owned("User lives in London", "User lives in Paris", *owners) is not None


def test_names_are_those_written_before_the_verb() -> None:
    assert names_at_start("Ada's manager is Wei")[:2] == ("Ada", "ada")
    assert {"checkout service", "checkout-service", "Checkout service"} <= set(
        names_at_start("The checkout service is up")
    )
    assert names_at_start("User lives here") == names_at_start("") == names_at_start("Ada") == ()
