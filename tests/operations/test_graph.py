"""Relations, opening, paging, import and export."""

from __future__ import annotations

import json
from typing import Any

import pytest


def edge(source: str, target: str, kind: str = "knows", **more: Any) -> dict[str, Any]:
    return {"from": source, "to": target, "relationType": kind, **more}


def test_relations_are_made_once_and_told_apart_from_those_that_were_there(ask: Any, remember: Any) -> None:
    remember("Ann")
    remember("Bob")
    told = edge("Ann", "Bob", strength=0.5, metadata={"since": 2019})
    assert ask("create_relations", relations=[told]) == {"success": True, "relations": [told], "existing": []}
    assert ask("create_relations", relations=[edge("Ann", "Bob")])["existing"] == [told]


def test_a_relation_needs_both_ends(ask: Any, remember: Any) -> None:
    remember("Ann")
    remember("Bob")
    reply = ask("create_relations", relations=[edge("Ann", "Bob"), edge("Ann", "Nobody")])
    assert (reply["code"], reply["details"]) == ("not_found", {"entities": ["Nobody"]})
    assert ask("read_graph")["relations"] == []


def test_deleting_relations_tells_which_were_missing(ask: Any, remember: Any) -> None:
    remember("Ann")
    remember("Bob")
    ask("create_relations", relations=[edge("Ann", "Bob")])
    reply = ask("delete_relations", relations=[edge("Ann", "Bob"), edge("Bob", "Ann"), edge("Ann", "Nobody")])
    assert (reply["deleted"], len(reply["missing"])) == ([edge("Ann", "Bob")], 2)
    assert ask("get_memory_status")["total_relations"] == 0


def test_opening_gives_entities_in_the_order_asked_and_names_what_is_missing(ask: Any, remember: Any) -> None:
    remember("Ann", "a")
    remember("Bob", "b")
    reply = ask("open_nodes", names=["Bob", "Nobody", "Ann", "Bob"])
    assert [entity["name"] for entity in reply["entities"]] == ["Bob", "Ann"]
    assert reply["missing"] == ["Nobody"]


def test_paging_gives_every_entity_and_relation_once(ask: Any, remember: Any) -> None:
    names = [f"e{n}" for n in range(25)]
    for name in names:
        remember(name, "x")
    ask("create_relations", relations=[edge(a, b) for a, b in zip(names, names[1:] + names[:1], strict=True)])
    seen: list[str] = []
    edges: list[str] = []
    cursor = None
    while True:
        page = ask("read_graph", limit=4, cursor=cursor)
        assert page["total_entities"] == 25 + len(seen) // 4
        seen += [entity["name"] for entity in page["entities"]]
        edges += [found["from"] for found in page["relations"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
        remember(f"later{len(seen)}")  # another client writes meanwhile
    assert seen[:25] == names
    assert len(seen) == len(set(seen))
    assert sorted(edges) == sorted(names)


@pytest.mark.parametrize("cursor", ["x", "-1", "1.5", "e1", ""])
def test_a_cursor_that_was_never_given_out_is_refused(ask: Any, cursor: str) -> None:
    assert ask("read_graph", cursor=cursor)["code"] == "invalid_params"


def test_a_page_ends_within_its_token_budget(ask: Any, remember: Any) -> None:
    for n in range(20):
        remember(f"e{n}", "word " * 50)
    page = ask("read_graph", max_tokens=500)
    assert 0 < len(page["entities"]) < 20
    assert page["next_cursor"] is not None


def lines(*items: Any) -> list[dict[str, Any]]:
    return [
        {"line": number, "text": item if isinstance(item, str) else json.dumps(item)}
        for number, item in enumerate(items, start=1)
    ]


def test_bad_lines_are_reported_by_number_and_the_others_go_in(ask: Any) -> None:
    reply = ask(
        "import_graph",
        lines=lines(
            {"type": "entity", "name": "Ann", "entityType": "person", "observations": ["a", ""], "extra": 1},
            '{"type":"entity","name":"half',
            {"type": "entity", "name": "Bob", "entityType": "person"},
            {"type": "relation", **edge("Ann", "Bob")},
            {"type": "relation", **edge("Ann", "Nobody")},
            '{"type":"relation","from":"x"}{"type":"relation","from":"y"}',
            {"type": "note"},
            "[" * 100_000,
            "[1]",
            {"type": "entity", "name": "", "entityType": "person", "observations": []},
        ),
    )
    assert (reply["entities"], reply["relations"], reply["unchanged"]) == (2, 1, 0)
    assert [bad["line"] for bad in reply["errors"]] == [2, 5, 6, 7, 8, 9, 10]
    assert ask("open_nodes", names=["Ann"])["entities"][0]["observations"] == ["a"]


def test_what_was_exported_and_imported_elsewhere_is_the_same_graph(ask: Any, remember: Any) -> None:
    remember("Ann", "likes tea", "has a dog", type_="person", tier="semantic", always_include=True)
    remember("Initech", type_="company", relevance_score=0.5)
    ask("create_relations", relations=[edge("Ann", "Initech", "works_at", strength=0.5)])

    def exported(namespace: str) -> list[str]:
        found: list[str] = []
        cursor = None
        while True:
            page = ask("export_graph", namespace=namespace, limit=1, cursor=cursor)
            found += page["lines"]
            cursor = page["next_cursor"]
            if cursor is None:
                return found

    before = exported("default")
    reply = ask("import_graph", namespace="copy", lines=lines(*before))
    assert (reply["entities"], reply["relations"], reply["errors"]) == (2, 1, [])
    assert exported("copy") == before
    assert ask("import_graph", namespace="copy", lines=lines(*before))["unchanged"] == 3


def test_a_preview_tells_what_an_import_would_do_and_changes_nothing(ask: Any, remember: Any) -> None:
    remember("Ann", "likes tea", type_="person", extraction_method="import")
    given = lines(
        {"type": "entity", "name": "Ann", "entityType": "person", "observations": ["likes tea"]},
        {"type": "entity", "name": "Ann", "entityType": "person", "observations": ["has a dog"]},
        {"type": "entity", "name": "Bob", "entityType": "person", "observations": []},
        {"type": "relation", **edge("Ann", "Bob")},
        {"type": "relation", **edge("Ann", "Carl")},
        {"type": "relation", **edge("Ann", "Nobody")},
    )
    before = ask("export_graph"), ask("memory_history", entity_name="Ann")
    preview = ask("preview_import", lines=given, assumed=["Carl", "Ann"])
    assert preview["actions"] == ["unchanged", "updated", "created", "related", "related", "error"]
    assert (ask("export_graph"), ask("memory_history", entity_name="Ann")) == before
    assert ask("search_nodes", query="dog")["results"] == []
    assert ask("get_memory_status")["total_entities"] == 1
    ask("create_entities", entities=[{"name": "Carl", "entityType": "person", "observations": []}])
    real = ask("import_graph", lines=given)
    assert {key: preview[key] for key in real} == real
    assert (real["created"], real["updated"], real["relations"]) == (1, 1, 2)


def test_a_preview_takes_what_is_there_as_the_import_would(ask: Any, remember: Any) -> None:
    remember("Ann", "likes tea", type_="person")
    given = lines({"type": "entity", "name": "Ann", "entityType": "person", "observations": ["has a dog"]})
    told = {}
    for how in ("skip", "replace", "error"):
        told[how] = ask("preview_import", lines=given, on_existing=how)["actions"]
    assert told == {"skip": ["unchanged"], "replace": ["updated"], "error": ["error"]}


@pytest.mark.parametrize("limit", [1, 2, 3, 7, 500])
def test_a_full_export_gives_every_version_once_whatever_the_pages(ask: Any, remember: Any, limit: int) -> None:
    for n in range(4):
        remember("Ann", f"fact {n}")
    remember("Bob")
    ask("create_relations", relations=[edge("Ann", "Bob")])
    told: list[dict[str, Any]] = []
    cursor, versions = None, 0
    while True:
        page = ask("export_graph", limit=limit, cursor=cursor, history=True)
        assert len(page["lines"]) <= limit
        told += map(json.loads, page["lines"])
        versions += page["versions"]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert [item["type"] for item in told] == ["entity", "entity", "relation", *["version"] * 5]
    assert versions == 5
    assert [(item["entity"], item["version"]) for item in told[3:]] == [
        ("Ann", 4),
        ("Ann", 3),
        ("Ann", 2),
        ("Ann", 1),
        ("Bob", 1),
    ]
    assert [item["added"] for item in told[3:7]] == [["fact 3"], ["fact 2"], ["fact 1"], ["fact 0"]]
