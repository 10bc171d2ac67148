"""The table of vectors and the signs in memory."""

from __future__ import annotations

import math
import random
import struct
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from enhanced_memory.store.base import Change, Draft, Entity, Filter, Unembedded
from enhanced_memory.store.sqlite.signs import Signs
from tests.store.conftest import Run

DIMENSIONS = 64
EVERYTHING = Filter()
CHANGE = Change("created")


def vector_of(seed: int) -> bytes:
    """A direction of its own for each seed."""
    chance = random.Random(seed)
    numbers = [chance.gauss(0, 1) for _ in range(DIMENSIONS)]
    length = sum(number * number for number in numbers) ** 0.5
    return struct.pack(f"<{DIMENSIONS}e", *(number / length for number in numbers))


def cosine(one: bytes, other: bytes) -> float:
    pairs = zip(struct.unpack(f"<{DIMENSIONS}e", one), struct.unpack(f"<{DIMENSIONS}e", other), strict=True)
    return math.fsum(a * b for a, b in pairs)


@pytest.fixture
def told(write: Run) -> list[None]:
    """Vectors are wanted; grows by one whenever the store tells of observations."""
    calls: list[None] = []
    write(lambda tx: tx.vectors.begin("model", DIMENSIONS, lambda: calls.append(None)))
    return calls


@pytest.fixture
def create(write: Run) -> Callable[..., Entity]:
    """Make an entity."""
    return lambda name, *texts: write(lambda tx: tx.entities.create(Draft(name, "thing", texts), CHANGE))


def put_all(write: Run, read: Run) -> dict[tuple[int, int], bytes]:
    """A vector for everything that has none, by entity and place."""
    missing: list[Unembedded] = read(lambda tx: tx.vectors.missing(0, 1000))[0]
    made = [(each, vector_of(each.entity_id * 100 + each.slot)) for each in missing]
    write(lambda tx: tx.vectors.put(made))
    return {(each.entity_id, each.slot): vector for each, vector in made}


def test_the_nearest_are_those_of_the_highest_cosine(
    told: list[None], create: Callable[..., Entity], write: Run, read: Run
) -> None:
    for number in range(30):
        create(f"e{number}", *(f"text {number} {place}" for place in range(12)))
    vectors = put_all(write, read)
    asked = vector_of(-1)
    best = sorted(vectors, key=lambda place: -cosine(vectors[place], asked))[:10]
    hits = read(lambda tx: tx.vectors.nearest(asked, EVERYTHING, 10))
    assert [(hit.entity_id, hit.slot) for hit in hits] == best
    assert hits[0].score == pytest.approx(cosine(vectors[best[0]], asked), abs=1e-3)
    only = read(lambda tx: tx.vectors.nearest(asked, Filter(entity_types=["other"]), 10))
    assert only == []


def test_the_store_tells_of_entities_that_got_observations_once(
    told: list[None], create: Callable[..., Entity], write: Run
) -> None:
    made = create("Ann", "one", "two")
    assert told
    assert write(lambda tx: tx.vectors.take_changed(10)) == [made.id]
    assert write(lambda tx: tx.vectors.take_changed(10)) == []


def test_a_vector_of_an_observation_that_was_replaced_meanwhile_is_dropped(
    told: list[None], create: Callable[..., Entity], write: Run, read: Run
) -> None:
    made = create("Ann", "one")
    late = [(Unembedded(made.id, 1, "one"), vector_of(1))]
    write(lambda tx: tx.entities.update(tx.entities.find("Ann"), CHANGE, observations=["two"]))
    write(lambda tx: tx.vectors.put(late))
    assert read(lambda tx: tx.vectors.count()) == 0
    assert [each.text for each in read(lambda tx: tx.vectors.missing_of([made.id]))] == ["two"]


def take_out(tx: Any) -> None:
    tx.entities.update(tx.entities.find("Ann"), CHANGE, observations=["other"])


def delete(tx: Any) -> None:
    tx.entities.delete(tx.entities.find("Ann"), CHANGE)


def purge(tx: Any) -> None:
    tx.entities.purge(tx.entities.find("Ann"))


@pytest.mark.parametrize("end", [take_out, delete, purge])
def test_a_vector_goes_with_its_observation(
    end: Callable[[Any], None], told: list[None], create: Callable[..., Entity], write: Run, read: Run
) -> None:
    made = create("Ann", *(f"text {place}" for place in range(10)))
    put_all(write, read)
    assert read(lambda tx: tx.vectors.likeness(vector_of(0), [(made.id, 10)])) != [None]
    write(end)
    assert read(lambda tx: tx.vectors.nearest(vector_of(0), EVERYTHING, 10)) == []
    assert read(lambda tx: tx.vectors.count()) == 0


def test_a_vector_stays_when_the_write_that_removes_it_fails(
    told: list[None], create: Callable[..., Entity], write: Run, read: Run
) -> None:
    create("Ann", "one")
    put_all(write, read)

    def fail(tx: Any) -> None:
        delete(tx)
        raise RuntimeError

    with pytest.raises(RuntimeError):
        write(fail)
    assert len(read(lambda tx: tx.vectors.nearest(vector_of(0), EVERYTHING, 10))) == 1


def test_vectors_of_another_model_are_dropped_and_those_of_the_same_are_kept(
    told: list[None], create: Callable[..., Entity], write: Run, read: Run
) -> None:
    create("Ann", "one")
    put_all(write, read)
    write(lambda tx: tx.vectors.begin("model", DIMENSIONS, lambda: None))
    assert read(lambda tx: tx.vectors.count()) == 1
    write(lambda tx: tx.vectors.begin("newer", DIMENSIONS * 2, lambda: None))
    assert read(lambda tx: tx.vectors.count()) == 0


def test_before_they_are_wanted_nothing_is_kept_and_nothing_found(
    create: Callable[..., Entity], write: Run, read: Run
) -> None:
    made = create("Ann", "one")
    put_all(write, read)
    assert read(lambda tx: tx.vectors.nearest(vector_of(0), EVERYTHING, 10)) == []
    assert read(lambda tx: tx.vectors.likeness(vector_of(0), [(made.id, 1)])) == [None]


@given(st.sets(st.integers(0, 400), min_size=1, max_size=300), st.integers(1, 50), st.integers(0, 1000))
def test_signs_find_the_rows_that_differ_least(seeds: set[int], limit: int, asked: int) -> None:
    signs = Signs()
    signs.open(DIMENSIONS, lambda: None)
    rows = sorted(seeds)
    signs.add(rows[:7], [vector_of(row) for row in rows[:7]])
    signs.add(rows[7:], [vector_of(row) for row in rows[7:]])

    def differing(row: int) -> int:
        pairs = zip(
            *(struct.unpack(f"<{DIMENSIONS}e", each) for each in (vector_of(row), vector_of(asked))), strict=True
        )
        return sum((a > 0) != (b > 0) for a, b in pairs)

    found = signs.nearest(vector_of(asked), limit, None)
    assert len(found) == min(limit, len(rows))
    assert sorted(map(differing, found)) == sorted(map(differing, rows))[: len(found)]
