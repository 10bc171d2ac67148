"""Classes of English words, and the plain form of a sentence, by which facts are told from talk.

Above it lie `rules.extraction`, `rules.kinds` and `rules.transcript`; below it nothing. The classes are small and
closed where English is (pronouns, auxiliaries, the calendar, irregular verbs), and hold the everyday words of
courtesy, praise and doubt.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

WORD: Final = re.compile(
    "[A-Za-z\u00c0-\u1fff\u3040-\ud7ff]+(?:['\u2019][A-Za-z\u00c0-\u1fff\u3040-\ud7ff]+)*|\\d[\\d:.,/%]*"
)
"""A word with its apostrophes, or a number."""

CODE_SIGN: Final = re.compile(r"[_/.`](?=\w)")
"""What only names have that programs read: paths, dotted and underscored names, backquotes."""

DIGIT: Final = re.compile(r"\d")


def word_set(text: str) -> frozenset[str]:
    """The words of a text in one set."""
    return frozenset(text.split())


OPENERS: Final = word_set(
    """actually agreed ah also and anyway aw awesome basically btw but congrats congratulations cool definitely
    exactly gosh great haha hello hey hi hmm honestly indeed lol man nah nope oh ok okay please so sure thank thanks
    then thx totally um well wow yeah yep yes"""
)
THANKS: Final = word_set("congrats congratulations thank thanks thx")
PRAISE: Final = OPENERS | word_set(
    """absolutely adorable amazing beautiful best bit brilliant fantastic fun glad good happy impressive incredible
    inspiring kind lot lots lovely luck nice perfect proud really sorry stuff super sweet thing things truly way welcome
    wonderful"""
)
BEFORE_VERB: Final = word_set(
    """actually all already also always both been currently definitely do did even ever finally honestly just mostly
    never normally not often only pretty probably quite really recently so sometimes still super too totally truly
    usually very will"""
)
"""What stands between "I" or "we" and the verb."""

MENTAL: Final = word_set(
    """admire admit agree am appreciate believe bet can check could feel felt get guess hear heard hope imagine knew
    know let may mean meant might must need promise said say see shall should suppose thank think thought try
    understand understood want wish wonder would"""
)
"""Verbs by which the first person thinks, doubts, wishes or is polite, and tells nothing of what is the case."""

FEELINGS: Final = frozenset({""}) | word_set(
    """afraid amazed back bored busy confused curious done excited fine free glad good grateful happy here home hungry
    impressed late lost lucky okay proud ready sad scared sick sorry stuck sure surprised thankful there thrilled tired
    trying well wondering wrong"""
)
"""What somebody is for the moment; the empty word stands for nothing said."""

OWN: Final = word_set("mine my myself our ours ourselves")
SECOND: Final = word_set("u ur you your yours yourself")
POINTING: Final = word_set("here it looks seems sounds that there these this those")
HYPOTHETICAL: Final = word_set("could hopefully if imagine may maybe might perhaps suppose wish would")
TROUBLE: Final = word_set(
    """bug bugs crash crashed crashes error errors exception fail failed failing fails help missing question red stuck
    traceback wrong"""
)
"""Words of what is wrong at the moment and will be mended."""

LOCAL: Final = word_set("argument bracket button function line loop method output parameter variable")
"""Words of the piece of code or page just talked about."""

MONTHS_AND_VERBS: Final = word_set("March May")
"""Months that are verbs in small letters; within a sentence their capital tells which."""

CALENDAR: Final = MONTHS_AND_VERBS | word_set(
    """monday tuesday wednesday thursday friday saturday sunday january february april june july august september
    october november december"""
)
TIMES: Final = CALENDAR | word_set(
    """afternoon ago autumn christmas daily day days evening fall fridays last lately mondays month monthly months
    morning mornings next night nightly nights once quarter recently saturdays since soon spring summer sundays
    thursdays today tomorrow tonight tuesdays wednesdays week weekend weekends weekly weeks winter year years
    yesterday"""
)
PAST_TIMES: Final = word_set("ago last yesterday")
NUMBERS: Final = word_set(
    "couple dozen eight eleven five four hundred nine second seven six ten third thousand three twelve two"
)
_PAST: Final = word_set(
    """ate beat became began blew bound broke brought built bought came caught chose dealt did drew drove dug fed fell
    felt fled flew forgot fought found froze gave got grew had heard held hid hung hurt kept knew laid led left lit
    lost made meant met paid quit ran rang read rode rose said sang sank sat saw sent shook shot slept sold spent
    spoke stole stood struck stuck swam swept swore taught thought threw told took tore understood was went wept were
    woke won wore wound wrote"""
)
_NO_PAST: Final = word_set(
    """amazed blessed bored concerned exceed excited feed hundred impressed indeed inspired interested need relaxed seed
    speed tired weed"""
)

_PARTICIPLES: Final = word_set(
    "become begun come done driven eaten given gone grown known run seen shown spoken taken written"
)

_SHORT: Final = {"'m": "am", "'re": "are", "'ve": "have", "'ll": "will", "'d": "would"}
_WRITTEN_APART: Final = {
    "let's": "let us",
    "lets": "let us",
    "can't": "can not",
    "cannot": "can not",
    "cant": "can not",
    "won't": "will not",
    "wont": "will not",
    "shan't": "shall not",
    "gonna": "going to",
    "wanna": "want to",
    "gotta": "have to",
    "im": "i am",
    "ive": "i have",
    "dont": "do not",
    "doesnt": "does not",
    "didnt": "did not",
    "isnt": "is not",
    "favourite": "favorite",
}
_WITH_IS: Final = word_set("he here how it she that there this what when where who why")


@lru_cache(maxsize=65_536)
def plain(word: str) -> tuple[str, ...]:
    """A written word in lower case, its contractions taken apart ("don't" -> "do", "not") and possessives taken off."""
    word = word.lower().replace("\u2019", "'")
    if word in _WRITTEN_APART:
        return tuple(_WRITTEN_APART[word].split())
    if "'" not in word:
        return (word,)
    if word.endswith("n't"):
        return word[:-3], "not"
    head, tail = word.rsplit("'", 1)
    if tail == "s":
        return (head, "is") if head in _WITH_IS else (head,)
    return (head, _SHORT["'" + tail]) if "'" + tail in _SHORT else (word,)


def is_past(word: str) -> bool:
    """Whether a plain word looks like a past tense."""
    return (
        word in _PAST
        or (word.startswith("re") and word[2:] in _PAST)
        or (len(word) > 4 and word.endswith("ed") and word not in _NO_PAST)
    )


def is_participle(word: str) -> bool:
    """Whether a plain word after "have" looks like part of the verb, not like a thing somebody has."""
    return word in _PARTICIPLES or is_past(word)
