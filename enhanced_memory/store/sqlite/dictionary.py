"""Preset dictionaries: the one that ships with the product, and the training of one on a store's own text.

Above it lies whoever opens the store; below it the codec, whose framing the text of a dictionary carries. Which number
a dictionary has, and that it stays as long as a blob names it, is the store's affair.
"""

from __future__ import annotations

import hashlib
import heapq
from collections import Counter
from collections.abc import Iterable, Iterator
from importlib.resources import files
from math import sqrt
from typing import Final

from enhanced_memory.store.sqlite.codec import DICTIONARY_BYTES, LINE_END, LINE_START, PICKLE_STARTS

_SHIPPED_FILE = "words-1.dict"
_SHIPPED_SHA256 = "e75cbb5c8e416ab5fd60b0d7a43133719c3faad5c05647e3a6831f818b0726c8"

_GRAM = 6
"""Characters in the pieces that are counted; 5 and 8 saved up to 0.9 and 0.4 points less on text not learned from."""

_LONGEST_RUN = 48
"""Grams in a candidate; 24 and 100 made no difference."""

_SEEN_IN = 3
"""A gram is used once this many texts hold it."""

_SAMPLE_CHARACTERS = 1_000_000
"""Text in which pieces are counted; more costs time and changes little in 32 KiB."""

_CANDIDATE_CHARACTERS = 200_000
"""Text that candidates are taken from: runs worth a place are met soon. From all of it, training took three times as
long and saved 0.3 points more."""

_OWN_SHARE = 3 / 4
"""Share of a dictionary that is learned at the most; the end of the shipped one stays in the rest. Text like that
learned from takes 1 % more bytes so, and text of another kind, as the next import may be, 5 % less."""


def train(texts: Iterable[str], size: int = DICTIONARY_BYTES) -> bytes:
    """A dictionary of at most `size` bytes for text like this; the same texts in any order give the same bytes.

    Each text is best one entity, its observations joined with line feeds: only what three texts share goes in, so that
    what one entity alone says is never copied out of it. A quarter of the room, and what else is left, holds the end of
    the shipped dictionary.

    Candidates are runs of characters whose every six in a row stand in three texts. The best is the one whose pieces
    not yet in the dictionary are the most frequent, over the square root of its length; it goes nearest to the end.
    """
    lines = [_framed(text) for text in _sample(sorted(set(texts)))]
    counts: Counter[str] = Counter()
    for line in lines:
        counts.update(set(_grams(line)))
    worth = {gram: count - 1 for gram, count in counts.items() if count >= _SEEN_IN}
    candidates = lines[:: sum(map(len, lines)) // _CANDIDATE_CHARACTERS + 1]
    runs = list(_best_runs(candidates, worth, int(size * _OWN_SHARE)))
    chosen = b"".join(run.encode() for run in reversed(runs))
    return (SHIPPED + chosen + PICKLE_STARTS)[-size:]


def _sample(texts: list[str]) -> list[str]:
    """Every n-th text, so that about `_SAMPLE_CHARACTERS` remain."""
    return texts[:: sum(map(len, texts)) // _SAMPLE_CHARACTERS + 1]


def _framed(text: str) -> str:
    """The text with the opcodes around its lines."""
    start, end = LINE_START.decode(), LINE_END.decode()
    return end + start + text.replace(end, end + start) + end


def _grams(line: str) -> list[str]:
    return [line[i : i + _GRAM] for i in range(len(line) - _GRAM + 1)]


def _runs(line: str, worth: dict[str, int]) -> Iterator[str]:
    """The parts of a line whose every gram is worth something."""
    start = None
    for i, gram in enumerate([*_grams(line), ""]):
        if gram in worth and start is None:
            start = i
        elif start is not None and (gram not in worth or i - start == _LONGEST_RUN):
            yield line[start : i + _GRAM - 1]
            start = i if gram in worth else None


def _best_runs(lines: list[str], worth: dict[str, int], size: int) -> Iterator[str]:
    """Runs, the best first, until they fill `size` bytes; `worth` falls to 0 for the grams that were taken.

    A run's value only falls as others are taken, so the one on top of the heap whose value still holds is the best.
    """

    def value(grams: tuple[str, ...]) -> float:
        return sum(map(worth.__getitem__, grams)) / sqrt(len(grams) + _GRAM)

    candidates = {run: tuple(dict.fromkeys(_grams(run))) for line in lines for run in _runs(line, worth)}
    heap = [(-value(grams), run) for run, grams in candidates.items()]
    heapq.heapify(heap)
    filled = 0
    while heap and filled < size:
        before, run = heap[0]
        now = -value(candidates[run])
        if now > before:
            heapq.heapreplace(heap, (now, run))
            continue
        if now == 0:
            return
        heapq.heappop(heap)
        new = [i for i, gram in enumerate(_grams(run)) if worth[gram]]
        worth.update(dict.fromkeys(candidates[run], 0))
        run = run[new[0] : new[-1] + _GRAM]
        filled += len(run.encode())
        yield run


def _shipped() -> bytes:
    """The file beside this module, as scripts/build_dictionary.py made it. Raises: RuntimeError: it was changed."""
    data = files(__package__).joinpath("data", _SHIPPED_FILE).read_bytes()
    if hashlib.sha256(data).hexdigest() != _SHIPPED_SHA256:
        raise RuntimeError(f"{_SHIPPED_FILE} is damaged: install enhanced-memory again")
    return data


SHIPPED: Final = _shipped()
"""Frequent English words and the phrases memories are written in; data/README.md tells where they come from."""
