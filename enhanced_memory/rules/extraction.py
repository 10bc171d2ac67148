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
from enhanced_memory.rules.sentences import Sentence, read_sentences
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
_STATES: Final = words.word_set(
    """are belong belongs cost costs depend depends end ends expect expects go goes handle handles happen happens has is
    live lives need needs own owns require requires run runs start starts store stores support supports talk talks use
    uses work works"""
)
_STATE: Final = re.compile(rf"(?:\w+ ){{1,5}}?(?:{'|'.join(sorted(_STATES))})\b")
_ASKING: Final = words.word_set(
    """am are can could did do does had has have how is may should was were what when where which who whose why
    will would"""
)
"""How all that _QUESTION matches begins."""

_EMPTY_WORDS: Final = STOP_WORDS | words.PRAISE
"""Words that tell nothing new."""


class Fact(NamedTuple):
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
    kind: Kind
    points: float
    negated: bool
    standing: bool
    answers: str = ""


class _Reading(NamedTuple):
    """A sentence in plain form, without what opens it. `specific` counts its names, numbers and names of programs."""

    tokens: list[str]
    said: str
    every: frozenset[str]
    specific: int
    opened: bool


class _Speaker(NamedTuple):
    """Whether somebody speaks to an assistant, and whether it is an assistant that speaks."""

    to_assistant: bool
    is_assistant: bool


class _Forms(dict[str, tuple[tuple[str, ...], bool]]):
    """What a word is in plain form where it does not begin a sentence, and whether it is a name of any kind.

    Filled as words are asked for; numbers are not kept, as there is no end of them.
    """

    def __init__(self, names: frozenset[str]) -> None:
        super().__init__()
        self._names = names

    def __missing__(self, word: str) -> tuple[tuple[str, ...], bool]:
        now = (word,) if word in words.MONTHS_AND_VERBS else words.plain(word)
        is_name = word[0].isupper() and now[0] != "i" and now[0] not in self._names and now[0] not in words.CALENDAR
        if not word[0].isdigit():
            self[word] = now, is_name
        return now, is_name


class _FirstPerson(NamedTuple):
    """What "I" and "we" do in a sentence."""

    acts: bool = False
    feels: bool = False
    past: bool = False


_NOBODY: Final = _FirstPerson()


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
        speaker = sentence.speaker
        key = (speaker, sentence.text.lower().rstrip(_ENDS))
        if key in told:
            continue
        told.add(key)
        facts.append(
            Fact(
                _observation(statement),
                sentence.line,
                (sentence.start, sentence.end),
                statement.kind,
                statement.negated,
                round(confidence, 2),
                speaker,
                speaker or "user",
            )
        )
    return facts


def _points_of(confidence: float) -> float:
    """The points that make a confidence (0..1), less a trifle for what floats lose."""
    if not 0 < confidence < 1:
        return -math.inf if confidence <= 0 else _ENOUGH
    return _ENOUGH - math.log(1 / confidence - 1) - 1e-6


def _observation(statement: _Statement) -> str:
    text, _, _, _, speaker, date, _ = statement.sentence
    if speaker:
        text = f"{speaker}: {text}"
    if date:
        text = f"{date} {text}"
    return f"{text} (asked: {statement.answers})" if statement.answers else text


def _statements(text: str, least: float) -> Iterator[_Statement]:
    """Every sentence that is no question, in order, with its points; those that cannot reach `least` are left out."""
    speakers, sentences = read_sentences(text)
    traits = {speaker: _traits(speaker) for speaker in speakers}
    names = _names({speaker for speaker in speakers if speaker})
    openers = words.OPENERS | names
    forms = _Forms(names)
    known = set(_EMPTY_WORDS)
    met: dict[tuple[str | None, str], bool] = {}
    utterance: list[_Statement] = []
    number = -1
    asked = asking = ""
    first = True
    who = _traits(None)
    for sentence in sentences:
        said = sentence.text
        if sentence.utterance != number:
            yield from _weighed(utterance)
            utterance = []
            number = sentence.utterance
            who = traits[sentence.speaker]
            asked, asking, first = asking, "", True
        if not asked:
            if " " not in said and said.isascii():
                known.add(said.lower())  # one word says nothing: a name, a sum, a line of base64
                continue
            was_question = met.get((sentence.speaker, said))
            if was_question is not None:  # said before, and nothing in it is new
                asking = said if was_question else asking
                first = first and was_question
                continue
        reading = _read(said, forms, openers)
        new = len(reading.every - known)
        if new:
            known |= reading.every
        met[sentence.speaker, said] = is_question = _is_question(said, reading)
        if is_question:
            asking = said
        elif reading.tokens:
            statement = _judge(sentence, reading, who, new, asked, least, first=first)
            if statement is not None and who.to_assistant:
                yield statement  # nothing else that is said weighs it
            elif statement is not None:
                utterance.append(statement)
            first = False
    yield from _weighed(utterance)


def _traits(speaker: str | None) -> _Speaker:
    said = (speaker or "user").lower()
    return _Speaker(said in USERS, bool(speaker) and not ASSISTANTS.isdisjoint(said.split()))


def _names(speakers: set[str]) -> frozenset[str]:
    """The words of the speakers' names and what they may be shortened to, in small letters."""
    names = {name.lower() for speaker in speakers for name in speaker.split()} - USERS - ASSISTANTS
    return frozenset(name[:length] for name in names for length in range(min(3, len(name)), len(name) + 1))


def _weighed(utterance: list[_Statement]) -> list[_Statement]:
    """What somebody says to others in one go, all but the best having become less telling.

    Plain rules, needs, decisions and preferences keep their points. What a user tells an assistant does not come here:
    people tell each other stories, but an assistant what it is to know.
    """
    if len(utterance) > 1:
        others = [each for each in utterance if not each.standing]
        best = max(others, key=lambda each: each.points, default=None)
        for each in others:
            if each is not best:
                each.points += _FURTHER
    return utterance


def _read(text: str, forms: _Forms, openers: frozenset[str]) -> _Reading:
    """A sentence in plain form. `openers` are the words that say nothing at its beginning."""
    tokens: list[str] = []
    specific = 0
    written = words.WORD.findall(text)
    if written:
        tokens += words.plain(written[0])
        for word in written[1:]:
            now, is_name = forms[word]
            tokens += now
            specific += is_name
    start = 0
    while start < len(tokens) and tokens[start] in openers:
        start += 1
    if start:
        tokens = tokens[start:]
    said = " ".join(tokens)
    every = frozenset(tokens)
    specific += len(words.CODE_SIGN.findall(text))
    specific += words.DIGIT.search(said) is not None or not every.isdisjoint(words.NUMBERS)
    return _Reading(tokens, said, every, specific, start > 0)


def _is_question(text: str, reading: _Reading) -> bool:
    """Whether a sentence asks; a standing rule put as a polite question does not."""
    tokens = reading.tokens
    asks = ("?" in text or "\uff1f" in text) and text.rstrip(_CLOSERS).endswith(("?", "\uff1f"))
    if not asks and tokens and tokens[0] in _ASKING:
        asks = _QUESTION.match(reading.said) is not None
    return asks and not _POLITE_RULE.match(reading.said)


def _judge(
    sentence: Sentence, reading: _Reading, who: _Speaker, new: int, asked: str, least: float, *, first: bool
) -> _Statement | None:
    """A sentence with its kind and points, as it stands alone; None where it is told early that it has fewer than
    `least`.

    `new` of its words of content were not met before. `asked` is the question put to the speaker just before, or "".
    """
    tokens, said, every, specific, opened = reading
    person = _first_person(tokens) if "i" in every or "we" in every else _NOBODY
    kind, points = kind_of(said, every)
    strong = points == STRONG
    rule = strong and kind == "rule"
    doubtful = not every.isdisjoint(words.HYPOTHETICAL) and not rule and kind != "preference"
    if doubtful and kind in ("decision", "requirement", "plan"):
        points = 0.0
    times = 0 if every.isdisjoint(words.TIMES) else len(every & words.TIMES)
    if person.acts:
        points += _PERSONAL + (_HAPPENED if person.past else WEAK if kind is None else 0)
    elif person.feels:
        points += _FELT
    if not every.isdisjoint(words.OWN):
        points += _OWN
    points += _TIME * min(times, 2) + _SPECIFIC * min(specific, 2) + _NEW * min(new, 6)
    answers = ""
    if asked:
        points += _ANSWER
        bare = first and kind is None and not person.acts and not opened and len(tokens) <= _DIRECT_ANSWER
        if bare and not every <= _EMPTY_WORDS and _ASKS_FOR_A_THING.search(asked):
            points += _DIRECT
            answers = asked
    if not person.acts and not strong and _is_state(said, every):
        points += _STATED * (2 if specific else 1)
    if points < least:
        return None  # from here on, points are only lost
    points += _talk(reading, who, kind, acts=person.acts, rule=rule)
    if doubtful:
        points += _DOUBT
    if not new and every <= _EMPTY_WORDS:
        points += _EMPTY
    if not strong and kind != "preference" and not times and not every.isdisjoint(words.TROUBLE):
        points += _TROUBLE
    if not person.acts and not every.isdisjoint(words.LOCAL):
        points += _LOCAL
    standing = strong and kind in ("rule", "decision", "preference", "requirement")
    past = person.past or not every.isdisjoint(words.PAST_TIMES)
    kind = kind or ("event" if past else "identity")
    return _Statement(sentence, kind, points, is_negated(said, every), standing, answers)


def _is_state(said: str, every: frozenset[str]) -> bool:
    """Whether a sentence tells what something is or does; `every` are its words."""
    return (not every.isdisjoint(_STATES) or "'" in said) and _STATE.match(said) is not None


def _talk(reading: _Reading, who: _Speaker, kind: Kind | None, *, acts: bool, rule: bool) -> float:
    """Points lost by being advice, a task, a pointing remark, a proposal, or an assistant's word."""
    points = 0.0
    head = reading.tokens[0]
    if not rule and not reading.every.isdisjoint(words.SECOND):
        points += _ADVICE if head in words.SECOND else _ADDRESS
        points += _TASK * bool(_ASKED_OF_AN_ASSISTANT.search(reading.said))
    if head in words.POINTING and not acts and not (who.to_assistant and _IT_MUST.match(reading.said)):
        points += _POINTING
    if head == "let" and kind != "decision":
        points += _PROPOSAL
    if who.is_assistant:
        points += _ASSISTANT
    return points


def _first_person(tokens: list[str]) -> _FirstPerson:
    acts = feels = past = False
    for place, token in enumerate(tokens):
        if token not in ("i", "we"):
            continue
        verb = after = None
        for word in tokens[place + 1 : place + 8]:
            if word not in words.BEFORE_VERB:
                if verb is not None:
                    after = word
                    break
                verb = word
        verb, after = verb or "", after or ""
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
