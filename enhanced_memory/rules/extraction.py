"""Facts in conversations: which sentences are worth remembering, of what kind they are, and how sure that is.

Above it lies the extraction operation; below it `rules.sentences`, which finds the sentences, `rules.words`, the word
classes, and `rules.kinds`, the phrases. A sentence earns points for what statements of fact have in common (people
speak of themselves, with a verb of doing, a time, a name, words not met before; a standing rule, a need, a decision)
and loses some for what the talk around facts has in common (advice, hypotheses, trouble of the moment). Questions are
no facts. `tests/quality/extraction.py` measures what that is worth.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, NamedTuple

from enhanced_memory.rules import words
from enhanced_memory.rules.kinds import STRONG, WEAK, Kind, is_negated, kind_of
from enhanced_memory.rules.sentences import Sentence, split_sentences
from enhanced_memory.rules.text import STOP_WORDS
from enhanced_memory.rules.transcript import ASSISTANTS, USERS

THRESHOLD: Final = 0.5
"""Confidence from which a sentence is a fact, unless the caller says otherwise."""

_ENOUGH: Final = 3.5
"""Points that make a confidence of one half; each point more multiplies the odds by e."""

# The points were set by hand, in steps of a half or a quarter, watching the score on recorded conversations; in nearly
# all variants that were tried, moving one of them kept F1 within about 0.02.
_PERSONAL: Final = 2.0  # "I", "we" and a verb of doing or being
_FELT: Final = 0.5  # "I", "we" and a verb of thinking, wishing or politeness
_OWN: Final = 1.0  # "my", "our"
_HAPPENED: Final = 0.5  # a personal verb in the past
_TIME: Final = 0.5  # each mark of time, two at most
_SPECIFIC: Final = 0.5  # each name or number, two at most
_NEW: Final = 0.25  # each word of content not met before in the conversation, six at most
_ANSWER: Final = 2.0  # said right after another's question
_DIRECT: Final = 1.0  # the bare answer to a question for a thing: "Postgres 15."
_STATED: Final = 1.0  # what something is or does; twice with a name or number
_FURTHER: Final = -2.0  # every sentence but the best of what somebody tells others in one go
_DOUBT: Final = -1.5
_ADVICE: Final = -2.0  # begins with "you"
_ADDRESS: Final = -0.5  # speaks to "you" at all
_TASK: Final = -2.0  # "I want you to": for now, not for good
_POINTING: Final = -1.0  # begins with "that", "it", "there"
_PROPOSAL: Final = -1.5  # "let us", unless a decision
_TROUBLE: Final = -1.5  # what goes wrong at the moment
_LOCAL: Final = -1.5  # of this line, that button
_EMPTY: Final = -1.0  # nothing but pronouns, auxiliaries and praise
_ASSISTANT: Final = -4.0  # an assistant speaks: only what was plainly decided remains

_DIRECT_ANSWER: Final = 12
"""Longest bare answer to a question, in words."""

_QUESTION: Final = re.compile(
    r"(?:how|what|when|where|which|who|whose|why) (?:about|am|are|can|could|did|do|does|else|if|is|likely|long|many"
    r"|much|should|the|was|were|will|would|wrote)\b"
    r"|(?:am|are|can|could|did|do|does|has|have|is|may|should|was|were|will|would)"
    r" (?:anyone|he|i|it|my|she|that|the|there|they|this|we|you|your)\b"
)
_ENDS: Final = ".!\u2026 "
_CLOSERS: Final = "\"'\u201d\u2019)*_ "
_POLITE_RULE: Final = re.compile(r"(?:can|could|will|would) you (?:\w+ ){0,2}?(?:always|never|from now on)\b")
_ASKS_FOR_A_THING: Final = re.compile(r"\b(?:how|or|what|when|where|which|who)\b", re.IGNORECASE)
_ASKED_OF_AN_ASSISTANT: Final = re.compile(r"\b(?:like|need|want) you to\b")
_IT_MUST: Final = re.compile(r"it (?:has to|must|needs to) (?:always |never |not )?(?!be\b|have\b)\w")
_STATE: Final = re.compile(
    r"(?:\w+ ){1,5}?(?:are|belongs?|costs?|depends?|ends?|expects?|go(?:es)?|handles?|happens?|has|is|lives?|needs?"
    r"|owns?|requires?|runs?|starts?|stores?|supports?|talks?|uses?|works?)\b"
)


@dataclass(frozen=True, slots=True)
class Fact:
    """Something worth remembering.

    text: the sentence as said, after its date and speaker where the conversation tells them, and before the question
    where it is the bare answer to one. line: the line it begins in, from 1. span: where the sentence starts and ends
    in the conversation, in characters. negated: whether it denies or forbids. confidence: 0..1. speaker: as the
    conversation writes it, None where it does not. subject: whom it is about: the speaker, or "user" where nobody is
    named.
    """

    text: str
    line: int
    span: tuple[int, int]
    kind: Kind
    negated: bool
    confidence: float
    speaker: str | None
    subject: str


@dataclass(slots=True)
class _Statement:
    """A sentence that is no question, with its points. `standing`: a rule, need, decision or preference in plain
    words."""

    sentence: Sentence
    said: str
    kind: Kind
    points: float
    standing: bool
    answers: str = ""


class _Reading(NamedTuple):
    """A sentence in plain form, without what opens it. `specific` counts its names, numbers and names of programs."""

    sentence: Sentence
    tokens: list[str]
    said: str
    every: frozenset[str]
    specific: int
    opened: bool


class _FirstPerson(NamedTuple):
    """What "I" and "we" do in a sentence."""

    acts: bool = False
    feels: bool = False
    past: bool = False


def extract(text: str, *, threshold: float = THRESHOLD) -> list[Fact]:
    """The facts a conversation states with at least this confidence (0..1), in order, each once.

    Takes time linear in the text; never raises. Nothing between <private> tags is read.
    """
    facts: list[Fact] = []
    told: set[tuple[str | None, str]] = set()
    for statement in _statements(text, _points_of(threshold)):
        confidence = 1 / (1 + math.exp(_ENOUGH - statement.points))
        if confidence < threshold:
            continue
        sentence = statement.sentence
        key = (sentence.speaker, sentence.text.lower().rstrip(_ENDS))
        if key in told:
            continue
        told.add(key)
        facts.append(
            Fact(
                text=_observation(statement),
                line=sentence.line,
                span=(sentence.start, sentence.end),
                kind=statement.kind,
                negated=is_negated(statement.said),
                confidence=round(confidence, 2),
                speaker=sentence.speaker,
                subject=sentence.speaker or "user",
            )
        )
    return facts


def _points_of(confidence: float) -> float:
    """The points that make a confidence (0..1), less a trifle for what floats lose."""
    if not 0 < confidence < 1:
        return -math.inf if confidence <= 0 else _ENOUGH
    return _ENOUGH - math.log(1 / confidence - 1) - 1e-6


def _observation(statement: _Statement) -> str:
    sentence = statement.sentence
    parts = [sentence.date, sentence.speaker and f"{sentence.speaker}:", sentence.text]
    if statement.answers:
        parts.append(f"(asked: {statement.answers})")
    return " ".join(part for part in parts if part)


def _statements(text: str, least: float) -> Iterator[_Statement]:
    """Every sentence that is no question, in order, with its points; those that cannot reach `least` are left out."""
    sentences = split_sentences(text)
    names = _names({sentence.speaker for sentence in sentences if sentence.speaker})
    known: set[str] = set()
    met: dict[tuple[str | None, str], bool] = {}
    utterance: list[_Statement] = []
    number = -1
    asked = asking = ""
    first = True
    for sentence in sentences:
        if sentence.utterance != number:
            yield from _weighed(utterance)
            utterance = []
            number = sentence.utterance
            asked, asking, first = asking, "", True
        if " " not in sentence.text and not asked and sentence.text.isascii():
            known.add(sentence.text.lower())  # one word says nothing: a name, a sum, a line of base64
            continue
        said = (sentence.speaker, sentence.text)
        if said in met and not asked:  # said before, and nothing in it is new
            asking = sentence.text if met[said] else asking
            first = first and met[said]
            continue
        reading = _read(sentence, names)
        content = reading.every - STOP_WORDS - words.PRAISE
        met[said] = _is_question(reading)
        if met[said]:
            asking = sentence.text
        elif reading.tokens:
            statement = _judge(reading, content, len(content - known), asked, least, first=first)
            if statement is not None:
                utterance.append(statement)
            first = False
        known |= content
    yield from _weighed(utterance)


def _names(speakers: set[str]) -> frozenset[str]:
    """The words of the speakers' names and what they may be shortened to, in small letters."""
    names = {name.lower() for speaker in speakers for name in speaker.split()} - USERS - ASSISTANTS
    return frozenset(name[:length] for name in names for length in range(min(3, len(name)), len(name) + 1))


def _weighed(utterance: list[_Statement]) -> list[_Statement]:
    """What somebody says in one go, all but the best having become less telling.

    Plain rules, needs, decisions and preferences keep their points, and so does what a user tells an assistant:
    people tell each other stories, but an assistant what it is to know.
    """
    others = [
        each for each in utterance if not each.standing and (each.sentence.speaker or "user").lower() not in USERS
    ]
    best = max(others, key=lambda each: each.points, default=None)
    for each in others:
        if each is not best:
            each.points += _FURTHER
    return utterance


def _read(sentence: Sentence, names: frozenset[str]) -> _Reading:
    tokens: list[str] = []
    specific = 0
    written = words.WORD.findall(sentence.text)
    if words.are_plain(sentence.text, written):
        tokens = written
    else:
        for place, word in enumerate(written):
            now = (word,) if place and word in words.MONTHS_AND_VERBS else words.plain(word)
            tokens += now
            if place and word[0].isupper() and now[0] != "i" and now[0] not in names and now[0] not in words.CALENDAR:
                specific += 1
    start = 0
    while start < len(tokens) and (tokens[start] in words.OPENERS or tokens[start] in names):
        start += 1
    tokens = tokens[start:]
    said = " ".join(tokens)
    every = frozenset(tokens)
    specific += len(words.CODE_SIGN.findall(sentence.text))
    specific += words.DIGIT.search(said) is not None or not every.isdisjoint(words.NUMBERS)
    return _Reading(sentence, tokens, said, every, specific, start > 0)


def _is_question(reading: _Reading) -> bool:
    """Whether a sentence asks; a standing rule put as a polite question does not."""
    asks = reading.sentence.text.rstrip(_CLOSERS).endswith(("?", "\uff1f")) or _QUESTION.match(reading.said)
    return bool(asks) and not _POLITE_RULE.match(reading.said)


def _judge(
    reading: _Reading, content: frozenset[str], new: int, asked: str, least: float, *, first: bool
) -> _Statement | None:
    """A sentence with its kind and points, as it stands alone; None where it is told early that it has fewer than
    `least`.

    `new` of the words of its `content` were not met before. `asked` is the question put to the speaker just before,
    or "".
    """
    tokens, every = reading.tokens, reading.every
    person = _first_person(tokens) if "i" in every or "we" in every else _FirstPerson()
    kind, points = kind_of(reading.said, every)
    strong = points == STRONG
    rule = strong and kind == "rule"
    doubtful = not every.isdisjoint(words.HYPOTHETICAL) and not rule and kind != "preference"
    if doubtful and kind in ("decision", "requirement", "plan"):
        points = 0.0
    times = len(every & words.TIMES)
    if person.acts:
        points += _PERSONAL + (_HAPPENED if person.past else WEAK if kind is None else 0)
    elif person.feels:
        points += _FELT
    if not every.isdisjoint(words.OWN):
        points += _OWN
    points += _TIME * min(times, 2) + _SPECIFIC * min(reading.specific, 2) + _NEW * min(new, 6)
    answers = ""
    if asked:
        points += _ANSWER
        bare = first and kind is None and not person.acts and not reading.opened and len(tokens) <= _DIRECT_ANSWER
        if bare and content and _ASKS_FOR_A_THING.search(asked):
            points += _DIRECT
            answers = asked
    if not person.acts and not strong and _STATE.match(reading.said):
        points += _STATED * (2 if reading.specific else 1)
    if points < least:
        return None  # from here on, points are only lost
    points += _talk(reading, kind, acts=person.acts, rule=rule)
    if doubtful:
        points += _DOUBT
    if not content:
        points += _EMPTY
    if not strong and kind != "preference" and not times and not every.isdisjoint(words.TROUBLE):
        points += _TROUBLE
    if not person.acts and not every.isdisjoint(words.LOCAL):
        points += _LOCAL
    standing = strong and kind in ("rule", "decision", "preference", "requirement")
    past = person.past or not every.isdisjoint(words.PAST_TIMES)
    kind = kind or ("event" if past else "identity")
    return _Statement(reading.sentence, reading.said, kind, points, standing, answers)


def _talk(reading: _Reading, kind: Kind | None, *, acts: bool, rule: bool) -> float:
    """Points lost by being advice, a task, a pointing remark, a proposal, or an assistant's word."""
    points = 0.0
    head = reading.tokens[0]
    if not rule:
        points += (
            _ADVICE if head in words.SECOND else _ADDRESS * (not reading.every.isdisjoint(words.SECOND))
        ) + _TASK * bool(_ASKED_OF_AN_ASSISTANT.search(reading.said))
    to_assistant = (reading.sentence.speaker or "user").lower() in USERS
    if head in words.POINTING and not acts and not (to_assistant and _IT_MUST.match(reading.said)):
        points += _POINTING
    if head == "let" and kind != "decision":
        points += _PROPOSAL
    if reading.sentence.speaker and not ASSISTANTS.isdisjoint(reading.sentence.speaker.lower().split()):
        points += _ASSISTANT
    return points


def _first_person(tokens: list[str]) -> _FirstPerson:
    acts = feels = past = False
    for place, token in enumerate(tokens):
        if token not in ("i", "we"):
            continue
        rest = [word for word in tokens[place + 1 : place + 8] if word not in words.BEFORE_VERB]
        verb, after = (*rest, "", "")[:2]
        past = past or verb == "had" or "did" in tokens[place + 1 : place + 3] or words.is_past(verb)
        if verb in ("had", "have", "has") and words.is_participle(after):
            past = True
            verb = after
        if verb in ("am", "are", "was", "were"):
            acts = acts or after not in words.FEELINGS
            feels = True
        elif verb in words.MENTAL:
            feels = True
        else:
            acts = True
    return _FirstPerson(acts, feels, past)
