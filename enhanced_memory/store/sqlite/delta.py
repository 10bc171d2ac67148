"""Deltas: what changed from one list of observations to the next, so that history costs what changed.

Above it lies `versions`. A list holds no observation twice.

A delta is plain data with up to three keys, each left out when empty:
    remove  positions in the old list that are gone, ascending
    add     observations that came
    at      where each of `add` stands in the new list, ascending; without it they stand at the end
"""

from __future__ import annotations

import bisect
from collections.abc import Sequence
from typing import Any


def difference(old: Sequence[str], new: Sequence[str]) -> dict[str, Any]:
    """The delta that makes `new` of `old`. An observation that moved counts as gone and come."""
    if new[: len(old)] == old:  # the common case: something was added
        return {"add": list(new[len(old) :])} if len(new) > len(old) else {}
    places = {text: position for position, text in enumerate(old)}
    kept = _longest_rising([places[text] for text in new if text in places])
    delta: dict[str, Any] = {}
    remove = [position for position in range(len(old)) if position not in kept]
    if remove:
        delta["remove"] = remove
    at = [position for position, text in enumerate(new) if places.get(text, -1) not in kept]
    if at:
        delta["add"] = [new[position] for position in at]
        if at != list(range(len(new) - len(at), len(new))):
            delta["at"] = at
    return delta


def apply(observations: list[str], delta: dict[str, Any]) -> None:
    """Make the new list of the old one in place. Raises: ValueError: the delta does not fit this list."""
    remove, add, at = delta.get("remove", []), delta.get("add", []), delta.get("at")
    if not all(isinstance(part, list) for part in (remove, add)) or not all(isinstance(text, str) for text in add):
        raise ValueError("a delta of another shape")
    for position in reversed(remove):
        if not isinstance(position, int) or not 0 <= position < len(observations):
            raise ValueError("a delta that removes what is not there")
        del observations[position]
    if at is None:
        observations.extend(add)
        return
    if not isinstance(at, list) or len(at) != len(add):
        raise ValueError("a delta whose places do not match its additions")
    for position, text in zip(at, add, strict=True):
        if not isinstance(position, int) or not 0 <= position <= len(observations):
            raise ValueError("a delta that adds beyond the end")
        observations.insert(position, text)


def _longest_rising(numbers: Sequence[int]) -> set[int]:
    """The members of a longest rising subsequence (patience sorting, n log n)."""
    tops: list[int] = []  # smallest last member of a rising run of each length
    chain: list[tuple[int, int]] = []  # per number: itself, and the index in `chain` of its predecessor
    ends: list[int] = []
    for number in numbers:
        place = bisect.bisect_left(tops, number)
        chain.append((number, ends[place - 1] if place else -1))
        if place == len(tops):
            tops.append(number)
            ends.append(len(chain) - 1)
        else:
            tops[place] = number
            ends[place] = len(chain) - 1
    members: set[int] = set()
    link = ends[-1] if ends else -1
    while link >= 0:
        number, link = chain[link]
        members.add(number)
    return members
