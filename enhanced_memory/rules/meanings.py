"""What words have to do with one another: same meaning, opposite, of one kind, ending one another.

Above it lie `rules.claims` and `rules.slots`; below it `rules.lexicon` and the stemmer. A word of a text becomes a
term: the stem of the first word of its group, or its own.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import Final

from enhanced_memory.rules import lexicon
from enhanced_memory.rules.lexicon import KINDS, OPPOSITE_VERBS, OPPOSITES, SAME
from enhanced_memory.rules.stemming import stem


def _groups(table: str) -> dict[str, str]:
    same: dict[str, str] = {}
    for line in table.strip().splitlines():
        head, *others = (stem(word) for word in line.split())
        head = same.get(head, head)
        same |= {other: head for other in others if other not in same}
    return same


_HEADS: Final = _groups(SAME)


@lru_cache(maxsize=65_536)
def term(word: str) -> str:
    """The term of a word in small letters: what all words of its meaning and all its forms share."""
    base = lexicon.IRREGULAR.get(word, word)
    found = stem(base) if base.isascii() and base.isalpha() else base.removesuffix("s") if "-" in base else base
    return _HEADS.get(found, found)


VERBS: Final = frozenset(stem(verb) for verb in lexicon.VERBS.split())
"""Stems of the verbs by which statements are taken apart."""


@lru_cache(maxsize=65_536)
def is_verb(word: str) -> bool:
    """Whether a word can be a form of a known verb."""
    return stem(lexicon.IRREGULAR.get(word, word)) in VERBS if word.isascii() and word.isalpha() else False


def is_inflected(word: str) -> bool:
    """Whether a form of a verb is more than its base: "uses", "used", "went"."""
    return word in lexicon.IRREGULAR or (word.endswith(("s", "ed", "ing")) and not word.endswith("ss"))


def begins_with_verb(text: str) -> bool:
    """Whether the first word is a verb that wants a subject: "Lives in London", "is allergic to nuts"."""
    first = text.split(maxsplit=1)[0].lower() if text else ""
    return first in _STANDS or (is_verb(first) and is_inflected(first))


_STANDS: Final = lexicon.words_of(
    "is are was were am does do did has have had will would can cannot must should no not never"
)


def _pairs(table: str) -> frozenset[frozenset[str]]:
    return frozenset(frozenset(term(word) for word in line.split()) for line in table.strip().splitlines())


_OPPOSED: Final = _pairs(OPPOSITES)


def are_opposite(one: str, other: str) -> bool:
    """Whether two terms are opposites."""
    if frozenset((one, other)) in _OPPOSED:
        return True
    short, long = sorted((one, other), key=len)
    return len(short) >= 4 and long.endswith(short) and long.removesuffix(short).rstrip("-") in _DENYING_PREFIXES


_DENYING_PREFIXES: Final = lexicon.words_of("un in im ir il dis non anti de a")


def _members(table: str) -> dict[str, frozenset[str]]:
    kinds: dict[str, set[str]] = {}
    for line in table.strip().splitlines():
        kind, _, words = line.partition(":")
        for word in words.split():
            kinds.setdefault(term(word), set()).add(kind)
    return {word: frozenset(found) for word, found in kinds.items()}


_KIND_OF: Final = _members(KINDS)
KIND_NAMES: Final = {term(line.partition(":")[0]): line.partition(":")[0] for line in KINDS.strip().splitlines()}
"""Term of the name of each kind -> kind."""


_NO_KINDS: Final[frozenset[str]] = frozenset()


def kinds(one: str) -> frozenset[str]:
    """Kinds a term belongs to: "vim" -> {"editor"}."""
    return _KIND_OF.get(one, _NO_KINDS)


def kinds_of(terms: Iterable[str]) -> frozenset[str]:
    """Kinds that any of the terms belongs to."""
    known = [_KIND_OF[one] for one in terms if one in _KIND_OF]
    return frozenset().union(*known) if known else _NO_KINDS


def alternatives(one: str) -> tuple[str, ...]:
    """Words that statements against one with this term may use: of its meaning, opposite to it, or of its kinds."""
    return _ALTERNATIVES.get(one, ())


def _all_alternatives() -> dict[str, tuple[str, ...]]:
    found: dict[str, dict[str, None]] = {}
    for table in (SAME, OPPOSITES, KINDS):
        for line in table.strip().splitlines():
            words = line.partition(":")[2].split() or line.split()
            for word in words:
                found.setdefault(term(word), {}).update(dict.fromkeys(words))
    for denial, straight in OPPOSITE_VERBS.items():
        found.setdefault(term(straight), {})[denial] = None
    for verb, ends in (("live", "moved relocated"), ("work", "joined left quit"), ("have", "sold lost")):
        found.setdefault(term(verb), {}).update(dict.fromkeys(ends.split()))
    return {one: tuple(others) for one, others in found.items()}


_ALTERNATIVES: Final = _all_alternatives()
