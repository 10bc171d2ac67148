"""Overlap of lists of observations."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from enhanced_memory.rules.overlap import levelled, likeness, verdict_of

LISTS = st.lists(st.text(max_size=12), max_size=8)


@given(LISTS, LISTS)
def test_likeness_lies_between_none_and_all_whichever_list_comes_first(ours: list[str], theirs: list[str]) -> None:
    assert 0.0 <= likeness(ours, theirs) == likeness(theirs, ours) <= 1.0


@given(LISTS.filter(bool))
def test_a_list_is_wholly_like_itself_in_any_order(ours: list[str]) -> None:
    assert likeness(ours, ours[::-1]) == 1.0


def test_two_empty_lists_have_nothing_in_common() -> None:
    assert likeness([], []) == 0.0


def test_likeness_is_what_is_shared_over_the_larger_list() -> None:
    assert likeness(["a", "b", "c"], ["b", "c", "d", "e"]) == 0.5


def test_case_spaces_and_punctuation_do_not_tell_observations_apart() -> None:
    assert likeness(["Likes coffee.", "Doesn't smoke"], ["likes  COFFEE", "Doesn\u2019t smoke!"]) == 1.0


@pytest.mark.parametrize(("one", "other"), [("C", "C++"), ("C#", "C++"), ("5%", "5"), ("$5", "€5")])
def test_signs_that_change_the_meaning_stay(one: str, other: str) -> None:
    assert levelled(one) != levelled(other)


@pytest.mark.parametrize(
    ("overlap", "verdict"),
    [(1.0, "duplicate"), (0.86, "duplicate"), (0.85, "update"), (0.31, "update"), (0.3, None), (0.0, None)],
)
def test_the_guide_s_thresholds_are_to_be_exceeded(overlap: float, verdict: str | None) -> None:
    assert verdict_of(overlap) == verdict
