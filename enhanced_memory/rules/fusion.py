"""Words and meaning together: what each observation is worth when both were asked for.

Above it lies the search operation; below it the ranking by words, whose scores are the one half. The numbers were
chosen on recorded conversations, in the middle of wide plateaus.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from enhanced_memory.rules.ranking import NAMED, Found, Match, Place, Strip, Term, Title, pooled

MEANING: Final = 0.6
"""What the observation that means most nearly the same gains for it, where the best text has 1.0."""

BESIDE: Final = 0.2
"""Share of its neighbours' likeness that an observation has as well."""

UNLIKE: Final = 0.25
"""Cosine under which an observation is not found by its meaning; of two random sentences it is about 0.1."""

ALONE: Final = 0.3
"""The same where no row has a word of the query: made-up words come to 0.25 to 0.34 with some of 3,000 sentences, and
other words for the same thing to 0.31 to 0.54."""


def fuse(
    found: Sequence[Found],
    terms: Sequence[Term],
    strips: Sequence[Strip],
    titles: Mapping[int, Title],
    likeness: Mapping[tuple[int, int], float],
) -> list[Found]:
    """The entities of `titles` that match by words or by meaning, best first, newest first among equals.

    `found` is what `ranking.score` made of the same terms, strips and titles, or nothing; `likeness` has the cosine to
    the query, -1..1, of the places in strips whose vectors there are.
    """
    by_words = {(each.entity, match.position): match for each in found for match in each.matches}
    raised = _raised(strips, likeness)
    best = max(raised.values(), default=0.0) or 1.0
    names = {term.token for term in terms if term.is_name}
    typed = {term.token for term in terms}
    matches: dict[int, list[Match]] = {}
    for strip in strips:
        known = [by_words.get((place.entity, place.position)) for place in strip.places]
        whole = max((match.whole for match in known if match is not None), default=0.0)
        for place, match in zip(strip.places, known, strict=True):
            key = place.entity, place.position
            if match is None and likeness.get(key, -1.0) < UNLIKE:
                continue
            if match is None:
                named = NAMED * _is_named(place, titles[place.entity], names, typed)
                match = Match(place.position, named + whole, 0.0, named, whole)
            gain = MEANING * (raised.get(key, 0.0) / best)
            matches.setdefault(place.entity, []).append(match._replace(score=match.score + gain, meaning=gain))
    worded = {each.entity: each for each in found}
    fused = []
    for entity, title in titles.items():
        ranked = sorted(matches.get(entity, ()), key=lambda match: (-match.score, match.position))
        before = worded.get(entity)
        if ranked or before is not None:
            floor, reasons = (before.score, before.reasons) if before is not None else (0.0, ())
            fused.append(Found(entity, max(floor, pooled(ranked, title.observations)), tuple(ranked), reasons))
    return sorted(fused, key=lambda each: (-each.score, -each.entity))


def _raised(strips: Sequence[Strip], likeness: Mapping[tuple[int, int], float]) -> dict[tuple[int, int], float]:
    """Likeness above 0 with a share of the neighbours'."""
    raised = {}
    for strip in strips:
        own = [max(likeness.get((place.entity, place.position), 0.0), 0.0) for place in strip.places]
        for at, place in enumerate(strip.places):
            if (place.entity, place.position) in likeness:
                beside = sum(own[near] for near in (at - 1, at + 1) if 0 <= near < len(own))
                raised[place.entity, place.position] = own[at] + BESIDE * beside
    return raised


def _is_named(place: Place, title: Title, names: set[str], typed: set[str]) -> bool:
    """Whether the query names the one the observation is about, or its entity."""
    counts = place.line.counts
    return any(token in title.name or (token in counts and counts[token][0]) for token in names) or (
        bool(title.full_name) and title.full_name <= typed
    )
