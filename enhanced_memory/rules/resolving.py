"""What resolving a conflict comes to: which strategy, whose relation goes where, and what stays when it is undone.

Above it lie the operations that resolve and reopen. Pure.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Final, Literal

Strategy = Literal["merge", "update", "branch", "ignore"]

OUTDATED: Final = 0.7
"""Relevance of a memory that a newer one updates, at most. Source: contract, section 4, Conflicts."""

FOR_KIND: Final[Mapping[str, Strategy]] = {"duplicate": "merge", "update": "update"}
"""The strategy of each kind of conflict where the caller names none; a contradiction has none, a person must look.

Source: contract, section 4, Conflicts.
"""

Ends = tuple[int, int, str]
"""A relation by the numbers of its ends and its type."""


def moved(ends: Ends, newer: int, older: int, taken: Collection[Ends]) -> Ends | None:
    """Where a relation of the newer entity goes when the older takes its place; None where it falls away.

    It falls away if it is between the two, or if the older has one like it (`taken`).
    """
    source, target, kind = ends
    if {source, target} == {newer, older}:
        return None
    image = (older if source == newer else source, older if target == newer else target, kind)
    return None if image in taken else image


def put_back(before: Mapping[str, Any], after: Mapping[str, Any], now: Mapping[str, Any]) -> dict[str, Any]:
    """Which of the values go back to `before` when a resolution that made them `after` is undone.

    What was changed since, by whomever, stays as it is `now`.
    """
    return {key: before[key] for key in now if now[key] == after[key] != before[key]}
