"""Tiers as a caller meets them: promotion, the log, curation, and its undoing."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from enhanced_memory.errors import ShuttingDown
from enhanced_memory.operations import curation
from enhanced_memory.registry import operations
from enhanced_memory.service.dispatcher import MemoryDBService
from enhanced_memory.settings import Settings
from enhanced_memory.store.sqlite.store import SQLiteStore

START = datetime(2026, 1, 1, tzinfo=UTC)


class Memory:
    """A service whose clock stands still until it is moved."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.now = START
        self._open()

    def _open(self) -> None:
        self.service = MemoryDBService(Settings.load({"db_path": str(self.path)}), clock=lambda: self.now)

    def pass_days(self, days: float) -> None:
        """Let time pass; what was read until now counts as read by then."""
        self.service.close()
        self.now += timedelta(days=days)
        self._open()

    def ask(self, method: str, /, namespace: str = "default", **params: Any) -> dict[str, Any]:
        """The reply, which must be a success of the declared shape."""
        reply = self.service.handle_request({"method": method, "params": params, "namespace": namespace})
        assert reply["success"], reply
        operations()[method].check_result({key: value for key, value in reply.items() if key != "success"})
        return reply

    def fail(self, method: str, /, **params: Any) -> str:
        """The code of a reply that must be a failure."""
        return str(self.service.handle_request({"method": method, "params": params})["code"])

    def add(self, name: str, *observations: str, type_: str = "event", **fields: Any) -> None:
        """Remember something."""
        self.ask(
            "create_entities",
            entities=[{"name": name, "entityType": type_, "observations": list(observations), **fields}],
        )

    def episodes(self, *names: str, said: tuple[str, ...] = ("Deploys run at noon",), **fields: Any) -> None:
        """Episodes that say the same, and each something of its own."""
        for name in names:
            self.add(name, f"only {name} knows this", *said, tier="episodic", **fields)

    def tier(self, name: str) -> str:
        """The tier an entity is in."""
        return str(self.open(name)["tier"])

    def open(self, name: str) -> dict[str, Any]:
        """The entity."""
        (found,) = self.ask("open_nodes", names=[name])["entities"]
        return dict(found)

    def sources(self, name: str) -> list[str]:
        """What the entity is derived from."""
        relations = self.ask("open_nodes", names=[name])["relations"]
        return [r["to"] for r in relations if r["relationType"] == "derived_from" and r["from"] == name]

    def curate(self, **params: Any) -> dict[str, Any]:
        """A curation."""
        return self.ask("autonomous_curation", **params)

    def state(self) -> tuple[list[Any], ...]:
        """All that a reader can see, but for what reading itself changes."""
        self.ask("ping")
        with sqlite3.connect(f"file:{self.path}?mode=ro", uri=True) as db:
            found = (
                db.execute(
                    "SELECT name, tier, entity_type, checksum, always_include, relevance_score, last_confirmed"
                    " FROM entities WHERE deleted_at IS NULL ORDER BY id"
                ).fetchall(),
                db.execute(
                    "SELECT from_entity_id, to_entity_id, relation_type, strength FROM relations"
                    " WHERE deleted_at IS NULL ORDER BY 1, 2, 3"
                ).fetchall(),
            )
        db.close()
        return found


@pytest.fixture
def memory(tmp_path: Path) -> Iterator[Memory]:
    """An empty one."""
    opened = Memory(tmp_path / "memory.db")
    yield opened
    opened.service.close()


# ---------------------------------------------------------------------------------------------------------- promotion


def test_an_entity_is_moved_to_any_tier_by_name_or_number_and_the_log_tells_it(memory: Memory) -> None:
    memory.add("a", "x")
    number = memory.ask("search_nodes", query="a")["results"][0]["id"]
    seen = []
    for tier, by in (
        ("procedural", {"entityName": "a"}),
        ("working", {"entity_id": number}),
        ("semantic", {"entityName": "a", "reason": "it lasts"}),
        ("episodic", {"entity_id": number}),
    ):
        reply = memory.ask("promote_to_tier", new_tier=tier, **by)
        assert (reply["id"], reply["name"], reply["to_tier"]) == (number, "a", tier)
        assert memory.tier("a") == tier
        seen.append((reply["from_tier"], tier))
    log = memory.ask("list_transitions", entityName="a")
    assert [(line["from_tier"], line["to_tier"]) for line in log["transitions"]] == seen[::-1]
    assert [line["reason"] for line in log["transitions"]] == [None, "it lasts", None, None]
    assert log["next_cursor"] is None


def test_a_move_to_the_tier_it_is_in_is_no_transition(memory: Memory) -> None:
    memory.add("a", "x")
    reply = memory.ask("promote_to_tier", entityName="a", new_tier="working")
    assert (reply["from_tier"], reply["to_tier"]) == ("working", "working")
    assert memory.ask("list_transitions")["transitions"] == []


def test_a_move_that_names_nothing_both_or_a_stranger_is_refused(memory: Memory) -> None:
    memory.add("a", "x")
    assert memory.fail("promote_to_tier", new_tier="semantic") == "invalid_params"
    assert memory.fail("promote_to_tier", new_tier="semantic", entity_id=1, entityName="a") == "invalid_params"
    assert memory.fail("promote_to_tier", new_tier="famous", entityName="a") == "invalid_params"
    assert memory.fail("promote_to_tier", new_tier="semantic", entityName="b") == "not_found"
    assert memory.fail("promote_to_tier", new_tier="semantic", entity_id=99) == "not_found"
    memory.ask("create_entities", namespace="other", entities=[{"name": "o", "entityType": "t", "observations": []}])
    assert memory.fail("promote_to_tier", new_tier="semantic", entity_id=2) == "not_found"
    assert memory.tier("a") == "working"


def test_the_log_is_paged_and_keeps_to_its_namespace(memory: Memory) -> None:
    memory.add("a", "x")
    for tier in ("episodic", "semantic", "procedural"):
        memory.ask("promote_to_tier", entityName="a", new_tier=tier)
    first = memory.ask("list_transitions", limit=2)
    rest = memory.ask("list_transitions", limit=2, cursor=first["next_cursor"])
    assert [line["to_tier"] for line in first["transitions"] + rest["transitions"]] == [
        "procedural",
        "semantic",
        "episodic",
    ]
    assert rest["next_cursor"] is None
    assert memory.ask("list_transitions", namespace="other")["transitions"] == []


# ---------------------------------------------------------------------------------------------------------- relevance


def test_confirming_gives_a_faded_memory_its_relevance_back(memory: Memory) -> None:
    memory.add("a", "tea")
    memory.pass_days(69)
    assert memory.ask("search_nodes", query="tea")["results"][0]["relevance_score"] == 0.5
    memory.ask("confirm_entities", entityNames=["a"])
    assert memory.ask("search_nodes", query="tea")["results"][0]["relevance_score"] == 1.0


@pytest.mark.parametrize("query", ["tea", ""])
def test_a_search_for_what_is_relevant_is_not_used_up_by_what_is_not(memory: Memory, query: str) -> None:
    memory.add("fresh", "a word about a kettle with tea in it and more")
    for number in range(30):
        memory.add(f"tea {number}", "tea", relevance_score=0.2)
    found = memory.ask("search_nodes", query=query, limit=2, min_relevance=0.5)
    assert [result["name"] for result in found["results"]] == ["fresh"]
    assert found["more"] is False


def test_of_two_equal_memories_the_more_relevant_comes_first_also_in_a_context(memory: Memory) -> None:
    memory.add("weak", "drinks oolong", relevance_score=0.2)
    memory.add("strong", "drinks oolong", relevance_score=0.9)
    memory.add("newer", "drinks oolong", relevance_score=0.2)
    assert memory.ask("search_nodes", query="oolong")["results"][0]["name"] == "strong"
    assert memory.ask("get_context", query="oolong")["entities"][0]["name"] == "strong"


# -------------------------------------------------------------------------------------------------- working, episodic


def test_old_memories_that_nobody_reads_become_episodes_and_others_stay(memory: Memory) -> None:
    for name in ("old", "often", "lately", "pinned"):
        memory.add(name, f"about {name}", always_include=name == "pinned")
    for _ in range(3):
        memory.ask("open_nodes", names=["often"])
    memory.pass_days(20)
    memory.ask("open_nodes", names=["lately"])
    memory.pass_days(5)
    memory.add("young", "about young")
    memory.pass_days(6)
    memory.ask("open_nodes", names=["lately"])
    memory.pass_days(1.5)
    reply = memory.curate()
    assert reply["promoted_to_episodic"] == 1
    assert reply["moves"] == [
        {
            "name": "old",
            "from": "working",
            "to": "episodic",
            "reason": "32 days old, never read, not at all in the last 7 days",
            "action": "moved",
        }
    ]
    names = ("old", "often", "lately", "pinned", "young")
    assert [memory.tier(name) for name in names] == ["episodic", *["working"] * 4]


@pytest.mark.parametrize(
    "form",
    [
        "%Y-%m-%dT%H:%M:%S.%fZ",
        "%Y-%m-%dT%H:%M:%SZ",
        "%Y-%m-%dT%H:%M:%S+00:00",
        "%Y-%m-%d %H:%M:%SZ",
        "%Y-%m-%d %H:%M:%S",
        "%Y-%m-%dT%H:%M:%S.%f",
        "%Y-%m-%d",
    ],
)
def test_times_that_another_program_wrote_are_read_as_times_and_as_utc_where_they_name_no_zone(
    memory: Memory, form: str
) -> None:
    memory.add("old", "zebra stripes")
    memory.add("fresh", "zebra hooves")
    memory.ask("search_nodes", query="zebra")
    created = memory.now - timedelta(days=69)
    with sqlite3.connect(memory.path) as db:
        db.execute(
            "UPDATE entities SET created_at = ?, last_accessed = ?, access_count = 0 WHERE name = 'old'",
            (created.strftime(form), created.strftime(form)),
        )
    db.close()
    found = {each["name"]: each for each in memory.ask("search_nodes", query="zebra")["results"]}
    assert found["old"]["observations"] == ["zebra stripes"]
    assert found["old"]["relevance_score"] == pytest.approx(0.5, abs=0.01)
    assert found["old"]["created"][:10] == created.strftime("%Y-%m-%d")
    assert found["old"]["created"][26:] == "Z"
    assert memory.ask("memory_history", entity_name="old")["versions"][0]["created"] == found["old"]["created"]
    assert memory.ask("verify_database")["ok"]
    with sqlite3.connect(memory.path) as db:
        db.execute("UPDATE entities SET access_count = 0, last_accessed = created_at WHERE name = 'old'")
    db.close()
    assert [move["name"] for move in memory.curate()["moves"]] == ["old"]


def test_a_dry_run_tells_what_a_run_does_and_changes_nothing(memory: Memory) -> None:
    memory.add("old", "something")
    memory.episodes("a", "b", "c")
    memory.pass_days(40)
    before = memory.state()
    dry = memory.curate(dry_run=True)
    assert dry["run_id"] is None
    assert memory.state() == before
    assert memory.ask("list_transitions")["transitions"] == []
    wet = memory.curate()
    assert {**wet, "run_id": None, "dry_run": True} == dry
    assert memory.state() != before


def test_a_second_run_finds_nothing_left_to_do(memory: Memory) -> None:
    memory.add("old", "something")
    memory.episodes("a", "b", "c", said=("x y", "z"))
    memory.pass_days(40)
    assert memory.curate()["moves_total"] == 2
    before = memory.state()
    again = memory.curate()
    assert (again["moves"], again["moves_total"]) == ([], 0)
    assert memory.state() == before


def test_what_has_faded_to_the_least_is_counted_and_left_as_it_is(memory: Memory) -> None:
    memory.add("faded", "x", tier="semantic", relevance_score=0.2)
    memory.add("pinned", "x", tier="semantic", relevance_score=0.2, always_include=True)
    memory.add("fresh", "x", tier="semantic")
    memory.pass_days(70)
    before = memory.state()
    assert memory.curate()["decayed"] == 1
    assert memory.state() == before


def test_a_run_works_in_the_namespace_it_is_given(memory: Memory) -> None:
    memory.add("here", "x")
    memory.ask(
        "create_entities", namespace="other", entities=[{"name": "there", "entityType": "t", "observations": []}]
    )
    memory.pass_days(40)
    reply = memory.curate(namespace="other")
    assert ([move["name"] for move in reply["moves"]], reply["namespace"]) == (["there"], "other")
    assert memory.tier("here") == "working"
    assert memory.ask("undo_curation", run_id=reply["run_id"])["restored"] == 1
    nothing = memory.curate(namespace="nobody")
    assert (nothing["run_id"], nothing["moves"]) == (None, [])
    assert "nobody" not in memory.ask("get_memory_status")["namespaces"]


# -------------------------------------------------------------------------------------------------- episodic, semantic


def test_what_three_episodes_share_becomes_one_semantic_memory_derived_from_them(memory: Memory) -> None:
    memory.add("mon", "Deploys run at noon.", "rain", tier="episodic", type_="event")
    memory.add("tue", "deploys run at  NOON", "sun", tier="episodic", type_="event")
    memory.add("wed", "Deploys run, at noon", "snow", tier="episodic", type_="event")
    memory.add("a person", "Deploys run at noon", tier="episodic", type_="person")
    reply = memory.curate()
    (move,) = reply["moves"]
    assert (reply["promoted_to_semantic"], move["action"], move["confidence"]) == (1, "made", 0.8)
    known = memory.open(move["name"])
    assert (known["tier"], known["entityType"], known["observations"]) == (
        "semantic",
        "event",
        ["Deploys run at noon."],
    )
    assert memory.sources(move["name"]) == ["mon", "tue", "wed"]
    assert [memory.tier(name) for name in ("mon", "tue", "wed")] == ["episodic"] * 3
    found = memory.ask("search_nodes", query="noon", tier="semantic")["results"]
    assert [(each["name"], each["relevance_score"]) for each in found] == [(move["name"], 0.8)]


def test_two_episodes_are_not_enough(memory: Memory) -> None:
    memory.episodes("a", "b")
    memory.add("c", "Deploys run at noon", tier="episodic", type_="other")
    assert memory.curate()["moves"] == []


def test_episodes_that_join_later_make_the_same_memory_grow_whatever_it_is_called(memory: Memory) -> None:
    memory.episodes("a", "b", "c")
    (made,) = memory.curate()["moves"]
    memory.ask("update_entity", entityName=made["name"], name="the noon rule")
    memory.episodes("d", said=("Deploys run at noon", "A bell rings"))
    for name in ("a", "b"):
        memory.ask("add_observations", observations=[{"entityName": name, "contents": ["a bell rings!"]}])
    (grown,) = memory.curate()["moves"]
    assert (grown["name"], grown["action"]) == ("the noon rule", "grown")
    assert memory.open("the noon rule")["observations"] == ["Deploys run at noon", "a bell rings!"]
    assert memory.sources("the noon rule") == ["a", "b", "c", "d"]
    assert memory.ask("get_memory_status")["by_tier"]["semantic"] == 1
    assert memory.curate()["moves"] == []


def test_one_more_episode_that_says_the_same_is_related_and_raises_the_confidence(memory: Memory) -> None:
    memory.episodes("a", "b", "c")
    (made,) = memory.curate()["moves"]
    memory.episodes("d")
    (grown,) = memory.curate()["moves"]
    assert (made["confidence"], grown["confidence"]) == (0.8, 0.833)
    assert grown["reason"] == "1 more episode says the same"
    assert memory.sources(made["name"]) == ["a", "b", "c", "d"]
    assert memory.open(made["name"])["version"] == 1


def test_different_subjects_become_different_memories(memory: Memory) -> None:
    memory.episodes("a", "b", "c", said=("tea is served", "at four"))
    memory.episodes("d", "e", "f", said=("the gate is shut",))
    moves = memory.curate()["moves"]
    assert [memory.sources(move["name"]) for move in moves] == [["a", "b", "c"], ["d", "e", "f"]]
    assert memory.open(moves[0]["name"])["observations"] == ["tea is served", "at four"]


def test_what_a_person_took_out_or_deleted_is_not_made_again(memory: Memory) -> None:
    memory.episodes("a", "b", "c", said=("one thing", "another thing"))
    memory.episodes("d", "e", "f", said=("a third thing",))
    first, second = (move["name"] for move in memory.curate()["moves"])
    memory.ask("delete_observations", deletions=[{"entityName": first, "observations": ["one thing"]}])
    memory.ask("delete_entities", entityNames=[second])
    before = memory.state()
    assert memory.curate()["moves"] == []
    assert memory.state() == before


def test_pinned_episodes_and_pinned_knowledge_are_left_alone(memory: Memory) -> None:
    memory.episodes("a", "b")
    memory.episodes("c", always_include=True)
    assert memory.curate()["moves"] == []
    memory.ask("update_entity", entityName="c", always_include=False)
    (made,) = memory.curate()["moves"]
    memory.ask("update_entity", entityName=made["name"], always_include=True)
    memory.episodes("d")
    assert memory.curate()["moves"] == []
    assert memory.ask("get_memory_status")["by_tier"]["semantic"] == 1


def test_a_name_that_is_taken_gets_a_number_and_one_of_many_lines_a_short_plain_name(memory: Memory) -> None:
    memory.add("event: Deploys run at noon", "a memory of its own")
    memory.episodes("a", "b", "c")
    memory.episodes("d", "e", "f", said=("first\nline\tand\x1b" + "long " * 100,))
    names = [move["name"] for move in memory.curate()["moves"]]
    assert names[0] == "event: Deploys run at noon (2)"
    assert names[1].startswith("event: first line and long long")
    assert len(names[1]) == 80


def test_many_episodes_and_observations_are_consolidated_whole(memory: Memory) -> None:
    facts = tuple(f"fact number {chr(97 + at % 26)}{at}" for at in range(60))
    names = [f"e{at:03}" for at in range(230)]
    memory.episodes(*names, said=facts)
    before = memory.state()
    reply = memory.curate()
    (made,) = reply["moves"]
    assert memory.open(made["name"])["observations"] == list(facts)
    assert memory.sources(made["name"]) == names
    assert memory.curate()["moves"] == []
    assert memory.ask("undo_curation", run_id=reply["run_id"])["deleted"] == 1
    assert memory.state() == before


# ---------------------------------------------------------------------------------------------------------- procedural


def test_what_bears_the_name_of_a_skill_that_ran_well_three_times_becomes_procedural(memory: Memory) -> None:
    for name, tier in (("deploy", "episodic"), ("rollback", "semantic"), ("restart", "semantic"), ("now", "working")):
        memory.add(name, f"how to {name}", tier=tier)
    memory.service.close()
    with sqlite3.connect(memory.path) as db:
        db.executemany(
            "INSERT INTO skills (namespace_id, name, version, description, code, created_at, run_count, success_count,"
            " deleted_at) VALUES (1, ?, ?, '', '', '2026-01-01T00:00:00.000000Z', 9, ?, ?)",
            [
                *(("deploy", 1, 1, None), ("deploy", 2, 2, None), ("rollback", 1, 2, None)),
                *(("restart", 1, 9, "2026-01-01T00:00:00.000000Z"), ("now", 1, 9, None)),
            ],
        )
    db.close()
    memory.pass_days(1)
    reply = memory.curate()
    assert [(move["name"], move["from"], move["to"]) for move in reply["moves"]] == [
        ("deploy", "episodic", "procedural")
    ]
    assert reply["promoted_to_procedural"] == 1


# --------------------------------------------------------------------------------------------------------------- undo


def test_undoing_puts_everything_back_and_undoing_twice_changes_nothing(memory: Memory) -> None:
    memory.add("old", "something")
    memory.episodes("a", "b", "c")
    memory.pass_days(40)
    before = memory.state()
    run_id = memory.curate()["run_id"]
    undone = memory.ask("undo_curation", run_id=run_id)
    assert (undone["undone"], undone["restored"], undone["deleted"], undone["skipped"]) == (True, 1, 1, [])
    assert memory.state() == before
    again = memory.ask("undo_curation", run_id=run_id)
    assert (again["undone"], again["restored"], again["deleted"]) == (False, 0, 0)
    assert memory.state() == before
    log = memory.ask("list_transitions", run_id=f"undo:{run_id}")["transitions"]
    assert {(line["from_tier"], line["to_tier"]) for line in log} == {("episodic", "working"), ("semantic", "episodic")}


def test_undoing_growth_gives_back_what_was_said_before(memory: Memory) -> None:
    memory.episodes("a", "b", "c")
    (made,) = memory.curate()["moves"]
    memory.episodes("d", "e", "f", said=("Deploys run at noon", "a bell rings"))
    before = memory.state()
    run_id = memory.curate()["run_id"]
    assert memory.open(made["name"])["observations"] == ["Deploys run at noon", "a bell rings"]
    assert memory.ask("undo_curation", run_id=run_id)["reverted"] == 1
    assert memory.state() == before
    assert [move["action"] for move in memory.curate()["moves"]] == ["grown"]


def test_undoing_keeps_later_changes_and_tells_them(memory: Memory) -> None:
    for name in ("moved", "deleted", "left"):
        memory.add(name, f"about {name}")
    memory.episodes("a", "b", "c")
    memory.pass_days(40)
    reply = memory.curate()
    known = next(move["name"] for move in reply["moves"] if move["to"] == "semantic")
    memory.ask("promote_to_tier", entityName="moved", new_tier="procedural")
    memory.ask("delete_entities", entityNames=["deleted"])
    memory.ask("add_observations", observations=[{"entityName": known, "contents": ["and a bell rings"]}])
    undone = memory.ask("undo_curation", run_id=reply["run_id"])
    assert (undone["restored"], undone["deleted"], undone["skipped_total"]) == (1, 0, 3)
    assert {each["name"]: each["reason"] for each in undone["skipped"]} == {
        known: "it was changed since",
        "moved": "it was moved since",
        "deleted": "it was deleted since",
    }
    assert (memory.tier("moved"), memory.tier("left"), memory.tier(known)) == ("procedural", "working", "semantic")
    assert memory.sources(known) == ["a", "b", "c"]


@pytest.mark.parametrize(
    "later",
    [
        ("confirm_entities", lambda name: {"entityNames": [name]}),
        ("promote_to_tier", lambda name: {"entityName": name, "new_tier": "procedural"}),
        ("update_entity", lambda name: {"entityName": name, "always_include": True}),
        (
            "create_relations",
            lambda name: {"relations": [{"from": "a", "to": name, "relationType": "shows"}]},
        ),
    ],
    ids=lambda later: later[0],
)
def test_knowledge_that_somebody_used_since_is_not_deleted(
    memory: Memory, later: tuple[str, Callable[[str], dict[str, Any]]]
) -> None:
    memory.episodes("a", "b", "c")
    reply = memory.curate()
    name = reply["moves"][0]["name"]
    memory.ask(later[0], **later[1](name))
    undone = memory.ask("undo_curation", run_id=reply["run_id"])
    assert (undone["deleted"], [each["name"] for each in undone["skipped"]]) == (0, [name])
    assert memory.sources(name) == ["a", "b", "c"]


def test_a_run_that_never_was_cannot_be_undone(memory: Memory) -> None:
    assert memory.fail("undo_curation", run_id="2026-01-01-00000000") == "not_found"


def test_the_last_run_that_was_not_put_back_can_be_named_so(memory: Memory) -> None:
    assert memory.fail("undo_curation", run_id="last") == "not_found"
    memory.episodes("a", "b", "c")
    before = memory.state()
    first = memory.curate()["run_id"]
    memory.episodes("d", "e", "f", said=("the gate is shut",))
    second = memory.curate()["run_id"]
    assert [memory.ask("undo_curation", run_id="last")["run_id"] for _ in range(2)] == [second, first]
    memory.ask("delete_entities", entityNames=["d", "e", "f"])
    assert memory.state() == before


def test_the_last_run_is_the_last_that_did_something(memory: Memory) -> None:
    memory.episodes("a", "b", "c")
    before = memory.state()
    run_id = memory.curate()["run_id"]
    idle = memory.curate()["run_id"]
    assert memory.ask("undo_curation", run_id="last")["run_id"] == run_id
    assert memory.state() == before
    assert memory.fail("undo_curation", run_id="last") == "not_found"
    assert memory.ask("undo_curation", run_id=idle)["undone"]


def test_what_an_undone_run_made_can_be_made_again(memory: Memory) -> None:
    memory.episodes("a", "b", "c")
    first = memory.curate()
    after = memory.state()
    memory.ask("undo_curation", run_id=first["run_id"])
    assert memory.curate()["moves"] == first["moves"]
    assert memory.state() == after


_STORIES = st.lists(
    st.fixed_dictionaries(
        {
            "tier": st.sampled_from(("working", "episodic", "episodic", "semantic")),
            "kind": st.sampled_from(("x", "y")),
            "says": st.lists(st.sampled_from("abcdef"), unique=True, max_size=4),
            "pinned": st.sampled_from((False, False, False, True)),
        }
    ),
    max_size=14,
)


@given(first=_STORIES, second=_STORIES, runs=st.integers(1, 3))
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_curating_and_undoing_gives_what_was_before(
    tmp_path: Path, first: list[dict[str, Any]], second: list[dict[str, Any]], runs: int
) -> None:
    path = tmp_path / f"{os.urandom(6).hex()}.db"
    memory = Memory(path)
    try:
        for part, stories in (("1", first), ("2", second)):
            for at, story in enumerate(stories):
                said = [f"the thing {word}" for word in story["says"]]
                memory.add(
                    f"{part}.{at}", *said, type_=story["kind"], tier=story["tier"], always_include=story["pinned"]
                )
            memory.pass_days(20)
        states, done = [], []
        for _ in range(runs):
            states.append(memory.state())
            done.append(memory.curate())
        for before, reply in zip(reversed(states), reversed(done), strict=True):
            if reply["run_id"] is not None:
                assert memory.ask("undo_curation", run_id=reply["run_id"])["skipped"] == []
            assert memory.state() == before
        assert all(reply["moves"] == [] for reply in done[1:])
    finally:
        memory.service.close()
        path.unlink()


# ------------------------------------------------------------------------------------------- one at a time, cut off


def test_a_run_while_another_is_under_way_is_refused(memory: Memory, monkeypatch: pytest.MonkeyPatch) -> None:
    memory.episodes("a", "b", "c")
    codes = []
    known = curation._known

    def looking(*arguments: Any) -> Any:
        codes.append(memory.fail("autonomous_curation"))
        codes.append(memory.fail("undo_curation", run_id="x"))
        return known(*arguments)

    monkeypatch.setattr(curation, "_known", looking)
    assert memory.curate()["promoted_to_semantic"] == 1
    assert codes == ["busy", "busy"]


def test_a_run_that_is_cut_off_by_the_end_leaves_whole_slices_and_can_be_undone(
    memory: Memory, monkeypatch: pytest.MonkeyPatch
) -> None:
    for at in range(250):
        memory.add(f"old {at}", f"thing {at}")
    memory.episodes("a", "b", "c")
    memory.pass_days(40)
    before = memory.state()
    monkeypatch.setattr(curation, "_SLICE_S", 0.0)
    write = SQLiteStore.write
    writes = []

    def write_and_end(self: SQLiteStore, *arguments: Any) -> Any:
        done = write(self, *arguments)
        writes.append(1)
        if len(writes) == 3:  # the run's record, and two slices
            memory.service.begin_shutdown()
        return done

    monkeypatch.setattr(SQLiteStore, "write", write_and_end)
    assert memory.fail("autonomous_curation") == ShuttingDown.code
    monkeypatch.undo()
    memory.pass_days(0)
    log = memory.ask("list_transitions", limit=1000)["transitions"]
    assert len(log) == 100
    assert sum(memory.tier(f"old {at}") == "episodic" for at in range(250)) == 100
    assert memory.ask("undo_curation", run_id=log[0]["run_id"])["restored"] == 100
    assert memory.state() == before


def test_a_damaged_memory_is_passed_over(memory: Memory) -> None:
    memory.episodes("a", "b", "c", "d")
    memory.add("old", "something")
    memory.service.close()
    with sqlite3.connect(memory.path) as db:
        db.execute("UPDATE entities SET compressed_data = x'00' WHERE name = 'd'")
        db.execute("UPDATE entities SET last_confirmed = 'yesterday' WHERE name = 'old'")
    db.close()
    memory.pass_days(40)
    (move,) = memory.curate()["moves"]
    assert memory.sources(move["name"]) == ["a", "b", "c"]


def test_purging_what_was_learnt_leaves_no_record_of_it(memory: Memory) -> None:
    memory.episodes("a", "b", "c")
    reply = memory.curate()
    memory.ask("purge_entities", entityNames=["a", "b", "c", reply["moves"][0]["name"]], confirm=True)
    memory.service.close()
    assert b"Deploys run at noon" not in memory.path.read_bytes()
    memory.pass_days(1)
    assert memory.ask("undo_curation", run_id=reply["run_id"])["skipped"] == []
