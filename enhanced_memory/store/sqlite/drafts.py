"""Drafts made ready: what a new entity takes in the store, worked out before its turn to be written comes.

Writes run one at a time, so whatever one does in its turn all others wait for. Packing observations and finding their
words is two thirds of what creating an entity costs, and needs nothing of the database: for a large batch it is done in
the caller's thread, and for small requests that are written together in one go before the first of them, which takes
a fifth less than in between: by a helping process if one is idle, while the group before is written.
Above it lie the store, `entities` and `snapshots`; below it contents and the analyser.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from enhanced_memory.errors import TooLarge
from enhanced_memory.store.base import Analyser, Draft
from enhanced_memory.store.sqlite.contents import Contents, Packed
from enhanced_memory.store.sqlite.indexing import Fields, label_fields, observation_fields

WORTH_A_THREAD = 8
"""Entities in a request from which on its own thread makes them ready. For fewer, threads that take turns at it would
cost more than it saves the others."""

WORTH_A_PROCESS = 4
"""Drafts of a group from which on a helping process makes them ready: for fewer, asking costs as much as it saves."""

SMALL = 16 * 1024
"""Characters of a request's observations up to which it is made ready with others: a group of them takes no second."""


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
    fields = _fields(draft, analyser)
    dictionary = contents.dictionary
    return Ready(draft.observations, draft.entity_type, contents.pack(draft.observations, None), dictionary, fields)


def ready_by_name(drafts: Iterable[Draft], contents: Contents, analyser: Analyser) -> dict[str, Ready]:
    """The drafts by name; of several of one name the first, and none that is too large, which its turn will tell.

    All are analysed, then all are packed: either needs the processor's caches for itself.
    """
    first = _first_by_name(drafts)
    fields = [_fields(draft, analyser) for draft in first.values()]
    found: dict[str, Ready] = {}
    for (name, draft), words in zip(first.items(), fields, strict=True):
        dictionary = contents.dictionary
        with suppress(TooLarge):
            packed = contents.pack(draft.observations, None)
            found[name] = Ready(draft.observations, draft.entity_type, packed, dictionary, words)
    return found


def as_sent(drafts: Iterable[Draft]) -> list[list[Any]]:
    """What another process needs to make these drafts ready, as JSON data."""
    return [[draft.name, draft.entity_type, draft.observations] for draft in _first_by_name(drafts).values()]


def made_as_sent(sent: Iterable[list[Any]], contents: Contents, analyser: Analyser) -> list[list[Any] | None]:
    """In that process: drafts as `as_sent` gave them made ready, each as JSON data, None for one that is too large."""
    drafts = [Draft(name, entity_type, observations) for name, entity_type, observations in sent]
    found = ready_by_name(drafts, contents, analyser)
    return [_as_sent(found.get(draft.name)) for draft in drafts]


def ready_from_sent(drafts: Iterable[Draft], made: Iterable[list[Any] | None]) -> dict[str, Ready]:
    """The drafts by name as `made_as_sent` made them ready. Raises: ValueError: they are not those."""
    return {
        name: Ready(draft.observations, draft.entity_type, Packed(blob.encode("latin-1"), digest, size), number, fields)
        for (name, draft), each in zip(_first_by_name(drafts).items(), made, strict=True)
        if each is not None
        for blob, digest, size, number, fields in [each]
    }


def _as_sent(ready: Ready | None) -> list[Any] | None:
    if ready is None:
        return None
    packed = ready.packed
    return [packed.blob.decode("latin-1"), packed.checksum, packed.original_bytes, ready.dictionary, ready.fields]


def _first_by_name(drafts: Iterable[Draft]) -> dict[str, Draft]:
    first: dict[str, Draft] = {}
    for draft in drafts:
        first.setdefault(draft.name, draft)
    return first


def _fields(draft: Draft, analyser: Analyser) -> list[Fields]:
    """The index rows of the label and of each observation."""
    label = label_fields(analyser, draft.name, draft.entity_type)
    return [label, *(observation_fields(analyser, text) for text in draft.observations)]
