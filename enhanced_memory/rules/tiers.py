"""Tiers and relevance: how a memory fades, what keeps it, and when it moves from tier to tier.

Above it lie search, context and curation; below it `judging`, which tells whether two statements can be the same. Pure:
the time comes in as an argument. What an observation says in substance is a key, a number that stands for the levelled
text; whoever makes the keys knows the texts.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from typing import Final

_HALVES_EVERY_DAYS = 69
_FLOOR = 0.1
"""Relevance halves every 69 days and never falls below 0.1. Source: contract, section 4, Tiers."""

_SECONDS_A_DAY = 86_400

_EPISODIC_AFTER_DAYS: Final = 30
_EPISODIC_BELOW_ACCESSES: Final = 3
_EPISODIC_UNREAD_DAYS: Final = 7
"""When a working memory becomes an episode. Source: contract, section 4, Tiers; the first two from the guide."""

SEMANTIC_FROM: Final = 3
"""Episodes that must say the same before it counts as known. Source: contract, section 4, Tiers."""

PROCEDURAL_FROM: Final = 3
"""Successful runs after which a procedure counts as one. Source: contract, section 4, Tiers."""

_BELONGS: Final = 0.5
"""Share of episodes (those that say both, over those that say either) from which two things belong to one memory."""

ALIKE: Final = 0.85
"""Cosine from which two observations may mean the same; what stands against that is judged by their words."""

_NAME_LENGTH: Final = 80


def relevance(score: float, since: str, now: str, *, pinned: bool) -> float:
    """Relevance now, 0.1 to 1: `score` halved every 69 days since it was confirmed or created; 1.0 when pinned.

    `since` and `now` are ISO 8601 times; a `since` in the future counts as now.
    """
    return 1.0 if pinned else faded(score, (_moment(now) - _moment(since)).total_seconds())


def faded(score: float, seconds: float) -> float:
    """The same of one that is not pinned, so many seconds after it was confirmed or created."""
    return max(_FLOOR, float(score * 0.5 ** (max(0.0, seconds) / _SECONDS_A_DAY / _HALVES_EVERY_DAYS)))


def has_decayed(relevant: float) -> bool:
    """Whether a relevance has fallen to the floor, below which it never falls."""
    return relevant <= _FLOOR


def why_episodic(created: str, last_accessed: str, accesses: int, now: str) -> str | None:
    """Why a working memory is to become an episode, as a clause; None if it is not to."""
    if accesses >= _EPISODIC_BELOW_ACCESSES:
        return None
    age = _days(created, now)
    if age <= _EPISODIC_AFTER_DAYS or _days(last_accessed, now) <= _EPISODIC_UNREAD_DAYS:
        return None
    often = ("never read", "read once", "read twice")[accesses]
    return f"{int(age)} days old, {often}, not at all in the last {_EPISODIC_UNREAD_DAYS} days"


def _days(since: str, now: str) -> float:
    return max(0.0, (_moment(now) - _moment(since)).total_seconds()) / _SECONDS_A_DAY


@lru_cache(maxsize=1_024)
def _moment(stamp: str) -> datetime:
    """The time a stamp tells; of one entity the same is asked several times, and now of all."""
    return datetime.fromisoformat(stamp)


# ------------------------------------------------------------------------------------------------ what episodes share


@dataclass(frozen=True, slots=True)
class Group:
    """What several episodes of one type say together: keys in the order they were first met, and who says each."""

    entity_type: str
    support: Mapping[int, frozenset[int]]

    @property
    def members(self) -> frozenset[int]:
        """The episodes that say any of it."""
        return frozenset().union(*self.support.values())


class Episodes:
    """Gathers what episodes say, type by type, and finds what three or more of them share.

    The same episodes, added in the same order, give the same groups in the same order.
    """

    def __init__(self) -> None:
        # Most of what is said is said once: a number each for that, and lists only for what is said again.
        self._first: dict[str, dict[int, int]] = {}
        self._again: dict[str, dict[int, list[int]]] = {}

    def add(self, number: int, entity_type: str, keys: Iterable[int]) -> list[bool]:
        """An episode with what it says; per key (repeats count once) whether nobody of its type said it before."""
        first, again = self._first.setdefault(entity_type, {}), self._again.setdefault(entity_type, {})
        are_new = []
        for key in dict.fromkeys(keys):
            before = first.setdefault(key, number)
            are_new.append(before == number)
            if before != number:
                again.setdefault(key, [before]).append(number)
        return are_new

    def merge(self, entity_type: str, same: Mapping[int, int]) -> None:
        """Take keys (of one type) for others: each key of `same` for the one it leads to."""
        first, again = self._first.get(entity_type, {}), self._again.get(entity_type, {})
        for key, leader in same.items():
            numbers = again.pop(key, [first[key]])
            del first[key]
            again[leader] = sorted({*again.get(leader, [first[leader]]), *numbers})

    def groups(self) -> list[Group]:
        """What is shared, each key in one group.

        What most episodes say leads a group; what at least half of those who say either say both of joins it. So a
        remark that everybody makes draws nothing else along, and no chain of likenesses makes one group of all.
        """
        found = []
        for entity_type, first in self._first.items():
            again = self._again[entity_type]
            found += _groups(entity_type, {key: again[key] for key in first if key in again})
        return found


def _groups(entity_type: str, said: Mapping[int, Sequence[int]]) -> list[Group]:
    shared = {key: frozenset(numbers) for key, numbers in said.items() if len(numbers) >= SEMANTIC_FROM}
    order = {key: place for place, key in enumerate(shared)}
    leaders: list[frozenset[int]] = []
    keys: list[list[int]] = []
    led_by: dict[int, list[int]] = {}
    for key in sorted(shared, key=lambda key: (-len(shared[key]), order[key])):
        numbers = shared[key]
        common = Counter(group for number in numbers for group in led_by.get(number, ()))
        joined = max(
            ((count / (len(numbers) + len(leaders[group]) - count), -group) for group, count in common.items()),
            default=(0.0, 0),
        )
        if joined[0] >= _BELONGS:
            keys[-joined[1]].append(key)
            continue
        for number in numbers:
            led_by.setdefault(number, []).append(len(leaders))
        leaders.append(numbers)
        keys.append([key])
    ordered = sorted((sorted(group, key=order.__getitem__) for group in keys), key=lambda group: order[group[0]])
    return [Group(entity_type, {key: shared[key] for key in group}) for group in ordered]


def same_in_meaning(texts: Sequence[str], alike: Iterable[tuple[int, int]]) -> dict[int, int]:
    """Which texts say the same as an earlier one: place to place, from pairs (earlier, later) of like meaning.

    Each leads to one that leads to no other. Texts with different numbers, or of which one denies or replaces the
    other, are not the same, however alike.
    """
    same: dict[int, int] = {}
    for earlier, later in sorted(alike, key=lambda pair: (pair[1], pair[0])):
        if later not in same and earlier not in same and _can_be_same(texts[earlier], texts[later]):
            same[later] = earlier
    return same


def _can_be_same(one: str, other: str) -> bool:
    from enhanced_memory.rules.judging import judge  # takes a while to load, and every search loads this module

    if sorted(re.findall(r"\d+", one)) != sorted(re.findall(r"\d+", other)):
        return False
    finding = judge(one, other)
    return finding is None or finding.kind == "duplicate"


# ---------------------------------------------------------------------------------------------------- what to do of it


@dataclass(frozen=True, slots=True)
class Known:
    """A semantic memory that was made of episodes before.

    `says` it now, of which it was `given` a part; `sources` are the episodes it came from. One that is not `open` was
    deleted or pinned: nothing is added to it, and nothing it was given is made anew.
    """

    number: int
    entity_type: str
    says: frozenset[int]
    given: frozenset[int]
    sources: frozenset[int]
    open: bool


@dataclass(frozen=True, slots=True)
class Knowledge:
    """What is to become known: into the memory `into`, or a new one, go these keys and these sources.

    `keys` tells for each the episode that said it first, `shares` for each source the share, 0..1, that it says of what
    its group says there. `confidence` is 0..1, `episodes` how many say any of it.
    """

    into: int | None
    entity_type: str
    keys: Mapping[int, int]
    shares: Mapping[int, float]
    confidence: float
    episodes: int


@dataclass(slots=True)
class _Share:
    """The part of a group that goes to one memory: keys it says already, and keys it is to say."""

    said: list[int] = field(default_factory=list)
    new: list[int] = field(default_factory=list)


def knowledge(groups: Iterable[Group], known: Sequence[Known]) -> list[Knowledge]:
    """What is to be made or to grow, so that each thing is said by one semantic memory.

    A key that a memory says stays with it. New keys go to the memory that says most of their group, else to the one
    that came from the same episodes, else to a new one. What somebody took out of a memory is not put back.
    """
    by_key: dict[int, list[Known]] = {}
    by_source: dict[int, list[Known]] = {}
    for each in sorted(known, key=lambda each: each.number):
        for key in each.says | each.given:
            by_key.setdefault(key, []).append(each)
        for source in each.sources:
            by_source.setdefault(source, []).append(each)
    found = []
    for group in groups:
        parts: dict[int | None, _Share] = {}
        free = []
        for key, numbers in group.support.items():
            owners = [
                each
                for each in by_key.get(key, ())
                if each.entity_type == group.entity_type or not each.sources.isdisjoint(numbers)
            ]
            saying = [each for each in owners if key in each.says and each.open]
            if saying:
                parts.setdefault(saying[0].number, _Share()).said.append(key)
            elif not owners:
                free.append(key)
        if free:
            into = max(parts, key=lambda number: (len(parts[number].said), -(number or 0)), default=None)
            into = into or _from_the_same(group.members, by_source)
            parts.setdefault(into, _Share()).new += free
        for number, part in parts.items():
            sources = next((each.sources for each in known if each.number == number), frozenset[int]())
            added = _knowledge(group, number, part, sources)
            if added.keys or added.shares:
                found.append(added)
    return found


def _from_the_same(members: frozenset[int], by_source: Mapping[int, Sequence[Known]]) -> int | None:
    """The memory that came from these episodes, or None: at least half of either's are both's."""
    met = {each.number: each for member in members for each in by_source.get(member, ()) if each.open}
    shares = {number: len(each.sources & members) / len(each.sources | members) for number, each in met.items()}
    best = max(shares, key=lambda number: (shares[number], -number), default=None)
    return best if best is not None and shares[best] >= _BELONGS else None


def _knowledge(group: Group, into: int | None, part: _Share, sources: frozenset[int]) -> Knowledge:
    keys = [*part.said, *part.new]
    says = Counter(number for key in keys for number in group.support[key])
    episodes = len(says)
    return Knowledge(
        into=into,
        entity_type=group.entity_type,
        keys={key: min(group.support[key]) for key in part.new},
        shares={number: says[number] / len(keys) for number in sorted(says) if number not in sources},
        confidence=confidence([len(group.support[key]) for key in keys], episodes),
        episodes=episodes,
    )


def confidence(support: Sequence[int], episodes: int) -> float:
    """How sure it is what several episodes say, 0..1: the mean over its parts of (those who say it + 1) / (all + 2).

    Source: Laplace's rule of succession. Three of three give 0.8, ten of ten 0.92, three of five 0.57.
    """
    return sum((count + 1) / (episodes + 2) for count in support) / len(support)


def name_of_knowledge(entity_type: str, text: str) -> str:
    """A name for what episodes of a type share, after the first thing they share."""
    plain = " ".join("".join(sign if sign.isprintable() else " " for sign in f"{entity_type}: {text}").split())
    return plain if len(plain) <= _NAME_LENGTH else plain[: _NAME_LENGTH - 1].rstrip() + "…"
