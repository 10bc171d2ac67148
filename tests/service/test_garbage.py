"""Full collections of garbage come when nobody waits, and only then."""

from __future__ import annotations

import gc
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from enhanced_memory.service import garbage

MANY = 400_000


@pytest.fixture
def full_collection() -> Iterator[threading.Event]:
    """Set by every full collection; the thresholds are as they were afterwards."""
    before, seen = gc.get_threshold(), threading.Event()

    def note(phase: str, info: dict[str, Any]) -> None:
        if phase == "stop" and info["generation"] == 2:
            seen.set()

    gc.callbacks.append(note)
    yield seen
    gc.callbacks.remove(note)
    gc.set_threshold(*before)


def grow() -> list[list[int]]:
    """So many objects that stay that the interpreter would look through all of them several times."""
    return [[number] for number in range(MANY)]


def test_however_much_stays_no_full_collection_comes_by_itself(full_collection: threading.Event) -> None:
    gc.collect()
    full_collection.clear()
    kept = grow()
    assert full_collection.is_set()  # else this shows nothing
    garbage.put_off()
    full_collection.clear()
    kept += grow()
    assert not full_collection.is_set()
    assert len(kept) == 2 * MANY


@pytest.mark.parametrize(
    ("counts", "comes"),
    [
        ([garbage.WORTH, garbage.WORTH], True),
        ([garbage.WORTH, garbage.WORTH + 1], False),  # somebody asks
        ([garbage.WORTH - 1, garbage.WORTH - 1], False),  # not worth it yet
        ([garbage.WORTH, garbage.WORTH, garbage.WORTH + 1, garbage.WORTH + 1], True),
    ],
)
def test_one_comes_once_when_there_were_enough_requests_and_nobody_asks(
    full_collection: threading.Event, counts: list[int], comes: bool
) -> None:
    garbage.put_off()
    collections = garbage.IdleCollections(iter(counts).__next__)
    seen = 0
    for _ in counts:
        full_collection.clear()
        collections.look()
        seen += full_collection.is_set()
    assert seen == comes
