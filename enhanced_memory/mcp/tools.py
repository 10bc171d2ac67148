"""Tools from operations: what the register declares, said in the words of the tool protocol.

Above it lies the server, below it the clients of the daemon. A tool forwards its arguments and answers with the
daemon's reply; the daemon checks them, so nothing is checked twice.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

from fastmcp.tools import Tool, ToolResult
from mcp.types import ToolAnnotations

from enhanced_memory import wire
from enhanced_memory.errors import UnknownMethod
from enhanced_memory.mcp import listing, sampling, sessions
from enhanced_memory.mcp.arguments import mended
from enhanced_memory.registry import Operation, find, operations


class OperationTool(Tool, defer_build=True):
    """One operation as a tool; `parameters` and `output_schema` are its schemas as `listing` shortens them.

    pydantic builds its part of it, which takes some 20 ms, with the first tool: a greeting need not wait for that.
    """

    def get_meta(self) -> dict[str, Any] | None:  # type: ignore[override]
        """None: FastMCP would tell every assistant that there are no tags."""
        return None

    async def run(self, arguments: dict[str, Any]) -> ToolResult:
        """Send the call to the daemon; its failures, and not reaching it, are results the model can read.

        The client gives every write a request id, so that a lost connection is mended by sending it again.
        """
        given = mended(arguments, self.parameters)
        if sampling.is_wanted(self.name, given):
            reply = await sampling.facts(given)
            return reply if isinstance(reply, ToolResult) else as_result(reply)
        return as_result(await sessions.current().ask(self.name, given))


class UnlistedTool(Tool, defer_build=True):
    """What is called where a tool is not listed: it answers like any failure, with the way out."""

    asked: str

    async def run(self, arguments: dict[str, Any]) -> ToolResult:  # noqa: ARG002 - whatever they are
        """Why there is no such tool: no operation is called so, or this profile leaves it out."""
        try:
            find(self.asked)
        except UnknownMethod as error:
            return as_result(error.reply())
        absent = UnknownMethod(
            f"{self.asked} is not in the core profile", hint="start the server with --tools full to have it"
        )
        return as_result(absent.reply())


@cache
def tools(profile: str) -> Mapping[str, OperationTool]:
    """The tools of a profile by name: `core`, the everyday ones, or `full`, every operation."""
    return {
        operation.name: _tool(operation) for operation in operations().values() if operation.core or profile == "full"
    }


def as_result(reply: Mapping[str, Any]) -> ToolResult:
    """A daemon's reply as a tool's result: structured as it is, and as text.

    The text of a success is the reply as compact JSON; that of a failure is its sentence, with the hint below it.
    What a hint sends others to `describe` for, the protocol's own list of tools has for an assistant.
    """
    if reply["success"]:
        return ToolResult(content=wire.encode(reply).decode().rstrip("\n"), structured_content=dict(reply))
    if reply.get("hint"):
        reply = {**reply, "hint": reply["hint"].replace("`describe`", "`tools/list`")}
    return ToolResult(content=sessions.failure(reply), structured_content=dict(reply), is_error=True)


def _tool(operation: Operation) -> OperationTool:
    return OperationTool(
        name=operation.name,
        title=operation.title,
        description=listing.words(operation.description),
        parameters=listing.taken(operation.params_schema),
        output_schema=listing.GIVEN,
        annotations=ToolAnnotations(
            read_only_hint=not operation.writes,
            destructive_hint=operation.destructive,
            idempotent_hint=operation.idempotent,
            open_world_hint=False,
        ),
    )
