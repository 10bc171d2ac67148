"""What create, add, update, confirm and delete do to entities."""

from __future__ import annotations

from typing import Any

import pytest

from enhanced_memory.service.dispatcher import MemoryDBService


def opened(ask: Any, name: str) -> dict[str, Any]:
    entity: dict[str, Any] = ask("open_nodes", names=[name])["entities"][0]
    return entity


def test_a_new_name_is_created_at_version_one(remember: Any) -> None:
    written = remember("Ann", "likes tea")
    assert (written["action"], written["version"], written["name"]) == ("created", 1, "Ann")


def test_the_same_again_is_unchanged_and_makes_no_version(remember: Any) -> None:
    remember("Ann", "likes tea")
    assert (remember("Ann", "likes tea")["action"], remember("Ann")["version"]) == ("unchanged", 1)


def test_merging_adds_what_is_new_behind_what_is_there(ask: Any, remember: Any) -> None:
    remember("Ann", "likes tea", "has a dog")
    assert remember("Ann", "has a dog", "plays chess")["action"] == "updated"
    assert opened(ask, "Ann")["observations"] == ["likes tea", "has a dog", "plays chess"]


@pytest.mark.parametrize(
    ("on_existing", "action", "observations"),
    [
        ("merge", "updated", ["old", "new"]),
        ("replace", "updated", ["new"]),
        ("skip", "unchanged", ["old"]),
    ],
)
def test_on_existing_decides_what_becomes_of_a_known_name(
    ask: Any, remember: Any, on_existing: str, action: str, observations: list[str]
) -> None:
    remember("Ann", "old")
    entity = {"name": "Ann", "entityType": "thing", "observations": ["new"]}
    reply = ask("create_entities", entities=[entity], on_existing=on_existing)
    assert reply["results"][0]["action"] == action
    assert opened(ask, "Ann")["observations"] == observations


def test_on_existing_error_refuses_the_whole_batch(ask: Any, remember: Any) -> None:
    remember("Ann", "old")
    batch: list[Any] = [{"name": name, "entityType": "thing", "observations": []} for name in ("Bob", "Ann")]
    reply = ask("create_entities", entities=batch, on_existing="error")
    assert reply["code"] == "already_exists"
    assert ask("open_nodes", names=["Bob"])["missing"] == ["Bob"]


def test_one_bad_item_keeps_the_whole_batch_out(ask: Any) -> None:
    batch: list[Any] = [{"name": "Ann", "entityType": "thing", "observations": []}, {"name": "Bob", "observations": []}]
    reply = ask("create_entities", entities=batch)
    assert (reply["code"], reply["details"]["path"]) == ("invalid_params", "entities[1].entityType")
    assert ask("get_memory_status")["total_entities"] == 0


def test_the_keys_type_and_id_of_the_reference_server_are_passed_over(remember: Any) -> None:
    assert remember("Ann", "x", type="entity", id=7)["action"] == "created"


def test_names_keep_their_letters_and_lose_their_blank_ends(ask: Any, remember: Any) -> None:
    remember("  Ann Smith \t", "x")
    assert opened(ask, "Ann Smith")["name"] == "Ann Smith"


@pytest.mark.parametrize(
    ("fields", "path"),
    [
        ({"name": "a\x00b"}, "entities[0].name"),
        ({"name": "   "}, "entities[0].name"),
        ({"name": "x" * 513}, "entities[0].name"),
        ({"name": 7}, "entities[0].name"),
        ({"entityType": "x" * 129}, "entities[0].entityType"),
        ({"observations": "one"}, "entities[0].observations"),
        ({"observations": [" "]}, "entities[0].observations[0]"),
        ({"observations": [None]}, "entities[0].observations[0]"),
        ({"tier": "eternal"}, "entities[0].tier"),
        ({"relevance_score": 1.5}, "entities[0].relevance_score"),
        ({"relevance_score": "1"}, "entities[0].relevance_score"),
        ({"colour": "red"}, "entities[0].colour"),
    ],
)
def test_bad_fields_are_named_by_their_path(ask: Any, fields: dict[str, Any], path: str) -> None:
    entity = {"name": "Ann", "entityType": "person", "observations": [], **fields}
    reply = ask("create_entities", entities=[entity])
    assert (reply["code"], reply["details"]["path"]) == ("invalid_params", path)


@pytest.mark.parametrize(
    "entities",
    [
        [{"name": "a", "entityType": "t", "observations": ["é" * 32_769]}],
        [{"name": "a", "entityType": "t", "observations": [str(n) for n in range(10_001)]}],
        [{"name": str(n), "entityType": "t", "observations": []} for n in range(1_001)],
    ],
)
def test_what_is_over_a_limit_is_too_large(ask: Any, entities: list[dict[str, Any]]) -> None:
    assert ask("create_entities", entities=entities)["code"] == "too_large"


def test_merging_past_ten_thousand_observations_is_too_large(ask: Any, remember: Any) -> None:
    remember("Ann", *[str(n) for n in range(10_000)])
    reply = ask("add_observations", observations=[{"entityName": "Ann", "contents": ["one more"]}])
    assert reply["code"] == "too_large"


def test_a_wrong_expected_version_changes_nothing_and_tells_both(ask: Any, remember: Any) -> None:
    remember("Ann", "a")
    remember("Ann", "b")
    entity = {"name": "Ann", "entityType": "thing", "observations": ["c"], "expected_version": 1}
    reply = ask("create_entities", entities=[entity])
    assert reply["code"] == "version_conflict"
    assert (reply["details"]["expected_version"], reply["details"]["current_version"]) == (1, 2)
    assert opened(ask, "Ann")["observations"] == ["a", "b"]


def test_add_observations_tells_what_was_new(ask: Any, remember: Any) -> None:
    remember("Ann", "a")
    reply = ask("add_observations", observations=[{"entityName": "Ann", "contents": ["a", "b", "b"]}])
    assert reply["results"] == [{"entityName": "Ann", "addedObservations": ["b"], "version": 2}]


def test_adding_to_a_missing_entity_adds_to_none(ask: Any, remember: Any) -> None:
    remember("Ann", "a")
    additions = [{"entityName": "Ann", "contents": ["b"]}, {"entityName": "Bob", "contents": ["b"]}]
    assert ask("add_observations", observations=additions)["code"] == "not_found"
    assert opened(ask, "Ann")["observations"] == ["a"]


def test_a_rename_keeps_relations_and_is_found_under_the_new_name_alone(ask: Any, remember: Any) -> None:
    remember("Ann", "a")
    remember("Initech")
    ask("create_relations", relations=[{"from": "Ann", "to": "Initech", "relationType": "works_at"}])
    assert ask("update_entity", entityName="Ann", name="Anna")["current_version"] == 2
    assert ask("open_nodes", names=["Anna"])["relations"] == [
        {"from": "Anna", "to": "Initech", "relationType": "works_at"}
    ]
    assert [r["name"] for r in ask("search_nodes", query="anna")["results"]] == ["Anna"]
    assert ask("open_nodes", names=["Ann"])["missing"] == ["Ann"]


def test_the_history_of_a_renamed_entity_tells_its_old_name(ask: Any, remember: Any) -> None:
    remember("Ann", "a")
    ask("update_entity", entityName="Ann", name="Anna")
    ask("update_entity", entityName="Anna", entityType="note")
    last, renamed, _ = ask("memory_history", entity_name="Anna")["versions"]
    assert (renamed["action"], renamed["message"]) == ("renamed", "renamed from 'Ann'")
    assert (last["action"], last["message"]) == ("updated", None)


def test_a_rename_to_a_taken_name_is_refused(ask: Any, remember: Any) -> None:
    remember("Ann")
    remember("Bob")
    assert ask("update_entity", entityName="Ann", name="Bob")["code"] == "already_exists"


def test_pins_and_relevance_change_without_a_version(ask: Any, remember: Any) -> None:
    remember("Ann", "a")
    reply = ask("update_entity", entityName="Ann", always_include=True, relevance_score=0.25)
    assert (reply["always_include"], reply["relevance_score"], reply["current_version"]) == (True, 0.25, 1)


def test_confirming_restores_relevance(ask: Any, remember: Any) -> None:
    remember("Ann", "a", relevance_score=0.2)
    assert ask("confirm_entities", entityNames=["Ann", "Bob"]) == {
        "success": True,
        "confirmed": ["Ann"],
        "missing": ["Bob"],
    }
    assert ask("search_nodes", query="ann")["results"][0]["relevance_score"] == 1.0


def test_a_deleted_entity_is_in_no_read_and_its_relations_are_gone(ask: Any, remember: Any) -> None:
    remember("Ann", "plays the oboe")
    remember("Bob", "plays chess")
    ask("create_relations", relations=[{"from": "Bob", "to": "Ann", "relationType": "knows"}])
    assert ask("delete_entities", entityNames=["Ann", "Cy"]) == {"success": True, "deleted": ["Ann"], "missing": ["Cy"]}
    assert ask("search_nodes", query="oboe")["results"] == []
    assert ask("search_nodes", query="")["count"] == 1
    assert ask("read_graph")["relations"] == []
    assert ask("open_nodes", names=["Ann", "Bob"])["missing"] == ["Ann"]


def test_a_name_deleted_and_created_again_starts_afresh_on_top_of_its_history(ask: Any, remember: Any) -> None:
    remember("Ann", "old", tier="semantic", always_include=True)
    ask("delete_entities", entityNames=["Ann"])
    written = remember("Ann", "new")
    assert (written["action"], written["version"]) == ("created", 3)
    entity = opened(ask, "Ann")
    assert (entity["observations"], entity["tier"]) == (["new"], "working")
    assert ask("search_nodes", query="old")["results"] == []


def test_deleting_observations_takes_them_word_for_word_and_from_the_search(ask: Any, remember: Any) -> None:
    remember("Ann", "likes tea", "plays the oboe", "has a dog")
    deletion = {"entityName": "Ann", "observations": ["plays the oboe", "never said"]}
    reply = ask("delete_observations", deletions=[deletion])
    assert reply["results"] == [{"entityName": "Ann", "removedObservations": ["plays the oboe"], "version": 2}]
    assert ask("search_nodes", query="oboe")["results"] == []
    assert ask("search_nodes", query="dog")["results"][0]["matches"][0]["index"] == 1


def test_namespaces_are_separate_memories(ask: Any, remember: Any) -> None:
    remember("Ann", "plays the oboe")
    reply = ask(
        "create_entities",
        namespace="work",
        entities=[{"name": "Ann", "entityType": "t", "observations": ["oboe desk"]}],
    )
    assert reply["results"][0]["action"] == "created"
    assert [r["observations"] for r in ask("search_nodes", query="oboe")["results"]] == [["plays the oboe"]]
    both = ask("search_nodes", query="oboe", namespaces=["default", "work"])["results"]
    assert sorted(r["namespace"] for r in both) == ["default", "work"]
    assert ask("search_nodes", namespace="nowhere", query="oboe")["results"] == []


def test_a_repeated_request_id_gives_the_first_reply_and_writes_once(service: MemoryDBService) -> None:
    request = {
        "method": "create_entities",
        "params": {"entities": [{"name": "Ann", "entityType": "t", "observations": ["a"]}]},
        "request_id": "r-1",
        "id": 1,
    }
    first = service.handle_request(request)
    again = service.handle_request({**request, "id": 2})
    assert first["results"] == again["results"]
    assert (first["id"], again["id"]) == (1, 2)
    other = service.handle_request({**request, "params": {"entities": []}})
    assert other["success"] is False


def test_a_request_id_of_another_request_is_refused(service: MemoryDBService) -> None:
    def create(name: str) -> dict[str, object]:
        entity = {"name": name, "entityType": "t", "observations": []}
        return service.handle_request(
            {"method": "create_entities", "params": {"entities": [entity], "request_id": "same"}}
        )

    assert create("Ann")["success"] is True
    assert create("Bob")["code"] == "invalid_request"


def test_the_client_that_wrote_is_named_in_the_version(service: MemoryDBService) -> None:
    entity = {"name": "Ann", "entityType": "t", "observations": ["a"], "source_session": "s-1"}
    service.handle_request({"method": "create_entities", "params": {"entities": [entity]}, "client": "editor"})
    past = service._store.read(_first_version, "default", 5)
    assert (past.author, past.session, past.method, past.action) == ("editor", "s-1", "manual", "created")


def _first_version(tx: Any) -> Any:
    return tx.versions.read(tx.entities.find("Ann"), 1)
