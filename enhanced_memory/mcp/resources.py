"""Resources, prompts and completions: the memory as a client shows it to a person, beside the tools of the model.

Above it lies the server; below it the session's clients, and the watch that tells of changes.
"""

from __future__ import annotations

import logging
from contextlib import ExitStack
from typing import Any

from fastmcp import FastMCP
from fastmcp.exceptions import ResourceError
from fastmcp.server.dependencies import get_context
from fastmcp.server.providers import LocalProvider
from mcp.server.context import ServerRequestContext
from mcp.server.subscriptions import InMemorySubscriptionBus, ListenHandler, ResourceUpdated
from mcp.shared.exceptions import MCPError
from mcp.types import (
    INVALID_PARAMS,
    CompletionArgument,
    CompletionContext,
    EmptyResult,
    PromptReference,
    ResourceTemplateReference,
    SubscribeRequestParams,
    SubscriptionsListenRequestParams,
    SubscriptionsListenResult,
    UnsubscribeRequestParams,
)

from enhanced_memory import wire
from enhanced_memory.mcp import sessions

_JSON = "application/json"
_RECENT = "memory://recent/"
"""What the address of the latest memories begins with; how many follows."""

_MOST = 1_000
"""Memories that search_nodes gives at once."""

_COUNTS = ("10", "20", "50", "100")
"""What is offered for a number of memories."""


def add_resources(provider: LocalProvider) -> None:
    """Give `provider` the resources."""

    @provider.resource("memory://graph", title="Everything remembered", mime_type=_JSON)
    async def graph() -> str:
        """Entities and relations, the first page; the tool read_graph pages on."""
        return await _read("read_graph", {})

    @provider.resource("memory://status", title="How much is remembered", mime_type=_JSON)
    async def status() -> str:
        """Entities by type and tier, relations, versions, space."""
        return await _read("get_memory_status", {})

    @provider.resource("memory://context", title="What to have in mind", mime_type="text/plain")
    async def context() -> str:
        """Pinned memories, then the latest, within 2,000 tokens."""
        return str((await asked("get_context", {}))["text"])

    @provider.resource("memory://recent/{n}", title="The latest memories", mime_type=_JSON)
    async def recent(n: str) -> str:
        """The n memories that were used last."""
        return await _read("search_nodes", {"query": "", "limit": _number(n)})

    @provider.resource("memory://entity/{name}", title="One entity", mime_type=_JSON)
    async def entity(name: str) -> str:
        """What is remembered of an entity, with its relations."""
        reply = await asked("open_nodes", {"names": [name]})
        if reply["missing"]:
            raise _failed(f"there is no entity {name!r}\nHint: search_nodes finds it by what is known of it")
        return _text(reply)


def add_subscriptions(app: FastMCP[dict[str, Any]]) -> None:
    """Give those who subscribe to a resource the news of its changes."""
    server = app._mcp_server  # the server below FastMCP, which has no public way to serve subscriptions
    server.add_request_handler("resources/subscribe", SubscribeRequestParams, _subscribe)
    server.add_request_handler("resources/unsubscribe", UnsubscribeRequestParams, _unsubscribe)
    server.add_request_handler("subscriptions/listen", SubscriptionsListenRequestParams, _listen)


def add_completions(app: FastMCP[dict[str, Any]]) -> None:
    """Give `app` the completion of names."""

    @app.completion
    async def complete(
        _of: PromptReference | ResourceTemplateReference, argument: CompletionArgument, _given: CompletionContext | None
    ) -> list[str]:
        """Names of entities for an argument that is one; numbers for a number of memories."""
        if argument.name == "n":
            return [count for count in _COUNTS if count.startswith(argument.value)]
        if argument.name not in ("name", "topic"):
            return []
        try:
            reply = await asked("complete_names", {"beginning": argument.value, "limit": 100})
        except ResourceError:  # a person is typing: nothing to offer
            return []
        names: list[str] = reply["names"]
        return names


async def asked(method: str, params: dict[str, Any]) -> dict[str, Any]:
    """The daemon's reply. Raises: ResourceError: it is a failure, or the daemon cannot be reached."""
    reply = await sessions.current().ask(method, params)
    if not reply["success"]:
        raise _failed(sessions.failure(reply))
    return reply


def _failed(sentence: str) -> ResourceError:
    """The error that an assistant is told; the log need not tell whose memory was asked for."""
    return ResourceError(sentence, log_level=logging.DEBUG)


def _number(text: str) -> int:
    """How many memories an address asks for. Raises: ResourceError: that is no number, or search_nodes has a limit."""
    if not (text.isdecimal() and 1 <= len(text) <= 4 and 1 <= int(text) <= _MOST):
        raise _failed(
            f"{text!r} is no number of memories within the limit of 1 to {_MOST:,}\nHint: {_RECENT}20 has the latest 20"
        )
    return int(text)


async def _read(method: str, params: dict[str, Any]) -> str:
    return _text(await asked(method, params))


def _text(reply: dict[str, Any]) -> str:
    """A reply without its `success`, as JSON."""
    return wire.encode({key: value for key, value in reply.items() if key != "success"}).decode().rstrip("\n")


async def _check(*uris: str) -> None:
    """Refuse to follow what is no resource of ours. Raises: MCPError: one of `uris` is none, and never changes."""
    app = get_context().fastmcp
    for uri in uris:
        if await app.get_resource(uri) is None and await app.get_resource_template(uri) is None:
            raise MCPError(
                INVALID_PARAMS,
                f"{uri} is no resource of this memory\n"
                "Hint: resources/list and resources/templates/list name those there are; "
                "in the name of an entity, percent-encode all but letters and digits",
            )
        if uri.startswith(_RECENT):
            try:
                _number(uri.removeprefix(_RECENT))
            except ResourceError as error:
                raise MCPError(INVALID_PARAMS, str(error)) from None


async def _subscribe(context: ServerRequestContext[Any], params: SubscribeRequestParams) -> EmptyResult:
    """Follow a resource until the connection ends, or `resources/unsubscribe`."""
    session, uri = sessions.current(), str(params.uri)
    await _check(uri)
    connection = context.session._connection  # FastMCP keeps what belongs to one there too
    followed: dict[str, ExitStack] = connection.state.setdefault("followed", {})
    if uri not in followed:
        followed[uri] = ExitStack()
        tell = context.session.send_resource_updated
        followed[uri].enter_context(session.watch.following(session.settings.namespace, frozenset([uri]), tell))
        connection.exit_stack.callback(followed[uri].close)
    await session.watch.begun()
    return EmptyResult()


async def _unsubscribe(context: ServerRequestContext[Any], params: UnsubscribeRequestParams) -> EmptyResult:
    followed: dict[str, ExitStack] = context.session._connection.state.get("followed", {})
    if str(params.uri) in followed:
        followed.pop(str(params.uri)).close()
    return EmptyResult()


async def _listen(
    context: ServerRequestContext[Any], params: SubscriptionsListenRequestParams
) -> SubscriptionsListenResult:
    """The stream of changes of the newer protocol: it lasts until the assistant ends it."""
    session = sessions.current()
    uris = frozenset(params.notifications.resource_subscriptions or ())
    await _check(*sorted(uris))
    bus = InMemorySubscriptionBus()

    async def tell(uri: str) -> None:
        await bus.publish(ResourceUpdated(uri))

    with session.watch.following(session.settings.namespace, uris, tell):
        return await ListenHandler(bus)(context, params)
