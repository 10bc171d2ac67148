"""Places for runs: so many at once, so many waiting, first come first served.

Above lies the supervisor, below nothing. The standard library's semaphore is not fair: a thread that gives its place
back and asks again at once gets it before those that wait, who can starve.
"""

from __future__ import annotations

import contextlib
import threading
from collections import deque
from collections.abc import Iterator

from enhanced_memory.errors import Busy
from enhanced_memory.sandbox import limits


class Places:
    """A number of places, handed from the one who leaves to the one who has waited longest."""

    def __init__(self, places: int, most_waiting: int, wait_s: float = limits.WAIT_S) -> None:
        self._places = places
        self._wait_s = wait_s
        self._free = places
        self._most_waiting = most_waiting
        self._lock = threading.Lock()
        self._queue: deque[threading.Event] = deque()

    @property
    def waiting(self) -> int:
        """How many wait."""
        return len(self._queue)

    @contextlib.contextmanager
    def one(self) -> Iterator[None]:
        """Have a place, after a wait for it. Raises: Busy: too many wait, or none came free in time."""
        self.take()
        try:
            yield
        finally:
            self.give()

    def take(self) -> None:
        """Wait for a place and have it until `give`. Raises: Busy."""
        with self._lock:
            if self._free:
                self._free -= 1
                return
            if len(self._queue) >= self._most_waiting:
                raise Busy(
                    f"{self._places} runs of code go on and {self._most_waiting} wait",
                    hint="try again in a few seconds",
                )
            turn = threading.Event()
            self._queue.append(turn)
        turn.wait(self._wait_s)
        with self._lock:
            if turn in self._queue:  # nobody handed it a place
                self._queue.remove(turn)
                raise Busy(
                    f"no place to run code came free within {self._wait_s:g} seconds",
                    hint="try again when fewer run, or give each run a shorter timeout_s",
                )

    def give(self) -> None:
        """Give the place to whoever has waited longest, or keep it for the next to come."""
        with self._lock:
            if self._queue:
                self._queue.popleft().set()
            else:
                self._free += 1
