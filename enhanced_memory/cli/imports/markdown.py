"""A folder of Markdown, or one file: each file an entity, what it says its observations, its links relations.

Above it lies the import; below it `notes`, which reads the files.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import Final

from enhanced_memory.cli.imports.items import Bad, Item, Record, entity, label, pieces, relation
from enhanced_memory.cli.imports.notes import Block, Folder, Note, blocks, plain, targets
from enhanced_memory.cli.imports.source import Source

KEPT_APART: Final = frozenset({"title", "type", "tags", "permalink", "created", "modified", "date"})
"""Keys of front matter that do not become observations `key: value`."""

LINKS_TO: Final = "links_to"
"""The relation that a link makes."""

Relating = Callable[[Folder, Note, Block], tuple[list[tuple[str, str]], bool]]
"""What relations a block states - types and names - and whether it is nothing but that."""


def items(source: Source) -> Iterator[Item]:
    """An entity a file, then its relations."""
    return read(source, _links)


def read(source: Source, relating: Relating) -> Iterator[Item]:
    """The items of all notes, with the relations that `relating` finds."""
    folder = Folder(source)
    yield from folder.bad
    numbers = itertools.count(1)
    for found in folder.notes():
        if isinstance(found, Bad):
            yield found
            continue
        name, note = found
        observations: list[str] = []
        relations: dict[tuple[str, str], int] = {}
        for block in blocks(note):
            stated, is_all = relating(folder, note, block)
            for kind, target in stated:
                relations.setdefault((kind, target), block.line)
            if not is_all:
                observations += _observations(block)
        for key, value in note.front.items():
            if key not in KEPT_APART and isinstance(value, str | int | float):
                observations += pieces(f"{label(key, 64)}: {value}")
        if note.tags:
            observations.append(f"Tags: {', '.join(note.tags)}")
        yield entity(
            note.path, next(numbers), name, note.kind, observations, size=note.size, source_timestamp=note.written
        )
        yield from _relations(name, note, relations, numbers)


def _relations(
    name: str, note: Note, relations: dict[tuple[str, str], int], numbers: Iterator[int]
) -> Iterator[Record]:
    for (kind, target), line in relations.items():
        if target != name:
            yield relation(f"{note.path}:{line}", next(numbers), name, kind, target)


def _observations(block: Block) -> Iterator[str]:
    """What a block says, after the heading above it; a long one in pieces."""
    if block.kind == "code":
        return pieces(f"{block.section}:\n{block.text}" if block.section else block.text)
    text = plain(block.text)
    return pieces(f"{block.section}: {text}" if block.section else text)


def _links(folder: Folder, note: Note, block: Block) -> tuple[list[tuple[str, str]], bool]:
    """Every link of a block, which stays an observation besides."""
    if block.kind == "code":
        return [], False
    return [(LINKS_TO, target) for target in targets(folder, note, block.text)], False
