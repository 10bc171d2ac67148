"""Blocking: which of very many entities are worth comparing with one another, without comparing each with each.

Above it lies the search of a whole namespace for conflicts; below it `rules.overlap`, `rules.meanings`,
`rules.stemming` and the stop words. Every observation gives a few keys: one of all its words, and for each word one of
all the others. Observations that have a key in common say the same but for a word on either side: a value, a number, a
negation, an opposite. In the same way every entity gives keys of its observations, so that entities are found which
share nothing but observations that many have. A key that many share tells nothing and is passed over; so the work grows
with the number of observations, not with its square, however few words a store is made of.

Source of the method: keys with one part left out, as in deletion neighbourhoods for approximate matching (Bocek,
Hunt and Stiller, "Fast similarity search in large dictionaries", 2007), over words instead of letters.
"""

from __future__ import annotations

import itertools
import math
from array import array
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from enhanced_memory.rules import overlap
from enhanced_memory.rules.meanings import begins_with_verb
from enhanced_memory.rules.stemming import stem
from enhanced_memory.rules.text import STOP_WORDS

MAX_OBSERVATIONS: Final = 50
"""Observations of an entity that are looked at; of more, those whose hashes are lowest. So what two long lists share
is chosen of both, wherever it stands: the lowest of all are a fair sample (Broder, "On the resemblance and containment
of documents", 1997)."""

_SAMPLED: Final = 0.08
"""Share of the chosen observations of long lists that they must have in common. Lists that share 0.3 of the longer have
about 0.18 of all their texts in common, and a sample of fifty is seldom off by more than 0.1."""

_MAX_WORDS: Final = 12
"""Words of an observation of which each is left out once; of longer ones only whole texts are held together."""

_LARGEST_BLOCK: Final = 12
"""Observations or entities that may share a key and still be held against each other: 66 pairs."""

_PARTS: Final = 64
"""Parts into which keys are divided, so that only one is laid out at a time."""

_MAX_PAIRS: Final = 200_000
_KEPT_PAIRS: Final = 120_000
"""Pairs of entities kept at the most, and what is left of them, the most alike, when there are as many."""

_OTHER_SUBJECT: Final = 0.5
"""What observations tell of one another that begin with different words, beside those that begin with the same."""

_MOST_OBSERVATIONS: Final = 2_000_000
"""Observations of which words are left out; those beyond are held together as whole texts, which bounds the memory."""

_RAREST: Final = 5
"""Words of an observation, the rarest in the whole store, by which it is told whether it can be near another."""

_COUNTED_AT_ONCE: Final = 4_096
_PAUSED_AFTER: Final = 32
"""Words counted, and observations looked at, before others get a chance to run."""

_MASK: Final = (1 << 55) - 1
"""Bits of a hash: sums of fifty stay within 62."""


@dataclass(slots=True)
class Likeness:
    """What makes two entities worth comparing: places of the observations of the first that the second has word for
    word, and up to four pairs of places of others that are nearly alike; how much the most telling of these tells."""

    same: set[int] = field(default_factory=set)
    near: list[tuple[int, int]] = field(default_factory=list)
    telling: float = 0.0


@dataclass(frozen=True, slots=True)
class Candidate:
    """Two entities worth comparing, by number, `first` the lower; `near` are pairs of places of their observations."""

    first: int
    second: int
    worth: float
    near: tuple[tuple[int, int], ...]


class _Keys:
    """Keys with the numbers of what has them, in parts; 12 bytes each."""

    def __init__(self) -> None:
        self._parts = [(array("q"), array("I")) for _ in range(_PARTS)]
        self._keep = [(keys.append, owners.append) for keys, owners in self._parts]

    def add(self, owner: int, keys: Sequence[int]) -> None:
        keep = self._keep
        for key in keys:
            keep_key, keep_owner = keep[key % _PARTS]
            keep_key(key)
            keep_owner(owner)

    def blocks(self) -> Iterator[list[int]]:
        """Owners that share a key, two and more; an empty list after each part, for whoever wants to pause."""
        for keys, owners in self._parts:
            groups: dict[int, list[int]] = {}
            first: dict[int, int] = {}
            for key, owner in zip(keys, owners, strict=True):
                met = first.setdefault(key, owner)
                if met != owner:
                    groups.setdefault(key, [met]).append(owner)
            yield from groups.values()
            del keys[:], owners[:]
            yield []


def _chosen(observations: Sequence[str]) -> list[tuple[int, str]]:
    """Places and levelled texts of the observations to look at."""
    levels = [(place, overlap.levelled_once(observation)) for place, observation in enumerate(observations)]
    if len(levels) > MAX_OBSERVATIONS:
        levels = sorted(levels, key=lambda one: hash(one[1]))[:MAX_OBSERVATIONS]
    return levels


class _Words(dict[str, int]):
    """Numbers of words, the same for all forms of one; -1 for a word that says nothing. A new word gets the next."""

    def __init__(self) -> None:
        self._bases: dict[str, int] = {}
        self.weights = array("q")
        """Per number a hash of the word; keys are sums of these."""

    def __missing__(self, word: str) -> int:
        number = -1
        if word not in STOP_WORDS:
            base = stem(word) if word.isascii() and word.isalpha() else word
            number = self._bases.setdefault(base, len(self.weights))
            if number == len(self.weights):
                self.weights.append(hash(base) & _MASK)
        self[word] = number
        return number


class Blocks:
    """Gathers the entities of a namespace, then tells which are worth comparing. About 150 bytes an observation."""

    def __init__(self) -> None:
        self._words = _Words()
        self._numbers = array("q")
        self._sizes = array("I")
        self._owners = array("I")
        self._places = array("I")
        self._texts = array("q")
        self._said = array("I")
        self._said_from = array("Q")
        self._unsaid = bytearray()
        self._often: list[int] = []
        self._whole = _Keys()

    def add(self, number: int, observations: Sequence[str], name: Sequence[str] = ()) -> None:
        """Take in an entity. What begins with a verb is about it, and gives the keys too that it has behind its
        `name`, of at most eight words."""
        entity = len(self._numbers)
        named = [word for word in dict.fromkeys(map(self._words.__getitem__, name)) if word != -1]
        texts: dict[int, None] = {}
        self._numbers.append(number)
        self._sizes.append(len(set(observations)))
        for place, level in _chosen(observations):
            text = hash(level) & _MASK
            if text not in texts:
                texts[text] = None
                self._add_observation(entity, place, text, level, named)
        total = sum(texts)
        if texts:
            self._whole.add(entity, (total,))
        if len(texts) > 1:
            self._whole.add(entity, [total - text for text in texts])

    def _add_observation(self, entity: int, place: int, text: int, level: str, named: list[int]) -> None:
        at = len(self._texts)
        self._owners.append(entity)
        self._places.append(place)
        self._texts.append(text)
        self._said_from.append(len(self._said))
        words = dict.fromkeys(map(self._words.__getitem__, level.split()))
        words.pop(-1, None)
        unsaid = 0
        if 0 < len(words) <= _MAX_WORDS and at <= _MOST_OBSERVATIONS:
            if named and begins_with_verb(level):
                unsaid = sum(1 << place for place, word in enumerate(named) if word not in words)
                self._said.extend(named)
                for word in named:
                    words.pop(word, None)
            self._said.extend(words)
        self._unsaid.append(unsaid)

    def pairs(self, pause: Callable[[], None]) -> list[Candidate]:
        """What is worth comparing, most alike first; `pause` is called now and then. It ends the gathering."""
        found: dict[tuple[int, int], Likeness] = {}
        for block in self._whole.blocks():
            if not block:
                pause()
            if len(block) <= _LARGEST_BLOCK:
                links: Iterator[tuple[int, int]] = itertools.combinations(block, 2)
            else:
                links = itertools.pairwise(block)
            for one, other in links:
                if len(found) < _MAX_PAIRS:
                    found.setdefault((min(one, other), max(one, other)), Likeness())
        certain = frozenset(found)
        self._count(pause)
        for block in self._near(pause).blocks():
            if not block:
                pause()
            elif len(block) <= _LARGEST_BLOCK:
                self._hold(block, found)
                if len(found) >= _MAX_PAIRS:
                    best = sorted(found, key=lambda pair: -self._worth(pair, found[pair], certain))
                    found = {pair: found[pair] for pair in best[:_KEPT_PAIRS]}
        return self._ranked(found, certain)

    def _near(self, pause: Callable[[], None]) -> _Keys:
        """The keys of observations: of all its words, and with each left out; of a text without them its own.

        Only of those that may share one: two that are the same but for a word on either side have at least four of the
        five rarest words of each in common, or all if there are fewer. Most share them with none.
        """
        weights = self._words.weights.tolist()
        rarity = [often << 32 | word for word, often in enumerate(self._often)].__getitem__
        near, rarest = _Keys(), _Keys()
        said, ends = self._said, itertools.chain(itertools.islice(self._said_from, 1, None), [len(self._said)])
        for at, (start, end, unsaid) in enumerate(zip(self._said_from, ends, self._unsaid, strict=True)):
            if not at % _PAUSED_AFTER:
                pause()
            if start == end:
                near.add(at, (self._texts[at],))
                continue
            for words in self._sets_of(at) if unsaid else (said[start:end],):
                chosen = [weights[word] for word in sorted(words, key=rarity)[:_RAREST]]
                total = sum(chosen)
                if len(chosen) > 1:
                    rarest.add(at, [total - left_out for left_out in chosen])
                if len(chosen) < _RAREST:
                    rarest.add(at, (total,))
        chances = bytearray(len(self._texts))
        for block in rarest.blocks():
            if not block:
                pause()
            for at in block:
                chances[at] = 1
        for at, has_chance in enumerate(chances):
            if has_chance:
                near.add(at, self._keys_of(at))
                pause()
        return near

    def _sets_of(self, at: int) -> list[Sequence[int]]:
        """The words of an observation; and with those of the entity's name before them, if that is another set."""
        said = self._said_by(at)
        unsaid = self._unsaid[at]
        if unsaid:
            return [[word for place, word in enumerate(said) if not unsaid >> place & 1], said]
        return [said] if said else []

    def _keys_of(self, at: int) -> list[int]:
        """The keys of an observation's words, and those that it has behind its entity's name."""
        keys = []
        sets = [[self._words.weights[word] for word in words] for words in self._sets_of(at)]
        for words in sets:
            total = sum(words)
            keys += [total, *[total - left_out for left_out in sets[0]]] if len(words) > 1 else [total]
        return keys

    def _count(self, pause: Callable[[], None]) -> None:
        """Note how often each word is said."""
        self._often = [0] * len(self._words.weights)
        for start in range(0, len(self._said), _COUNTED_AT_ONCE):
            for word, count in Counter(self._said[start : start + _COUNTED_AT_ONCE]).items():
                self._often[word] += count
            pause()

    def _hold(self, block: list[int], found: dict[tuple[int, int], Likeness]) -> None:
        """Note that these observations are alike."""
        for one, other in itertools.combinations(block, 2):
            first, second = self._owners[one], self._owners[other]
            if first == second:
                continue
            if first > second:
                first, second, one, other = second, first, other, one
            known = found.get((first, second))
            if known is None:
                known = found[first, second] = Likeness()
            places = (self._places[one], self._places[other])
            if self._texts[one] == self._texts[other]:
                known.same.add(places[0])
            elif len(known.near) < 4 and places not in known.near:
                known.near.append(places)
                known.telling = max(known.telling, self._telling(one, other))

    def _telling(self, one: int, other: int) -> float:
        """How much two observations tell of one another, 0..1: the rarer the rarest word of both, the more."""
        ours, theirs = self._said_by(one), self._said_by(other)
        shared = set(ours).intersection(theirs)
        if not shared:
            return 0.0
        telling = 1 / math.log2(max(2, min(self._often[word] for word in shared)))
        return telling if ours[0] in shared and theirs[0] in shared else telling * _OTHER_SUBJECT

    def _said_by(self, at: int) -> Sequence[int]:
        """The words of an observation in order, those of its entity's name first where it has no subject."""
        end = self._said_from[at + 1] if at + 1 < len(self._said_from) else len(self._said)
        return self._said[self._said_from[at] : end]

    def _worth(self, pair: tuple[int, int], likeness: Likeness, certain: frozenset[tuple[int, int]]) -> float:
        """How alike two entities are: the share that is the same, and how much what is nearly alike tells."""
        size = min(max(self._sizes[pair[0]], self._sizes[pair[1]]), MAX_OBSERVATIONS)
        alike = (len(likeness.same) + len(likeness.near) / 4) / size
        return alike + likeness.telling / 2 + (pair in certain)

    def _ranked(self, found: dict[tuple[int, int], Likeness], certain: frozenset[tuple[int, int]]) -> list[Candidate]:
        ranked = []
        for (first, second), likeness in found.items():
            whole = max(self._sizes[first], self._sizes[second])
            size = min(whole, MAX_OBSERVATIONS)
            enough = overlap.UPDATE if whole == size else _SAMPLED
            worth = self._worth((first, second), likeness, certain)
            if likeness.near or (first, second) in certain or len(likeness.same) / size > enough:
                one, two = self._numbers[first], self._numbers[second]
                ranked.append(Candidate(one, two, worth, tuple(likeness.near)))
        ranked.sort(key=lambda pair: (-pair.worth, pair.first, pair.second))
        return ranked
