"""Tools from operations: what the register declares, said in the words of the tool protocol.

Above it lies the server, below it the clients of the daemon. A tool forwards its arguments and answers with the
daemon's reply; the daemon checks them, so nothing is checked twice.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from fastmcp.server.dependencies import get_context
from fastmcp.tools import Tool, ToolResult
from fastmcp.utilities.json_schema import compress_schema
from mcp.types import ToolAnnotations

from enhanced_memory import wire
from enhanced_memory.errors import EnhancedMemoryError
from enhanced_memory.mcp import sessions
from enhanced_memory.mcp.arguments import mended
from enhanced_memory.mcp.clients import DEFAULT_NAME
from enhanced_memory.registry import Operation, operations


class OperationTool(Tool):
    """One operation as a tool; its `parameters` are the operation's own JSON Schema."""

    async def run(self, arguments: dict[str, Any]) -> ToolResult:
        """Send the call to the daemon; its failures, and not reaching it, are results the model can read.

        The client gives every write a request id, so that a lost connection is mended by sending it again.
        """
        clients = sessions.current().clients
        try:
            reply = await clients.named(_caller_name()).call(self.name, mended(arguments, self.parameters))
        except EnhancedMemoryError as error:
            reply = error.reply()
        return as_result(reply)


def tools(profile: str) -> Iterator[OperationTool]:
    """The tools of a profile: `core`, the everyday ones, or `full`, every operation."""
    for operation in operations().values():
        if operation.core or profile == "full":
            yield _tool(operation)


def as_result(reply: Mapping[str, Any]) -> ToolResult:
    """A daemon's reply as a tool's result: structured as it is, and as text.

    The text of a success is the reply as compact JSON; that of a failure is its sentence, with the hint below it.
    """
    if reply["success"]:
        return ToolResult(content=wire.encode(reply).decode().rstrip("\n"), structured_content=dict(reply))
    text = f"{reply['error']}\nHint: {reply['hint']}" if "hint" in reply else reply["error"]
    return ToolResult(content=text, structured_content=dict(reply), is_error=True)


def _tool(operation: Operation) -> OperationTool:
    return OperationTool(
        name=operation.name,
        title=operation.title,
        description=operation.description,
        parameters=_plain(operation.params_schema),
        output_schema=_plain(operation.result_schema),
        annotations=ToolAnnotations(
            read_only_hint=not operation.writes,
            destructive_hint=operation.destructive,
            idempotent_hint=operation.idempotent,
            open_world_hint=False,
        ),
    )


def _plain(schema: dict[str, Any]) -> dict[str, Any]:
    """`schema` without references, which some assistants cannot follow, and without titles, which say nothing new."""
    return compress_schema(schema, prune_titles=True, dereference=True)


def _caller_name() -> str:
    """The name the assistant gave itself, at the handshake or with this request; else `mcp`."""
    request = get_context().request_context
    given = request.session.client_params if request else None
    if given is None:
        return DEFAULT_NAME
    name = "".join(character for character in given.client_info.name if character.isprintable())
    return name[: wire.MAX_LABEL].strip() or DEFAULT_NAME
