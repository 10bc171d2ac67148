"""What of a text is worth turning into a vector: short texts are judged by their names and dates unless these go.

Above it lie the search operation and whoever makes the vectors; below it `rules.text`.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Final

from enhanced_memory.rules.text import analyse, observe, without_stamp

_VOCATIVE: Final = re.compile(
    r"(?:,\s*|(?<=\bhey)\s+|(?<=\bhi)\s+|(?<=\bhello)\s+|(?<=\bthanks)\s+|(?<=\bthank you)\s+|(?<=\bwow)\s+)"
    r"(?-i:[A-Z])[\w'\u2019]*(?=\s*[,.!?])",
    re.IGNORECASE,
)
_WORD: Final = re.compile(r"[^\W_]+(?:['\u2019][^\W_]+)?")
_POSSESSIVE: Final = ("'s", "\u2019s")
_SPEAKER: Final = re.compile(r"\b(?:[Tt]he\s+)?I(?:(?:\s+and|,)?\s+I)*\b")
_NO_WORDS: Final = re.compile(r"""(?:^|(?<=\s))(?:-\S+|(?:type|tier|since|until):(?:"[^"]*"|\S+))""")


def statement(observation: str) -> str:
    """An observation as the one it is about would say it.

    A speaker's label goes, with the date before it, and so do the names of those it is said to; the subject that it
    begins with becomes "I". It is left whole if nothing else is in it.
    """
    seen = observe(observation)
    text = without_stamp(seen.text) if seen.said else _in_first_person(seen.text, seen.who)
    return _VOCATIVE.sub("", text).strip() or observation


def is_code(word: str) -> bool:
    """Whether a word typed has digits: then it is found by its letters, and means nothing to a model."""
    return any(sign.isdigit() for sign in word)


def question(query: str, names: Collection[str]) -> str:
    """A query as the one it is about would ask it: words whose tokens are all in `names` become "I" and "my".

    What people say has their names beside it, not in it. Filters and excluded words are left out.
    """
    return " ".join(_in_first_person(_NO_WORDS.sub(" ", query).replace('"', " "), names).split())


def _in_first_person(text: str, names: Collection[str]) -> str:
    def spoken(word: re.Match[str]) -> str:
        tokens = analyse(word.group())
        if not tokens or not all(token in names for token in tokens):
            return word.group()
        return "my" if word.group().endswith(_POSSESSIVE) else "I"

    return _SPEAKER.sub("I", _WORD.sub(spoken, text)) if names else text
