"""The query language: what a person or an assistant types, parsed to a small tree free of any engine's syntax.

    tea pot            words: any may match
    "green tea"        a phrase: must be met as it stands
    -coffee -"iced tea"  must not be met
    ado*               the beginning of a word
    type:person tier:semantic since:2w until:2024-05-01   filters; values with spaces in double quotes

Anything else is just words; there is no wrong query. In a question, which ends with a question mark, quotes hold a title
or somebody's words more often than a demand, and are just words as well. Above it lies the search operation, below it `rules.text`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from enhanced_memory.rules.text import analyse, analyse_parts, analyse_prefix, is_single_sign, is_stop_word
from enhanced_memory.shapes import TIERS

_QUOTES: Final = str.maketrans("“”„‟«»", '""""""')
_ITEM: Final = re.compile(
    r"""(?P<minus>-)?(?:(?P<key>[A-Za-z]+):)?"(?P<quoted>[^"]*)"(?=[\s.,;:!?)]|$)|(?P<bare>\S+)"""
)
_BARE_FILTER: Final = re.compile(r'([A-Za-z]+):([^\s"]+)')
_RELATIVE: Final = re.compile(r"(\d{1,6})(h|d|w|mo|m|y)")
_HOURS: Final = {"h": 1, "d": 24, "w": 7 * 24, "m": 30 * 24, "mo": 30 * 24, "y": 365 * 24}
_PART_OF_DATE: Final = re.compile(r"(\d{4})(?:-(\d\d))?")
_SOME_TIME: Final = "2000-01-01T00:00:00.000000Z"


@dataclass(frozen=True, slots=True)
class Term:
    """Something typed, and its tokens; there is at least one."""

    text: str
    tokens: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Filter:
    """A condition on whole entities: `key` is type, tier, since or until; `value` as typed, never empty."""

    key: str
    value: str


@dataclass(frozen=True, slots=True)
class Query:
    """A parsed query.

    words: any of their tokens may match. phrases: the tokens of each must be met side by side. excluded: the tokens of
    none may be met side by side. prefixes: as phrases, the last token being the beginning of one. An empty
    Query asks for nothing in particular.
    """

    words: tuple[Term, ...] = ()
    phrases: tuple[Term, ...] = ()
    excluded: tuple[Term, ...] = ()
    prefixes: tuple[Term, ...] = ()
    filters: tuple[Filter, ...] = ()

    @property
    def tokens(self) -> tuple[str, ...]:
        """The distinct tokens that score, in the order typed: those of the words, then those of the phrases."""
        return tuple(dict.fromkeys(token for term in self.words + self.phrases for token in term.tokens))

    def values(self, key: str) -> list[str]:
        """The values given for one filter, in the order typed; any of several types or tiers may hold."""
        return [each.value for each in self.filters if each.key == key]


def parse(query: str) -> Query:
    """The tree of a query; never raises, and reads what it does not understand as words.

    Stop words are left out unless no other word, phrase or prefix was typed. What looks like a filter but has a value
    that cannot be one (an unknown tier, a time that `resolve_time` does not know) is words.
    """
    texts: list[str] = []
    phrases: list[Term] = []
    excluded: list[Term] = []
    prefixes: list[Term] = []
    filters: list[Filter] = []
    is_question = query.rstrip().endswith(("?", "\uff1f"))
    for item in _ITEM.finditer(query.translate(_QUOTES)):
        quoted, bare = item["quoted"], item["bare"] or ""
        if quoted is not None and not item["key"] and item["minus"]:
            excluded.append(Term(quoted, tuple(analyse_parts(quoted))))
        elif quoted is not None and not item["key"]:
            if is_question:
                texts += quoted.split()
            else:
                phrases.append(Term(quoted, tuple(analyse_parts(quoted))))
        elif quoted is not None:
            found = None if item["minus"] else _filter(item["key"], quoted)
            if found:
                filters.append(found)
            else:
                texts.append(item.group())
        elif (match := _BARE_FILTER.fullmatch(bare)) and (found := _filter(match[1], match[2])):
            filters.append(found)
        elif bare[0] == "-" and bare[1:2].isalpha():
            excluded.append(Term(bare[1:], tuple(analyse_parts(bare[1:]))))
        elif is_single_sign(bare):
            prefixes.append(Term(bare, tuple(analyse_prefix(bare))))
        elif len(bare) > 2 and bare.find("*") == len(bare) - 1:
            prefixes.append(Term(bare[:-1], tuple(analyse_prefix(bare[:-1]))))
        else:
            texts.append(bare)
    phrases = [term for term in phrases if term.tokens]
    prefixes = [term for term in prefixes if term.tokens]
    telling = [text for text in texts if not is_stop_word(text)]
    words = [Term(text, tuple(analyse(text))) for text in telling]
    words = [term for term in words if term.tokens]
    if not (words or phrases or prefixes):
        words = [Term(text, tokens) for text in texts if (tokens := tuple(analyse(text)))]
    return Query(
        tuple(words), tuple(phrases), tuple(term for term in excluded if term.tokens), tuple(prefixes), tuple(filters)
    )


def resolve_time(value: str, now: str, *, end: bool = False) -> str | None:
    """The instant a `since:` value means or, with `end`, an `until:` value; None when it means none.

    `now` and the result are UTC, ISO 8601 with microseconds and Z. Understood are ISO dates and date-times (UTC when
    without an offset), a year, a year and month, `today`, `yesterday`, and spans before now: `12h`, `7d`, `2w`, `3m` or
    `3mo` (of 30 days), `1y` (of 365). A day, month or year means its first instant, with `end` its last.
    """
    value = value.strip().lower()
    present = datetime.fromisoformat(now)
    today = present.replace(hour=0, minute=0, second=0, microsecond=0)
    try:
        if span := _RELATIVE.fullmatch(value):
            return _instant(present - timedelta(hours=int(span[1]) * _HOURS[span[2]]))
        if value in ("today", "yesterday"):
            start = today - timedelta(days=value == "yesterday")
            following = start + timedelta(days=1)
        elif part := _PART_OF_DATE.fullmatch(value):
            start = datetime(int(part[1]), int(part[2] or 1), 1, tzinfo=UTC)
            months = 1 if part[2] else 12
            following = datetime(
                start.year + (start.month + months - 1) // 12, (start.month + months - 1) % 12 + 1, 1, tzinfo=UTC
            )
        else:
            start = datetime.fromisoformat(value.upper())
            start = start.replace(tzinfo=UTC) if start.tzinfo is None else start.astimezone(UTC)
            if "t" in value or ":" in value:
                return _instant(start)
            following = start + timedelta(days=1)
        return _instant(following - timedelta(microseconds=1) if end else start)
    except (ValueError, OverflowError):
        return None


def _instant(time: datetime) -> str:
    return time.isoformat(timespec="microseconds").replace("+00:00", "Z")


def _filter(key: str, value: str) -> Filter | None:
    key, value = key.lower(), value.strip()
    if key == "type" and value:
        return Filter(key, value)
    if key == "tier" and value.lower() in TIERS:
        return Filter(key, value.lower())
    if key in ("since", "until") and resolve_time(value, _SOME_TIME) is not None:
        return Filter(key, value)
    return None
