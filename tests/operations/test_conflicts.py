"""Conflicts between memories, as a caller meets them."""

from __future__ import annotations

import sqlite3
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from enhanced_memory.service.dispatcher import MemoryDBService


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


def test_entities_of_two_types_are_in_conflict_only_where_they_name_the_same_subject(ask: Any, remember: Any) -> None:
    remember("Ann", "Prefers tea", "Lives in Graz")
    remember("user", "User prefers tabs")
    data = {"name": "new", "entityType": "preference", "observations": ["Prefers coffee"]}
    assert ask("detect_conflicts", entity_data=data)["conflicts"] == []
    data["observations"] = ["User prefers spaces"]
    assert [c["existing_entity"] for c in ask("detect_conflicts", entity_data=data)["conflicts"]] == ["user"]


def test_an_observation_without_a_subject_is_about_its_entity(ask: Any) -> None:
    entities = [
        {"name": f"place {number}", "entityType": "note", "observations": [f"Firm {number} lives in district {number}"]}
        for number in range(30)
    ]
    entities.append({"name": "Ada", "entityType": "person", "observations": ["Prefers tea", "Lives in London"]})
    entities.append({"name": "Kitchen", "entityType": "note", "observations": ["Bruno drinks oat milk"]})
    ask("create_entities", entities=entities, check_conflicts=False)
    (conflict,) = detect(ask, "Ada lives in Paris")
    assert (conflict["existing_entity"], conflict["conflict_type"]) == ("Ada", "contradiction")
    assert [e["existing"] for e in conflict["evidence"]] == ["Lives in London"]
    told = create(ask, "Trip", "Ada does not prefer tea")["results"][0]["conflicts"]
    assert [(c["existing_entity"], c["conflict_type"]) for c in told] == [("Ada", "contradiction")]
    data = {"name": "Bruno", "entityType": "person", "observations": ["Does not drink oat milk"]}
    (conflict,) = ask("detect_conflicts", entity_data=data)["conflicts"]
    assert conflict["existing_entity"] == "Kitchen"


def test_among_many_entities_one_is_held_against_what_is_said_of_it_elsewhere(ask: Any) -> None:
    entities = [
        {"name": f"Name{number}", "entityType": "person", "observations": [f"Lives in Town{number}", "Sings"]}
        for number in range(400)
    ]
    entities.append({"name": "Trips", "entityType": "note", "observations": ["Name7 lives in Town8", "Pack socks"]})
    ask("create_entities", entities=entities, check_conflicts=False)
    found = ask("detect_memory_conflicts", limit=500)["conflicts"]
    assert [c["conflict_type"] for c in found if (c["entity"], c["existing_entity"]) == ("Trips", "Name7")] == [
        "contradiction"
    ]


@pytest.mark.parametrize("others", [0, 400])
def test_tasks_that_differ_in_their_number_and_people_of_one_town_are_in_no_conflict(ask: Any, others: int) -> None:
    entities = [
        {
            "name": f"Task {number} of release 2",
            "entityType": "task",
            "observations": [f"Status is {'open' if number % 2 else 'closed'}", f"Takes {number} days"],
        }
        for number in range(1, 9)
    ]
    for name, hobby in (("Ada", "Plays chess"), ("Bruno", "Paints"), ("Chiara", "Sings in a choir")):
        entities.append({"name": name, "entityType": "person", "observations": ["Lives in London", hobby]})
    entities += [{"name": f"Filler{n}", "entityType": "word", "observations": [f"w{n} v{n}"]} for n in range(others)]
    written = ask("create_entities", entities=entities)["results"]
    assert [result["conflicts"] for result in written if result.get("conflicts")] == []
    assert ask("detect_memory_conflicts")["conflicts"] == []
    assert ask("detect_conflicts", entity_name="Ada")["conflicts"] == []


def decide(path: Path, status: str) -> None:
    """Set the status of every conflict on record."""
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE conflicts SET resolution_status = ?", (status,))
    connection.close()


@pytest.mark.parametrize("status", ["ignored", "resolved"])
def test_what_was_decided_is_found_but_not_recorded_again(ask: Any, remember: Any, tmp_path: Path, status: str) -> None:
    remember("old", "Ann likes mushrooms")
    remember("new", "Ann does not like mushrooms", "Ann lives in Graz")
    (first,) = ask("detect_conflicts", entity_name="new")["conflicts"]
    decide(tmp_path / "memory.db", status)
    (found,) = ask("detect_conflicts", entity_name="new")["conflicts"]
    assert found["conflict_id"] == first["conflict_id"]
    assert ask("detect_memory_conflicts")["conflicts"] == []
    assert ask("list_conflicts")["conflicts"] == []
    remember("old", "Ann lives in Linz")
    (found,) = ask("detect_conflicts", entity_name="new")["conflicts"]
    assert ask("list_conflicts")["conflicts"][0]["conflict_id"] == found["conflict_id"]


# ------------------------------------------------------------------------------------------------ the whole namespace


def test_the_whole_namespace_is_searched_and_what_is_found_recorded_once(ask: Any, remember: Any) -> None:
    remember("a", "The user lives in Paris")
    remember("b", "Deploys happen on Thursdays")
    remember("c", "The user moved to Berlin")
    remember("d", "Deploys happen on thursdays.")
    remember("e", "The kitchen was painted green")
    first = ask("detect_memory_conflicts")
    assert {(c["entity"], c["existing_entity"], c["conflict_type"]) for c in first["conflicts"]} == {
        ("c", "a", "update"),
        ("d", "b", "duplicate"),
    }
    assert (first["total_conflicts"], first["by_type"]) == (2, {"duplicate": 1, "update": 1})
    again = ask("detect_memory_conflicts")
    assert again["conflicts"] == first["conflicts"]
    assert ask("list_conflicts")["conflicts"] == first["conflicts"]


def test_pages_of_a_search_are_of_that_search_and_a_later_one_ends_it(ask: Any, remember: Any) -> None:
    for number in range(6):
        remember(f"e{number}", f"Room {number // 2} is painted green")
    page = ask("detect_memory_conflicts", limit=2)
    assert (len(page["conflicts"]), page["total_conflicts"]) == (2, 3)
    rest = ask("detect_memory_conflicts", limit=2, cursor=page["next_cursor"])
    assert (len(rest["conflicts"]), rest["total_conflicts"], rest["next_cursor"]) == (1, 3, None)
    ask("detect_memory_conflicts")
    assert ask("detect_memory_conflicts", limit=2, cursor=page["next_cursor"])["code"] == "invalid_params"
    assert ask("detect_memory_conflicts", cursor="nonsense")["code"] == "invalid_params"


def test_among_many_entities_the_planted_pairs_are_found_and_progress_is_told(
    ask: Any, service: MemoryDBService
) -> None:
    def sensor(number: int) -> list[str]:
        return [f"Sensor {number} is used in hall {number % 7}", f"It was bought for {number * 13} euros"]

    entities = [{"name": f"e{n}", "entityType": "thing", "observations": sensor(n)} for n in range(400)]
    planted = {
        "twin": (17, [text.upper() for text in sensor(17)], "duplicate"),
        "half": (399, [sensor(399)[0], "Nobody knows who mounted the bracket there"], "update"),
        "against": (250, ["Sensor 250 is not used in hall 5"], "contradiction"),
    }
    entities += [{"name": name, "entityType": "thing", "observations": p[1]} for name, p in planted.items()]
    ask("create_entities", entities=entities, check_conflicts=False)
    steps: list[tuple[int, int]] = []
    begun = service.running.begun

    @contextmanager
    def watched(method: str, namespace: str) -> Iterator[Any]:
        with begun(method, namespace) as tell:

            def note(done: int, total: int) -> None:
                steps.append((done, total))
                tell(done, total)

            yield note

    service.running.begun = watched  # type: ignore[method-assign]
    found = ask("detect_memory_conflicts", limit=1000)
    told = {(c["entity"], c["existing_entity"], c["conflict_type"]) for c in found["conflicts"]}
    assert {(name, f"e{number}", kind) for name, (number, _, kind) in planted.items()} <= told
    assert steps == sorted(steps, key=lambda step: step[0])
    assert steps[-1][0] == steps[-1][1] > 400


def test_a_search_of_one_type_leaves_the_others_out(ask: Any, remember: Any) -> None:
    for number, type_ in enumerate(["dog", "dog", "cat", "cat"]):
        remember(f"e{number}", f"The {type_} sleeps under the old stove", type_=type_)
    found = ask("detect_memory_conflicts", entity_type="cat")["conflicts"]
    assert [(c["entity"], c["existing_entity"]) for c in found] == [("e3", "e2")]


# ------------------------------------------------------------------------------------------------ what is written


def create(ask: Any, name: str, *observations: str, **more: Any) -> dict[str, Any]:
    entity = {"name": name, "entityType": "thing", "observations": list(observations)}
    reply: dict[str, Any] = ask("create_entities", entities=[entity], **more)
    return reply


def test_a_write_tells_and_records_what_it_is_in_conflict_with(ask: Any) -> None:
    assert "conflicts" not in create(ask, "old", "Ann likes mushrooms")["results"][0]
    (conflict,) = create(ask, "new", "Ann does not like mushrooms")["results"][0]["conflicts"]
    assert (conflict["existing_entity"], conflict["conflict_type"]) == ("old", "contradiction")
    assert ask("list_conflicts")["conflicts"][0]["conflict_id"] == conflict["conflict_id"]
    create(ask, "third", "The oven is from 1990")
    added = ask("add_observations", observations=[{"entityName": "third", "contents": ["Ann hates mushrooms"]}])
    assert "old" in {c["existing_entity"] for c in added["results"][0]["conflicts"]}


def test_nothing_is_told_where_it_is_not_asked_for_or_nothing_was_new(ask: Any) -> None:
    create(ask, "old", "Ann likes mushrooms")
    reply = create(ask, "new", "Ann does not like mushrooms", check_conflicts=False)
    assert reply.keys() | reply["results"][0].keys() & {"conflicts", "conflicts_checked"} == {"success", "results"}
    assert ask("list_conflicts")["conflicts"] == []
    assert "conflicts" not in create(ask, "new", "Ann does not like mushrooms")["results"][0]


def test_a_conflict_that_was_ignored_is_not_told_by_later_writes(ask: Any, tmp_path: Path) -> None:
    create(ask, "old", "Ann likes mushrooms")
    create(ask, "new", "Ann does not like mushrooms")
    decide(tmp_path / "memory.db", "ignored")
    added = ask("add_observations", observations=[{"entityName": "new", "contents": ["Her oven is from 1990"]}])
    assert "conflicts" not in added["results"][0]
    assert ask("list_conflicts")["conflicts"] == []


def test_a_repeated_write_gets_the_first_reply_with_its_conflicts(ask: Any) -> None:
    create(ask, "old", "Ann likes mushrooms")
    first = create(ask, "new", "Ann does not like mushrooms", request_id="r1")
    assert first["results"][0]["conflicts"]
    create(ask, "third", "Ann does not like mushrooms")
    assert create(ask, "new", "Ann does not like mushrooms", request_id="r1") == first


def test_where_there_is_no_time_for_a_check_the_reply_says_so(ask: Any, service: MemoryDBService) -> None:
    create(ask, "old", "Ann likes mushrooms")
    service._service.checks.spend(1_000)
    first = create(ask, "new", "Ann does not like mushrooms", request_id="r1")
    assert (first["conflicts_checked"], "conflicts" in first["results"][0]) == (False, False)
    assert create(ask, "new", "Ann does not like mushrooms", request_id="r1") == first
    assert ask("list_conflicts")["conflicts"] == []


def test_a_write_is_told_its_conflicts_also_where_others_have_the_processor(ask: Any) -> None:
    create(ask, "old", "Ann likes mushrooms")
    with processor_taken():
        replies = [create(ask, f"new{number}", "Ann does not like mushrooms") for number in range(5)]
    assert ["conflicts_checked" in reply for reply in replies] == [False] * 5
    assert all("old" in {c["existing_entity"] for c in reply["results"][0]["conflicts"]} for reply in replies)


@contextmanager
def processor_taken() -> Iterator[None]:
    """Another thread works meanwhile, so that this one waits a millisecond each time it let the interpreter go."""
    before, ended = sys.getswitchinterval(), threading.Event()

    def work() -> None:
        while not ended.is_set():
            sum(range(100))

    other = threading.Thread(target=work)
    sys.setswitchinterval(0.001)
    other.start()
    try:
        yield
    finally:
        ended.set()
        other.join()
        sys.setswitchinterval(before)


def test_what_long_lists_share_is_found_wherever_it_stands(ask: Any, remember: Any) -> None:
    shared = [f"gauge{n} valve{n * 3}" for n in range(60)]
    remember("old", *[f"bolt{n} nut{n * 7}" for n in range(80)], *shared, type_="fact")
    found = detect(ask, *[f"lamp{n} wire{n * 5}" for n in range(80)], *shared)
    assert [(each["existing_entity"], each["conflict_type"], each["confidence"]) for each in found] == [
        ("old", "update", 0.429)
    ]
