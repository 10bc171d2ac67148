"""The query language: what a person or an assistant types, parsed to a small tree free of any engine's syntax.

    green tea                     words: any may match
    "green tea"                   a phrase: must be met as it stands
    -coffee -"iced tea"           must not be met
    ado*                          the beginning of a word
    type:person tier:semantic     only such entities; a value with spaces stands in double quotes
    since:2w until:2024-05-01     only what is as young, as old

Anything else is just words; there is no wrong query. What looks like a filter and is none, as `since:foo`, is words
too, but the tree notes it, so that whoever asked can be told. Quotes in a question, which ends with a question mark,
hold a title or what somebody said more often than a demand: there they are just words as well.

Above it lies the search operation, below it `rules.text`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Final

from enhanced_memory.rules.text import MAX_TOKEN, analyse, analyse_parts, analyse_prefix, is_single_sign, is_stop_word
from enhanced_memory.shapes import TIERS

_QUOTES: Final = str.maketrans(dict.fromkeys("\u201c\u201d\u201e\u201f\u00ab\u00bb", '"'))
_ITEM: Final = re.compile(
    r"""(?P<minus>-)?(?:(?P<key>[A-Za-z]+):)?"(?P<quoted>[^"]*)"(?=[\s.,;:!?)]|$)|(?P<bare>\S+)"""
)
_BARE_FILTER: Final = re.compile(r'([A-Za-z]+):([^\s"]+)')
_RELATIVE: Final = re.compile(r"(\d{1,6})(min|h|d|w|mo|m|y)")
_HOURS: Final = {"min": 1 / 60, "h": 1, "d": 24, "w": 7 * 24, "m": 30 * 24, "mo": 30 * 24, "y": 365 * 24}
_MISREAD: Final = frozenset({"tier", "since", "until"})
"""Filters that do not take every value."""
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

    The tokens of `words` may match one by one. Those of a phrase have to be met side by side, those of something
    excluded must not be. A prefix is like a phrase whose last token is the beginning of one. A query with nothing in it
    asks for nothing in particular. `unread`: what looked like a filter, but has a value that cannot be one.
    """

    words: tuple[Term, ...] = ()
    phrases: tuple[Term, ...] = ()
    excluded: tuple[Term, ...] = ()
    prefixes: tuple[Term, ...] = ()
    filters: tuple[Filter, ...] = ()
    unread: tuple[str, ...] = ()

    @property
    def tokens(self) -> tuple[str, ...]:
        """The distinct tokens that score: those of the words, then those of the phrases, in the order typed."""
        return tuple(dict.fromkeys(token for term in self.words + self.phrases for token in term.tokens))

    def values(self, key: str) -> list[str]:
        """The values given for one filter, in the order typed."""
        return [each.value for each in self.filters if each.key == key]


@dataclass(slots=True)
class _Reading:
    """What was read of a query so far."""

    is_question: bool
    texts: list[str] = field(default_factory=list)
    phrases: list[Term] = field(default_factory=list)
    excluded: list[Term] = field(default_factory=list)
    prefixes: list[Term] = field(default_factory=list)
    filters: list[Filter] = field(default_factory=list)
    unread: list[str] = field(default_factory=list)

    def quoted(self, text: str, minus: bool) -> None:
        if minus:
            _append(self.excluded, text, analyse_parts(text))
        elif self.is_question:
            self.texts += text.split()
        else:
            _append(self.phrases, text, analyse_parts(text))

    def bare(self, text: str) -> None:
        if text[0] == "-" and text[1:2].isalpha():
            _append(self.excluded, text[1:], analyse_parts(text[1:]))
        elif is_single_sign(text):
            _append(self.prefixes, text, analyse_prefix(text))
        elif len(text) > 2 and text.find("*") == len(text) - 1:
            _append(self.prefixes, text[:-1], analyse_prefix(text[:-1]))
        else:
            self.texts.append(text)

    def tree(self) -> Query:
        words = [term for term in map(_word, self.texts) if term is not None]
        if not (words or self.phrases or self.prefixes):
            for text in self.texts:
                _append(words, text, analyse(text))
        return Query(
            tuple(words),
            tuple(self.phrases),
            tuple(self.excluded),
            tuple(self.prefixes),
            tuple(self.filters),
            tuple(self.unread),
        )


def parse(query: str) -> Query:
    """The tree of a query; never raises, and reads what it does not understand as words.

    Stop words are left out unless no other word, phrase or prefix was typed. What looks like a filter but has a value
    that cannot be one (an unknown tier, a time that `resolve_time` does not know) is words, and noted in `unread`.
    """
    reading = _Reading(query.rstrip().endswith(("?", "\uff1f")))
    for item in _ITEM.finditer(query.translate(_QUOTES)):
        bare = item["bare"]
        pair = _BARE_FILTER.fullmatch(bare) if bare else None
        key, value = (pair[1], pair[2]) if pair else (item["key"], item["quoted"])
        condition = _filter(key, value) if key and not item["minus"] else None
        if condition:
            reading.filters.append(condition)
            continue
        if key and key.lower() in _MISREAD and not item["minus"]:
            reading.unread.append(item.group())
        if bare:
            reading.bare(bare)
        elif key:
            reading.texts += item.group().split()
        else:
            reading.quoted(value, item["minus"] is not None)
    return reading.tree()


def resolve_time(value: str, now: str, *, end: bool = False) -> str | None:
    """The instant a `since:` value means or, with `end`, an `until:` value; None when it means none.

    `now` and the result are UTC, ISO 8601 with microseconds and Z. Understood are ISO dates and date-times (UTC when
    without an offset), a year, a year and month, `today`, `yesterday`, and spans before now: `30min`, `12h`, `7d`,
    `2w`, `3m` or `3mo` (of 30 days), `1y` (of 365). A day, month or year means its first instant, with `end` its last.
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
            years, month = divmod(start.month - 1 + months, 12)
            following = datetime(start.year + years, month + 1, 1, tzinfo=UTC)
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


def _word(text: str) -> Term | None:
    """A word as a term; None if it has no tokens, or says nothing by itself."""
    return _known_word(text) if len(text) <= MAX_TOKEN else _read_word(text)


def _read_word(text: str) -> Term | None:
    tokens = () if is_stop_word(text) else tuple(analyse(text))
    return Term(text, tokens) if tokens else None


_known_word = lru_cache(4_096)(_read_word)


def _append(terms: list[Term], text: str, tokens: list[str]) -> None:
    if tokens:
        terms.append(Term(text, tuple(tokens)))
