"""One run of the command line: the options given, the settings they lead to, and the way to the daemon.

Above it lie the commands, which all ask through `Session.ask`; below it settings and client, imported when needed.
"""

from __future__ import annotations

import os
import sys
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from enhanced_memory.client import BlockingMemoryClient
    from enhanced_memory.settings import Settings

EXIT_FAILED = 1
EXIT_USAGE = 2
EXIT_UNAVAILABLE = 3
EXIT_INTERRUPTED = 130
EXIT_PIPE_CLOSED = 141

PATIENCE_S = 15.0
"""Seconds we wait beyond the daemon's own limit for an operation, so that it is the daemon who says what took long."""


TIERS = ("working", "episodic", "semantic", "procedural")
ON_EXISTING = ("merge", "replace", "skip", "error")
"""Words of the operations that options offer; said again here because `shapes` loads pydantic, a test compares them."""


class Failed(Exception):
    """The end of a run that could not do what was asked: the reply that says why, and the exit status."""

    def __init__(self, reply: Mapping[str, Any], status: int = EXIT_FAILED) -> None:
        super().__init__(reply.get("error"))
        self.reply = reply
        self.status = status


def file_trouble(error: OSError, path: str) -> Failed:
    """The failure of a run that met `error` at the file `path`."""
    reason = error.strerror or str(error)
    return Failed({"success": False, "error": f"{click.format_filename(path)}: {reason}", "code": "file_error"})


@dataclass
class Session:
    """What the commands of one run share.

    `flags`: settings given as options, by their field's name. `json`: answers are wanted as JSON.
    """

    flags: dict[str, Any] = field(default_factory=dict)
    json: bool = False
    _checked: bool = field(default=False, repr=False)

    @cached_property
    def settings(self) -> Settings:
        """Options over environment over defaults. Raises: click.UsageError: one of them makes no sense."""
        from enhanced_memory.errors import InvalidParams
        from enhanced_memory.settings import Settings

        try:
            return Settings.load(self.flags)
        except InvalidParams as error:
            raise click.UsageError(error.message) from error

    @cached_property
    def client(self) -> BlockingMemoryClient:
        """The connection to the daemon, made at the first request."""
        from enhanced_memory.client import BlockingMemoryClient

        settings = self.settings
        return BlockingMemoryClient(
            settings=settings,
            client="enhanced-memory",
            timeout_s=settings.operation_timeout_s + PATIENCE_S,
            max_connections=1,
            autostart=settings.autostart,
        )

    def ask(self, method: str, params: Mapping[str, Any]) -> dict[str, Any]:
        """The daemon's reply to one request; parameters that are None are left out.

        Raises: Failed: the reply is a failure, or no daemon could be had.
        """
        from enhanced_memory.errors import DaemonUnavailable

        try:
            self._check_database()
            with self._progress(method):
                reply = self.client.call(method, {name: value for name, value in params.items() if value is not None})
        except DaemonUnavailable as error:
            raise Failed(error.reply(), EXIT_UNAVAILABLE) from error
        if not reply.get("success"):
            raise Failed(reply)
        return reply

    def _progress(self, method: str) -> AbstractContextManager[None]:
        """Around a request: shows a person how far a long operation is, as soon as it has taken a while."""
        from enhanced_memory.client import methods

        if method not in methods.LONG or self.json or not (sys.stdout.isatty() and sys.stderr.isatty()):
            return nullcontext()
        from enhanced_memory.cli.waiting import shown_progress

        return shown_progress(self.settings, method)

    def _check_database(self) -> None:
        """Hold a database that was named against the one the daemon keeps, at the first request.

        Raises: DaemonUnavailable: it keeps another; whoever named one must not read or change that unawares.
        """
        if self._checked or not (self.flags.get("db_path") or os.environ.get("MEMORY_DB_PATH")):
            return
        self._checked = True
        kept = self.client.call("ping").get("database")
        wanted = self.settings.db_path
        if kept is not None and os.path.realpath(kept) != os.path.realpath(wanted):
            from enhanced_memory.errors import DaemonUnavailable

            raise DaemonUnavailable(
                f"the daemon at {self.settings.socket_path} keeps {kept}, not {wanted}",
                hint="leave out the database, or give its daemon a socket of its own with --socket",
            )


class Command(click.Command):
    """A sub-command: it takes the options of the whole program too, so that they may stand before it or after it."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.params.extend(shared_options(inside=True))


class Group(click.Group):
    """A sub-command with further ones below it; it takes the options of the whole program too."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.params.extend(shared_options(inside=True))


def shared_options(*, inside: bool) -> list[click.Option]:
    """The options of the whole program; `inside` a sub-command, only --json is listed in the help."""

    def option(name: str, field_name: str, meaning: str, **more: Any) -> click.Option:
        hidden = inside and name != "--json"
        keep = _keep(field_name)
        return click.Option([name], help=meaning, hidden=hidden, expose_value=False, callback=keep, **more)

    return [
        option("--socket", "socket_path", "Socket of the daemon (MEMORY_DB_SOCKET).", metavar="PATH"),
        option("--db", "db_path", "Database, for a daemon that is started (MEMORY_DB_PATH).", metavar="PATH"),
        option("--namespace", "namespace", "Memory to work in (MEMORY_NAMESPACE).", metavar="NAME"),
        option("--json", "json", "Answer with the reply as one line of JSON.", is_flag=True),
        option("--no-autostart", "autostart", "Start no daemon when nobody answers (MEMORY_AUTOSTART).", is_flag=True),
        option("--log-level", "log_level", "DEBUG, INFO, WARNING or ERROR (MEMORY_LOG_LEVEL).", metavar="LEVEL"),
    ]


def _keep(field_name: str) -> Callable[[click.Context, click.Parameter, Any], None]:
    """A callback that notes the option in the run's session."""

    def keep(context: click.Context, _parameter: click.Parameter, value: Any) -> None:
        session = context.find_object(Session)
        if session is None or value is None or value is False:
            return
        if field_name == "json":
            session.json = True
        else:
            session.flags[field_name] = "0" if field_name == "autostart" else value

    return keep


def examples(*pairs: tuple[str, str]) -> str:
    """The end of a command's help: what to type, and what it does."""
    return "\b\nExamples:\n" + "\n".join(f"  {line}\n      {meaning}" for line, meaning in pairs)
