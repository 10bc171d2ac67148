"""The sentences of a conversation, each with its speaker, date and place.

Above it lies `rules.extraction`, which judges them; below it `rules.transcript`, which knows the layout of the text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final, NamedTuple

from enhanced_memory.rules.transcript import FILLER, HIDDEN, read_transcript

MAX_SENTENCE: Final = 400
"""Characters after which a sentence is cut at a space: what runs on longer, as dictation does, says several things."""

_LEADING_SPACE: Final = re.compile(rf"(?:\s|{FILLER}++\s)*+")
_PICTURE: Final = "[\U0001f300-\U0001faff\u2600-\u27bf\ufe0f\u200d]++"
_END: Final = re.compile(
    rf"(?:\A\s*+|(?<=[.!?]\s)){HIDDEN}++(?=\s+[A-Z])"
    rf"|(?:(?<=[^\s.!?…])[.!?…]++|\s{_PICTURE}(?:\s{_PICTURE})*+)[\"'\u201d\u2019)\]*_`]{{0,3}}(?=\s|$)"
    r"|[\u3002\uff01\uff1f]++"
)
_ABBREVIATION: Final = re.compile(
    r"(?:\A|[\s(])(?:(?:mr|mrs|ms|dr|prof|st|jr|sr|vs|etc|e\.g|i\.e|approx|no|fig|inc|ltd|co|dept|a\.m|p\.m|u\.s|u\.k"
    r"|jan|feb|mar|apr|jun|jul|aug|sept?|oct|nov|dec)|[A-Za-z])\.$",
    re.IGNORECASE,
)
_LONGEST_ABBREVIATION: Final = 8
_PLAIN: Final = re.compile(r"[A-Za-z][\w,;:=/@|&-]*+(?: [\w,;:=/@|&'-]++)*+")
"""A line in which nothing ends a sentence, no bullet and no aside: most short ones."""
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
    transcript = read_transcript(text)
    masked = transcript.masked
    line, counted = 1, 0
    found: list[Sentence] = []
    for number, utterance in enumerate(transcript.utterances):
        for block_start, block_end in utterance.blocks:
            for start, end in _cut(masked, block_start, block_end):
                words = masked[start:end]
                if HIDDEN in words:
                    continue
                said = " ".join(words.replace(FILLER, "").split())
                if said:
                    line, counted = line + text.count("\n", counted, start), start
                    found.append(Sentence(said, start, end, line, utterance.speaker, utterance.date, number))
    return found


def _cut(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    """Start and end offsets of the sentences of a passage, without bullets, asides and white space around them."""
    block = text[start:end]
    if len(block) <= MAX_SENTENCE and _PLAIN.fullmatch(block):
        yield start, end
        return
    bullet = _BULLET.match(block)
    begin = bullet.end() if bullet else 0
    for aside in _ASIDE.finditer(block) if " [" in block else ():
        yield from _cut_plain(block, begin, aside.start(), start)
        begin = aside.end()
    yield from _cut_plain(block, begin, len(block), start)


def _cut_plain(block: str, begin: int, end: int, offset: int) -> Iterator[tuple[int, int]]:
    for stop in _END.finditer(block, begin, end):
        mark = stop.group()
        if mark == ".":
            if _ABBREVIATION.search(block, max(begin, stop.start() - _LONGEST_ABBREVIATION), stop.end()):
                continue
        elif mark[0] in ".…" and block[stop.end() + 1 : stop.end() + 2].islower():
            continue
        yield from _trimmed(block, begin, stop.end(), offset)
        begin = stop.end()
    yield from _trimmed(block, begin, end, offset)


def _trimmed(block: str, begin: int, end: int, offset: int) -> Iterator[tuple[int, int]]:
    if leading := _LEADING_SPACE.match(block, begin, end):
        begin = leading.end()
    while begin < end and (block[end - 1].isspace() or block[end - 1] == FILLER):
        end -= 1
    while end - begin > MAX_SENTENCE:
        space = block.rfind(" ", begin + MAX_SENTENCE // 2, begin + MAX_SENTENCE)
        cut = space if space > 0 else begin + MAX_SENTENCE
        yield offset + begin, offset + cut
        begin = cut + (space > 0)
    if begin < end:
        yield offset + begin, offset + end
