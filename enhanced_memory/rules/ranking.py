"""The ranking of a search by words: which tokens to look up, and what each observation and entity found is worth.

An index quickly finds a few dozen observations, but judges each by its own words alone. Here they are judged again,
with the observations around them, because a reply seldom repeats the words of the question. A search goes like this:
count the rows of each token (`Count`); `weigh` the terms; `choose_terms` to look up; let the index give its best
CANDIDATES rows; lay these out as strips, with the REACH observations on either side of each (`read_line` and
`read_title`, worth keeping); and `score` them.

Above it lie the search operation and the index, below it `rules.text`. The numbers were chosen on recorded
conversations, in the middle of wide plateaus: moving one by a quarter moves recall by less than half a point.
"""

from __future__ import annotations

import math
import re
from bisect import bisect_right
from collections import Counter
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Final, NamedTuple

from enhanced_memory.rules.text import analyse, analyse_parts, observe

CANDIDATES: Final = 60
"""Rows to take from the index, which does not know how long they are; 45 to 100 find the same within 0.003."""

MEMORIES: Final = 32
"""Entities of these rows to judge where words alone tell, the best first; 24 find less of sessions by half a point, 60
find no more. Where meaning is asked as well, all are judged, which finds up to a point more."""

REACH: Final = 2
"""Observations on either side of a candidate that are scored with it; 1 costs two points of recall, 3 gains none."""

COMMON: Final = 0.2
"""Share of all rows above which a token only fills up while rarer ones remain."""

LOOKED_UP: Final = 1_000
COUNTED: Final = 20_000
"""Rows an index may have to score for one search, at about 2 microseconds each; and rows it may have to count for the
tokens that only help to rank, at a twentieth of that. Scoring 3,000 finds the same, 500 a quarter of a point less."""

FILLING: Final = 3
"""Tokens at most whose newest rows, those with several first, are taken where rarer ones do not fill the page."""

TOKENS: Final = 32
"""Tokens looked up at most, the rarest."""

SATURATION: Final = 1.0
LENGTH: Final = 0.4
"""BM25's k1 and b."""

BEFORE: Final = (0.5, 0.3)
AFTER: Final = (0.4, 0.2)
"""What a word counts, one and two places away, for the observations that come after it and for those before it."""

ASKED: Final = 0.4
ASKED_BEFORE: Final = 1.0
"""What a word of a question counts for the observation that asks, and for the next one, which may be the answer."""

IN_WHO: Final = 3.0
IN_NAME: Final = 4.0
IN_TYPE: Final = 0.5
"""What a word counts as speaker or subject, in an entity's name, in its type; one in a statement counts 1.0."""

BEGINNING: Final = 0.3
"""What a token counts that only begins with a word of the query."""

NAMED: Final = 0.3
WHOLE: Final = 0.15
"""What an observation gains, as shares of the best score: when the query names its speaker, its subject or its entity;
and for the session or entity around it, of which the best gains all of WHOLE."""

CALLED: Final = 0.25
"""What an entity gains, as a share of the best score, when the query has its full name; more than WHOLE and TIES."""

MANY: Final = 5
SECOND: Final = 0.3
"""In the score of an entity with MANY observations or more, the share of the second best one; that one is presumed to
have half the score of the best at least."""

TIES: Final = 0.05
"""What relevance, recency and a pin can add together, as a share of the best score."""

_SENTENCE_END: Final = re.compile(r"(?<=[.!?])[\"')\]\u2019\u201d]*\s+|(?<=[\u3002\uff01\uff1f])|\n")
_QUESTION_MARKS: Final = ("?", "\uff1f")


@dataclass(frozen=True, slots=True)
class Count:
    """In how many rows of the index a term is found: at all, and as speaker or subject."""

    rows: int
    who: int = 0


@dataclass(frozen=True, slots=True)
class Term:
    """A query's term: its token, how much it tells (BM25's idf, above 0), and whether it is somebody's name."""

    token: str
    weight: float
    is_name: bool = False


@dataclass(frozen=True, slots=True)
class Chosen:
    """Tokens to look up: a row must have one of `needed`; these and the `helpful` rank it.

    Where these rows do not fill the page, the newest are to be taken that have the `filling`, which are in too many
    rows to rank them all, the rarest first; and then the newest that have any of the `others`.
    """

    needed: tuple[str, ...]
    helpful: tuple[str, ...]
    filling: tuple[str, ...]
    others: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Line:
    """One observation as the ranking sees it.

    `counts` has for each token how often it is in the speaker or subject, in statements and in questions. `length` is
    the number of tokens in statements and questions. `said` tells whether it has a speaker's label.
    """

    counts: Mapping[str, tuple[int, int, int]]
    length: int
    said: bool


@dataclass(frozen=True, slots=True)
class Title:
    """What an entity is called, and how many observations it has.

    `name` and `type` have for each token how often it is there, `tokens` has them all; a query with all of `full_name`
    names the entity.
    """

    name: Mapping[str, int]
    type: Mapping[str, int]
    tokens: frozenset[str]
    full_name: frozenset[str]
    observations: int


class Place(NamedTuple):
    """Where a line is: its entity's key in the store, and its position there."""

    entity: int
    position: int
    line: Line


class Strip(NamedTuple):
    """Lines that follow one another: candidates and what lies within REACH of them.

    `whole` is the key of the session, or the entity, that they are part of; it may have several strips.
    """

    whole: Hashable
    places: Sequence[Place]


@dataclass(frozen=True, slots=True)
class Reason:
    """Why something matched: how much a token counted, and where (name, type, who, text, question, before, after)."""

    token: str
    where: str
    times: float


class Match(NamedTuple):
    """An observation's score, where 1.0 is the best text, and its parts: text + named + whole + meaning."""

    position: int
    score: float
    text: float
    named: float
    whole: float
    reasons: tuple[Reason, ...] = ()
    meaning: float = 0.0


class Found(NamedTuple):
    """An entity's score and its matches, best first; there is none when only its name or type matched."""

    entity: int
    score: float
    matches: tuple[Match, ...]
    reasons: tuple[Reason, ...] = ()


def read_line(observation: str) -> Line:
    """An observation as the ranking sees it."""
    seen = observe(observation)
    stated, asked = seen.text, ""
    if any(mark in stated for mark in _QUESTION_MARKS):
        sentences = _SENTENCE_END.split(stated)
        asked = "\n".join(each for each in sentences if each.endswith(_QUESTION_MARKS))
        stated = "\n".join(each for each in sentences if not each.endswith(_QUESTION_MARKS))
    columns = (seen.who, analyse(stated), analyse(asked))
    counts: dict[str, tuple[int, int, int]] = {}
    for column, tokens in enumerate(columns):
        for token in tokens:
            who, state, ask = counts.get(token, (0, 0, 0))
            counts[token] = (who + (column == 0), state + (column == 1), ask + (column == 2))
    return Line(counts, len(columns[1]) + len(columns[2]), seen.said)


def read_title(name: str, entity_type: str, observations: int) -> Title:
    """An entity's title from its name, its type and the number of its observations."""
    full_name = frozenset(analyse_parts(name))
    in_name, in_type = Counter(analyse(name)), Counter(analyse(entity_type))
    return Title(in_name, in_type, full_name.union(in_name, in_type), full_name, observations)


def weigh(
    tokens: Iterable[str], counts: Mapping[str, Count], rows: int, *, beginnings: Iterable[str] = ()
) -> list[Term]:
    """The terms of a query that the index knows, in the order given; `rows` is how many rows the index has.

    `beginnings` are tokens of the index that a word of the query is only the beginning of.

    A term is a name when it is the speaker or subject in half of its rows or more.

    Source of the weight: BM25's inverse document frequency, with one added inside the logarithm to stay above 0.
    """
    shares = dict.fromkeys(beginnings, BEGINNING) | dict.fromkeys(tokens, 1.0)
    terms: list[Term] = []
    for token, share in shares.items():
        count = counts.get(token)
        if count and count.rows:
            weight = share * math.log1p((max(rows, count.rows) - count.rows + 0.5) / (count.rows + 0.5))
            terms.append(Term(token, weight, 2 * count.who >= count.rows))
    return terms


def choose_terms(counts: Mapping[str, Count], rows: int) -> Chosen:
    """Which tokens to look up, so that an index scores few rows, and among them those with the rarest tokens.

    Of the TOKENS rarest, those are needed whose rows together are no more than LOOKED_UP. Of the others, those help to
    rank whose rows together are no more than COUNTED; none does when all rows with a needed token are taken anyway.
    Tokens in more than COMMON of the rows are neither while others remain. Of all that are not needed, the FILLING
    rarest fill up first.
    """
    known = sorted((count.rows, token) for token, count in counts.items() if count.rows)[:TOKENS]
    telling = [each for each in known if each[0] <= COMMON * rows] or known
    needed = _within(LOOKED_UP, telling)
    helpful = _within(COUNTED, telling[len(needed) :]) if sum(count for count, _ in needed) > CANDIDATES else []
    rest = tuple(token for _, token in known[len(needed) :])
    return Chosen(
        tuple(token for _, token in needed),
        tuple(token for _, token in helpful),
        rest[:FILLING],
        rest[FILLING:],
    )


def score(
    terms: Sequence[Term], strips: Sequence[Strip], titles: Mapping[int, Title], *, explain: bool = False
) -> list[Found]:
    """The entities of `titles` that match, best first, newest first among equals; with `explain`, why they match.

    `titles` has the entity of each place, and may have more. An observation's score is BM25 over its words, those of
    its entity's title and, counting less, those of the observations around it; on top of that comes what it gains for
    being about someone named in the query, and for the session or entity around it. What nobody said, and has no word
    of the query itself, does not match through its neighbours alone.
    """
    numbers = {term.token: number for number, term in enumerate(terms)}
    gains = [term.weight * (SATURATION + 1) for term in terms]
    tokens = frozenset(numbers)
    names = {number for number, term in enumerate(terms) if term.is_name}
    headed = {
        key: _head(terms, numbers, gains, title, explain)
        for key, title in titles.items()
        if not title.tokens.isdisjoint(tokens)
    }
    lengths = [place.line.length for strip in strips for place in strip.places]
    average = sum(lengths) / len(lengths) if any(lengths) else 1.0
    wholes: dict[object, dict[int, float]] = {}
    lines: list[tuple[Place, object, float, bool, tuple[Reason, ...]]] = []
    for key, places in strips:
        met = [_met(numbers, place.line.counts) for place in places]
        if not any(met):
            continue
        whole = wholes.get(key)
        if whole is None:
            whole = wholes[key] = {}
        heard = _heard(places, met, whole, average)
        for at, place in enumerate(places):
            own, head = met[at], headed.get(place.entity)
            if not own and not place.line.said and (head is None or not head.times):
                continue
            times = _times(heard, at)
            if not times:
                continue
            reasons = _reasons(terms, heard, at) if explain else ()
            named = False
            if names:
                named = any(counts[0] and number in names for number, counts in own)
            if head is not None:
                named = named or head.named
                reasons += head.reasons
                for number, value in head.times.items():
                    times[number] = times.get(number, 0.0) + value
            lines.append((place, key, _worth(gains, times), named, reasons))
    best = max([line[2] for line in lines] + [head.worth for head in headed.values()], default=0.0) or 1.0
    worths = {key: _worth(gains, times) for key, times in wholes.items()}
    best_whole = max(worths.values(), default=0.0) or 1.0
    matches: dict[int, list[Match]] = {}
    for place, key, worth, named, reasons in lines:
        text, gain, around = worth / best, NAMED * named, WHOLE * worths[key] / best_whole
        match = Match(place.position, text + gain + around, text, gain, around, reasons)
        if place.entity in matches:
            matches[place.entity].append(match)
        else:
            matches[place.entity] = [match]
    found: list[Found] = []
    for entity, called in titles.items():
        ranked = matches.get(entity, [])
        if len(ranked) > 1:
            ranked.sort(key=_best_first)
        head = headed.get(entity, _NO_HEAD)
        if ranked or head.worth:
            value = max(head.worth / best + NAMED * head.named, pooled(ranked, called.observations))
            found.append(Found(entity, value + CALLED * head.called, tuple(ranked), head.reasons))
    return sorted(found, key=_highest_first)


def tie_break(relevance: float, age_days: float, pinned: bool) -> float:
    """What an entity gains for its relevance (0..1), its youth and a pin: 0.0 to TIES, to be added to its score.

    It sets equals in order and cannot bury a clear match: half of it is relevance, a fifth the pin, the rest halves as
    the entity becomes 30 days old.
    """
    return TIES * (0.5 * relevance + 0.3 / (1.0 + max(age_days, 0.0) / 30.0) + 0.2 * pinned)


def _within(limit: int, counted: Sequence[tuple[int, str]]) -> Sequence[tuple[int, str]]:
    """As many of the first (rows, token) pairs as have no more than `limit` rows together."""
    totals = list(accumulate(count for count, _ in counted))
    return counted[: bisect_right(totals, limit)]


def pooled(ranked: Sequence[Match], observations: int) -> float:
    """An entity's score from those of its observations, best first."""
    if not ranked:
        return 0.0
    best = ranked[0].score
    if observations < MANY:
        return best
    second = max(ranked[1].score if len(ranked) > 1 else 0.0, best / 2)
    return best + SECOND * (second - best)


class _Head(NamedTuple):
    """What an entity's title gives: times by number of the term, their worth, whether it or all of it was named."""

    times: Mapping[int, float]
    worth: float
    named: bool
    called: bool
    reasons: tuple[Reason, ...]


_NO_HEAD: Final = _Head({}, 0.0, False, False, ())

_Met = list[tuple[int, tuple[int, int, int]]]
"""Numbers and counts of the terms a line has."""

_Heard = tuple[int, float, _Met]
"""Of a line that has terms: its place in the strip, by what its length divides, and the terms."""


def _best_first(match: Match) -> tuple[float, int]:
    return -match.score, match.position


def _highest_first(found: Found) -> tuple[float, int]:
    return -found.score, -found.entity


def _worth(gains: Sequence[float], times: Mapping[int, float]) -> float:
    """BM25's sum over the terms, each met so many times; `gains` are their weights, times k1 + 1."""
    total = 0.0
    for number, value in times.items():
        total += gains[number] * value / (value + SATURATION)
    return total


def _met(numbers: Mapping[str, int], counts: Mapping[str, tuple[int, int, int]]) -> _Met:
    """Numbers and counts of the terms that a line with these counts has."""
    if not counts:
        return []
    if len(counts) < len(numbers):
        return [(numbers[token], count) for token, count in counts.items() if token in numbers]
    return [(number, counts[token]) for token, number in numbers.items() if token in counts]


def _head(
    terms: Sequence[Term], numbers: Mapping[str, int], gains: Sequence[float], title: Title, explain: bool
) -> _Head:
    """What an entity's title gives to each of its observations."""
    called = bool(title.full_name) and title.full_name <= numbers.keys()
    named = called
    times: dict[int, float] = {}
    reasons: list[Reason] = []
    for where, tokens, share in (("name", title.name, IN_NAME), ("type", title.type, IN_TYPE)):
        for token, number in numbers.items():
            if token in tokens:
                often = share * tokens[token]
                times[number] = times.get(number, 0.0) + often
                named = named or (where == "name" and terms[number].is_name)
                if explain:
                    reasons.append(Reason(token, where, often))
    return _Head(times, _worth(gains, times), named, called, tuple(reasons))


def _heard(
    places: Sequence[Place], met: Sequence[_Met], whole: dict[int, float], average: float
) -> list[_Heard | None]:
    """What each place of a strip gives itself and its neighbours, None where it has no term; adds all to `whole`."""
    heard: list[_Heard | None] = []
    for at, found in enumerate(met):
        if not found:
            heard.append(None)
            continue
        heard.append((at, 1.0 - LENGTH + LENGTH * places[at].line.length / average, found))
        for number, (_, stated, asked) in found:
            whole[number] = whole.get(number, 0.0) + (stated + asked)
    return heard


def _times(heard: Sequence[_Heard | None], at: int) -> dict[int, float]:
    """How often the place `at` of a strip has each term: its own, and what its neighbours give it."""
    # Written out place by place: these few lines are what most of a ranking's time goes into.
    times: dict[int, float] = {}
    for each in heard[at - REACH if at > REACH else 0 : at + REACH + 1]:
        if each is None:
            continue
        near, norm, found = each
        for number, (who, stated, asked) in found:
            if near == at:
                times[number] = times.get(number, 0.0) + (stated + asked * ASKED) / norm + IN_WHO * who
            elif stated or asked:
                if near > at:
                    given = (stated + asked) / norm * AFTER[near - at - 1]
                elif near == at - 1:
                    given = (stated * BEFORE[0] + asked * ASKED_BEFORE) / norm
                else:
                    given = (stated + asked) / norm * BEFORE[1]
                times[number] = times.get(number, 0.0) + given
    return times


def _reasons(terms: Sequence[Term], heard: Sequence[_Heard | None], at: int) -> tuple[Reason, ...]:
    """Why the line at one place of a strip matched: what `_times` counts there."""
    reasons: list[Reason] = []
    for near in range(max(0, at - REACH), min(len(heard), at + REACH + 1)):
        each = heard[near]
        if each is None:
            continue
        given = _times([*[None] * near, each], at)
        for number, (who, stated, _) in each[2]:
            if times := given.get(number):
                where = ("before" if near < at else "after") if near != at else _column(who, stated)
                reasons.append(Reason(terms[number].token, where, times))
    return tuple(reasons)


def _column(who: int, stated: int) -> str:
    return "who" if who else "text" if stated else "question"
