"""An observation taken apart: of whom or what it speaks, what it says, whether it affirms or denies, and since when.

Above it lie `rules.slots`, `rules.judging` and `rules.conflicts`; below it `rules.quantities`, `rules.phrases`,
`rules.meanings` and `rules.words`. Memories are short statements ("Prefers tea at home", "User's timezone is CET"): the
first verb parts the subject from the rest, the prepositions part the rest. What cannot be told apart so is still
compared by its words.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import Final

from enhanced_memory.rules.lexicon import OPPOSITE_VERBS, words_of
from enhanced_memory.rules.meanings import is_inflected, is_verb, term
from enhanced_memory.rules.phrases import with_plain_phrases
from enhanced_memory.rules.quantities import kind_of, with_quantities
from enhanced_memory.rules.words import plain

Terms = frozenset[str]
_NO_TERMS: Final[Terms] = frozenset()

_USER: Final = words_of(
    """user i me my mine we us our ours he she him his her hers they them their you your it its himself herself
    themselves myself"""
)
_DETERMINERS: Final = words_of("the a an this that these those my our your his her their its user any every each")
_AUXILIARY: Final = words_of(
    "is are was were am be been being has have had do does did will would should must can could may might shall"
)
_BE: Final = words_of("is are was were am be been being")
_PREPOSITIONS: Final = words_of(
    """in on at for from to by with since until till after before during about over under as into onto via per
    without through between using instead near around against than because when while if unless within upon"""
)
_UNSAID: Final = _USER | words_of(
    """the a an this that these those of and or so very really quite just also too still already always never often
    usually sometimes rarely now currently anymore again some all every each any no not there here own more most
    please be is are was were am been being do does did will would should must can could may might shall has
    have had get gets got make made use uses used using make let that which who whom whose what as"""
)
_FREQUENCY: Final = {
    "always": 4,
    "usually": 3,
    "often": 3,
    "frequently": 3,
    "regularly": 3,
    "mostly": 3,
    "sometimes": 2,
    "occasionally": 2,
    "rarely": 1,
    "seldom": 1,
    "hardly": 1,
}
_NOT: Final = words_of("not never no none nobody nothing without neither nor hardly")
_LEFT_OUT: Final = _NOT | _FREQUENCY.keys()
_HEDGE: Final = re.compile(
    r"\b(?:might|(?<!in )(?<!of )(?<!by )(?<!since )(?<!last )may(?= [a-z])|maybe|perhaps|possibly|probably|could"
    r"|wants? to|wish(?:es)?|hop(?:es?|ing) to|plan(?:s|ning)? (?:to|on|a|for)|consider(?:s|ing)?"
    r"|think(?:s|ing)? (?:of|about)|would|intends? to|aims? to|dreams? of|going to|tempted|if)\b"
)
_NOW: Final = re.compile(
    r"\b(?:as of (?:(?:now|today|this|last|next|early|late|mid)? ?@?[\w-]*),?|from now on,?|these days|at the moment"
    r"|nowadays|at present|now|currently|recently|lately|since (?:last |this )?(?!then\b)@?[\w-]+$|instead$|today,? )"
)
_ENDED: Final = re.compile(r"\b(?:(no longer|used to(?= \w))|any ?more|any longer)\b")
_CHANGED: Final = frozenset(
    map(
        term,
        words_of(
            """switch move migrate upgrade downgrade change transition convert transfer relocate rename replace swap
    trade raise increase lower reduce decrease grow postpone reschedule push delay shift extend bump rewrite turn
    become promote adopt join quit update shorten double triple halve redesign port rise fall adjust slip
    climb shrink jump cut expand relaunch drop"""
        ),
    )
)
_RENEWED: Final = frozenset(map(term, words_of("get have buy start receive order begin accept take")))
"""Verbs by which something new takes the place of what was."""
_TOKEN: Final = re.compile(r"@[\w:.%-]*[\w%]|[^\W_](?:[\w'\u2019./+#&-]*[\w+#])?|[:,;()]")
_SPEAKER: Final = re.compile(
    r"(?:[\[(]?\d[\w :,./+-]{0,40}?[\])]?\s+)?(?P<who>[A-Z][\w'\u2019.-]*(?: [A-Z][\w'\u2019.-]*){0,2}):\s+"
    r"(?=.*\b(?:I|[Mm]y|[Ww]e|[Oo]ur|[Mm]e)\b)"
)
"""A date and a speaker's name before what is said in the first person."""


@dataclass(frozen=True, slots=True)
class Claim:
    """One observation taken apart.

    `subject`: terms of what stands before the verb, without words for the user; `verb`: its term, "be" for a copula, ""
    where there is none; `object`: terms up to the first preposition; `scopes`: preposition -> terms behind it; `words`:
    terms of all words that say something, without verbs that say nothing by themselves; `quantities`: in order;
    `labels`: bare numbers that tell which thing is meant ("Ticket 42 is open"), not how much; `affirms`: False where it
    denies; `change`: "now", "ended", "changed" or ""; `hedged`: only possible, planned or wished; `past`: told as over;
    `done`: told as happened, or as the state after it; `frequency` 0 never .. 4 always, None unsaid; `plain`: the text
    in the words it was compared by.
    """

    text: str
    subject: Terms
    verb: str
    object: Terms
    scopes: tuple[tuple[str, Terms, tuple[str, ...]], ...]
    words: Terms
    quantities: tuple[str, ...]
    labels: Terms
    affirms: bool
    change: str
    hedged: bool
    past: bool
    done: bool
    question: bool
    frequency: int | None
    names: Terms
    plain: str

    def scope(self, preposition: str) -> Terms:
        return frozenset().union(*(terms for name, terms, _ in self.scopes if name == preposition))

    def show(self, terms: Terms) -> str:
        """The claim's own words for some of its terms, in its order."""
        words = [
            word
            for word in _TOKEN.findall(self.plain)
            if not word.startswith("@") and term(word.removesuffix("'s")) in terms
        ]
        return " ".join(dict.fromkeys(words)).replace("_", " ")

    @property
    def value(self) -> Terms:
        """What is said of the subject: the object, or what follows the prepositions where there is none."""
        return self.object or frozenset().union(*(terms for _, terms, _ in self.scopes))


_LETTERS: Final = re.compile(r"[^\W\d_]+(?:['\u2019][^\W\d_]+)*")


def _expanded(text: str) -> str:
    """Small letters, contractions and possessives taken apart."""
    small = text.lower()
    if "'" not in text and "\u2019" not in text and not _ANY_SPELLED.search(small):
        return small
    return _LETTERS.sub(
        lambda match: (
            " ".join(plain(match.group()))
            if "'" in match.group() or "\u2019" in match.group() or match.group().lower() in _SPELLED
            else match.group().lower()
        ),
        text,
    )


_SPELLED: Final = words_of("favourite cannot cant dont doesnt didnt isnt im ive gonna wanna gotta wont")

_ANY_SPELLED: Final = re.compile("|".join(sorted(_SPELLED)))


_NAME: Final = re.compile(r"(?<=[\w,;:)] )[A-Z]\w*|^[A-Z]\w*(?= [A-Z])")
"""A word with a capital letter where that is not because a sentence begins."""

_EMAIL_SIGN: Final = re.compile(r"(?<=\w)@(?=\w)")
"""The sign in an address; alone it begins a quantity."""


@lru_cache(maxsize=65_536)
def claim_of(observation: str) -> Claim:
    """An observation taken apart; any text gives a claim, if need be one without words."""
    written = unicodedata.normalize("NFKC", observation).strip()
    speaker = _SPEAKER.match(written)
    if speaker:
        written = written[speaker.end() :]
    names = frozenset(term(word.lower()) for word in _NAME.findall(written))
    small = _expanded(written)
    if "@" in small:
        small = _EMAIL_SIGN.sub("-at-", small)
    text = with_quantities(small.replace("_", " "))
    text = with_plain_phrases(text)
    hedged = bool(_HEDGE.search(text))
    change = ""
    if _ENDED.search(text):
        change = "ended"
        text = _ENDED.sub(lambda match: " not " if match[1] else " ", text)
    if _NOW.search(text):
        change = change or "now"
        text = _NOW.sub(" ", text)
    tokens = _TOKEN.findall(text)
    who = frozenset(map(term, speaker["who"].lower().split())) - {term("user")} if speaker else frozenset()
    return _parsed(written, text, tokens, names | who, change, hedged, who)


def _parsed(written: str, text: str, tokens: list[str], names: Terms, change: str, hedged: bool, who: Terms) -> Claim:
    frequency, denials = None, 0
    if not _LEFT_OUT.isdisjoint(tokens):
        frequency = next((_FREQUENCY[token] for token in tokens if token in _FREQUENCY), None)
        denials = sum(token in _NOT for token in tokens)
        if "never" in tokens:
            frequency = 0
        tokens = [token for token in tokens if token not in _LEFT_OUT]
    start, verb = _predicate(tokens)
    before, after = tokens[:start], tokens[start + (1 if verb else 0) :]
    if after[:1] == [":"]:
        after = after[1:]
    past = done = False
    if verb:
        stands = set(tokens[max(0, start - 3) : start]) & _BE
        done = (
            is_inflected(tokens[start]) and not tokens[start].endswith(("s", "ing")) and tokens[start] not in _AUXILIARY
        )
        past = bool(stands & {"was", "were"}) or (
            not stands and (tokens[start].endswith("ed") or tokens[start] in _PAST)
        )
    said = term(verb) if verb else ""
    if verb in _AUXILIARY:
        said = "be" if verb in _BE else "have" if verb in {"has", "have", "had"} else said
    if verb == ":":
        said = "be"
    before, lead = _leading_scope(before)
    object_, scopes = _parts(after)
    scopes = lead + scopes
    subject = _terms([token for token in before if token not in _PREPOSITIONS]) | who
    base = _STRAIGHT.get(said, said)
    denials += base != said
    if said in {"stop", "quit", "cancel"} and object_:
        change = change or "ended"
    elif not hedged and (
        (said in _CHANGED and (done or tokens[start].endswith("ing"))) or (said in _RENEWED and "new" in tokens)
    ):
        change = change or "changed"
    value = _terms(object_)
    words = subject.union(value, *(terms for _, terms, _ in scopes))
    if base and base not in _LIGHT and not (base == term("work") and any(name == "as" for name, _, _ in scopes)):
        words |= {base}
    quantities = tuple([token for token in tokens if token[0] == "@"])
    return Claim(
        written,
        subject,
        base,
        value,
        tuple(scopes),
        words,
        quantities,
        frozenset(
            token
            for token in (*(before if verb else object_[-1:]), *_numbered(tokens))
            if token.startswith("@") and kind_of(token) == "number"
        )
        if quantities
        else _NO_TERMS,
        denials % 2 == 0,
        change,
        hedged,
        past,
        done,
        written.rstrip("\"'”\u2019) ").endswith(("?", "\uff1f")),
        frequency,
        names,
        text,
    )


_NUMBERED: Final = words_of("task ticket issue bug request pr mr case question exercise invoice order")
_NUMBERED_FIRST: Final = words_of(
    """build sprint meeting observation note step chapter page lesson session day week episode test run item line row"""
)
"""What is told apart by its number wherever it stands, and where a statement begins with it."""


def _numbered(tokens: list[str]) -> list[str]:
    """What follows the name of a thing that has a number: "works on task @5", "build @7 failed"."""
    return [
        token
        for place, (word, token) in enumerate(pairwise(tokens))
        if word in _NUMBERED or word.removesuffix("s") in _NUMBERED or (place == 0 and word in _NUMBERED_FIRST)
    ]


_STRAIGHT: Final = {
    term(opposite): term(straight)
    for opposite, straight in reversed(OPPOSITE_VERBS.items())
    if term(opposite) != term(straight)
}
"""Term of a verb that denies -> term of the one it denies."""

_PAST: Final = words_of(
    """went bought sold left lost met ate drank drove ran wrote spoke built taught began grew sent kept held paid
    gave took got made did had rose fell chose broke quit knew thought saw swam rode wore won felt told said
    became came found was were"""
)
_LIGHT: Final = words_of("be have do get make use") | {
    term("use"),
    term("make"),
    term("have"),
    term("own"),
    term("allow"),
}


def _predicate(tokens: list[str]) -> tuple[int, str]:
    """Place and word of the verb that parts the subject from what is said; ("", 0) where there is none."""
    place = 0
    while place < len(tokens) and (tokens[place] in _USER or tokens[place] in {"also", "please", "and", "so", ","}):
        place += 1
    count = len(tokens)
    for at in range(place, count):
        token = tokens[at]
        following = tokens[at + 1] if at + 1 < count else ""
        if tokens[at] == ":":
            return (at, ":") if at else (0, "")
        if token in _AUXILIARY:
            return _main_verb(tokens, at)
        if token in _PREPOSITIONS and at > place:
            if not any(other in _AUXILIARY or (is_verb(other) and is_inflected(other)) for other in tokens[at + 1 :]):
                return 0, ""
            continue
        if not is_verb(token) or following in _AUXILIARY or following == ":":
            continue
        if at == place and (place == 0 or tokens[place - 1] not in {"my", "our", "your", "his", "her", "their", "its"}):
            if token.endswith("ing") and (
                (is_verb(following) and is_inflected(following))
                or set(tokens[at + 1 : at + 5]) & (_BE | {"has", "must", "will"})
            ):
                continue
            later = tokens[at + 1 : at + 4]
            if not is_inflected(token) and any(
                other in _BE or other == ":" for other in later if not set(later) & _PREPOSITIONS
            ):
                continue
            if (
                token.endswith("s")
                and is_verb(following)
                and following.endswith("s")
                and not following.endswith(("ss", "ings"))
            ):
                continue
            if token.removesuffix("s") in _NOUNS and is_verb(following) and not is_inflected(following):
                continue
            if token in _NOUNS and count <= 4 and tokens[-1].startswith("@"):
                continue
            if token in _NOUNS and is_verb(following) and is_inflected(following) and following[-1] in "sd":
                continue
            return at, token
        if tokens[at - 1] in _DETERMINERS and tokens[at - 1] != "user":
            continue
        if token.endswith("ing"):
            continue
        if is_inflected(token) or tokens[at - 1].endswith("s") or tokens[at - 1] in _USER:
            return at, token
    return 0, ""


def _main_verb(tokens: list[str], at: int) -> tuple[int, str]:
    """The verb behind auxiliaries ("has been rewritten", "does not eat"), or the last auxiliary itself."""
    place = at
    while place + 1 < len(tokens) and tokens[place + 1] in _AUXILIARY:
        place += 1
    behind = place + 1
    while behind < len(tokens) and (
        tokens[behind].endswith("ly") or tokens[behind] in {"also", "still", "already", "just", "all"}
    ):
        behind += 1
    if behind < len(tokens) and is_verb(tokens[behind]) and tokens[behind] not in _STATES:
        after = tokens[place]
        word = tokens[behind]
        if after in _BE and (word.endswith(("ed", "ing")) or word in _PARTICIPLES):
            return behind, word
        if after in {"has", "have", "had"} and (word.endswith("ed") or word in _PARTICIPLES):
            return behind, word
        if after not in _BE and after not in {"has", "have", "had"}:
            return behind, word
    return place, tokens[place]


_NOUNS: Final = words_of(
    "build deploy test run call cache commit release update report name cost load plan trade help log order price"
    " flight trip talk walk work backup deployment visit rent dig query stand stay use change"
)
"""Words that are verbs by their form, and nouns where another verb follows."""
_STATES: Final = words_of(
    "married engaged divorced closed required allowed encrypted broken retired expected open excited limited"
)
_PARTICIPLES: Final = words_of(
    """built written rewritten hidden held kept sent taught given taken made driven run bought sold met begun grown
    paid chosen broken spoken lost put set born told found got gone become split"""
)


def _leading_scope(before: list[str]) -> tuple[list[str], list[tuple[str, Terms, tuple[str, ...]]]]:
    """What stands before the verb, without a scope in front: "For testing, (we)" or "On Fridays the team"."""
    if not before or before[0] not in _PREPOSITIONS:
        return before, []
    end = before.index(",") if "," in before else min(2, len(before))
    for at in range(1, len(before)):
        if before[at] in _DETERMINERS and at > 1:
            end = min(end, at)
            break
    return before[end:], _parts(before[:end])[1]


def _parts(after: list[str]) -> tuple[list[str], list[tuple[str, Terms, tuple[str, ...]]]]:
    """What follows the verb: the words up to the first preposition, then each preposition with its words."""
    object_: list[str] = []
    scopes: list[tuple[str, list[str]]] = []
    current = object_
    for at, token in enumerate(after):
        following = after[at + 1] if at + 1 < len(after) else ""
        if after[at] == "to" and is_verb(following) and not following.endswith(("s", "ing")):
            continue
        if token in _PREPOSITIONS and following and following not in _PREPOSITIONS:
            current = []
            scopes.append((token, current))
        elif token not in {",", ";", "(", ")", ":"}:
            current.append(token)
    return object_, [(name, _terms(words), tuple([word for word in words if word[0] == "@"])) for name, words in scopes]


def _terms(tokens: list[str]) -> Terms:
    return frozenset(filter(None, map(_term_said, tokens))) if tokens else _NO_TERMS


@lru_cache(maxsize=65_536)
def _term_said(word: str) -> str | None:
    """The term of a word; None for a quantity, a sign, and a word that says nothing by itself."""
    if word[0] == "@" or word in _UNSAID or word in ",;:()":
        return None
    return term(word.removesuffix("'s"))
