"""Drafts made ready: what a new entity takes in the store, worked out before its turn to be written comes.

Writes run one at a time, so whatever one does in its turn all others wait for. Packing observations and finding their
words is two thirds of what creating an entity costs, and needs nothing of the database: for a large batch it is done in
the caller's thread. Above it lie the store and `entities`; below it contents and the analyser.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from enhanced_memory.errors import TooLarge
from enhanced_memory.store.base import Analyser, Draft
from enhanced_memory.store.sqlite.contents import Contents, Packed
from enhanced_memory.store.sqlite.indexing import Fields, label_fields, observation_fields


@dataclass(frozen=True, slots=True)
class Ready:
    """A draft's stored bytes, the dictionary they were made with, and its index rows, that of its label first."""

    observations: Sequence[str]
    entity_type: str
    packed: Packed
    dictionary: int | None
    fields: list[Fields]


def make_ready(draft: Draft, contents: Contents, analyser: Analyser) -> Ready:
    """The draft made ready. Raises: TooLarge."""
    dictionary = contents.dictionary
    packed = contents.pack(draft.observations, None)
    fields = [label_fields(analyser, draft.name, draft.entity_type)]
    fields += [observation_fields(analyser, text) for text in draft.observations]
    return Ready(draft.observations, draft.entity_type, packed, dictionary, fields)


def ready_by_name(drafts: Iterable[Draft], contents: Contents, analyser: Analyser) -> dict[str, Ready]:
    """The drafts by name; of several of one name the first, and none that is too large, which its turn will tell."""
    found: dict[str, Ready] = {}
    for draft in drafts:
        if draft.name not in found:
            try:
                found[draft.name] = make_ready(draft, contents, analyser)
            except TooLarge:
                continue
    return found
