"""The analyser: how a text becomes the tokens that are indexed, and how a query becomes the tokens that find them.

Above it lie the index and the search, and whoever compares texts by words; below it only `rules.stemming`. Tokens hold
letters, digits and the marks that belong to letters, nothing else, so that no engine reads syntax in them; they are to be
stored as they are, by a tokenizer that only splits at spaces (FTS5's `ascii` with tokens parted by spaces does).

A text is cut into chunks at white space and punctuation, but not inside a code: `PRJ-00120/v3.1` is one chunk. A chunk
gives its parts (`prj`, `00120`, `v3`, `1`) and, when there are several, one token of them all (`prj00120v31`), which only
that code has. The joined tokens follow the parts of the whole text, so that parts of neighbouring words stay neighbours.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from os.path import commonprefix
from typing import Final, NamedTuple

from enhanced_memory.rules.stemming import stem

ANALYSER_VERSION: Final = 1
"""Goes up whenever any text gives other tokens than before; an index made by another version is made anew."""

MAX_TOKEN: Final = 64
"""Longest token in characters: room for a SHA-256 in hexadecimal. What is longer is cut."""

_LABEL_REACH: Final = 200
"""Characters of an observation in which a date and a speaker's label are looked for."""

STOP_WORDS: Final = frozenset(
    """a about after again all also am an and any are as at be because been before being between both but by can could
    did do does doing done during each either else ever every for from further get gets getting got had has have having
    he her here hers herself him himself his how if in into is it its itself just let me might mine more most much
    must my myself neither no nor not of off on once one only onto or other others our ours ourselves out over own
    same shall she should since so some such than that the their theirs them themselves then there these they this
    those though through thus to too under until up upon us very was we were what whatever when where whether which
    while who whom whose why will with within without would yes yet you your yours yourself yourselves i
    ain aint arent cannot cant couldnt didnt doesnt dont hadnt hasnt havent im isnt ive shouldnt wasnt werent wont
    wouldnt youre""".split()
)
"""English words without a subject of their own. They are neither indexed nor asked for, unless nothing else is left."""

_ACRONYMS: Final = frozenset({"IT", "US", "WHO"})
_SPELLED: Final = {"+": "plusplus", "#": "sharp"}

# Letters outside ASCII that Unicode does not take apart, as people without them on the keyboard write them.
_PLAIN: Final = str.maketrans(
    {"ø": "o", "đ": "d", "ð": "d", "ł": "l", "ħ": "h", "ı": "i", "æ": "ae", "œ": "oe", "þ": "th"}
)
# Accents of Latin, Greek and Cyrillic letters, Hebrew points, Arabic vowel signs, soft hyphens and invisible joiners:
# left out by many who write the languages.
_UNWRITTEN: Final = re.compile(
    "[\u00ad\u0300-\u036f\u0591-\u05bd\u05bf-\u05c7\u064b-\u065f\u0670\u200c\u200d\u2060\ufeff]+"
)
# Signs that Python counts as no letters but without which words of India and South-East Asia fall to pieces.
_MARKS: Final = (
    "\u0900-\u0903\u093a-\u094f\u0981-\u09cd\u0a01-\u0a4d\u0a81-\u0acd\u0b01-\u0b4d\u0b82-\u0bcd\u0c00-\u0c4d"
    "\u0c81-\u0ccd\u0d00-\u0d4d\u0d82-\u0ddf\u0e31-\u0e3a\u0e47-\u0e4e\u0eb1-\u0ebc\u0ec8-\u0ecd"
    "\u102b-\u103e\u17b4-\u17d3\u3099\u309a"
)
_WORD: Final = rf"[\w{_MARKS}]+"
_CHUNK: Final = re.compile(rf"{_WORD}(?:(?:[-'.@+#&\\]|[:/]{{1,3}}|,(?=\d{{3}}(?!\d))){_WORD})*(?:\+\+|#)?")
_ASCII_CHUNK: Final = re.compile(r"\w+(?:(?:[-'.@+#&\\]|[:/]{1,3}|,(?=\d{3}(?!\d)))\w+)*(?:\+\+|#)?", re.ASCII)
_CLITIC: Final = re.compile("(?<=[^\\W_])'(?:s|m|re|ve|ll|d)$")
_THOUSANDS: Final = re.compile(r"\d{1,3}(?:,\d{3})+")
_PART: Final = re.compile(rf"(?:[^\W_]|[{_MARKS}])+")
_HUMP: Final = re.compile("(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
# Scripts written without spaces between words (Han, kana, Thai, Lao, Burmese, Khmer), and Hangul, whose words carry endings.
_UNSPACED: Final = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1100-\u11ff\u1780-\u17ff\u3005-\u3007\u3040-\u30ff\u3130-\u318f\u31f0-\u31ff"
    "\u3400-\u4dbf\u4e00-\u9fff\ua960-\ua97f\uac00-\ud7ff\uf900-\ufaff\U00020000-\U0003ffff]+"
)

_MONTH: Final = (
    "(?:jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?|oct(?:ober)?"
    r"|nov(?:ember)?|dec(?:ember)?)\b\.?"
)
_STAMP: Final = re.compile(
    r"[\s>*•·–—-]*+(?i:(?:[\[(<]?(?:"
    rf"\d{{1,2}}(?:st|nd|rd|th)?\s(?:of\s)?{_MONTH}(?!\s?[:：])|{_MONTH}\s\d[\w./+-]*"
    r"|\d[\w./+-]*(?::\d[\w./+-]*)*|(?:mon|tues?|wed(?:nes)?|thu(?:rs)?|fri|sat(?:ur)?|sun)(?:day)?\b(?!\s?[:：])"
    r"|(?:at|on|am|pm|utc|gmt)\b)[\])>,;:|\s–—-]*+){0,8}+)"
)
_NAME: Final = r"[^\W\d_][\w'’.-]{0,39}"
_LABEL: Final = re.compile(
    rf"(?:[Tt]he\s)?[*_<@]*+(?P<who>{_NAME}(?:\s(?:[^\W_a-z][\w'’.-]{{0,39}}|d[aeiu]|de[lnr]|l[ae]|v[ao]n|bin|al))"
    "{0,4})"
    r"(?:\s?[\[(][^\])\n]{1,40}[\])])?(?:[*_]*\s?[:：][*_]*+(?=\s|$)|>)"
)
_ROLES: Final = frozenset({"user", "human", "assistant", "customer", "client"})


class _Chunk(NamedTuple):
    """Tokens of one chunk: its parts without stop words, the token of all parts together, and the parts with stop words."""

    parts: tuple[str, ...]
    joined: tuple[str, ...]
    every: tuple[str, ...]


def analyse(text: str) -> list[str]:
    """The tokens of a text: parts of words and codes in order, then the joined tokens of its codes.

    Width and compatibility forms, case, accents and English word forms are levelled; scripts without spaces give
    overlapping pairs of characters and each run's last character, so that a single one finds them as a prefix; numbers
    are kept. Stop words are left out, unless the text has nothing else. The list is empty only when the text has no letter
    and no digit. No token is empty or longer than MAX_TOKEN. The same function serves texts and queries.
    """
    parts: list[str] = []
    joined: list[str] = []
    chunks = _chunks(text)
    for chunk in chunks:
        parts += chunk.parts
        joined += chunk.joined
    if not parts and not joined:
        return [token for chunk in chunks for token in chunk.every]
    return parts + joined


def analyse_parts(text: str) -> list[str]:
    """The tokens of a text without the joined ones: what a quoted phrase must meet side by side."""
    chunks = _chunks(text)
    return [token for chunk in chunks for token in chunk.parts] or [token for chunk in chunks for token in chunk.every]


def analyse_prefix(beginning: str) -> list[str]:
    """The tokens of the beginning of a word or code: all but the last must be met as they are, the last as a prefix.

    The last is not stemmed, only cut to what it shares with its stem, so that "happy" still finds "happiness".
    """
    words = _PART.findall(_plain(beginning))
    pieces = [_fold(piece) for word in words for piece in _HUMP.split(word)]
    if not pieces:
        return []
    *whole, last = pieces
    tokens = [token for piece in whole if piece not in STOP_WORDS for token in analyse_parts(piece)]
    if _UNSPACED.search(last):
        return tokens + _pairs(last)[0]
    return [*tokens, commonprefix([last[:MAX_TOKEN], _token(last)])]


def is_stop_word(word: str) -> bool:
    """Whether a word has tokens, and all of them are left out of any text that has others."""
    chunks = _chunks(word)
    return any(chunk.every for chunk in chunks) and not any(chunk.parts or chunk.joined for chunk in chunks)


def is_single_sign(word: str) -> bool:
    """Whether a word is one character of a script without spaces, which pairs can only find as a prefix."""
    return len(word) == 1 and _UNSPACED.match(word) is not None


def _chunks(text: str) -> list[_Chunk]:
    if text.isascii():
        found = _ASCII_CHUNK.findall(text)
    else:
        found = _CHUNK.findall(_plain(text))
    return [_known_chunk(chunk) if len(chunk) <= MAX_TOKEN else _analysed(chunk) for chunk in found]


def _plain(text: str) -> str:
    """The text in normal form NFKC, without accents and with straight apostrophes."""
    apart = unicodedata.normalize("NFKD", text.replace("’", "'"))
    return unicodedata.normalize("NFKC", _UNWRITTEN.sub("", apart))


def _analysed(chunk: str) -> _Chunk:
    """Tokens of one chunk of a plain text."""
    if chunk in _ACRONYMS:
        return _Chunk((chunk.lower(),), (), (chunk.lower(),))
    spelled = _SPELLED.get(chunk[-1], "")
    chunk = _CLITIC.sub("", chunk.rstrip("+#"))
    if "'" in chunk and (plain := chunk.replace("'", "").lower()) in STOP_WORDS:
        return _Chunk((), (), (plain,))
    if _THOUSANDS.fullmatch(chunk):
        chunk = chunk.replace(",", "")
    parts: list[str] = []
    every: list[str] = []
    joined: list[str] = []
    words = _PART.findall(chunk)
    for word in words:
        pieces = _HUMP.split(word)
        for piece in pieces:
            folded = _fold(piece)
            if _UNSPACED.search(folded):
                tokens, last = _pairs(folded)
                joined += last
            else:
                tokens = [_token(folded)]
            every += tokens
            if folded not in STOP_WORDS:
                parts += tokens
        if len(pieces) > 1 and len(words) > 1:
            joined.append(_token(_fold(word)))
    whole = _fold("".join(words))
    if len(every) > 1 and not _UNSPACED.search(whole):
        joined.append(_token(whole))
    if spelled and whole:
        joined.append(_token(whole + spelled))
    return _Chunk(tuple(parts), tuple(joined), tuple(every))


_known_chunk: Final = lru_cache(maxsize=65_536)(_analysed)


def _fold(word: str) -> str:
    return word.lower() if word.isascii() else word.casefold().translate(_PLAIN)


def _pairs(folded: str) -> tuple[list[str], list[str]]:
    """The overlapping pairs of a word in a script without spaces, words of other scripts within it, and the last of each run."""
    tokens: list[str] = []
    last: list[str] = []
    end = 0
    for run in _UNSPACED.finditer(folded):
        if run.start() > end:
            tokens.append(_token(folded[end : run.start()]))
        end = run.end()
        letters = run.group()
        if len(letters) == 1:
            tokens.append(letters)
        else:
            tokens += [letters[i : i + 2] for i in range(len(letters) - 1)]
            last.append(letters[-1])
    if end < len(folded):
        tokens.append(_token(folded[end:]))
    return tokens, last


def _token(folded: str) -> str:
    return stem(folded[:MAX_TOKEN]) if folded.isascii() and folded.isalpha() else folded[:MAX_TOKEN]


class Observed(NamedTuple):
    """An observation taken apart: tokens of its speaker or subject, whether a label names the speaker, and its text without
    that label."""

    who: list[str]
    said: bool
    text: str


def observe(observation: str) -> Observed:
    """Tell whom an observation is about or who says it from what it says.

    A speaker's label ("8 May 2023 Caroline: I went", "[10:31] bob: hi", "**Ann (PM):** hi") is not in the text; the subject
    a sentence begins with ("Caroline likes tea", "The user prefers") is. Dates stay in the text. Without a label or a
    subject `who` is empty.
    """
    start = observation[:_LABEL_REACH]
    stamp = _STAMP.match(start)
    after = stamp.end() if stamp else 0
    label = _LABEL.match(start, after)
    if label:
        return Observed(analyse(label["who"]), True, f"{observation[:after]}{observation[label.end() :].lstrip()}")
    return Observed(_subject(start[after:]), False, observation)


def subject_and_body(observation: str) -> tuple[list[str], list[str]]:
    """The two fields of an observation in the index: tokens of its speaker or subject, and tokens of its text."""
    seen = observe(observation)
    return seen.who, analyse(seen.text)


def _subject(sentence: str) -> list[str]:
    """Tokens of the capitalised words, or the role, that a sentence begins with and goes on from in small letters."""
    names: list[str] = []
    words = sentence.split(maxsplit=6)[:6]
    if words and words[0] in ("The", "the"):
        del words[0]
        if not words or words[0].removesuffix("'s").lower() not in _ROLES:
            return []
    for word in words:
        name = word.replace("’", "'").removesuffix("'s")
        if not names and name.lower() in _ROLES or name[0].isupper():
            names.append(name)
            if name != word:
                break
        elif not word[0].islower():
            return []
        elif word != "and" or not names:
            break
    found = analyse_parts(" ".join(names))
    return [] if found and found[0] in STOP_WORDS else found
