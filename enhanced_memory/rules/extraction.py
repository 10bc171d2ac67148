"""Facts in conversations: which sentences are worth remembering, of what kind they are, and how sure that is.

Above it lies the extraction operation; below it `rules.sentences` and the word classes of `rules.words`. A sentence earns
points for what statements of fact have in common (someone speaks of themselves, with a verb of doing, a time, a name,
words not met before; a standing rule, a need, a decision) and loses points for what talk around facts has in common
(thanks, praise, advice, hypotheses, trouble of the moment). Questions earn nothing. Each number is a whole or half
point, set by hand; `tests/quality/extraction.py` measures what they are worth.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from enhanced_memory.rules.sentences import Sentence, split_sentences
from enhanced_memory.rules.text import STOP_WORDS
from enhanced_memory.rules.transcript import ASSISTANTS
from enhanced_memory.rules import words as w

THRESHOLD: Final = 0.5
"""Confidence from which a sentence counts as a fact unless the caller says otherwise."""

ENOUGH: Final = 3.0
"""Points that make a confidence of one half."""

FURTHER: Final = 1.0
"""Points that each further sentence of an utterance needs on top, standing instructions aside."""

DEBUG = False


@dataclass(frozen=True, slots=True)
class Fact:
    text: str
    line: int
    span: tuple[int, int]
    kind: str
    negated: bool
    confidence: float
    speaker: str | None
    subject: str


def extract(text: str, *, threshold: float = THRESHOLD) -> list[Fact]:
    facts: list[Fact] = []
    told: set[str] = set()
    for sentence, points, kind, negated in judged(text):
        confidence = 1 / (1 + math.exp(ENOUGH - points))
        if confidence < threshold:
            continue
        key = f"{sentence.speaker} {' '.join(_WORD.findall(sentence.text.lower()))}"
        if key in told:
            continue
        told.add(key)
        label = " ".join(part for part in (sentence.date, sentence.speaker and f"{sentence.speaker}:") if part)
        facts.append(
            Fact(
                f"{label} {sentence.text}".strip(),
                sentence.line,
                (sentence.start, sentence.end),
                kind,
                negated,
                round(confidence, 2),
                sentence.speaker,
                sentence.speaker or "user",
            )
        )
    return facts


_WORD: Final = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)*|\d[\d:.,/%]*")
_CODE_WORD: Final = re.compile(r"`[^`]+`|\w[\w-]*[/_.]\w[\w/.-]*|\w+\d\w*|[a-z]+[A-Z]\w*")


def judged(text: str) -> Iterator[tuple[Sentence, float, str, bool]]:
    sentences = split_sentences(text)
    names = {name.lower() for speaker in {s.speaker for s in sentences} if speaker for name in speaker.split()}
    known: set[str] = set()
    utterance = -1
    asked = answering = False
    pending: list[tuple[Sentence, float, str, bool, bool]] = []
    for sentence in sentences:
        if sentence.utterance != utterance:
            yield from _weighed(pending)
            pending = []
            utterance = sentence.utterance
            asked, answering = False, asked
        if sentence.text.rstrip("\"'”’)*_ ").endswith(("?", "？")):
            asked = True
            known.update(w for w in _WORD.findall(sentence.text.lower()))
            r = None
            if not w.STANDING & set(_WORD.findall(sentence.text.lower())): continue
        p = _points(sentence, names, known, answering)
        if p:
            pending.append((sentence, *p))
    yield from _weighed(pending)


def _weighed(pending: list[tuple[Sentence, float, str, bool, bool]]) -> Iterator[tuple[Sentence, float, str, bool]]:
    order = sorted((n for n in range(len(pending)) if not pending[n][4]), key=lambda n: -pending[n][1])
    rank = {n: i for i, n in enumerate(order)}
    for n, (sentence, points, kind, negated, _) in enumerate(pending):
        yield sentence, points - FURTHER * rank.get(n, 0), kind, negated


def _points(sentence: Sentence, names: set[str], known: set[str], answering: bool):
    written = _WORD.findall(sentence.text.replace("’", "'"))
    tokens: list[str] = []
    capital = 0
    for place, word in enumerate(written):
        low = word.lower()
        tokens += w.EXPANDED.get(low) or w.expand(low)
        if place and word[0].isupper() and low not in w.CALENDAR and not low.startswith("i'") and low != "i":
            if not (low in names or any(len(low) > 2 and name.startswith(low) for name in names)):
                capital += 1
    # courtesies and names before the statement itself
    start = 0
    while start < len(tokens) and (tokens[start] in w.OPENERS or tokens[start] in names):
        start += 1
    thanks = bool(tokens) and any(t in w.THANKS for t in tokens[:start])
    tokens = tokens[start:]
    if not tokens:
        return None
    said = " ".join(tokens)
    have = set(tokens)
    content = {t for t in tokens if t not in STOP_WORDS and t not in w.PRAISE}
    new = content - known
    known |= content
    if w.QUESTION.match(said) and not (w.STANDING & have):
        return None
    p = 0.0
    why = []
    def add(x, reason):
        nonlocal p
        p += x
        if DEBUG: why.append((x, reason))
    # who speaks of whom, and with what verb
    personal = felt = past = False
    for at, t in enumerate(tokens):
        if t in ("i", "we"):
            verb = at + 1
            while verb < len(tokens) and tokens[verb] in w.BEFORE_VERB:
                verb += 1
            doing = tokens[verb] if verb < len(tokens) else ""
            if doing in ("am", "are", "was", "were", "been") and verb + 1 < len(tokens):
                nxt = next((x for x in tokens[verb + 1 :] if x not in w.ADVERBS), "")
                if nxt in w.FEELINGS:
                    felt = True
                else:
                    personal = True
            elif doing in w.MENTAL or not doing:
                felt = True
            else:
                personal = True
            if w.is_past(doing) or "have" in tokens[at + 1 : verb]:
                past = True
    if personal: add(2, "personal")
    elif felt: add(0.5, "felt")
    if have & w.POSSESSIVES: add(1, "my")
    if past and personal: add(0.5, "past")
    times = sum(t in w.TIMES for t in tokens)
    if times: add(min(times, 2) * 0.5, "time")
    specific = capital + (1 if any(t[0].isdigit() or t in w.NUMBERS for t in tokens) else 0) + len(_CODE_WORD.findall(sentence.text))
    if specific: add(min(specific, 2) * 0.5, "specific")
    add(min(len(new), 6) * 0.25, "new")
    if answering: add(1.5, "answer")
    # kinds
    kind = w.kind_of(said, have, personal, past)
    if kind[1]: add(kind[1], kind[0])
    standing = kind[1] >= 2
    if not personal and not standing and w.STATE.match(said):
        add(2 if specific else 1, "state")
    if have & w.HYPOTHETICAL and not standing: add(-1.5, "hyp")
    if tokens[0] in w.SECOND and not standing: add(-2, "you first")
    elif have & w.SECOND and not standing: add(-0.5, "you")
    if have & w.TROUBLE and not times: add(-1.5, "trouble")
    if tokens[0] in w.POINTING and not personal: add(-1, "pointing")
    if thanks: add(-0.5, "thanks")
    if tokens[0] == "let" and not standing: add(-1.5, "let us")
    if len(content) < 2: add(-1, "thin")
    if (sentence.speaker or "").lower() in ASSISTANTS: add(-4, "assistant")
    negated = bool(have & w.NEGATIONS)
    if DEBUG: print(p, kind, why, sentence.text)
    return p, kind[0], negated, standing
