"""The analyser: how a text becomes the tokens that are indexed, and how a query becomes the tokens that find them.

Above it lie the index, the query language and the ranking; below it only `rules.stemming`. Tokens hold letters, digits
and the marks that belong to letters, so that no engine reads syntax in them. An index has to store them as they are,
parted by spaces and read by a tokenizer that leaves everything but ASCII alone (`ascii` in FTS5).

A text is cut into chunks at white space and punctuation, but not inside a code: `PRJ-00120/v3.1` is one chunk. A chunk
gives its parts (`prj`, `00120`, `v3`, `1`) and, when there are several, one token of them all (`prj00120v31`), which
only that code has. Joined tokens come behind the parts of the whole text, so that parts stay beside their neighbours.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from functools import lru_cache
from itertools import chain
from operator import itemgetter
from typing import Final, NamedTuple

from enhanced_memory.rules.stemming import stem

ANALYSER_VERSION: Final = 1
"""Goes up whenever any text gives other tokens than before; an index made by another version is made anew."""

MAX_TOKEN: Final = 64
"""Longest token in characters: room for a SHA-256 in hexadecimal. What is longer is cut."""

_LABEL_REACH: Final = 200
"""Characters of an observation in which a date and a speaker's label are looked for."""

_STOP_WORDS: Final = """
    a about after again all also am an and any are as at be because been before being between both but by can could did
    do does doing done during each either else ever every for from further get gets getting got had has have having he
    her here hers herself him himself his how i if in into is it its itself just let me might mine more most much must
    my myself neither no nor not of off on once one only onto or other others our ours ourselves out over own same
    shall she should since so some such than that the their theirs them themselves then there these they this those
    though through thus to too under until up upon us very was we were what whatever when where whether which while who
    whom whose why will with within without would yes yet you your yours yourself yourselves
    ain aint arent cannot cant couldnt didnt doesnt dont hadnt hasnt havent im isnt ive shouldnt wasnt werent wont
    wouldnt youre
"""
STOP_WORDS: Final = frozenset(_STOP_WORDS.split())
"""English words that say nothing by themselves: neither indexed nor asked for, unless nothing else is left."""

_ACRONYMS: Final = frozenset({"IT", "US", "WHO"})
_SPELLED: Final = {"+": "plusplus", "#": "sharp"}
_ADVERBS: Final = "always currently never now often recently sometimes today tomorrow usually yesterday"
_NO_SUBJECTS: Final = STOP_WORDS.union(_ADVERBS.split())
_AUXILIARIES: Final = frozenset(
    ("can", "could", "did", "does", "had", "has", "is", "might", "must", "should", "was", "were", "will", "would")
)
_ROLES: Final = frozenset({"user", "human", "assistant", "customer", "client"})

# Letters that Unicode does not take apart, as people write them who do not have them on their keyboard.
_PLAIN: Final = str.maketrans(
    {"ø": "o", "đ": "d", "ð": "d", "ł": "l", "ħ": "h", "\u0131": "i", "æ": "ae", "œ": "oe", "þ": "th"}
)
# Accents of Latin, Greek and Cyrillic letters, Hebrew points, Arabic vowel signs, soft hyphens, invisible joiners: left
# out by many who write those languages.
_UNWRITTEN: Final = re.compile(
    "[\u00ad\u0300-\u036f\u0591-\u05bd\u05bf-\u05c7\u064b-\u065f\u0670\u200c\u200d\u2060\ufeff]+"
)
# Signs that Python counts as no letters, without which the words of India and South-East Asia would fall to pieces.
_MARKS: Final = (
    "\u0900-\u0903\u093a-\u094f\u0981-\u09cd\u0a01-\u0a4d\u0a81-\u0acd\u0b01-\u0b4d\u0b82-\u0bcd\u0c00-\u0c4d"
    "\u0c81-\u0ccd\u0d00-\u0d4d\u0d82-\u0ddf\u0e31-\u0e3a\u0e47-\u0e4e\u0eb1-\u0ebc\u0ec8-\u0ecd"
    "\u102b-\u103e\u17b4-\u17d3\u3099\u309a"
)
# Scripts without spaces between words (Han, kana, Thai, Lao, Burmese, Khmer), and Hangul, whose words have endings.
_UNSPACED: Final = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1100-\u11ff\u1780-\u17ff\u3005-\u3007\u3040-\u30ff\u3130-\u318f\u31f0-\u31ff"
    "\u3400-\u4dbf\u4e00-\u9fff\ua960-\ua97f\uac00-\ud7ff\uf900-\ufaff\U00020000-\U0003ffff]+"
)
_JOINT: Final = r"(?:[-'.@+#&\\]|[:/]{1,3}|,(?=\d{3}(?!\d)))"
_CHUNK: Final = re.compile(rf"[\w{_MARKS}]+(?:{_JOINT}[\w{_MARKS}]+)*(?:\+\+|#)?")
_ASCII_CHUNK: Final = re.compile(rf"\w+(?:{_JOINT}\w+)*(?:\+\+|#)?", re.ASCII)
_PART: Final = re.compile(rf"(?:[^\W_]|[{_MARKS}])+")
_HUMP: Final = re.compile("(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_CLITIC: Final = re.compile("(?<=[^\\W_])'(?:s|m|re|ve|ll|d)$")
_THOUSANDS: Final = re.compile(r"\d{1,3}(?:,\d{3})+")

_MONTH: Final = (
    r"(?:jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?|oct(?:ober)?"
    r"|nov(?:ember)?|dec(?:ember)?)\b\.?"
)
_DAY: Final = r"(?:mon|tues?|wed(?:nes)?|thu(?:rs)?|fri|sat(?:ur)?|sun)(?:day)?\b"
_COLON: Final = r"\s?[:\uff1a]"
# Bullets, then dates and times of day in brackets or not: "- [2024-05-01 10:31] ", "8 May 2023 ", "May 8, 9 am - ".
_STAMP: Final = re.compile(
    r"[\s>*\u2022\u00b7\u2013\u2014-]*+(?P<date>(?i:(?:[\[(<]?(?:"
    rf"\d{{1,2}}(?:st|nd|rd|th)?\s(?:of\s)?{_MONTH}(?!{_COLON})|{_MONTH}\s\d[\w./+-]*"
    rf"|\d[\w./+-]*(?::\d[\w./+-]*)*|{_DAY}(?!{_COLON})|(?:at|on|am|pm|utc|gmt)\b"
    r")[\])>,;:|\s\u2013\u2014-]*+){0,8}+))"
)
# One word, or up to five with capitals and the particles of names, a remark in brackets, a colon; or a name in <>.
_LABEL: Final = re.compile(
    r"(?:[Tt]he\s)?[*_<@]*+(?P<who>[^\W\d_][\w'\u2019.-]{0,39}"
    r"(?:\s(?:[^\W_a-z][\w'\u2019.-]{0,39}|d[aeiu]|de[lnr]|l[ae]|v[ao]n|bin|al)){0,4})"
    r"(?:\s?[\[(][^\])\n]{1,40}[\])])?(?:[*_]*\s?(?::[*_]*+(?=\s|$)|\uff1a)|>)"
)


class Observed(NamedTuple):
    """An observation taken apart: tokens of its speaker or subject, whether it has a speaker's label, and its text."""

    who: list[str]
    said: bool
    text: str


class _Chunk(NamedTuple):
    """Tokens of one chunk, or of all in a word: parts without stop words, joined ones, and parts with stop words."""

    parts: tuple[str, ...]
    joined: tuple[str, ...]
    every: tuple[str, ...]


_PARTS: Final = itemgetter(0)
_JOINED: Final = itemgetter(1)


def analyse(text: str) -> list[str]:
    """The tokens of a text or a query: parts of words and codes in order, then the joined tokens of its codes.

    Width and compatibility forms, case, accents and English word forms are levelled. Scripts without spaces give
    overlapping pairs of characters, and the last character of each run as a joined token. Numbers are kept. Stop words
    are left out, unless the text has nothing else. The list is empty only when the text has no letter and no digit; no
    token is empty or longer than MAX_TOKEN.
    """
    chunks = _chunks(text)
    tokens = [*chain.from_iterable(map(_PARTS, chunks)), *chain.from_iterable(map(_JOINED, chunks))]
    return tokens or [token for chunk in chunks for token in chunk.every]


def analyse_parts(text: str) -> list[str]:
    """The tokens of a text without the joined ones, unless it has no others: what a phrase must meet side by side."""
    return list(chain.from_iterable(map(_PARTS, _chunks(text)))) or analyse(text)


def analyse_prefix(beginning: str) -> list[str]:
    """The tokens of the beginning of a word or code: the last is itself a beginning, those before it are whole.

    The last one is not stemmed, only cut to what it shares with its stem, so that "happy" still finds "happiness".
    """
    pieces = [_fold(piece) for word in _PART.findall(_plain(beginning)) for piece in _HUMP.split(word)]
    if not pieces:
        return []
    *whole, last = pieces
    tokens = [token for piece in whole if piece not in STOP_WORDS for token in analyse_parts(piece)]
    if _UNSPACED.search(last):
        return tokens + _pairs(last)[0]
    last = last[:MAX_TOKEN]
    stemmed = _token(last)
    shared = next((at for at in range(len(stemmed)) if last[at] != stemmed[at]), len(stemmed))
    return [*tokens, last[:shared]]


def is_stop_word(word: str) -> bool:
    """Whether a word has tokens, and all of them are left out of any text that has others."""
    chunks = _chunks(word)
    return any(chunk.every for chunk in chunks) and not any(chunk.parts or chunk.joined for chunk in chunks)


def is_single_sign(word: str) -> bool:
    """Whether a word is one character of a script without spaces, which only a prefix finds among pairs."""
    return len(word) == 1 and _UNSPACED.match(word) is not None


def observe(observation: str) -> Observed:
    """Take an observation apart into whom it is about, or who says it, and what it says.

    A speaker's label ("8 May 2023 Caroline: I went", "[10:31] bob: hi", "**Ann (PM):** hi") is not in the text; the
    subject that a sentence begins with ("Caroline likes tea", "The user prefers") is. A date before them stays in the
    text. `who` is empty without a label or a subject.
    """
    start = observation[:_LABEL_REACH]
    stamp = _STAMP.match(start)
    date, after = (stamp["date"], stamp.end()) if stamp else ("", 0)
    # Most observations have no label, which looking for one of its ends tells in a twentieth of the time.
    has_end = ":" in start or ">" in start or "\uff1a" in start
    label = _LABEL.match(start, after) if has_end else None
    if label:
        return Observed([*_analysed_name(label["who"])], True, date + observation[label.end() :].lstrip())
    return Observed(_subject(start[after:]), False, observation)


@lru_cache(maxsize=4_096)
def _analysed_name(who: str) -> tuple[str, ...]:
    """The tokens of a speaker's name, who seldom says one thing only."""
    return tuple(analyse(who))


def without_stamp(text: str) -> str:
    """The text without the bullet, date and time of day that it begins with."""
    stamp = _STAMP.match(text[:_LABEL_REACH])
    return text[stamp.end() :] if stamp else text


def subject_and_body(observation: str) -> tuple[list[str], list[str]]:
    """The two fields of an observation in the index: tokens of its speaker or subject, and tokens of its text."""
    seen = observe(observation)
    return seen.who, analyse(seen.text)


def _subject(sentence: str) -> list[str]:
    """Tokens of the capitalised words, or the role, that a sentence begins with and goes on from in small letters."""
    names: list[str] = []
    if "\u2019" in sentence:
        sentence = sentence.replace("\u2019", "'")
    words = sentence.split(maxsplit=6)[:6]
    if words and words[0] in ("The", "the"):
        del words[0]
        if not words or words[0].removesuffix("'s").lower() not in _ROLES:
            return []
    for word in words:
        name = word.removesuffix("'s")
        if name[:1].isupper() or (not names and name.lower() in _ROLES):
            names.append(name)
            if name is not word and name != word:
                break
        elif not word[0].islower():
            return []
        elif word != "and" or not names:
            break
    else:
        return []
    if not names or names[0].lower() in _NO_SUBJECTS:
        return []
    # "Prefers tea" and "Parked outside" begin with a verb; "James likes tea" does not.
    if name == word and names[0].endswith(("s", "ed", "ing")) and not _is_like_a_verb(word):
        return []
    return analyse_parts(" ".join(names))


def _is_like_a_verb(word: str) -> bool:
    return word.endswith(("s", "ed")) or word in _AUXILIARIES


def _chunks(text: str) -> list[_Chunk]:
    """The chunks of a text; of plain ASCII word by word, since no chunk has a blank in it and words come again."""
    if text.isascii():
        return _looked_up(text.split(), _known_word, _word)
    return _looked_up(_CHUNK.findall(_plain(text)), _known_chunk, _analysed)


def _looked_up(pieces: list[str], known: Callable[[str], _Chunk], anew: Callable[[str], _Chunk]) -> list[_Chunk]:
    """What `known` keeps of each piece; very long ones come from `anew`, since they are not worth keeping."""
    if max(map(len, pieces), default=0) <= MAX_TOKEN:
        return list(map(known, pieces))
    return [known(piece) if len(piece) <= MAX_TOKEN else anew(piece) for piece in pieces]


def _word(word: str) -> _Chunk:
    """Tokens of what stands between two blanks of an ASCII text."""
    chunks = [_analysed(chunk) for chunk in _ASCII_CHUNK.findall(word)]
    if len(chunks) == 1:
        return chunks[0]
    return _Chunk(*(tuple(chain.from_iterable(map(itemgetter(kind), chunks))) for kind in range(3)))


def _analysed(chunk: str) -> _Chunk:
    """Tokens of one chunk of a plain text."""
    if chunk in _ACRONYMS:
        return _Chunk((chunk.lower(),), (), (chunk.lower(),))
    if chunk.isascii() and chunk.isalpha() and (chunk.islower() or chunk.istitle()):  # most words, in short
        root = (stem(chunk[:MAX_TOKEN].lower()),)
        return _Chunk(() if chunk.lower() in STOP_WORDS else root, (), root)
    if chunk.isascii() and chunk.isdigit():
        number = (chunk[:MAX_TOKEN],)
        return _Chunk(number, (), number)
    spelled = _SPELLED.get(chunk[-1], "")
    chunk = _CLITIC.sub("", chunk.rstrip("+#"))
    if "'" in chunk and (contracted := chunk.replace("'", "").lower()) in STOP_WORDS:
        return _Chunk((), (), (contracted,))
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
            tokens = [_token(folded)]
            if _UNSPACED.search(folded):
                tokens, last = _pairs(folded)
                joined += last
            every += tokens
            if folded not in STOP_WORDS:
                parts += tokens
        if len(pieces) > 1 and len(words) > 1:
            joined.append(_token(_fold(word)))
    whole = _fold("".join(words))
    if len(every) > 1 and not _UNSPACED.search(whole):
        joined.append(_token(whole))
    if spelled and whole:
        joined.append((whole + spelled)[:MAX_TOKEN])
    return _Chunk(tuple(parts), tuple(joined), tuple(every))


_known_chunk: Final = lru_cache(maxsize=32_768)(_analysed)
_known_word: Final = lru_cache(maxsize=32_768)(_word)


def _pairs(folded: str) -> tuple[list[str], list[str]]:
    """Overlapping pairs of a word's runs in scripts without spaces, with its other runs; and each run's last sign."""
    tokens: list[str] = []
    last: list[str] = []
    end = 0
    for run in _UNSPACED.finditer(folded):
        if run.start() > end:
            tokens.append(_token(folded[end : run.start()]))
        end = run.end()
        signs = run.group()
        if len(signs) == 1:
            tokens.append(signs)
        else:
            tokens += [signs[at : at + 2] for at in range(len(signs) - 1)]
            last.append(signs[-1])
    if end < len(folded):
        tokens.append(_token(folded[end:]))
    return tokens, last


def _plain(text: str) -> str:
    """The text in normal form NFKC, without accents and with straight apostrophes."""
    if text.isascii():
        return text
    apart = unicodedata.normalize("NFKD", text.replace("\u2019", "'"))
    return unicodedata.normalize("NFKC", _UNWRITTEN.sub("", apart))


def _fold(plain: str) -> str:
    return plain.lower() if plain.isascii() else plain.casefold().translate(_PLAIN)


def _token(folded: str) -> str:
    return stem(folded[:MAX_TOKEN]) if folded.isascii() and folded.isalpha() else folded[:MAX_TOKEN]
