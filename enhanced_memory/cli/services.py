"""`setup service`: the daemon as a service of this user's, under systemd or launchd.

Above it lies `setup`; below it the files of `deploy/`, which the package carries, and systemctl or launchctl. The units
are those of `deploy/` with the paths of this installation in them.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from enhanced_memory.cli import files, output
from enhanced_memory.cli.programs import end_daemon
from enhanced_memory.cli.session import Failed, Session, file_trouble

TEMPLATES: Final = Path(__file__).with_name("units")
"""Links into `deploy/` in a checkout, the files themselves in a wheel."""

SYSTEMD: Final = ("memory-db.socket", "memory-db.service", "memory-backup.service", "memory-backup.timer")
STARTED: Final = ("memory-db.socket", "memory-backup.timer")
LAUNCHD: Final = "local.enhanced-memory.plist"

PATIENCE_S: Final = 60
"""How long a call of systemctl or launchctl may take: ending a daemon that works takes it seconds."""


def set_up(session: Session, *, remove: bool, dry_run: bool) -> None:
    """Write the files and start the service, or stop it and take them away; a dry run only tells what it would do.

    Raises: Failed: there is no service manager, a file cannot be written, or a command of the manager fails.
    """
    from enhanced_memory.cli.setup import handed_on, program

    is_macos = sys.platform == "darwin"
    _check_manager(is_macos)
    folder = folder_of(os.environ, is_macos)
    given = {one.variable: one.value for one in handed_on(session) if one.variable != "MEMORY_TOOLS"}
    bin_folder = os.path.dirname(program("memory-db-service"))
    names = (LAUNCHD,) if is_macos else SYSTEMD
    wanted = {} if remove else written(names, bin_folder, session.settings.socket_path, given)
    try:
        changes = [
            files.Change(folder / name, files.read(folder / name), wanted[name].encode() if name in wanted else None)
            for name in names
        ]
    except files.Trouble as trouble:
        raise _failed(str(trouble), "move it away") from trouble
    changed = any(change.needed for change in changes)
    commands = _commands(is_macos, folder, remove=remove, changed=changed)
    if remove and not changed:
        commands = []
    if not dry_run:
        _do(session, changes, commands, remove)
    if session.json:
        told = [{"file": str(change.path), "diff": change.diff()} for change in changes if change.needed]
        output.json_line({"success": True, "dry_run": dry_run, "changes": told, "commands": commands})
        return
    for change in changes:
        if change.needed and dry_run:
            sys.stdout.write(change.diff())
        elif change.needed or not remove:
            action = "removed" if remove else "written" if change.needed else "unchanged"
            _done(action, str(change.path))
    for command in commands:
        _done("would run" if dry_run else "run", " ".join(command))
    if remove and not changed:
        output.note("There was no service.")


def _done(action: str, what: str) -> None:
    """One thing that was done: a sentence at a terminal, else a line of two cells."""
    if output.at_terminal():
        print(output.visible(f"{action}: {what}"))
    else:
        output.lines([(action, what)])


def folder_of(environ: Mapping[str, str], is_macos: bool) -> Path:
    """Where the files of this user's services lie."""
    home = Path(environ.get("HOME") or Path.home())
    if is_macos:
        return home / "Library" / "LaunchAgents"
    return Path(environ.get("XDG_CONFIG_HOME") or home / ".config") / "systemd" / "user"


def written(names: Sequence[str], bin_folder: str, socket_path: str, given: Mapping[str, str]) -> dict[str, str]:
    """The files by name, with the programs of `bin_folder` and the settings that were `given`."""
    return {
        name: (_plist if name == LAUNCHD else _unit)(
            (TEMPLATES / name).read_text(encoding="utf-8"), bin_folder, socket_path, given
        )
        for name in names
    }


def _unit(text: str, bin_folder: str, socket_path: str, given: Mapping[str, str]) -> str:
    """A unit for this installation. In units % begins a specifier, and quotes hold blanks together."""
    lines = []
    for line in text.splitlines():
        if line.startswith("ExecStart=%h/.local/bin/"):
            program, *arguments = line.removeprefix("ExecStart=%h/.local/bin/").split(" ")
            line = " ".join([f"ExecStart={_quoted(os.path.join(bin_folder, program), dollar=True)}", *arguments])
        elif line.startswith("ListenStream="):
            line = "ListenStream=" + socket_path.replace("%", "%%")
        lines.append(line)
        if line.startswith("EnvironmentFile="):
            lines += [f"Environment={_quoted(f'{name}={value}')}" for name, value in given.items()]
    return "\n".join(lines) + "\n"


def _quoted(word: str, *, dollar: bool = False) -> str:
    word = word.replace("%", "%%").replace("$", "$$" if dollar else "$")
    if not set(word) & set(" \t\"'\\;"):
        return word
    return '"' + word.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _plist(text: str, bin_folder: str, _socket_path: str, given: Mapping[str, str]) -> str:
    """The agent for this installation."""
    from html import escape

    quoted = "'" + os.path.join(bin_folder, "memory-db-service").replace("'", "'\\''") + "'"
    text = text.replace('"$HOME/.local/bin/memory-db-service"', escape(quoted, quote=False))
    more = "".join(
        f"        <key>{name}</key>\n        <string>{escape(value, quote=False)}</string>\n"
        for name, value in given.items()
    )
    heading = "<key>EnvironmentVariables</key>\n    <dict>\n"
    return text.replace(heading, heading + more)


def _commands(is_macos: bool, folder: Path, *, remove: bool, changed: bool) -> list[list[str]]:
    if is_macos:
        domain, agent = f"gui/{os.getuid()}", str(folder / LAUNCHD)
        end = ["launchctl", "bootout", f"{domain}/{LAUNCHD.removesuffix('.plist')}"]
        return [end] if remove else [["launchctl", "bootstrap", domain, agent]]
    systemctl = ["systemctl", "--user"]
    if remove:
        return [[*systemctl, "disable", "--now", *SYSTEMD], [*systemctl, "daemon-reload"]]
    # A socket whose service runs cannot be started again, so both end before they begin with what is new in them.
    anew = [[*systemctl, "daemon-reload"], [*systemctl, "stop", "memory-db.socket", "memory-db.service"]]
    return [*(anew if changed else []), [*systemctl, "enable", "--now", *STARTED]]


def _check_manager(is_macos: bool) -> None:
    """Raises: Failed: there is nobody who could run a service for this user."""
    way_out = "nothing is lost: the daemon is started when somebody needs it. docs/deploy.md has other ways"
    manager = "launchctl" if is_macos else "systemctl"
    if shutil.which(manager) is None:
        raise _failed(f"there is no {manager} here, so no service can be set up", way_out)
    if not is_macos:
        asked = _ran(["systemctl", "--user", "show-environment"])
        if asked.returncode:
            reason = (asked.stderr.strip().splitlines() or ["it gives no reason"])[0]
            raise _failed(f"this user has no systemd that answers: {reason}", way_out)


def _do(session: Session, changes: Sequence[files.Change], commands: Sequence[Sequence[str]], remove: bool) -> None:
    """Make the changes and run the commands; what is taken away is stopped before."""
    if remove:
        _run_all(commands[:1])
    elif any(change.needed for change in changes):
        ended = end_daemon(session)
        if ended is not None:
            output.note(f"The daemon that ran by itself (pid {ended}) was ended; the service takes its place.")
    for change in changes:
        try:
            if change.needed:
                change.make()
        except files.Trouble as trouble:
            raise _failed(str(trouble), "try again") from trouble
        except OSError as error:
            raise file_trouble(error, str(change.path)) from error
    _run_all(commands[1:] if remove else commands)


def _run_all(commands: Sequence[Sequence[str]]) -> None:
    for command in commands:
        done = _ran(command)
        if done.returncode:
            said = (done.stderr.strip() or done.stdout.strip() or "it says nothing").splitlines()[-1]
            raise _failed(f"{' '.join(command)} failed: {said}", "the files are written; mend that and run setup again")


def _ran(command: Sequence[str]) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(  # noqa: S603 - the service manager, and no shell
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=PATIENCE_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise _failed(f"{' '.join(command)} failed: {error}", "try it by hand") from error


def _failed(sentence: str, hint: str) -> Failed:
    return Failed({"success": False, "error": sentence, "hint": hint, "code": "service_error"})
