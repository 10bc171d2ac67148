"""So many places at once, taken in the order of asking.

Above it lies the store, which has so many reading connections. A `threading.Semaphore` lets a newcomer overtake those
who wait, and under load the last of hundreds then waits for seconds.
"""

from __future__ import annotations

import threading
from collections import deque


class Turns:
    """`count` places. Safe for many threads."""

    def __init__(self, count: int) -> None:
        self._free = count
        self._waiting: deque[threading.Lock] = deque()
        self._lock = threading.Lock()

    def enter(self, timeout_s: float) -> bool:
        """Take a place, waiting for one up to `timeout_s` seconds; False: none came free in time."""
        with self._lock:
            if self._free:
                self._free -= 1
                return True
            turn = threading.Lock()
            turn.acquire()
            self._waiting.append(turn)
        if turn.acquire(timeout=timeout_s):
            return True
        with self._lock:
            if turn in self._waiting:
                self._waiting.remove(turn)
                return False
        return True  # it was given to us between the two steps

    def leave(self) -> None:
        """Give a place back: to whoever has waited longest."""
        with self._lock:
            if self._waiting:
                self._waiting.popleft().release()
            else:
                self._free += 1
