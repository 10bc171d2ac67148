"""Starting a program once: the lock that lets one starter through, and the line by which the program says it is ready.

Above it lie the client, which starts the daemon, and the MCP server, which starts its resident; below it the operating
system. Standard library only, and little of it: an assistant waits for it.
"""

from __future__ import annotations

import fcntl
import os
import select
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO

_OUR_UNITS = ("NOTIFY_SOCKET", "WATCHDOG_", "LISTEN_")
"""Variables by which systemd speaks to the one program it started."""


@contextmanager
def opened(path: str) -> Iterator[int]:
    """A lock file, made where it is missing; it is never removed, since others may be waiting on it."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def locks(descriptor: int) -> bool:
    """Lock an open file for as long as it stays open; false where another holds it."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def own_environment() -> dict[str, str]:
    """The environment without what systemd told us about ourselves."""
    return {key: value for key, value in os.environ.items() if not key.startswith(_OUR_UNITS)}


def first_line(pipe: IO[bytes], deadline: float) -> bytes | None:
    """The first line a program prints; empty when it ends without one, None when neither happened by `deadline`."""
    said = b""
    while not said.endswith(b"\n"):
        ready, _, _ = select.select([pipe], [], [], max(0.0, deadline - time.monotonic()))
        if not ready:
            return None
        part = os.read(pipe.fileno(), 4096)
        if not part:
            return b""
        said += part
    return said
