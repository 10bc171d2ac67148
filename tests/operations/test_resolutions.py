"""Deciding conflicts and undoing the decision, as a caller meets them."""

from __future__ import annotations

import tempfile
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from enhanced_memory.service.dispatcher import MemoryDBService
from enhanced_memory.settings import Settings
from tests.conftest import StartDaemon

STRATEGIES = ("merge", "update", "branch", "ignore")
OLD, NEW = ["Ann likes tea", "Ann lives in Graz"], ["Ann likes tea", "Ann plays chess"]


@pytest.fixture
def pair(ask: Any) -> int:
    """Ann, who is older, Annie and Bob with relations between them, and a recorded conflict; gives its number."""
    ann = {"name": "Ann", "entityType": "person", "observations": OLD}
    annie = {"name": "Annie", "entityType": "human", "observations": NEW, "always_include": True}
    bob = {"name": "Bob", "entityType": "thing", "observations": ["Bob plays go"]}
    for entity in (ann, {**annie, "relevance_score": 0.9}, bob):
        assert ask("create_entities", entities=[entity], check_conflicts=False)["success"]
    relate(ask, "Annie", "Bob", "knows", strength=0.5, metadata={"since": 2020})
    relate(ask, "Ann", "Bob", "knows")
    relate(ask, "Ann", "Annie", "is")
    relate(ask, "Bob", "Annie", "likes", strength=0.25)
    relate(ask, "Annie", "Annie", "talks_to")
    return put_on_record(ask, "Annie", "Ann")


def relate(ask: Any, source: str, target: str, kind: str, **more: Any) -> None:
    assert ask("create_relations", relations=[{"from": source, "to": target, "relationType": kind, **more}])["success"]


def data(ask: Any, name: str, other: str, kind: str = "duplicate") -> dict[str, Any]:
    ids = {r["name"]: r["id"] for r in ask("search_nodes", query="", limit=1000)["results"]}
    return {"entity_id": ids[name], "existing_id": ids[other], "conflict_type": kind}


def put_on_record(ask: Any, name: str, other: str, kind: str = "duplicate") -> int:
    given_data = data(ask, name, other, kind)
    number: int = ask("resolve_conflict", conflict_data=given_data, strategy="ignore")["details"]["conflict_id"]
    assert ask("reopen_conflict", conflict_id=number)["success"]
    return number


def opened(ask: Any, *names: str, **more: Any) -> dict[str, list[str]]:
    return {e["name"]: e["observations"] for e in ask("open_nodes", names=list(names), **more)["entities"]}


def edges(ask: Any) -> set[tuple[str, str, str]]:
    return {(r["from"], r["relationType"], r["to"]) for r in ask("read_graph")["relations"]}


def seen(service: MemoryDBService) -> dict[str, Any]:
    """All that reads tell but for accesses, which reading changes, and the figures of a history that only grows."""

    def ask(method: str, **params: Any) -> dict[str, Any]:
        reply = service.handle_request({"method": method, "params": params})
        assert reply["success"], reply
        return reply

    everything = service._store.read(lambda tx: tx.entities.page(0, 1000), "default", 5.0)
    names = [entity.name for entity in everything]
    status = ask("get_memory_status")
    for figure in ("database_size_mb", "versioning"):
        status.pop(figure)
    found = ask("search_nodes", query="tea chess go Ann fact", limit=50)["results"]
    return {
        "entities": [replace(entity, access_count=0, last_accessed="") for entity in everything],
        "graph": ask("read_graph"),
        "opened": [ask("open_nodes", names=[name]) for name in names],
        "found": [(r["name"], r["branch"], [m["index"] for m in r["matches"]]) for r in found],
        "scores": [round(r["score"], 2) for r in found],  # they fall a little with every moment
        "status": status,
        "branches": [ask("list_branches", entity_name=name) for name in names],
        "lines": [line(ask, name) for name in names],
        "conflicts": ask("list_conflicts"),
    }


def line(ask: Any, name: str) -> list[Any]:
    branch = ask("open_nodes", names=[name])["entities"][0]["branch"]
    versions: list[Any] = ask("memory_history", entity_name=name, branch=branch)["versions"]
    return versions


def instant(service: MemoryDBService) -> str:
    now: str = service._store.write(lambda tx: tx.now, "default", 5.0)
    return now


# ------------------------------------------------------------------------------------------------------------ resolving


def test_merging_gives_the_older_the_observations_the_pin_and_the_relations_of_the_newer(ask: Any, pair: int) -> None:
    reply = ask("resolve_conflict", conflict_id=pair, strategy="merge", notes="one person")
    assert (reply["action_taken"], reply["strategy"]) == ("merged", "merge")
    assert reply["updated_entities"] == ["Ann", "Annie"]
    assert opened(ask, "Ann", "Annie") == {"Ann": [*OLD, "Ann plays chess"]}
    assert edges(ask) == {("Ann", "knows", "Bob"), ("Bob", "likes", "Ann"), ("Ann", "talks_to", "Ann")}
    (likes,) = (r for r in ask("read_graph")["relations"] if r["relationType"] == "likes")
    assert likes["strength"] == 0.25
    (ann,) = ask("search_nodes", query="chess")["results"]
    assert (ann["name"], ann["type"], ann["relevance_score"]) == ("Ann", "person", 1.0)
    assert "Ann" in ask("get_context", query="zebra")["text"]
    details = reply["details"]
    assert (details["left_reads"], details["added_observations"]) == ("Annie", ["Ann plays chess"])
    assert {r["relationType"] for r in details["relations_dropped"]} == {"knows", "is"}
    (listed,) = ask("list_conflicts", status="resolved")["conflicts"]
    assert (listed["conflict_id"], listed["status"], listed["resolution"]["strategy"]) == (pair, "resolved", "merge")
    assert listed["resolution"]["notes"] == "one person"


def test_the_history_of_a_merged_entity_stays_and_names_what_it_became_part_of(ask: Any, pair: int) -> None:
    ask("resolve_conflict", conflict_id=pair, strategy="merge")
    history = ask("memory_history", entity_name="Annie")
    assert (history["deleted"], history["merged_into"]) == (True, "Ann")
    assert [v["action"] for v in history["versions"]] == ["merged_away", "created"]
    assert ask("memory_history", entity_name="Ann")["versions"][0]["added"] == ["Ann plays chess"]


def test_updating_lets_the_newer_count_fully_and_the_older_less(ask: Any, pair: int) -> None:
    reply = ask("resolve_conflict", conflict_id=pair, strategy="update")
    assert (reply["action_taken"], reply["details"]["relevance"]) == ("updated", {"Ann": 0.7, "Annie": 1.0})
    assert opened(ask, "Ann", "Annie") == {"Ann": OLD, "Annie": NEW}
    assert ask("memory_history", entity_name="Ann")["versions"][0]["action"] == "outdated"


def test_a_memory_that_counts_little_does_not_count_more_for_being_outdated(ask: Any, pair: int) -> None:
    ask("update_entity", entityName="Ann", relevance_score=0.2)
    assert ask("resolve_conflict", conflict_id=pair, strategy="update")["details"]["relevance"] == {"Annie": 1.0}


def test_branching_makes_the_newer_content_a_branch_of_the_older(ask: Any, pair: int) -> None:
    ask("memory_branch", entity_name="Ann", branch_name=f"conflict-{pair}", checkout=False)
    reply = ask("resolve_conflict", conflict_id=pair, strategy="branch")
    branch = reply["details"]["branch"]
    assert (reply["action_taken"], branch) == ("branched", f"conflict-{pair}-2")
    assert opened(ask, "Ann", "Annie") == {"Ann": OLD}
    assert opened(ask, "Ann", branch=branch) == {"Ann": NEW}
    assert edges(ask) == {("Ann", "knows", "Bob"), ("Bob", "likes", "Ann"), ("Ann", "talks_to", "Ann")}
    ask("memory_merge", entity_name="Ann", source_branch=branch)
    assert opened(ask, "Ann") == {"Ann": NEW}


def test_ignoring_leaves_both_as_they_are(service: MemoryDBService, ask: Any, pair: int) -> None:
    before = seen(service)
    reply = ask("resolve_conflict", conflict_id=pair, strategy="ignore")
    assert (reply["action_taken"], reply["updated_entities"]) == ("ignored", [])
    after = seen(service)
    assert after["entities"] == before["entities"]
    assert after["status"]["conflicts"] == {"pending": 0}
    assert [c["conflict_id"] for c in ask("list_conflicts", status="ignored")["conflicts"]] == [pair]


@pytest.mark.parametrize(
    ("kind", "action", "strategy", "status"),
    [
        ("duplicate", "merged", "merge", "resolved"),
        ("update", "updated", "update", "resolved"),
        ("contradiction", "left_pending", "auto", "pending"),
    ],
)
def test_auto_follows_the_kind_and_leaves_a_contradiction_to_a_person(
    ask: Any, remember: Any, kind: str, action: str, strategy: str, status: str
) -> None:
    remember("a", "Ann likes mushrooms")
    remember("b", "Ann does not like mushrooms")
    reply = ask("resolve_conflict", conflict_data=data(ask, "b", "a", kind))
    assert (reply["action_taken"], reply["strategy"]) == (action, strategy)
    (listed,) = ask("list_conflicts", status=status)["conflicts"]
    assert (listed["conflict_type"], listed["conflict_id"]) == (kind, reply["details"]["conflict_id"])
    if kind == "contradiction":
        (evidence,) = reply["details"]["evidence"]
        assert (evidence["new"], evidence["existing"]) == ("Ann does not like mushrooms", "Ann likes mushrooms")
        assert opened(ask, "a", "b").keys() == {"a", "b"}


@pytest.mark.parametrize("strategy", ["auto", *STRATEGIES])
def test_a_preview_tells_what_happens_then_and_changes_nothing(
    service: MemoryDBService, ask: Any, pair: int, strategy: str
) -> None:
    before = seen(service)
    told = ask("resolve_conflict", conflict_id=pair, strategy=strategy, dry_run=True)
    assert seen(service) == before
    assert told["details"].pop("dry_run") is True
    done = ask("resolve_conflict", conflict_id=pair, strategy=strategy)
    assert done["details"].pop("dry_run") is False
    assert told == done


def test_a_preview_by_data_puts_nothing_on_record(ask: Any, remember: Any) -> None:
    remember("a", "one")
    remember("b", "two")
    told = ask("resolve_conflict", conflict_data=data(ask, "b", "a"), strategy="branch", dry_run=True)
    assert (told["details"]["conflict_id"], told["details"]["branch"]) == (None, "conflict-1")
    assert ask("get_memory_status")["conflicts"] == {"pending": 0}
    done = ask("resolve_conflict", conflict_data=data(ask, "b", "a"), strategy="branch")
    assert (done["details"]["conflict_id"], done["details"]["branch"]) == (1, "conflict-1")


def test_a_conflict_on_record_is_found_by_its_data_as_it_was_listed(ask: Any, remember: Any) -> None:
    remember("a", "Ann likes mushrooms")
    remember("b", "Ann does not like mushrooms")
    ask("detect_conflicts", entity_name="b")
    (listed,) = ask("list_conflicts")["conflicts"]
    reply = ask("resolve_conflict", conflict_data=listed, strategy="update")
    assert reply["details"]["conflict_id"] == listed["conflict_id"]
    assert reply["details"]["evidence"] == listed["evidence"]


def test_what_was_decided_is_not_found_anew_until_something_new_shows_it(ask: Any, remember: Any) -> None:
    remember("a", "Ann likes mushrooms")
    remember("b", "Ann does not like mushrooms")
    (found,) = ask("detect_conflicts", entity_name="b")["conflicts"]
    ask("resolve_conflict", conflict_id=found["conflict_id"], strategy="ignore")
    assert ask("detect_conflicts", entity_name="a")["conflicts"][0]["conflict_id"] == found["conflict_id"]
    assert ask("list_conflicts")["conflicts"] == []
    ask("add_observations", observations=[{"entityName": "a", "contents": ["Ann lives in Graz"]}])
    ask("add_observations", observations=[{"entityName": "b", "contents": ["Ann does not live in Graz"]}])
    ask("detect_conflicts", entity_name="b")
    (again,) = ask("list_conflicts")["conflicts"]
    assert again["conflict_id"] != found["conflict_id"]


def test_what_cannot_be_resolved_is_refused_and_changes_nothing(
    service: MemoryDBService, ask: Any, pair: int, remember: Any
) -> None:
    before = seen(service)

    def refused(**params: Any) -> dict[str, Any]:
        reply: dict[str, Any] = ask("resolve_conflict", **params)
        assert not reply["success"]
        assert seen(service) == before
        return reply

    known = data(ask, "Annie", "Ann")
    assert refused()["code"] == "invalid_params"
    assert refused(conflict_id=pair, conflict_data=known)["code"] == "invalid_params"
    assert "99" in refused(conflict_id=99)["error"]
    assert refused(conflict_data={**known, "entity_id": 99})["code"] == "not_found"
    assert refused(conflict_data={**known, "entity_id": known["existing_id"]})["code"] == "invalid_params"
    assert refused(conflict_data={**known, "conflict_type": "quarrel"})["code"] == "invalid_params"
    assert refused(conflict_id=pair, strategy="delete")["code"] == "invalid_params"
    assert ask("reopen_conflict", conflict_id=pair)["code"] == "version_conflict"
    assert ask("reopen_conflict", conflict_id=99)["code"] == "not_found"
    assert seen(service) == before
    other = {"method": "resolve_conflict", "params": {"conflict_id": pair}, "namespace": "other"}
    assert service.handle_request(other)["code"] == "not_found"


def test_a_conflict_is_resolved_once_and_reopened_once(ask: Any, pair: int) -> None:
    ask("resolve_conflict", conflict_id=pair, strategy="merge")
    for params in ({"conflict_id": pair}, {"conflict_id": pair, "strategy": "ignore"}):
        assert ask("resolve_conflict", **params)["code"] == "version_conflict"
    assert ask("reopen_conflict", conflict_id=pair)["details"]["exact"] is True
    assert ask("reopen_conflict", conflict_id=pair)["code"] == "version_conflict"


def test_a_conflict_whose_entity_is_gone_is_not_resolved(ask: Any, pair: int) -> None:
    ask("delete_entities", entityNames=["Annie"])
    reply = ask("resolve_conflict", conflict_id=pair)
    assert (reply["code"], "Annie" in reply["error"]) == ("not_found", True)


def test_too_large_a_union_is_refused(ask: Any, remember: Any) -> None:
    remember("a", *(f"a {n}" for n in range(6000)))
    remember("b", *(f"b {n}" for n in range(6000)))
    assert ask("resolve_conflict", conflict_data=data(ask, "b", "a"))["code"] == "too_large"
    assert ask("list_conflicts")["conflicts"] == []


# ------------------------------------------------------------------------------------------------------------ reopening


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_reopening_puts_everything_back_and_the_steps_stay_in_the_history(
    service: MemoryDBService, ask: Any, pair: int, strategy: str
) -> None:
    before, earlier = seen(service), instant(service)
    resolved = ask("resolve_conflict", conflict_id=pair, strategy=strategy)
    made, between = ask("read_graph", limit=1000), instant(service)
    reply = ask("reopen_conflict", conflict_id=pair)
    assert (reply["undone"], reply["details"]["exact"]) == (strategy, True)
    assert set(reply["updated_entities"]) <= set(resolved["updated_entities"])
    assert seen(service) == before
    for moment, graph in ((earlier, before["graph"]), (between, made), (instant(service), before["graph"])):
        then = ask("read_graph", limit=1000, as_of=moment)
        assert then["entities"] == graph["entities"]
        assert sorted(map(str, then["relations"])) == sorted(map(str, graph["relations"]))
    actions = [v["action"] for v in ask("memory_history", entity_name="Ann")["versions"]]
    expected = {"merge": ["reopened", "merged"], "update": ["reopened", "outdated"], "branch": ["branched"]}
    assert actions == [*expected.get(strategy, []), "created"]


def test_a_memory_goes_on_from_where_it_was_before_the_resolution(ask: Any, pair: int) -> None:
    ask("resolve_conflict", conflict_id=pair, strategy="merge")
    ask("reopen_conflict", conflict_id=pair)
    (added,) = ask("add_observations", observations=[{"entityName": "Ann", "contents": ["Ann sings"]}])["results"]
    assert added["version"] == 4
    assert opened(ask, "Ann") == {"Ann": [*OLD, "Ann sings"]}
    assert [v["version"] for v in ask("memory_history", entity_name="Ann", branch="main")["versions"]] == [4, 1]
    assert ask("memory_diff", entity_name="Ann")["differences"]["added_observations"] == ["Ann sings"]
    assert opened(ask, "Ann", version=2) == {"Ann": [*OLD, "Ann plays chess"]}
    assert opened(ask, "Ann", version=3) == {"Ann": OLD}


def test_other_conflicts_of_a_merged_entity_rest_and_come_back_with_it(ask: Any, pair: int) -> None:
    other = put_on_record(ask, "Annie", "Bob")
    ask("resolve_conflict", conflict_id=pair, strategy="merge")
    assert ask("list_conflicts")["conflicts"] == []
    assert ask("get_memory_status")["conflicts"] == {"pending": 0}
    ask("reopen_conflict", conflict_id=pair)
    assert {c["conflict_id"] for c in ask("list_conflicts")["conflicts"]} == {pair, other}
    assert ask("get_memory_status")["conflicts"] == {"pending": 2}


@pytest.mark.parametrize("strategy", ["merge", "update", "branch"])
def test_a_chain_of_resolutions_is_undone_from_its_end(
    service: MemoryDBService, ask: Any, pair: int, strategy: str
) -> None:
    first = put_on_record(ask, "Bob", "Annie")
    start = seen(service)
    ask("resolve_conflict", conflict_id=first, strategy=strategy)
    middle = seen(service)
    ask("resolve_conflict", conflict_id=pair, strategy="merge")
    end = seen(service)
    refused = ask("reopen_conflict", conflict_id=first, keep_changes=True)
    assert (refused["code"], refused["details"]["resolved_later"]) == ("version_conflict", pair)
    assert seen(service) == end
    ask("reopen_conflict", conflict_id=pair)
    assert seen(service) == middle
    ask("reopen_conflict", conflict_id=first)
    assert seen(service) == start


def test_a_later_addition_is_named_and_kept_if_asked(service: MemoryDBService, ask: Any, pair: int) -> None:
    ask("resolve_conflict", conflict_id=pair, strategy="merge")
    ask("add_observations", observations=[{"entityName": "Ann", "contents": ["Ann sings"]}])
    ask("delete_observations", deletions=[{"entityName": "Ann", "observations": ["Ann lives in Graz"]}])
    before = seen(service)
    refused = ask("reopen_conflict", conflict_id=pair)
    assert (refused["code"], len(refused["details"]["changes"])) == ("version_conflict", 1)
    assert "'Ann'" in refused["error"]
    assert seen(service) == before
    reply = ask("reopen_conflict", conflict_id=pair, keep_changes=True)
    assert (reply["details"]["exact"], reply["details"]["kept_observations"]) == (False, ["Ann sings"])
    assert opened(ask, "Ann", "Annie") == {"Ann": ["Ann likes tea", "Ann sings"], "Annie": NEW}
    assert ("Annie", "knows", "Bob") in edges(ask)
    assert ask("list_conflicts")["conflicts"][0]["conflict_id"] == pair


def test_a_pin_or_a_relevance_set_since_stays_and_hinders_nothing(ask: Any, pair: int) -> None:
    ask("resolve_conflict", conflict_id=pair, strategy="update")
    ask("update_entity", entityName="Ann", relevance_score=0.4, always_include=True)
    assert ask("reopen_conflict", conflict_id=pair)["details"]["exact"] is False
    ann = ask("update_entity", entityName="Ann", always_include=True)
    assert (ann["relevance_score"], ann["always_include"], ann["current_version"]) == (0.4, True, 1)


def test_a_rename_since_stays(ask: Any, pair: int) -> None:
    ask("resolve_conflict", conflict_id=pair, strategy="merge")
    ask("update_entity", entityName="Ann", name="Anna")
    assert ask("reopen_conflict", conflict_id=pair)["details"]["exact"] is False
    assert opened(ask, "Anna", "Annie") == {"Anna": OLD, "Annie": NEW}


def test_a_relation_ended_since_stays_ended_if_changes_are_kept(ask: Any, pair: int) -> None:
    ask("resolve_conflict", conflict_id=pair, strategy="merge")
    ask("delete_relations", relations=[{"from": "Bob", "to": "Ann", "relationType": "likes"}])
    assert ask("reopen_conflict", conflict_id=pair)["code"] == "version_conflict"
    reply = ask("reopen_conflict", conflict_id=pair, keep_changes=True)
    assert [r["relationType"] for r in reply["details"]["relations_lost"]] == ["likes"]
    assert not any(kind == "likes" for _, kind, _ in edges(ask))


def test_relations_whose_end_was_deleted_or_purged_since_are_left_out(ask: Any, pair: int, remember: Any) -> None:
    ask("resolve_conflict", conflict_id=pair, strategy="merge")
    ask("delete_entities", entityNames=["Bob"])
    assert ask("reopen_conflict", conflict_id=pair)["code"] == "version_conflict"
    ask("purge_entities", entityNames=["Bob"], confirm=True)
    remember("Eve", "Eve paints")
    for kind in ("a", "b", "c", "d"):
        relate(ask, "Eve", "Ann", kind)
    assert ask("reopen_conflict", conflict_id=pair)["details"]["exact"] is True
    assert edges(ask) == {("Ann", "is", "Annie"), ("Annie", "talks_to", "Annie")} | {
        ("Eve", kind, "Ann") for kind in "abcd"
    }


def test_a_branch_that_was_worked_on_stays_if_changes_are_kept(ask: Any, pair: int) -> None:
    branch = ask("resolve_conflict", conflict_id=pair, strategy="branch")["details"]["branch"]
    added = [{"entityName": "Ann", "contents": ["Ann sings"]}]
    ask("add_observations", observations=added, branch=branch)
    assert ask("reopen_conflict", conflict_id=pair)["code"] == "version_conflict"
    ask("memory_checkout", entity_name="Ann", branch_name=branch)
    assert ask("reopen_conflict", conflict_id=pair)["code"] == "version_conflict"
    assert ask("reopen_conflict", conflict_id=pair, keep_changes=True)["details"]["exact"] is False
    assert opened(ask, "Ann", "Annie") == {"Ann": [*NEW, "Ann sings"], "Annie": NEW}


def test_a_merge_is_undone_on_its_branch_while_another_is_checked_out(ask: Any, pair: int) -> None:
    ask("resolve_conflict", conflict_id=pair, strategy="merge")
    ask("memory_branch", entity_name="Ann", branch_name="idea", from_version=1)
    assert ask("reopen_conflict", conflict_id=pair)["details"]["exact"] is False
    assert opened(ask, "Ann", "Annie", branch="main") == {"Ann": OLD, "Annie": NEW}
    assert ask("open_nodes", names=["Ann"])["entities"][0]["branch"] == "idea"


def test_an_entity_brought_back_by_hand_is_left_as_it_is(ask: Any, pair: int) -> None:
    ask("resolve_conflict", conflict_id=pair, strategy="merge")
    ask("memory_revert", entity_name="Annie", version=1)
    ask("add_observations", observations=[{"entityName": "Annie", "contents": ["Ann sings"]}])
    assert ask("reopen_conflict", conflict_id=pair)["code"] == "version_conflict"
    assert ask("reopen_conflict", conflict_id=pair, keep_changes=True)["success"]
    assert opened(ask, "Ann", "Annie") == {"Ann": OLD, "Annie": [*NEW, "Ann sings"]}
    assert ("Annie", "knows", "Bob") in edges(ask)
    assert ("Bob", "likes", "Ann") not in edges(ask)


@pytest.mark.parametrize("name", ["Ann", "Annie"])
def test_a_deletion_since_is_to_be_undone_first(service: MemoryDBService, ask: Any, pair: int, name: str) -> None:
    ask("resolve_conflict", conflict_id=pair, strategy="merge")
    if name == "Annie":
        ask("memory_revert", entity_name="Annie", version=1)
    ask("delete_entities", entityNames=[name])
    before = seen(service)
    reply = ask("reopen_conflict", conflict_id=pair, keep_changes=True)
    assert (reply["code"], "memory_revert" in reply["hint"]) == ("version_conflict", True)
    assert seen(service) == before


def test_a_name_taken_since_hinders_reopening_until_it_is_free(
    service: MemoryDBService, ask: Any, pair: int, remember: Any
) -> None:
    before = seen(service)
    ask("resolve_conflict", conflict_id=pair, strategy="merge")
    remember("Annie", "a cat")
    assert opened(ask, "Annie") == {"Annie": ["a cat"]}
    assert ask("reopen_conflict", conflict_id=pair)["code"] == "already_exists"
    ask("purge_entities", entityNames=["nobody"], confirm=True)
    ask("update_entity", entityName="Annie", name="the cat")
    assert ask("reopen_conflict", conflict_id=pair)["details"]["exact"] is True
    assert seen(service)["opened"][:3] == before["opened"]


@pytest.mark.parametrize("name", ["Ann", "Annie"])
def test_a_conflict_of_a_purged_entity_is_gone_with_it(ask: Any, pair: int, name: str) -> None:
    ask("resolve_conflict", conflict_id=pair, strategy="merge")
    assert ask("purge_entities", entityNames=[name], confirm=True)["purged"] == [name]
    assert ask("reopen_conflict", conflict_id=pair)["code"] == "not_found"
    for status in ("pending", "resolved", "ignored"):
        assert ask("list_conflicts", status=status)["conflicts"] == []


@pytest.mark.parametrize("strategy", ["merge", "branch", "update"])
def test_a_purge_erases_what_an_undone_resolution_left_in_the_history_of_others(
    service: MemoryDBService, ask: Any, remember: Any, strategy: str
) -> None:
    marker = "Xylographquokka"
    remember("a", "a plain fact")
    remember("secret", f"the code is {marker}")
    remember("late", "another fact")
    first, second = put_on_record(ask, "secret", "a"), put_on_record(ask, "late", "a")
    ask("resolve_conflict", conflict_id=first, strategy=strategy, notes=marker)
    ask("resolve_conflict", conflict_id=second, strategy="merge")
    ask("reopen_conflict", conflict_id=second)
    ask("reopen_conflict", conflict_id=first)
    ask("add_observations", observations=[{"entityName": "a", "contents": ["one more"]}])
    assert ask("purge_entities", entityNames=["secret"], confirm=True)["purged"] == ["secret"]
    folder = Path(service.settings.db_path).parent
    assert not [f.name for f in folder.iterdir() if marker.lower().encode() in f.read_bytes().lower()]
    told = [ask("open_nodes", names=["a"], version=v["version"]) for v in history(ask, "a")]
    assert told
    assert marker not in str(told)
    assert opened(ask, "a", "late") == {"a": ["a plain fact", "one more"], "late": ["another fact"]}


def history(ask: Any, name: str) -> list[dict[str, Any]]:
    versions: list[dict[str, Any]] = ask("memory_history", entity_name=name)["versions"]
    return versions


# ------------------------------------------------------------------------------------------------------------ any graph

FACTS = [f"fact {n}" for n in range(6)]
NAMES = ["Ann", "Annie", "Bob", "Cy"]
a_share = st.sampled_from([0.2, 0.5, 0.7, 1.0])
an_entity = st.fixed_dictionaries(
    {
        "entityType": st.sampled_from(["person", "human"]),
        "observations": st.lists(st.sampled_from(FACTS), unique=True, max_size=5),
        "tier": st.sampled_from(["working", "episodic", "semantic"]),
        "always_include": st.booleans(),
        "relevance_score": a_share,
    }
)
a_relation = st.fixed_dictionaries(
    {"from": st.sampled_from(NAMES), "to": st.sampled_from(NAMES), "relationType": st.sampled_from(["knows", "is"])},
    optional={"strength": a_share, "metadata": st.just({"since": 2020})},
)
an_edit = st.tuples(
    st.sampled_from(
        ["add_observations", "delete_observations", "memory_branch", "memory_checkout", "delete_relations"]
    ),
    st.sampled_from(NAMES),
    st.sampled_from(NAMES),
    st.lists(st.sampled_from(FACTS), max_size=3),
    st.sampled_from(["main", "idea"]),
)


def params_of(edit: tuple[str, str, str, list[str], str]) -> dict[str, Any]:
    method, name, other, facts, branch = edit
    if method == "add_observations":
        return {"observations": [{"entityName": name, "contents": facts}]}
    if method == "delete_observations":
        return {"deletions": [{"entityName": name, "observations": facts}]}
    if method == "delete_relations":
        return {"relations": [{"from": name, "to": other, "relationType": "knows"}]}
    return {"entity_name": name, "branch_name": branch}


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    entities=st.lists(an_entity, min_size=4, max_size=4),
    relations=st.lists(a_relation, max_size=8),
    edits=st.lists(an_edit, max_size=6),
    way_round=st.booleans(),
    kind=st.sampled_from(["duplicate", "update", "contradiction"]),
    strategies=st.lists(st.sampled_from(STRATEGIES), min_size=1, max_size=3),
)
def test_whatever_the_graph_a_resolution_is_undone_exactly(
    entities: list[dict[str, Any]],
    relations: list[dict[str, Any]],
    edits: list[tuple[str, str, str, list[str], str]],
    way_round: bool,
    kind: str,
    strategies: list[str],
) -> None:
    with tempfile.TemporaryDirectory(prefix="em-resolve-") as folder:
        service = MemoryDBService(Settings.load({"db_path": str(Path(folder) / "m.db")}, {}))
        try:
            again_and_again(service, entities, relations, edits, NAMES[:2][:: 1 if way_round else -1], kind, strategies)
        finally:
            service.close()


def again_and_again(
    service: MemoryDBService,
    entities: list[dict[str, Any]],
    relations: list[dict[str, Any]],
    edits: list[tuple[str, str, str, list[str], str]],
    names: list[str],
    kind: str,
    strategies: list[str],
) -> None:
    def ask(method: str, **params: Any) -> dict[str, Any]:
        reply = service.handle_request({"method": method, "params": params})
        assert reply["success"], (method, params, reply)
        return reply

    for name, fields in zip(NAMES, entities, strict=True):
        ask("create_entities", entities=[{"name": name, **fields}])
    if relations:
        ask("create_relations", relations=relations)
    for edit in edits:  # one that does not fit, such as a branch that is there already, is passed over
        service.handle_request({"method": edit[0], "params": params_of(edit)})
    number = put_on_record(ask, names[0], names[1], kind)
    before = seen(service)
    moments = [(instant(service), before["graph"])]
    for strategy in strategies:
        ask("resolve_conflict", conflict_id=number, strategy=strategy)
        moments.append((instant(service), ask("read_graph")))
        assert ask("reopen_conflict", conflict_id=number)["details"]["exact"]
        assert seen(service) == before
        moments.append((instant(service), before["graph"]))
    for moment, graph in moments:
        then = ask("read_graph", as_of=moment)
        assert then["entities"] == graph["entities"]
        assert sorted(map(str, then["relations"])) == sorted(map(str, graph["relations"]))


# ------------------------------------------------------------------------------------------------------------ a process


@pytest.mark.process
def test_conflicts_are_resolved_once_over_the_socket_though_many_try(start_daemon: StartDaemon) -> None:
    daemon = start_daemon()
    given_entities = [{"name": n, "entityType": "t", "observations": [n, "shared"]} for n in ("a", "b")]
    daemon.ask("create_entities", {"entities": given_entities})
    conflict = {"entity_id": 2, "existing_id": 1, "conflict_type": "duplicate"}
    barrier = threading.Barrier(4)
    replies: list[dict[str, Any]] = []

    def resolve() -> None:
        barrier.wait()
        replies.append(daemon.ask("resolve_conflict", {"conflict_data": conflict}))

    threads = [threading.Thread(target=resolve) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    (done,) = (reply for reply in replies if reply["success"])
    assert done["action_taken"] == "merged"
    number = done["details"]["conflict_id"]
    reopened = [daemon.ask("reopen_conflict", {"conflict_id": number}, request_id="same") for _ in range(2)]
    assert reopened[0] == reopened[1]
    assert reopened[0]["details"]["exact"] is True
    assert daemon.ask("open_nodes", {"names": ["a", "b"]})["missing"] == []
    assert daemon.ask("resolve_conflict", {"conflict_id": number, "strategy": "ignore"})["action_taken"] == "ignored"
    assert daemon.ask("list_conflicts", {"status": "ignored"})["conflicts"][0]["conflict_id"] == number
