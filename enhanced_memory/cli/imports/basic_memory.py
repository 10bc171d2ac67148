"""basic-memory's notes: Markdown with a title, type and permalink in front, observations and relations as points.

`- [category] what is observed #tag (context)` is kept word for word; `- type [[Note]] (context)` makes a relation and
no observation. Everything else is read as in any Markdown. Above it lies the import; below it `markdown` and `notes`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from enhanced_memory.cli.imports.items import MOST_TYPE, Item, label
from enhanced_memory.cli.imports.markdown import LINKS_TO, read
from enhanced_memory.cli.imports.notes import Block, Folder, Note, targets
from enhanced_memory.cli.imports.source import Source

_RELATION: Final = re.compile(
    r"""(?:"(?P<double>[^"]{1,128})"|'(?P<single>[^']{1,128})'|(?P<word>[^\s\[\]"']{1,128}))?\s*"""
    r"""\[\[(?P<target>[^\[\]]{1,500})\]\]\s*(?:\([^()]*\))?"""
)
"""A point that is a relation and nothing else; a type of several words stands in quotes."""

_HEADINGS: Final = ("observations", "relations")
"""Headings that only order a note, and say nothing."""

_CATEGORY: Final = re.compile(r"\[[^\[\]()]{2,128}\]\s+\S")


def items(source: Source) -> Iterator[Item]:
    """An entity a note, then its relations."""
    return read(source, _stated)


def _stated(folder: Folder, note: Note, block: Block) -> tuple[list[tuple[str, str]], bool]:
    """The relation that a point is, or the links that a text has."""
    if block.kind == "heading":
        return [], block.text.casefold() in _HEADINGS
    if block.section.casefold() in _HEADINGS:
        block.section = ""
    if block.kind == "code":
        return [], False
    match = _RELATION.fullmatch(block.text) if block.kind == "point" else None
    if match:
        kind = match["double"] or match["single"] or match["word"] or LINKS_TO
        return [(label(kind, MOST_TYPE), folder.named(match["target"]))], True
    if block.kind == "point" and _CATEGORY.match(block.text):
        block.section = ""
    return [(LINKS_TO, target) for target in targets(folder, note, block.text)], False
