"""The `enhanced-memory` command: options of the whole program, its sub-commands, and how a run ends.

Above it lies the installed command; below it the sub-commands, each imported when it is called. Exit status: 0 done,
1 the request failed, 2 wrong usage, 3 no daemon to be had, 130 interrupted, 141 the reader of our output went away.
"""

from __future__ import annotations

import difflib
import importlib
import itertools
import os
import sys
from collections.abc import Sequence
from typing import Final

import click

from enhanced_memory import __version__
from enhanced_memory.cli import session as run
from enhanced_memory.cli.session import Failed, Session

COMMANDS: Final = {
    "status": "memories",
    "health": "health",
    "dashboard": "dashboard",
    "search": "memories",
    "open": "memories",
    "context": "around",
    "graph": "around",
    "add": "memories",
    "relate": "around",
    "delete": "around",
    "history": "versions",
    "diff": "versions",
    "branches": "versions",
    "revert": "versions",
    "changes": "versions",
    "conflicts": "conflicts",
    "extract": "procedures",
    "run": "procedures",
    "skills": "procedures",
    "import": "importing",
    "export": "transfer",
    "curate": "curation",
    "backup": "upkeep",
    "restore": "upkeep",
    "verify": "upkeep",
    "call": "anything",
    "operations": "anything",
    "serve": "programs",
    "stop": "programs",
    "mcp": "programs",
    "setup": "setup",
    "doctor": "doctor",
    "hook": "hooks",
    "completion": "completion",
}
"""Each sub-command, in the order of the help, and the module that holds it, as the function `<name>_command`."""


USAGE: Final = "usage"
"""The code of a failure that no daemon was asked about: the command line itself makes no sense."""


class Program(click.Group):
    """The group of sub-commands, which loads one only when it is asked for."""

    def list_commands(self, _ctx: click.Context) -> list[str]:
        """Every sub-command's name."""
        return list(COMMANDS)

    def get_command(self, _ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The sub-command called `cmd_name`, or None."""
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"enhanced_memory.cli.{COMMANDS[cmd_name]}")
        command: click.Command = getattr(module, f"{cmd_name}_command")
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The sub-command that `args` begin with; the nearest is named where there is none."""
        nearest = [] if args[0] in COMMANDS else difflib.get_close_matches(args[0], COMMANDS, n=1)
        if nearest:
            ctx.fail(f"There is no command {args[0]!r}. Did you mean {nearest[0]}?")
        return super().resolve_command(ctx, args)

    def invoke(self, ctx: click.Context) -> int:
        """Run the sub-command, tell its failure if there is one, and send off what it printed; the exit status."""
        try:
            try:
                status = super().invoke(ctx) or 0
            except Failed as failed:
                status = _tell(ctx.obj, failed)
            sys.stdout.flush()
        except BrokenPipeError:
            _give_up_output()
            return run.EXIT_PIPE_CLOSED
        except OSError as error:
            _give_up_output()
            return _tell(Session(), run.file_trouble(error, "standard input or output"))
        return int(status)


def _tell(session: Session, failed: Failed) -> int:
    """Print a failure the way the run answers; the exit status it asks for."""
    from enhanced_memory.cli import output
    from enhanced_memory.cli.hints import in_commands

    if session.json:
        output.json_line(failed.reply)
    else:
        output.failure({**failed.reply, "hint": in_commands(failed.reply.get("hint"))})
    return failed.status


def _misused(session: Session, error: click.ClickException, args: Sequence[str]) -> int:
    """Tell that the command line makes no sense, the way the run answers; the exit status.

    What was wrong may stand before --json, so that nothing has taken note of it yet.
    """
    if not (session.json or "--json" in itertools.takewhile(lambda word: word != "--", args)):
        error.show()
        return error.exit_code
    from enhanced_memory.cli import output

    context = error.ctx if isinstance(error, click.UsageError) else None
    sentence = error.format_message()
    if isinstance(error, click.exceptions.NoArgsIsHelpError):
        sentence = "Missing command."  # the message is the whole help
    hint = f"{context.command_path if context else 'enhanced-memory'} --help tells what is understood"
    output.json_line({"success": False, "error": sentence, "code": USAGE, "hint": hint})
    return error.exit_code


def _give_up_output() -> None:
    """Let what is still to be written go nowhere: the interpreter tries once more at its end, and would complain."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


program = Program(
    name="enhanced-memory",
    params=[*run.shared_options(inside=False)],
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    help="Look into the memory your assistants share, add to it, and move it in and out.",
    epilog=run.examples(
        ("enhanced-memory search where does Ada work", "the memories that answer best"),
        ("enhanced-memory add 'Ada Lovelace' person 'Writes programs' 'Lives in London'", "remember something"),
        ("enhanced-memory history 'Ada Lovelace'", "what became of it, version by version"),
        ("enhanced-memory import memory.jsonl", "take over a file of the reference memory server, or others"),
        ("enhanced-memory export - | gzip > memory.jsonl.gz", "take everything along"),
        ("enhanced-memory --json status", "for programs; --json may also stand at the end"),
        ("enhanced-memory call confirm_entities entityNames=Ada", "any operation of the daemon, see `operations`"),
    ),
)
click.version_option(__version__, prog_name="enhanced-memory", message="%(prog)s %(version)s")(program)


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command line `argv` (the process's own where None) and end with its exit status.

    Raises: SystemExit: always.
    """
    if sys.stdout.encoding.lower() != "utf-8" and hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(errors="backslashreplace")  # a locale without our letters is no reason to fail
    args = None if argv is None else list(argv)
    session = Session()
    try:
        status = program.main(args, "enhanced-memory", standalone_mode=False, obj=session)
    except click.ClickException as error:
        status = _misused(session, error, sys.argv[1:] if args is None else args)
    except (click.Abort, KeyboardInterrupt):
        status = run.EXIT_INTERRUPTED
    sys.exit(status)
