"""Facts in conversations: which sentences are worth remembering, of what kind they are, and how sure that is.

Above it lies the extraction operation; below it `rules.sentences`, which finds the sentences, and `rules.words`, the word
classes. A sentence earns points for what statements of fact have in common (people speak of themselves, with a verb of
doing, a time, a name, words not met before; a standing rule, a need, a decision) and loses some for what the talk around
facts has in common (thanks, praise, advice, hypotheses, trouble of the moment). Questions are no facts.
`tests/quality/extraction.py` measures what that is worth.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Final

from enhanced_memory.rules import words
from enhanced_memory.rules.sentences import Sentence, split_sentences
from enhanced_memory.rules.text import STOP_WORDS
from enhanced_memory.rules.transcript import ASSISTANTS
from enhanced_memory.rules.words import WORD, plain

THRESHOLD: Final = 0.5
"""Confidence from which a sentence is a fact, unless the caller says otherwise."""

POINTS={
 'personal':2.0,'felt':0.5,'own':1.0,'past':0.5,'time':0.5,'specific':0.5,'new':0.25,'answer':2.0,
 'state':1.0,'state+':2.0,'hyp':-1.5,'you first':-2.0,'you':-0.5,'trouble':-1.5,'pointing':-1.0,'thanks':-0.5,'let':-1.5,'thin':-1.0,'assistant':-4.0,'task':-2.0,'excl':0.0,
 'further':1.0,'enough':3.3,'scale':1.0,'rule':3.0,'decision':3.0,'preference':3.0,'liking':1.5,'requirement':2.5,'identity':1.0,'plan':1.0,'usage':1.0,
}
DEBUG=False

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


_NO_RULE = r"(?!(?:worry|forget|know|think|mind|understand|see|get|need|hesitate|bother|care|like|want|have|believe|remember|be)\b)"
_KINDS=[
 ("rule","rule",re.compile(rf"(?:always|never(?! mind)|avoid|ensure|only)\b|do not (?:ever )?{_NO_RULE}|(?:make|be) sure\b|stop \w+ing\b|remember to\b|no (?!problem|worries|way|idea|need|rush|one|thanks|doubt|the|it|i|that|this|same)\w+|keep (?:\w+ )+(?:under|below|short|small)\b")),
 ("rule","rule",re.compile(r".*\b(?:from now on|going forward|by default|in this (?:repo|project|codebase)|whenever|before every|every time|you (?:must|should|can|may) (?:always|never))\b")),
 ("rule","rule",re.compile(r"(?!(?:it|that|this|we|they|you|i|he|she|there|these|those)\b)(?:\w+ ){1,6}?(?:must|should|shall|may not)\b(?! have)")),
 ("decision","decision",re.compile(r".*\b(?:(?:i|we|team|have|has|was|been) (?:have )?(?:decided|chose|chosen|agreed|settled|opted|voted|switched|moved to|migrated)|no longer|going with|go with|stick with|changed my mind|let us use|approved|final decision|stopped \w+ing|(?:are|am) dropping)\b|(?:.*\b)?(?:use|using|take|pick|be) (?:\w+ ){1,5}?(?:not|instead of|rather than|over)\b")),
 ("preference","preference",re.compile(r".*\b(?:prefers?|preferred|favorite|would rather|fan of|can not stand|do not care for)\b")),
 ("preference","liking",re.compile(r".*\b(?:i|we) (?:\w+ ){0,2}?(?:love|like|hate|enjoy|dislike)\b")),
 ("requirement","requirement",re.compile(r".*\b(?:(?<!i )(?:needs? to|has to|have to)|must|requires?|required|requirement|deadline|budget|we need|may not|we can not use)\b")),
 ("plan","plan",re.compile(r".*\b(?:going to|plan(?:s|ning)?|will|next (?:week|month|year)|scheduled|intend|hoping to|goal|want to|thinking of|am moving|starting)\b")),
 ("usage","usage",re.compile(r".*\b(?:use|uses|using|used|deploys?|run|runs|host|hosted|written in|built (?:on|with|in)|stored|lives? in|version|every (?:day|week|morning|tuesday))\b")),
 ("identity","identity",re.compile(r"(?:i am|my name|call me|i live|i work (?:for|at|in|as)|i have (?!to\b)|my \w+ is|we are|i speak|i studied|i grew)\b")),
]
_QUESTION: Final = re.compile(
    r"(?:what|why|how|when|where|who|which|whose) (?:is|are|was|were|do|does|did|can|could|should|would|will|am|the|about|if"
    r"|many|much|long|likely|else|wrote)\b|(?:do|does|did|is|are|was|were|can|could|will|would|should|has|have|may|am)"
    r" (?:i|you|we|they|he|she|it|this|that|there|the|anyone|your|my)\b"
)
_STATE=re.compile(r"(?:\w+ ){1,5}?(?:is|are|uses?|runs?|lives?|requires?|needs?|supports?|has|goes?|happens?|belongs?|owns?|handles?|expects?|depends?|talks?|starts?|ends?|costs?|stores?|works?)\b")
_LOCAL=frozenset("function method class variable line loop button bracket argument parameter output".split())
_NEGATED=re.compile(r"(?:do|does|did|am|is|are|was|were|have|has|had|can|could|will|would|should|must|may|need|shall) not\b|\bnever\b|\bno longer\b|^(?:no|not|avoid|stop)\b|\b(?:hate|dislike|stopped)\b")


def extract(text: str, *, threshold: float = THRESHOLD) -> list[Fact]:
    facts: list[Fact] = []
    told: set[tuple[str | None, str]] = set()
    for sentence, points, kind, negated in judged(text):
        confidence = 1 / (1 + math.exp((POINTS['enough'] - points)*POINTS['scale']))
        if confidence < threshold:
            continue
        key = (sentence.speaker, " ".join(WORD.findall(sentence.text.lower())))
        if key in told:
            continue
        told.add(key)
        label = " ".join(part for part in (sentence.date, sentence.speaker and f"{sentence.speaker}:") if part)
        facts.append(Fact(f"{label} {sentence.text}".strip(), sentence.line, (sentence.start, sentence.end), kind, negated,
                round(confidence, 2), sentence.speaker, sentence.speaker or "user"))
    return facts


def judged(text: str):
    sentences = split_sentences(text)
    names = {name.lower() for speaker in {s.speaker for s in sentences} if speaker for name in speaker.split()}
    known: set[str] = set()
    utterance = -1
    asked = answering = False
    pending = []
    for sentence in sentences:
        if sentence.utterance != utterance:
            yield from _weighed(pending)
            pending = []
            utterance = sentence.utterance
            asked, answering = False, asked
        p, q = _points(sentence, names, known, answering)
        asked = asked or q
        if p:
            pending.append((sentence, *p))
    yield from _weighed(pending)


def _weighed(pending):
    order = sorted((n for n in range(len(pending)) if not pending[n][4]), key=lambda n: -pending[n][1])
    rank = {n: i for i, n in enumerate(order)}
    for n, (sentence, points, kind, negated, _) in enumerate(pending):
        yield sentence, points - POINTS['further'] * rank.get(n, 0), kind, negated


def _points(sentence: Sentence, names: set[str], known: set[str], answering: bool):
    written = WORD.findall(sentence.text)
    tokens: list[str] = []
    capital = 0
    for place, word in enumerate(written):
        now = plain(word)
        tokens += now
        if place and word[0].isupper() and (low := now[0]) not in words.CALENDAR and low != "i":
            if not (low in names or any(len(low) > 2 and name.startswith(low) for name in names)):
                capital += 1
    start = 0
    while start < len(tokens) and (tokens[start] in words.OPENERS or tokens[start] in names):
        start += 1
    thanks = any(t in words.THANKS for t in tokens[:start])
    tokens = tokens[start:]
    have = set(tokens)
    said = " ".join(tokens)
    question = sentence.text.rstrip("\"'”’)*_ ").endswith(("?", "？")) or bool(_QUESTION.match(said))
    content = {t for t in tokens if t not in STOP_WORDS and t not in words.PRAISE}
    new = content - known
    known |= content
    if not tokens:
        return None, question
    if question and not re.match(r"(?:can|could|would|will) you (?:\w+ ){0,2}?(?:always|never|from now on)",said):
        return None, True
    p = 0.0
    why = []
    def add(name, n=1):
        nonlocal p
        p += POINTS[name]*n
        if DEBUG: why.append((POINTS[name]*n, name))
    personal = felt = past = False
    for at, t in enumerate(tokens):
        if t in ("i", "we"):
            verb = at + 1
            while verb < len(tokens) and tokens[verb] in words.BEFORE_VERB:
                verb += 1
            doing = tokens[verb] if verb < len(tokens) else ""
            perfect = not {"have","had","has","did"}.isdisjoint(tokens[at + 1 : verb])
            if not doing and perfect: felt=True
            elif doing in ("am", "are", "was", "were", "been"):
                nxt = next((x for x in tokens[verb + 1 :] if x not in words.BEFORE_VERB and x not in("very","pretty","quite","super","too","been")), "")
                if nxt in words.FEELINGS or not nxt: felt = True
                else: personal = True
            elif doing in words.MENTAL or not doing: felt = True
            else: personal = True
            if words.is_past(doing) or perfect: past = True
    kind, name = next(((k, n) for k, n, pattern in _KINDS if pattern.match(said)), ("event" if past else "identity", None))
    hyp = bool(have & words.HYPOTHETICAL)
    if kind == "preference" or (kind=="rule" and not have & {"might","maybe","perhaps"}): hyp=False
    if name and not (hyp and kind in ("decision","requirement","plan")): add(name)
    standing = kind in ("rule","decision","preference","requirement") and name not in (None,"liking")
    if personal: add("personal")
    elif felt: add("felt")
    if have & words.OWN: add("own")
    if past and personal: add("past")
    times = sum(t in words.TIMES for t in tokens)
    if times: add("time",min(times, 2))
    specific = capital + (1 if any(t[0].isdigit() or t in words.NUMBERS for t in tokens) else 0) + len(words.CODE_WORD.findall(sentence.text))
    if specific: add("specific",min(specific, 2))
    add("new",min(len(new), 6))
    if answering: add("answer")
    if not personal and not standing and _STATE.match(said):
        add("state+" if specific else "state")
    if hyp: add("hyp")
    if kind != "rule":
        if tokens[0] in words.SECOND: add("you first")
        elif have & words.SECOND: add("you")
    if (have & words.TROUBLE and not times) or (have & _LOCAL and not personal): add("trouble")
    if tokens[0] in words.POINTING and not personal: add("pointing")
    if thanks: add("thanks")
    if tokens[0] == "let" and kind!="decision": add("let")
    if re.search(r"\b(?:want|need|like) you to\b",said) and kind!="rule": add("task")
    if len(content) < 2: add("thin")
    if sentence.text.endswith("!"): add("excl")
    if (sentence.speaker or "").lower() in ASSISTANTS: add("assistant")
    negated = bool(_NEGATED.search(said))
    if DEBUG: print(p, kind, why, sentence.text)
    return (p, kind, negated, standing), question
