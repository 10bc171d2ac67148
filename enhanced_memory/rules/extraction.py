"""Facts in conversations: which sentences are worth remembering, of what kind they are, and how sure that is.

Above it lies the extraction operation; below it `rules.sentences`, which finds the sentences, `rules.words`, the word
classes, and `rules.kinds`, the phrases. A sentence earns points for what statements of fact have in common (people speak of
themselves, with a verb of doing, a time, a name, words not met before; a standing rule, a need, a decision) and loses some
for what the talk around facts has in common (praise, advice, hypotheses, trouble of the moment). Questions are no facts.
`tests/quality/extraction.py` measures what that is worth.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from enhanced_memory.rules import words
from enhanced_memory.rules.kinds import STRONG, Kind, is_negated, kind_of
from enhanced_memory.rules.sentences import Sentence, split_sentences
from enhanced_memory.rules.text import STOP_WORDS
from enhanced_memory.rules.transcript import ASSISTANTS, USERS
from enhanced_memory.rules.words import WORD, plain

THRESHOLD: Final = 0.5
"""Confidence from which a sentence is a fact, unless the caller says otherwise."""

_ENOUGH: Final = 3.25
"""Points that make a confidence of one half."""

POINTS=dict(personal=2.0,felt=.5,own=1.0,happened=.5,time=.5,specific=.5,new=.25,answer=2.0,direct=1.0,stated=1.0,further=-1.0,hyp=-1.5,you=-2.0,trouble=-1.5,pointing=-1.0,letus=-1.5,task=-2.0,empty=-1.0,assistant=-4.0,mine=0.0,habit=0.0)


@dataclass(frozen=True, slots=True)
class Fact:
    """Something worth remembering.

    text: the sentence as said, with its speaker and date before it where the conversation tells them. line: where it begins,
    from 1. span: its start and end in the conversation, in characters. negated: whether it denies or forbids. confidence: 0..1.
    speaker: as the conversation writes it, None where it does not. subject: whom it is about: the speaker, or "user".
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
class _Judged:
    """A sentence with its points. `standing`: a rule, need, decision or preference that stands for itself."""

    sentence: Sentence
    kind: Kind
    negated: bool
    points: float
    standing: bool
    question: str|None=None


_QUESTION: Final = re.compile(
    r"(?:what|why|how|when|where|who|which|whose) (?:is|are|was|were|do|does|did|can|could|should|would|will|am|the|about|if"
    r"|many|much|long|likely|else|wrote)\b|(?:do|does|did|is|are|was|were|can|could|will|would|should|has|have|may|am)"
    r" (?:i|you|we|they|he|she|it|this|that|there|the|anyone|your|my)\b"
)
_POLITE_RULE: Final = re.compile(r"(?:can|could|will|would) you (?:\w+ ){0,2}?(?:always|never|from now on)\b")
_TASK: Final = re.compile(r"\b(?:like|need|want) you to\b")
_STATE: Final = re.compile(
    r"(?:\w+ ){1,5}?(?:are|belongs?|costs?|depends?|ends?|expects?|goes?|handles?|happens?|has|is|lives?|needs?|owns?|requires?"
    r"|runs?|starts?|stores?|supports?|talks?|uses?|works?)\b"
)
_PARTICIPLES: Final = frozenset("been become begun come done given gone known run seen shown taken written".split())


def extract(text: str, *, threshold: float = THRESHOLD) -> list[Fact]:
    """The facts of a conversation in order, each once."""
    facts: list[Fact] = []
    told: set[tuple[str | None, str]] = set()
    for judged in _judge(text):
        confidence = 1 / (1 + math.exp(_ENOUGH - judged.points))
        if confidence < threshold:
            continue
        sentence = judged.sentence
        key = (sentence.speaker, " ".join(WORD.findall(sentence.text.lower())))
        if key in told:
            continue
        told.add(key)
        label = " ".join(part for part in (sentence.date, sentence.speaker and f"{sentence.speaker}:") if part)
        t=f"{label} {sentence.text}".strip()
        if judged.question: t+=f" (asked: {judged.question})"
        facts.append(
            Fact(
                t,
                sentence.line,
                (sentence.start, sentence.end),
                judged.kind,
                judged.negated,
                round(confidence, 2),
                sentence.speaker,
                sentence.speaker or "user",
            )
        )
    return facts

import os
DIRECT=True
def _judge(text: str) -> Iterator[_Judged]:
    sentences = split_sentences(text)
    speakers = {s.speaker for s in sentences if s.speaker}
    names = {name.lower() for speaker in speakers for name in speaker.split()}
    nicknames = {name[:length] for name in names for length in range(3, len(name) + 1)} | names
    aside = {s for s in speakers if _is_assistant(s, names)}
    known: set[str] = set()
    utterance = -1
    question: str|None = None
    asked : str|None= None
    said_now: list[_Judged] = []
    for sentence in sentences:
        if sentence.utterance != utterance:
            yield from _weighed(said_now)
            said_now = []
            utterance = sentence.utterance
            asked, question = question, None
            first=True
        j, is_q = _read(sentence, nicknames, known, asked if first or 1 else None, first)
        if is_q: question = sentence.text
        else: first=False
        if j:
            if sentence.speaker in aside: j.points+=POINTS['assistant']
            said_now.append(j)
    yield from _weighed(said_now)

def _is_assistant(speaker,names):
    low=set(speaker.lower().split())
    return bool(low & ASSISTANTS)

def _weighed(said: list[_Judged]) -> list[_Judged]:
    rank = 0
    for each in sorted(said, key=lambda each: -each.points):
        if not each.standing:
            each.points += POINTS['further'] * rank
            rank += 1
    return said


def _read(sentence: Sentence, names: set[str], known: set[str], asked, first):
    tokens: list[str] = []
    specific = 0
    for place, word in enumerate(WORD.findall(sentence.text)):
        now = plain(word)
        tokens += now
        if place and word[0].isupper() and now[0] not in names and now[0] not in words.CALENDAR and now[0] != "i":
            specific += 1
    start = 0
    while start < len(tokens) and (tokens[start] in words.OPENERS or tokens[start] in names):
        start += 1
    tokens = tokens[start:]
    said = " ".join(tokens)
    have = set(tokens)
    isq=sentence.text.rstrip("\"'”’)*_ ").endswith(("?", "？")) or _QUESTION.match(said)
    content = have - STOP_WORDS - words.PRAISE
    new = content - known
    known |= content
    if not tokens: return None, bool(isq)
    if isq and not _POLITE_RULE.match(said): return None, True
    personal, felt, past = _first_person(tokens)
    kind, points = kind_of(said, have)
    rule = kind == "rule" and points==STRONG
    doubt = not have.isdisjoint(words.HYPOTHETICAL) and not rule and kind != "preference"
    if doubt and kind in("decision","requirement","plan"): points = 0.0
    P=POINTS
    times = sum(t in words.TIMES for t in tokens)
    specific += len(words.CODE_SIGN.findall(sentence.text)) + (not have.isdisjoint(words.NUMBERS) or words.DIGIT.search(said) is not None)
    if personal: points += P['personal']
    elif felt: points += P['felt']
    if not have.isdisjoint(words.OWN): points += P['own']
    if personal and past: points += P['happened']
    if personal and not past and kind is None: points+=P['habit']
    if tokens[0] in ("my","our") and not personal: points += P['mine']
    points += P['time'] * min(times, 2) + P['specific']*min(specific, 2) + P['new']*min(len(new), 6)
    if asked:
        points += P['answer']
    q=None
    if asked and first and DIRECT and not personal and kind is None and len(tokens)<=12 and _WH.search(asked) and content and start==0:
        points += P['direct']; q=asked
    standing = kind in ("rule", "decision", "preference", "requirement") and points>=STRONG
    if not personal and not standing and _STATE.match(said): points += P['stated'] * (2 if specific else 1)
    if doubt: points += P['hyp']
    if not rule:
        if tokens[0] in words.SECOND: points += P['you']
        if _TASK.search(said): points += P['task']
    if tokens[0] in words.POINTING and not personal: points+=P['pointing']
    if tokens[0] == "let" and kind != "decision": points+=P['letus']
    if not content: points+=P['empty']
    if (not times and not have.isdisjoint(words.TROUBLE)) or (not personal and not have.isdisjoint(words.LOCAL)): points += P['trouble']
    if kind is None: kind = "event" if past or not have.isdisjoint(words.PAST_TIMES) else "identity"
    return _Judged(sentence, kind, is_negated(said), points, standing, q), bool(isq)

_WH=re.compile(r"\b(?:what|which|where|who|when|how|or)\b",re.I)

def _first_person(tokens: list[str]) -> tuple[bool, bool, bool]:
    personal = felt = past = False
    for place, token in enumerate(tokens):
        if token != "i" and token != "we":
            continue
        at = place + 1
        while at < len(tokens) and tokens[at] in words.BEFORE_VERB:
            at += 1
        verb = tokens[at] if at < len(tokens) else ""
        if verb in ("had","have","has"):
            after = next((t for t in tokens[at + 1 :] if t not in words.BEFORE_VERB), "")
            if after in _PARTICIPLES or words.is_past(after):
                past=True
                if after!="been": verb=after
            elif verb=="had": past=True
        else: past = past or words.is_past(verb) or "did" in tokens[place+1:at]
        if verb in ("am","are","was","were"):
            after = next((t for t in tokens[at + 1 :] if t not in words.BEFORE_VERB), "")
            if after in words.FEELINGS or not after: felt=True
            else: personal=True
        elif verb in words.MENTAL or not verb: felt=True
        else: personal=True
    return personal, felt, past
