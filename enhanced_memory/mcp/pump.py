"""The program that an assistant starts: bytes between its standard streams and the resident, and nothing else.

FastMCP takes a second and 90 MB; so one resident process has it for every assistant, and this one is a pipe to it. A
session begins with one line of JSON each way: our settings, and whether they are served. From then on nothing here
looks at what passes. Above it lies `main`; below it the wire, and where no resident answers yet, `launch`. Standard
library only, and little of it: an assistant waits for these imports every time.
"""

from __future__ import annotations

import os
import select
import signal
import socket
import sys
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress

from enhanced_memory import __version__, wire

DEFAULT_SOCKET = "/tmp/memory-db.sock"  # noqa: S108 - as in Settings, which takes longer to load than all of this
_VALUES = {
    "--db": "db_path",
    "--socket": "socket_path",
    "--namespace": "namespace",
    "--tools": "tools",
    "--log-level": "log_level",
}
_SWITCHES = {"--autostart": "1", "--no-autostart": "0"}
_PATHS = {"db_path": "MEMORY_DB_PATH", "socket_path": "MEMORY_DB_SOCKET"}

_PATIENCE_S = 20.0
"""How long a resident may take to begin a session; it needs a millisecond, or a second when it has just started."""

_ATTEMPTS = 3
"""Times a session is asked for: a resident that ends takes no more, and one that begins may be met half-way."""

_INPUT, _OUTPUT = 0, 1
_CHUNK = 65_536
_PIECE = 4_096
"""Bytes written at once to a pipe that has room: as many never block, and whether it blocks is not ours to change."""


class Unusable(Exception):
    """Why the resident cannot be had."""


def settings_in(arguments: Sequence[str]) -> dict[str, str] | None:
    """The settings that a command line gives, by their field names; None where it says anything else."""
    flags: dict[str, str] = {}
    words = iter(arguments)
    for word in words:
        flag, given, value = word.partition("=")
        if flag in _SWITCHES and not given:
            flags["autostart"] = _SWITCHES[flag]
        elif flag in _VALUES:
            value = value if given else next(words, "")
            if not value:
                return None
            flags[_VALUES[flag]] = value
        else:
            return None
    return flags


def greeting(flags: Mapping[str, str], environ: Mapping[str, str]) -> dict[str, dict[str, str]]:
    """What the resident is told of a session: flags, and the variables that are settings; paths are made absolute."""
    ours = {name: value for name, value in environ.items() if name.startswith("MEMORY_")}
    given = dict(flags)
    for field, variable in _PATHS.items():
        if given.get(field):
            given[field] = _absolute(given[field])
        if ours.get(variable):
            ours[variable] = _absolute(ours[variable])
    return {"flags": given, "environ": ours}


def resident_path(told: Mapping[str, Mapping[str, str]]) -> str:
    """Where the resident for a greeting listens: beside the daemon's socket, another one for every state of the source.

    So an update is met by a new resident at once, and the old one keeps its sessions to their end.
    """
    daemon = told["flags"].get("socket_path") or told["environ"].get("MEMORY_DB_SOCKET") or DEFAULT_SOCKET
    return f"{daemon}.mcp-{fingerprint()}"


def lock_path(path: str) -> str:
    """The lock of whoever starts or ends the resident at `path`, whatever its state of the source."""
    return f"{path.rpartition('-')[0]}.lock"


def fingerprint() -> str:
    """Eight hexadecimal digits that are others when this package, its place or its Python is another."""
    package = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    noted = "\0".join([__version__, sys.prefix, sys.version, package, *sorted(_states(package))])
    return f"{zlib.crc32(noted.encode(errors='surrogateescape')):08x}"


def _states(folder: str) -> Iterator[str]:
    """Path, size and time of change of each module in a folder and those within it."""
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.endswith(".py"):
                seen = entry.stat()
                yield f"{entry.path}:{seen.st_size}:{seen.st_mtime_ns}"
            elif entry.name != "__pycache__" and entry.is_dir():
                yield from _states(entry.path)


def session(flags: Mapping[str, str]) -> socket.socket:
    """A session with the resident, which is started where none answers.

    Raises: Unusable: it cannot be had, or does not take these settings; the reason, for a person.
    """
    told = greeting(flags, os.environ)
    try:
        path = resident_path(told)
        for _ in range(_ATTEMPTS):
            sock = connected(path)
            if sock is None:
                from enhanced_memory.mcp.launch import start  # loads much that a pump otherwise does without

                start(path, told)
                continue
            sock.sendall(wire.encode(told))
            answer = _line(sock)
            if answer == b"welcome\n":
                return sock
            sock.close()
            if answer:
                raise refused(answer)
    except (OSError, ValueError) as error:  # also a path that no socket can have
        raise Unusable(str(error)) from error
    raise Unusable("it ended before it answered")


def connected(path: str) -> socket.socket | None:
    """A connection to who listens at `path`, None where nobody does. Raises: OSError; Unusable: not this user's."""
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        sock.settimeout(_PATIENCE_S)
        sock.connect(path)
        if wire.peer_uid(sock) not in (os.geteuid(), 0):
            raise Unusable(f"the socket {path} is another user's")
    except (FileNotFoundError, ConnectionRefusedError):
        sock.close()
        return None
    except BaseException:
        sock.close()
        raise
    return sock


def refused(answer: bytes) -> Unusable:
    """The resident's refusal; without a reason where a setting is wrong, which serving alone will say better."""
    said = answer.decode(errors="replace").strip()
    return Unusable("" if said == "settings" else said)


def pump(sock: socket.socket) -> int:
    """Carry bytes both ways until one side ends; the exit code.

    0: the assistant closed its side and has all answers, or reads no more. 1: the resident went away.
    """
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # there is nothing to tidy up
    sock.setblocking(False)
    watched = select.poll()
    watched.register(_OUTPUT, 0)
    inward, outward = b"", b""  # what waits to be written; nothing more is read until it is
    listening, sending = True, True
    while True:
        _watch(watched, _INPUT, select.POLLIN if listening and not inward else 0)
        _watch(
            watched, sock.fileno(), (select.POLLOUT if inward and sending else 0) | (0 if outward else select.POLLIN)
        )
        watched.modify(_OUTPUT, select.POLLOUT if outward else 0)
        for descriptor, events in watched.poll():
            if descriptor == _OUTPUT:
                if events & select.POLLOUT:
                    try:
                        outward = outward[os.write(_OUTPUT, outward[:_PIECE]) :]
                    except BrokenPipeError:
                        return 0
                elif events & (select.POLLERR | select.POLLHUP | select.POLLNVAL):
                    return 0
            elif descriptor == _INPUT:
                inward = _read(_INPUT)
                listening = bool(inward)
                if not listening and sending:
                    _half_close(sock)
            else:
                if inward and events & ~select.POLLIN:
                    try:
                        inward = inward[sock.send(inward) :]
                    except BlockingIOError:
                        pass
                    except OSError:  # it reads no more, and may have said something before
                        inward, listening, sending = b"", False, False
                if not outward and events & ~select.POLLOUT:
                    try:
                        outward = sock.recv(_CHUNK)
                    except BlockingIOError:
                        continue
                    except OSError:
                        outward = b""
                    if not outward:
                        return _ended(told=listening or not sending)


def _ended(*, told: bool) -> int:
    """The exit code after the resident's end, and where that came unasked a sentence for the assistant's log."""
    if told:
        print("memory-mcp: the resident process ended; start this program again", file=sys.stderr)
    return int(told)


def _watch(watched: select.poll, descriptor: int, events: int) -> None:
    """Watch for `events`; for none, not even for the end, which would be told again and again."""
    if events:
        watched.register(descriptor, events)
    else:
        with suppress(KeyError):
            watched.unregister(descriptor)


def _read(descriptor: int) -> bytes:
    """What comes next; empty at the end."""
    try:
        return os.read(descriptor, _CHUNK)
    except OSError:
        return b""


def _half_close(sock: socket.socket) -> None:
    with suppress(OSError):  # where the other side is gone, reading tells
        sock.shutdown(socket.SHUT_WR)


def _line(sock: socket.socket) -> bytes:
    """The resident's first line; empty where the connection ends before that."""
    said = b""
    while not said.endswith(b"\n"):
        try:
            part = sock.recv(1)  # nothing behind the line may be taken: it is the assistant's
        except ConnectionError:
            return b""
        if not part:
            return b""
        said += part
    return said


def _absolute(path: str) -> str:
    return os.path.abspath(os.path.expanduser(os.path.expandvars(path)))
