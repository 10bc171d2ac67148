"""Curation by meaning: episodes that say the same in other words."""

from __future__ import annotations

import time
from typing import Any

import pytest

from tests.conftest import PROMPTLY_S
from tests.embedding.conftest import Bag, OpenService, asking


def vectors_made(ask: Any, count: int) -> None:
    """Wait until so many observations have vectors."""
    until = time.monotonic() + PROMPTLY_S
    while ask("get_memory_status").get("vectors", {}).get("done", 0) < count:
        assert time.monotonic() < until, "no vectors were made"
    ask("confirm_entities", entityNames=["nobody"])  # a write behind the last of them: it is committed by now


@pytest.mark.parametrize(("by_meaning", "made"), [(True, 1), (False, 0)])
def test_episodes_that_mean_the_same_are_one_lesson_where_vectors_are_on(
    open_service: OpenService, by_meaning: bool, made: int
) -> None:
    ask = asking(open_service(Bag() if by_meaning else None))
    said = ["The doctor has a cat", "The physician has a cat", "The doctor has a kitty", "The doctor has no cat"]
    entities = [
        {"name": name, "entityType": "event", "observations": [text, f"{name} alone"], "tier": "episodic"}
        for name, text in zip("abcd", said, strict=True)
    ]
    ask("create_entities", entities=entities)
    if by_meaning:
        vectors_made(ask, 8)
    reply = ask("autonomous_curation")
    assert reply["promoted_to_semantic"] == made
    if by_meaning:
        (opened,) = ask("open_nodes", names=[reply["moves"][0]["name"]])["entities"]
        assert opened["observations"] == [said[0]]
        relations = ask("open_nodes", names=[opened["name"]])["relations"]
        assert [relation["to"] for relation in relations] == ["a", "b", "c"]
        assert ask("autonomous_curation")["moves"] == []
