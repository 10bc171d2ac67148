"""What changed lately, for those who wait for it: a numbered list of the last writes.

Above it lies the dispatcher, which notes every write; below it nothing. The numbers rise for ever: they begin with the
clock's microseconds, so those of a restarted daemon are higher than all before.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Mapping
from typing import Any, Final

from enhanced_memory.errors import ShuttingDown

_KEPT: Final = 256
"""Changes remembered; who asks after more were made is told that some are missing."""

_MAX_NAMES: Final = 100
"""Names told of one change; a change of more entities says that any may have changed."""

_NAMED: Final = {
    "create_entities": ("entities", ("name",)),
    "add_observations": ("observations", ("entityName",)),
    "delete_observations": ("deletions", ("entityName",)),
    "create_relations": ("relations", ("from", "to")),
    "delete_relations": ("relations", ("from", "to")),
}
"""Operations that change what they name and nothing else: where in the arguments, and under which keys."""


class Changes:
    """The last writes. Safe for many threads."""

    def __init__(self) -> None:
        self._moved = threading.Condition()
        self._last = time.time_ns() // 1000
        self._kept: deque[tuple[int, str, list[str] | None]] = deque(maxlen=_KEPT)
        self._closed = False

    def note(self, namespace: str, names: list[str] | None) -> None:
        """A write was acknowledged; None where it cannot be said which entities it changed."""
        with self._moved:
            self._last += 1
            self._kept.append((self._last, namespace, names))
            self._moved.notify_all()

    def wait(self, after: int | None, timeout_s: float) -> dict[str, Any]:
        """The changes numbered above `after`, as soon as there are any, or none after `timeout_s` seconds.

        Without `after` there are none to tell, and the answer is the number of the last one.

        Raises: ShuttingDown: the service ends.
        """
        with self._moved:
            if after is not None:
                self._moved.wait_for(lambda: self._closed or self._last != after, timeout_s)
            if self._closed:
                raise ShuttingDown("the service is ending", hint="ask again when it is back")
            told = [
                {"namespace": namespace, "names": names}
                for number, namespace, names in self._kept
                if after is not None and number > after
            ]
            missed = after is not None and self._last - after != len(told)
            return {"last": self._last, "changes": told, "missed": missed}

    def close(self) -> None:
        """Let go everyone who waits."""
        with self._moved:
            self._closed = True
            self._moved.notify_all()


def named_in(method: str, params: Mapping[str, Any]) -> list[str] | None:
    """The entities that a write changes, where its checked arguments tell all of them."""
    if method not in _NAMED:
        return None
    argument, keys = _NAMED[method]
    names = list(dict.fromkeys(item[key] for item in params[argument] for key in keys))
    return names if len(names) <= _MAX_NAMES else None
