"""A lock on a file: held by one process until it lets go or ends, however it ends.

Above it lie main and `offline`, which lock the database, and `socket_path`; below it the operating system.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import time
from collections.abc import Iterator
from typing import Final

from enhanced_memory.errors import ServiceError

_PATIENCE_S: Final = 0.5
"""How long a held lock is asked for again: a program that only looks whether it is held holds it for an instant."""

_PAUSE_S: Final = 0.02


@contextlib.contextmanager
def database_locked(db_path: str, way_out: str, *, make: bool) -> Iterator[None]:
    """Hold a database, by the lock beside it and the file itself, which is made where it is missing if `make` says so.

    `way_out` is what else to do, as the person who meets a held lock reads it. Raises: ServiceError: as `locked` and
    `claimed`.
    """
    real_path = os.path.realpath(db_path)  # two names of one database share one lock
    what = f"the database {db_path}"
    with contextlib.ExitStack() as locks:
        locks.enter_context(locked(f"{real_path}.lock", what, way_out))
        if make or os.path.exists(real_path):
            locks.enter_context(claimed(real_path, what, way_out))
        yield


@contextlib.contextmanager
def locked(path: str, what: str, way_out: str) -> Iterator[None]:
    """Hold the lock file `path`, which contains our process id meanwhile and goes when we let go.

    `what` is the thing locked and `way_out` what else to do, as the person who meets a held lock reads them.

    Raises: ServiceError: another process holds it (the sentence names its id), or the file cannot be made.
    """
    descriptor = _take(path, what, way_out)
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            if _is_at(path, descriptor):
                os.unlink(path)
        os.close(descriptor)


@contextlib.contextmanager
def claimed(path: str, what: str, way_out: str) -> Iterator[None]:
    """Hold the file itself, which is made where it is missing: whoever removes a lock beside it does not free it.

    The descriptor is kept until the end and no other may be opened on the file by hand: closing one would let go of
    the locks that SQLite holds on it (https://sqlite.org/howtocorrupt.html, section 2.2).

    Raises: ServiceError: another process holds it, it has a second name (SQLite keeps its log beside a name, so two
            names of one file would have two logs), or it cannot be opened.
    """
    try:
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except PermissionError:
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        if error.errno != errno.EROFS:
            raise ServiceError(f"cannot open {what}: {error.strerror}", hint=way_out) from error
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        names = os.fstat(descriptor).st_nlink
        if names > 1:
            raise ServiceError(
                f"{what} has {names} names (hard links), and what is written under one would be lost under another",
                hint="copy the file to a name of its own",
            )
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise ServiceError(f"another program has locked {what}", hint=f"stop it, or {way_out}") from error
        yield
    finally:
        os.close(descriptor)


def _take(path: str, what: str, way_out: str) -> int:
    give_up_at = time.monotonic() + _PATIENCE_S
    while True:
        try:
            # Close-on-exec: a program we start must not hold our lock when we are gone.
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise ServiceError(f"cannot lock {what}: {path}: {error.strerror}", hint=way_out) from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if _is_at(path, descriptor):  # else its last holder took it away between the two steps
                os.truncate(descriptor, 0)
                os.write(descriptor, b"%d\n" % os.getpid())
                return descriptor
        except BlockingIOError:
            if time.monotonic() >= give_up_at:
                with os.fdopen(descriptor, "rb") as lock_file:
                    raise _held(lock_file.read(32), what, way_out) from None
            time.sleep(_PAUSE_S)
        except OSError as error:
            raise ServiceError(f"cannot lock {what}: {path}: {error.strerror}", hint=way_out) from error
        os.close(descriptor)


def _held(contents: bytes, what: str, way_out: str) -> ServiceError:
    holder = contents.decode(errors="replace").strip()
    if not holder:
        return ServiceError(f"another program has locked {what}", hint=f"stop it, or {way_out}")
    return ServiceError(
        f"another daemon (pid {holder}) already serves {what}",
        hint=f"stop it with `enhanced-memory stop`, or `kill {holder}` where it has another socket, or {way_out}",
    )


def _is_at(path: str, descriptor: int) -> bool:
    """Whether the open file is the one that `path` names."""
    try:
        return os.path.samestat(os.lstat(path), os.fstat(descriptor))
    except FileNotFoundError:
        return False
