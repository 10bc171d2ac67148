"""Commands about other programs: serve, the daemon, and mcp, the server that assistants talk to; and stop.

Above it lies the program; below it the session's settings. Neither wing is imported: for serve and mcp the process is
replaced, so that signals, standard streams and exit status are the other program's own.
"""

from __future__ import annotations

import dataclasses
import os
import signal
import sys
import time
from pathlib import Path
from typing import Final, NoReturn

import click

from enhanced_memory.cli.session import Command, Failed, Session, examples

HOME: Final = Path(__file__).resolve().parents[2]
"""The folder that holds the package, and beside it the doors."""

ENDS_WITHIN_S: Final = 15.0
"""How long a daemon may take to end: requests that were begun have ten seconds."""

_LOOK_EVERY_S: Final = 0.02

PASSED_ON: Final = {"ignore_unknown_options": True}
"""Options we do not know are for the program we become."""


@click.command(
    "serve",
    cls=Command,
    short_help="Run the daemon here, until Ctrl-C.",
    context_settings=PASSED_ON,
    epilog=examples(
        ("enhanced-memory serve", "the daemon in the foreground"),
        ("enhanced-memory serve --db work.db --socket /tmp/work.sock", "a second memory beside the first"),
    ),
)
@click.argument("flags", nargs=-1, type=click.UNPROCESSED)
@click.pass_obj
def serve_command(session: Session, flags: tuple[str, ...]) -> NoReturn:
    """Run the daemon in the foreground. It takes all FLAGS of `memory-db-service`, which see."""
    _become(session, [str(HOME / "memory_db_service.py"), *flags])


@click.command(
    "mcp",
    cls=Command,
    short_help="Run the MCP server on standard input and output.",
    context_settings=PASSED_ON,
    epilog=examples(("claude mcp add memory -- enhanced-memory mcp", "give the memory to an assistant")),
)
@click.argument("flags", nargs=-1, type=click.UNPROCESSED)
@click.pass_obj
def mcp_command(session: Session, flags: tuple[str, ...]) -> NoReturn:
    """Run the MCP server on standard input and output. It takes all FLAGS of `memory-mcp`, which see."""
    # As `python -m` would, but without the current folder on the path: an assistant starts us anywhere.
    start = f"import sys; sys.path.insert(0, {str(HOME)!r}); from enhanced_memory.mcp.main import main; main()"
    _become(session, ["-P", "-c", start, *flags])


@click.command(
    "stop",
    cls=Command,
    short_help="End the daemon, once it has answered what it was asked.",
    epilog=examples(
        ("enhanced-memory stop", "before a restore, or to have a new version take over"),
        ("systemctl --user stop memory-db.socket memory-db.service", "where systemd would start it again"),
    ),
)
@click.pass_obj
def stop_command(session: Session) -> None:
    """End the daemon and wait until it has: what was asked is answered, and everything is on the disk.

    The next call of anyone starts it again, unless MEMORY_AUTOSTART is 0.
    """
    from enhanced_memory.cli import output

    ended = end_daemon(session)
    if session.json:
        output.json_line({"success": True, "pid": ended})
    else:
        click.echo("No daemon runs." if ended is None else f"The daemon (pid {ended}) has ended.")


def end_daemon(session: Session) -> int | None:
    """Ask the daemon to end and wait until it has let go of the database; its process id, or None where none runs.

    Raises: Failed: it has not ended in time.
    """
    from enhanced_memory.client import BlockingMemoryClient, DaemonUnavailable

    try:
        with BlockingMemoryClient(settings=session.settings, autostart=False, timeout_s=5) as client:
            reply = client.call("ping")
    except DaemonUnavailable:
        return None
    process = reply.get("pid")
    if not isinstance(process, int) or process <= 1:
        return None
    lock = Path(f"{os.path.realpath(str(reply.get('database', session.settings.db_path)))}.lock")
    try:
        os.kill(process, signal.SIGTERM)
    except ProcessLookupError:
        return process
    except PermissionError as error:
        raise Failed({"success": False, "error": f"the daemon (pid {process}) is another user's"}) from error
    give_up_at = time.monotonic() + ENDS_WITHIN_S
    while lock.exists():
        if time.monotonic() > give_up_at:
            raise Failed(
                {"success": False, "error": f"the daemon (pid {process}) has not ended in {ENDS_WITHIN_S:g} s"}
            )
        time.sleep(_LOOK_EVERY_S)
    return process


def _become(session: Session, arguments: list[str]) -> NoReturn:
    """Replace this process by Python with `arguments`, the options of this run handed on as environment."""
    os.execve(sys.executable, [sys.executable, *arguments], environment_of(session))  # noqa: S606 (no shell is wanted)


def environment_of(session: Session) -> dict[str, str]:
    """The environment of another program, with the options of this run in it."""
    settings = session.settings
    environment = dict(os.environ)
    for spec in dataclasses.fields(settings):
        if spec.name in session.flags:
            environment[spec.metadata["variable"]] = str(getattr(settings, spec.name))
    return environment
