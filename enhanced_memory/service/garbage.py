"""Full collections of garbage, put off until nobody waits.

Python looks through all objects for unreachable cycles whenever those alive have grown by a quarter. With full caches
that takes a tenth of a second and more, in which a busy daemon or reading process answers nobody, and it finds next to
nothing: what a request leaves behind goes with its last reference, or with a look through the young objects, which
stays as it is.

Above it lie main and the reading processes; below it nothing.
"""

from __future__ import annotations

import gc
import threading
import time
from collections.abc import Callable
from typing import Final

IDLE_S: Final = 1.0
"""Without a request for so long, nobody waits."""

WORTH: Final = 10_000
"""Requests after which a full collection is worth its time."""

_NEVER: Final = 1_000_000
"""Collections of young objects before a full one comes by itself: months of load without an idle second."""


def put_off() -> None:
    """From now on a full collection comes when it is asked for."""
    young, middle, _ = gc.get_threshold()
    gc.set_threshold(young, middle, _NEVER)


class IdleCollections:
    """Collects when there were WORTH requests since the last time and none since the last look.

    `requests` tells how many there were so far.
    """

    def __init__(self, requests: Callable[[], int]) -> None:
        self._requests = requests
        self._collected = self._before = 0

    def start(self) -> None:
        """Look every IDLE_S from now on, in a thread that ends with the process."""
        threading.Thread(target=self._run, name="garbage", daemon=True).start()

    def _run(self) -> None:
        while True:
            time.sleep(IDLE_S)
            self.look()

    def look(self) -> None:
        """Collect if it is time to."""
        now = self._requests()
        if now == self._before and now - self._collected >= WORTH:
            gc.collect()
            self._collected = now
        self._before = now
