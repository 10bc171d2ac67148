"""So many places at once, taken in the order of asking.

Above it lie the store, which has so many reading connections, and the sandbox, which runs so much code at once; below
it nothing. A `threading.Semaphore` lets a newcomer overtake those who wait, and whoever leaves and asks again at once
be first: under load the last of hundreds then waits for seconds, and some starve.
"""

from __future__ import annotations

import queue
import sys
import threading
from collections import deque


class Turns:
    """`count` places, for which `most_waiting` may wait. Safe for many threads."""

    def __init__(self, count: int, most_waiting: int = sys.maxsize) -> None:
        self._count = count
        self._free = count
        self._most_waiting = most_waiting
        self._queue: deque[threading.Lock] = deque()
        self._lock = threading.Lock()

    @property
    def taken(self) -> int:
        """How many places are taken."""
        return self._count - self._free

    @property
    def waiting(self) -> int:
        """How many wait."""
        return len(self._queue)

    def enter(self, timeout_s: float) -> None:
        """Take a place, waiting for one up to `timeout_s` seconds.

        Raises: TimeoutError: none came free in time. queue.Full: as many wait as may.
        """
        with self._lock:
            if self._free:
                self._free -= 1
                return
            if len(self._queue) >= self._most_waiting:
                raise queue.Full
            turn = threading.Lock()
            turn.acquire()
            self._queue.append(turn)
        if turn.acquire(timeout=timeout_s):
            return
        with self._lock:
            if turn in self._queue:  # else it was given to us between the two steps
                self._queue.remove(turn)
                raise TimeoutError

    def leave(self) -> None:
        """Give a place back: to whoever has waited longest, else to the next to come."""
        with self._lock:
            if self._queue:
                self._queue.popleft().release()
            else:
                self._free += 1
