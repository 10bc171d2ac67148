"""What the process takes of the machine: memory and processor.

Above it lies the dispatcher; below it psutil, which is loaded when it is first asked, since it would cost every start
some 30 ms.
"""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import psutil

_WINDOW_S: Final = 1.0
"""The processor's share is measured over this time at least; whoever asks sooner gets the last answer again."""


class Vitals:
    """Figures of our own process. Safe for many threads, and never waits."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: psutil.Process | None = None
        self._began = self._measured_at = time.monotonic()
        self._measured_cpu_s = time.process_time()
        self._cpu_percent = 0.0

    def figures(self) -> dict[str, float]:
        """uptime_s; memory_usage_bytes, resident; cpu_percent since it was asked before, where 100 is one processor.

        The processes that executed code runs in are not counted.
        """
        import psutil

        with self._lock:
            self._process = self._process or psutil.Process()
            now, used = time.monotonic(), time.process_time()
            if now - self._measured_at >= _WINDOW_S:
                self._cpu_percent = round(100 * (used - self._measured_cpu_s) / (now - self._measured_at), 1)
                self._measured_at, self._measured_cpu_s = now, used
            return {
                "memory_usage_bytes": self._process.memory_info().rss,
                "cpu_percent": self._cpu_percent,
                "uptime_s": round(now - self._began, 3),
            }
