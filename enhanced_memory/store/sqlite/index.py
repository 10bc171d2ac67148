"""The search index: which rows hold which words, on SQLite's FTS5.

Above it lies the store's transaction; the words come from the analyser, the ranking of entities is done above.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence

from enhanced_memory.store.base import Filter, Frequency, Hit, Match
from enhanced_memory.store.sqlite.filters import conditions, is_everything, marks
from enhanced_memory.store.sqlite.indexing import ENTITY_OF_ROW, FAR_ROWS, NEAR_SLOTS, entity_and_slot
from enhanced_memory.store.sqlite.scope import Scope

_WEIGHTS = (1.0, 4.0, 1.0, 1.0)
"""Weights of body, who, name and type in the first, rough ranking. A speaker's or subject's name weighs about four."""

_LENGTH = 0.75
"""BM25's b as FTS5 has it: how much the length of a row counts against it."""

_UNKNOWN_LENGTH = -4
"""Words that FTS5 takes every row to have where it keeps no lengths: -1 in each column."""

_LEAST_SCALE = 0.02
"""Weights nearer to nothing than this would let rounding decide."""

_NO_SCALE = 1_000.0
"""For an index whose lengths are not told yet: a word counts the same however often it is met."""

_FRESH_S = 60.0
"""How long a word's frequency is believed: counting it means reading all of its rows."""

_GROWN = 0.05
"""Share by which the index may have grown since: a word that is in all that comes in is soon in most of it."""

_COMMON = 500
"""Rows from which on a frequency is kept; rarer words are counted each time, so that a new word is known at once."""

_KEPT_FREQUENCIES = 50_000

_NEVER = (-math.inf, 0, Frequency(0, 0))


class FrequencyCache:
    """Frequencies of common words for a minute; shared by all transactions of a store.

    `rows` is how many rows the index has.
    """

    def __init__(self) -> None:
        self._known: dict[str, tuple[float, int, Frequency]] = {}

    def get(self, word: str, rows: int) -> Frequency | None:
        """The frequency, if it was counted less than a minute ago, in an index of about this size."""
        counted, then, frequency = self._known.get(word, _NEVER)
        fresh = time.monotonic() - counted < _FRESH_S and abs(rows - then) <= _GROWN * then
        return frequency if fresh else None

    def put(self, word: str, rows: int, frequency: Frequency) -> None:
        """Keep a frequency that was just counted."""
        if len(self._known) >= _KEPT_FREQUENCIES:
            self._known.clear()
        self._known[word] = (time.monotonic(), rows, frequency)


class SQLiteIndex:
    """The `search_index` table."""

    def __init__(self, scope: Scope, frequencies: FrequencyCache) -> None:
        self._scope = scope
        self._cache = frequencies
        self._known_totals: tuple[int, list[int]] | None = None
        """What `_totals` found, and how much the connection had changed then."""

    def frequencies(self, words: Sequence[str]) -> dict[str, Frequency]:
        """How often each word occurs; of common words up to a minute old."""
        size = self.rows()
        found = {word: self._cache.get(word, size) for word in words}
        counted: dict[str, dict[str, int]] = {word: {} for word, known in found.items() if known is None}
        if counted:  # FTS5 prepares a statement of its own each time it is asked, so it is asked for all at once
            statement = f"SELECT term, col, doc FROM search_vocabulary WHERE term IN ({marks(len(counted))})"
            for word, column, rows in self._scope.connection.execute(statement, tuple(counted)):
                counted[word][column] = rows
        for word, columns in counted.items():
            # The most in one column: a name that is in many labels and speakers stays as telling as it is.
            frequency = Frequency(max(columns.values(), default=0), columns.get("who", 0))
            if frequency.rows >= _COMMON:
                self._cache.put(word, size, frequency)
            found[word] = frequency
        return {word: frequency for word, frequency in found.items() if frequency is not None}

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
        return next(iter(self._totals()), 0)

    def _totals(self) -> list[int]:
        """How many rows, and how many words in each column; nothing while the index is empty."""
        changes = self._scope.connection.total_changes
        if self._known_totals is None or self._known_totals[0] != changes:
            # FTS5 keeps them in its averages record, row 1 of its data table.
            row = self._scope.connection.execute("SELECT block FROM search_index_data WHERE id = 1").fetchone()
            self._known_totals = changes, _numbers(row[0]) if row is not None and row[0] else []
        return self._known_totals[1]

    def _weights(self) -> list[float]:
        """Weights of body, who, name and type with which FTS5's bm25 leaves out how long a row is.

        It scores a word met `times` in a row, the weight included, with times / (times + k * norm), where norm is
        1 - b + b * length / average length. Without lengths, norm is one number for all rows, and far from 1. Weights
        times that same number cancel it: what is left is times / (times + k), as for rows of the average length.
        """
        rows, *words = self._totals() or [0]
        scale = _NO_SCALE
        if any(words):
            norm = 1.0 - _LENGTH + _LENGTH * _UNKNOWN_LENGTH * rows / sum(words)
            scale = math.copysign(max(abs(norm), _LEAST_SCALE), norm)
        return [weight * scale for weight in _WEIGHTS]

    def best(self, match: Match, wanted: Filter, limit: int) -> list[Hit]:
        """The `limit` best rows, best first, the newest of equals; for `all_of` and `newest`, the newest, unranked."""
        expression = _expression(match)
        if not expression:
            return []
        self._scope.flush_index()
        parts, values = ([], []) if is_everything(self._scope, wanted) else conditions(self._scope, wanted)
        joined = f" CROSS JOIN entities ON entities.id = {ENTITY_OF_ROW}" if parts else ""
        matching = f"FROM search_index{joined} WHERE {' AND '.join(['search_index MATCH ?', *parts])}"
        if match.all_of or match.newest:
            return [Hit(*entity_and_slot(row), 0.0) for row in self._newest(matching, [expression, *values], limit)]
        # Many rows have equal scores: met from the newest on, none of them takes another's place among the best.
        # The inner statement keeps its order, with a limit that is none, until its rows are compared.
        statement = (
            "SELECT number, score FROM (SELECT search_index.rowid AS number, bm25(search_index, ?, ?, ?, ?) AS score"
            f" {matching} ORDER BY search_index.rowid DESC LIMIT -1) ORDER BY score, number DESC LIMIT ?"
        )
        rows = self._scope.connection.execute(statement, (*self._weights(), expression, *values, limit)).fetchall()
        return [
            Hit(row // NEAR_SLOTS, row % NEAR_SLOTS, -rank) if row < FAR_ROWS else Hit(*entity_and_slot(row), -rank)
            for row, rank in rows
        ]

    def _newest(self, matching: str, values: Sequence[object], limit: int) -> list[int]:
        """The `limit` newest rows, newest first.

        FTS5 walks its lists from the oldest row on in half of the time that it takes from the newest on, which ends
        sooner only where many rows match.
        """
        execute = self._scope.connection.execute
        few = 2 * limit
        statement = f"SELECT search_index.rowid {matching} ORDER BY search_index.rowid"
        rows = [row for (row,) in execute(f"{statement} LIMIT ?", (*values, few))]
        if len(rows) == few:
            return [row for (row,) in execute(f"{statement} DESC LIMIT ?", (*values, limit))]
        return rows[: -limit - 1 : -1]


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


def _numbers(record: bytes) -> list[int]:
    """SQLite's variable-length integers of a record."""
    found, number, size = [], 0, 0
    for byte in record:
        size += 1
        if size < 9 and byte & 0x80:
            number = number << 7 | byte & 0x7F
            continue
        found.append(number << 8 | byte if size == 9 else number << 7 | byte)
        number, size = 0, 0
    return found
