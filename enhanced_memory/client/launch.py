"""Starting the daemon when nobody answers, once, however many programs find that out together.

Above it lie the client's steps, the MCP server and the command line; below it the connection and the operating system.
Standard library only. A file lock beside the database lets one starter through; the others find the daemon there.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING

from enhanced_memory import wire
from enhanced_memory.client.connection import BlockingSteps, talk, understood, walk
from enhanced_memory.errors import DaemonUnavailable
from enhanced_memory.starting import first_line, locks, opened, own_environment

if TYPE_CHECKING:
    from enhanced_memory.settings import Settings

_PROGRAM = Path(__file__).resolve().parents[2] / "memory_db_service.py"

_PAUSE_S = 0.05
"""Between two looks while somebody else starts or ends a daemon: short beside the start of a Python program."""

_MAX_LOG_BYTES = 10 * 1024 * 1024
"""A log larger than this is set aside when a daemon is started, in the place of the one set aside before. A daemon
that runs keeps its log within the same size."""


def ensure_daemon(settings: Settings, *, timeout_s: float = 15.0) -> bool:
    """Start the daemon unless one answers at `settings.socket_path`; true where this call started it.

    Returns when a daemon answers. One that is ending is waited for, by the lock it holds on its database. The new one
    runs on its own: a session of its own, nothing on its standard input, its log in `daemon.log` beside the database.

    Raises: DaemonUnavailable: it ended at once (with the last line of its log), nothing answered within `timeout_s`
            seconds, or the socket is not this user's.
    """
    try:
        return _started(settings, time.monotonic() + timeout_s)
    except TimeoutError:
        raise DaemonUnavailable(
            f"the daemon at {settings.socket_path} takes connections but did not answer within {timeout_s:g} s",
            hint="look at its log; if it hangs, end it and try again",
        ) from None
    except DaemonUnavailable:  # which is an OSError too
        raise
    except OSError as error:
        raise DaemonUnavailable(f"cannot start the daemon: {error}") from error


def _started(settings: Settings, deadline: float) -> bool:
    if _answers(settings, deadline):
        return False
    db_path = os.path.realpath(settings.db_path)  # where the daemon's lock lies, whatever name the database has here
    folder = Path(db_path).parent
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    daemons_lock = f"{db_path}.lock"
    with opened(f"{db_path}.start") as start:
        while not locks(start):
            _pause(
                deadline, f"another program is starting the daemon at {settings.socket_path}, and it is not ready yet"
            )
            if _answers(settings, deadline):
                return False
        while not _answers(settings, deadline):
            if not _is_held(daemons_lock):
                try:
                    _start(settings, folder / "daemon.log", deadline)
                    return True
                except DaemonUnavailable:
                    if not _is_held(daemons_lock):  # else another came first, as systemd may
                        raise
            _pause(deadline, f"a daemon holds {settings.db_path} and does not answer at {settings.socket_path}")
    return False


def _answers(settings: Settings, deadline: float) -> bool:
    """Whether a daemon that is not about to end answers on the socket."""
    steps = BlockingSteps(deadline)
    sock = walk(steps.connect(settings.socket_path))
    if sock is None:
        return False
    with sock:
        answer = walk(talk(sock, wire.encode({"method": "ping"}), steps))
    return answer is not None and understood(answer, settings.socket_path).get("code") != "shutting_down"


def _is_held(path: str) -> bool:
    """Whether a daemon holds the lock file at `path`, which it takes away when it ends well."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        return not locks(descriptor)
    finally:
        os.close(descriptor)


def _pause(deadline: float, complaint: str) -> None:
    """Wait a moment. Raises: DaemonUnavailable: no moment is left before `deadline`."""
    if time.monotonic() + _PAUSE_S >= deadline:
        raise DaemonUnavailable(complaint, hint="look at daemon.log beside the database, then try again")
    time.sleep(_PAUSE_S)


def _start(settings: Settings, log_path: Path, deadline: float) -> None:
    """Start the daemon and wait until it says that it is ready.

    Database and socket are given as flags, so that a list of processes shows them; every setting goes by environment.
    What systemd told us about ourselves does not go along.
    """
    command = [sys.executable, str(_PROGRAM), "--db", settings.db_path, "--socket", settings.socket_path]
    environment = own_environment() | {
        spec.metadata["variable"]: str(getattr(settings, spec.name)) for spec in fields(settings)
    }
    if log_path.exists() and log_path.stat().st_size > _MAX_LOG_BYTES:
        log_path.replace(f"{log_path}.1")
    with open(os.open(log_path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600), "rb") as log:
        log_start = log.seek(0, os.SEEK_END)
        process = subprocess.Popen(  # noqa: S603 - a program of ours, and no shell
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            bufsize=0,
            stderr=log,
            cwd="/",
            env=environment,
            start_new_session=True,
        )
        assert process.stdout is not None
        said = first_line(process.stdout, deadline)
        # Somebody must wait for its end, or it would stay in the table of processes for as long as we live; and must
        # hold the pipe until then, or its ready line could meet a closed one.
        threading.Thread(target=process.communicate, name="daemon-reaper", daemon=True).start()
        if said is None:
            raise DaemonUnavailable("the daemon is still starting", hint=f"try again; its log is {log_path}")
        if not said:
            log.seek(log_start)
            lines = log.read().decode(errors="replace").split("\n")
            last = next((line.strip() for line in reversed(lines) if line.strip()), "it said nothing")
            raise DaemonUnavailable(f"the daemon did not start: {last}", hint=f"its log is {log_path}")
