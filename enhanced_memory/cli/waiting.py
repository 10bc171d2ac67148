"""How far a long operation is, while one waits for it: a bar on standard error, asked for on a second connection.

Above it lies the session, which puts it around a request; below it the client. Loaded only where a person watches.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from enhanced_memory.settings import Settings

QUIET_S: Final = 1.0
"""Seconds before anything is shown: what is quick needs no bar."""

STEP_S: Final = 0.3
"""Seconds between two looks."""


@contextmanager
def shown_progress(settings: Settings, method: str) -> Iterator[None]:
    """While the block waits for `method`, show how far it is; nothing where it ends within a second."""
    over = threading.Event()
    watcher = threading.Thread(target=_watch, args=(settings, method, over), daemon=True)
    watcher.start()
    try:
        yield
    finally:
        over.set()
        watcher.join()


def _watch(settings: Settings, method: str, over: threading.Event) -> None:
    """Draw the bar until it is over."""
    if over.wait(QUIET_S):
        return
    from rich.console import Console
    from rich.progress import Progress

    from enhanced_memory.client import BlockingMemoryClient
    from enhanced_memory.errors import EnhancedMemoryError

    client = BlockingMemoryClient(settings=settings, client="enhanced-memory", timeout_s=QUIET_S, max_connections=1)
    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(method.replace("_", " "), total=None)
        while not over.wait(STEP_S):
            try:
                running: list[dict[str, Any]] = client.call("list_running").get("running", [])
            except (EnhancedMemoryError, OSError):
                continue  # the answer that is waited for tells what is wrong
            ours = next((each for each in running if each["method"] == method), None)
            if ours is not None:
                bar.update(task, completed=ours["done"], total=ours["total"] or None)
