"""Tiers and relevance: how a memory fades, and what keeps it.

Above it lie search, context and curation. Pure: the time comes in as an argument.
"""

from __future__ import annotations

from datetime import datetime

_HALVES_EVERY_DAYS = 69
_FLOOR = 0.1
"""Relevance halves every 69 days and never falls below 0.1. Source: contract, section 4, Tiers."""

_SECONDS_A_DAY = 86_400


def relevance(score: float, since: str, now: str, *, pinned: bool) -> float:
    """Relevance now, 0.1 to 1: `score` halved every 69 days since it was confirmed or created; 1.0 when pinned.

    `since` and `now` are ISO 8601 times; a `since` in the future counts as now.
    """
    if pinned:
        return 1.0
    age_s = (datetime.fromisoformat(now) - datetime.fromisoformat(since)).total_seconds()
    age_days = max(0.0, age_s) / _SECONDS_A_DAY
    return max(_FLOOR, float(score * 0.5 ** (age_days / _HALVES_EVERY_DAYS)))
