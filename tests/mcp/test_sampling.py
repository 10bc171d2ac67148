"""Extraction by the assistant's own model, in the round trips of each protocol, through a pump to the resident too."""

from __future__ import annotations

import asyncio
import json
import sys
from typing import TYPE_CHECKING, Any

import fastmcp
import pytest
from fastmcp import Client
from fastmcp.client.transports import StdioTransport

from enhanced_memory.mcp.app import build
from tests.mcp.test_server_process import MODERN, command_line, environment

if TYPE_CHECKING:
    from tests.mcp.conftest import Place

pytestmark = pytest.mark.process

MODES = ("legacy", MODERN)
TALK = "Ann: I moved to Lisbon in March. <private>my salary is 90,000</private>"
FACTS = {"facts": [{"sentence": 1, "fact": "Ann lives in Lisbon since March", "kind": "event", "confidence": 0.9}]}
CALL = {"conversation_text": TALK, "extractor": "llm", "session_id": "s1"}


class Model:
    """An assistant's model that notes what it is asked, and answers with `text` or raises it."""

    def __init__(self, text: str | Exception) -> None:
        self.text = text
        self.asked: list[str] = []

    async def __call__(self, messages: Any, params: Any, context: Any) -> str:
        self.asked.append(f"{params.system_prompt}\n{messages[0].content.text}")
        if isinstance(self.text, Exception):
            raise self.text
        return self.text


def extracted(place: Place, mode: str, model: Model | None) -> Any:
    """What the tool answers an assistant that lends this model."""

    async def session() -> Any:
        app = build(place.settings(autostart="1"))
        async with asyncio.timeout(60), Client(app, mode=mode, sampling_handler=model) as client:
            result = await client.call_tool("auto_extract_facts", CALL, raise_on_error=False)
            status = await client.call_tool("get_memory_status", {})
            return result, status.structured_content["total_entities"]

    return asyncio.run(session())


@pytest.mark.parametrize("mode", MODES)
def test_the_assistant_s_model_finds_the_facts(place: Place, mode: str) -> None:
    model = Model(json.dumps(FACTS))
    result, entities = extracted(place, mode, model)
    assert result.structured_content["facts"][0]["observations"] == ["Ann: Ann lives in Lisbon since March"]
    assert (result.structured_content["session_id"], entities) == ("s1", 1)
    (question,) = model.asked
    assert "I moved to Lisbon in March." in question
    assert "salary" not in question


@pytest.mark.parametrize("mode", MODES)
def test_an_answer_that_is_not_what_was_asked_for_is_a_tool_error_and_stores_nothing(place: Place, mode: str) -> None:
    result, entities = extracted(place, mode, Model("I found some facts!"))
    assert result.is_error
    assert (result.structured_content["code"], entities) == ("model_failed", 0)


def test_an_assistant_whose_user_declines_gets_a_tool_error(place: Place) -> None:
    result, entities = extracted(place, "legacy", Model(RuntimeError("the user said no")))
    assert result.is_error
    assert (result.structured_content["code"], entities) == ("model_failed", 0)


@pytest.mark.parametrize("mode", MODES)
def test_without_a_model_it_is_a_clear_error_and_no_silent_fall_back(place: Place, mode: str) -> None:
    result, entities = extracted(place, mode, None)
    assert result.is_error
    assert (result.structured_content["code"], entities) == ("invalid_params", 0)
    assert "rules" in result.content[0].text


def test_the_rules_ask_no_model(place: Place) -> None:
    model = Model(json.dumps(FACTS))

    async def session() -> Any:
        app = build(place.settings(autostart="1"))
        async with asyncio.timeout(60), Client(app, mode=MODERN, sampling_handler=model) as client:
            return await client.call_tool("auto_extract_facts", {"conversation_text": TALK})

    assert asyncio.run(session()).structured_content["success"]
    assert model.asked == []


@pytest.mark.parametrize("mode", ["legacy", "auto"])
def test_it_works_through_the_pump_and_the_resident(place: Place, mode: str) -> None:
    model = Model(json.dumps(FACTS))
    transport = StdioTransport(sys.executable, command_line(place), env=environment(place), cwd=str(place.folder))

    async def session() -> Any:
        async with asyncio.timeout(60), fastmcp.Client(transport, mode=mode, sampling_handler=model) as client:
            return await client.call_tool("auto_extract_facts", CALL)

    assert asyncio.run(session()).structured_content["count"] == 1
    assert len(model.asked) == 1
