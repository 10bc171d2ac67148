"""Resources, prompts and completions: what they say, and who hears when it changes."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any

import pytest
from fastmcp import Client
from mcp.shared.exceptions import MCPError
from mcp.types import PromptReference, ResourceTemplateReference

from enhanced_memory.client import BlockingMemoryClient
from enhanced_memory.mcp.app import build
from tests.conftest import PROMPTLY_S
from tests.mcp.test_server_process import MODERN, Pipes, serve

if TYPE_CHECKING:
    from tests.mcp.conftest import Place

pytestmark = pytest.mark.process
__all__ = ["serve"]

PEOPLE: list[dict[str, Any]] = [
    {"name": "Ann", "entityType": "person", "observations": ["drinks oolong tea"], "always_include": True},
    {"name": "Anna Berg", "entityType": "person", "observations": ["plays chess"]},
    {"name": "docs/ä 50%?", "entityType": "file", "observations": ["an odd name"]},
]
MODES = ("legacy", MODERN)


def in_session(place: Place, work: Callable[[Any], Coroutine[Any, Any, None]], mode: str = MODERN) -> None:
    """Run `work` with a client, beside a daemon that knows PEOPLE."""

    async def session() -> None:
        async with Client(build(place.settings(autostart="1")), mode=mode) as client:
            await client.call_tool("create_entities", {"entities": PEOPLE})
            await work(client)

    asyncio.run(session())


@pytest.mark.parametrize("mode", MODES)
def test_every_resource_tells_what_the_memory_holds(place: Place, mode: str) -> None:
    async def work(client: Any) -> None:
        async def read(uri: str) -> str:
            (content,) = await client.read_resource(uri)
            return str(content.text)

        listed = {str(resource.uri) for resource in await client.list_resources()}
        templates = {template.uri_template for template in await client.list_resource_templates()}
        assert listed == {"memory://graph", "memory://status", "memory://context"}
        assert templates == {"memory://recent/{n}", "memory://entity/{name}"}

        assert {entity["name"] for entity in json.loads(await read("memory://graph"))["entities"]} == {
            entity["name"] for entity in PEOPLE
        }
        assert json.loads(await read("memory://status"))["total_entities"] == 3
        assert "drinks oolong tea" in await read("memory://context")
        assert len(json.loads(await read("memory://recent/2"))["results"]) == 2
        odd = json.loads(await read("memory://entity/docs%2F%C3%A4%2050%25%3F"))
        assert odd["entities"][0]["observations"] == ["an odd name"]

    in_session(place, work, mode)


def test_a_resource_that_is_not_there_is_an_error_that_says_so(place: Place) -> None:
    async def work(client: Any) -> None:
        for uri in ("memory://entity/Nobody", "memory://recent/0", "memory://nothing"):
            with pytest.raises(Exception, match=r"Nobody|limit|nothing"):
                await client.read_resource(uri)

    in_session(place, work)


@pytest.mark.parametrize("mode", MODES)
def test_what_fails_in_a_resource_or_a_prompt_is_told_with_the_way_out(place: Place, mode: str) -> None:
    async def work(client: Any) -> None:
        async def said(attempt: Coroutine[Any, Any, Any]) -> str:
            with pytest.raises(MCPError) as failed:
                await attempt
            return str(failed.value)

        assert await said(client.read_resource("memory://entity/Nobody")) == (
            "there is no entity 'Nobody'\nHint: search_nodes finds it by what is known of it"
        )
        for number in ("x", "0", "1001", "%C2%B2"):
            assert "Hint: memory://recent/20" in await said(client.read_resource(f"memory://recent/{number}"))
        assert await said(client.get_prompt("recall_topic", {})) == (
            "recall_topic needs a topic\nHint: give it as the argument 'topic'"
        )
        assert "needs a topic" in await said(client.get_prompt("recall_topic", {"topic": " "}))
        too_long = await said(client.get_prompt("recall_topic", {"topic": "tea " * 30_000}))
        assert "query" in too_long
        assert "rendering" not in too_long

    in_session(place, work, mode)


@pytest.mark.parametrize("mode", MODES)
def test_names_are_completed_for_resources_and_prompts(place: Place, mode: str) -> None:
    async def work(client: Any) -> None:
        entity = ResourceTemplateReference(uri="memory://entity/{name}")
        recent = ResourceTemplateReference(uri="memory://recent/{n}")
        topic = PromptReference(name="recall_topic")

        async def completed(reference: Any, name: str, value: str) -> list[str]:
            values: list[str] = (await client.complete(reference, {"name": name, "value": value})).values
            return values

        assert await completed(entity, "name", "ann") == ["Ann", "Anna Berg"]
        assert await completed(topic, "topic", "docs") == ["docs/ä 50%?"]
        assert await completed(recent, "n", "5") == ["50"]
        assert await completed(topic, "something", "a") == []

    in_session(place, work, mode)


def test_every_prompt_gives_words_and_what_it_needs_to_begin(place: Place) -> None:
    async def work(client: Any) -> None:
        async def text(name: str, **arguments: str) -> str:
            (message,) = (await client.get_prompt(name, arguments)).messages
            return str(message.content.text)

        names = {prompt.name for prompt in await client.list_prompts()}
        assert names == {"start_session", "recall_topic", "remember_session", "review_conflicts", "curate_memories"}
        assert "drinks oolong tea" in await text("start_session")
        assert "plays chess" in await text("recall_topic", topic="chess")
        assert "add_observations" in await text("remember_session")
        assert "conflict" in await text("review_conflicts")
        assert '"total_entities":3' in await text("curate_memories")

    in_session(place, work)


def test_prompts_and_completions_work_without_a_daemon(place: Place) -> None:
    async def session() -> None:
        async with Client(build(place.settings())) as client:
            assert "save what lasts" in (await client.get_prompt("remember_session")).messages[0].content.text
            for prompt in ("start_session", "review_conflicts", "curate_memories"):
                words = (await client.get_prompt(prompt)).messages[0].content.text
                assert "no memory daemon answers" in words
                assert "Hint: start it" in words
            topic = PromptReference(name="recall_topic")
            assert (await client.complete(topic, {"name": "topic", "value": "a"})).values == []

    asyncio.run(session())


def updates(server: Pipes, count: int) -> set[str]:
    """The addresses of the next so many resources that are said to have changed."""
    heard: set[str] = set()
    while len(heard) < count:
        message = json.loads(server.output.readline())
        if message.get("method") == "notifications/resources/updated":
            heard.add(message["params"]["uri"])
    return heard


def subscribed(server: Pipes, *uris: str) -> None:
    """Subscribe as the server's protocol has it; returns when the subscription holds."""
    if server.protocol != MODERN:
        for uri in uris:
            server.request("resources/subscribe", {"uri": uri})
        return
    server.send("subscriptions/listen", {"notifications": {"resourceSubscriptions": list(uris)}}, id="listening")
    message = json.loads(server.output.readline())
    assert message["method"] == "notifications/subscriptions/acknowledged"


@pytest.mark.parametrize("protocol", ["2024-11-05", "2025-11-25", MODERN])
def test_subscribers_hear_of_a_change_made_by_another_client(
    place: Place, serve: Callable[..., Pipes], protocol: str
) -> None:
    server = serve(protocol)
    greeting = server.greet()
    assert greeting["capabilities"]["resources"]["subscribe"] is True
    assert not server.call("create_entities", entities=PEOPLE)["isError"]
    subscribed(server, "memory://graph", "memory://entity/Ann", "memory://entity/Anna%20Berg")

    with BlockingMemoryClient(settings=place.settings()) as other:
        assert other.add_observations([{"entityName": "Ann", "contents": ["moved to Graz"]}])["success"]
        assert updates(server, 2) == {"memory://graph", "memory://entity/Ann"}
        assert other.delete_entities(["Ann"])["success"]
        assert updates(server, 3) == {"memory://graph", "memory://entity/Ann", "memory://entity/Anna%20Berg"}


def test_subscribers_hear_nothing_of_other_namespaces_and_after_unsubscribing(
    place: Place, serve: Callable[..., Pipes]
) -> None:
    server = serve("2025-11-25")
    server.greet()
    server.call("create_entities", entities=PEOPLE)
    subscribed(server, "memory://graph", "memory://status")
    server.request("resources/unsubscribe", {"uri": "memory://graph"})

    entities: Any = [{"name": "Elsewhere", "entityType": "thing", "observations": ["x"]}]
    with BlockingMemoryClient(settings=place.settings(namespace="elsewhere")) as elsewhere:
        assert elsewhere.create_entities(entities)["success"]
    with BlockingMemoryClient(settings=place.settings()) as here:
        assert here.create_entities(entities)["success"]
    assert updates(server, 1) == {"memory://status"}


@pytest.mark.parametrize("protocol", ["2024-11-05", "2025-11-25", MODERN])
def test_what_is_no_resource_cannot_be_subscribed_to(place: Place, serve: Callable[..., Pipes], protocol: str) -> None:
    server = serve(protocol)
    server.greet()
    for uri in ("memory://nothing", "https://example.org/", "memory://entity/", "memory://entity/a/b"):
        error = refusal(server, uri)
        assert error["code"] == -32602
        assert error["message"].startswith(f"{uri} is no resource of this memory\nHint: ")
    assert "'some' is no number" in refusal(server, "memory://recent/some")["message"]

    subscribed(server, "memory://recent/5", "memory://entity/Nobody%20yet?")
    with BlockingMemoryClient(settings=place.settings(), autostart=True) as other:
        born: Any = [{"name": "Nobody yet", "entityType": "person", "observations": ["is born"]}]
        assert other.create_entities(born)["success"]
    assert updates(server, 2) == {"memory://recent/5", "memory://entity/Nobody%20yet?"}


def refusal(server: Pipes, uri: str) -> dict[str, Any]:
    """The error to an attempt to subscribe to an address."""
    modern = server.protocol == MODERN
    params = {"notifications": {"resourceSubscriptions": [uri]}} if modern else {"uri": uri}
    server.send("subscriptions/listen" if modern else "resources/subscribe", params, id="refused")
    error: dict[str, Any] = json.loads(server.output.readline())["error"]
    return error


def test_subscribers_hear_of_changes_after_the_daemon_was_killed(place: Place, serve: Callable[..., Pipes]) -> None:
    server = serve("2025-11-25")
    server.greet()
    server.call("create_entities", entities=PEOPLE)
    subscribed(server, "memory://graph")
    (daemon,) = place.daemons()
    daemon.kill()
    daemon.wait(PROMPTLY_S)
    with BlockingMemoryClient(settings=place.settings(), autostart=True) as other:
        assert other.add_observations([{"entityName": "Ann", "contents": ["moved to Graz"]}])["success"]

    assert updates(server, 1) == {"memory://graph"}
