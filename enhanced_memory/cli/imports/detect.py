"""Which format a source has, told by what is in it; names count only where content leaves it open.

Above it lies the import; below it the source.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from typing import Final

from enhanced_memory.cli.imports.notes import first_notes
from enhanced_memory.cli.imports.source import NOTE_SUFFIXES, Source

FORMATS: Final = {
    "jsonl": "reference",
    "mcp-memory-service": "memory_service",
    "basic-memory": "basic_memory",
    "chatgpt": "chatgpt",
    "claude": "claude",
    "markdown": "markdown",
}
"""Each format by its name, and the module that reads it."""

NOTES_LOOKED_AT: Final = 50

_TELLING: Final = {
    ("item", "mapping"): "chatgpt",
    ("item", "current_node"): "chatgpt",
    ("item", "chat_messages"): "claude",
    ("item", "content_hash"): "mcp-memory-service",
    ("", "export_metadata"): "mcp-memory-service",
    ("", "memories"): "mcp-memory-service",
    ("", "type"): "jsonl",
    ("", "entityType"): "jsonl",
    ("", "relationType"): "jsonl",
}
"""Keys that only one format has, where ijson finds them."""


def format_of(source: Source, head: bytes) -> str:
    """The name of the format; the reference server's, line by line, where nothing tells another."""
    if source.folder is not None:
        known = any(_is_basic_memory(note.front, note.body) for note in first_notes(source.folder, NOTES_LOOKED_AT))
        return "basic-memory" if known else "markdown"
    for path, key in _keys(head):
        if (path, key) in _TELLING:
            return _TELLING[path, key]
    if source.path.lower().endswith(NOTE_SUFFIXES):
        text = head.decode("utf-8", "replace")
        return "basic-memory" if text.startswith("---") and "\npermalink:" in text else "markdown"
    return "jsonl"


def _is_basic_memory(front: dict[str, object], body: str) -> bool:
    """Whether a note is one of basic-memory's: it has a permalink, or observations with a category."""
    return "permalink" in front or re.search(r"^\s*[-*] \[[^\[\]()]{2,64}\] \S", body, re.MULTILINE) is not None


def _keys(head: bytes) -> Iterator[tuple[str, str]]:
    """The keys of JSON objects in the first bytes of a file, with where they stand."""
    import ijson

    try:
        for path, event, value in ijson.parse(io.BytesIO(head)):
            if event == "map_key":
                yield path, value
    except ijson.JSONError:
        return  # the head ends in the middle of something
