"""Whom an observation without a subject of its own is about: the entity it belongs to.

Above it lie `rules.conflicts`, `rules.blocking` and the operations on conflicts; below it `rules.judging` and
`rules.claims`. Of an entity
"Ada", "Lives in London" says what "Ada lives in London" says anywhere else. So where one of two observations names the
other's entity as its subject, and the other names none, they are compared without the name. What begins with "User" or
"I" is about somebody else, whatever the entity.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from enhanced_memory.rules.claims import claim_of
from enhanced_memory.rules.judging import MAX_LENGTH
from enhanced_memory.rules.lexicon import words_of
from enhanced_memory.rules.meanings import begins_with_verb, term
from enhanced_memory.rules.slots import ATTRIBUTES
from enhanced_memory.rules.text import analyse, observe, without_stamp

_WORD: Final = re.compile(r"[^\W_]+(?:['\u2019](?!s\b)[^\W_]+)*")
_MOST_WORDS: Final = 4
"""Words of a name that observations begin with; longer ones are titles."""

_PEOPLE: Final = words_of(
    """person people human user contact friend colleague coworker teammate employee customer client family relative
    member child parent partner developer engineer student teacher"""
)
"""Types of entities that are people, each of which has another home, work and taste."""

_OF_THE_USER: Final = re.compile(
    r"(?:the )?(?:user|human|client|customer)\b|(?:i|i['\u2019]\w+|we|we['\u2019]\w+|me|my|mine|our|ours|us)\b",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Owner:
    """The entity an observation belongs to: the names that it goes by, in small letters, and whether it is a person.

    `numbered`: the words and numbers of a name that has both, if things of such a name are told apart by the number.
    """

    names: tuple[tuple[str, ...], ...] = ()
    is_person: bool = False
    numbered: tuple[str, ...] = ()


NOBODY: Final = Owner()


@lru_cache(maxsize=16_384)
def owner_of(name: str | None, entity_type: str | None) -> Owner:
    """What an entity of this name and type is called: by its whole name, and a person by the first of two names too."""
    written = (name or "").partition("(")[0]
    words = words_of_name(name or "")
    is_person = not _PEOPLE.isdisjoint(_WORD.findall((entity_type or "").lower()))
    numbered = _numbered(written, entity_type or "")
    if not words:
        return Owner((), is_person, numbered)
    names = [words]
    if is_person and len(words) in (2, 3) and all(part.istitle() for part in written.split()):
        names.append(words[:1])
    return Owner(tuple(names), is_person, numbered)


def words_of_name(name: str) -> tuple[str, ...]:
    """The words by which a name is called, in small letters; () for a title, and for what is no name."""
    words = [word.lower() for word in _WORD.findall(name.partition("(")[0])[: _MOST_WORDS + 1]]
    is_name = 0 < len(words) <= _MOST_WORDS and any(map(str.isalpha, words[0]))
    return tuple(words) if is_name else ()


_PART: Final = re.compile(r"[^\W\d_]+|\d+")
_MOST_PARTS: Final = 12
_SHORTEST_WORD: Final = 3
"""Words and numbers of a name that is looked at for its number; and letters of a word that says what has the number."""

_HOLDERS: Final = words_of(
    """note notes memory memories fact facts preference preferences session sessions entry log chat conversation message
    meeting minutes journal diary summary transcript observation observations entity entities node concept object
    document doc file page snapshot export import copy draft context test example sample demo dummy probe item thing
    conflict contradiction duplicate pair fixture old new"""
)
"""What only holds what is said, or names nothing: two notes may well speak of one thing."""


def _numbered(name: str, entity_type: str) -> tuple[str, ...]:
    """The parts of a name such as "Task 1 of release 2"; () for one without a number, and for a note's."""
    if not any(sign.isdigit() for sign in name):
        return ()
    parts = tuple(_PART.findall(name.lower()))
    words = [part for part in parts if not part.isdigit()]
    kinds = _PART.findall(entity_type.lower())
    if len(parts) > _MOST_PARTS or not _HOLDERS.isdisjoint([*words, *kinds]):
        return ()
    return parts if any(len(word) >= _SHORTEST_WORD for word in words) else ()


_ARTICLE: Final = re.compile(r"the\s", re.IGNORECASE)
_JOINT: Final = re.compile(r"[\s_./:-]*+")
_AFTER: Final = re.compile(r"(?:['\u2019]s?)?:?\s+(?=(\S))")
"""What lies between the words of a name, and behind the last of them."""


def names_subject(observation: str, owner: Owner) -> str | None:
    """What an observation says of this entity, without its name; None where it does not begin with the name."""
    if not owner.names or len(observation) > MAX_LENGTH:
        return None
    for name in owner.names:
        end = _end_of(name, observation)
        after = _AFTER.match(observation, end) if end else None
        if after and (name is owner.names[0] or not after[1].isupper()):  # a first name is not another's: "Ann Lee"
            return observation[after.end() :]
    if not observation[:1].isdigit():
        return None
    seen = observe(observation)  # "8 May 2023 Ada: I live in Paris"
    is_named = seen.said and any(seen.who == analyse(" ".join(name)) for name in owner.names)
    return without_stamp(seen.text) if is_named else None


def _end_of(name: tuple[str, ...], observation: str) -> int:
    """Where a name ends that an observation begins with; 0 where it does not."""
    article = _ARTICLE.match(observation)
    at = article.end() if article else 0
    for place, word in enumerate(name):
        joint = _JOINT.match(observation, at) if place else None
        at = joint.end() if joint else at
        if observation[at : at + len(word)].lower() != word:
            return 0
        at += len(word)
    return at


@lru_cache(maxsize=16_384)
def is_of_owner(observation: str) -> bool:
    """Whether an observation names nobody whom it is about: "Lives in London", "Her manager is Paul"."""
    return not _OF_THE_USER.match(observation) and len(observation) <= MAX_LENGTH


def levelled_subjects(old: str, new: str, old_owner: Owner, new_owner: Owner) -> tuple[str, str] | None:
    """Both as they are to be compared, where one names the other's entity as its subject; None where neither does."""
    for one, other, owner, swapped in ((old, new, old_owner, False), (new, old, new_owner, True)):
        said = names_subject(other, owner) if is_of_owner(one) else None
        if said is not None and names_subject(one, owner) is None and claim_of(one).subject == claim_of(said).subject:
            return (said, one) if swapped else (one, said)
    return None


def are_apart(old: str, new: str, old_owner: Owner, new_owner: Owner) -> bool:
    """Whether two observations that name nobody and nothing else are about two things, since their entities are."""
    return are_two(old_owner, new_owner) and all(is_of_owner(each) and _says_own(each) for each in (old, new))


def are_two(one: Owner, other: Owner) -> bool:
    """Whether two entities are certainly two: people, or what its number alone tells apart, "Task 1" and "Task 95".

    People whose names share a word, or the beginning of one, may be one person.
    """
    return _are_two_people(one, other) or _differ_in_number(one.numbered, other.numbered)


def _are_two_people(one: Owner, other: Owner) -> bool:
    if not (one.is_person and other.is_person and one.names and other.names):
        return False
    return not any(
        ours.startswith(theirs) or theirs.startswith(ours) for ours in one.names[0] for theirs in other.names[0]
    )


def _differ_in_number(one: tuple[str, ...], other: tuple[str, ...]) -> bool:
    """Whether the parts of two names are the same but for their numbers, of which one at least differs."""
    if len(one) != len(other):
        return False
    unlike = [(ours.lstrip("0"), theirs.lstrip("0")) for ours, theirs in zip(one, other, strict=True) if ours != theirs]
    are_numbers = all(not each or each.isdigit() for pair in unlike for each in pair)
    return are_numbers and any(ours != theirs for ours, theirs in unlike)


def _says_own(observation: str) -> bool:
    """Whether an observation has no subject, or one that everything has of its own: "Status is open"."""
    subject = claim_of(observation).subject
    return not subject or (subject <= _OF_EACH and not _ARTICLE.match(observation))


_OF_EACH: Final = ATTRIBUTES | frozenset(
    map(term, ("estimate", "duration", "cost", "progress", "assignee", "birth", "hobby"))
)
"""Terms for what every thing or person has of its own."""


def names_at_start(observation: str) -> tuple[str, ...]:
    """Names of entities that an observation may begin with, as they may be written: "checkout-service", "Ada"."""
    words = _WORD.findall(observation[:_REACH])[: _MOST_WORDS + 2]
    if words and words[0].lower() in ("the", "a", "an"):
        words = words[1:]
    ends = (place for place, word in enumerate(words) if place and (word == "s" or begins_with_verb(word)))
    most = 0 if _OF_THE_USER.match(observation) else min(_MOST_WORDS, next(ends, len(words) - 1))
    names: dict[str, None] = {}
    for count in range(1, most + 1):
        for joint in (" ", "-", "_") if count > 1 else (" ",):
            whole = joint.join(words[:count])
            names |= dict.fromkeys((whole, whole.lower(), whole.title(), whole[:1].upper() + whole[1:]))
    return tuple(names)


_REACH: Final = 120
"""Characters at the beginning of an observation in which a name is looked for."""
