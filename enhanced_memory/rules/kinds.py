"""What kind of fact a sentence states, by the phrases English has for it.

Above it lies `rules.extraction`; below it `rules.words`. Sentences come in plain form: small letters, no punctuation,
contractions taken apart (`rules.words.plain`), openers such as "well" and "thanks" taken off.
"""

from __future__ import annotations

import re
from collections.abc import Set as AbstractSet
from functools import lru_cache
from typing import Final, Literal, NamedTuple

from enhanced_memory.rules.words import CALENDAR, FEELINGS, word_set

Kind = Literal["preference", "requirement", "rule", "usage", "identity", "decision", "plan", "event"]

STRONG: Final = 3.25
"""Points of a phrase that hardly means anything else."""

WEAK: Final = 1.0
"""Points of a phrase that only tells the kind."""


class _Phrase(NamedTuple):
    """A way to say a kind of fact. `cues`: words one of which is in every sentence that `pattern` matches. `enough`:
    words each of which it matches wherever they stand."""

    kind: Kind
    points: float
    cues: frozenset[str]
    enough: frozenset[str]
    pattern: re.Pattern[str]


def _phrase(kind: Kind, points: float, cues: str, *patterns: str, enough: str = "") -> _Phrase:
    words = word_set(enough)
    anywhere = [rf"\b(?:{'|'.join(sorted(words))})\b"] if words else []
    return _Phrase(kind, points, word_set(cues), words, re.compile("|".join((*anywhere, *patterns))))


_PRONOUN: Final = r"(?:he|i|it|she|that|there|these|they|this|those|we|what|you)\b"
_NOT_FORBIDDEN: Final = (
    r"(?:be|believe|bother|care|forget|get|have|hesitate|know|like|mind|need|see|think|understand|want|worry)\b"
)
_NO_THING: Final = r"(?:doubt|i|idea|it|need|one|problem|rush|same|thanks|that|the|this|way|worries)\b"
_TRANSIENT: Final = "|".join(sorted(FEELINGS - {""}))
_DAY_OR_MONTH: Final = "|".join(sorted(CALENDAR))

_BETTER: Final = "better|cleaner|clearer|easier|faster|nicer|safer|simpler"
_TO_DO: Final = (
    "add|ask|bump|call|check|create|document|follow|format|include|keep|log|make|mark|name|put|run|start|update|use"
    "|wrap|write"
)

# The first phrase that a sentence holds tells its kind.
_PHRASES: Final = (
    _phrase(
        "rule",
        STRONG,
        "always answer ask avoid be do ensure keep make never no only remember reply respond stop",
        r"^(?:always|never(?! mind)|avoid|ensure|only|(?:be|make) sure|remember to|ask me (?:before|first))\b",
        rf"^do not (?:ever )?(?!{_NOT_FORBIDDEN})",
        rf"^no (?!{_NO_THING})\w+ (?!\w+$)",
        r"^stop \w+ing\b",
        r"^keep (?:\w+ )+?(?:below|short|small|under)\b",
        r"^(?:answer|reply|respond) (?:in|with)\b",
    ),
    _phrase(
        "rule",
        STRONG,
        "all each every everywhere",
        rf"^(?:{_TO_DO})\b.* (?:(?:for|in|on|to) (?:all|each|every)|everywhere)\b",
    ),
    _phrase(
        "rule",
        STRONG,
        "before when whenever",
        rf"^(?:before|when(?:ever)?) (?:you \w+|\w+ing) (?:\w+ ){{0,4}}?(?:also )?(?:{_TO_DO})\b",
    ),
    _phrase(
        "rule",
        STRONG,
        "always by every going never now this whenever",
        r"\b(?:from now on|going forward|by default|every time|before (?:each|every)|whenever (?:we|you))\b",
        r"\bin this (?:codebase|project|repo|repository)\b",
        r"\b(?:we|you) (?:can|may|must|should) (?:always|never)\b",
        r"\bwhen (?:we|you) .{1,80} (?:always|never)\b",
    ),
    _phrase("rule", WEAK, "always never", r"\bwe (?:always|never) (?!been|had)"),
    _phrase(
        "rule",
        STRONG,
        "has have may must need needs shall should",
        rf"^(?!{_PRONOUN})(?:all|any|each|every) (?:\w+ ){{1,6}}?(?:ha(?:s|ve) to|must|needs?)\b",
        rf"^(?!{_PRONOUN})(?:\w+ ){{1,6}}?(?:may not|must|shall|should)\b(?! have (?:been|had|\w+ed)\b)",
    ),
    _phrase(
        "decision",
        STRONG,
        """agreed approved changed chose chosen decided dropping final gave go going instead let longer migrated moved
        not opted over quit rather settled stick stopped switched voted""",
        r"\b(?:been|has|have|i|team|was|we) (?:have )?(?:agreed|chose|chosen|decided|migrated|opted|settled)\b",
        r"\b(?:been|has|have|i|team|was|we) (?:have )?(?:switched|voted)\b",
        r"\b(?:no longer|(?:go|going|stick) with|changed my mind|let us use|approved|final decision)\b",
        r"\b(?:i|we) (?:gave up|quit|stopped)\b",
        r"\b(?:am|are) dropping\b",
        r"\bmoved (?:\w+ ){1,5}?to\b",
        r"\b(?:pick|take|use|using) (?:\w+ ){1,5}?(?:instead of|not|over|rather than)\b",
    ),
    _phrase(
        "preference",
        STRONG,
        "best care easier fan favorite fond keen prefer preferred prefers rather stand",
        r"\b(?:would rather|fan of|fond of|keen on|can not stand|do not care for)\b",
        r"\b(?:works? best for|easier (?:for me|to))\b",
        enough="favorite prefer preferred prefers",
    ),
    _phrase(
        "preference",
        STRONG,
        "than",
        rf"^(?!{_PRONOUN})(?:\w+ ){{1,3}}?(?:is|are) (?:far |much |way )?(?:{_BETTER}) than\b",
        rf"^i find (?:\w+ ){{1,4}}?(?:far |much |way )?(?:{_BETTER}|more \w+) than\b",
    ),
    _phrase(
        "preference",
        WEAK,
        "dislike dislikes enjoy enjoys hate hates into like likes love loves",
        r"\b(?:i|we) (?:\w+ ){0,2}?(?:dislike|enjoy|hate|like|love)(?! (?:it|that|these|this|those)(?! when)\b)",
        r"\bi am (?:really )?into\b",
        enough="dislikes enjoys hates likes loves",
    ),
    _phrase(
        "requirement",
        STRONG,
        "below budget can deadline has have least may most must need needs require required requirement requires wants",
        r"(?<!\bi )\b(?:needs? to|ha(?:s|ve) to|we need|must|may not|requires?|required|requirement|deadline|budget)\b",
        r"\b(?:at least|at most|(?:be|stay) below|(?:client|customer|legal|management) wants)\b",
        r"\bwe can not (?!believe|imagine|thank|wait)",
    ),
    _phrase(
        "plan",
        WEAK,
        "am are goal going hoping intend intends next plan planning plans scheduled thinking tomorrow want wants will",
        r"\b(?:going to|hoping to|thinking of|wants? to)\b",
        r"\bnext (?:month|quarter|week|year)\b",
        rf"\b(?:am|are) \w+ing .*\b(?:in|on) (?:{_DAY_OR_MONTH}|q [1-4]|20\d\d)\b",
        enough="goal intend intends plan planning plans scheduled tomorrow will",
    ),
    _phrase(
        "identity",
        STRONG,
        "am call charge leads maintains manages name owns responsible",
        r"^(?:call me|my (?:\w+ )?name is)\b",
        rf"^i am (?:an? )?(?!(?:{_TRANSIENT})\b|\w+ing\b)\w+(?: \w+)?$",
        r"\b(?:owns|leads|manages|maintains|(?:in charge|responsible) (?:for|of))\b",
    ),
    _phrase(
        "identity",
        WEAK,
        "am are grew have live my our speak studied work",
        r"^(?:i am|i live|i speak|i studied|i grew|i work (?:as|at|for|in)|we are(?! (?:at|on)\b))\b(?! \w+ing\b)",
        r"^i have (?:an?|lived|no|three|two)\b",
        r"^my \w+ (?:are|is)\b(?! \w+ing\b)",
        rf"^(?!{_PRONOUN})\w+(?: \w+)? is (?:my|our)\b",
    ),
    _phrase(
        "usage",
        WEAK,
        """are built deploy deploys each every go goes host hosted is keep kept live lives run runs shipped stored talks
        use used uses using version work written""",
        r"\b(?:built (?:in|on|with)|goe?s? through|lives? (?:in|on)|talks to|work (?:on|with)|written in)\b",
        r"\b(?:are|is) (?:at|in|on|under)\b",
        enough="deploy deploys each every host hosted keep kept run runs shipped stored use used uses using version",
    ),
)
_CUES: Final = frozenset[str]().union(*(phrase.cues for phrase in _PHRASES))
_NEGATIONS: Final = word_set("avoid dislike hate never no not stop stopped")
_NEGATED: Final = re.compile(
    r"\b(?:am|are|can|could|did|do|does|had|has|have|is|may|must|need|shall|should|was|were|will|would) not\b"
    r"|\b(?:never|no longer|hate|dislike|stopped)\b|^(?:no|not|avoid|stop)\b"
)


def kind_of(said: str, tokens: frozenset[str]) -> tuple[Kind | None, float]:
    """The kind a sentence in plain form states, and the points of the phrase that says so; None and 0 without one.

    `tokens` are the words of `said`. The points are WEAK or STRONG.
    """
    cues = tokens & _CUES
    if cues:
        for phrase in _possible(cues):
            if not phrase.enough.isdisjoint(cues) or phrase.pattern.search(said):
                return phrase.kind, phrase.points
    return None, 0.0


@lru_cache(maxsize=16_384)
def _possible(cues: frozenset[str]) -> tuple[_Phrase, ...]:
    """The phrases that a sentence with these cues may hold, in order."""
    return tuple(phrase for phrase in _PHRASES if not phrase.cues.isdisjoint(cues))


def is_negated(said: str, tokens: AbstractSet[str]) -> bool:
    """Whether a sentence in plain form denies or forbids something: "we do not use Docker", "never log secrets".

    `tokens` are the words of `said`.
    """
    if _NEGATIONS.isdisjoint(tokens) and "'" not in said:
        return False
    return _NEGATED.search(said) is not None
