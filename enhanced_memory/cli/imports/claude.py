"""Claude's export: conversations.json, each conversation a list of `chat_messages`, or the .zip that holds it.

Above it lies the import, which has the facts extracted; below it the source.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from enhanced_memory.cli.imports.items import Bad, Conversation, Item, Turn, instant, label, sound
from enhanced_memory.cli.imports.source import Source

SPEAKERS: Final = {"human": "user", "user": "user", "assistant": "assistant"}


def items(source: Source) -> Iterator[Item]:
    """One conversation each, by its uuid."""
    for found in source.values("item"):
        yield found if isinstance(found, Bad) else _conversation(*found)


def _conversation(place: str, value: Any, size: int) -> Item:
    """The conversation that a list of messages holds."""
    messages = value.get("chat_messages") if isinstance(value, dict) else None
    if not isinstance(messages, list):
        return Bad(place, "is no conversation: it has no chat_messages", size=size)
    session = value.get("uuid")
    if not isinstance(session, str) or not label(session, 128):
        return Bad(place, "is a conversation without a uuid", size=size)
    turns = [turn for message in messages if (turn := _turn(message))]
    return Conversation(place, label(session, 128), instant(value.get("created_at")), turns, size)


def _turn(message: Any) -> Turn | None:
    """What a message says: its texts, or the older `text` beside them. None where it says nothing."""
    speaker = SPEAKERS.get(str(message.get("sender"))) if isinstance(message, dict) else None
    if speaker is None:
        return None
    content = message.get("content")
    blocks = content if isinstance(content, list) else []
    texts = [block.get("text") for block in blocks if isinstance(block, dict) and block.get("type") == "text"]
    text = "\n".join(text for text in texts if isinstance(text, str)).strip() or message.get("text")
    if not isinstance(text, str) or not text.strip():
        return None
    return Turn(instant(message.get("created_at")), speaker, sound(text).strip())
