"""The ranking of a lexical search: which terms to look up, and how much each observation and entity found is worth.

An index finds a few dozen observations quickly but judges each by its own words alone. Here they are judged again, together
with the observations around them: what is said in reply to a question seldom repeats the question's words. The way of
a search is: count each term's rows (`Count`), weigh the terms (`weigh`), choose those to look up (`choose_terms`), let the
index give its best CANDIDATES rows, read these and the REACH observations on either side of each (`read_line`, worth
keeping), lay them out as strips, and score those (`score`).

Above it lie the search operation and the index, below it `rules.text`. Numbers were chosen on recorded
conversations, preferring the middle of wide plateaus; none changes a result by more than a point when moved by a quarter.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from enhanced_memory.rules.text import analyse, analyse_parts, observe

CANDIDATES: Final = 50
"""Rows to take from the index; more made nothing better."""

REACH: Final = 2
"""Observations on either side of a candidate that are scored with it."""

COMMON: Final = 0.2
"""Share of all rows above which a term is too common to be looked up, unless all terms are."""

LOOKED_UP: Final = 3_000
"""Rows an index may be made to score for one search; it takes some 2 microseconds for each."""

SATURATION: Final = 1.0
LENGTH: Final = 0.4
"""BM25's k1 and b."""

BEFORE: Final = (0.5, 0.3)
AFTER: Final = (0.4, 0.2)
"""How much a word counts for the observations one and two places after and before the one that holds it."""

ASKED: Final = 0.4
"""How much a word of a question counts for the observation that asks it."""

ASKED_BEFORE: Final = 1.0
"""How much a word of a question counts for the observation that follows, the likely answer."""

IN_WHO: Final = 4.0
IN_NAME: Final = 2.0
IN_TYPE: Final = 0.5
"""How much a word counts in the speaker or subject, the entity's name, its type; 1.0 is a statement."""

NAME_IN_TEXT: Final = 0.25
"""How much a name counts where it is only mentioned. A name is a term found as speaker or subject in half its rows or more."""

NAMED: Final = 0.3
WHOLE: Final = 0.15
SECOND: Final = 0.25
"""Shares of the best score: for being about someone named in the query; for the best session or entity as a whole; and the share
of an entity's second best observation in its score, where it has at least MANY."""

MANY: Final = 5

TIES: Final = 0.05
"""Most that relevance, recency and pins add together, as a share of the best score."""

_QUESTION: Final = re.compile(r"[^.!?。！？\n]*[?？](?=[\s\"'”’)\]]|$|[^\x00-\x7f])")


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
    """Terms to look up: rows must have one of `needed`, and rank by these and the `helpful`.

    `needed` is empty where every term is in too many rows: then the newest rows are to be taken that have all of `helpful`.
    """

    needed: tuple[str, ...]
    helpful: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Line:
    """One observation as the ranking sees it.

    counts: token -> times in the speaker or subject, in statements, in questions. length: tokens of the text. said: it has a
    speaker's label.
    """

    counts: Mapping[str, tuple[int, int, int]]
    length: int
    said: bool


@dataclass(frozen=True, slots=True)
class Place:
    """An observation's place: its entity's key in the store, its index there, and its line."""

    entity: int
    index: int
    line: Line


@dataclass(frozen=True, slots=True)
class Strip:
    """Observations that follow one another, of one entity or one session; `whole` names that session or entity.

    A strip holds candidates and what lies within REACH of them; what is further away is in another strip or in none.
    """

    whole: object
    places: Sequence[Place]


@dataclass(frozen=True, slots=True)
class Title:
    """What an entity is called: times each token is in its name and its type, those of the name that a query naming
    it must have, and how many observations it has."""

    name: Mapping[str, int]
    type: Mapping[str, int]
    full_name: frozenset[str]
    observations: int


@dataclass(frozen=True, slots=True)
class Reason:
    """Part of a match: `times` a token was met in `field` (who, text, question, name, type, before, after), as counted."""

    token: str
    field: str
    times: float


@dataclass(frozen=True, slots=True)
class Match:
    """An observation's score, the best text being 1.0, and what it is made of: text + named + whole."""

    index: int
    score: float
    text: float
    named: float
    whole: float
    reasons: tuple[Reason, ...] = ()


@dataclass(frozen=True, slots=True)
class Found:
    """An entity's score and its matches, best first; an entity found by its name alone may have none."""

    entity: int
    score: float
    matches: tuple[Match, ...]


@dataclass(slots=True)
class _Sum:
    """What one observation has gathered: frequency by term number, whether someone named, a word of its own, reasons."""

    frequencies: dict[int, float] = field(default_factory=dict)
    named: bool = False
    own: bool = False
    reasons: list[Reason] = field(default_factory=list)

    def count(self, number: int, times: float) -> None:
        self.frequencies[number] = self.frequencies.get(number, 0.0) + times

    def add(self, title: _Sum) -> None:
        for number, times in title.frequencies.items():
            self.count(number, times)
        self.named = self.named or title.named
        self.reasons += title.reasons


def read_line(observation: str) -> Line:
    """An observation as the ranking sees it."""
    seen = observe(observation)
    asked: list[str] = []
    stated = seen.text
    if "?" in stated or "\uff1f" in stated:
        for question in _QUESTION.findall(stated):
            asked += analyse(question)
        stated = _QUESTION.sub(" ", stated)
    counts: dict[str, tuple[int, int, int]] = {}
    said = analyse(stated)
    for column, tokens in enumerate((seen.who, said, asked)):
        for token in tokens:
            who, state, ask = counts.get(token, (0, 0, 0))
            counts[token] = (who + (column == 0), state + (column == 1), ask + (column == 2))
    return Line(counts, len(said) + len(asked), seen.said)


def read_title(name: str, entity_type: str, observations: int) -> Title:
    """An entity's title from its name, its type and the number of its observations."""
    return Title(Counter(analyse(name)), Counter(analyse(entity_type)), frozenset(analyse_parts(name)), observations)


def weigh(tokens: Iterable[str], counts: Mapping[str, Count], rows: int) -> list[Term]:
    """The terms of a query that the index knows, in the order given; `rows` is how many rows the index has.

    Source of the weight: BM25's inverse document frequency, with one added inside the logarithm so that it stays above 0.
    """
    terms: list[Term] = []
    for token in dict.fromkeys(tokens):
        count = counts.get(token)
        if count and count.rows:
            weight = math.log1p((max(rows, count.rows) - count.rows + 0.5) / (count.rows + 0.5))
            terms.append(Term(token, weight, 2 * count.who >= count.rows))
    return terms


def choose_terms(counts: Mapping[str, Count], rows: int) -> Chosen:
    """Which of the terms to look up, so that an index scores few rows and yet those with the rarest terms.

    Terms in more than COMMON of the rows are left out while others remain. The rarest are needed as far as LOOKED_UP goes; the
    others help to rank.
    """
    known = sorted((count.rows, token) for token, count in counts.items() if count.rows)
    telling = [(times, token) for times, token in known if times <= COMMON * rows] or known
    needed: list[str] = []
    left = LOOKED_UP
    for times, token in telling:
        left -= times
        if left < 0:
            break
        needed.append(token)
    return Chosen(tuple(needed), tuple(token for _, token in telling[len(needed) :]))


def score(
    terms: Sequence[Term], strips: Sequence[Strip], titles: Mapping[int, Title], *, explain: bool = False
) -> list[Found]:
    """The entities of `titles`, best first, those without a match left out; with `explain`, matches carry their reasons.

    An observation's score is BM25 over the words of its fields and, weighed down, of the observations around it; then come what
    it earns for being about someone named in the query, and for the session or entity it is part of. An observation
    that nobody said, and that has no word of the query, does not match through its neighbours alone. `titles` has
    the entity of each place, and may have more.
    """
    numbers = {term.token: number for number, term in enumerate(terms)}
    about = {key: _title_sum(terms, numbers, title, explain) for key, title in titles.items()}
    lengths = [place.line.length for strip in strips for place in strip.places]
    average = sum(lengths) / len(lengths) if any(lengths) else 1.0
    wholes: dict[object, dict[int, float]] = {}
    texts: dict[tuple[int, int], tuple[float, _Sum, object]] = {}
    for strip in strips:
        met = [_met(numbers, place.line) for place in strip.places]
        total = wholes.setdefault(strip.whole, {})
        for each in met:
            for number, (_, stated, asked) in each:
                if not terms[number].is_name:
                    total[number] = total.get(number, 0.0) + stated + asked
        for at, place in enumerate(strip.places):
            gathered = _line_sum(terms, strip.places, met, at, average, explain)
            title = about[place.entity]
            if gathered.frequencies and (gathered.own or title.own or place.line.said):
                gathered.add(title)
                texts[place.entity, place.index] = (_saturated(terms, gathered.frequencies), gathered, strip.whole)
    alone = {key: _saturated(terms, gathered.frequencies) for key, gathered in about.items()}
    best = max([worth for worth, _, _ in texts.values()] + list(alone.values()), default=0.0) or 1.0
    whole_worth = {whole: _saturated(terms, total) for whole, total in wholes.items()}
    best_whole = max(whole_worth.values(), default=0.0) or 1.0
    matches: dict[int, list[Match]] = {}
    for (entity, index), (worth, gathered, whole) in texts.items():
        parts = (worth / best, NAMED * gathered.named, WHOLE * whole_worth[whole] / best_whole)
        matches.setdefault(entity, []).append(Match(index, sum(parts), *parts, tuple(gathered.reasons)))
    found: list[Found] = []
    for key, named in titles.items():
        ordered = sorted(matches.get(key, ()), key=lambda match: (-match.score, match.index))
        if ordered:
            value = ordered[0].score
            if named.observations >= MANY:
                value += SECOND * ((ordered[1].score if len(ordered) > 1 else 0.0) - value)
            found.append(Found(key, value, tuple(ordered)))
        elif alone[key]:
            found.append(Found(key, alone[key] / best + NAMED * about[key].named, ()))
    found.sort(key=lambda each: (-each.score, -each.entity))
    return found


def tie_break(relevance: float, age_days: float, pinned: bool) -> float:
    """What an entity gains over equals for its relevance (0..1), its youth and a pin: 0.0 to TIES, to be added to its score."""
    return TIES * (0.5 * relevance + 0.3 / (1.0 + max(age_days, 0.0) / 30.0) + 0.2 * pinned)


def _met(numbers: Mapping[str, int], line: Line) -> list[tuple[int, tuple[int, int, int]]]:
    """Numbers and counts of the terms a line has."""
    counts = line.counts
    return [(number, counts[token]) for token, number in numbers.items() if token in counts]


def _title_sum(terms: Sequence[Term], numbers: Mapping[str, int], title: Title, explain: bool) -> _Sum:
    """What an entity's title adds to each of its observations."""
    gathered = _Sum(named=bool(title.full_name) and all(token in numbers for token in title.full_name))
    for column, tokens, share in (("name", title.name, IN_NAME), ("type", title.type, IN_TYPE)):
        for token, number in numbers.items():
            if token in tokens:
                gathered.own = True
                gathered.named = gathered.named or (terms[number].is_name and column == "name")
                gathered.count(number, share * tokens[token])
                if explain:
                    gathered.reasons.append(Reason(token, column, share * tokens[token]))
    return gathered


def _line_sum(
    terms: Sequence[Term],
    places: Sequence[Place],
    met: Sequence[list[tuple[int, tuple[int, int, int]]]],
    at: int,
    average: float,
    explain: bool,
) -> _Sum:
    """What the observation at one place of a strip gathers from itself and from its neighbours."""
    gathered = _Sum()
    for where in range(max(0, at - REACH), min(len(places), at + REACH + 1)):
        if not met[where]:
            continue
        distance = at - where
        norm = 1.0 / (1.0 - LENGTH + LENGTH * places[where].line.length / average)
        if distance == 0:
            in_statement, in_question = norm, ASKED * norm
        elif distance > 0:
            in_statement = BEFORE[distance - 1] * norm
            in_question = ASKED_BEFORE * norm if distance == 1 else in_statement
        else:
            in_statement = in_question = AFTER[-distance - 1] * norm
        for number, (who, stated, asked) in met[where]:
            times = stated * in_statement + asked * in_question
            if terms[number].is_name:
                times *= NAME_IN_TEXT
            if distance == 0:
                gathered.own = True
                if who:
                    gathered.named = gathered.named or terms[number].is_name
                    times += IN_WHO * who
            if times:
                gathered.count(number, times)
                if explain:
                    gathered.reasons.append(Reason(terms[number].token, _column(distance, who, stated), times))
    return gathered


def _column(distance: int, who: int, stated: int) -> str:
    """Where a word was met, in a word: the most telling place when there are several."""
    if distance:
        return "before" if distance > 0 else "after"
    return "who" if who else "text" if stated else "question"


def _saturated(terms: Sequence[Term], frequencies: Mapping[int, float]) -> float:
    return sum(
        terms[number].weight * times * (SATURATION + 1) / (times + SATURATION) for number, times in frequencies.items()
    )
