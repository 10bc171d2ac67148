"""What kind of fact a sentence states, by the phrases English has for it.

Above it lies `rules.extraction`; below it `rules.words`. Sentences come in plain form: small letters, no punctuation,
contractions taken apart (`rules.words.plain`), openers such as "well" and "thanks" taken off.
"""

from __future__ import annotations

import re
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Final, Literal

from enhanced_memory.rules.words import FEELINGS

Kind = Literal["preference", "requirement", "rule", "usage", "identity", "decision", "plan", "event"]

STRONG: Final = 3.25
"""Points of a phrase that hardly means anything else."""

WEAK: Final = 1.0
"""Points of a phrase that only tells the kind."""


@dataclass(frozen=True, slots=True)
class _Phrase:
    """A way to say a kind of fact. `cues`: words one of which is in every sentence that `pattern` matches."""

    kind: Kind
    points: float
    cues: frozenset[str]
    pattern: re.Pattern[str]


def _phrase(kind: Kind, points: float, cues: str, pattern: str) -> _Phrase:
    return _Phrase(kind, points, frozenset(cues.split()), re.compile(pattern))


_TRANSIENT: Final = "|".join(sorted(FEELINGS - {""}))
_PRONOUN: Final = r"(?:he|i|it|she|that|there|these|they|this|those|we|what|you)\b"
_PHRASES: Final = (
    _phrase(
        "rule",
        STRONG,
        "always never avoid ensure only do make be stop remember no keep reply answer respond ask",
        r"^(?:(?:always|never(?! mind)|avoid|ensure|only|(?:make|be) sure|remember to)\b"
        r"|do not (?:ever )?(?!(?:be|believe|bother|care|forget|get|have|hesitate|know|like|mind|need|see|think|understand"
        r"|want|worry)\b)"
        r"|stop \w+ing\b|no (?!(?:doubt|i|idea|it|need|one|problem|rush|same|thanks|that|the|this|way|worries)\b)\w+ (?!\w+$)"
        r"|keep (?:\w+ )+?(?:under|below|short|small)\b|(?:reply|answer|respond) (?:in|with)\b|ask me (?:first|before)\b)",
    ),
    _phrase(
        "rule",
        STRONG,
        "now going by this whenever every you always never",
        r"\b(?:from now on|going forward|by default|in this (?:repo|repository|project|codebase)|whenever (?:you|we)|every time"
        r"|before (?:every|each)|(?:you|we) (?:must|should|can|may) (?:always|never)|when (?:you|we) .{1,80} (?:always|never))\b",
    ),
    _phrase("rule", WEAK, "always never", r"\bwe (?:always|never) (?!been|had)"),
    _phrase(
        "rule",
        STRONG,
        "must should shall may need needs has have",
        rf"^(?!{_PRONOUN})(?:(?:all|any|each|every) (?:\w+ ){{1,6}}?(?:needs?|ha(?:s|ve) to|must)\b"
        r"|(?:\w+ ){1,6}?(?:must|should|shall|may not)\b(?! have (?:been|had|\w+ed)\b))",
    ),
    _phrase(
        "decision",
        STRONG,
        """agreed approved changed chose chosen decided dropping final gave go going let longer migrated moved opted quit settled
        stick stopped switched voted""",
        r"\b(?:(?:been|has|have|i|team|was|we) (?:have )?(?:agreed|chose|chosen|decided|migrated|opted|settled|switched|voted)"
        r"|moved (?:\w+ ){1,5}?to|no longer|(?:go|going|stick) with|changed my mind|let us use|approved|final decision"
        r"|(?:i|we) (?:gave up|quit|stopped)|(?:am|are) dropping)\b",
    ),
    _phrase(
        "decision",
        STRONG,
        "instead not over rather",
        r"\b(?:pick|take|use|using) (?:\w+ ){1,5}?(?:not|instead of|rather than|over)\b",
    ),
    _phrase(
        "preference",
        STRONG,
        "best care easier fan favorite fond keen prefer preferred prefers rather stand",
        r"\b(?:prefers?|preferred|favorite|would rather|fan of|fond of|keen on|can not stand|do not care for|works? best for"
        r"|easier (?:for me|to))\b",
    ),
    _phrase(
        "preference",
        WEAK,
        "dislike dislikes enjoy enjoys hate hates into like likes love loves",
        r"\b(?:i|we) (?:\w+ ){0,2}?(?:dislike|enjoy|hate|like|love)(?! (?:it|that|these|this|those)(?! when)\b)"
        r"|\bi am (?:really )?into\b|\b(?:dislikes|enjoys|hates|likes|loves)\b",
    ),
    _phrase(
        "requirement",
        STRONG,
        "below budget can deadline has have least may most must need needs require required requirement requires wants",
        r"(?<!\bi )\b(?:needs? to|ha(?:s|ve) to|we need|must|requires?|required|requirement|deadline|budget|may not|at least"
        r"|at most|(?:be|stay) below|we can not (?!believe|imagine|thank|wait)|(?:client|customer|legal|management) wants)\b",
    ),
    _phrase(
        "plan",
        WEAK,
        "am are goal going hoping intend intends next plan planning plans scheduled thinking tomorrow want wants will",
        r"\b(?:going to|plan(?:s|ning)?|will|scheduled|intends?|hoping to|goal|wants? to|thinking of"
        r"|next (?:week|month|year|quarter)|tomorrow|(?:am|are) \w+ing .*\b(?:in|on) (?:monday|tuesday|wednesday|thursday|friday"
        r"|saturday|sunday|january|february|march|april|may|june|july|august|september|october|november|december))\b",
    ),
    _phrase(
        "identity",
        STRONG,
        "am call charge leads maintains manages name owns responsible",
        r"^(?:call me|my (?:\w+ )?name is)\b|\b(?:owns|leads|manages|maintains|(?:in charge|responsible) (?:for|of))\b"
        rf"|^i am (?:an? )?(?!(?:{_TRANSIENT})\b|\w+ing\b)\w+(?: \w+)?$",
    ),
    _phrase(
        "identity",
        WEAK,
        "am are grew have live my speak studied work",
        r"^(?:i am|i have (?:lived|two|three|an?|no)|i live|i work (?:at|as|for|in)|my \w+ (?:is|are)|we are|i speak|i studied"
        r"|i grew)\b(?! \w+ing\b)",
    ),
    _phrase(
        "usage",
        WEAK,
        """are built called deploy deploys each every go goes host hosted is keep kept live lives run runs shipped stored talks
        use used uses using version work written""",
        r"\b(?:use|uses|using|used|deploys?|runs?|host|hosted|written in|built (?:in|on|with)|stored|lives? (?:in|on)|version"
        r"|every|each|shipped|kept|keep|goe?s? through|talks to|work (?:on|with)|(?:is|are) (?:at|in|on|under))\b",
    ),
)
_NEGATED: Final = re.compile(
    r"\b(?:am|are|can|could|did|do|does|had|has|have|is|may|must|need|shall|should|was|were|will|would) not\b"
    r"|\b(?:never|no longer|hate|dislike|stopped)\b|^(?:no|not|avoid|stop)\b"
)


def kind_of(said: str, tokens: AbstractSet[str]) -> tuple[Kind | None, float]:
    """The kind a sentence in plain form states, and the points its phrase is worth: WEAK or STRONG; None and 0 without one.

    `tokens` are the words of `said`.
    """
    for phrase in _PHRASES:
        if not phrase.cues.isdisjoint(tokens) and phrase.pattern.search(said):
            return phrase.kind, phrase.points
    return None, 0.0


def is_negated(said: str) -> bool:
    """Whether a sentence in plain form denies or forbids something: "we do not use Docker", "never log secrets"."""
    return _NEGATED.search(said) is not None
