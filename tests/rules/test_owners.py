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


def found(old: str, new: str, one: tuple[str, str], other: tuple[str, str]) -> str | None:
    """What two entities of one observation each are to one another."""
    verdict = compare([old], [new], same_type=one[1] == other[1], owners=(owner_of(*one), owner_of(*other)))
    return None if verdict is None else verdict.conflict_type


def test_things_told_apart_by_their_number_may_differ_in_all_they_say_of_themselves() -> None:
    one, other = ("Task 1 of release 2", "task"), ("Task 95 of release 2", "task")
    assert found("Status is open", "Status is closed", one, other) is None
    assert found("Takes 3 days", "Takes 5 days", one, other) is None
    assert found("Port is 80", "Port is 443", ("web-01", "host"), ("web-02", "host")) is None
    assert found("Status is open", "Status is closed", one, ("Task 01 of release 2", "task")) == "contradiction"
    assert found("Port is 80", "Port is 443", ("billing-01", "host"), ("web-02", "host")) == "contradiction"
    assert found("User prefers tabs", "User prefers spaces", one, other) == "contradiction"
    assert found("The office is in Berlin", "The office is in Rome", one, other) == "contradiction"
    assert found("Prefers tea", "Prefers coffee", ("Note 1", "note"), ("Note 2", "note")) == "contradiction"
    assert found("Prefers tea", "Prefers coffee", ("item1", "fact"), ("item2", "fact")) == "contradiction"


def test_one_thing_in_common_makes_two_people_no_duplicate_and_no_update() -> None:
    people = owner_of("Ada", "person"), owner_of("Bruno", "person")
    same = owner_of("Ada", "person"), owner_of("Ada Byron", "person")
    home = ["Lives in London", "Plays chess"], ["Lives in London", "Paints"]
    assert compare(*home, owners=people) is None
    assert compare(*home, owners=people, pairs=[("Lives in London", "Lives in London")]) is None
    assert compare(*home, owners=people, pairs=[]) is None
    assert compare(["Lives in London"], ["Lives in London"], owners=people) is None
    known = compare(*home, owners=same)
    assert known is not None
    assert known.conflict_type == "update"
    twice = compare(["Lives in London", "Plays chess"], ["Plays chess", "Lives in London"], owners=people)
    assert twice is not None
    assert twice.conflict_type == "duplicate"
    about_the_user = compare(["User lives in London"], ["User lives in London"], owners=people)
    assert about_the_user is not None
    assert about_the_user.conflict_type == "duplicate"
