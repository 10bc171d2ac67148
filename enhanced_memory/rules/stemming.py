"""English stems: one form for the inflections and derivations of a word ("adopted", "adoption" -> "adopt").

Above it lies `rules.text`, which calls it for words of plain Latin letters; below it nothing. It follows the published
definition of the Snowball project's English stemmer, which other engines carry too (PostgreSQL's `english`
dictionary among them), so that an index kept elsewhere can hold the same tokens. The step numbers are that
definition's. The project's own Python port gives the same stems, but takes ten times as long for a word not met before.
"""

from __future__ import annotations

import re
from typing import Final

_REGION: Final = re.compile("[^aeiouy]*[aeiouy]+[^aeiouy]")
_EARLY_REGION: Final = re.compile("arsen|commun|emerg|gener|inter|later|organ|past|univers")
_VOWEL: Final = re.compile("[aeiouy]")
_CONSONANT_Y: Final = re.compile("(?:^|(?<=[aeiouy]))y")
_SHORT_SYLLABLE: Final = re.compile("(?:^[aeiouy][^aeiouy]|[^aeiouy][aeiouy][^aeiouywxY]|^past)$")
_DOUBLES: Final = frozenset(letter * 2 for letter in "bdfgmnprt")

_IRREGULAR: Final = {
    "skis": "ski",
    "skies": "sky",
    "idly": "idl",
    "gently": "gentl",
    "ugly": "ugli",
    "early": "earli",
    "only": "onli",
    "singly": "singl",
    "sky": "sky",
    "news": "news",
    "howe": "howe",
    "atlas": "atlas",
    "cosmos": "cosmos",
    "bias": "bias",
    "andes": "andes",
}
_NOT_INFLECTED: Final = frozenset(
    ("evening", "canning", "inning", "earring", "herring", "outing", "proceed", "exceed", "succeed")
)

_STEP_2: Final = {
    "tional": "tion",
    "enci": "ence",
    "anci": "ance",
    "abli": "able",
    "entli": "ent",
    "izer": "ize",
    "ization": "ize",
    "ational": "ate",
    "ation": "ate",
    "ator": "ate",
    "alism": "al",
    "aliti": "al",
    "alli": "al",
    "fulness": "ful",
    "ousli": "ous",
    "ousness": "ous",
    "iveness": "ive",
    "iviti": "ive",
    "biliti": "ble",
    "bli": "ble",
    "ogist": "og",
    "ogi": "og",
    "fulli": "ful",
    "lessli": "less",
    "li": "",
}
_STEP_3: Final = {
    "ational": "ate",
    "tional": "tion",
    "alize": "al",
    "icate": "ic",
    "iciti": "ic",
    "ical": "ic",
    "ful": "",
    "ness": "",
    "ative": "",
}
_STEP_4_ENDINGS: Final = "al ance ence er ic able ible ant ement ment ent ism ate iti ous ive ize ion"
_STEP_4: Final = dict.fromkeys(_STEP_4_ENDINGS.split(), "")


def stem(word: str) -> str:
    """The stem of a lower-case English word of the letters a-z; never empty, never longer than the word.

    Words of one or two letters are returned as they are. A stem is a key to compare by, not always a word.

    Source: snowballstem.org, "The English (Porter2) stemming algorithm", as of release 3.
    """
    if len(word) <= 2:
        return word
    if word in _IRREGULAR:
        return _IRREGULAR[word]
    if "y" in word:
        word = _CONSONANT_Y.sub("Y", word)
    first, second = _regions(word)
    word = _without_plural(word)
    if word in _NOT_INFLECTED:
        return word
    word = _without_inflection(word, first)
    if word[-1] in "yY" and len(word) > 2 and not _VOWEL.match(word[-2]):
        word = word[:-1] + "i"
    word = _replaced(word, _STEP_2, first, second)
    word = _replaced(word, _STEP_3, first, second)
    word = _replaced(word, _STEP_4, second, second)
    return _without_final_letter(word, first, second).lower()


def _regions(word: str) -> tuple[int, int]:
    """Where the definition's regions R1 and R2 begin: suffixes are taken off only behind these places."""
    early = _EARLY_REGION.match(word) or _REGION.match(word)
    if early is None:
        return len(word), len(word)
    later = _REGION.match(word, early.end())
    return early.end(), later.end() if later else len(word)


def _without_plural(word: str) -> str:
    """Step 1a."""
    if word[-1] not in "sd":
        return word
    if word.endswith("sses"):
        return word[:-2]
    if word.endswith(("ied", "ies")):
        return word[:-2] if len(word) > 4 else word[:-1]
    if word[-1] == "s" and word[-2] not in "us" and _VOWEL.search(word, 0, len(word) - 2):
        return word[:-1]
    return word


def _without_inflection(word: str, first: int) -> str:
    """Step 1b: the endings of past tense, participle and gerund, and the letter they cost or doubled."""
    for ending in ("eedly", "ingly", "edly", "eed", "ing", "ed"):
        if word.endswith(ending):
            break
    else:
        return word
    base = word[: -len(ending)]
    if ending in ("eed", "eedly"):
        return base + "ee" if len(base) >= first else word
    if ending == "ing" and len(base) == 2 and base[1] == "y" and not _VOWEL.match(base):
        return base[0] + "ie"
    if not _VOWEL.search(base):
        return word
    if base.endswith(("at", "bl", "iz")):
        return base + "e"
    if base[-2:] in _DOUBLES:
        return base if len(base) == 3 and base[0] in "aeo" else base[:-1]
    if len(base) <= first and _SHORT_SYLLABLE.search(base):
        return base + "e"
    return base


def _replaced(word: str, endings: dict[str, str], region: int, second: int) -> str:
    """Steps 2 to 4: the longest of the endings replaced, if it lies in the region and its own condition holds."""
    for length in range(min(7, len(word)), 1, -1):
        ending = word[-length:]
        if ending in endings:
            break
    else:
        return word
    start = len(word) - length
    before = word[start - 1 : start]
    if (
        start < region
        or (ending == "li" and before not in "cdeghkmnrt")
        or (ending == "ogi" and before != "l")
        or (ending == "ion" and before not in "st")
        or (ending == "ative" and start < second)
    ):
        return word
    return word[:start] + endings[ending]


def _without_final_letter(word: str, first: int, second: int) -> str:
    """Step 5: a silent e, or one l of two."""
    last = len(word) - 1
    if word[last] == "e" and (last >= second or (last >= first and not _SHORT_SYLLABLE.search(word, 0, last))):
        return word[:-1]
    if word[last] == "l" and last >= second and word[last - 1] == "l":
        return word[:-1]
    return word
