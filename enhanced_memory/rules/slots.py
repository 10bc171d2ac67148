"""Slots of statements: places that hold one value, such as where somebody lives, and places that hold many.

Above it lies `rules.conflicts`; below it `rules.claims` and `rules.meanings`. Two claims clash where both fill one
place of one subject with different values; which of them is to be believed is not decided here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from enhanced_memory.rules.claims import Claim, Terms
from enhanced_memory.rules.lexicon import words_of
from enhanced_memory.rules.meanings import KIND_NAMES, kinds, kinds_of, term


def _terms(words: str) -> Terms:
    return frozenset(map(term, words.split()))


_MANY: Final = _terms(
    """like speak visit know own have play read watch listen learn want need travel meet attend buy eat drink help
    collect go see try send work practice understand contain include support provide offer handle depend require
    fix add celebrate volunteer enjoy mentor train teach own give join talk show allow remember worry mind"""
)
"""Verbs that hold of many things at once: a second value is no contradiction."""

_ONE_PLACE: Final = {
    term(verb): frozenset(prepositions.split())
    for verb, prepositions in {
        "live": "in at near on",
        "work": "at as",
        "host": "on in at with",
        "run": "on",
        "store": "in on",
        "keep": "in on",
        "write": "in with",
        "build": "with in on",
        "deploy": "to on with via",
        "report": "to",
        "commute": "by",
        "travel": "by",
        "born": "in on",
        "bear": "in on",
        "indent": "with using",
        "format": "with using",
        "lint": "with",
        "test": "with",
        "grow": "in",
        "come": "from",
        "go": "to through via",
        "send": "to via with through by",
        "sleep": "in",
        "bank": "with",
        "pay": "with in by",
        "start": "at on in",
        "finish": "at on",
        "happen": "on at in",
        "be": "in at on from by with under for",
        "": "in at on with",
        "authenticate": "with via",
        "log": "to",
        "code": "in with",
        "graduate": "from",
        "study": "at",
        "release": "on",
        "track": "in with",
        "manage": "with by in",
        "answer": "in",
        "reply": "in",
        "communicate": "via in",
        "back": "to",
        "document": "in with",
        "own": "by",
        "lead": "by",
        "name": "after",
        "sit": "in at",
        "identify": "as",
        "listen": "on",
        "train": "at in",
        "open": "at on",
        "close": "at on",
        "leave": "at on from",
        "arrive": "at on",
    }.items()
}
"""Verb -> prepositions behind which one value stands."""

_ONE_OBJECT: Final = _terms(
    "drive name call wear bear weigh measure earn cost lead manage ride marry speak_at study major"
)
"""Verbs with one object at a time."""

ATTRIBUTES: Final = _terms(
    """name nickname manager boss supervisor lead leader owner maintainer author colour birthday address city town
    country hometown timezone language editor shell browser database framework license host hostname url port
    branch theme font email username mascot captain ceo cto director president landlord dentist doctor therapist
    major degree job profession employer title role position salary budget deadline price status state priority
    format encoding protocol version region provider platform layout os runtime compiler engine backend frontend
    currency unit nationality citizenship religion spouse wife husband partner fiance school university gym bank
    style convention size age height weight diet zodiac sign blood model brand make strategy workflow tool
    default goal location place venue room seat transport"""
)
"""What a thing or a person has one of: "X is Y" then holds one Y."""

_SOLE: Final = _terms("main primary default favorite preferred current official only best chief head go-to standard")
"""Words that make any place one for a single value."""

_ONE_USED: Final = words_of(
    """database shell editor ci cloud forge package_manager bundler test_framework frontend formatter linter chat
    phone browser indent theme units os vcs tracker license orchestrator api temperature side seat timezone
    case layout notes terminal css orm method"""
)
"""Kinds of which one is used at a time, unless a purpose is named."""

_ONE_BEING: Final = words_of("diet marital nationality profession religion hand side")
"""Kinds of which a person is one."""

TIMES: Final = words_of("weekday month season daytime frequency")
"""Kinds that tell when."""


@dataclass(frozen=True, slots=True)
class Clash:
    """One place with two values; `confidence` 0..1 that it holds one."""

    slot: str
    old: str
    new: str
    confidence: float


def differ(old: Terms, new: Terms) -> bool:
    """Whether two values exclude one another: neither is part of the other, nor are they of other kinds."""
    if not old or not new or old <= new or new <= old:
        return False
    ours, others = kinds_of(old - new), kinds_of(new - old)
    return not (ours and others and not ours & others)


def clash_of(old: Claim, new: Claim) -> Clash | None:
    """The place that two claims of one subject and one verb fill with different values."""
    return _objects(old, new) if old.object != new.object else _scopes(old, new)


def _objects(old: Claim, new: Claim) -> Clash | None:
    if not differ(old.object, new.object):
        return None
    purpose = [(name, terms, numbers) for name, terms, numbers in old.scopes if name != "over" and name != "than"]
    others = [(name, terms, numbers) for name, terms, numbers in new.scopes if name != "over" and name != "than"]
    if sorted(map(str, purpose)) != sorted(map(str, others)):
        return None
    ours, theirs = old.object - new.object, new.object - old.object
    shared_kinds = kinds_of(ours) & kinds_of(theirs)
    confidence = 0.0
    subject = old.subject | new.subject
    slot = _named(old, old.subject, old.verb)
    if purpose and old.verb in _FOR_PURPOSE:
        confidence = 0.85
        slot = _named(old, old.subject, old.verb, f"{purpose[0][0]} {old.show(purpose[0][1])}")
    elif old.verb == term("prefer") and len(old.scopes) != len(purpose) and not shared_kinds:
        confidence = 0.0  # another choice: "tabs over spaces", "fish over bash"
    elif old.verb == term("prefer"):
        confidence = (
            0.88
            if shared_kinds
            else 0.85
            if old.object & new.object
            else 0.55
            if max(map(len, (old.object, new.object))) < 3
            else 0.0
        )
    elif old.verb == "be" or (not old.verb and subject):
        if not subject:
            confidence = 0.8 if shared_kinds & _ONE_BEING else 0.0
        elif shared_kinds or subject & (ATTRIBUTES | _SOLE):
            confidence = 0.85
        elif ours <= old.names and theirs <= new.names:
            confidence = 0.75
    elif old.verb == term("use"):
        confidence = 0.8 if shared_kinds & _ONE_USED else 0.6 if subject and shared_kinds else 0.0
    elif old.verb in _ONE_OBJECT or (old.object & new.object & ATTRIBUTES and old.verb != term("have")):
        confidence = 0.75
    elif subject and shared_kinds and old.verb not in _MANY:
        confidence = 0.7
    elif shared_kinds & (TIMES | {"colour"}) and old.verb not in _MANY:
        confidence = 0.8
    return Clash(slot, old.show(old.object), new.show(new.object), confidence) if confidence else None


_ORIGIN: Final = _terms("born childhood")
_APT: Final = _terms(
    "good bad great better excellent terrible interested experienced skilled trained expert afraid proud"
)
"""What somebody is at, in or with many things."""

_WISHES: Final = _terms("want need like ask")
_FOR_PURPOSE: Final = _terms("use prefer want choose need pick")


def _scopes(old: Claim, new: Claim) -> Clash | None:
    ours, theirs = _by_preposition(old), _by_preposition(new)
    changed = [name for name in ours.keys() & theirs.keys() if ours[name] != theirs[name]]
    if len(changed) != 1:
        return None
    name = changed[0]
    if any(ours.get(other) != theirs.get(other) for other in (ours.keys() | theirs.keys()) - {name}):
        return None
    if not differ(ours[name], theirs[name]):
        return None
    subject = old.subject & new.subject
    times = kinds_of(ours[name]) & kinds_of(theirs[name]) & TIMES
    if old.verb in {"be", ""} and old.object & _APT:
        return None
    if name in _ONE_PLACE.get(old.verb, ()):
        confidence = 0.85
    elif times and old.verb not in _MANY:
        confidence = 0.85 if subject else 0.7
    elif old.verb in _WISHES and old.object and kinds_of(ours[name]) & kinds_of(theirs[name]):
        confidence = 0.75
    elif (
        old.object
        and old.verb not in {"be", ""}
        and name in {"in", "on", "with", "to", "by", "at", "from", "as", "into", "via"}
        and old.verb not in _MANY
    ):
        confidence = 0.7
    elif subject and name in {"with", "by", "on", "in", "to", "at"} and old.verb not in _MANY:
        confidence = 0.65
    else:
        return None
    if old.verb == "" and not subject and not old.object & _ORIGIN:
        return None
    slot = _named(old, old.subject | old.object, old.verb, name)
    return Clash(slot, old.show(ours[name]), new.show(theirs[name]), confidence)


def _named(claim: Claim, topic: Terms, verb: str, purpose: str = "") -> str:
    """A slot in a few words: "time zone is", "the user prefers for quick edits"."""
    return " ".join(part for part in (claim.show(topic) or "the user", claim.show(frozenset({verb})), purpose) if part)


def _by_preposition(claim: Claim) -> dict[str, Terms]:
    return {name: claim.scope(name) for name, terms, _ in claim.scopes if terms}


def named_kind(claim: Claim) -> str | None:
    """The kind whose one member a claim states: "Shell is zsh", or "Uses zsh" for a kind used singly."""
    if claim.verb == "be":
        return next((KIND_NAMES[word] for word in claim.subject if word in KIND_NAMES), None)
    if claim.verb == term("use"):
        return next((kind for word in claim.object for kind in kinds(word) if kind in _ONE_USED), None)
    return None


def is_many(verb: str) -> bool:
    """Whether a verb holds of many things at once."""
    return verb in _MANY
