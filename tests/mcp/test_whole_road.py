"""Every tool once, from FastMCP's client in memory to a real daemon's database and back."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import jsonschema  # type: ignore[import-untyped]
import pytest
from fastmcp import Client

from enhanced_memory.mcp.app import build
from enhanced_memory.registry import operations

if TYPE_CHECKING:
    from tests.mcp.conftest import Place

pytestmark = pytest.mark.process

ANN = {"name": "Ann", "entityType": "person", "observations": ["drinks oolong tea", "lives in Graz"]}
LINE = {"type": "entity", "name": "Bob", "entityType": "person", "observations": ["plays chess"]}
LIKES = {"from": "Ann", "to": "Bob", "relationType": "likes", "strength": 0.9, "metadata": {"since": 2020}}

WALKS = [
    {
        "name": f"walk {n}",
        "entityType": "walk",
        "tier": "episodic",
        "observations": ["It rained in the park", f"day {n}"],
    }
    for n in range(3)
]
"""Episodes that share something, so that a curation has something to do."""

SESSION: tuple[tuple[str, dict[str, Any]], ...] = (
    ("ping", {}),
    ("describe", {}),
    ("list_running", {}),
    ("wait_for_changes", {"timeout_s": 0}),
    ("complete_names", {"beginning": "a"}),
    ("create_entities", {"entities": [ANN]}),
    ("import_graph", {"lines": [{"line": 1, "text": json.dumps(LINE)}, {"line": 2, "text": "nonsense"}]}),
    ("preview_import", {"lines": [{"line": 1, "text": json.dumps(LINE)}], "assumed": ["Carl"]}),
    ("add_observations", {"observations": [{"entityName": "Ann", "contents": ["speaks French"]}]}),
    ("create_relations", {"relations": [LIKES]}),
    ("update_entity", {"entityName": "Bob", "name": "Robert"}),
    ("confirm_entities", {"entityNames": ["Ann"]}),
    ("search_nodes", {"query": "who drinks tea?"}),
    ("search_nodes", {"query": "tea", "detail": "names"}),
    ("open_nodes", {"names": ["Ann", "Nobody"]}),
    ("read_graph", {}),
    ("export_graph", {}),
    ("get_memory_status", {}),
    ("get_system_health", {}),
    ("backup", {}),
    ("verify_database", {}),
    ("memory_commit", {"entity_name": "Ann", "message": "as told"}),
    ("memory_history", {"entity_name": "Ann"}),
    ("memory_diff", {"entity_name": "Ann", "version1": 1}),
    ("memory_branch", {"entity_name": "Ann", "branch_name": "proposal"}),
    ("list_branches", {"entity_name": "Ann"}),
    ("memory_checkout", {"entity_name": "Ann", "branch_name": "main"}),
    ("memory_merge", {"entity_name": "Ann", "source_branch": "proposal", "dry_run": True}),
    ("delete_branch", {"entity_name": "Ann", "branch_name": "proposal"}),
    ("memory_revert", {"entity_name": "Ann", "version": 1}),
    ("what_changed", {"since": "1d"}),
    ("get_context", {"query": "tea"}),
    ("find_path", {"from": "Ann", "to": "Robert"}),
    ("neighbors", {"name": "Ann"}),
    ("detect_conflicts", {"entity_data": {"observations": ["Ann does not drink oolong"]}}),
    ("detect_memory_conflicts", {}),
    ("list_conflicts", {}),
    ("create_entities", {"entities": [{**ANN, "name": "Annie"}]}),
    ("resolve_conflict", {"conflict_data": {"entity_id": 3, "existing_id": 1, "conflict_type": "duplicate"}}),
    ("reopen_conflict", {"conflict_id": 1}),
    ("promote_to_tier", {"entityName": "Ann", "new_tier": "semantic", "reason": "it lasts"}),
    ("list_transitions", {"entityName": "Ann"}),
    ("create_entities", {"entities": WALKS}),
    ("autonomous_curation", {}),
    ("undo_curation", {"run_id": "last"}),
    ("auto_extract_facts", {"conversation_text": "user: Always run the linter before committing."}),
    ("prepare_extraction", {"conversation_text": "user: I moved to Lisbon."}),
    ("complete_extraction", {"conversation_text": "user: I moved to Lisbon.", "answer": '{"facts": []}'}),
    ("execute_code", {"code": "result = len(search_nodes('tea'))"}),
    ("save_skill", {"name": "count", "code": "result = len(search_nodes(word))", "description": "counts a word"}),
    ("run_skill", {"name": "count", "args": {"word": "tea"}}),
    ("list_skills", {}),
    ("delete_skill", {"name": "count"}),
    ("delete_relations", {"relations": [{"from": "Ann", "to": "Robert", "relationType": "likes"}]}),
    ("delete_observations", {"deletions": [{"entityName": "Ann", "observations": ["lives in Graz"]}]}),
    ("delete_entities", {"entityNames": ["Robert", "Nobody"]}),
    ("purge_entities", {"entityNames": ["Ann"], "confirm": True}),
)
"""Calls that succeed in this order on an empty memory; every tool is among them."""


def in_session(place: Place, work: Callable[[Any, dict[str, Any]], Any]) -> None:
    """Run `work` with a client of the full profile and the output schemas by tool, beside a daemon of the place's."""

    async def session() -> None:
        async with asyncio.timeout(60), Client(build(place.settings(tools="full", autostart="1"))) as client:
            await work(client, {tool.name: tool.output_schema for tool in await client.list_tools()})

    asyncio.run(session())


def test_every_tool_succeeds_with_a_reply_that_fits_its_output_schema(place: Place) -> None:
    async def work(client: Any, schemas: dict[str, Any]) -> None:
        for name, arguments in SESSION:
            result = await client.call_tool(name, arguments)
            assert result.structured_content["success"] is True
            assert json.loads(result.content[0].text) == result.structured_content
            jsonschema.validate(result.structured_content, schemas[name])

    in_session(place, work)


def test_the_session_calls_every_tool() -> None:
    assert set(operations()) - {name for name, _ in SESSION} == set()


def test_every_tool_refuses_an_unknown_parameter_with_a_reply_that_fits_its_output_schema(place: Place) -> None:
    async def work(client: Any, schemas: dict[str, Any]) -> None:
        for name, schema in schemas.items():
            result = await client.call_tool(name, {"no_such_parameter": 1}, raise_on_error=False)
            assert result.is_error
            assert result.structured_content["code"] == "invalid_params"
            jsonschema.validate(result.structured_content, schema)

    in_session(place, work)


def test_a_list_sent_as_a_json_string_is_stored(place: Place) -> None:
    async def work(client: Any, schemas: dict[str, Any]) -> None:
        await client.call_tool("create_entities", {"entities": json.dumps([ANN]), "commit_message": None})
        found = await client.call_tool("search_nodes", {"query": "oolong", "limit": "3", "tier": None})
        assert [entity["name"] for entity in found.structured_content["results"]] == ["Ann"]

    in_session(place, work)
