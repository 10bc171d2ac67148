"""The scheduler: a thread that curates every namespace once a day, where the user has asked for it.

Above it lies the dispatcher, through which it asks like any client; below it the store, which remembers when it was
done last. So a restart neither postpones the next time nor brings it forward, and what was cut off is begun again.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from enhanced_memory.errors import EnhancedMemoryError
from enhanced_memory.store.base import Store

_LOOK_EVERY_S = 600.0
"""The longest wait: a machine that slept does not count the hours, so it looks at the clock every ten minutes."""

_TIMEOUT_S = 30.0
_ANY = "default"
"""When it was done last is told of the whole store; the transactions need a namespace all the same."""

log = logging.getLogger(__name__)


class Scheduler:
    """Curates when it is due. `ask` answers a request, `clock` tells the time; `ended` is set by `close`, and wakes it.

    `interval_h` are the hours from the end of one round over all namespaces to the next.
    """

    def __init__(
        self,
        store: Store,
        ask: Callable[[Mapping[str, Any]], Mapping[str, Any]],
        interval_h: float,
        clock: Callable[[], datetime],
        ended: threading.Event | None = None,
    ) -> None:
        self._store = store
        self._ask = ask
        self._interval_s = interval_h * 3600
        self._clock = clock
        self._ended = ended or threading.Event()
        self._thread = threading.Thread(target=self._run, name="scheduler", daemon=True)

    def start(self) -> None:
        """Begin to look."""
        self._thread.start()

    def close(self) -> None:
        """End the thread. A run under way ends between two slices once the service is ending."""
        self._ended.set()
        if self._thread.ident is not None:
            self._thread.join()

    def _run(self) -> None:
        while not self._ended.is_set():
            try:
                wait_s = self.look()
            except EnhancedMemoryError as error:
                log.warning("curation did not come about and will be tried again: %s", error)
                wait_s = _LOOK_EVERY_S
            self._ended.wait(min(wait_s, _LOOK_EVERY_S))

    def look(self) -> float:
        """Curate if it is due; seconds until it is due next, or is to be tried again.

        Raises: EnhancedMemoryError: the store could not be asked.
        """
        left_s = self._left_s()
        if left_s > 0:
            return left_s
        if not self._curate_all():
            return _LOOK_EVERY_S
        self._store.write(lambda tx: tx.curation.note_round(), _ANY, _TIMEOUT_S)
        return self._interval_s

    def _left_s(self) -> float:
        """Seconds until it is due; a last time in the future means that the clock was wrong, and counts as none."""
        last = self._store.read(lambda tx: tx.curation.last_round(), _ANY, _TIMEOUT_S)
        if last is None:
            return 0.0
        since_s = (self._clock() - datetime.fromisoformat(last)).total_seconds()
        return 0.0 if since_s < 0 else self._interval_s - since_s

    def _curate_all(self) -> bool:
        """Curate every namespace; whether all of it was done."""
        status = self._ask({"method": "get_memory_status"})
        done = bool(status["success"])
        for namespace, entities in status.get("namespaces", {}).items():
            if self._ended.is_set():
                return False
            if entities:
                done = self._curate(namespace) and done
        return done

    def _curate(self, namespace: str) -> bool:
        """Curate one namespace, and say so in one line; whether it was done."""
        reply = self._ask({"method": "autonomous_curation", "namespace": namespace, "client": "scheduler"})
        if not reply["success"]:
            log.warning("curation of a namespace ended early: code=%s", reply["code"])
            return False
        log.info(
            "curation run=%s episodic=%d semantic=%d procedural=%d decayed=%d",
            reply["run_id"],
            reply["promoted_to_episodic"],
            reply["promoted_to_semantic"],
            reply["promoted_to_procedural"],
            reply["decayed"],
        )
        return True
