"""What two observations have to do with one another: the same, one replacing the other, or both impossible together.

Above it lies `rules.conflicts`, which compares whole entities; below it `rules.claims` takes observations apart,
`rules.slots` knows which places hold one value and `rules.endings` which event ends which state. The rules are tried in
order, and the first that speaks decides. Words in common only tell that two statements are about one thing; polarity,
place, quantity and cue decide which kind of finding it is. `tests/quality/conflicts.py` measures what that is worth.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, Literal

from enhanced_memory.rules import overlap
from enhanced_memory.rules.claims import Claim, Terms, claim_of
from enhanced_memory.rules.endings import SHARING, states_of
from enhanced_memory.rules.meanings import KIND_NAMES, are_opposite, begins_with_verb, kinds, kinds_of, term
from enhanced_memory.rules.quantities import is_same, kind_of, spoken
from enhanced_memory.rules.slots import ATTRIBUTES, TIMES, clash_of, differ, is_many, named_kind

Kind = Literal["duplicate", "update", "contradiction"]

MAX_LENGTH: Final = 400
"""Characters up to which an observation is one statement; longer ones are only compared as a whole."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What two observations are to one another; `confidence` 0..1, `reason` a sentence for a person."""

    kind: Kind
    confidence: float
    reason: str


def _terms(words: str) -> Terms:
    return frozenset(map(term, words.split()))


WEAK: Final = _terms(
    """size number count time date value version level amount total current new thing person people member named allow
    name day currently person place way set own scheduled planned schedule plan expected last week month year lot
    happen start begin run lie take occur fall bit really actually usually quite old own anything something age message
    must routine habit length duration"""
)
"""Terms that a statement can do without and still say the same."""

_TIMED: Final = _terms("run start begin happen occur take fire launch kick open schedule plan set last fall be leave")
_ENDS: Final = _terms(
    """sell lose die quit leave stop cancel finish complete fix close merge release ship remove delete drop abandon end
    heal expire deprecate archive retire solve resolve divorce graduate break crash demolish give return discontinue
    scrap dissolve sunset pass unsubscribe decommission shut recover defend submit deliver terminate steal vanish
    disappear discharge revoke burn sink discard donate split"""
)
_HOLDS: Final = _terms(
    """have own use be read watch write work study learn play subscribe rent drive date eat drink take need wait plan
    train open build prepare live smoke attend develop lead run love"""
) | {""}


_GENERIC: Final = _terms("project team app repository code codebase company office")
"""Subjects that may be left unsaid."""


def judge(old: str, new: str, *, same_entity: bool = False) -> Finding | None:
    """What a new observation is to an old one; None where both can stand or speak of different things.

    `same_entity` says that both are written about one entity, whose name then need not be told apart from "the user".
    """
    if max(len(old), len(new)) > MAX_LENGTH:
        same = overlap.levelled(old) == overlap.levelled(new)
        return Finding("duplicate", 0.99, "Both say the same words.") if same else None
    return _judged(old, new, same_entity)


@lru_cache(maxsize=65_536)
def _judged(old: str, new: str, same_entity: bool) -> Finding | None:
    ours, theirs = claim_of(old), claim_of(new)
    if ours.question or theirs.question or not (ours.plain.strip() and theirs.plain.strip()):
        return None
    if overlap.levelled(old) == overlap.levelled(new):
        return Finding("duplicate", 0.99, "Both say the same words.")
    found = next((finding for rule in _RULES if (finding := rule(ours, theirs, same_entity)) is not None), None)
    return found or (None if ours.hedged or theirs.hedged else _by_clauses(ours.text, theirs.text, same_entity))


_NEW_CLAUSE: Final = re.compile(r"[.;!]\s+|,?\s+(?:and|but)\s+(?=(?:no longer|now|also)\b|[a-z]+\b)", re.IGNORECASE)
_MOST_CLAUSES: Final = 4


def _by_clauses(old: str, new: str, same: bool) -> Finding | None:
    """What is against one another of what each says in one go: "Moved to Rome and works at Acme", "Works at Globex"."""
    ours, theirs = clauses(old), clauses(new)
    if len(ours) == len(theirs) == 1:
        return None
    found = [_judged(one, other, same) for one in ours for other in theirs]
    against = [finding for finding in found if finding and finding.kind != "duplicate"]
    best = max(against, key=lambda finding: finding.confidence, default=None)
    return best and Finding(best.kind, round(best.confidence * _OF_A_CLAUSE, 3), best.reason)


_OF_A_CLAUSE: Final = 0.95
"""What the confidence is worth where only parts of what is said are against one another."""


@lru_cache(maxsize=16_384)
def clauses(text: str) -> tuple[str, ...]:
    """The statements of an observation: its sentences, and what "and" joins if a verb follows, each with its subject.

    One alone where there are no more than that, or more than four.
    """
    parts: list[str] = []
    begun = 0
    subject = ""
    for joint in _NEW_CLAUSE.finditer(text):
        following = text[joint.end() :].split(maxsplit=1)[0].strip(".,;")
        if joint.group()[0] in ".;!" or begins_with_verb(following) or following in ("no", "now", "also"):
            parts.append(text[begun : joint.start()])
            begun = joint.end()
    parts.append(text[begun:])
    if not 1 < len(parts) <= _MOST_CLAUSES:
        return (text,)
    whole = []
    for part in parts:
        if begins_with_verb(part) or part.split(maxsplit=1)[:1] in (["no"], ["now"], ["also"]):
            whole.append(f"{subject} {part}".strip())
        else:
            words = part.split()
            verb = next((place for place, word in enumerate(words) if begins_with_verb(word)), 0)
            subject = " ".join(words[:verb])
            whole.append(part)
    return tuple(each for each in whole if each)


Rule = Callable[[Claim, Claim, bool], "Finding | Literal[False] | None"]
"""A rule gives a finding, False where it is sure that there is none, or None where it has nothing to say."""


def _numbered(old: Claim, new: Claim, _same: bool) -> Finding | Literal[False] | None:
    """Two things told apart by their number: "Ticket 42 is open", "Ticket 43 is closed"."""
    return False if old.labels != new.labels else None


def _hedged(old: Claim, new: Claim, _same: bool) -> Finding | Literal[False] | None:
    """What is only possible or wished says nothing against what is."""
    return False if old.hedged != new.hedged else None


def _swapped(old: Claim, new: Claim, same: bool) -> Finding | Literal[False] | None:
    """ "Prefers X over Y" against "Prefers Y over X" or "Prefers Y"."""
    if old.verb != new.verb or not _about_one(old, new, same):
        return None
    left, right = _least(old), _least(new)
    if (left and left & new.object and not old.object & new.object) or (
        right and right & old.object and not old.object & new.object
    ):
        return _opposed(
            new,
            0.9,
            f"What is put first in one comes second in the other: {old.show(old.object)}, {new.show(new.object)}.",
        )
    return None


def _least(claim: Claim) -> Terms:
    """What a claim of preference puts second."""
    second = claim.scope("over") | claim.scope("than") | claim.scope("instead")
    return second | claim.scope("to") if claim.verb == term("prefer") else second


_PERFECT: Final = re.compile(r"\b(?:has been|have been|was|were|got|is (?:now|finally)|generally available|back)\b")


def _ended(old: Claim, new: Claim, _same: bool) -> Finding | Literal[False] | None:
    """An event that ends a state: "Owns a bicycle", "Sold the bicycle"."""
    if old.change == "changed" or not old.affirms or new.hedged:
        return None
    ends = states_of(new.plain)[1]
    if not ends and new.verb not in _ENDS:
        return None
    shared = (old.words & new.words) - WEAK - {old.verb}
    if old.verb == new.verb == "be" and not new.past and not _PERFECT.search(new.plain) and not old.hedged:
        return None
    ended = states_of(old.plain)[0] & ends - states_of(old.plain)[1]
    fits = not old.subject or not new.subject or old.subject & new.subject or shared
    if ended and new.affirms and fits and (shared or ended - SHARING):
        return Finding("update", 0.85, f'"{new.text}" ends what the old statement says.')
    verb = new.verb in _ENDS and not old.hedged and new.verb
    value = old.value - WEAK
    over = (
        (frozenset(word for word in value if not kinds(word) & TIMES) <= new.words and value and old.verb in _HOLDS)
        or shared & old.names
        or old.words <= new.words
    )
    if verb and shared and over and new.affirms and (new.done or new.change) and not old.past:
        return Finding("update", 0.82, f'"{new.text}" tells the end of "{old.show(shared)}".')
    return None


def _equal(old: Claim, new: Claim, same: bool) -> Finding | Literal[False] | None:
    """The same words, once synonyms, forms and numbers are levelled: the same, or its negation."""
    if not _quantities_agree(old, new):
        return None
    left, right = old.words, new.words
    shared = left & right
    extra, other = _beyond(left - right, shared), _beyond(right - left, shared)
    if extra or other or not (shared or (left == right == frozenset() and old.quantities)):
        return None
    doers_differ = old.subject and new.subject and old.verb == new.verb and not old.subject & new.subject
    if doers_differ and old.verb not in {"be", ""} and bool(old.scope("by")) == bool(new.scope("by")):
        return None
    if _named_apart(old, new, same):
        return None
    exact = left == right
    if old.affirms != new.affirms:
        if old.past != new.past and old.verb in {term("live"), term("work")}:
            return None
        return _opposed(new, 0.92 if exact else 0.8, f'One affirms what the other denies: "{old.show(shared)}".')
    if old.frequency is not None and new.frequency is not None and abs(old.frequency - new.frequency) >= 2:
        return _opposed(new, 0.85, f'They disagree on how often: "{old.show(shared)}".')
    if new.change == "changed" and old.verb != new.verb and not exact:
        return None
    return Finding("duplicate", 0.9 if exact else 0.75, f'Both say the same: "{old.show(shared)}".')


def _denied(old: Claim, new: Claim, same: bool) -> Finding | Literal[False] | None:
    """A denial that covers what the other affirms: "Does not eat meat", "Eats meat on Sundays"."""
    if old.affirms == new.affirms or not _about_one(old, new, same):
        return None
    denial, other = (old, new) if new.affirms else (new, old)
    if denial.verb != other.verb and denial.verb not in {"be", term("use"), term("have")}:
        return False if not _opposites(old, new) else None
    wide, narrow = denial.words - WEAK, other.words
    core = wide - {denial.verb}
    if core and core <= narrow and denial.verb == other.verb and _quantities_agree(old, new, loosely=True):
        return _opposed(new, 0.75, f"One denies what the other affirms: {denial.show(wide)}.")
    covered = {KIND_NAMES[word] for word in core if word in KIND_NAMES}
    if denial.verb == other.verb and covered & kinds_of(other.object):
        return _opposed(new, 0.75, f"One denies all {denial.show(core)}, the other affirms {other.show(other.object)}.")
    return None


def _opposites(old: Claim, new: Claim) -> tuple[str, str] | None:
    left, right = old.words, new.words
    shared = left & right
    extra, other = _beyond(left - right, shared), _beyond(right - left, shared)
    if len(extra) == len(other) == 1:
        (one,), (two,) = extra, other
        if are_opposite(one, two):
            return one, two
    return None


def _antonym(old: Claim, new: Claim, same: bool) -> Finding | Literal[False] | None:
    """All the same but for one word and its opposite."""
    pair = _opposites(old, new)
    if not pair or not _quantities_agree(old, new, loosely=True):
        return None
    one, two = pair
    if (one in old.subject and two in new.subject) or _named_apart(old, new, same):
        return False
    if not old.words & new.words and not (old.subject == new.subject and old.verb == new.verb):
        return None
    if old.affirms != new.affirms:
        return Finding("duplicate", 0.6, f'"{one}" denied is "{two}".')
    if is_many(old.verb) and old.verb == new.verb and not (old.object - {one} or old.subject):
        return False
    return _opposed(new, 0.9, f'"{one}" and "{two}" are opposites.')


def _measured(old: Claim, new: Claim, same: bool) -> Finding | Literal[False] | None:
    """Another number, time or date in the same frame."""
    if not old.quantities or not new.quantities or _quantities_agree(old, new):
        return None
    if old.affirms != new.affirms or _named_apart(old, new, same):
        return False
    pairs = [
        (one, two) for one, two in zip(_unmet(old, new), _unmet(new, old), strict=False) if kind_of(one) == kind_of(two)
    ]
    if not pairs:
        return None
    left, right = _frame(old), _frame(new)
    shared = left & right
    if not shared:
        left, right = left | old.subject, right | new.subject  # "The launch is on 12 March"
        shared = left & right
    if not shared:
        return None
    extra, other = _beyond(left - right, shared), _beyond(right - left, shared)
    if kinds_of(extra) & kinds_of(other) & TIMES:  # "June 2027", "August 2026"
        extra, other = (frozenset(word for word in some if not kinds(word) & TIMES) for some in (extra, other))
    one, two = pairs[0]
    reason = f'"{old.show(shared)}": {spoken(one)} in the old, {spoken(two)} in the new.'
    if new.change:
        other -= {new.verb}
        topic = (old.subject | old.object) & (new.subject | new.object | new.scope("to"))
        if topic and not (extra and other) and not (old.subject and new.subject and not old.subject & new.subject):
            return Finding("update", 0.88, reason)
    if extra or other:
        return None
    is_which = kind_of(one) == "number" and "." not in one
    which = old.verb in _ONE_VERSION and shared & old.names & new.names  # "Requires Java 17"
    if is_many(old.verb) and is_which and not which and not re.search(rf"{re.escape(one)} [a-z]", old.plain):
        return False  # which one, not how many nor a version: "Likes item 5", "Likes item 6"
    if old.past and new.past and not old.subject and old.verb not in {term("born"), term("bear")}:
        return False
    if is_many(old.verb) and not old.subject and not old.object and kind_of(one) in {"date"}:
        return False
    return _opposed(new, 0.88, reason)


_ONE_VERSION: Final = _terms("require need depend")


def _one_more(old: Claim, new: Claim, _same: bool) -> Finding | Literal[False] | None:
    """One more of what was counted: "Has one child", "Had a second child"."""
    shared = old.object & new.object
    if (
        shared
        and new.done
        and new.affirms
        and old.verb in _COUNTED
        and new.verb in _COUNTED
        and _ORDINAL.search(new.plain)
    ):
        return Finding("update", 0.8, f"One more: {new.show(new.object)}.")
    return None


_COUNTED: Final = _terms("have own get buy adopt hire keep add")
_ORDINAL: Final = re.compile(r"\b(?:second|third|fourth|fifth|sixth|another|one more)\b")


def _valued(old: Claim, new: Claim, same: bool) -> Finding | Literal[False] | None:
    """A place for one value, with two."""
    if not _about_one(old, new, same) or not old.affirms or not new.affirms or old.hedged:
        return None
    if not _quantities_agree(old, new, loosely=True):
        return None
    if (old.verb == new.verb and old.past == new.past) or (old.verb == new.verb and new.change):
        if old.subject != new.subject and old.subject and new.subject and not new.change:
            return None
        clash = clash_of(old, new)
        if clash:
            if old.past and not old.subject and old.verb not in _ONCE:
                return None
            return _opposed(
                new,
                clash.confidence,
                f'"{clash.slot}" takes one value: "{clash.old}" in the old, "{clash.new}" in the new.',
            )
    kind = named_kind(old)
    if kind and kind == named_kind(new) and not old.scopes and not new.scopes:
        left = frozenset(word for word in old.object if kind in kinds(word))
        right = frozenset(word for word in new.object if kind in kinds(word))
        if left and left == right:
            return Finding("duplicate", 0.85, f"Both name {old.show(left)} as the {kind}.")
        if left and right and old.verb != new.verb:
            return _opposed(new, 0.75, f"Two of one kind ({kind}): {old.show(left)}, {new.show(right)}.")
    return None


_ONCE: Final = _terms("born bear grow come graduate name call build")


def _replaced(old: Claim, new: Claim, _same: bool) -> Finding | Literal[False] | None:
    """A change told in words of its own: "Uses Jenkins for CI", "Switched to GitHub Actions for CI"."""
    if not new.change or not new.affirms or not old.affirms or old.hedged or new.hedged:
        return None
    if old.subject and new.subject and not (old.subject | old.object) & (new.subject | new.object):
        return None
    target = new.scope("to") | new.scope("with") | new.scope("for") | new.scope("into") | new.scope("in") | new.object
    given_up = new.scope("from") | new.object
    value = old.value
    ours, others = kinds_of(value), kinds_of(target - new.object if new.verb in _ENDS else target)
    mine = old.subject == new.subject
    if (given_up & value) - WEAK and new.verb in _REPLACES:
        return Finding("update", 0.88, f"The new statement replaces {old.show(given_up & value)}.")
    if ours & others - TIMES and not target & value and (mine or not old.subject or old.subject & new.words):
        shared = ours & others - TIMES
        return Finding(
            "update", 0.85, f"A change within one kind ({min(shared)}): {old.show(value)}, then {new.show(target)}."
        )
    topic = (old.subject or old.scope("for")) - WEAK or (old.subject if mine else frozenset())
    if (
        topic
        and topic <= new.subject | new.object | new.scope("for")
        and (differ(value - topic, target - topic) or new.subject or "new" in new.object)
    ):
        return Finding("update", 0.82, f"The new statement tells a change of {new.show(topic)}.")
    if (
        new.verb == term("move")
        and old.verb == term("live")
        and mine
        and not new.object
        and value
        and target - old.object
    ):
        return Finding("update", 0.85, f"A move: {old.show(value)}, then {new.show(target)}.")
    if old.verb == term("work") and mine and old.scope("at") | old.scope("as") | old.scope("in") and new.words & _JOBS:
        return Finding("update", 0.7, f"A change of work: {old.show(value)}, then {new.show(target)}.")
    if old.verb == term("study") and new.verb == term("change"):
        return Finding("update", 0.7, f"A change of studies: {old.show(value)}, then {new.show(target)}.")
    if new.verb in {term("switch"), term("migrate"), term("change"), term("move")} and new.scope("to"):
        unknown = mine and not ours and not others
        if (
            old.verb in {term("use"), term("prefer"), term("drive")}
            and unknown
            and not new.scope("for")
            and not old.scopes
        ):
            return Finding("update", 0.55, f"A switch to {new.show(target)}, perhaps from {old.show(value)}.")
    one_thing = old.verb not in {"be", term("use"), term("have")} or old.subject & new.subject
    if (
        new.change == "now"
        and old.verb == new.verb
        and not is_many(old.verb)
        and one_thing
        and differ(value, new.value)
    ):
        return Finding(
            "update", 0.7, f"What is so now replaces what was: {old.show(value)}, then {new.show(new.value)}."
        )
    return None


_JOBS: Final = _terms("promote join transfer become")
_REPLACES: Final = _terms("replace swap trade switch move migrate change transition convert exchange transfer")


def _implied(old: Claim, new: Claim, _same: bool) -> Finding | Literal[False] | None:
    """What a way of eating excludes."""
    for one, other in ((old, new), (new, old)):
        if EXCLUDES.keys().isdisjoint(one.words):
            continue
        diets = one.words & EXCLUDES.keys()
        if (
            diets
            and one.affirms
            and other.affirms
            and other.verb in _CONSUMED
            and not other.subject
            and not one.subject
        ):
            excluded = frozenset().union(*(EXCLUDES[diet] for diet in diets))
            eaten = other.object & EXCLUDED_BY_NAME | {word for word in other.object if kinds(word) & excluded}
            if eaten:
                return _opposed(new, 0.85, f"{one.show(diets)} excludes {other.show(eaten)}.")
    return None


EXCLUDES: Final = {
    term("vegetarian"): frozenset({"meat"}),
    term("vegan"): frozenset({"meat", "dairy", "seafood"}),
    term("pescatarian"): frozenset({"meat"}),
    term("teetotal"): frozenset({"alcohol"}),
    term("teetotaler"): frozenset({"alcohol"}),
}
EXCLUDED_BY_NAME: Final = _terms("meat")
_CONSUMED: Final = _terms("eat like drink prefer cook order")


def _alike(old: Claim, new: Claim, same: bool) -> Finding | Literal[False] | None:
    """Nearly all words in common, with nothing that tells them apart."""
    left, right = old.words, new.words
    shared = left & right
    if len(shared) < _LEAST_ALIKE or old.affirms != new.affirms or new.change:
        return None
    if not _quantities_agree(old, new) or _named_apart(old, new, same):
        return None
    extra, other = _beyond(left - right, shared), _beyond(right - left, shared)
    union = len(shared | extra | other)
    if union > _LEAST_ALIKE and len(shared) / union >= 0.75 and not (extra and other):
        return Finding("duplicate", 0.6, f'Both say nearly the same: "{old.show(shared)}".')
    return None


_LEAST_ALIKE: Final = 3
"""Terms in common, of at least one more, with which two statements may be nearly the same."""


_RULES: Final[tuple[Rule, ...]] = (
    _numbered,
    _ended,
    _hedged,
    _swapped,
    _equal,
    _denied,
    _antonym,
    _measured,
    _one_more,
    _valued,
    _replaced,
    _implied,
    _alike,
)


def _opposed(new: Claim, confidence: float, reason: str) -> Finding:
    """An update where the new claim says that something changed, a contradiction otherwise."""
    return Finding("update" if new.change else "contradiction", confidence, reason)


def _about_one(old: Claim, new: Claim, same: bool) -> bool:
    """Whether two claims can speak of one subject."""
    if old.subject == new.subject:
        return True
    if not old.subject or not new.subject:
        subject = old.subject | new.subject
        return subject <= _GENERIC or (same and _is_name(old if old.subject else new))
    left, right = old.subject - WEAK, new.subject - WEAK
    return left == right


def _is_name(claim: Claim) -> bool:
    """Whether the subject is written as a name that the claim begins with, and is no relative or thing."""
    first = claim.text.split(maxsplit=1)[0]
    is_first = claim.subject == {term(first.lower())} and first[0].isupper() and not claim.subject & _RELATIVES
    return claim.subject <= claim.names or is_first


_RELATIVES: Final = ATTRIBUTES | _terms(
    "brother sister mother father son daughter child cousin aunt uncle grandmother grandfather friend neighbour dog cat"
)


def _named_apart(old: Claim, new: Claim, same: bool) -> bool:
    """Whether one claim names somebody and the other somebody else, or nobody."""
    if same:
        return False
    left, right = old.subject - new.words, new.subject - old.words
    return bool((left & old.names) or (right & new.names)) and not (left | right) <= WEAK


def _beyond(extra: Terms, shared: Terms) -> Terms:
    """Terms that tell more than the shared ones: neither weak, nor the name of a kind that a shared term is of."""
    extra = extra - WEAK
    if not extra or KIND_NAMES.keys().isdisjoint(extra):
        return extra
    named = kinds_of(shared)
    return frozenset(word for word in extra if KIND_NAMES.get(word) not in named)


def _frame(claim: Claim) -> Terms:
    """What a quantity is said of."""
    return claim.words - _TIMED - ({claim.verb} if claim.change == "changed" else frozenset())


def _unmet(claim: Claim, other: Claim) -> list[str]:
    if claim.quantities == other.quantities:
        return []
    return [one for one in claim.quantities if not any(is_same(one, two) for two in other.quantities)]


def _quantities_agree(old: Claim, new: Claim, *, loosely: bool = False) -> bool:
    """Whether each quantity of one is met in the other; loosely, also where one of them has none."""
    if loosely and not (old.quantities and new.quantities):
        return True
    return not _unmet(old, new) and not _unmet(new, old)
