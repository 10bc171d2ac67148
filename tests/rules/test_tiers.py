"""Rules of the tiers: fading, what is due, what episodes share, and what becomes of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from enhanced_memory.rules import tiers
from enhanced_memory.rules.tiers import Group, Known

NOW = "2026-06-30T00:00:00.000000Z"
DAYS_AGO = {
    0: NOW,
    7: "2026-06-23T00:00:00.000000Z",
    8: "2026-06-22T00:00:00.000000Z",
    30: "2026-05-31T00:00:00.000000Z",
    31: "2026-05-30T00:00:00.000000Z",
    69: "2026-04-22T00:00:00.000000Z",
    138: "2026-02-12T00:00:00.000000Z",
    690: "2024-08-09T00:00:00.000000Z",
}


@pytest.mark.parametrize(
    ("score", "days", "relevant"), [(1.0, 0, 1.0), (1.0, 69, 0.5), (0.8, 138, 0.2), (1.0, 690, 0.1), (0.0, 0, 0.1)]
)
def test_relevance_halves_every_69_days_and_keeps_a_tenth(score: float, days: int, relevant: float) -> None:
    assert tiers.relevance(score, DAYS_AGO[days], NOW, pinned=False) == pytest.approx(relevant)
    assert tiers.relevance(score, DAYS_AGO[days], NOW, pinned=True) == 1.0
    assert tiers.has_decayed(tiers.relevance(score, DAYS_AGO[days], NOW, pinned=False)) == (relevant == 0.1)


def test_a_time_in_the_future_fades_nothing() -> None:
    assert tiers.relevance(0.7, NOW, DAYS_AGO[31], pinned=False) == 0.7


@pytest.mark.parametrize(
    ("age", "read", "accesses", "due"),
    [(31, 31, 0, True), (31, 8, 2, True), (30, 30, 0, False), (31, 7, 2, False), (31, 8, 3, False), (8, 8, 0, False)],
)
def test_a_memory_is_due_when_it_is_old_little_read_and_not_lately(
    age: int, read: int, accesses: int, due: bool
) -> None:
    assert (tiers.why_episodic(DAYS_AGO[age], DAYS_AGO[read], accesses, NOW) is not None) == due


def groups(said: Mapping[int, Iterable[int]], kind: str = "t") -> list[Group]:
    episodes = tiers.Episodes()
    for number, keys in said.items():
        episodes.add(number, kind, keys)
    return episodes.groups()


def keys_of(found: Iterable[Group]) -> list[list[int]]:
    return [list(group.support) for group in found]


def test_what_three_say_is_shared_and_what_two_say_is_not() -> None:
    assert keys_of(groups({1: [10, 20], 2: [10, 20], 3: [10]})) == [[10]]


def test_what_the_same_episodes_say_belongs_together() -> None:
    found = groups({1: [10, 20], 2: [20, 10, 10], 3: [10, 20], 4: [20]})
    assert keys_of(found) == [[10, 20]]
    assert found[0].members == {1, 2, 3, 4}


def test_what_everybody_says_draws_nothing_else_along() -> None:
    said = {number: [99] for number in range(100)} | {number: [99, 10] for number in (1, 2, 3)}
    assert keys_of(groups(said)) == [[99], [10]]


def test_episodes_of_different_types_share_nothing() -> None:
    episodes = tiers.Episodes()
    for number, kind in enumerate(("a", "a", "b")):
        episodes.add(number, kind, [10])
    assert episodes.groups() == []


@given(st.dictionaries(st.integers(1, 40), st.lists(st.integers(100, 110), max_size=5)))
def test_every_shared_thing_is_in_one_group_with_all_who_say_it(said: dict[int, list[int]]) -> None:
    ordered = {number: said[number] for number in sorted(said)}
    found = groups(ordered)
    told = [key for group in found for key in group.support]
    counts = {key: {n for n in said if key in said[n]} for key in range(100, 111)}
    assert sorted(told) == [key for key, numbers in counts.items() if len(numbers) >= 3]
    assert all(numbers == counts[key] for group in found for key, numbers in group.support.items())
    assert groups(ordered) == found


def test_texts_of_like_meaning_lead_to_the_first_of_them() -> None:
    texts = ["drives a car", "drives an automobile", "drives the car", "other"]
    assert tiers.same_in_meaning(texts, [(1, 2), (0, 1), (0, 2)]) == {1: 0, 2: 0}


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Ann likes mushrooms", "Ann does not like mushrooms"),
        ("The port is 8080", "The port is 8081"),
        ("The user lives in Paris", "The user lives in Berlin"),
    ],
)
def test_texts_that_deny_replace_or_count_differently_are_not_the_same_however_alike(one: str, other: str) -> None:
    assert tiers.same_in_meaning([one, other], [(0, 1)]) == {}


def known(
    number: int, says: set[int], sources: set[int], *, given: set[int] | None = None, open_: bool = True
) -> Known:
    return Known(number, "t", frozenset(says), frozenset(says if given is None else given), frozenset(sources), open_)


GROUP = {1: [10, 20], 2: [10, 20], 3: [10, 20]}


def test_new_knowledge_is_made_once() -> None:
    (made,) = tiers.knowledge(groups(GROUP), [])
    assert (made.into, dict(made.keys), dict(made.shares)) == (None, {10: 1, 20: 1}, {1: 1.0, 2: 1.0, 3: 1.0})
    assert made.confidence == pytest.approx(0.8)
    assert made.episodes == 3
    assert tiers.knowledge(groups(GROUP), [known(9, {10, 20}, {1, 2, 3})]) == []


def test_a_new_thing_goes_to_the_memory_that_says_most_of_its_group() -> None:
    (grown,) = tiers.knowledge(groups(GROUP), [known(9, {10}, {1, 2, 3})])
    assert (grown.into, dict(grown.keys), dict(grown.shares)) == (9, {20: 1}, {})


def test_a_memory_in_other_words_still_takes_what_its_own_episodes_share() -> None:
    (grown,) = tiers.knowledge(groups(GROUP), [known(9, {77}, {1, 2, 3}, given=set())])
    assert grown.into == 9


def test_two_memories_that_a_group_joins_each_keep_what_they_say() -> None:
    said = {number: [10, 20] for number in range(1, 7)}
    found = tiers.knowledge(groups(said), [known(8, {10}, {1, 2, 3}), known(9, {20}, {4, 5, 6})])
    assert [(each.into, dict(each.keys), sorted(each.shares)) for each in found] == [
        (8, {}, [4, 5, 6]),
        (9, {}, [1, 2, 3]),
    ]


def test_what_was_taken_out_and_what_was_deleted_is_not_put_back() -> None:
    assert tiers.knowledge(groups(GROUP), [known(9, {20}, {1, 2, 3}, given={10, 20})]) == []
    assert tiers.knowledge(groups(GROUP), [known(9, {10, 20}, {1, 2, 3}, open_=False)]) == []


def test_confidence_rises_with_the_episodes_and_falls_with_those_that_do_not_say_it() -> None:
    assert tiers.confidence([3], 3) == pytest.approx(0.8)
    assert tiers.confidence([10], 10) == pytest.approx(11 / 12)
    assert tiers.confidence([3], 5) == pytest.approx(4 / 7)
    assert tiers.confidence([5, 3], 5) == pytest.approx((6 / 7 + 4 / 7) / 2)


def test_a_name_is_one_plain_line_of_eighty_signs_at_most() -> None:
    assert tiers.name_of_knowledge("event", "a\nb\tc") == "event: a b c"
    assert len(tiers.name_of_knowledge("t" * 128, "x" * 100)) == 80
