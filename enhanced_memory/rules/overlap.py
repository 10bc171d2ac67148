"""Overlap of two lists of observations: how much two entities say in common, and what that makes them.

Above it lies `rules.conflicts`; below it nothing. Observations count as the same when only case, spaces, punctuation or
the width of characters tell them apart.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from functools import lru_cache
from typing import Final, Literal

DUPLICATE: Final = 0.85
"""Overlap above which one entity repeats another, unless the caller says otherwise. Source: guide, step 6."""

UPDATE: Final = 0.3
"""Overlap above which one entity brings another up to date. Source: guide, step 6."""

_UNSAID: Final = re.compile(r"[^\w%$€£+#]+|_+|(?<![cfj])[+#]+")
_SPACED: Final = {code: " " for code in range(128) if _UNSAID.fullmatch(chr(code))}
"""The same for ASCII texts without + and #."""


_REMEMBERED: Final = 400
"""Characters up to which the levelled form of an observation is kept at hand, some 60 MB at most; of longer ones only a
few are."""


def levelled(observation: str) -> str:
    """An observation in small letters with single spaces for whatever lies between its words.

    Signs that change a meaning (%, currencies, "C++", "C#") stay. A text of nothing but punctuation stays as it is.
    """
    return _known(observation) if len(observation) <= _REMEMBERED else _known_long(observation)


def levelled_once(observation: str) -> str:
    """What `levelled` gives, for texts that are not asked for again."""
    if observation.isascii():
        text = observation.lower().replace("'", "")
        if "+" not in text and "#" not in text:  # most texts, in a tenth of the time
            return " ".join(text.translate(_SPACED).split()) or text.strip()
    else:
        text = unicodedata.normalize("NFKC", observation).casefold().replace("\u2019", "").replace("'", "")
    return " ".join(_UNSAID.sub(" ", text).split()) or text.strip()


_known: Final = lru_cache(maxsize=65_536)(levelled_once)
_known_long: Final = lru_cache(maxsize=128)(levelled_once)


def likeness(ours: Sequence[str], theirs: Sequence[str]) -> float:
    """Share of observations two entities have in common: 0.0 none, 1.0 all.

    Common observations over the larger list; order and repeats do not count. Two empty lists are 0.0.

    Source: guide, step 6.
    """
    mine, others = {levelled(text) for text in ours}, {levelled(text) for text in theirs}
    larger = max(len(mine), len(others))
    return len(mine & others) / larger if larger else 0.0


def verdict_of(overlap: float, threshold: float = DUPLICATE) -> Literal["duplicate", "update"] | None:
    """What an overlap (0..1) alone says of two entities: above the threshold a duplicate, above 0.3 an update."""
    if overlap > threshold:
        return "duplicate"
    return "update" if overlap > UPDATE else None
