"""The search index: which rows hold which words, on SQLite's FTS5.

Above it lies the store's transaction; the words come from the analyser, the ranking of entities is done above.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

from enhanced_memory.store.base import Filter, Frequency, Hit, Match
from enhanced_memory.store.sqlite.filters import conditions, is_everything
from enhanced_memory.store.sqlite.indexing import ENTITY_OF_ROW, entity_and_slot
from enhanced_memory.store.sqlite.scope import Scope

_WEIGHTS = "1.0, 1.0, 4.0, 1.0"
"""Weights of name, type, who and body in the first, rough ranking. A speaker's or subject's name weighs about four."""

_FRESH_S = 60.0
"""How long a word's frequency is believed: counting it means reading all of its rows."""

_COMMON = 500
"""Rows from which on a frequency is kept; rarer words are counted each time, so that a new word is known at once."""

_KEPT_FREQUENCIES = 50_000


class FrequencyCache:
    """Frequencies of common words for a minute; shared by all transactions of a store."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[float, Frequency]] = {}

    def get(self, word: str) -> Frequency | None:
        """The frequency, if it was counted less than a minute ago."""
        found = self._known.get(word)
        return found[1] if found is not None and time.monotonic() - found[0] < _FRESH_S else None

    def put(self, word: str, frequency: Frequency) -> None:
        """Keep a frequency that was just counted."""
        if len(self._known) >= _KEPT_FREQUENCIES:
            self._known.clear()
        self._known[word] = (time.monotonic(), frequency)


class SQLiteIndex:
    """The `search_index` table."""

    def __init__(self, scope: Scope, frequencies: FrequencyCache) -> None:
        self._scope = scope
        self._cache = frequencies

    def frequencies(self, words: Sequence[str]) -> dict[str, Frequency]:
        """How often each word occurs; of common words up to a minute old."""
        found = {}
        for word in words:
            frequency = self._cache.get(word)
            if frequency is None:
                columns = dict(
                    self._scope.connection.execute("SELECT col, doc FROM search_vocabulary WHERE term = ?", (word,))
                )
                # The most in one column: a name that is in many labels and speakers stays as telling as it is.
                rows = max(columns.values(), default=0)
                frequency = Frequency(rows, columns.get("who", 0))
                if rows >= _COMMON:
                    self._cache.put(word, frequency)
            found[word] = frequency
        return found

    def words_from(self, beginning: str, limit: int, *, in_names: bool) -> list[str]:
        """Up to `limit` indexed words that begin so, `in_names` only words of names."""
        column = " AND col = 'name'" if in_names else ""
        rows = self._scope.connection.execute(
            f"SELECT DISTINCT term FROM search_vocabulary WHERE term >= ? AND term < ?{column} LIMIT ?",
            (beginning, beginning + "\U0010ffff", limit),
        )
        return [row[0] for row in rows]

    def rows(self) -> int:
        """How many rows the index holds."""
        # FTS5 keeps the count as the first number of its averages record, row 1 of its data table.
        row = self._scope.connection.execute("SELECT block FROM search_index_data WHERE id = 1").fetchone()
        return _first_number(row[0]) if row is not None and row[0] else 0

    def best(self, match: Match, wanted: Filter, limit: int) -> list[Hit]:
        """The `limit` best rows, best first; for `all_of`, the newest that match, unranked."""
        expression = _expression(match)
        if not expression:
            return []
        self._scope.flush_index()
        parts, values = ([], []) if is_everything(self._scope, wanted) else conditions(self._scope, wanted)
        joined = f" CROSS JOIN entities ON entities.id = {ENTITY_OF_ROW}" if parts else ""
        score, order = ("0.0", "1 DESC") if match.all_of else (f"bm25(search_index, {_WEIGHTS})", "2")
        statement = (
            f"SELECT search_index.rowid, {score} FROM search_index{joined}"
            f" WHERE {' AND '.join(['search_index MATCH ?', *parts])} ORDER BY {order} LIMIT ?"
        )
        rows = self._scope.connection.execute(statement, (expression, *values, limit)).fetchall()
        return [Hit(*entity_and_slot(row), -rank) for row, rank in rows]


def _phrase(words: Sequence[str]) -> str:
    """Words that follow one another, as FTS5 writes it. Words are letters and digits only, so quotes suffice."""
    return '"' + " ".join(words).replace('"', "") + '"'


def _expression(match: Match) -> str:
    """The match in FTS5's language, or "" if nothing is asked."""

    def written(phrases: Sequence[Sequence[str]], operator: str) -> str:
        return f" {operator} ".join(
            f"{{name type who}} : {_phrase(words)}" if len(words) == 1 and words[0] in match.labels else _phrase(words)
            for words in phrases
        )

    if match.all_of:
        return written(match.all_of, "AND")
    if match.any_of and match.helpful:
        return f"({written(match.any_of, 'OR')}) AND ({written([*match.any_of, *match.helpful], 'OR')})"
    return written(match.any_of, "OR")


def _first_number(record: bytes) -> int:
    """The first of SQLite's variable-length integers in a record."""
    number = 0
    for place, byte in enumerate(record[:9]):
        if place == 8:
            return number << 8 | byte
        number = number << 7 | byte & 0x7F
        if not byte & 0x80:
            break
    return number
