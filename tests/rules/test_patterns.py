"""Patterns sorted by their first signs match what they matched before."""

from __future__ import annotations

import random
import re

import pytest

from enhanced_memory.rules.endings import states_of
from enhanced_memory.rules.patterns import alternatives, by_first_sign, first_signs, may_begin
from enhanced_memory.rules.phrases import with_plain_phrases

PATTERNS = [
    r"(?:the )?(?:united kingdom|uk)",
    r"u\.k\.",
    r"a?waiting|expecting",
    r"(?:is |are )?(\w+)[ -]intolerant",
    r", not (?!only)(?=\w+$)",
    r"[ab)|]x|c(?:d|e)",
    r"(@\d[\w:.]*) long",
    r"a b",
    r"ab*|b{2}",
    r"\.\w",
]


def test_alternatives_lie_between_bars_outside_of_groups_and_sets() -> None:
    assert alternatives(r"a(?:b|c)|d[|)]|\|e") == ["a(?:b|c)", "d[|)]", r"\|e"]


@pytest.mark.parametrize(
    ("pattern", "signs"),
    [
        ("abc", "a"),
        ("a?bc", "ab"),
        (r"(?:the |an? )?(?:uk|us)", "tau"),
        (r"\.\w", "."),
        (r"\w+", None),
        (r"(?:is )?\w+", None),
        ("[ab]c", None),
        ("(?=a)b", None),
        ("(?:a|)b", None),
        ("a{0,2}b", None),
        ("a*", None),
    ],
)
def test_the_signs_are_known_that_a_match_can_begin_with(pattern: str, signs: str | None) -> None:
    assert first_signs(pattern) == (None if signs is None else frozenset(signs))
    assert may_begin(f"x|{pattern}", "a") == (signs is None or "a" in signs)


def test_the_first_alternative_that_fits_still_wins() -> None:
    plain = re.compile("|".join(f"(?:{pattern})" for pattern in PATTERNS))
    sorted_ = re.compile(by_first_sign(PATTERNS))
    chance = random.Random(3)
    words = ["the ", "united kingdom", "uk", "u.k.", "waiting", "a", "b", "ab", "is ", "nut-intolerant", "@5:s long"]
    words += [", not tea", "|x", "cd", " ", ".x", "expecting"]
    met = 0
    for _ in range(5_000):
        text = "".join(chance.choices(words, k=chance.randint(1, 5)))
        spans = [match.span() for match in sorted_.finditer(text)]
        assert spans == [match.span() for match in plain.finditer(text)], text
        met += len(spans)
    assert met > 1_000


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("is based in the uk", "lives in uk"),
        ("likes tea to be hot", "prefers hot tea"),
        ("coffee is preferred over tea", "prefers coffee over tea"),
        ("is nut-intolerant", "not eat nut"),
        ("plain words", "plain words"),
    ],
)
def test_turns_of_phrase_are_brought_to_plain_words(text: str, plain: str) -> None:
    assert with_plain_phrases(text) == plain


def test_states_and_their_ends_are_told_wherever_they_stand() -> None:
    single, married = states_of("was single for years"), states_of("got married to ann")
    assert single[0] & married[1]
    assert not single[1] & married[1]
    both = states_of("is engaged, looking for a new job")
    assert len(both[0]) > 2  # engaged; looking for work; waiting for something
    assert states_of("disengaged") == (frozenset(), frozenset())
