"""Which of many entities are worth comparing."""

from __future__ import annotations

import itertools
import random

import pytest

from enhanced_memory.rules.blocking import Blocks, Candidate
from enhanced_memory.rules.stemming import stem

WORDS = [a + b + c for a, b, c in itertools.product("bdfgk", "aeiou", "lmnrs")]


def candidates(*entities: list[str]) -> list[Candidate]:
    blocks = Blocks()
    for number, observations in enumerate(entities, 1):
        blocks.add(number, observations)
    return blocks.pairs(lambda: None)


def pairs(*entities: list[str]) -> set[tuple[int, int]]:
    return {(pair.first, pair.second) for pair in candidates(*entities)}


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("The pump in hall seven leaks", "the pump  in hall seven leaks!"),
        ("The pump in hall seven leaks", "The pump in hall eight leaks"),
        ("Ann likes mushrooms", "Ann does not like mushrooms"),
        ("The cache expires after 60 seconds", "The cache expires after 300 seconds"),
        ("Backups run nightly on the server", "Backups run on the server"),
    ],
)
def test_observations_that_differ_by_one_word_are_worth_comparing(one: str, other: str) -> None:
    assert pairs([one], ["The oven is from 1990"], [other]) == {(1, 3)}


def test_entities_that_share_more_than_a_third_of_what_they_say_are_worth_comparing() -> None:
    shared = ["The pump in hall seven leaks", "Mireille keeps the ledger"]
    others = ["A ferry brings salt", "Oats grow by the dam", "Nine geese fly north", "Copper pipes rust never"]
    assert pairs([*shared, *others[:2]], [*shared, *others[2:]]) == {(1, 2)}
    assert pairs([shared[0], *others[:3]], [shared[0], "x y", "z w", "v u"]) == set()


def test_where_every_word_and_every_observation_is_common_the_same_entities_are_still_found() -> None:
    chance = random.Random(4)
    stock = [" ".join(chance.choices(WORDS[:30], k=6)) for _ in range(60)]
    entities = [chance.sample(stock, 4) for _ in range(2_000)]
    twin = entities[777][::-1]
    found = pairs(*entities, twin)
    assert (778, 2_001) in found
    assert len(found) < 20_000


def test_the_work_grows_with_the_entities_and_not_with_their_square() -> None:
    assert len(candidates(*[["status active"] for _ in range(3_000)])) == 2_999


@pytest.mark.parametrize("shared", [420, 900, 999])
def test_what_two_long_lists_share_makes_them_worth_comparing_wherever_it_stands(shared: int) -> None:
    common = [f"gauge{n} valve{n * 3}" for n in range(shared)]
    mine, theirs = ([f"{word}{n} {word}{n * 7}" for n in range(1_000 - shared)] for word in ("bolt", "lamp"))
    assert pairs([*mine, *common], [*theirs, *common], [f"oven{n} sink{n}" for n in range(1_000)]) == {(1, 2)}


def test_entities_without_observations_are_not_worth_comparing() -> None:
    assert pairs([], [], ["The oven is from 1990"], []) == set()


def test_what_shares_a_rare_subject_comes_before_what_shares_common_words() -> None:
    chance = random.Random(5)
    names = [f"Name{number}" for number in range(60)]
    entities = [
        [f"{chance.choice(names)} {chance.choice(('drives', 'uses', 'likes'))} Thing{chance.randrange(40)}"]
        for _ in range(600)
    ]
    planted = []
    for number in range(10):
        first = len(entities) // 2 + 20 * number
        entities.insert(first, [f"Rare{number} lives in Oslo"])
        entities.append([f"Rare{number} lives in Rome"])
        planted.append((f"Rare{number} lives in Oslo", f"Rare{number} lives in Rome"))
    found = candidates(*entities)
    compared_first = {(entities[pair.first - 1][0], entities[pair.second - 1][0]) for pair in found[: len(found) // 4]}
    assert len(found) > 400
    assert set(planted) <= compared_first


def test_an_observation_without_a_subject_meets_what_is_said_of_its_entity() -> None:
    blocks = Blocks()
    for number in range(30):
        blocks.add(number, [f"Lives in Town{number}"], [f"name{number}"])
    blocks.add(30, ["Name7 lives in Town99", "Pack socks"], ["trips"])
    assert [(pair.first, pair.second, pair.near) for pair in blocks.pairs(lambda: None)] == [(7, 30, ((0, 0),))]


def test_all_observations_are_met_that_are_the_same_but_for_a_word_on_either_side() -> None:
    chance = random.Random(11)
    stock = [word for word in WORDS if stem(word) == word][:40]
    entities = [chance.sample(stock, chance.randint(2, 9)) for _ in range(250)]
    for number in range(0, 250, 5):
        entities.append([*entities[number][1:], chance.choice(stock)])
    sets = [frozenset(words) for words in entities]
    near = {
        (one + 1, other + 1)
        for one, other in itertools.combinations(range(len(sets)), 2)
        if max(len(sets[one] - sets[other]), len(sets[other] - sets[one])) <= 1
        and len(sets[one] & sets[other]) > 3  # of shorter ones, more than twelve may have a key in common
    }
    found = candidates(*[[" ".join(words)] for words in entities])
    assert len(near) > 20
    assert near <= {(pair.first, pair.second) for pair in found}
