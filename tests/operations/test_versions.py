"""Versions, branches, merges, time travel and erasing, as a caller meets them."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from enhanced_memory.service.dispatcher import MemoryDBService


def add(ask: Any, name: str, *contents: str, **more: Any) -> int:
    reply = ask("add_observations", observations=[{"entityName": name, "contents": list(contents)}], **more)
    assert reply["success"], reply
    version: int = reply["results"][0]["version"]
    return version


def remove(ask: Any, name: str, *observations: str, **more: Any) -> None:
    deletion = {"entityName": name, "observations": list(observations)}
    assert ask("delete_observations", deletions=[deletion], **more)["success"]


def observations(ask: Any, name: str, **more: Any) -> list[str]:
    found: list[str] = ask("open_nodes", names=[name], **more)["entities"][0]["observations"]
    return found


def test_history_tells_what_each_version_added_and_removed_newest_first(ask: Any, remember: Any) -> None:
    remember("Ann", "a", "b")
    add(ask, "Ann", "c")
    remove(ask, "Ann", "a")
    ask("memory_commit", entity_name="Ann", message="as agreed", author="Cy")
    notes = ask("memory_history", entity_name="Ann")["versions"]
    assert [(n["version"], n["parent"], n["action"], n["added"], n["removed"]) for n in notes] == [
        (4, 3, "committed", [], []),
        (3, 2, "updated", [], ["a"]),
        (2, 1, "updated", ["c"], []),
        (1, None, "created", ["a", "b"], []),
    ]
    assert (notes[0]["message"], notes[0]["author"]) == ("as agreed", "Cy")


def test_history_pages_without_a_gap(ask: Any, remember: Any) -> None:
    remember("Ann", "0")
    for number in range(1, 10):
        add(ask, "Ann", str(number))
    seen: list[int] = []
    cursor = None
    while True:
        page = ask("memory_history", entity_name="Ann", limit=3, cursor=cursor)
        seen += [note["version"] for note in page["versions"]]
        assert all(len(note["added"]) == 1 for note in page["versions"])
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert seen == list(range(10, 0, -1))


def test_a_diff_without_versions_shows_the_last_change(ask: Any, remember: Any) -> None:
    remember("Ann", "likes tea", "has a dog")
    remove(ask, "Ann", "likes tea")
    reply = ask("memory_diff", entity_name="Ann")
    assert reply["differences"]["removed_observations"] == ["likes tea"]
    assert (reply["version1"]["version"], reply["version2"]["version"]) == (1, 2)
    assert "-- likes tea" in reply["diff"].splitlines()


def test_a_diff_tells_names_and_types_that_changed(ask: Any, remember: Any) -> None:
    remember("Ann", "a")
    ask("update_entity", entityName="Ann", name="Anna", entityType="friend")
    changed = ask("memory_diff", entity_name="Anna", version1=1, version2=2)["differences"]["modified_metadata"]
    assert changed == {"name": {"old": "Ann", "new": "Anna"}, "entityType": {"old": "thing", "new": "friend"}}


def test_a_revert_is_a_new_version_on_top_and_the_search_follows(ask: Any, remember: Any) -> None:
    remember("Ann", "plays the oboe")
    remove(ask, "Ann", "plays the oboe")
    assert ask("search_nodes", query="oboe")["count"] == 0
    reply = ask("memory_revert", entity_name="Ann", version=1)
    assert (reply["reverted_to"], reply["new_version"]) == (1, 3)
    assert ask("search_nodes", query="oboe")["count"] == 1


def test_a_deleted_entity_comes_back_with_relations_whose_other_end_lives(ask: Any, remember: Any) -> None:
    for name in ("Ann", "Bob", "Cy"):
        remember(name, f"{name} plays the oboe")
    edges = [{"from": "Ann", "to": other, "relationType": "knows"} for other in ("Bob", "Cy")]
    ask("create_relations", relations=edges)
    ask("delete_entities", entityNames=["Ann"])
    ask("delete_entities", entityNames=["Cy"])
    assert ask("memory_history", entity_name="Ann")["deleted"] is True
    reply = ask("memory_revert", entity_name="Ann", version=1)
    assert (reply["restored_relations"], reply["lost_relations"]) == (edges[:1], edges[1:])
    assert ask("read_graph")["relations"] == edges[:1]
    assert {r["name"] for r in ask("search_nodes", query="oboe")["results"]} == {"Ann", "Bob"}


@pytest.mark.parametrize("first", ["Ann", "Bob"])
def test_a_relation_of_two_deleted_entities_comes_back_with_the_second_of_them(
    ask: Any, remember: Any, first: str
) -> None:
    second = "Bob" if first == "Ann" else "Ann"
    for name in ("Ann", "Bob"):
        remember(name, f"{name} plays the oboe")
    edges = [{"from": "Ann", "to": "Bob", "relationType": "knows", "strength": 0.4}]
    ask("create_relations", relations=edges)
    for name in ("Ann", "Bob"):
        ask("delete_entities", entityNames=[name])
    assert ask("memory_revert", entity_name=first, version=1)["restored_relations"] == []
    assert ask("read_graph")["relations"] == []
    assert ask("memory_revert", entity_name=second, version=1)["restored_relations"] == edges
    assert ask("read_graph")["relations"] == edges


def test_a_relation_that_was_ended_by_itself_does_not_come_back_with_its_ends(ask: Any, remember: Any) -> None:
    for name in ("Ann", "Bob"):
        remember(name, f"{name} plays the oboe")
    edges = [{"from": "Ann", "to": "Bob", "relationType": "knows"}]
    ask("create_relations", relations=edges)
    ask("delete_entities", entityNames=["Ann"])
    ask("memory_revert", entity_name="Ann", version=1)
    ask("delete_relations", relations=edges)
    for name in ("Ann", "Bob"):
        ask("delete_entities", entityNames=[name])
    for name in ("Ann", "Bob"):
        assert ask("memory_revert", entity_name=name, version=1)["restored_relations"] == []
    assert ask("read_graph")["relations"] == []


@pytest.mark.parametrize(
    ("method", "params"),
    [
        ("memory_history", {"entity_name": "Nobody"}),
        ("memory_diff", {"entity_name": "Ann", "version1": 9}),
        ("memory_revert", {"entity_name": "Ann", "version": 9}),
        ("memory_branch", {"entity_name": "Ann", "branch_name": "b", "from_version": 9}),
        ("memory_checkout", {"entity_name": "Ann", "branch_name": "nowhere"}),
        ("memory_merge", {"entity_name": "Ann", "source_branch": "nowhere"}),
        ("delete_branch", {"entity_name": "Ann", "branch_name": "nowhere"}),
        ("open_nodes", {"names": ["Ann"], "version": 9}),
        ("memory_history", {"entity_name": "Ann", "branch": "nowhere"}),
        (
            "add_observations",
            {"observations": [{"entityName": "Ann", "contents": ["x"]}], "branch": "nowhere"},
        ),
    ],
)
def test_what_is_not_there_is_not_found(ask: Any, remember: Any, method: str, params: dict[str, Any]) -> None:
    remember("Ann", "a")
    assert ask(method, **params)["code"] == "not_found"


def test_work_on_a_branch_moves_nobody_else_until_it_is_merged(ask: Any, remember: Any) -> None:
    remember("Ann", "a", "b")
    branched = ask("memory_branch", entity_name="Ann", branch_name="idea", checkout=False)
    assert (branched["created_from_version"], branched["current_branch"]) == (1, "main")
    add(ask, "Ann", "c", branch="idea")
    remove(ask, "Ann", "a", branch="idea")
    assert observations(ask, "Ann") == ["a", "b"]
    assert observations(ask, "Ann", branch="idea") == ["b", "c"]
    assert ask("search_nodes", query="c")["count"] == 0
    preview = ask("memory_merge", entity_name="Ann", source_branch="idea", dry_run=True)
    assert (preview["added"], preview["removed"], preview["new_version"]) == (["c"], ["a"], None)
    assert observations(ask, "Ann") == ["a", "b"]
    merged = ask("memory_merge", entity_name="Ann", source_branch="idea")
    assert (merged["new_version"], observations(ask, "Ann")) == (4, ["b", "c"])


def test_two_branches_merged_one_after_the_other_keep_both_sides(ask: Any, remember: Any) -> None:
    remember("Ann", "a", "b", "c")
    for branch in ("one", "two"):
        ask("memory_branch", entity_name="Ann", branch_name=branch, checkout=False)
    add(ask, "Ann", "from one", branch="one")
    remove(ask, "Ann", "a", branch="one")
    add(ask, "Ann", "from two", branch="two")
    remove(ask, "Ann", "b", branch="two")
    for branch in ("one", "two"):
        assert ask("memory_merge", entity_name="Ann", source_branch=branch)["success"]
    assert observations(ask, "Ann") == ["c", "from one", "from two"]
    newest = ask("memory_history", entity_name="Ann")["versions"][0]
    assert (newest["action"], newest["parent"], newest["merge_parent"]) == ("merged", 6, 5)


def test_merging_again_takes_only_what_came_since(ask: Any, remember: Any) -> None:
    remember("Ann", "a")
    ask("memory_branch", entity_name="Ann", branch_name="idea", checkout=False)
    add(ask, "Ann", "b", branch="idea")
    ask("memory_merge", entity_name="Ann", source_branch="idea")
    remove(ask, "Ann", "b")
    assert ask("memory_merge", entity_name="Ann", source_branch="idea")["new_version"] is None
    add(ask, "Ann", "c", branch="idea")
    ask("memory_merge", entity_name="Ann", source_branch="idea")
    assert observations(ask, "Ann") == ["a", "c"]


def test_a_type_changed_on_both_sides_needs_a_word(ask: Any, remember: Any) -> None:
    remember("Ann", "a")
    ask("memory_branch", entity_name="Ann", branch_name="idea", checkout=False)
    ask("update_entity", entityName="Ann", entityType="friend", branch="idea")
    ask("update_entity", entityName="Ann", entityType="colleague")
    assert ask("memory_merge", entity_name="Ann", source_branch="idea")["code"] == "version_conflict"
    merged = ask("memory_merge", entity_name="Ann", source_branch="idea", prefer="source")
    assert merged["entityType"] == "friend"
    assert ask("open_nodes", names=["Ann"])["entities"][0]["entityType"] == "friend"


def test_a_checkout_is_what_reads_and_searches_see(ask: Any, remember: Any) -> None:
    remember("Ann", "plays the oboe")
    ask("memory_branch", entity_name="Ann", branch_name="idea")
    remove(ask, "Ann", "plays the oboe")
    add(ask, "Ann", "plays the cello")
    assert (ask("search_nodes", query="oboe")["count"], ask("search_nodes", query="cello")["count"]) == (0, 1)
    back = ask("memory_checkout", entity_name="Ann", branch_name="main")
    assert back["version"] == 1
    assert (ask("search_nodes", query="oboe")["count"], ask("search_nodes", query="cello")["count"]) == (1, 0)
    branches = ask("list_branches", entity_name="Ann")["branches"]
    assert [(b["name"], b["head_version"], b["current"]) for b in branches] == [("main", 1, True), ("idea", 3, False)]


def test_main_and_the_branch_in_use_cannot_be_deleted_and_others_can(ask: Any, remember: Any) -> None:
    remember("Ann", "a")
    ask("memory_branch", entity_name="Ann", branch_name="idea")
    for branch in ("main", "idea"):
        assert ask("delete_branch", entity_name="Ann", branch_name=branch)["code"] == "invalid_params"
    ask("memory_checkout", entity_name="Ann", branch_name="main")
    assert ask("delete_branch", entity_name="Ann", branch_name="idea")["deleted"] == "idea"
    assert [b["name"] for b in ask("list_branches", entity_name="Ann")["branches"]] == ["main"]


def test_an_old_version_and_an_old_time_show_what_stood_then(ask: Any, remember: Any) -> None:
    remember("Ann", "a")
    remember("Bob", "b")
    ask("create_relations", relations=[{"from": "Ann", "to": "Bob", "relationType": "knows"}])
    then = ask("memory_commit", entity_name="Bob", message="then")
    moment = ask("memory_history", entity_name="Bob")["versions"][0]["created"]
    add(ask, "Ann", "later")
    ask("update_entity", entityName="Ann", name="Anna")
    ask("delete_entities", entityNames=["Bob"])
    remember("Cy", "new")
    assert then["version"] == 2
    assert observations(ask, "Anna", version=1) == ["a"]
    past = ask("open_nodes", names=["Ann", "Bob", "Cy", "Anna"], as_of=moment)
    assert [(e["name"], e["observations"]) for e in past["entities"]] == [("Ann", ["a"]), ("Bob", ["b"])]
    assert past["relations"] == [{"from": "Ann", "to": "Bob", "relationType": "knows"}]
    assert past["missing"] == ["Cy", "Anna"]
    graph = ask("read_graph", as_of=moment)
    assert ([e["name"] for e in graph["entities"]], graph["total_entities"]) == (["Ann", "Bob"], 2)
    assert graph["relations"] == past["relations"]


def test_what_changed_lists_every_change_once_and_in_order(ask: Any, remember: Any) -> None:
    remember("Ann", "a")
    remember("Bob", "b")
    edge = {"from": "Ann", "to": "Bob", "relationType": "knows"}
    ask("create_relations", relations=[edge])
    add(ask, "Ann", "c")
    ask("delete_relations", relations=[edge])
    seen: list[Any] = []
    cursor = None
    while True:
        page = ask("what_changed", since="1h", limit=2, cursor=cursor)
        seen += [(c["kind"], c["action"], c.get("name")) for c in page["changes"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert seen == [
        ("entity", "created", "Ann"),
        ("entity", "created", "Bob"),
        ("relation", "created", None),
        ("entity", "updated", "Ann"),
        ("relation", "deleted", None),
    ]


def test_a_memory_that_is_written_once_has_a_history_without_a_row_of_it(
    ask: Any, remember: Any, tmp_path: Path
) -> None:
    remember("Ann", "a", type_="person")

    def rows() -> list[Any]:
        with closing(sqlite3.connect(tmp_path / "memory.db")) as connection:
            return connection.execute("SELECT version_number, parent_version FROM versions ORDER BY id").fetchall()

    def first() -> list[Any]:
        note = ask("memory_history", entity_name="Ann")["versions"][-1]
        past = ask("open_nodes", names=["Ann"], version=1)["entities"][0]
        was = ask("open_nodes", names=["Ann"], as_of=note["created"])["entities"][0]
        change = ask("what_changed", since="1h")["changes"][0]
        return [note, past["observations"], past["entityType"], was["observations"], was["version"], change]

    before = first()
    assert rows() == []
    assert ask("get_memory_status")["versioning"]["total_versions"] == 1
    assert ask("verify_database")["checked"]["versions"] == 1
    add(ask, "Ann", "b")
    ask("update_entity", entityName="Ann", entityType="friend")
    assert rows() == [(1, None), (2, 1), (3, 2)]
    assert first() == before
    assert ask("get_memory_status")["versioning"]["total_versions"] == 3
    assert ask("verify_database")["ok"]


def test_a_branch_of_a_memory_written_once_leads_to_its_first_version(ask: Any, remember: Any) -> None:
    remember("Ann", "a")
    ask("memory_branch", entity_name="Ann", branch_name="draft", checkout=False)
    assert ask("verify_database")["ok"]
    add(ask, "Ann", "b", branch="draft")
    assert [note["version"] for note in ask("memory_history", entity_name="Ann")["versions"]] == [2, 1]
    assert observations(ask, "Ann") == ["a"]
    assert observations(ask, "Ann", branch="draft") == ["a", "b"]
    assert ask("memory_merge", entity_name="Ann", source_branch="draft")["success"]
    assert observations(ask, "Ann") == ["a", "b"]
    assert ask("verify_database")["ok"]


def test_what_changed_pages_on_while_a_memory_gets_its_second_version(ask: Any) -> None:
    made = [{"name": f"e{n}", "entityType": "t", "observations": ["x"]} for n in range(6)]
    ask("create_entities", entities=made)
    page = ask("what_changed", since="1h", limit=3)
    seen = [change["name"] for change in page["changes"]]
    for name in ("e4", "e1"):
        add(ask, name, "y")
    while page["next_cursor"] is not None:
        page = ask("what_changed", since="1h", limit=2, cursor=page["next_cursor"])
        seen += [change["name"] for change in page["changes"]]
    assert seen == ["e0", "e1", "e2", "e3", "e4", "e5", "e4", "e1"]


def test_a_branch_that_begins_where_the_entity_was_deleted_is_seen_at_any_later_time(ask: Any, remember: Any) -> None:
    remember("Ann", "fact")
    ask("delete_entities", entityNames=["Ann"])
    ask("memory_revert", entity_name="Ann", version=1)
    ask("memory_branch", entity_name="Ann", branch_name="idea", from_version=2, checkout=True)
    later = datetime.now(UTC).isoformat()
    assert [each["name"] for each in ask("read_graph", as_of=later)["entities"]] == ["Ann"]
    assert [each["name"] for each in ask("open_nodes", names=["Ann"], as_of=later)["entities"]] == ["Ann"]
    ask("delete_entities", entityNames=["Ann"])
    assert ask("read_graph", as_of=datetime.now(UTC).isoformat())["entities"] == []


def test_an_entity_on_a_branch_without_changes_was_on_that_branch(
    service: MemoryDBService, ask: Any, remember: Any
) -> None:
    remember("Ann", "a")
    ask("memory_branch", entity_name="Ann", branch_name="idea")
    now = service._store.write(lambda tx: tx.now, "default", 5.0)
    assert ask("open_nodes", names=["Ann"], as_of=now)["entities"] == ask("open_nodes", names=["Ann"])["entities"]


def test_a_purged_entity_is_in_no_byte_of_the_files(service: MemoryDBService, ask: Any, remember: Any) -> None:
    marker = "Xylographquokka"
    for number in range(50):
        remember(f"other{number}", f"The weather of day {number} was fine")
    remember("secret", f"The code is {marker} and nobody knows it", f"{marker} again")
    add(ask, "secret", f"still {marker}", request_id="r-purge")
    remove(ask, "secret", f"{marker} again")
    remember("gone", f"deleted {marker}")
    ask("delete_entities", entityNames=["gone"])
    folder = Path(service.settings.db_path).parent

    def found() -> list[str]:
        service._store.read(lambda tx: None, "default", 5.0)
        raw = marker.lower().encode()
        return [file.name for file in folder.iterdir() if raw in file.read_bytes().lower()]

    assert found()
    reply = ask("purge_entities", entityNames=["secret", "gone", "never"], confirm=True)
    assert (reply["purged"], reply["missing"]) == (["secret", "gone"], ["never"])
    assert found() == []
    assert ask("memory_history", entity_name="secret")["code"] == "not_found"
    assert ask("search_nodes", query="weather", limit=100)["count"] == 50


def test_purging_needs_a_word(ask: Any, remember: Any) -> None:
    remember("Ann", "a")
    assert ask("purge_entities", entityNames=["Ann"], confirm=False)["code"] == "invalid_params"
    assert ask("purge_entities", entityNames=["Ann"])["code"] == "invalid_params"
    assert observations(ask, "Ann") == ["a"]


def test_a_purge_leaves_the_replies_to_other_requests(service: MemoryDBService, remember: Any, ask: Any) -> None:
    remember("Ann", "a")
    remember("junk", "x")
    commit = {"method": "memory_commit", "params": {"entity_name": "Ann", "message": "once"}, "request_id": "same"}
    first = service.handle_request(commit)
    assert ask("purge_entities", entityNames=["junk"], confirm=True)["purged"] == ["junk"]
    assert service.handle_request(commit) == first


def test_a_former_name_is_read_but_not_written(ask: Any, remember: Any) -> None:
    remember("Ann", "a")
    ask("update_entity", entityName="Ann", name="Anna")
    assert ask("memory_history", entity_name="Ann")["entity"] == "Anna"
    assert ask("memory_revert", entity_name="Ann", version=1)["code"] == "not_found"


def test_reads_and_searches_on_a_branch_see_its_content_and_all_else_as_it_is(ask: Any, remember: Any) -> None:
    remember("Ann", "plays the oboe")
    remember("Bob", "mends oboes")
    ask("memory_branch", entity_name="Ann", branch_name="idea", checkout=False)
    add(ask, "Ann", "plays the cello", branch="idea")
    remove(ask, "Ann", "plays the oboe", branch="idea")
    found = ask("search_nodes", query="cello", branch="idea")["results"]
    assert [(r["name"], r["branch"], r["observations"]) for r in found] == [("Ann", "idea", ["plays the cello"])]
    assert ask("search_nodes", query="cello")["count"] == 0
    assert [r["name"] for r in ask("search_nodes", query="oboe", branch="idea")["results"]] == ["Bob"]
    graph = ask("read_graph", branch="idea")["entities"]
    assert [(e["name"], e["observations"]) for e in graph] == [("Ann", ["plays the cello"]), ("Bob", ["mends oboes"])]


def test_a_namespace_that_holds_nothing_has_no_versions(ask: Any, remember: Any) -> None:
    remember("Ann", "a")
    add(ask, "Ann", "b")
    assert ask("get_memory_status")["versioning"]["total_versions"] == 2
    assert ask("get_memory_status", namespace="empty")["versioning"]["total_versions"] == 0
