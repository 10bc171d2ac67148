"""How many requests of each operation there were, how they ended, and how long they took.

Above it lie the dispatcher, which counts, and the Prometheus page; below it nothing. Its size is bounded by the number
of operations: what is none is counted under one name.
"""

from __future__ import annotations

import math
import threading
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

UNKNOWN: Final = "?"
"""What requests are counted under that name no operation."""

OK: Final = "ok"
"""What a request that succeeded is counted under; others under their code."""

_STEPS: Final = 4
"""Steps of the histogram within a doubling of time: a step is 19 %, so a quantile is right within 10 %."""

_FASTEST_S: Final = 1e-5
_DOUBLINGS: Final = 29
"""The histogram reaches from 10 µs to about an hour and a half."""

_LAST: Final = _STEPS * _DOUBLINGS

BOUNDS_S: Final = tuple(_FASTEST_S * 2 ** (number / _STEPS) for number in range(_LAST))
"""The upper end of every step but the last, which has none; in seconds."""


@dataclass
class Figures:
    """The requests of one operation: how many ended with each code, and how many took how long."""

    codes: Counter[str] = field(default_factory=Counter)
    steps: list[int] = field(default_factory=lambda: [0] * (_LAST + 1))
    seconds: float = 0.0

    @property
    def count(self) -> int:
        """All of them."""
        return self.codes.total()

    def quantile_s(self, share: float) -> float:
        """The time that this share of the requests took at the most, within 10 %; 0 where there were none."""
        wanted = share * self.count
        seen = 0
        for number, requests in enumerate(self.steps):
            seen += requests
            if requests and seen >= wanted:
                return _FASTEST_S * math.exp2((number - 0.5) / _STEPS)
        return 0.0


class Tally:
    """Figures of the requests since the start. Safe for many threads; a note takes about a microsecond."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._figures: dict[str, Figures] = {}
        self.noted = 0
        """How many requests there were."""

    def note(self, method: str, code: str, took_s: float) -> None:
        """One request has ended, with `ok` or its error's code, after so many seconds."""
        step = 0 if took_s <= _FASTEST_S else min(_LAST, math.ceil(math.log2(took_s / _FASTEST_S) * _STEPS))
        with self._lock:
            self.noted += 1
            figures = self._figures.get(method)
            if figures is None:
                figures = self._figures[method] = Figures()
            figures.codes[code] += 1
            figures.steps[step] += 1
            figures.seconds += took_s

    def figures(self) -> dict[str, Figures]:
        """A copy of all figures, by operation."""
        with self._lock:
            return {
                method: Figures(Counter(each.codes), list(each.steps), each.seconds)
                for method, each in sorted(self._figures.items())
            }

    def told(self) -> Mapping[str, Mapping[str, Any]]:
        """count, errors, p50_ms and p99_ms by operation."""
        return {
            method: {
                "count": each.count,
                "errors": each.count - each.codes[OK],
                "p50_ms": round(each.quantile_s(0.5) * 1000, 3),
                "p99_ms": round(each.quantile_s(0.99) * 1000, 3),
            }
            for method, each in self.figures().items()
        }
