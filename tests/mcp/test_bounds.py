"""Replies stay small: what is too large is asked for in smaller measure or cut, and says so."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable, Coroutine, Mapping
from typing import TYPE_CHECKING, Any

import bpe_openai  # type: ignore[import-untyped]
import pytest
from fastmcp import Client

from enhanced_memory.client import BlockingMemoryClient
from enhanced_memory.mcp.app import build
from enhanced_memory.mcp.bounds import bounded
from enhanced_memory.registry import find

if TYPE_CHECKING:
    from tests.mcp.conftest import Place

LIMIT = 20_000
PROSE = "The quarterly report of the northern region was late again, since the figures of March had to be corrected. "
ENCODING = bpe_openai.get_encoding("o200k_base")


def answered(method: str, params: Mapping[str, Any], reply: dict[str, Any]) -> dict[str, Any]:
    """What an assistant gets of a reply that the daemon gives whatever is asked."""

    async def ask(_: Mapping[str, Any]) -> dict[str, Any]:
        return reply

    return asyncio.run(bounded(find(method), params, ask, LIMIT))


def counted(text: str) -> int:
    """Tokens of a text as a real tokenizer counts them."""
    return len(ENCODING.encode(text))


def tokens(reply: dict[str, Any]) -> int:
    """Tokens of a reply."""
    return counted(json.dumps(reply, ensure_ascii=False, separators=(",", ":")))


@pytest.mark.parametrize(
    ("method", "content"),
    [
        ("open_nodes", {"entities": [{"name": "A", "observations": [f"{n} {PROSE}" for n in range(5_000)]}]}),
        ("open_nodes", {"entities": [{"name": f"E {n}", "observations": [PROSE] * 3} for n in range(900)]}),
        ("open_nodes", {"entities": [], "relations": [{"from": "a", "to": str(n)} for n in range(9_000)]}),
        ("execute_code", {"result": PROSE * 9_000, "stdout": PROSE * 500}),
        ("execute_code", {"result": {f"key {n}": n for n in range(90_000)}}),
        ("execute_code", {"result": "日本語の長い文章です。" * 20_000}),
        ("execute_code", {"result": "\U0001f600" * 50_000}),
        ("execute_code", {"result": {"a": {"b": {"c": [[PROSE] * 5_000]}}}}),
        ("memory_diff", {"diff": PROSE * 9_000, "differences": {"added_observations": [PROSE] * 4_000}}),
        ("create_entities", {"results": [{"id": n, "name": PROSE} for n in range(1_000)]}),
    ],
)
def test_a_reply_that_is_too_large_is_cut_and_says_what_was_left_out(method: str, content: dict[str, Any]) -> None:
    reply = answered(method, {}, {"success": True, **content})

    assert tokens(reply) <= LIMIT
    assert tokens(reply) > LIMIT / 5
    assert reply["success"] is True
    assert "left out" in reply["truncated"]
    assert content.keys() <= reply.keys()


def test_a_reply_that_fits_is_given_as_it_is() -> None:
    reply = {"success": True, "entities": [{"name": "A", "observations": [PROSE] * 500}]}
    assert answered("open_nodes", {}, reply) is reply


def test_what_was_left_out_is_counted() -> None:
    whole = {"success": True, "entities": [{"name": "A", "observations": [PROSE] * 5_000}]}
    reply = answered("open_nodes", {}, whole)
    kept = len(reply["entities"][0]["observations"])

    assert f"{5_000 - kept:,} of 5,000 items of entities[0].observations" in reply["truncated"]
    assert "detail='matched'" in reply["truncated"]
    assert len(whole["entities"][0]["observations"]) == 5_000  # type: ignore[index]


def test_more_is_given_where_more_is_asked_for() -> None:
    whole = {"success": True, "text": PROSE * 2_000}
    assert answered("get_context", {"max_tokens": 1_000_000}, whole) is whole
    assert "truncated" in answered("get_context", {"max_tokens": 5}, whole)


def test_a_long_page_is_asked_for_again_with_fewer_items_and_keeps_its_cursor() -> None:
    asked: list[Mapping[str, Any]] = []

    async def ask(params: Mapping[str, Any]) -> dict[str, Any]:
        asked.append(params)
        limit = params.get("limit", 1_000)
        return {"success": True, "versions": [PROSE] * limit, "next_cursor": str(limit)}

    reply = asyncio.run(bounded(find("memory_history"), {"entity_name": "A"}, ask, LIMIT))
    assert len(reply["versions"]) == int(reply["next_cursor"]) < 1_000
    assert "next_cursor" in reply["truncated"]
    assert len(asked) <= 4


def test_a_write_is_never_sent_twice() -> None:
    sent = []

    async def ask(params: Mapping[str, Any]) -> dict[str, Any]:
        sent.append(params)
        return {"success": True, "results": [PROSE] * 5_000}

    assert "truncated" in asyncio.run(bounded(find("create_entities"), {}, ask, LIMIT))
    assert len(sent) == 1


def in_session(place: Place, work: Callable[[Any], Coroutine[Any, Any, None]]) -> None:
    async def session() -> None:
        async with Client(build(place.settings(tools="full", autostart="1"))) as client:
            await work(client)

    asyncio.run(session())


@pytest.mark.process
def test_no_tool_gives_more_than_its_budget_of_a_huge_entity(place: Place) -> None:
    observations = [f"{number}: {PROSE}" for number in range(4_000)]

    async def work(client: Any) -> None:
        await client.call_tool("create_entities", {"entities": [{"name": "A", "entityType": "t", "observations": []}]})
        await client.call_tool("add_observations", {"observations": [{"entityName": "A", "contents": observations}]})
        for tool, arguments in (
            ("open_nodes", {"names": ["A"]}),
            ("read_graph", {}),
            ("search_nodes", {"query": "quarterly"}),
            ("memory_history", {"entity_name": "A"}),
            ("memory_diff", {"entity_name": "A", "version1": 1}),
            ("export_graph", {}),
            ("what_changed", {"since": "1d"}),
            ("get_context", {"query": "report", "max_tokens": 3_000}),
            ("execute_code", {"code": "result = open_nodes(['A'])"}),
        ):
            result = await client.call_tool(tool, arguments)
            assert result.structured_content["success"] is True
            assert counted(result.content[0].text) <= LIMIT, tool
            if tool not in ("get_context", "what_changed"):
                assert result.structured_content["truncated"], tool
        (content,) = await client.read_resource("memory://entity/A")
        assert counted(content.text) <= LIMIT

    in_session(place, work)


@pytest.mark.process
@pytest.mark.slow
def test_ten_thousand_entities_are_paged_to_the_end_while_another_client_writes(place: Place) -> None:
    names = [f"thing {number}" for number in range(10_000)]
    entities: list[Any] = [{"name": name, "entityType": "thing", "observations": [f"{name} is here"]} for name in names]
    ended = threading.Event()

    def disturb(other: BlockingMemoryClient) -> None:
        for number in range(1_000):  # not for ever: the newest page could be ahead of the reader for as long
            if ended.is_set():
                return
            fresh: Any = {"name": f"new {number}", "entityType": "thing", "observations": ["came meanwhile"]}
            assert other.create_entities([fresh])["success"]
            changed: Any = {"entityName": names[number % len(names)], "contents": [f"changed {number}"]}
            assert other.add_observations([changed])["success"]

    async def work(client: Any) -> None:
        with BlockingMemoryClient(settings=place.settings(), autostart=True) as other:
            assert other.create_entities_batch(entities, batch_size=1_000)["stored"] == len(names)
            writer = threading.Thread(target=disturb, args=(other,))
            writer.start()
            seen: list[str] = []
            cursor, pages = None, 0
            try:
                while True:
                    result = await client.call_tool("read_graph", {"limit": 400, "cursor": cursor})
                    page = result.structured_content
                    assert counted(result.content[0].text) <= LIMIT
                    seen += [entity["name"] for entity in page["entities"]]
                    cursor, pages = page["next_cursor"], pages + 1
                    if cursor is None or len(seen) > 2 * len(names):
                        break
            finally:
                ended.set()
                writer.join()
        assert len(seen) == len(set(seen))
        assert set(names) <= set(seen)
        assert pages > 10

    in_session(place, work)
