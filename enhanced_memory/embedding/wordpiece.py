"""WordPiece: texts cut into the pieces that English uncased BERT models know.

Above it lies `minilm`; below it the standard library and the word list beside it.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from importlib import resources

_PADDING, _UNKNOWN, _FIRST, _LAST = "[PAD]", "[UNK]", "[CLS]", "[SEP]"

_LONGEST_WORD = 100
"""Characters of a word that is cut into pieces; a longer one is unknown. Source: the models' own tokenizer."""

_HAN = (
    "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0002a6df\U0002a700-\U0002b73f\U0002b740-\U0002b81f"
    "\U0002b820-\U0002ceaf\U0002f800-\U0002fa1f"
)
_HAN_SIGN = re.compile(f"([{_HAN}])")
_ASCII_WORD = re.compile(r"[a-z0-9]+|[^\sa-z0-9]")


class WordPiece:
    """The tokenizer; safe for many threads."""

    def __init__(self) -> None:
        words = resources.files(__package__).joinpath("data/vocab.txt").read_text(encoding="utf-8").split("\n")
        self._numbers = {word: number for number, word in enumerate(words) if word}
        self.padding = self._numbers[_PADDING]
        self._pieces_of = lru_cache(16_384)(self._pieces)

    def encode(self, text: str, longest: int) -> list[int]:
        """The numbers of a text's pieces between those of its start and end; at most `longest` in all, from 2 on."""
        numbers = [self._numbers[_FIRST]]
        for word in _words(text):
            numbers += self._pieces_of(word)
            if len(numbers) >= longest:
                break
        return [*numbers[: longest - 1], self._numbers[_LAST]]

    def _pieces(self, word: str) -> tuple[int, ...]:
        """The longest pieces that make up the word, from its start; unknown if there are none."""
        found: list[int] = []
        start = 0
        while start < len(word) <= _LONGEST_WORD:
            for end in range(len(word), start, -1):
                number = self._numbers.get(word[start:end] if start == 0 else f"##{word[start:end]}")
                if number is not None:
                    found.append(number)
                    start = end
                    break
            else:
                return (self._numbers[_UNKNOWN],)
        return tuple(found) or (self._numbers[_UNKNOWN],)


def _words(text: str) -> list[str]:
    """Words and single signs of punctuation, in small letters and without accents."""
    if text.isascii() and text.isprintable():
        return _ASCII_WORD.findall(text.lower())
    kept = "".join(" " if sign.isspace() else sign for sign in text if sign.isspace() or not _is_control(sign))
    apart = unicodedata.normalize("NFD", _HAN_SIGN.sub(r" \1 ", kept).lower())
    plain = "".join(sign for sign in apart if unicodedata.category(sign) != "Mn")
    return "".join(f" {sign} " if _is_punctuation(sign) else sign for sign in plain).split()


def _is_control(sign: str) -> bool:
    return sign == "\ufffd" or unicodedata.category(sign)[0] == "C"


def _is_punctuation(sign: str) -> bool:
    """Punctuation, and every ASCII sign that is neither letter nor digit."""
    if sign.isascii():
        return not sign.isalnum() and not sign.isspace()
    return unicodedata.category(sign)[0] == "P"
