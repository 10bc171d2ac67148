"""The sentences of a conversation, each with its speaker, date and place.

Above it lies `rules.extraction`, which judges them; below it `rules.transcript`, which knows the layout of the text,
and `rules.words`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final, NamedTuple

from enhanced_memory.rules.transcript import FILLER, HIDDEN, Transcript, read_transcript
from enhanced_memory.rules.words import word_set

MAX_SENTENCE: Final = 400
"""Characters after which a sentence is cut at a space: what runs on longer, as dictation does, says several things."""

_LEADING_SPACE: Final = re.compile(rf"(?:\s|{FILLER}++\s)*+")
_PICTURES: Final = "\U0001f300-\U0001faff\u2600-\u2775\u2794-\u27bf\ufe0f\u200d"
"""Smiles and other pictures; not the numbers in circles, which stand among them and are words."""

_PICTURE: Final = f"[{_PICTURES}]++"
_CLOSERS: Final = "[\"'\u201d\u2019)\\]*_`]{0,3}"
_END: Final = re.compile(
    rf"[.!?…\u3002\uff01\uff1f{HIDDEN}{_PICTURES}](?:"
    rf"(?<=[^\s.!?…][.!?…])[.!?…]*+{_CLOSERS}(?=\s|$)"
    rf"|(?<=\s[{_PICTURES}])[{_PICTURES}]*+(?:\s{_PICTURE})*+{_CLOSERS}(?=\s|$)"
    r"|(?<=[\u3002\uff01\uff1f])[\u3002\uff01\uff1f]*+"
    rf"|(?:(?<=\A{HIDDEN})|(?<=[.!?]\s{HIDDEN})){HIDDEN}*+(?=\s+[A-Z]))"
)
"""Where a sentence ends. What must stand before is asked for after the first sign: a set of signs is found fast."""

_ABBREVIATIONS: Final = word_set(
    """mr mrs ms dr prof st jr sr vs etc approx no fig inc ltd co dept jan feb mar apr jun jul aug sep sept oct nov
    dec"""
)
_ABBREVIATION: Final = re.compile(
    rf"(?:\A|[\s(])(?:{'|'.join(sorted(_ABBREVIATIONS))}|e\.g|i\.e|a\.m|p\.m|u\.s|u\.k|[A-Za-z])\.$", re.IGNORECASE
)
_LONGEST_ABBREVIATION: Final = 8
_PLAIN: Final = re.compile(r" *+([A-Za-z][\w,;:=/@|&'\u2019-]*+(?: [\w,;:=/@|&'\u2019-]++)*+[.!?]?)")
"""A line of one sentence and no bullet nor aside, in its group: most short ones."""
_ASIDE: Final = re.compile(r"\s\[(?!secret: )[^\[\]]{12,400}\](?!\()")
_BULLET: Final = re.compile(r"\s*+(?:(?:[-*•+]|\d{1,3}[.)]|[a-z]\))\s+)?(?:\[[ xX]\]\s+)?")


class Sentence(NamedTuple):
    """One sentence somebody said.

    text: as said, white space levelled. start, end: its place in the conversation, in characters. line: the line it
    begins in, from 1. speaker, date: as the text writes them, None where it does not. utterance: the number of the
    utterance it belongs to, from 0.
    """

    text: str
    start: int
    end: int
    line: int
    speaker: str | None
    date: str | None
    utterance: int


def split_sentences(text: str) -> list[Sentence]:
    """The sentences of a conversation in order, without those any part of which is private.

    Asides in square brackets (a shared picture, a noise) are not said and left out.
    """
    return list(read_sentences(text)[1])


def read_sentences(text: str) -> tuple[set[str | None], Iterator[Sentence]]:
    """Who says anything in a conversation, and its sentences, made as they are asked for: there may be many."""
    transcript = read_transcript(text)
    masked, utterances = transcript.masked, transcript.utterances
    is_marked = HIDDEN in masked
    places = [
        (start, end, number)
        for number, utterance in enumerate(utterances)
        for block_start, block_end in utterance.blocks
        for start, end in _cut(masked[block_start:block_end], block_start)
        if not is_marked or HIDDEN not in masked[start:end]
    ]
    speakers = {utterances[number].speaker for number in {number for _, _, number in places}}
    return speakers, _sentences(text, transcript, places)


def _sentences(text: str, transcript: Transcript, places: list[tuple[int, int, int]]) -> Iterator[Sentence]:
    """The sentences that stand from a place to another, each said in the utterance of a number."""
    masked, utterances = transcript.masked, transcript.utterances
    is_filled = FILLER in masked
    line, counted = 1, 0
    for start, end, number in places:
        words = masked[start:end]
        if is_filled:
            words = words.replace(FILLER, "")
        line += text.count("\n", counted, start)
        counted = start
        utterance = utterances[number]
        yield Sentence(" ".join(words.split()), start, end, line, utterance.speaker, utterance.date, number)


def _cut(block: str, offset: int) -> list[tuple[int, int]]:
    """Start and end offsets of the sentences of a passage, without bullets, asides and white space around them.

    `offset` is where the passage begins, and is added to each.
    """
    plain = _PLAIN.fullmatch(block) if len(block) <= MAX_SENTENCE else None
    if plain:
        return [(offset + plain.start(1), offset + len(block))]
    parts: list[tuple[int, int]] = []
    bullet = _BULLET.match(block)
    begin = bullet.end() if bullet else 0
    for aside in _ASIDE.finditer(block) if " [" in block else ():
        _cut_plain(block, begin, aside.start(), parts)
        begin = aside.end()
    _cut_plain(block, begin, len(block), parts)
    return [(offset + start, offset + end) for start, end in parts]


def _cut_plain(block: str, begin: int, end: int, parts: list[tuple[int, int]]) -> None:
    """Add the places of the sentences between two places of a passage to `parts`."""
    first = begin
    for stop in _END.finditer(block, begin, end):
        mark = stop.group()
        at = stop.end()
        if mark == ".":
            if _is_abbreviation(block, begin, at - 1):
                continue
        elif (mark[0] in ".…" and block[at + 1 : at + 2].islower()) or (stop.start() == first and _is_smile(mark)):
            continue
        _trim(block, begin, at, parts)
        begin = at
    _trim(block, begin, end, parts)


def _is_abbreviation(block: str, begin: int, at: int) -> bool:
    """Whether the full stop at a place ends an abbreviation that begins at `begin` or later."""
    start = max(begin, at - _LONGEST_ABBREVIATION)
    _, space, word = block[start:at].rpartition(" ")
    if (space or start > begin) and word.isascii() and word.isalpha():
        return bool(space) and (len(word) == 1 or word.lower() in _ABBREVIATIONS)
    return _ABBREVIATION.search(block, start, at + 1) is not None


def _is_smile(mark: str) -> bool:
    """Whether what ends a sentence is one group of pictures; at its beginning that ends nothing."""
    return mark[0] not in ".!?…\u3002\uff01\uff1f" + HIDDEN and not any(sign.isspace() for sign in mark)


def _trim(block: str, begin: int, end: int, parts: list[tuple[int, int]]) -> None:
    """Add a part of a passage to `parts`, without white space around it, and cut where it is too long."""
    if leading := _LEADING_SPACE.match(block, begin, end):
        begin = leading.end()
    while begin < end and (block[end - 1].isspace() or block[end - 1] == FILLER):
        end -= 1
    while end - begin > MAX_SENTENCE:
        space = block.rfind(" ", begin + MAX_SENTENCE // 2, begin + MAX_SENTENCE)
        cut = space if space > 0 else begin + MAX_SENTENCE
        parts.append((begin, cut))
        begin = cut + (space > 0)
    if begin < end:
        parts.append((begin, end))
