"""Facts found by the assistant's own model, where the assistant lends it: the protocol's sampling.

Above it lie the tools; below it the session. The daemon words the question and judges the answer; here it only goes to
the assistant and back: in a round trip of the tool call itself (from protocol 2026-07-28 on), or before that in a
request of the server's own. An assistant that lends no model has the daemon ask the one it may have.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any, Final

from fastmcp.server.dependencies import get_context
from fastmcp.tools import InputRequiredToolResult
from mcp.types import InputRequiredResult
from mcp_types import (
    CreateMessageRequest,
    CreateMessageRequestParams,
    CreateMessageResult,
    CreateMessageResultWithTools,
    SamplingMessage,
    TextContent,
)

from enhanced_memory.errors import ModelFailed
from enhanced_memory.mcp import sessions

EXTRACTION: Final = "auto_extract_facts"

_ROUND_TRIPS: Final = "2026-07-28"
"""The first protocol in which a tool asks by answering that input is required."""

_QUESTION: Final = "facts"
_ASKED: Final = frozenset({"conversation_text"})
_OWN: Final = frozenset({"extractor"})
"""Arguments of the extraction that its question takes, and that its answer does not."""


def is_wanted(tool: str, arguments: Mapping[str, Any]) -> bool:
    """Whether this call is to be answered by a model, and the assistant lends its own."""
    if tool != EXTRACTION or arguments.get("extractor") != "llm":
        return False
    request = get_context().request_context
    client = request.session.client_params if request else None
    return client is not None and client.capabilities.sampling is not None


async def facts(arguments: Mapping[str, Any]) -> dict[str, Any] | InputRequiredToolResult:
    """The daemon's reply to the extraction with the answer of the assistant's model, or the question for it."""
    session = sessions.current()
    asked = {key: value for key, value in arguments.items() if key in _ASKED}
    rest = {key: value for key, value in arguments.items() if key not in _OWN}
    responses = get_context().input_responses
    if responses is not None:
        return await session.ask("complete_extraction", {**rest, "answer": _said(responses.get(_QUESTION))})
    question = await session.ask("prepare_extraction", asked, whole=True)
    if not question["success"]:
        return question
    if question["prompt"] is None:
        return await session.ask("complete_extraction", {**rest, "answer": '{"facts": []}'})
    message = SamplingMessage(role="user", content=TextContent(type="text", text=question["prompt"]))
    request = get_context().request_context
    assert request is not None  # is_wanted has seen it
    if request.protocol_version >= _ROUND_TRIPS:
        params = CreateMessageRequestParams(
            messages=[message],
            system_prompt=question["system"],
            max_tokens=question["max_tokens"],
            include_context="none",
        )
        return InputRequiredToolResult(
            InputRequiredResult(input_requests={_QUESTION: CreateMessageRequest(params=params)})
        )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # sampling is deprecated; assistants of older protocols have nothing else
            answer = await request.session.create_message(
                [message],
                system_prompt=question["system"],
                max_tokens=question["max_tokens"],
                related_request_id=request.request_id,
            )
    except Exception as error:  # whatever the assistant or its user answers instead
        refused = ModelFailed(f"the assistant's model was not to be had: {error}", hint="leave extractor at rules")
        return refused.reply()
    return await session.ask("complete_extraction", {**rest, "answer": _said(answer)})


def _said(answer: Any) -> str:
    """The text of a model's message; empty where it is none, which the daemon refuses."""
    if not isinstance(answer, CreateMessageResult | CreateMessageResultWithTools):
        return ""
    blocks = answer.content if isinstance(answer.content, list) else [answer.content]
    return "".join(block.text for block in blocks if isinstance(block, TextContent))
