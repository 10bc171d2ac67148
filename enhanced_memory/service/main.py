"""The daemon: its command line, and its life from settings to the last acknowledgement.

Above it lies only the door `memory_db_service.py`; below it everything the daemon consists of. `run` reads from top
to bottom: lock, store, socket, serve, drain, close.
"""

from __future__ import annotations

import contextlib
import ctypes
import dataclasses
import logging
import os
import resource
import select
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

import click

from enhanced_memory import __version__
from enhanced_memory.errors import Busy, EnhancedMemoryError, InvalidParams, ServiceError
from enhanced_memory.registry import operations
from enhanced_memory.service import garbage, systemd
from enhanced_memory.service.dispatcher import MemoryDBService
from enhanced_memory.service.listener import Listener
from enhanced_memory.service.lock import database_locked
from enhanced_memory.service.logs import logging_to_stderr
from enhanced_memory.service.readers import Readers
from enhanced_memory.service.socket_path import listening
from enhanced_memory.settings import Settings

log = logging.getLogger(__name__)

DRAIN_S: Final = 10.0
"""How long requests that were begun may take once the daemon is to end. Source: the contract, service life."""

_NOT_THE_DAEMONS: Final = frozenset({"namespace", "tools", "autostart"})
"""Settings of clients, for which the daemon has no flags."""

_SHORT_FLAGS: Final = {"db_path": "--db", "socket_path": "--socket"}

_OTHER_DESCRIPTORS: Final = 256
"""Open files beside one for each connection: database, log, locks, programs we start."""

_MALLOC_OPTIONS: Final = {-1: 1024 * 1024, -3: 256 * 1024, -8: 2}
"""M_TRIM_THRESHOLD and M_MMAP_THRESHOLD in bytes, M_ARENA_MAX, by their numbers in malloc.h of glibc."""

_LOAD_REST_AFTER_S: Final = 1.0
"""When the operations that nobody asked for yet are loaded: not in the first instants, in which clients that waited for
a restart all ask at once; and not when they are asked for, since an update may have replaced the files by then."""

_LOOK_EVERY_S: Final = 5.0
"""How often the daemon looks whether it can still be reached."""

_STACK_BYTES: Final = 1024 * 1024
"""Stack of a thread. A request needs a few dozen kilobytes: messages nest 64 levels at most."""


def main(argv: Sequence[str] | None = None) -> None:
    """Run the daemon's command line (`sys.argv` without `argv`) and exit: 0 after a drained end, 1 where it cannot
    start, 2 for wrong flags."""
    command.main(args=argv, prog_name="memory-db-service")


def _flags(function: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command one flag for each setting of the daemon."""
    for spec in reversed(dataclasses.fields(Settings)):
        if spec.name not in _NOT_THE_DAEMONS:
            meaning = f"{spec.metadata['meaning']}  [{spec.metadata['variable']}; default {spec.default}]"
            flag = _SHORT_FLAGS.get(spec.name, "--" + spec.name.replace("_", "-"))
            function = click.option(flag, spec.name, metavar="VALUE", help=meaning)(function)
    return function


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@_flags
@click.version_option(__version__, prog_name="memory-db-service", message="%(prog)s %(version)s")
def command(**flags: str | None) -> None:
    """Serve one memory to every assistant, script and person of this user, over a Unix socket.

    A flag wins over the environment. Ends on SIGTERM and SIGINT when the requests it has begun are answered; a second
    one means now.
    """
    try:
        settings = Settings.load(flags)
    except InvalidParams as error:
        raise click.UsageError(error.message) from None
    try:
        with logging_to_stderr(settings.log_level):
            run(settings)
    except EnhancedMemoryError as error:
        sentence = f"{error.message}; {error.hint}" if error.hint else error.message
        click.echo(f"memory-db-service: {sentence}", err=True)
        sys.exit(1)


def run(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT. For the main thread.

    Raises: EnhancedMemoryError: it cannot start; nothing was changed that another daemon needs.
    """
    _prepare_process(settings)
    with (
        _database_held(settings.db_path),
        contextlib.closing(Readers(settings)) as readers,  # while there is one thread, and no database open
        contextlib.closing(MemoryDBService(settings, readers=readers)) as service,
    ):
        bell = _Bell()
        with _server(settings) as (server, retake):
            listener = Listener(server, service, settings, retake=retake)
            with _metrics(settings, service):
                listener.start()
                log.info("%s", service.versions)
                _say_ready(server, settings)
                _start_watchdog(service)
                garbage.IdleCollections(lambda: service.tally.noted).start()
                _load_rest_soon()
                _wait(bell, None if retake is None else settings)
        log.info("ending: requests that were begun have %g s", DRAIN_S)
        systemd.notify("STOPPING=1")
        service.begin_shutdown()
        listener.drain(when_quiet=bell.ring)
        if not bell.wait(DRAIN_S):
            log.warning("after %g s, requests are still under way: they are cut off", DRAIN_S)
        listener.close()
        bell.be_silent()
    log.info("ended")


def _wait(bell: _Bell, settings: Settings | None) -> None:
    """Wait until the bell rings, or until at two looks the folders of the database and the socket were gone.

    Nobody can reach a daemon then, nor find what it writes, as when a folder that it was tried in is removed. Without
    `settings` the socket is somebody else's, and so is the end.
    """
    looks = 0
    while not bell.wait(None if settings is None else _LOOK_EVERY_S):
        assert settings is not None
        folders = (os.path.dirname(os.path.realpath(path)) for path in (settings.db_path, settings.socket_path))
        looks = 0 if any(map(os.path.exists, folders)) else looks + 1
        if looks == 2:
            log.error("the folders of the database and of the socket were removed: nobody can reach this daemon")
            return


def _prepare_process(settings: Settings) -> None:
    for descriptor in (0, 1, 2):  # one that is closed would be given to the next file we open, the database perhaps
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
    os.umask(0o077)
    threading.stack_size(_STACK_BYTES)
    garbage.put_off()
    _give_memory_back()
    wanted = settings.max_connections + _OTHER_DESCRIPTORS
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    limit = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < limit:
        with contextlib.suppress(OSError, ValueError):  # then connections are refused earlier, and the log says so
            resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))


def _give_memory_back() -> None:
    """Have glibc return large blocks when they are freed, and share its heaps among threads.

    By itself it keeps blocks of up to 32 MiB once one was freed, in a heap for each of many threads: a few large
    requests would stay with the daemon as hundreds of megabytes for good (mallopt(3)). Elsewhere nothing is done.
    """
    with contextlib.suppress(OSError, AttributeError):
        mallopt = ctypes.CDLL(None).mallopt
        for parameter, value in _MALLOC_OPTIONS.items():
            mallopt(parameter, value)


@contextlib.contextmanager
def _database_held(db_path: str) -> Iterator[None]:
    """Hold the database, whose folder is made where it is missing. Raises: ServiceError."""
    real_path = os.path.realpath(db_path)
    try:
        os.makedirs(os.path.dirname(real_path), mode=0o700, exist_ok=True)
    except OSError as error:
        raise ServiceError(f"cannot make the folder of the database {db_path}: {error.strerror}") from error
    if os.path.exists(real_path) and not os.access(os.path.dirname(real_path), os.W_OK):
        yield  # no lock can be made beside it, and none is needed: the store opens it for reading only
        return
    with database_locked(db_path, "choose another database with --db", make=True):
        yield


@contextlib.contextmanager
def _server(settings: Settings) -> Iterator[tuple[socket.socket, Callable[[], socket.socket | None] | None]]:
    """The listening socket, and unless it is systemd's what takes its path again when it was removed."""
    inherited = systemd.inherited_socket()
    if inherited is not None:
        yield inherited, None
    else:
        with listening(settings.socket_path, backlog=settings.max_connections) as place:
            yield place.server, place.retake


def _say_ready(server: socket.socket, settings: Settings) -> None:
    line = f"memory-db-service ready: {server.getsockname()} (database {settings.db_path}, pid {os.getpid()})"
    log.info("%s", line)
    with contextlib.suppress(OSError):  # nobody reads it; print() would fail once more at exit, over what it keeps
        os.write(1, os.fsencode(line + "\n"))
    systemd.notify("READY=1")


def _start_watchdog(service: MemoryDBService) -> None:
    """Give systemd its signs of life, each after a read and an empty write that went to the database and back."""
    interval_s = systemd.watchdog_s()
    if interval_s is None:
        return
    service.gauges.watchdog_s, service.gauges.alive_at = interval_s, time.monotonic()

    def feed() -> None:
        while True:
            if service.is_alive(interval_s / 3):
                service.gauges.alive_at = time.monotonic()
                systemd.notify("WATCHDOG=1")
            else:
                log.error("neither a read nor an empty write came through within %g s", interval_s / 3)
            time.sleep(interval_s / 3)

    threading.Thread(target=feed, name="watchdog", daemon=True).start()


def _load_rest_soon() -> None:
    def load() -> None:
        try:
            operations()
        except Busy as error:
            log.warning("%s", error.message)

    timer = threading.Timer(_LOAD_REST_AFTER_S, load)
    timer.daemon = True
    timer.start()


def _metrics(settings: Settings, service: MemoryDBService) -> contextlib.AbstractContextManager[None]:
    """Shows the service's figures while it is open, if the settings ask for it. Entering it may raise ServiceError."""
    if not settings.metrics:
        return contextlib.nullcontext()
    from enhanced_memory.service.metrics import shown  # few want it, and it takes a while to load

    return shown(settings.metrics, service)


class _Bell:
    """Wakes the main thread: SIGTERM and SIGINT ring it, and so may any thread."""

    def __init__(self) -> None:
        self._heard, self._rung = socket.socketpair()
        self._heard.setblocking(False)
        self._rung.setblocking(False)
        signal.set_wakeup_fd(self._rung.fileno(), warn_on_full_buffer=False)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: None)

    def ring(self) -> None:
        with contextlib.suppress(BlockingIOError):
            self._rung.send(b"\0")

    def wait(self, timeout_s: float | None = None) -> bool:
        """Whether it has rung since the last wait; False when `timeout_s` seconds have passed without."""
        select.select([self._heard], [], [], timeout_s)
        with contextlib.suppress(BlockingIOError):
            return bool(self._heard.recv(64))
        return False

    def be_silent(self) -> None:
        """From now on a signal ends the process at once; what was acknowledged is on the disk."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, signal.SIG_DFL)
        signal.set_wakeup_fd(-1)
