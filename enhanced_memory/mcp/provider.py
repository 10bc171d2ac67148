"""Where the server finds tools, resources and prompts: all of them made when the first is asked for.

Above it lies the server; below it the tools, resources and prompts. The register takes a quarter of a second to load
and FastMCP ten milliseconds for each resource or prompt; an assistant's greeting need not wait for that.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

from fastmcp.prompts import Prompt
from fastmcp.resources import Resource, ResourceTemplate
from fastmcp.server.providers import LocalProvider, Provider
from fastmcp.tools import Tool
from fastmcp.utilities.components import FastMCPComponent
from fastmcp.utilities.versions import VersionSpec

from enhanced_memory.mcp.prompts import add_prompts
from enhanced_memory.mcp.resources import add_resources
from enhanced_memory.mcp.tools import UnlistedTool, tools


class MemoryProvider(Provider):
    """The tools of a profile, and the resources and prompts."""

    def __init__(self, profile: str) -> None:
        super().__init__()
        self._profile = profile

    @cached_property
    def _others(self) -> LocalProvider:
        """Resources and prompts."""
        made = LocalProvider()
        add_resources(made)
        add_prompts(made)
        return made

    async def get_tasks(self) -> Sequence[FastMCPComponent]:
        """None runs in the background; FastMCP asks at the start, and would have all of them made to look."""
        return []

    async def _list_tools(self) -> Sequence[Tool]:
        return list(tools(self._profile).values())

    async def _get_tool(self, name: str, version: VersionSpec | None = None) -> Tool | None:  # noqa: ARG002 - one each
        return tools(self._profile).get(name) or UnlistedTool(name="unlisted", parameters={}, asked=name)

    async def _list_resources(self) -> Sequence[Resource]:
        return await self._others.list_resources()

    async def _get_resource(self, uri: str, version: VersionSpec | None = None) -> Resource | None:
        return await self._others.get_resource(uri, version)

    async def _list_resource_templates(self) -> Sequence[ResourceTemplate]:
        return await self._others.list_resource_templates()

    async def _get_resource_template(self, uri: str, version: VersionSpec | None = None) -> ResourceTemplate | None:
        return await self._others.get_resource_template(uri, version)

    async def _list_prompts(self) -> Sequence[Prompt]:
        return await self._others.list_prompts()

    async def _get_prompt(self, name: str, version: VersionSpec | None = None) -> Prompt | None:
        return await self._others.get_prompt(name, version)
