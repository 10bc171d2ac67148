"""The tools as an assistant meets them: what is listed, what is sent on, and what comes back."""

from __future__ import annotations

import ast
import asyncio
import json
import re
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any, TypeVar

import jsonschema  # type: ignore[import-untyped]
import pytest
from fastmcp import Client
from mcp.types import Implementation, TextContent, Tool

from enhanced_memory import __version__
from enhanced_memory.mcp import listing
from enhanced_memory.mcp.app import INSTRUCTIONS, build
from enhanced_memory.registry import operations

if TYPE_CHECKING:
    from tests.mcp.conftest import Place

T = TypeVar("T")
Request = dict[str, Any]

MODES = ("legacy", "2026-07-28")
"""The two kinds of connection: a handshake first, or the client named in every request."""


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run `work`, at most 30 seconds: nothing here waits for anything slower than a loaded machine."""

    async def bounded() -> T:
        async with asyncio.timeout(30):
            return await work

    return asyncio.run(bounded())


async def succeed(request: dict[str, Any]) -> dict[str, Any]:
    return {"success": True, "seen": request["params"]}


async def fail(request: dict[str, Any]) -> dict[str, Any]:
    return {
        "success": False,
        "error": "there is no entity 'Ann'",
        "code": "not_found",
        "hint": "search_nodes finds names",
        "details": {"path": "names[0]"},
    }


async def all_tools(place: Place) -> list[Tool]:
    """What the full profile lists."""
    async with Client(build(place.settings(tools="full"))) as client:
        tools: list[Tool] = await client.list_tools()
        return tools


def test_the_core_profile_lists_the_core_operations_and_full_lists_all(place: Place) -> None:
    async def listed(profile: str) -> list[str]:
        async with Client(build(place.settings(tools=profile))) as client:
            return [tool.name for tool in await client.list_tools()]

    assert run(listed("core")) == [operation.name for operation in operations().values() if operation.core]
    assert run(listed("full")) == list(operations())


def test_the_core_profile_has_at_most_twenty_tools() -> None:
    assert 0 < sum(operation.core for operation in operations().values()) <= 20


def test_every_tool_says_what_its_operation_declares(place: Place) -> None:
    for tool in run(all_tools(place)):
        operation = operations()[tool.name]
        assert tool.title == operation.title
        assert tool.description
        assert operation.description.startswith(tool.description.split("\n")[0].split(" Raises:")[0][:60])
        assert "Raises:" not in tool.description
        assert tool.annotations
        assert tool.output_schema
        assert tool.annotations.read_only_hint is not operation.writes
        assert tool.annotations.destructive_hint is operation.destructive
        assert tool.annotations.idempotent_hint is operation.idempotent
        assert tool.annotations.open_world_hint is False
        assert tool.input_schema["type"] == "object"
        assert set(tool.input_schema["properties"]) == set(operation.params_schema.get("properties", {}))
        assert tool.output_schema["required"] == ["success"]
        assert "additionalProperties" not in tool.output_schema


def test_the_whole_core_listing_is_under_16_kb(place: Place) -> None:
    async def listed() -> str:
        async with Client(build(place.settings())) as client:
            result = await client.list_tools_mcp()
            text: str = result.model_dump_json(by_alias=True, exclude_none=True)
            return text

    assert len(run(listed()).encode()) < 16 * 1024


def test_every_core_tool_says_when_to_use_it_with_an_example_of_arguments_it_takes(place: Place) -> None:
    for operation in operations().values():
        if not operation.core:
            continue
        told = listing.words(operation.description)
        assert "\nUse " in told, operation.name
        assert len(told) <= 350, operation.name
        (example,) = re.findall(rf"{operation.name}\(.*\)$", told)
        call = ast.parse(example, mode="eval").body
        assert isinstance(call, ast.Call)
        operation.check({word.arg: ast.literal_eval(word.value) for word in call.keywords if word.arg})


def test_core_descriptions_name_only_core_tools() -> None:
    outside = {operation.name for operation in operations().values() if not operation.core}
    for operation in operations().values():
        if operation.core:
            assert not outside & set(re.findall(r"\w+", listing.words(operation.description))), operation.name


def test_a_listed_schema_takes_what_the_operation_takes_and_tells_its_types() -> None:
    schema = {
        "$defs": {
            "Item": {
                "properties": {"name": {"type": "string", "maxLength": 5}, "rare": {"type": "boolean"}},
                "required": ["name"],
                "additionalProperties": False,
                "type": "object",
            }
        },
        "properties": {
            "items": {"items": {"$ref": "#/$defs/Item"}, "type": "array", "description": "Things; may be rare."},
            "limit": {"type": "integer", "minimum": 1, "default": 10, "description": "Most."},
            "kind": {"anyOf": [{"enum": ["a", "b"], "type": "string"}, {"type": "null"}], "default": None},
            "either": {"anyOf": [{"type": "string"}, {"type": "integer"}, {"type": "null"}], "default": None},
        },
        "required": ["items"],
    }
    thing = {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]}
    assert listing.taken(schema) == {
        "type": "object",
        "properties": {
            "items": {"type": "array", "items": thing, "description": "Things; may be rare."},
            "limit": {"type": "integer", "default": 10},
            "kind": {"type": "string", "enum": ["a", "b"]},
            "either": {"anyOf": [{"type": "string"}, {"type": "integer"}]},
        },
        "required": ["items"],
    }


def test_no_schema_refers_elsewhere_or_repeats_names_as_titles(place: Place) -> None:
    for tool in run(all_tools(place)):
        text = json.dumps([tool.input_schema, tool.output_schema])
        assert "$ref" not in text
        assert '"title": "' not in text


def test_the_server_says_its_name_its_version_and_how_memory_is_used(place: Place) -> None:
    async def greeted() -> Any:
        async with Client(build(place.settings()), mode="legacy") as client:
            return client.initialize_result

    greeting = run(greeted())
    assert (greeting.server_info.name, greeting.server_info.version) == ("enhanced-memory", __version__)
    assert greeting.instructions == INSTRUCTIONS


def test_the_instructions_are_under_2_kb_and_name_only_what_the_core_profile_has() -> None:
    core = [operation for operation in operations().values() if operation.core]
    known = {operation.name for operation in core}
    for schema in ("params_schema", "result_schema"):
        known.update(name for operation in core for name in getattr(operation, schema).get("properties", {}))

    assert len(INSTRUCTIONS.encode()) < 2048
    assert set(re.findall(r"\b[a-z]+(?:_[a-z]+)+\b", INSTRUCTIONS)) <= known
    assert {"search_nodes", "add_observations"} <= set(re.findall(r"\w+", INSTRUCTIONS))


def test_tools_are_listed_where_no_daemon_answers(place: Place) -> None:
    async def listed() -> int:
        async with Client(build(place.settings())) as client:
            return len(await client.list_tools())

    assert run(listed()) > 0


@pytest.mark.parametrize("mode", MODES)
def test_a_call_where_no_daemon_answers_is_a_failure_that_says_so(place: Place, mode: str) -> None:
    async def called() -> Any:
        async with Client(build(place.settings()), mode=mode) as client:
            return await client.call_tool("search_nodes", {"query": "tea"}, raise_on_error=False)

    result = run(called())
    assert result.is_error
    assert result.structured_content["success"] is False
    assert result.structured_content["code"] == "unavailable"
    assert result.content[0].text.startswith(result.structured_content["error"])


@pytest.mark.parametrize("mode", MODES)
def test_a_success_is_the_reply_as_it_is_and_as_compact_json(place: Place, mode: str) -> None:
    async def called() -> Any:
        async with place.stand_in(succeed), Client(build(place.settings()), mode=mode) as client:
            return await client.call_tool("search_nodes", {"query": "thé"})

    result = run(called())
    assert not result.is_error
    assert result.structured_content == {"success": True, "seen": {"query": "thé"}}
    assert [block.text for block in result.content] == ['{"success":true,"seen":{"query":"thé"}}']


@pytest.mark.parametrize("mode", MODES)
def test_a_failure_is_the_reply_as_it_is_and_its_sentence_and_hint(place: Place, mode: str) -> None:
    async def called() -> Any:
        async with place.stand_in(fail), Client(build(place.settings()), mode=mode) as client:
            return await client.call_tool("open_nodes", {"names": ["Ann"]}, raise_on_error=False)

    result = run(called())
    assert result.is_error
    assert result.structured_content == asyncio.run(fail({}))
    assert [block.text for block in result.content] == ["there is no entity 'Ann'\nHint: search_nodes finds names"]


def test_a_failure_fits_the_output_schema_of_every_tool(place: Place) -> None:
    async def called() -> list[tuple[dict[str, Any], dict[str, Any]]]:
        async with place.stand_in(fail), Client(build(place.settings(tools="full"))) as client:
            return [
                (tool.output_schema, (await client.call_tool(tool.name, {}, raise_on_error=False)).structured_content)
                for tool in await client.list_tools()
            ]

    for schema, reply in run(called()):
        jsonschema.validate(reply, schema)


@pytest.mark.parametrize("mode", MODES)
def test_the_daemon_hears_the_assistants_name_and_the_namespace(place: Place, mode: str) -> None:
    async def requests() -> list[Request]:
        about = Implementation(name="Claude\nCode " + "x" * 200, version="1")
        app = build(place.settings(namespace="work"))
        async with place.stand_in(succeed) as daemon, Client(app, mode=mode, client_info=about) as client:
            await client.call_tool("search_nodes", {"query": "tea"})
            return daemon.requests

    (request,) = run(requests())
    assert request["client"] == ("ClaudeCode " + "x" * 200)[:128]
    assert request["namespace"] == "work"


def test_an_assistant_without_a_name_is_called_mcp(place: Place) -> None:
    async def requests() -> list[Request]:
        app = build(place.settings())
        about = Implementation(name="\n", version="1")
        async with place.stand_in(succeed) as daemon, Client(app, client_info=about) as client:
            await client.call_tool("search_nodes", {"query": "tea"})
            return daemon.requests

    assert [request["client"] for request in run(requests())] == ["mcp"]


def test_every_write_carries_a_request_id_of_its_own_and_reads_carry_none(place: Place) -> None:
    async def requests() -> list[Request]:
        async with place.stand_in(succeed) as daemon, Client(build(place.settings(tools="full"))) as client:
            for _ in range(2):
                for name in operations():
                    await client.call_tool(name, {})
            return daemon.requests

    ids: dict[str, set[str | None]] = {name: set() for name in operations()}
    for request in run(requests()):
        ids[request["method"]].add(request.get("request_id"))
    for name, operation in operations().items():
        assert len(ids[name]) == (2 if operation.writes else 1)
        assert (None in ids[name]) is not operation.writes


def test_arguments_are_mended_and_otherwise_sent_on_unchecked(place: Place) -> None:
    async def requests() -> list[Request]:
        async with place.stand_in(succeed) as daemon, Client(build(place.settings())) as client:
            await client.call_tool("create_entities", {"entities": '[{"name": 5}]', "on_existing": None, "x": "1"})
            return daemon.requests

    assert [request["params"] for request in run(requests())] == [{"entities": [{"name": 5}], "x": "1"}]


def test_ten_calls_wait_together(place: Place) -> None:
    """Each call is answered only when all ten have reached the daemon; one at a time, none ever would be."""

    async def called() -> list[bool]:
        together = asyncio.Barrier(10)

        async def slow(request: dict[str, Any]) -> dict[str, Any]:
            await together.wait()
            return {"success": True}

        async with place.stand_in(slow), Client(build(place.settings())) as client:
            calls = [client.call_tool("search_nodes", {"query": str(number)}) for number in range(10)]
            return [result.is_error for result in await asyncio.gather(*calls)]

    assert run(called()) == [False] * 10


def test_a_call_that_is_given_up_leaves_the_others_their_own_replies(place: Place) -> None:
    async def called() -> list[str]:
        arrived, never = asyncio.Event(), asyncio.Event()

        async def answer(request: dict[str, Any]) -> dict[str, Any]:
            if request["params"]["query"] == "given up":
                arrived.set()
                await never.wait()
            return {"success": True, "query": request["params"]["query"]}

        async with place.stand_in(answer), Client(build(place.settings())) as client:
            given_up = asyncio.create_task(client.call_tool("search_nodes", {"query": "given up"}))
            await arrived.wait()
            given_up.cancel()
            queries = [str(number) for number in range(5)]
            results = [await client.call_tool("search_nodes", {"query": query}) for query in queries]
            return [result.structured_content["query"] for result in results]

    assert run(called()) == ["0", "1", "2", "3", "4"]


def test_a_tool_outside_the_profile_and_one_that_is_not_there_name_the_way_out(place: Place) -> None:
    async def called(name: str) -> Any:
        async with Client(build(place.settings())) as client:
            return await client.call_tool(name, {}, raise_on_error=False)

    outside, unknown = run(called("ping")), run(called("serch_nodes"))
    assert outside.is_error
    assert unknown.is_error
    assert outside.structured_content["code"] == unknown.structured_content["code"] == "unknown_method"
    assert "--tools full" in outside.content[0].text
    assert "search_nodes" in unknown.content[0].text


def test_an_answer_that_is_no_reply_is_a_failure_without_a_trace(place: Place) -> None:
    async def called() -> Any:
        async def nonsense(request: dict[str, Any]) -> Any:
            return ["not", "a", "reply"]

        async with place.stand_in(nonsense), Client(build(place.settings())) as client:
            return await client.call_tool("search_nodes", {"query": "tea"}, raise_on_error=False)

    result = run(called())
    assert result.is_error
    assert isinstance(result.content[0], TextContent)
    assert "Traceback" not in result.content[0].text
