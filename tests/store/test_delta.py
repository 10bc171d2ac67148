"""Deltas between lists of observations."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from enhanced_memory.store.sqlite.delta import apply, difference

lists = st.lists(st.sampled_from([f"o{n}" for n in range(12)]), unique=True, max_size=12)


@given(old=lists, new=lists)
def test_a_delta_makes_the_new_list_of_the_old(old: list[str], new: list[str]) -> None:
    grown = list(old)
    apply(grown, difference(old, new))
    assert grown == new


@given(old=lists, new=lists)
def test_a_delta_holds_no_observation_that_stayed_in_order(old: list[str], new: list[str]) -> None:
    delta = difference(old, new)
    if [text for text in old if text in new] == [text for text in new if text in old]:
        assert set(delta.get("add", [])) == set(new) - set(old)
        assert [old[position] for position in delta.get("remove", [])] == [text for text in old if text not in new]


def test_an_addition_costs_only_itself() -> None:
    assert difference([str(n) for n in range(1000)], [*map(str, range(1000)), "new"]) == {"add": ["new"]}


@pytest.mark.parametrize(
    "delta",
    [
        {"remove": [5]},
        {"remove": ["0"]},
        {"remove": [-1]},
        {"add": [1]},
        {"add": "x"},
        {"add": ["x"], "at": [9]},
        {"add": ["x"], "at": []},
        {"add": ["x"], "at": 0},
    ],
)
def test_a_delta_that_does_not_fit_is_refused(delta: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="delta"):
        apply(["a"], delta)
