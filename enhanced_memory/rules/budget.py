"""What a text costs an assistant: an estimate of tokens that errs on the high side.

Above it lie the operations that keep replies within a budget. Pure.

Tokenizers cut text much alike: at spaces and changes of kind, common words whole, other runs into pieces of a few
characters. The rates below were chosen so that for prose, code, JSON, digests, random letters and the scripts of the
world the estimate lies above the counts of two byte-pair encodings in wide use (a test holds it against both), and for
English prose about half above.
"""

from __future__ import annotations

import json
import re
from typing import Any, Final

_PIECE: Final = re.compile(
    r"(?P<lower>[a-z]+)|(?P<upper>[A-Z]+)|(?P<digits>[0-9]+)|(?P<blank>\s+)|(?P<picture>[\U00010000-\U0010ffff])"
    r"|(?P<foreign>[^\x00-\x7f\U00010000-\U0010ffff]+)|(?P<sign>.)",
    re.DOTALL,
)
_UNSPEAKABLE: Final = re.compile("[bcdfghjklmnpqrstvwxz]{4}|[aeiouy]{4}")
"""What words of a language seldom have and random letters mostly do."""

_LETTERS: Final = 3.5
_RANDOM_LETTERS: Final = 1.5
_CAPITALS: Final = 1.6
_DIGITS: Final = 1.8
_FOREIGN_BYTES: Final = 2.0
"""Characters (of foreign scripts: bytes) a token holds at the least, about."""

_PICTURE: Final = 3.5
"""Tokens of an emoji or another character beyond the basic plane."""


def estimated_tokens(text: str) -> int:
    """Tokens of a text, at least as many as usual tokenizers make of it."""
    tokens = 0.0
    for piece in _PIECE.finditer(text):
        kind, run = piece.lastgroup, piece.group()
        if kind == "lower":
            random = len(run) > 4 and _UNSPEAKABLE.search(run) is not None
            tokens += -(-len(run) // (_RANDOM_LETTERS if random else _LETTERS))
        elif kind == "upper":
            tokens += -(-len(run) // _CAPITALS)
        elif kind == "digits":
            tokens += -(-len(run) // _DIGITS)
        elif kind == "blank":
            tokens += 0 if run == " " else 1
        elif kind == "foreign":
            tokens += -(-len(run.encode("utf-8", "replace")) // _FOREIGN_BYTES)
        else:
            tokens += _PICTURE if kind == "picture" else 1
    return int(tokens + 0.999)


def tokens_of(item: Any) -> int:
    """Tokens of plain data sent as compact JSON."""
    return estimated_tokens(json.dumps(item, ensure_ascii=False, separators=(",", ":")))
