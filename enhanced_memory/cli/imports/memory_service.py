"""mcp-memory-service's JSON export: an object whose `memories` are texts with tags, a type and times.

Above it lies the import; below it the source. Each memory becomes an entity of its own, named by its first words and
the beginning of its hash, so that importing again finds it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any, Final

from enhanced_memory.cli.imports.items import MOST_TYPE, Bad, Item, entity, instant, label, pieces
from enhanced_memory.cli.imports.source import Source

WORDS_OF_NAME: Final = 72
"""Characters of a memory's first line that its name begins with."""


def items(source: Source) -> Iterator[Item]:
    """One entity a memory. The whole export, its backups, and a bare list of memories are understood."""
    for part in source.parts():
        path = "item" if part.head().lstrip().startswith(b"[") else "memories.item"
        for found in part.json_items(path):
            if isinstance(found, Bad):
                yield found
                continue
            number, memory, size = found
            yield _memory(part.place(number), number, memory, size)


def _memory(place: str, number: int, memory: Any, size: int) -> Item:
    """The entity that a memory becomes."""
    if not isinstance(memory, dict):
        return Bad(place, "is no memory: it is not a JSON object", size=size)
    content = memory.get("content", memory.get("document"))
    if not isinstance(content, str) or not content.strip():
        return Bad(place, "is no memory: it has no content", size=size)
    metadata = memory["metadata"] if isinstance(memory.get("metadata"), dict) else {}
    mark = memory.get("content_hash") or metadata.get("content_hash")
    if not isinstance(mark, str) or len(mark) < 8:
        mark = hashlib.sha256(content.encode("utf-8", "replace")).hexdigest()
    kind = memory.get("memory_type") or metadata.get("memory_type") or metadata.get("type")
    observations = list(pieces(content))
    tags = _tags(memory.get("tags", metadata.get("tags")))
    if tags:
        observations.append(f"Tags: {', '.join(tags)}")
    times = (memory.get("created_at_iso"), memory.get("created_at"), metadata.get("created_at"))
    return entity(
        place,
        number,
        f"{label(content.strip().splitlines()[0], WORDS_OF_NAME)} ({label(mark, 8)})",
        label(kind, MOST_TYPE) if isinstance(kind, str) and kind.strip() else "memory",
        observations,
        size=size,
        source_timestamp=next(filter(None, map(instant, times)), None),
    )


def _tags(given: Any) -> list[str]:
    """Tags as a list, or as text with commas between them."""
    several = given.strip("[]").replace('"', "").split(",") if isinstance(given, str) else given
    if not isinstance(several, list):
        return []
    return [found for tag in several if isinstance(tag, str) and (found := label(tag, MOST_TYPE))]
