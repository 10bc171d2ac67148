"""Commands that look after the store: backup, restore and verify.

Above it lies the program; below it the session, which asks the daemon, and a program of the service that works on files
while no daemon runs. That is started as a process, since nothing here loads database code; it answers in JSON lines.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any, Final

import click

from enhanced_memory.cli import output
from enhanced_memory.cli.programs import HOME, environment_of
from enhanced_memory.cli.session import EXIT_FAILED, EXIT_UNAVAILABLE, Command, Failed, Session, examples, file_trouble

_OFFLINE: Final = (
    f"import sys; sys.path.insert(0, {str(HOME)!r}); from enhanced_memory.service.offline import main; main()"
)

_STALE_S: Final = 2 * 86_400
"""A newest backup older than this is remarked on."""


@click.command(
    "backup",
    cls=Command,
    short_help="Back everything up into one file.",
    epilog=examples(
        ("enhanced-memory backup", "into the folder of backups, where those of seven days are kept"),
        ("enhanced-memory backup /mnt/usb/memory.db.gz", "into a file of your choice"),
        ("enhanced-memory backup --quiet", "for cron: says nothing unless something is wrong"),
    ),
)
@click.argument("path", required=False, type=click.Path(dir_okay=False))
@click.option("--quiet", is_flag=True, help="Print nothing unless something is wrong.")
@click.pass_obj
def backup_command(session: Session, path: str | None, quiet: bool) -> int:
    """Back all memories up into PATH, or into the folder of backups; the file is checked after it is written.

    The daemon makes it while it serves others. Where none runs, none is started. Ends with status 1 if anything is
    wrong, also if the backup was made but holds damaged memories.
    """
    wanted = None if path is None else os.path.abspath(os.path.expanduser(path))
    reply = _ask_if_it_runs(session, "backup", {"path": wanted})
    if reply is None:
        reply = _offline(session, "Backing up", "backup", *([wanted] if wanted else []), quiet=quiet)
    if session.json:
        output.json_line(reply)
    elif not quiet:
        entities = f"{reply['entities']:,} {'memory' if reply['entities'] == 1 else 'memories'}"
        print(output.visible(f"{reply['path']}: {entities}, {reply['bytes']:,} bytes"))
    if reply["problems"]:
        told = f"the backup was made, but {reply['problems']} things in the database are damaged: see verify"
        output.note(f"Warning: {told}")
        return EXIT_FAILED
    return 0


@click.command(
    "restore",
    cls=Command,
    short_help="Bring a backup back, or try one out.",
    epilog=examples(
        ("enhanced-memory restore ~/.memories/backups/memory-20260101T020000Z.db.gz", "put it in the database's place"),
        ("enhanced-memory restore --drill", "restore the newest backup beside the database, look at it, remove it"),
    ),
)
@click.argument("file", required=False, type=click.Path(dir_okay=False))
@click.option("--drill", is_flag=True, help="Change nothing: restore FILE, or the newest backup, aside and check it.")
@click.option("--anyway", is_flag=True, help="Restore although some memories in the backup are damaged.")
@click.pass_obj
def restore_command(session: Session, file: str | None, drill: bool, anyway: bool) -> None:
    """Put the backup FILE in the place of the database. The daemon must not run: this tells which process it is.

    The backup is checked first; one that is cut off, changed or from a newer program is refused, and nothing is
    changed. The old database stays beside the new one under another name.
    """
    given = [os.path.abspath(os.path.expanduser(file))] if file is not None else []
    if drill:
        _tell_drill(session, given)
        return
    if not given:
        raise click.UsageError("name the backup to restore; they lie in the folder of backups")
    reply = _offline(session, "Restoring", "restore", *given, *(["--anyway"] if anyway else []))
    if session.json:
        output.json_line(reply)
        return
    print(output.visible(f"restored {_total(reply['entities'])} memories from {reply['restored_from']}"))
    if reply["kept"]:
        print(output.visible(f"the database that was there is kept as {reply['kept']}"))


def _tell_drill(session: Session, given: list[str]) -> None:
    """Try a backup out, and tell what it holds beside what the live database holds."""
    status = _ask_if_it_runs(session, "get_memory_status", {})
    live = ["--count-live"] if status is None else []
    reply = _offline(session, "Restoring aside", "drill", *given, *live)
    if status is not None:
        reply["live"] = status["namespaces"]
    if session.json:
        output.json_line(reply)
        return
    rows = [("backup", reply["path"]), ("restored and checked in", f"{reply['seconds']} s")]
    if reply["age_s"] is not None:
        rows.append(("made", f"{reply['age_s'] / 3600:.1f} hours ago"))
    for name in sorted({*reply["entities"], *(reply["live"] or {})}):
        now = "unknown" if reply["live"] is None else reply["live"].get(name, 0)
        rows.append((f"memories in {name}", f"{reply['entities'].get(name, 0)} in the backup, {now} now"))
    rows.append(("damaged", str(reply["problems"])))
    output.table(("Drill", ""), rows) if output.at_terminal() else output.lines(rows)
    if reply["age_s"] is not None and reply["age_s"] > _STALE_S:
        output.note("Warning: the newest backup is older than two days")


@click.command(
    "verify",
    cls=Command,
    short_help="Check everything that is stored.",
    epilog=examples(
        ("enhanced-memory verify", "every page, checksum, version and entry of the index"),
        ("enhanced-memory verify --repair", "and make anew what can be derived from the memories"),
    ),
)
@click.option("--repair", is_flag=True, help="Make indexes anew, drop vectors of nothing; memories are never touched.")
@click.pass_obj
def verify_command(session: Session, repair: bool) -> int:
    """Check everything that is stored, while the daemon serves others. Ends with status 1 if anything is wrong."""
    reply = session.ask("verify_database", {"repair": repair})
    if session.json:
        output.json_line(reply)
    else:
        _tell_verified(reply)
    return 0 if reply["ok"] else EXIT_FAILED


def _tell_verified(reply: dict[str, Any]) -> None:
    rows = [(each["kind"], each.get("entity", ""), each["detail"]) for each in reply["problems"]]
    if rows:
        output.table(("Kind", "Memory", "Problem"), rows) if output.at_terminal() else output.lines(rows)
    for kind, count in reply["problem_counts"].items():
        told = sum(row[0] == kind for row in rows)
        if count > told:
            output.note(f"and {count - told:,} more of the kind {kind}")
    looked_at = ", ".join(f"{count:,} {name.replace('_', ' ')}" for name, count in reply["checked"].items() if count)
    if reply["repaired"]:
        made = ", ".join(f"{count:,} {name.replace('_', ' ')}" for name, count in reply["repaired"].items() if count)
        print(f"repaired: {made}")
    print(f"checked {looked_at or 'an empty database'}: {'all is well' if reply['ok'] else 'there are problems'}")


def _total(entities: dict[str, int]) -> str:
    return f"{sum(entities.values()):,}"


def _ask_if_it_runs(session: Session, method: str, params: dict[str, Any]) -> dict[str, Any] | None:
    """The daemon's reply, or None where no daemon keeps the database; none is started."""
    session.flags["autostart"] = "0"
    try:
        session.ask("ping", {})
    except Failed as failed:
        if failed.status == EXIT_UNAVAILABLE:
            return None
        raise
    return session.ask(method, params)


def _offline(session: Session, title: str, *arguments: str, quiet: bool = False) -> dict[str, Any]:
    """The reply of the service's program for files. Raises: Failed: it is a failure."""
    reply: dict[str, Any] = {}
    shown = not (session.json or quiet)
    try:
        with (
            output.progress(title, lambda: 100, shown=shown) as advance,
            subprocess.Popen(  # noqa: S603 - a program of ours, and no shell
                [sys.executable, "-P", "-c", _OFFLINE, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                env=environment_of(session),
                text=True,
            ) as child,
        ):
            assert child.stdout is not None
            percent = 0
            for line in child.stdout:
                reply = json.loads(line)
                if "total" in reply:
                    now = 100 * reply["done"] // max(reply["total"], 1)
                    advance(max(0, now - percent))
                    percent = max(now, percent)
    except OSError as error:
        raise file_trouble(error, sys.executable) from error
    if "success" not in reply:
        raise Failed({"success": False, "error": f"{arguments[0]} ended without an answer", "code": "internal"})
    if not reply["success"]:
        raise Failed(reply)
    return reply
