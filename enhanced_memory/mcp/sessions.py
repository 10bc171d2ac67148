"""One assistant's session: the settings it asked for, its clients of the daemon, and its stream of messages.

Above it lie the resident and the server's own lifespan; below it the clients. Whatever a session has is found from
the request at hand: the resident serves all sessions with one server, and tells them apart by the task they run in.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from contextvars import ContextVar
from typing import Any

import anyio
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream
from fastmcp import FastMCP
from fastmcp.server.dependencies import get_context
from mcp.shared.message import SessionMessage
from mcp.types import INVALID_REQUEST, PARSE_ERROR
from mcp_types import (
    JSONRPCError,
    JSONRPCMessage,
    JSONRPCNotification,
    JSONRPCRequest,
    JSONRPCResponse,
    jsonrpc_message_adapter,
)

from enhanced_memory import wire
from enhanced_memory.errors import EnhancedMemoryError, ParseError
from enhanced_memory.mcp.bounds import bounded
from enhanced_memory.mcp.clients import DEFAULT_NAME, Clients
from enhanced_memory.mcp.watching import Watch
from enhanced_memory.registry import find
from enhanced_memory.settings import Settings

MAX_MESSAGE_BYTES = 64 * 1024 * 1024
"""Longest message; the daemon takes 16 MiB a request, which JSON within JSON can make several times as long."""

_MOST_WAITING = 256
"""Requests that may wait for their answers; an assistant that reads none is listened to no further then."""

_ENDLESS = frozenset(["subscriptions/listen"])
"""Requests whose answer is a stream that lasts as long as the session."""


class Session:
    """What one assistant's requests share."""

    def __init__(self, settings: Settings, watch: Watch) -> None:
        self.settings = settings
        self.clients = Clients(settings)
        self.watch = watch

    async def ask(self, method: str, params: Mapping[str, Any], *, whole: bool = False) -> dict[str, Any]:
        """The daemon's reply to the request at hand, under the assistant's name and as small as it must be.

        `whole`: it is not for the assistant's eyes, and stays as it is. Failures are replies, and so is not reaching
        the daemon.
        """
        client = self.clients.named(_caller_name())
        try:
            if whole:
                return await client.call(method, params)
            return await bounded(
                find(method), params, lambda given: client.call(method, given), self.settings.mcp_max_tokens
            )
        except EnhancedMemoryError as error:
            return error.reply()


_session: ContextVar[Session] = ContextVar("session")


@asynccontextmanager
async def opened(settings: Settings, watch: Watch | None = None) -> AsyncIterator[Session]:
    """A session for `settings`; the daemon is woken meanwhile where they say so. Others may share its `watch`."""
    session = Session(settings, watch or Watch(settings))
    waking = asyncio.create_task(session.clients.wake()) if settings.autostart else None
    try:
        yield session
    finally:
        if waking is not None:
            waking.cancel()
        await session.clients.close()


def current() -> Session:
    """The session that the request at hand belongs to: its connection's, or the server's only one."""
    session = _session.get(None)
    if session is None:
        session = get_context().lifespan_context["session"]
    return session


def failure(reply: Mapping[str, Any]) -> str:
    """A reply that is a failure, in words: its sentence, with the hint below it."""
    return f"{reply['error']}\nHint: {reply['hint']}" if "hint" in reply else str(reply["error"])


def _caller_name() -> str:
    """The name the assistant gave itself, at the handshake or with this request; else `mcp`."""
    request = get_context().request_context
    given = request.session.client_params if request else None
    if given is None:
        return DEFAULT_NAME
    name = "".join(character for character in given.client_info.name if character.isprintable())
    return name[: wire.MAX_LABEL].strip() or DEFAULT_NAME


async def converse(
    app: FastMCP[dict[str, Any]], session: Session, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    """Serve `session` over a pair of streams, one message a line, until the assistant ends it.

    A line that is no message is answered with an error of the protocol, under its own id where it has one. What was
    asked before the input ended is answered still.
    """
    _session.set(session)
    conversation = _Conversation(reader, writer, session.settings.operation_timeout_s)
    to_server, from_reader = anyio.create_memory_object_stream[SessionMessage | Exception](0)
    to_writer, from_server = anyio.create_memory_object_stream[SessionMessage](0)
    # FastMCP has no public way to serve streams other than the process's own.
    server = app._mcp_server
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(conversation.read, to_server)
        tasks.start_soon(conversation.write, from_server)
        await server.run(from_reader, to_writer, server.create_initialization_options())


class _Conversation:
    """The two directions of a session's stream, and the requests that are under way between them."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, patience_s: float) -> None:
        self._reader = reader
        self._writer = writer
        self._patience_s = patience_s
        self._waiting: set[str | int] = set()
        self._answered = asyncio.Event()

    async def read(self, to_server: MemoryObjectSendStream[SessionMessage | Exception]) -> None:
        """Hand on every message; at the end of the input wait for the answers, since the server gives none later."""
        async with to_server:
            with suppress(anyio.BrokenResourceError, anyio.ClosedResourceError):  # the server is done already
                async for message in self._messages():
                    if isinstance(message, JSONRPCRequest) and message.method not in _ENDLESS:
                        await self._fewer_than(_MOST_WAITING)
                        self._waiting.add(message.id)
                    elif isinstance(message, JSONRPCNotification) and message.method == "notifications/cancelled":
                        self._waiting.discard((message.params or {}).get("requestId", ""))  # gets no answer any more
                    await to_server.send(SessionMessage(message))
            with anyio.move_on_after(self._patience_s):
                await self._fewer_than(1)

    async def _fewer_than(self, number: int) -> None:
        """Return when fewer requests than that wait for their answers."""
        while len(self._waiting) >= number:
            self._answered.clear()
            await self._answered.wait()

    async def write(self, from_server: MemoryObjectReceiveStream[SessionMessage]) -> None:
        """Send every message; where nobody reads them any more, none is waited for."""
        async with from_server:
            async for message in from_server:
                text = message.message.model_dump_json(by_alias=True, exclude_unset=True)
                self._writer.write(text.encode() + b"\n")
                if isinstance(message.message, JSONRPCResponse | JSONRPCError) and message.message.id is not None:
                    self._waiting.discard(message.message.id)
                    self._answered.set()
                try:
                    await self._writer.drain()
                except ConnectionError:
                    self._waiting.clear()
                    self._answered.set()

    async def _messages(self) -> AsyncIterator[JSONRPCMessage]:
        """The messages that come in; what is none is answered here."""
        while True:
            try:
                line = await self._reader.readline()
            except ValueError:
                problem = f"a message has {MAX_MESSAGE_BYTES:,} bytes at most"
                self._writer.write(_refusal(None, INVALID_REQUEST, problem))
                continue
            except ConnectionError:
                return
            if not line:
                return
            if line.isspace():
                continue
            try:
                message = jsonrpc_message_adapter.validate_json(line, by_name=False)
            except ValueError:
                self._writer.write(_explained(line))
                continue
            if isinstance(message, JSONRPCNotification) and b'"id"' in line and "id" in json.loads(line):
                self._writer.write(_explained(line))  # a request whose id is null or a fraction: nothing can answer it
                continue
            yield message


def _explained(line: bytes) -> bytes:
    """The answer to a line that is no message: what is wrong with it, under the id it has."""
    try:
        message = json.loads(line)
    except (ValueError, RecursionError):
        return _refusal(None, PARSE_ERROR, "the line is not JSON")
    given = message.get("id") if isinstance(message, dict) else None
    number = given if isinstance(given, str | int) and not isinstance(given, bool) else None
    try:
        wire.decode(line)
    except ParseError as error:  # what Python reads and the protocol does not allow, as half of a surrogate pair
        return _refusal(number, PARSE_ERROR, error.message)
    return _refusal(number, INVALID_REQUEST, "the line is not a message of JSON-RPC 2.0")


def _refusal(number: str | int | None, code: int, sentence: str) -> bytes:
    error = {"jsonrpc": "2.0", "id": number, "error": {"code": code, "message": sentence}}
    return json.dumps(error).encode() + b"\n"
