"""The command setup: gives the memory to an assistant, in the file where that assistant keeps its servers.

Above it lies the program; below it the table of assistants, the edits of their files, and the services of `setup
service`. Every change is worked out before the first is made, so that a file which cannot be read leaves all as it is.
"""

from __future__ import annotations

import os
import shutil
import sys
import sysconfig
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import click

from enhanced_memory.cli import clients, files, output, services
from enhanced_memory.cli.clients import CLIENTS, Client, Entry, HookEntries, Start
from enhanced_memory.cli.hints import meant
from enhanced_memory.cli.programs import HOME
from enhanced_memory.cli.session import Command, Failed, Session, examples, file_trouble

HANDED_ON: Final = ("db_path", "socket_path", "namespace", "tools")
"""Settings that decide which memory an assistant works in; given here, they go with the entry."""

_FLAGS: Final = {"db_path": "--db", "socket_path": "--socket", "namespace": "--namespace"}


@dataclass(frozen=True)
class Step:
    """One thing in one file: what is to be there, and None where it is to go."""

    what: str
    path: Path
    entry: Entry
    wanted: Mapping[str, Any] | None


class OneOf(click.Choice):  # type: ignore[type-arg]  # generic from click 8.2 on, which asks for the sentence too
    """A choice that names the nearest word where none of its own was given."""

    def get_invalid_choice_message(self, value: Any, ctx: click.Context | None) -> str:
        """The sentence on a word that is none of them."""
        return super().get_invalid_choice_message(value, ctx) + meant(str(value), self.choices)


@click.command(
    "setup",
    cls=Command,
    short_help="Give the memory to an assistant, or to systemd.",
    epilog=examples(
        ("enhanced-memory setup", "the assistants, and which of them are here and have the memory"),
        ("enhanced-memory setup claude-code --hooks", "for all projects, with context at the start of each session"),
        ("enhanced-memory setup cursor --dry-run", "what would change, as a diff"),
        ("enhanced-memory --namespace work setup vscode --project", "a memory of its own for the project here"),
        ("enhanced-memory setup codex --remove", "take it out again"),
        ("enhanced-memory setup service", "let systemd start the daemon and make a backup every night"),
    ),
)
@click.argument("assistant", required=False, type=OneOf([*CLIENTS, "all", "service"]), metavar="[ASSISTANT]")
@click.option("--project", is_flag=True, help="In the files of the project here, not in yours for all projects.")
@click.option("--file", "file", type=click.Path(path_type=Path), metavar="PATH", help="Another file than the usual.")
@click.option("--name", default=clients.NAME, show_default=True, help="What the entry is called.")
@click.option("--tools", type=click.Choice(["core", "full"]), help="Tools the assistant gets (MEMORY_TOOLS).")
@click.option("--hooks", is_flag=True, help="claude-code: load context when a session starts, keep facts at its end.")
@click.option("--remove", is_flag=True, help="Take out what setup has put in, hooks included.")
@click.option("--dry-run", is_flag=True, help="Show what would change, and change nothing.")
@click.pass_obj
def setup_command(
    session: Session,
    assistant: str | None,
    project: bool,
    file: Path | None,
    name: str,
    tools: str | None,
    hooks: bool,
    remove: bool,
    dry_run: bool,
) -> None:
    """Write the memory into the configuration of ASSISTANT, and nothing else in it: not a byte around it changes.

    \b
    ASSISTANT is one of claude-code, claude-desktop, cursor, vscode, codex,
    gemini, opencode, windsurf; all, which is those that are on this machine;
    or service. Without it they are listed.

    The file as it was is kept beside it. Run again, it changes nothing. --socket, --db, --namespace and --tools, or
    their variables, go with the entry.
    """
    if tools is not None:
        session.flags["tools"] = tools
    if hooks and assistant != "claude-code":
        raise click.UsageError("--hooks is for claude-code")
    if (project or file) and assistant in (None, "all", "service"):
        raise click.UsageError("--project and --file need one assistant")
    if project and file:
        raise click.UsageError("--project and --file exclude each other")
    if assistant is None:
        _list(session, name)
    elif assistant == "service":
        services.set_up(session, remove=remove, dry_run=dry_run)
    else:
        names = [each for each in CLIENTS if assistant in (each, "all")]
        if assistant == "all":
            names = [each for each in names if CLIENTS[each].is_there(os.environ)]
        steps = [step for each in names for step in _steps(session, each, project, file, name, hooks, remove)]
        _take(session, steps, dry_run)
        if not (remove or dry_run or session.json):
            for each in names:
                output.note(f"For {CLIENTS[each].title} to see it, {CLIENTS[each].again}.")


def program(name: str) -> str:
    """The absolute path of an installed command of ours. Raises: Failed: it is not installed."""
    beside = [os.path.dirname(os.path.abspath(sys.argv[0]))] if os.path.basename(sys.argv[0]) == clients.NAME else []
    for folder in (*beside, sysconfig.get_path("scripts")):
        path = shutil.which(name, path=folder)
        if path:
            return os.path.abspath(path)
    raise Failed(
        {
            "success": False,
            "error": f"the command {name} is not installed beside this Python",
            "hint": "run ./scripts/start in the checkout, or install the package",
            "code": "not_installed",
        }
    )


def start_of_server(session: Session) -> Start:
    """How an assistant starts the server of this installation."""
    try:
        command = [program("memory-mcp")]
    except Failed:
        if not (HOME / "server.py").is_file():
            raise
        command = [sys.executable, str(HOME / "server.py")]
    return Start(command, {fields.variable: fields.value for fields in handed_on(session)})


@dataclass(frozen=True)
class HandedOn:
    """A setting that was given and differs from its default."""

    name: str
    variable: str
    value: str


def handed_on(session: Session) -> list[HandedOn]:
    """Settings that decide which memory is meant, as far as they were given."""
    from enhanced_memory.settings import Settings

    usual, known = Settings.load({}, {}), Settings.__dataclass_fields__
    return [
        HandedOn(name, known[name].metadata["variable"], str(getattr(session.settings, name)))
        for name in HANDED_ON
        if getattr(session.settings, name) != getattr(usual, name)
    ]


def _steps(
    session: Session, which: str, project: bool, file: Path | None, name: str, hooks: bool, remove: bool
) -> Iterator[Step]:
    client = CLIENTS[which]
    if project and client.project is None:
        raise click.UsageError(f"{client.title} has no files in projects")
    path = file or (Path.cwd() / str(client.project) if project else client.path(os.environ))
    path = Path(os.path.abspath(path.expanduser()))
    wanted = None if remove else client.shape(start_of_server(session))
    yield Step(name, path, client.entry(name), wanted)
    if which == "claude-code" and (hooks or (remove and file is None)):
        usual = clients.settings_of_claude_code(os.environ)
        flags = [word for given in handed_on(session) if given.name in _FLAGS for word in _flag(given)]
        commands = None if remove else clients.hook_commands(program(clients.NAME), flags)
        yield Step("hooks", Path.cwd() / ".claude/settings.json" if project else usual, HookEntries(), commands)


def _flag(given: HandedOn) -> tuple[str, str]:
    return _FLAGS[given.name], given.value


def _take(session: Session, steps: Sequence[Step], dry_run: bool) -> None:
    """Work all steps out, make them unless it is a dry run, and tell what was done."""
    planned = [(step, *_planned(step)) for step in steps]
    told = []
    for step, action, change in planned:
        try:
            kept = change.make() if change.needed and not dry_run else None
        except files.Trouble as trouble:
            raise _refused(str(trouble)) from trouble
        except OSError as error:
            raise file_trouble(error, str(step.path)) from error
        told.append({"what": step.what, "file": str(step.path), "action": action, "backup": kept and str(kept)})
        if dry_run:
            told[-1]["diff"] = change.diff()
    if session.json:
        output.json_line({"success": True, "dry_run": dry_run, "changes": told})
        return
    for one in told:
        if one.get("diff"):
            sys.stdout.write(str(one["diff"]))
        elif output.at_terminal():
            print(output.visible(f"{one['file']}: {_SENTENCES[str(one['action'])].format(one['what'])}"))
        else:
            output.lines([(one["action"], one["what"], one["file"])])
        if one["backup"]:
            output.note(f"The file as it was is kept as {one['backup']}")


_SENTENCES: Final = {
    "added": "{} was added",
    "updated": "{} was brought up to date",
    "unchanged": "{} is there already, nothing was changed",
    "removed": "{} was taken out",
    "absent": "{} was not there",
}
"""What was done with an entry, for a person."""


def _planned(step: Step) -> tuple[str, files.Change]:
    """What a step comes to, in a word, and the change it asks for."""
    try:
        before = files.read(step.path)
        text = files.text_of(step.path, before)
        current = step.entry.read(text)
        if step.wanted is None:
            after = before if current is None else _without(step, text, current)
            return ("absent" if current is None else "removed"), files.Change(step.path, before, after)
        wanted = step.wanted if isinstance(step.entry, HookEntries) else clients.merged(current, step.wanted)
        edited = step.entry.put(text, wanted)
    except files.Trouble as trouble:
        raise _refused(str(trouble)) from trouble
    except OSError as error:
        raise file_trouble(error, str(step.path)) from error
    except ValueError as error:
        raise _refused(f"{step.path} is left as it is: {error}") from error
    action = "unchanged" if edited == text else "added" if current is None else "updated"
    return action, files.Change(step.path, before, before if edited == text else edited.encode("utf-8"))


def _without(step: Step, text: str, current: Any) -> bytes | None:
    """The file without the entry: as it was before the entry came if nothing else changed since, None for no file."""
    for copy in (*files.backups(step.path), None):
        with suppress(files.Trouble, ValueError):
            earlier = files.text_of(step.path, copy)
            if step.entry.read(earlier) is None and step.entry.put(earlier, current) == text:
                return copy
    return step.entry.drop(text).encode("utf-8")


def _refused(sentence: str) -> Failed:
    hint = "mend it, or name another file with --file"
    return Failed({"success": False, "error": sentence, "hint": hint, "code": "file_error"})


@dataclass(frozen=True)
class Look:
    """What an assistant's file says of us. `state`: ready, absent, broken; `sentence` says it for a person."""

    state: str
    sentence: str
    path: Path


def look(client: Client, name: str = clients.NAME) -> Look:
    """How it stands with the entry `name` in the assistant's own file."""
    path = client.path(os.environ)
    try:
        entry = client.entry(name).read(files.text_of(path, files.read(path)))
    except (files.Trouble, ValueError) as trouble:
        return Look("broken", f"{path} cannot be read: {trouble}", path)
    except OSError as error:
        return Look("broken", f"{path} cannot be read: {error.strerror}", path)
    if entry is None:
        return Look("absent", "has no entry", path)
    command = clients.command_of(entry)
    if not command:
        return Look("broken", f"the entry in {path} starts no program", path)
    started = [command[0], *(word for word in command[1:2] if word.endswith(".py"))]
    gone = next((word for word in started if os.path.isabs(word) and not os.path.exists(word)), None)
    if gone or not shutil.which(command[0]):
        return Look("broken", f"the entry in {path} starts {gone or command[0]}, which is no program here", path)
    return Look("ready", f"starts {' '.join(started)}", path)


def _list(session: Session, name: str) -> None:
    """The assistants, whether they are here, and how it stands with their entries."""
    looks = {each: look(client, name) for each, client in CLIENTS.items()}
    here = {each: client.is_there(os.environ) for each, client in CLIENTS.items()}
    if session.json:
        found = [
            {"assistant": each, "here": here[each], "state": seen.state, "file": str(seen.path), "says": seen.sentence}
            for each, seen in looks.items()
        ]
        output.json_line({"success": True, "assistants": found})
        return
    rows = [(each, "yes" if here[each] else "no", seen.state, str(seen.path)) for each, seen in looks.items()]
    if output.at_terminal():
        output.table(("Assistant", "Here", "Entry", "File"), rows)
    else:
        output.lines(rows)
