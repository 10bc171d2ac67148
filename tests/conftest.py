"""What every test has: a home and an environment of its own, short folders for sockets, and the daemon as a process."""

from __future__ import annotations

import json
import os
import selectors
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

ROOT = Path(__file__).resolve().parent.parent
PATIENCE_S = 60.0
"""How long a test waits for what comes in a moment: so long only where it never comes, however slow the machine."""
PROMPTLY_S = 20.0
"""The same for what a limit of the product would bring as well if nothing else did: the shortest takes 25 s."""


# No test fails by the clock, those of hypothesis neither.
settings.register_profile("unhurried", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("unhurried")

# What a shell runs in the background ignores Ctrl-C, and so would every program that a test starts and interrupts.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def home(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty home, and an environment without any other setting of ours or of systemd."""
    for variable in [name for name in os.environ if name.startswith(("MEMORY_", "XDG_", "LISTEN_", "WATCHDOG_"))]:
        monkeypatch.delenv(variable)
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    folder = Path(tempfile.mkdtemp(prefix="em-home-", dir="/tmp"))
    monkeypatch.setenv("HOME", str(folder))
    monkeypatch.setenv("MEMORY_DB_SOCKET", str(folder / "memory-db.sock"))
    monkeypatch.setenv("MEMORY_SEMANTIC", "off")  # tests of meaning turn it on, and bring a model of their own
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def short_folder() -> Iterator[Path]:
    """An empty folder whose path leaves room for a socket's name: such a path ends at 107 bytes."""
    folder = Path(tempfile.mkdtemp(prefix="em-", dir="/tmp"))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


class Daemon:
    """A daemon as a process of its own, ready to answer."""

    def __init__(self, process: subprocess.Popen[str], db: Path, socket_path: Path, ready_line: str) -> None:
        self.process = process
        self.db = db
        self.socket_path = socket_path
        self.ready_line = ready_line

    def connect(self) -> socket.socket:
        """A connection to it, with a time limit on every step."""
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connection.settimeout(PATIENCE_S)
        connection.connect(str(self.socket_path))
        return connection

    def ask(self, method: str, params: Mapping[str, Any] | None = None, **fields: Any) -> dict[str, Any]:
        """Its reply to one request on a connection of its own."""
        with self.connect() as connection, connection.makefile("rwb") as stream:
            stream.write(json.dumps({"method": method, "params": params or {}, **fields}).encode() + b"\n")
            stream.flush()
            reply: dict[str, Any] = json.loads(stream.readline())
            return reply

    def end(self, signum: int) -> int:
        """Send it a signal and wait for its end; gives the exit status."""
        self.process.send_signal(signum)
        return self.process.wait(PATIENCE_S)


StartDaemon = Callable[..., Daemon]


@pytest.fixture
def run_daemon(home: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Start the daemon's command with these arguments; whatever still runs at the test's end is killed.

    `inside` is a command that runs the daemon's, as `unshare` and `strace` do.
    """
    processes: list[subprocess.Popen[str]] = []

    def run(*arguments: str | Path, inside: Sequence[str] = (), **options: Any) -> subprocess.Popen[str]:
        command = [*inside, sys.executable, str(ROOT / "memory_db_service.py"), *map(str, arguments)]
        # Standard error goes to a file, since nobody reads a pipe while the test runs.
        with (home / f"daemon{len(processes)}.log").open("wb") as log:
            pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": log, **options}
            processes.append(subprocess.Popen(command, text=True, **pipes))
        return processes[-1]

    yield run
    for process in processes:
        with process:
            process.kill()


@pytest.fixture
def start_daemon(run_daemon: Callable[..., subprocess.Popen[str]], short_folder: Path) -> StartDaemon:
    """Start the daemon and give it back when it is ready; the default paths lie in `short_folder`."""

    def start(*arguments: str, db: Path | None = None, socket_path: Path | None = None, **options: Any) -> Daemon:
        db = db or short_folder / "memory.db"
        socket_path = socket_path or short_folder / "memory.sock"
        process = run_daemon("--db", db, "--socket", socket_path, *arguments, **options)
        return Daemon(process, db, socket_path, ready_line(process))

    return start


def ready_line(process: subprocess.Popen[str]) -> str:
    """The line the daemon prints when it is ready."""
    assert process.stdout is not None
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        assert selector.select(PATIENCE_S), "the daemon is neither ready nor gone"
    line = process.stdout.readline()
    assert line, f"the daemon ended with status {process.wait(PATIENCE_S)} before it was ready"
    return line
