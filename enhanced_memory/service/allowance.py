"""The allowance of checks: how much time may go into holding what is written against what is remembered.

Above it lies the dispatcher, which gives it to operations; below it nothing. A check takes some milliseconds of a
processor that others wait for. So it is done where somebody writes now and then, and left out where writes come in a
stream: while others write too, and when checks have had more than their share of the time.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

_SHARE = 0.1
"""Share of the time that checks may take in the long run."""

_MOST_S = 0.3
"""Seconds of checks that may be saved up: enough for a session's worth of writes in a row."""


class Allowance:
    """Time for checks, which grows as time passes. Safe for many threads.

    `is_busy` tells whether several writes are under way; `clock` is in seconds.
    """

    def __init__(self, is_busy: Callable[[], bool], clock: Callable[[], float] = time.monotonic) -> None:
        self._is_busy = is_busy
        self._clock = clock
        self._lock = threading.Lock()
        self._left_s = _MOST_S
        self._seen = clock()

    def is_left(self) -> bool:
        """Whether there is time for a check now."""
        with self._lock:
            now = self._clock()
            self._left_s = min(_MOST_S, self._left_s + (now - self._seen) * _SHARE)
            self._seen = now
            return self._left_s > 0 and not self._is_busy()

    def spend(self, seconds: float) -> None:
        """A check took this long."""
        with self._lock:
            self._left_s -= seconds
