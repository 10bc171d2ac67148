"""What two observations have to do with one another: the same, one replacing the other, or both impossible together.

Above it lie the operations on conflicts; below it `rules.claims` takes observations apart, `rules.slots` knows which places
hold one value and `rules.overlap` compares whole lists. The rules are tried in order, and the first that speaks decides.
Words in common only tell that two statements are about one thing; polarity, place, quantity and cue decide which kind of
finding it is. `tests/quality/conflicts.py` measures what that is worth.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, Literal

from enhanced_memory.rules import overlap
from enhanced_memory.rules.claims import Claim, Terms, claim_of
from enhanced_memory.rules.meanings import KIND_NAMES, alternatives, are_opposite, kinds, kinds_of, term
from enhanced_memory.rules.quantities import is_same, kind_of
from enhanced_memory.rules.slots import TIMES, clash_of, differ, is_many, named_kind
from enhanced_memory.rules.text import analyse

Kind = Literal["duplicate", "update", "contradiction"]

ACTIONS: Final[dict[Kind, str]] = {"duplicate": "merge", "update": "update", "contradiction": "review"}


MAX_LENGTH: Final = 400
"""Characters up to which an observation is one statement; longer ones are only compared as a whole."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What two observations are to one another; `confidence` 0..1, `reason` a sentence for a person."""

    kind: Kind
    confidence: float
    reason: str


@dataclass(frozen=True, slots=True)
class Evidence:
    """Two observations and what was found about them."""

    new: str
    existing: str
    reason: str
    confidence: float


@dataclass(frozen=True, slots=True)
class Verdict:
    """What two entities are to one another, with what shows it, surest first."""

    conflict_type: Kind
    confidence: float
    suggested_action: str
    details: str
    evidence: tuple[Evidence, ...]


def _terms(words: str) -> Terms:
    return frozenset(map(term, words.split()))


_WEAK: Final = _terms(
    """size number count time date value version level amount total current new thing person people member named allow
    name day currently person place way set own scheduled planned schedule plan expected last week month year lot
    happen start begin run lie take occur fall bit really actually usually quite old own anything something age message
    must routine habit"""
)
"""Terms that a statement can do without and still say the same."""

_TIMED: Final = _terms("run start begin happen occur take fire launch kick open schedule plan set last fall be leave")
_ENDS: Final = _terms(
    """sell lose die quit leave stop cancel finish complete fix close merge release ship remove delete drop abandon end
    heal expire deprecate archive retire solve resolve divorce graduate break crash demolish give return discontinue
    scrap dissolve sunset pass unsubscribe decommission shut recover defend submit deliver terminate"""
)
_HOLDS: Final = _terms(
    """have own use be read watch write work study learn play subscribe rent drive date need wait plan train open build
    prepare live smoke attend develop lead run love"""
) | {""}


_GENERIC: Final = _terms("project team app repository code codebase company office")
"""Subjects that may be left unsaid."""


def _over(old: str, new: str) -> tuple[re.Pattern[str], re.Pattern[str]]:
    return re.compile(rf"(?<!\w)(?:{old})\b"), re.compile(rf"(?<!\w)(?:{new})\b")


_STATES: Final = tuple(
    _over(old, new)
    for old, new in (
        (
            r"pregnant|expecting (?:a |her |their )?(?:baby|child)",
            r"gave birth|had (?:a|the|her|their) (?:baby|boy|girl|son|daughter)|baby (?:was|is|has been)? ?born|became (?:a )?(?:mother|father|parents?)",
        ),
        (
            r"single|divorced|widowed|not married",
            r"got (?:married|engaged)|married(?: \w+)? |is (?:married|engaged|dating)|in a relationship|started dating|spouse is",
        ),
        (r"engaged|fianc\w+", r"(?:got |is |are )married|wedding was|called off"),
        (
            r"married|spouse is|dating|girlfriend|boyfriend|in a relationship|together with",
            r"divorced|separated|widowed|broke up|split up|is single|left (?:his|her|their) (?:wife|husband)",
        ),
        (
            r"works? (?:at|in|as)|job|developer|employed",
            r"quit(?: \w+)* (?:job|work)|retired|resigned|laid off|was fired|left (?:his|her|the|their) (?:job|company)|became unemployed|lost (?:his|her|the|their) job|is unemployed",
        ),
        (
            r"looking for (?:a |new )*(?:job|work)|job hunting|unemployed|between jobs|interviewing|searching for (?:a |new )*(?:job|work)",
            r"(?:found|got|started|accepted|landed|has)(?: \w+){0,2} (?:job|position|offer|role)|hired|works (?:at|for|as)|joined",
        ),
        (
            r"student|studies|studying|attends?|in (?:college|university|school)|phd candidate",
            r"graduated|finished (?:\w+ )?(?:degree|studies|school|college|university)|dropped out|got (?:a|the|his|her) (?:degree|phd|diploma)",
        ),
        (
            r"rents?|renting|tenant",
            r"bought (?:\w+ )*(?:house|flat|apartment|home|condo)|owns? (?:\w+ )*(?:house|flat|apartment|home|condo)",
        ),
        (
            r"lives? with (?:his |her |their |the )?(?:parents|family|mother|roommates?|flatmates?)",
            r"moved (?:in|out)\w*",
        ),
        (r"(?:learning|learns) to drive|driving lessons", r"(?:passed|got) (?:\w+ )?(?:driving|driver)\w*"),
        (r"training for|preparing for|studying for", r"(?:finished|completed|ran|passed|won|took)"),
        (
            r"planning (?:a |the )?(?:trip|vacation|holiday|visit)|going to visit",
            r"(?:came|come|got) back from|returned from|visited|went to",
        ),
        (
            r"sick|ill|has (?:a |the )?(?:cold|flu|covid|fever)|in (?:the )?hospital|injured",
            r"recovered|is (?:healthy|well|fine)|(?:came|come) (?:home|out)|better|released|healed",
        ),
        (r"smokes?|smoker|drinks?", r"(?:quit|stopped|gave up) (?:smoking|drinking|alcohol|cigarettes)|is sober"),
        (
            r"no children|childless|no kids",
            r"had (?:a|the|their|her|his|@1) \w+|gave birth|became (?:a )?(?:parent|mother|father)|adopted",
        ),
        (r"(?:one|@1) (?:child|kid|son|daughter)", r"(?:second|another) (?:child|kid|baby|son|daughter)"),
        (
            r"waiting|pending|applied|in progress|under (?:review|construction|development)|in review|draft|open|blocked|unresolved|in (?:beta|alpha)|planned|todo|not started|work in progress|wip|broken",
            r"merged|fixed|resolved|closed|approved|rejected|granted|arrived|released|shipped|launched|completed|done|finished|(?:generally |now )?available|published|live|unblocked|cancelled|canceled|healed|received|started|repaired|went live|deployed",
        ),
        (
            r"(?:at|in|with) the|on (?:\w+ )?(?:leave|vacation|holiday|sabbatical)|away|abroad|travell?ing",
            r"(?:is|am|are|came|come|got) back|returned",
        ),
        (r"alive", r"died|passed away"),
    )
)
"""A state, and the events that end it, as they are told."""

_SHARING: Final = frozenset(range(len(_STATES) - 3, len(_STATES) - 1))
"""Places of states so common that the event must name the same thing."""

_ANY_STATE: Final = re.compile("|".join(part.pattern for pair in _STATES for part in pair))


@lru_cache(maxsize=65_536)
def _states(plain: str) -> tuple[frozenset[int], frozenset[int]]:
    """Places in _STATES of the states a text tells, and of those whose end it tells."""
    if not _ANY_STATE.search(plain):
        return frozenset(), frozenset()
    return tuple(frozenset(n for n, pair in enumerate(_STATES) if pair[side].search(plain)) for side in (0, 1))  # type: ignore[return-value]


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
    return next((finding for rule in _RULES if (finding := rule(ours, theirs, same_entity)) is not None), None) or None


Rule = Callable[[Claim, Claim, bool], "Finding | Literal[False] | None"]
"""A rule gives a finding, False where it is sure that there is none, or None where it has nothing to say."""


def _hedged(old: Claim, new: Claim, same: bool) -> Finding | Literal[False] | None:
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


def _ended(old: Claim, new: Claim, same: bool) -> Finding | Literal[False] | None:
    """An event that ends a state: "Owns a bicycle", "Sold the bicycle"."""
    if old.change == "changed" or not old.affirms or new.hedged:
        return None
    shared = (old.words & new.words) - _WEAK - {old.verb}
    if old.verb == new.verb == "be" and not new.past and not _PERFECT.search(new.plain) and not old.hedged:
        return None
    ended = _states(old.plain)[0] & _states(new.plain)[1] - _states(old.plain)[1]
    if ended and new.affirms and (not old.subject or not new.subject or old.subject & new.subject or shared):
        if shared or ended - _SHARING:
            return Finding("update", 0.85, f"What the new statement tells ends what the old one says ({new.text}).")
    verb = new.verb in _ENDS and not old.hedged and new.verb
    if verb and shared and new.affirms and (new.done or new.change) and not old.past:
        if old.value - _WEAK <= new.words and old.verb in _HOLDS or shared & old.names or old.words <= new.words:
            return Finding("update", 0.82, f"The new statement tells the end of {old.show(shared)} ({verb}).")
        return None
    return None


def _equal(old: Claim, new: Claim, same: bool) -> Finding | Literal[False] | None:
    """The same words, once synonyms, forms and numbers are levelled: the same, or its negation."""
    if not _quantities_agree(old, new):
        return None
    left, right = old.words, new.words
    shared = left & right
    extra, other = _beyond(left - right, shared), _beyond(right - left, shared)
    if extra or other or not (shared or left == right == frozenset() and old.quantities):
        return None
    if old.subject and new.subject and old.verb == new.verb not in {"be", ""} and not old.subject & new.subject:
        if bool(old.scope("by")) == bool(new.scope("by")):
            return None
    if _named_apart(old, new, same):
        return None
    exact = left == right
    if old.affirms != new.affirms:
        if old.past != new.past and old.verb in {term("live"), term("work")}:
            return None
        return _opposed(new, 0.92 if exact else 0.8, f"One affirms what the other denies: {old.show(shared)}.")
    if old.frequency is not None and new.frequency is not None and abs(old.frequency - new.frequency) >= 2:
        return _opposed(new, 0.85, f"They disagree on how often: {old.show(shared)}.")
    if new.change == "changed" and old.verb != new.verb and not exact:
        return None
    return Finding("duplicate", 0.9 if exact else 0.75, f"Both say the same: {old.show(shared)}.")


def _denied(old: Claim, new: Claim, same: bool) -> Finding | Literal[False] | None:
    """A denial that covers what the other affirms: "Does not eat meat", "Eats meat on Sundays"."""
    if old.affirms == new.affirms or not _about_one(old, new, same):
        return None
    denial, other = (old, new) if new.affirms else (new, old)
    if denial.verb != other.verb and denial.verb not in {"be", term("use"), term("have")}:
        return False if not _opposites(old, new) else None
    wide, narrow = denial.words - _WEAK, other.words
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
        return None
    extra, other = _beyond(left - right, shared), _beyond(right - left, shared)
    one, two = pairs[0]
    reason = f"{old.show(shared)}: {one[1:]} in one, {two[1:]} in the other."
    if new.change:
        other -= {new.verb}
        topic = (old.subject | old.object) & (new.subject | new.object | new.scope("to"))
        if topic and not (extra and other) and not (old.subject and new.subject and not old.subject & new.subject):
            return Finding("update", 0.88, reason)
    if extra or other:
        return None
    if old.past and new.past and not old.subject and old.verb not in {term("born"), term("bear")}:
        return False
    if is_many(old.verb) and not old.subject and not old.object and kind_of(one) in {"date"}:
        return False
    return _opposed(new, 0.88, reason)


def _valued(old: Claim, new: Claim, same: bool) -> Finding | Literal[False] | None:
    """A place for one value, with two."""
    if not _about_one(old, new, same) or not old.affirms or not new.affirms or old.hedged:
        return None
    if not _quantities_agree(old, new, loosely=True):
        return None
    if old.verb == new.verb and old.past == new.past or (old.verb == new.verb and new.change):
        if old.subject != new.subject and old.subject and new.subject and not new.change:
            return None
        clash = clash_of(old, new)
        if clash:
            if old.past and not old.subject and old.verb not in _ONCE:
                return None
            return _opposed(
                new, clash.confidence, f"{clash.slot} holds one value: {clash.old} in one, {clash.new} in the other."
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


_ONCE: Final = _terms("born bear grow come graduate name call")


def _replaced(old: Claim, new: Claim, same: bool) -> Finding | Literal[False] | None:
    """A change told in words of its own: "Uses Jenkins for CI", "Switched to GitHub Actions for CI"."""
    if not new.change or not new.affirms or not old.affirms or old.hedged or new.hedged:
        return None
    if old.subject and new.subject and not (old.subject | old.object) & (new.subject | new.object):
        return None
    target = new.scope("to") | new.scope("with") | new.scope("for") | new.scope("into") | new.scope("in") | new.object
    given_up = new.scope("from") | new.object
    value = old.value
    ours, others = kinds_of(value), kinds_of(target)
    mine = old.subject == new.subject
    if (given_up & value) - _WEAK and new.verb in _REPLACES:
        return Finding("update", 0.88, f"The new statement replaces {old.show(given_up & value)}.")
    if ours & others - TIMES and not target & value and (mine or not old.subject or old.subject & new.words):
        shared = ours & others - TIMES
        return Finding(
            "update", 0.85, f"A change within one kind ({min(shared)}): {old.show(value)}, then {new.show(target)}."
        )
    topic = (old.subject or old.scope("for")) - _WEAK
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
    if new.change == "now" and old.verb == new.verb and not is_many(old.verb) and differ(value, new.value):
        if old.verb not in {"be", term("use"), term("have")} or old.subject & new.subject:
            return Finding(
                "update", 0.7, f"What is so now replaces what was: {old.show(value)}, then {new.show(new.value)}."
            )
    return None


_JOBS: Final = _terms("promote join transfer become")
_REPLACES: Final = _terms("replace swap trade switch move migrate change transition convert exchange transfer")


def _implied(old: Claim, new: Claim, same: bool) -> Finding | Literal[False] | None:
    """What a way of eating excludes."""
    for one, other in ((old, new), (new, old)):
        diets = one.words & _EXCLUDES.keys()
        if (
            diets
            and one.affirms
            and other.affirms
            and other.verb in _CONSUMED
            and not other.subject
            and not one.subject
        ):
            excluded = frozenset().union(*(_EXCLUDES[diet] for diet in diets))
            eaten = other.object & _EXCLUDED_BY_NAME | {word for word in other.object if kinds(word) & excluded}
            if eaten:
                return _opposed(new, 0.85, f"{one.show(diets)} excludes {other.show(eaten)}.")
    return None


_EXCLUDES: Final = {
    term("vegetarian"): frozenset({"meat"}),
    term("vegan"): frozenset({"meat", "dairy", "seafood"}),
    term("pescatarian"): frozenset({"meat"}),
    term("teetotal"): frozenset({"alcohol"}),
    term("teetotaler"): frozenset({"alcohol"}),
}
_EXCLUDED_BY_NAME: Final = _terms("meat")
_CONSUMED: Final = _terms("eat like drink prefer cook order")


def _alike(old: Claim, new: Claim, same: bool) -> Finding | Literal[False] | None:
    """Nearly all words in common, with nothing that tells them apart."""
    if old.affirms != new.affirms or not _quantities_agree(old, new) or _named_apart(old, new, same) or new.change:
        return None
    left, right = old.words, new.words
    shared = left & right
    extra, other = _beyond(left - right, shared), _beyond(right - left, shared)
    union = len(shared | extra | other)
    if union >= 4 and len(shared) / union >= 0.75 and not (extra and other):
        return Finding("duplicate", 0.6, f"Both say nearly the same: {old.show(shared)}.")
    return None


_RULES: Final[tuple[Rule, ...]] = (
    _ended,
    _hedged,
    _swapped,
    _equal,
    _denied,
    _antonym,
    _measured,
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
        return subject <= _GENERIC or (same and subject <= old.names | new.names)
    left, right = old.subject - _WEAK, new.subject - _WEAK
    return left == right


def _named_apart(old: Claim, new: Claim, same: bool) -> bool:
    """Whether one claim names somebody and the other somebody else, or nobody."""
    if same:
        return False
    left, right = old.subject - new.words, new.subject - old.words
    return bool((left & old.names) or (right & new.names)) and not (left | right) <= _WEAK


def _beyond(extra: Terms, shared: Terms) -> Terms:
    """Terms that tell more than the shared ones: neither weak, nor the name of a kind that a shared term is of."""
    named = kinds_of(shared)
    return frozenset(word for word in extra if word not in _WEAK and KIND_NAMES.get(word) not in named)


def _frame(claim: Claim) -> Terms:
    """What a quantity is said of."""
    return claim.words - _TIMED - ({claim.verb} if claim.change == "changed" else frozenset())


def _unmet(claim: Claim, other: Claim) -> list[str]:
    return [one for one in claim.quantities if not any(is_same(one, two) for two in other.quantities)]


def _quantities_agree(old: Claim, new: Claim, *, loosely: bool = False) -> bool:
    """Whether each quantity of one is met in the other; loosely, also where one of them has none."""
    if loosely and not (old.quantities and new.quantities):
        return True
    return not _unmet(old, new) and not _unmet(new, old)


def compare(old: Sequence[str], new: Sequence[str], *, threshold: float = overlap.DUPLICATE) -> Verdict | None:
    """What one entity's observations are to another's; None where neither overlap nor any pair says anything.

    A contradiction wins whatever the overlap; then the overlap speaks (above `threshold` a duplicate, above 0.3 an update,
    with itself as confidence), then the findings of single pairs. Only pairs that share a term, a kind or a state are
    judged, so that long lists cost little. One observation each gives what `judge` says.

    Source of the thresholds: guide, step 6.
    """
    evidence = _evidence(old, new)
    share = overlap.likeness(new, old)
    if len(old) == len(new) == 1:
        by_overlap = None
    else:
        by_overlap = overlap.verdict_of(share, threshold)
    against = [one for kind, one in evidence if kind == "contradiction"]
    if against:
        return _verdict("contradiction", against[0].confidence, against[0].reason, against)
    if by_overlap:
        details = f"{share:.0%} of the observations of the larger list are in both."
        return _verdict(by_overlap, round(share, 3), details, [one for _, one in evidence])
    if not evidence:
        return None
    updates = [one for kind, one in evidence if kind == "update"]
    if updates:
        return _verdict("update", updates[0].confidence, updates[0].reason, updates)
    same = [one for _, one in evidence]
    repeated = len({one.new for one in same}) / max(len(set(old)), len(set(new)))
    kind = overlap.verdict_of(repeated, threshold)
    if kind is None:
        return None
    confidence = same[0].confidence * repeated
    return _verdict(kind, round(confidence, 3), same[0].reason, same)


def _verdict(kind: Kind, confidence: float, details: str, evidence: Sequence[Evidence]) -> Verdict:
    return Verdict(kind, confidence, ACTIONS[kind], details, tuple(evidence[:MAX_EVIDENCE]))


MAX_JUDGED: Final = 100
"""Observations of one entity that one of another is judged against at most: those that share most with it."""

MAX_EVIDENCE: Final = 20
"""Pairs of observations a verdict shows at most."""


def _evidence(old: Sequence[str], new: Sequence[str]) -> list[tuple[Kind, Evidence]]:
    """Findings of the pairs that have something in common, surest first."""
    places: defaultdict[str, list[int]] = defaultdict(list)
    theirs = list(dict.fromkeys(old))
    for place, existing in enumerate(theirs):
        for key in _keys(existing):
            places[key].append(place)
    found: list[tuple[Kind, Evidence]] = []
    for text in dict.fromkeys(new):
        shared: defaultdict[int, float] = defaultdict(float)
        for key in _keys(text):
            for place in places.get(key, ()):
                shared[place] += 1 / len(places[key])
        for place in sorted(shared, key=lambda place: (-shared[place], place))[:MAX_JUDGED]:
            finding = judge(theirs[place], text)
            if finding:
                found.append((finding.kind, Evidence(text, theirs[place], finding.reason, finding.confidence)))
    found.sort(key=lambda one: -one[1].confidence)
    return found


@lru_cache(maxsize=65_536)
def _keys(observation: str) -> frozenset[str]:
    """What two observations must have one of in common to be worth judging: terms, kinds, or a state and its end."""
    if len(observation) > MAX_LENGTH:
        return frozenset({overlap.levelled(observation)})
    claim = claim_of(observation)
    keys = set(claim.words) | {f"kind {kind}" for kind in kinds_of(claim.words)}
    keys |= {f"kind {KIND_NAMES[word]}" for word in claim.words if word in KIND_NAMES}
    keys |= {f"state {n}" for side in _states(claim.plain) for n in side}
    keys.add(overlap.levelled(observation))
    for diet in claim.words & _EXCLUDES.keys():
        keys |= {f"kind {kind}" for kind in _EXCLUDES[diet]} | set(_EXCLUDED_BY_NAME)
    if claim.verb in {"be", ""} and not claim.subject:
        keys.add("being")
    if claim.verb in _MOVES or claim.change:
        keys.add("change")
    return frozenset(keys)


_MOVES: Final = _terms("live work use prefer drive study")


def subject_terms(observation: str) -> tuple[str, ...]:
    """Tokens by which to look for observations that one may be in conflict with, most telling first.

    As the index writes them (`rules.text.analyse`): subject, then what is said, then the verb. Empty only where the text
    has no letter and no digit.
    """
    claim = claim_of(observation[:MAX_LENGTH])
    tokens = dict.fromkeys(analyse(observation))
    order = sorted(tokens, key=lambda token: (token in _COMMON, token not in claim.subject))
    return tuple(order)


_COMMON: Final = frozenset(
    token
    for word in "user uses likes prefers has works lives wants needs always now".split()
    for token in analyse(word)
)
"""Tokens of what so many memories say that they tell little."""


@lru_cache(maxsize=65_536)
def related_terms(observation: str) -> tuple[str, ...]:
    """Tokens of what a conflicting observation may say instead: the other words of its verb and the rest of its kinds.

    "Uses MySQL" has no word in common with "Migrated to PostgreSQL"; these words lead from one to the other.
    """
    claim = claim_of(observation[:MAX_LENGTH])
    words = [other for word in sorted(claim.words) for other in alternatives(word)]
    own = set(analyse(observation))
    return tuple(
        token for token in dict.fromkeys(token for word in words for token in analyse(word)) if token not in own
    )
