"""Taking the socket's path: asked for before it is taken, ours alone from the first instant, and given back.

Above it lies main; below it the lock and the operating system.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import socket
import stat
import sys
import threading
from collections.abc import Iterator
from typing import Final

from enhanced_memory.errors import ServiceError
from enhanced_memory.service.lock import locked

MAX_PATH_BYTES: Final = 107 if sys.platform == "linux" else 103
"""Longest path of a Unix socket: the kernel's field less its closing zero."""

_PROBE_S: Final = 1.0
"""How long to wait for whoever may listen: connecting to a Unix socket needs no answer, only a place in its queue."""

_KINDS: Final = {stat.S_IFREG: "a file", stat.S_IFDIR: "a folder", stat.S_IFLNK: "a link", stat.S_IFIFO: "a pipe"}

_WAY_OUT: Final = "choose another path with --socket or MEMORY_DB_SOCKET"


class Place:
    """A path with a socket of ours that listens on it."""

    def __init__(self, path: str, backlog: int) -> None:
        """Raises: ServiceError: the path is taken. OSError: it cannot be used."""
        self._path = path
        self._backlog = backlog
        self._lock = threading.Lock()
        self._left = False
        self.server, self._bound = _bound(path, backlog)

    def retake(self) -> socket.socket | None:
        """A new socket that listens on the path, if somebody removed the one there; else None.

        Programs that tidy /tmp do so; nobody could reach the daemon any more, nor start another.
        """
        with self._lock:
            try:
                if self._left or os.path.lexists(self._path):
                    return None
                self.server, self._bound = _bound(self._path, self._backlog)
            except (OSError, ServiceError):  # somebody was quicker, or the folder is gone; there is another time
                return None
            return self.server

    def leave(self) -> None:
        """Remove the socket from the path, unless something else has come there; from now on it is not retaken."""
        with self._lock, contextlib.suppress(OSError):
            self._left = True
            if os.path.samestat(os.lstat(self._path), self._bound):
                os.unlink(self._path)


@contextlib.contextmanager
def listening(path: str, backlog: int) -> Iterator[Place]:
    """A place with a socket listening on `path`, which is removed at the end unless something else has come there.

    The path is taken only where nothing is, or a socket of this user's on which nobody answers. A lock file beside it
    makes that one step for two daemons that start together, and names the first to the second. Closing the socket is
    left to the caller, who may still answer those in its queue.

    Raises: ServiceError: the path is too long, cannot be used, or is taken; the sentence says by what.
    """
    if len(os.fsencode(path)) > MAX_PATH_BYTES:
        raise ServiceError(
            f"the socket path {path} has {len(os.fsencode(path))} bytes and may have {MAX_PATH_BYTES}", hint=_WAY_OUT
        )
    try:
        os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
        _is_ours(path)
    except OSError as error:
        raise _unusable(path, error) from error
    with locked(f"{path}.lock", f"the socket {path}", _WAY_OUT):
        try:
            place = Place(path, backlog)
        except OSError as error:
            raise _unusable(path, error) from error
        try:
            yield place
        finally:
            place.leave()


def _bound(path: str, backlog: int) -> tuple[socket.socket, os.stat_result]:
    """A socket listening on `path`, mode 0600 from the first instant, and what was made there."""
    if _is_ours(path):
        if _is_answered(path):
            raise ServiceError(f"a program already answers on the socket {path}", hint=f"stop it, or {_WAY_OUT}")
        os.unlink(path)
    server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    mask = os.umask(0o177)
    try:
        server.bind(path)
        bound = os.lstat(path)
        server.listen(backlog)
    except OSError:
        server.close()
        raise
    finally:
        os.umask(mask)
    return server, bound


def _is_ours(path: str) -> bool:
    """Whether a socket of this user's is at `path`, or nothing. Raises: ServiceError: something else is."""
    try:
        found = os.lstat(path)
    except FileNotFoundError:
        return False
    if not stat.S_ISSOCK(found.st_mode):
        kind = _KINDS.get(stat.S_IFMT(found.st_mode), "no socket")
        raise ServiceError(f"{path} is {kind} and is left alone", hint=f"move it away, or {_WAY_OUT}")
    if found.st_uid != os.geteuid():
        raise ServiceError(f"the socket {path} belongs to {_user(found.st_uid)} and is left alone", hint=_WAY_OUT)
    return True


def _is_answered(path: str) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(_PROBE_S)
        try:
            probe.connect(path)
        except (ConnectionRefusedError, FileNotFoundError):
            return False
        except OSError:  # its queue is full, or it is a socket of another type: somebody is there
            return True
    return True


def _user(uid: int) -> str:
    try:
        return f"user {pwd.getpwuid(uid).pw_name}"
    except KeyError:
        return f"user id {uid}"


def _unusable(path: str, error: OSError) -> ServiceError:
    return ServiceError(f"cannot use the socket path {path}: {error.strerror}", hint=_WAY_OUT)
