"""ChatGPT's export: conversations.json, each conversation a tree of messages, or the .zip that holds it.

Above it lies the import, which has the facts extracted; below it the source. Of a tree, the branch that was open last
is read: from `current_node` up to the root; answers that were regenerated stay out.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from enhanced_memory.cli.imports.items import Bad, Conversation, Item, Turn, instant, label, sound
from enhanced_memory.cli.imports.source import Source

SPEAKERS: Final = ("user", "assistant")
"""Whose messages are read; tools and the system say nothing about anybody."""

SPOKEN: Final = ("text", "multimodal_text")
"""Kinds of content that are talk; thoughts, code and results of tools are none."""


def items(source: Source) -> Iterator[Item]:
    """One conversation each, by its id."""
    for found in source.values("item"):
        yield found if isinstance(found, Bad) else _conversation(*found)


def _conversation(place: str, value: Any, size: int) -> Item:
    """The conversation that a tree of messages holds."""
    mapping = value.get("mapping") if isinstance(value, dict) else None
    if not isinstance(mapping, dict):
        return Bad(place, "is no conversation: it has no mapping of messages", size=size)
    session = value.get("conversation_id") or value.get("id")
    if not isinstance(session, str) or not label(session, 128):
        return Bad(place, "is a conversation without an id", size=size)
    messages = [node["message"] for node in _branch(mapping, value.get("current_node")) if node.get("message")]
    turns = [turn for message in messages if (turn := _turn(message))]
    return Conversation(place, label(session, 128), instant(value.get("create_time")), turns, size)


def _branch(mapping: dict[str, Any], current: Any) -> list[dict[str, Any]]:
    """The nodes from the root to the current one; without one, along the newest answers. A circle is cut."""
    nodes = {name: node for name, node in mapping.items() if isinstance(node, dict)}
    seen: dict[str, dict[str, Any]] = {}
    if isinstance(current, str) and current in nodes:
        at: Any = current
        while isinstance(at, str) and at in nodes and at not in seen:
            seen[at] = nodes[at]
            at = nodes[at].get("parent")
        return list(seen.values())[::-1]
    at = next((name for name, node in nodes.items() if node.get("parent") not in nodes), None)
    while isinstance(at, str) and at in nodes and at not in seen:
        seen[at] = nodes[at]
        children = nodes[at].get("children")
        at = children[-1] if isinstance(children, list) and children else None
    return list(seen.values())


def _turn(message: Any) -> Turn | None:
    """What a message says, None where it is hidden, not talk, or nobody's."""
    if not isinstance(message, dict):
        return None
    author, content, metadata = (message.get(key) for key in ("author", "content", "metadata"))
    role = author.get("role") if isinstance(author, dict) else None
    hidden = isinstance(metadata, dict) and metadata.get("is_visually_hidden_from_conversation")
    if role not in SPEAKERS or hidden or not isinstance(content, dict) or content.get("content_type") not in SPOKEN:
        return None
    parts = content.get("parts")
    said = [_said(part) for part in parts] if isinstance(parts, list) else []
    text = "\n".join(filter(None, said)).strip()
    return Turn(instant(message.get("create_time")), role, sound(text)) if text else None


def _said(part: Any) -> str:
    """The text of a part: a string, or what was heard in a voice message."""
    if isinstance(part, dict):
        part = part.get("text")
    return part if isinstance(part, str) else ""
