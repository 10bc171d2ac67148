"""What systemd and a service tell each other: readiness, the watchdog, and a socket that is already listening.

Above it lies main; below it the operating system. Without systemd every function does nothing.
Source: sd_notify(3), sd_watchdog_enabled(3), sd_listen_fds(3).
"""

from __future__ import annotations

import contextlib
import os
import socket
from typing import Final

_FIRST_DESCRIPTOR: Final = 3


def notify(state: str) -> None:
    """Tell systemd `state`, lines such as READY=1, if it wants to hear."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if address:
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as messenger:
            messenger.connect("\0" + address[1:] if address.startswith("@") else address)
            messenger.send(state.encode())


def watchdog_s() -> float | None:
    """Seconds within which systemd expects a sign of life; None where it expects none."""
    if os.environ.get("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()):
        return None
    try:
        return int(os.environ["WATCHDOG_USEC"]) / 1_000_000
    except (KeyError, ValueError):
        return None


def inherited_socket() -> socket.socket | None:
    """The listening Unix socket that systemd started us with; None where there is none."""
    if os.environ.pop("LISTEN_PID", None) != str(os.getpid()) or os.environ.pop("LISTEN_FDS", None) in (None, "0"):
        return None
    try:
        inherited = socket.socket(fileno=_FIRST_DESCRIPTOR)
    except OSError:
        return None
    inherited.set_inheritable(False)
    if inherited.family == socket.AF_UNIX and inherited.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
        return inherited
    inherited.detach()
    return None
