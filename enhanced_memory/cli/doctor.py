"""The command doctor: one look at everything the memory needs, each point with the way out where there is one.

Above it lies the program; below it the client, the assistants' files, and this machine. It changes nothing and starts
nothing unless asked to, and a point that cannot be looked at is a finding, not the end. Exit status: 0 all is well,
1 something deserves a look, 2 something does not work.
"""

from __future__ import annotations

import os
import re
import shutil
import stat
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from enhanced_memory import __version__
from enhanced_memory.cli import output, services
from enhanced_memory.cli.clients import CLIENTS
from enhanced_memory.cli.programs import HOME
from enhanced_memory.cli.session import Command, Session, examples

if TYPE_CHECKING:
    from enhanced_memory.settings import Settings

OK: Final = "ok"
WARNING: Final = "warning"
FAILURE: Final = "failure"
EXIT_STATUS: Final = {OK: 0, WARNING: 1, FAILURE: 2}

MAX_PATH_BYTES: Final = 107 if sys.platform == "linux" else 103
"""Longest path of a Unix socket: the kernel's field less its closing zero."""

OLDEST_PYTHON: Final = (3, 11)
ANSWERS_WITHIN_S: Final = 10

DISK_LOW_MB: Final = 1024
DISK_FULL_MB: Final = 100
"""Room beside the database: a backup and the log of a busy hour need some, and a full disk refuses every write."""

BACKUP_OLD_DAYS: Final = 8
"""A nightly backup that has not been made for a week is one that fails."""

RUN_AGAIN: Final = "run ./scripts/start in the checkout, or install the package again"


@dataclass(frozen=True)
class Finding:
    """One point: what was looked at, how it stands, what was seen, and what to do about it."""

    check: str
    state: str
    says: str
    way_out: str = ""


class Patient:
    """What several points look at, found out when the first of them asks."""

    def __init__(self, session: Session, start: bool) -> None:
        self._session = session
        self._start = start
        self.bad_variables: dict[str, str] = {}

    @cached_property
    def settings(self) -> Settings:
        """The settings; what makes no sense in the environment is noted and left at its default."""
        from enhanced_memory.errors import InvalidParams
        from enhanced_memory.settings import Settings

        environ = dict(os.environ)
        for spec in fields(Settings):
            variable = spec.metadata["variable"]
            try:
                Settings.load({}, {variable: environ.get(variable, "")})
            except InvalidParams as error:
                self.bad_variables[variable] = error.message
                del environ[variable]
        try:
            return Settings.load(self._session.flags, environ)
        except InvalidParams as error:
            raise click.UsageError(error.message) from error

    @cached_property
    def pong(self) -> Mapping[str, Any] | str:
        """The daemon's reply to ping, or why there is none."""
        return self._ask("ping")

    @cached_property
    def health(self) -> Mapping[str, Any]:
        """What the daemon says of its health; empty where it does not run."""
        if isinstance(self.pong, str):
            return {}
        asked = self._ask("get_system_health")
        return {"status": "unknown", "reasons": [asked]} if isinstance(asked, str) else asked

    @cached_property
    def figures(self) -> Mapping[str, Any]:
        """How much is remembered; empty where the daemon does not run."""
        asked = {} if isinstance(self.pong, str) else self._ask("get_memory_status")
        return {} if isinstance(asked, str) else asked

    def _ask(self, method: str, params: Mapping[str, Any] | None = None) -> Mapping[str, Any] | str:
        from enhanced_memory.client import BlockingMemoryClient, DaemonUnavailable

        try:
            with BlockingMemoryClient(
                settings=self.settings, autostart=self._start, timeout_s=ANSWERS_WITHIN_S, max_connections=1
            ) as client:
                reply = client.call(method, params)
        except DaemonUnavailable as error:
            return error.message
        return reply if reply.get("success") else str(reply.get("error"))

    def search(self) -> Mapping[str, Any] | str:
        """The reply to a search that finds nothing, and so counts no access."""
        return self._ask("search_nodes", {"query": "qzxjvkwpqzx", "limit": 1, "mode": "lexical"})


@click.command(
    "doctor",
    cls=Command,
    short_help="Look at everything the memory needs.",
    epilog=examples(
        ("enhanced-memory doctor", "every point, with the way out where something is wrong"),
        ("enhanced-memory doctor --start", "the same, with the daemon started if it does not run"),
        ("enhanced-memory doctor | grep -v ^ok", "only what deserves a look"),
        ("enhanced-memory --json doctor", "for programs"),
    ),
)
@click.option("--start", is_flag=True, help="Start the daemon if it does not run.")
@click.pass_obj
def doctor_command(session: Session, start: bool) -> int:
    """Look at Python, packages, settings, socket, daemon, database, disk, backups, assistants and service.

    Exit status: 0 all is well, 1 there are warnings, 2 something does not work. It changes nothing.
    """
    patient = Patient(session, start)
    if start:
        _ = patient.pong  # whoever looks at the socket is to see the daemon there
    findings = [finding for name, check in CHECKS.items() for finding in looked(name, check, patient)]
    worst = max((finding.state for finding in findings), key=EXIT_STATUS.__getitem__)
    if session.json:
        told = [{"check": f.check, "state": f.state, "says": f.says, "way_out": f.way_out} for f in findings]
        output.json_line({"success": True, "status": worst, "checks": told})
    elif output.at_terminal():
        rows = [(f.state, f.check, f.says + (f"\n→ {f.way_out}" if f.way_out else "")) for f in findings]
        output.table(("", "Check", "What was seen"), rows)
    else:
        output.lines((f.state, f.check, f.says, f.way_out) for f in findings)
    return EXIT_STATUS[worst]


Check = Callable[[Patient], Iterator[Finding]]


def looked(name: str, check: Check, patient: Patient) -> Iterator[Finding]:
    """The findings of one check, and one more where it could not come to its end."""
    try:
        yield from check(patient)
    except click.UsageError:
        raise
    except Exception as error:  # whatever is broken here, the other points are still worth looking at
        yield Finding(name, FAILURE, f"cannot be looked at: {type(error).__name__}: {error}", RUN_AGAIN)


def _python(_patient: Patient) -> Iterator[Finding]:
    version = ".".join(map(str, sys.version_info[:3]))
    if sys.version_info[:2] < OLDEST_PYTHON:
        yield Finding("python", FAILURE, f"{version} is too old", "make the environment with Python 3.11 or later")
    else:
        yield Finding("python", OK, f"{version}, {sys.executable}")


def _packages(_patient: Patient) -> Iterator[Finding]:
    needed = _needed()
    wrong = unfit(needed)
    if wrong:
        yield Finding("packages", FAILURE, "; ".join(wrong), RUN_AGAIN)
    else:
        yield Finding("packages", OK, f"enhanced-memory {__version__} and {len(needed)} packages as it needs them")


def unfit(requirements: Iterable[str]) -> list[str]:
    """What is wrong with the installed packages, a sentence for each of the `requirements` that is not met."""
    from importlib import metadata

    wrong = []
    for requirement in requirements:
        name, bounds = _parsed(requirement)
        try:
            version = metadata.version(name)
        except metadata.PackageNotFoundError:
            wrong.append(f"{name} is missing")
            continue
        if not all(_holds(version, sign, bound) for sign, bound in bounds):
            wrong.append(f"{name} is {version}, and {requirement} is needed")
    return wrong


def _needed() -> list[str]:
    """The packages this version needs, with their bounds, from the checkout or from what was installed."""
    import tomllib
    from importlib import metadata

    project = HOME / "pyproject.toml"
    if project.is_file():
        declared: list[str] = tomllib.loads(project.read_text(encoding="utf-8"))["project"]["dependencies"]
        return declared
    return [line for line in metadata.requires("enhanced-memory") or [] if "extra ==" not in line]


def _parsed(requirement: str) -> tuple[str, list[tuple[str, str]]]:
    """A requirement's name and its bounds, as pairs of a sign and a version."""
    name = re.match(r"[\w.-]+", requirement)
    return name.group() if name else requirement, re.findall(r"(>=|<=|==|<|>)\s*([\d.]+)", requirement.split(";")[0])


def _holds(version: str, sign: str, bound: str) -> bool:
    """Whether a version keeps a bound, by the numbers at its head."""
    ours, theirs = (
        [int(part) for part in re.findall(r"\d+", re.split(r"[^\d.]", text)[0])] for text in (version, bound)
    )
    length = max(len(ours), len(theirs))
    ours, theirs = (numbers + [0] * (length - len(numbers)) for numbers in (ours, theirs))
    return {">=": ours >= theirs, "<=": ours <= theirs, "==": ours == theirs, "<": ours < theirs, ">": ours > theirs}[
        sign
    ]


def _settings(patient: Patient) -> Iterator[Finding]:
    import difflib

    from enhanced_memory.settings import Settings

    settings = patient.settings
    for variable, sentence in patient.bad_variables.items():
        yield Finding("settings", FAILURE, sentence, f"mend or unset {variable}; the other points go by its default")
    known = [spec.metadata["variable"] for spec in fields(Settings)]
    for variable in sorted(os.environ):
        if variable.startswith("MEMORY_") and variable not in known:
            nearest = difflib.get_close_matches(variable, known, n=1, cutoff=0.8)
            if nearest:
                yield Finding("settings", WARNING, f"{variable} is no setting", f"did you mean {nearest[0]}?")
    if not patient.bad_variables:
        given = [variable for variable in known if os.environ.get(variable)]
        says = f"given in the environment: {', '.join(given)}" if given else "the defaults"
        yield Finding("settings", OK, f"{says}; namespace {settings.namespace}")


def _socket(patient: Patient) -> Iterator[Finding]:
    path = patient.settings.socket_path
    elsewhere = "choose another path with MEMORY_DB_SOCKET"
    if len(os.fsencode(path)) > MAX_PATH_BYTES:
        says = f"the path has {len(os.fsencode(path))} bytes and may have {MAX_PATH_BYTES}: {path}"
        yield Finding("socket", FAILURE, says, "choose a shorter MEMORY_DB_SOCKET")
        return
    try:
        found = os.lstat(path)
    except FileNotFoundError:
        yield Finding("socket", OK, f"{path} is free, for a daemon that starts")
        return
    mode = stat.S_IMODE(found.st_mode)
    if not stat.S_ISSOCK(found.st_mode):
        yield Finding("socket", FAILURE, f"{path} is no socket", f"move it away, or {elsewhere}")
    elif found.st_uid != os.geteuid():
        yield Finding("socket", FAILURE, f"{path} belongs to user id {found.st_uid}, not to you", elsewhere)
    elif mode & 0o077:
        yield Finding("socket", WARNING, f"{path} has mode {mode:04o}: others may reach it", f"chmod 600 {path}")
    else:
        yield Finding("socket", OK, f"{path}, yours alone")


def _daemon(patient: Patient) -> Iterator[Finding]:
    settings, pong = patient.settings, patient.pong
    lock = Path(f"{os.path.realpath(settings.db_path)}.lock")
    holder = _holder(lock)
    if isinstance(pong, str):
        if holder:
            says = f"process {holder} holds {settings.db_path}, but: {pong}"
            yield Finding(
                "daemon", FAILURE, says, f"it may listen on another socket: look, or end it with kill {holder}"
            )
        elif os.path.lexists(settings.socket_path) and "no memory daemon answers" not in pong:
            yield Finding("daemon", FAILURE, pong, "see the point socket")
        else:
            yield Finding(
                "daemon", WARNING, "does not run; it is started when needed", "enhanced-memory doctor --start"
            )
        return
    pid, version, database = pong.get("pid"), pong.get("version"), pong.get("database")
    yield Finding("daemon", OK, f"answers (pid {pid})")
    if version != __version__:
        says = f"the daemon is {version}, this program {__version__}"
        yield Finding("version", WARNING, says, "enhanced-memory stop ends it; the next one is of this version")
    else:
        yield Finding("version", OK, f"daemon and program are {__version__}")
    if database and os.path.realpath(database) != os.path.realpath(settings.db_path):
        says = f"the daemon keeps {database}, not {settings.db_path}"
        yield Finding("lock", WARNING, says, "give each database a socket of its own, or leave MEMORY_DB_PATH out")
    elif holder == str(pid):
        yield Finding("lock", OK, f"{lock} is held by the daemon")
    else:
        yield Finding(
            "lock",
            WARNING,
            f"{lock} is held by {holder or 'nobody'}",
            "end the daemon with enhanced-memory stop; the next call starts it",
        )


def _holder(lock: Path) -> str:
    """The process that holds a lock file, empty where nobody does: it is looked at, never made."""
    import fcntl

    try:
        descriptor = os.open(lock, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError:
        return ""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        return ""
    except BlockingIOError:
        return os.read(descriptor, 32).decode(errors="replace").strip() or "unknown"
    finally:
        os.close(descriptor)


def _database(patient: Patient) -> Iterator[Finding]:
    path = Path(os.path.realpath(patient.settings.db_path))
    if not path.exists():
        yield Finding("database", OK, f"{path} is not there yet; the first start makes it")
        return
    if not os.access(path, os.R_OK | os.W_OK):
        yield Finding("database", FAILURE, f"{path} cannot be read and written by you", f"chown it to you: {path}")
    for each, forbidden, may, want in ((path, 0o077, "read", 0o600), (path.parent, 0o022, "replace", 0o700)):
        mode = stat.S_IMODE(each.stat().st_mode)
        if mode & forbidden and not mode & stat.S_ISVTX:
            says = f"{each} has mode {mode:04o}: others may {may} the memory"
            yield Finding("database", WARNING, says, f"chmod {want:o} {each}")
    figures, health = patient.figures, patient.health
    if not health:
        yield Finding("database", OK, f"{path}, {path.stat().st_size / 1024**2:.1f} MiB, not looked into")
        return
    status = str(health.get("status"))
    state = {"healthy": OK, "degraded": WARNING, "unknown": WARNING}.get(status, FAILURE)
    reasons = "; ".join(map(str, health.get("reasons") or ()))
    count = figures.get("total_entities", 0)
    says = f"{status}, {count:,} {'entity' if count == 1 else 'entities'} in this namespace, {path}"
    yield Finding(
        "database", state, f"{says}: {reasons}" if reasons else says, "" if state == OK else "see the reasons"
    )
    integrity = health.get("integrity")
    if isinstance(integrity, dict) and integrity.get("status"):
        found = str(integrity["status"])
        state = {"bad": FAILURE, "unknown": WARNING}.get(found, OK)
        way_out = "" if state == OK else "enhanced-memory call verify_database; what is damaged comes from a backup"
        yield Finding("integrity", state, found, way_out)


def _index(patient: Patient) -> Iterator[Finding]:
    if isinstance(patient.pong, str):
        return
    asked = patient.search()
    if isinstance(asked, str):
        yield Finding("index", FAILURE, f"a search fails: {asked}", "enhanced-memory call verify_database repair=true")
    else:
        yield Finding("index", OK, "answers a search")


def _vectors(patient: Patient) -> Iterator[Finding]:
    from importlib.util import find_spec

    if patient.settings.semantic == "off":
        yield Finding("vectors", OK, "search by meaning is turned off (MEMORY_SEMANTIC)")
    elif patient.settings.embedder == "minilm" and not (find_spec("onnxruntime") and find_spec("numpy")):
        yield Finding("vectors", OK, 'search is by words; the extra "semantic" adds search by meaning')
    else:
        progress = patient.figures.get("vectors")
        if isinstance(progress, dict):
            done, total = progress.get("done", 0), progress.get("total", 0)
            yield Finding("vectors", OK, f"{done} of {total} observations, by {progress.get('model')}")
        elif not isinstance(patient.pong, str):
            says = "the extra is installed, and the daemon searches by words only"
            yield Finding("vectors", WARNING, says, "daemon.log beside the database says why; restart the daemon")


def _sandbox(patient: Patient) -> Iterator[Finding]:
    sandbox = patient.health.get("sandbox")
    if not isinstance(sandbox, dict):
        return
    isolation, layers = str(sandbox.get("isolation")), sandbox.get("layers") or {}
    missing = ", ".join(name for name, state in layers.items() if str(state).startswith("missing"))
    if isolation == "kernel":
        yield Finding("sandbox", OK, "executed code is confined by the kernel")
    else:
        says = f"executed code is held by {isolation} isolation" + (f"; missing: {missing}" if missing else "")
        yield Finding("sandbox", WARNING, says, "SECURITY.md says what that means, and what the layers need")


def _disk(patient: Patient) -> Iterator[Finding]:
    folder = next(each for each in Path(patient.settings.db_path).parents if each.exists())
    free_mb = shutil.disk_usage(folder).free // 1024**2
    state = FAILURE if free_mb < DISK_FULL_MB else WARNING if free_mb < DISK_LOW_MB else OK
    yield Finding("disk", state, f"{free_mb:,} MiB free at {folder}", "make room" if state != OK else "")


def _backups(patient: Patient) -> Iterator[Finding]:
    from datetime import datetime

    settings = patient.settings
    folder = Path(getattr(settings, "backup_dir", "") or Path(os.path.realpath(settings.db_path)).parent / "backups")
    told = patient.health.get("last_backup")
    newest = datetime.fromisoformat(told).timestamp() if told else None
    if newest is None and folder.is_dir():
        newest = max((each.stat().st_mtime for each in folder.iterdir() if each.is_file()), default=None)
    way_out = "enhanced-memory backup; enhanced-memory setup service makes one every night"
    if newest is None:
        is_empty = not os.path.exists(settings.db_path) or patient.figures.get("total_entities") == 0
        yield Finding("backups", OK if is_empty else WARNING, f"none in {folder}", "" if is_empty else way_out)
        return
    days = (time.time() - newest) / 86_400
    state = WARNING if days > BACKUP_OLD_DAYS else OK
    age = f"{days:.0f} days" if days >= 2 else f"{days * 24:.0f} hours"
    yield Finding("backups", state, f"the newest is {age} old, in {folder}", way_out if state != OK else "")


def _assistants(_patient: Patient) -> Iterator[Finding]:
    from enhanced_memory.cli.setup import look

    states = []
    for name, client in CLIENTS.items():
        seen = look(client)
        if seen.state == "absent" and not client.is_there(os.environ):
            continue
        states.append(seen.state)
        if seen.state == "absent":
            yield Finding(name, OK, "is here and does not have the memory", f"enhanced-memory setup {name}")
        else:
            broken = seen.state == "broken"
            way_out = f"enhanced-memory setup {name}, or mend {seen.path}" if broken else ""
            yield Finding(name, FAILURE if broken else OK, seen.sentence, way_out)
    if "ready" not in states and "broken" not in states:
        says = "none has the memory" if states else "none was found"
        yield Finding("assistants", WARNING, says, "enhanced-memory setup lists them")


def _service(_patient: Patient) -> Iterator[Finding]:
    import subprocess

    is_macos = sys.platform == "darwin"
    folder = services.folder_of(os.environ, is_macos)
    names = (services.LAUNCHD,) if is_macos else services.SYSTEMD
    there = [name for name in names if (folder / name).exists()]
    if not there:
        yield Finding("service", OK, "none; the daemon is started when it is needed")
        return
    if len(there) < len(names):
        missing = ", ".join(name for name in names if name not in there)
        yield Finding("service", WARNING, f"{folder} lacks {missing}", "enhanced-memory setup service")
    started = re.findall(r"^ExecStart=\"?(/[^\"\s]+)", "".join((folder / n).read_text() for n in there), re.MULTILINE)
    gone = [path for path in started if not os.access(path, os.X_OK)]
    if gone:
        yield Finding("service", FAILURE, f"starts {gone[0]}, which is no program", "enhanced-memory setup service")
    if is_macos or not shutil.which("systemctl"):
        yield Finding("service", OK, f"{len(there)} files in {folder}")
        return
    for name in services.STARTED:
        asked = subprocess.run(  # noqa: S603 - the service manager, and no shell
            ["systemctl", "--user", "is-active", name],  # noqa: S607
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=ANSWERS_WITHIN_S,
            check=False,
        )
        state = OK if asked.returncode == 0 else WARNING
        says = asked.stdout.strip() or asked.stderr.strip() or "unknown"
        way_out = "" if state == OK else f"systemctl --user status {name}"
        yield Finding("service", state, f"{name} is {says}", way_out)


CHECKS: Final[dict[str, Check]] = {
    "python": _python,
    "packages": _packages,
    "settings": _settings,
    "socket": _socket,
    "daemon": _daemon,
    "database": _database,
    "index": _index,
    "vectors": _vectors,
    "sandbox": _sandbox,
    "disk": _disk,
    "backups": _backups,
    "assistants": _assistants,
    "service": _service,
}
"""What is looked at, in the order it is told."""
