"""Starting the resident, once, however many assistants start at the same moment.

Above it lies the pump; below it the client's way of starting a program. Standard library only. A lock file beside the
socket lets one starter through; the others find the resident there.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import suppress

from enhanced_memory.mcp.pump import Unusable, connected, lock_path, refused
from enhanced_memory.starting import first_line, locks, opened, own_environment

_ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.realpath(__file__))))

_DEADLINE_S = 20.0
"""FastMCP takes a second to load, and several on a machine that does much else."""

_PAUSE_S = 0.01


def start(path: str, told: Mapping[str, Mapping[str, str]]) -> None:
    """Start the resident that listens at `path`, unless one does; returns when it takes connections.

    It runs on its own: a session of its own, nothing on its standard streams, its log beside the database. Of the
    greeting `told` it takes the places of things, as the variables of its environment.

    Raises: Unusable: it ended at once (with what it said), or was not ready in time. OSError: it cannot be started.
    """
    deadline = time.monotonic() + _DEADLINE_S
    os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
    with opened(lock_path(path)) as lock:
        while not locks(lock):
            if time.monotonic() >= deadline:
                raise Unusable("another program is starting it, and it is not ready yet")
            time.sleep(_PAUSE_S)
        sock = connected(path)
        if sock is not None:
            sock.close()
            return
        with suppress(FileNotFoundError):
            os.unlink(path)  # left by one that was killed: nobody answers, and starters come one at a time
        _start(path, told, deadline)


def _start(path: str, told: Mapping[str, Mapping[str, str]], deadline: float) -> None:
    flags = told["flags"]
    environment = own_environment() | dict(told["environ"])
    for field, variable in (
        ("db_path", "MEMORY_DB_PATH"),
        ("socket_path", "MEMORY_DB_SOCKET"),
        ("log_level", "MEMORY_LOG_LEVEL"),
    ):
        if field in flags:
            environment[variable] = flags[field]
    process = subprocess.Popen(  # noqa: S603 - a program of ours, and no shell
        [sys.executable, "-m", "enhanced_memory.mcp.resident", path],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        bufsize=0,
        cwd=_ROOT,
        env=environment,
        start_new_session=True,
    )
    assert process.stdout is not None
    said = first_line(process.stdout, deadline)
    if said is None:
        process.kill()
        process.wait()
        raise Unusable("it did not get ready in time")
    if said != b"ready\n":
        raise refused(said) if said else Unusable("it ended at once")
    process.returncode = 0  # it outlives us, and nobody here waits for its end
