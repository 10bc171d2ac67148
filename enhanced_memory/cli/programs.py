"""Commands that become another program: serve, the daemon, and mcp, the server that assistants talk to.

Above it lies the program; below it the session's settings. Neither wing is imported: the process is replaced, so that
signals, standard streams and exit status are the other program's own.
"""

from __future__ import annotations

import dataclasses
import os
import sys
from pathlib import Path
from typing import Final, NoReturn

import click

from enhanced_memory.cli.session import Command, Session, examples

HOME: Final = Path(__file__).resolve().parents[2]
"""The folder that holds the package, and beside it the doors."""

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
