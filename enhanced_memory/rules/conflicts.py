"""What one entity's observations have to do with another's, and by which words to look for those to compare.

Above it lie the operations on conflicts; below it `rules.judging` for single pairs and `rules.overlap` for whole lists.
"""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import accumulate
from typing import Final

from enhanced_memory.rules import overlap
from enhanced_memory.rules.claims import Terms, claim_of
from enhanced_memory.rules.endings import states_of
from enhanced_memory.rules.judging import EXCLUDED_BY_NAME, EXCLUDES, MAX_LENGTH, Finding, Kind, judge
from enhanced_memory.rules.meanings import KIND_NAMES, alternatives, kinds_of, term
from enhanced_memory.rules.owners import (
    NOBODY,
    Owner,
    are_apart,
    are_two,
    is_of_owner,
    levelled_subjects,
    names_subject,
)
from enhanced_memory.rules.text import analyse

__all__ = [
    "ACTIONS",
    "Evidence",
    "Finding",
    "Kind",
    "Verdict",
    "compare",
    "judge",
    "judge_owned",
    "related_terms",
    "subject_terms",
]

ACTIONS: Final[dict[Kind, str]] = {"duplicate": "merge", "update": "update", "contradiction": "review"}


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


def compare(
    old: Sequence[str],
    new: Sequence[str],
    *,
    threshold: float = overlap.DUPLICATE,
    pairs: Iterable[tuple[str, str]] | None = None,
    same_type: bool = True,
    owners: tuple[Owner, Owner] = (NOBODY, NOBODY),
) -> Verdict | None:
    """What one entity's observations are to another's; None where neither overlap nor any pair says anything.

    A contradiction wins whatever the overlap; then the overlap speaks (above `threshold` a duplicate, above 0.3 an
    update, with itself as confidence), then the findings of single pairs. Observations in both lists are held against
    nothing else, and only pairs that share a term, a kind or a state are judged, so that long lists cost little. One
    observation each gives what `judge` says. With `pairs` (old, new), only these are judged: a quick look, by which to
    tell whether the whole is worth comparing.

    `owners` are the two entities, whom observations without a subject are about (`rules.owners`).

    Entities of two types are mostly two things. What they say in common counts where there is more than one of it, and
    two observations are against one another where both name their subject, and the same; the verdict is a little less
    sure. Nor does it say anything that two people, or two things told apart by their number, have one thing in common.

    Source of the thresholds: guide, step 6.
    """
    evidence = _evidence(old, new, owners) if pairs is None else _evidence_of(pairs, owners)
    share = overlap.likeness(new, old)
    if not same_type:
        shared = len({one.new for kind, one in evidence if kind == "duplicate"})
        evidence = [
            _less_sure(one) for one in evidence if shared > 1 or _is_same_subject(one[1].existing, one[1].new, owners)
        ]
        share = share * ANOTHER_TYPE if shared > 1 else 0.0
    elif are_two(*owners) and _is_one_in_common(old, new, evidence, owners):
        evidence = [one for one in evidence if one[0] != "duplicate"]
        share = 0.0
    by_overlap = None if len(old) == len(new) == 1 else overlap.verdict_of(share, threshold)
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


def _is_one_in_common(
    old: Sequence[str], new: Sequence[str], evidence: Sequence[tuple[Kind, Evidence]], owners: tuple[Owner, Owner]
) -> bool:
    """Whether all that two entities have in common is one statement, which each makes of itself."""
    known = {overlap.levelled(text): text for text in old}
    common = {text: known[level] for text in new if (level := overlap.levelled(text)) in known}
    common |= {one.new: one.existing for kind, one in evidence if kind == "duplicate"}
    same = {overlap.levelled(text): (existing, text) for text, existing in common.items()}
    return len(same) == 1 and all(are_apart(*pair, *owners) for pair in same.values())


ANOTHER_TYPE: Final = 0.95
"""What the confidence is worth between entities of two types."""


def _less_sure(found: tuple[Kind, Evidence]) -> tuple[Kind, Evidence]:
    return found[0], replace(found[1], confidence=round(found[1].confidence * ANOTHER_TYPE, 3))


_FEW_WORDS: Final = 3
"""Words with which many things can be said of many subjects: "Prefers green tea"."""

_OF_THE_USER: Final = re.compile(r"(?:the )?(?:user|human|i|we|my|our)\b", re.IGNORECASE)


def _is_same_subject(one: str, other: str, owners: tuple[Owner, Owner]) -> bool:
    """Whether two observations say of whom or what they speak, and it is the same."""
    if levelled_subjects(one, other, *owners):
        return True
    if overlap.levelled(one) == overlap.levelled(other) and len(overlap.levelled(one).split()) > _FEW_WORDS:
        return True
    subjects = claim_of(one[:MAX_LENGTH]).subject, claim_of(other[:MAX_LENGTH]).subject
    if any(subjects):
        return bool(subjects[0] & subjects[1])
    return bool(_OF_THE_USER.match(one) and _OF_THE_USER.match(other))


def _verdict(kind: Kind, confidence: float, details: str, evidence: Sequence[Evidence]) -> Verdict:
    return Verdict(kind, confidence, ACTIONS[kind], details, tuple(evidence[:MAX_EVIDENCE]))


MAX_JUDGED: Final = 100
"""Observations of one entity that one of another is judged against at most: those that share most with it."""

MAX_EVIDENCE: Final = 20
"""Pairs of observations a verdict shows at most."""


def _evidence(old: Sequence[str], new: Sequence[str], owners: tuple[Owner, Owner]) -> list[tuple[Kind, Evidence]]:
    """Findings of the pairs that have something in common, surest first."""
    places: defaultdict[str, list[int]] = defaultdict(list)
    theirs = list({overlap.levelled(text): text for text in reversed(old)}.items())[::-1]
    ours = {overlap.levelled(text): text for text in reversed(new)}
    for place, (level, existing) in enumerate(theirs):
        if level in ours:
            continue
        for key in _keys_of_owned(existing, owners):
            places[key].append(place)
    found: list[tuple[Kind, Evidence]] = []
    known = dict(theirs)
    for level, text in reversed(ours.items()):
        if level in known:
            found += _found(known[level], text, owners)
            continue
        shared: defaultdict[int, float] = defaultdict(float)
        for key in _keys_of_owned(text, owners):
            for place in places.get(key, ()):
                shared[place] += 1 / len(places[key])
        for place in sorted(shared, key=lambda place: (-shared[place], place))[:MAX_JUDGED]:
            found += _found(theirs[place][1], text, owners)
    found.sort(key=lambda one: -one[1].confidence)
    return found


def _evidence_of(pairs: Iterable[tuple[str, str]], owners: tuple[Owner, Owner]) -> list[tuple[Kind, Evidence]]:
    """Findings of these pairs (old, new), surest first."""
    found = [one for existing, new in dict.fromkeys(pairs) for one in _found(existing, new, owners)]
    found.sort(key=lambda one: -one[1].confidence)
    return found


def _found(existing: str, new: str, owners: tuple[Owner, Owner]) -> list[tuple[Kind, Evidence]]:
    finding = judge_owned(existing, new, *owners)
    return [(finding.kind, Evidence(new, existing, finding.reason, finding.confidence))] if finding else []


def judge_owned(old: str, new: str, old_owner: Owner, new_owner: Owner) -> Finding | None:
    """What `judge` says of two observations of these entities; nothing is against what is said of somebody else."""
    finding = judge(*(levelled_subjects(old, new, old_owner, new_owner) or (old, new)))
    if finding is None or (finding.kind != "duplicate" and are_apart(old, new, old_owner, new_owner)):
        return None
    return finding


def _keys_of_owned(observation: str, owners: tuple[Owner, Owner]) -> frozenset[str]:
    """Its keys, and those it has without the name of one of the entities."""
    keys = _keys(observation)
    for owner in owners:
        said = names_subject(observation, owner)
        if said:
            keys |= _keys(said)
    return keys


def _keys(observation: str) -> frozenset[str]:
    """What two observations must have one of in common to be worth judging: terms, kinds, or a state and its end."""
    if len(observation) > MAX_LENGTH:
        return frozenset({overlap.levelled(observation)})
    return _keys_of_statement(observation)


@lru_cache(maxsize=65_536)
def _keys_of_statement(observation: str) -> frozenset[str]:
    """The keys of an observation that is one statement."""
    claim = claim_of(observation)
    keys = set(claim.words) | {f"kind {kind}" for kind in kinds_of(claim.words)}
    keys |= {f"kind {KIND_NAMES[word]}" for word in claim.words if word in KIND_NAMES}
    keys |= {f"state {n}" for side in states_of(claim.plain) for n in side}
    keys.add(overlap.levelled(observation))
    for diet in claim.words & EXCLUDES.keys():
        keys |= {f"kind {kind}" for kind in EXCLUDES[diet]} | set(EXCLUDED_BY_NAME)
    if claim.verb in {"be", ""} and not claim.subject:
        keys.add("being")
    if claim.verb in _MOVES or claim.change:
        keys.add("change")
    return frozenset(keys)


_MOVES: Final = _terms("live work use prefer drive study")


def subject_terms(observation: str) -> tuple[str, ...]:
    """Tokens by which to look for observations that one may be in conflict with, most telling first.

    As the index writes them (`rules.text.analyse`): subject, then what is said, then what most memories say. Empty only
    where the text has no letter and no digit.
    """
    claim = claim_of(observation[:MAX_LENGTH])
    tokens = dict.fromkeys(analyse(observation))
    return tuple(sorted(tokens, key=lambda token: (token in _COMMON, token not in claim.subject)))


_COMMON: Final = frozenset(analyse("user uses likes prefers has works lives wants needs always now"))
"""Tokens of what so many memories say that they tell little."""


def related_terms(observation: str) -> tuple[str, ...]:
    """Tokens of what a conflicting observation may say instead: the other words of its verb and the rest of its kinds.

    "Uses MySQL" has no word in common with "Migrated to PostgreSQL"; these words lead from one to the other.
    """
    return _related_to(observation[:MAX_LENGTH])


@lru_cache(maxsize=65_536)
def _related_to(statement: str) -> tuple[str, ...]:
    words = [other for word in sorted(claim_of(statement).words) for other in alternatives(word)]
    own = set(analyse(statement))
    return tuple(
        token for token in dict.fromkeys(token for word in words for token in analyse(word)) if token not in own
    )


_WORDS: Final = 10
_RELATED: Final = 30
"""Words of an observation to look up, and words that may stand for them."""

_REACH: Final = 4_000
"""Characters at the beginning of an observation among which the words to look up are: thirty times as many as it takes
for ten that differ."""

_COMMON_SHARE: Final = 0.2
"""Share of rows above which a token does not help to rank."""

_RARE_ROWS: Final = 1_000
_HELPFUL_ROWS: Final = 4_000
"""Rows that the tokens looked up for have together at most, and those of the tokens that only help to rank."""

_CHANCE: Final = 0.5
"""Rows that hold some tokens together by chance, below which these tokens tell an observation from all others."""


@dataclass(frozen=True, slots=True)
class Lookup:
    """What to ask an index for: rows with any of `needed`, ranked by these and `helpful`; or those with all of
    `together`; or those with one of the phrases `named`, ranked by these and `helpful`."""

    needed: tuple[str, ...] = ()
    helpful: tuple[str, ...] = ()
    together: tuple[str, ...] = ()
    named: tuple[tuple[str, ...], ...] = ()


def looked_up(observation: str, owner: Owner = NOBODY) -> tuple[str, ...]:
    """Tokens whose frequencies `lookups` wants to know."""
    named = [token for name in _named(owner) for token in name]
    return tuple(dict.fromkeys((*_own_terms(observation), *related_terms(observation)[:_RELATED], *named)))


def _named(owner: Owner) -> list[tuple[str, ...]]:
    return [tuple(analyse(" ".join(name))) for name in owner.names]


def _own_terms(observation: str) -> tuple[str, ...]:
    return subject_terms(observation[:_REACH])[:_WORDS]


def lookups(observation: str, counts: Mapping[str, int], rows: int, owner: Owner = NOBODY) -> list[Lookup]:
    """How to find the observations that one may be in conflict with, among `rows` rows, `counts` of which have a token.

    By its rare tokens and those related to it; where all of its own tokens are common, by as many of them together as
    chance would hardly bring together, and then by the rest of them, so that one word may differ. What names no subject
    is looked for by its owner's name too, if that is rare.
    """
    own = frozenset(_own_terms(observation))
    known = sorted((counts[token], token) for token in looked_up(observation) if counts.get(token))
    telling = [each for each in known if each[0] <= max(_RARE_ROWS, _COMMON_SHARE * rows)]
    needed, left = _within(_RARE_ROWS, telling)
    found = []
    if needed:
        found.append(Lookup(needed=needed, helpful=_within(_HELPFUL_ROWS, left)[0]))
    if not own.intersection(needed):
        mine = [each for each in known if each[1] in own]
        together, rest = _unlikely(mine, rows)
        found.append(Lookup(together=together))
        if len(rest) > 1:
            found.append(Lookup(together=_unlikely(rest, rows)[0]))
    if is_of_owner(observation):
        named = tuple(
            name
            for name in _named(owner)
            if name and all(counts.get(token) for token in name) and min(counts[token] for token in name) <= _RARE_ROWS
        )
        said = [each for each in known if each[1] in own or each[0] <= _RARE_ROWS]
        found.append(Lookup(named=named, helpful=_within(_HELPFUL_ROWS, said)[0]) if named else Lookup())
    return [lookup for lookup in found if lookup.needed or lookup.together or lookup.named]


_Counted = list[tuple[int, str]]


def _within(limit: int, counted: _Counted) -> tuple[tuple[str, ...], _Counted]:
    """The first tokens that have no more than `limit` rows together, and the others with their rows."""
    totals = accumulate(count for count, _ in counted)
    cut = sum(total <= limit for total in totals)
    return tuple(token for _, token in counted[:cut]), counted[cut:]


def _unlikely(counted: _Counted, rows: int) -> tuple[tuple[str, ...], _Counted]:
    """The first tokens that chance would hardly bring together in any of `rows` rows, and the others."""
    expected = float(rows)
    for cut, (count, _) in enumerate(counted):
        if expected < _CHANCE and cut > 1:
            return tuple(token for _, token in counted[:cut]), counted[cut:]
        expected *= count / rows
    return tuple(token for _, token in counted), []


def worth_judging(observation: str, others: Sequence[str], counts: Mapping[str, int]) -> list[int]:
    """Places of those of `others` that are most likely in conflict with an observation, most likely first.

    The same words come first, then by the tokens in common, each weighing the less the more rows have it (`counts`);
    related ones weigh half. Where either is longer than one statement, which `judge` compares as a whole, only
    how they begin counts.
    """
    begins, long = _beginning(observation), len(observation) > MAX_LENGTH
    weights: dict[str, float] = {}
    if not long:
        weights = {token: 1 / (1 + math.log2(1 + counts.get(token, 0))) / 2 for token in related_terms(observation)}
        weights |= {token: 1 / (1 + math.log2(1 + counts.get(token, 0))) for token in analyse(observation)}

    def worth(other: str) -> float:
        if _beginning(other) == begins:
            return math.inf
        if long or len(other) > MAX_LENGTH:
            return 0.0
        return sum(weights.get(token, 0.0) for token in set(analyse(other)))

    worths = [worth(other) for other in others]
    return sorted(range(len(others)), key=lambda place: -worths[place])


def _beginning(observation: str) -> str:
    """The first words of an observation, levelled: what a longer one has in place of tokens."""
    return overlap.levelled(observation[:MAX_LENGTH])[: MAX_LENGTH // 2]
