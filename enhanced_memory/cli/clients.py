"""The assistants that `setup` knows: where each keeps its servers, and what an entry of ours looks like there.

Above it lie `setup` and `doctor`; below it the edits of JSON and TOML. Nothing here touches a file: an entry is put
into a text, read from it or taken out.
"""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol

from enhanced_memory.cli import jsonc, tables

NAME: Final = "enhanced-memory"
"""What the entry is called where no other name is given."""

REMOTE: Final = {"url", "serverUrl", "httpUrl", "headers"}
"""Keys of an entry for a server elsewhere; an entry that starts a program has none of them."""


@dataclass(frozen=True)
class Start:
    """How an assistant starts the server: the program with its arguments, and variables that differ from defaults."""

    command: Sequence[str]
    variables: Mapping[str, str]


class Entry(Protocol):
    """One thing of ours in somebody's configuration text.

    All three raise jsonc.Unreadable or tables.Unreadable where the text is none of its kind, `put` and `drop`
    jsonc.Unfit where the place cannot be written to.
    """

    def read(self, text: str) -> Any:
        """What is there, None where nothing is."""

    def put(self, text: str, value: Any) -> str:
        """The text with it."""

    def drop(self, text: str) -> str:
        """The text without it."""


@dataclass(frozen=True)
class JsonEntry:
    """A member of an object in a JSON text, comments or not."""

    path: Sequence[str]

    def _place(self, text: str) -> tuple[Sequence[str], Any]:
        """Where the entry is or belongs, and what is there. opencode keeps servers one level deeper from version 2."""
        outer = (jsonc.read(text) or {}) if text else {}
        container = outer.get(self.path[0]) if isinstance(outer, dict) else None
        path = self.path
        if path[0] == "mcp" and isinstance(container, dict):
            deeper = container.get("servers")
            if isinstance(deeper, dict) and not {"type", "command", "enabled"} & deeper.keys():
                path, container = [path[0], "servers", *path[1:]], deeper
        return path, container.get(path[-1]) if isinstance(container, dict) else None

    def read(self, text: str) -> Any:
        return self._place(text)[1]

    def put(self, text: str, value: Any) -> str:
        path, current = self._place(text)
        if not isinstance(current, dict):
            return jsonc.put(text, path, value)
        for key in current.keys() - value.keys():
            text = jsonc.drop(text, [*path, key])
        for key, inner in value.items():
            text = jsonc.put(text, [*path, key], inner)
        return text

    def drop(self, text: str) -> str:
        return jsonc.drop(text, self._place(text)[0])


@dataclass(frozen=True)
class TomlEntry:
    """A table in a TOML text."""

    table: tables.Table

    def read(self, text: str) -> Any:
        outer = tables.read(text).get(self.table[0])
        return outer.get(self.table[1]) if isinstance(outer, dict) else None

    def put(self, text: str, value: Any) -> str:
        return tables.put(text, self.table, value)

    def drop(self, text: str) -> str:
        return tables.drop(text, self.table)


HOOKS: Final = {"SessionStart": "session-start", "PreCompact": "session-end", "SessionEnd": "session-end"}
"""When Claude Code runs which of our hooks: before its summary of a long talk loses words, and when the talk ends."""

HOOK_LIMIT_S: Final = 5
"""Seconds Claude Code gives a hook of ours; it gives those of SessionEnd 1.5, whatever is asked for."""


@dataclass(frozen=True)
class HookEntries:
    """Our hooks in Claude Code's settings; the value is a command line for each event."""

    def read(self, text: str) -> Any:
        return {event: command for event, _, command in self._ours(text)} or None

    def put(self, text: str, value: Mapping[str, str]) -> str:
        for event, command in value.items():
            paths = [path for at, path, _ in self._ours(text) if at == event]
            if paths:
                text = jsonc.put(text, [*paths[0], "command"], command)
            else:
                hook = {"type": "command", "command": command, "timeout": HOOK_LIMIT_S}
                text = jsonc.put(text, ["hooks", event, jsonc.APPEND], {"hooks": [hook]})
        return text

    def drop(self, text: str) -> str:
        while ours := self._ours(text):
            _, path, _ = ours[-1]
            # What stood around our hook alone, such as a matcher, has no use without it.
            alone = len(_at(jsonc.read(text), path[:-1])) == 1
            text = jsonc.drop(text, path[:3] if alone else path)
        return text

    @staticmethod
    def _ours(text: str) -> list[tuple[str, list[str | int], str]]:
        """Every hook of ours: its event, its path, its command."""
        events = _at(jsonc.read(text), ["hooks"])
        found: list[tuple[str, list[str | int], str]] = []
        for event, groups in events.items() if isinstance(events, dict) else ():
            for place, group in enumerate(groups if isinstance(groups, list) else ()):
                hooks = _at(group, ["hooks"])
                for at, hook in enumerate(hooks if isinstance(hooks, list) else ()):
                    command = _at(hook, ["command"])
                    if isinstance(command, str) and _is_our_hook(command):
                        found.append((event, ["hooks", event, place, "hooks", at], command))
        return found


def hook_commands(program: str, flags: Sequence[str]) -> dict[str, str]:
    """The command line for each event, run by a shell: `program` is our command line tool, `flags` its options."""
    return {event: shlex.join([program, "hook", name, *flags]) for event, name in HOOKS.items()}


def _is_our_hook(command: str) -> bool:
    try:
        words = shlex.split(command)
    except ValueError:
        return False
    return len(words) > 2 and Path(words[0]).name == "enhanced-memory" and words[1] == "hook"


def _at(value: Any, path: Sequence[str | int]) -> Any:
    """What is at a path of plain data, None where it leads nowhere."""
    for step in path:
        try:
            value = value[step]
        except (KeyError, IndexError, TypeError):
            return None
    return value


@dataclass(frozen=True)
class Client:
    """One assistant. Paths begin at the home folder on Linux and macOS, `project` at a project's folder."""

    title: str
    programs: Sequence[str]
    linux: str
    macos: str
    entry: Callable[[str], Entry]
    shape: Callable[[Start], dict[str, Any]]
    project: str | None = None
    again: str = "restart it"
    """What a person does for the assistant to see the change."""

    def path(self, environ: Mapping[str, str], platform: str = sys.platform) -> Path:
        """The file for all projects of this user, where the assistant looks for it."""
        home = Path(environ.get("HOME") or Path.home())
        path = home / (self.macos if platform == "darwin" else self.linux)
        for variable, usual in (("CLAUDE_CONFIG_DIR", ""), ("CODEX_HOME", ".codex"), ("XDG_CONFIG_HOME", ".config")):
            if environ.get(variable) and self._heeds(variable) and path.is_relative_to(home / usual):
                path = Path(environ[variable]).absolute() / path.relative_to(home / usual)
        commented = path.with_suffix(".jsonc")
        return commented if self.title == "opencode" and commented.exists() else path

    def _heeds(self, variable: str) -> bool:
        own = {"CLAUDE_CONFIG_DIR": "Claude Code", "CODEX_HOME": "Codex"}
        return own.get(variable, self.title) == self.title

    def is_there(self, environ: Mapping[str, str]) -> bool:
        """Whether the assistant seems to be on this machine: its file, its folder or its program is."""
        path = self.path(environ)
        own_folder = path.parent != Path(environ.get("HOME") or Path.home()) and path.parent.is_dir()
        return path.exists() or own_folder or any(map(shutil.which, self.programs))


def _plain(start: Start) -> dict[str, Any]:
    shape: dict[str, Any] = {"command": start.command[0]}
    if start.command[1:]:
        shape["args"] = list(start.command[1:])
    if start.variables:
        shape["env"] = dict(start.variables)
    return shape


def _typed(start: Start) -> dict[str, Any]:
    return {"type": "stdio", **_plain(start)}


def _opencode(start: Start) -> dict[str, Any]:
    environment = {"environment": dict(start.variables)} if start.variables else {}
    return {"type": "local", "command": list(start.command), "enabled": True, **environment}


def _member_of(container: str) -> Callable[[str], Entry]:
    return lambda name: JsonEntry([container, name])


CLIENTS: Final[dict[str, Client]] = {
    "claude-code": Client(
        "Claude Code",
        ("claude",),
        ".claude.json",
        ".claude.json",
        _member_of("mcpServers"),
        _typed,
        ".mcp.json",
    ),
    "claude-desktop": Client(
        "Claude Desktop",
        ("claude-desktop",),
        ".config/Claude/claude_desktop_config.json",
        "Library/Application Support/Claude/claude_desktop_config.json",
        _member_of("mcpServers"),
        _plain,
        again="quit it and start it again",
    ),
    "cursor": Client(
        "Cursor",
        ("cursor",),
        ".cursor/mcp.json",
        ".cursor/mcp.json",
        _member_of("mcpServers"),
        _plain,
        ".cursor/mcp.json",
    ),
    "vscode": Client(
        "VS Code",
        ("code",),
        ".config/Code/User/mcp.json",
        "Library/Application Support/Code/User/mcp.json",
        _member_of("servers"),
        _typed,
        ".vscode/mcp.json",
        again="start the server in it with the command MCP: List Servers",
    ),
    "codex": Client(
        "Codex",
        ("codex",),
        ".codex/config.toml",
        ".codex/config.toml",
        lambda name: TomlEntry(("mcp_servers", name)),
        _plain,
        ".codex/config.toml",
    ),
    "gemini": Client(
        "Gemini CLI",
        ("gemini",),
        ".gemini/settings.json",
        ".gemini/settings.json",
        _member_of("mcpServers"),
        _plain,
        ".gemini/settings.json",
    ),
    "opencode": Client(
        "opencode",
        ("opencode",),
        ".config/opencode/opencode.json",
        ".config/opencode/opencode.json",
        _member_of("mcp"),
        _opencode,
        "opencode.json",
    ),
    "windsurf": Client(
        "Windsurf",
        ("windsurf",),
        ".codeium/windsurf/mcp_config.json",
        ".codeium/windsurf/mcp_config.json",
        _member_of("mcpServers"),
        _plain,
        again="press Refresh in its list of MCP servers",
    ),
}
"""Every assistant by the name it has on the command line."""


def settings_of_claude_code(environ: Mapping[str, str]) -> Path:
    """The file where Claude Code keeps hooks."""
    folder = environ.get("CLAUDE_CONFIG_DIR")
    return (
        Path(folder).absolute() if folder else Path(environ.get("HOME") or Path.home()) / ".claude"
    ) / "settings.json"


def merged(current: Any, wanted: Mapping[str, Any]) -> dict[str, Any]:
    """The entry to write where `current` is there: ours, and what the person has added to it.

    Their further keys and variables stay, whether it is enabled, and arguments as long as the program is the same.
    """
    if not isinstance(current, dict):
        return dict(wanted)
    entry: dict[str, Any] = {key: value for key, value in current.items() if key not in REMOTE} | dict(wanted)
    if "enabled" in current and "enabled" in wanted:
        entry["enabled"] = current["enabled"]
    for variables in ("env", "environment"):
        if isinstance(current.get(variables), dict):
            entry[variables] = {**current[variables], **wanted.get(variables, {})}
    ours, theirs = wanted["command"], current.get("command")
    if isinstance(ours, list):
        if len(ours) == 1 and isinstance(theirs, list) and theirs and _is_same_program(theirs[0], ours[0]):
            entry["command"] = [*ours, *theirs[1:]]
    elif "args" not in wanted and not _is_same_program(theirs, ours):
        entry.pop("args", None)
    return entry


def command_of(entry: Any) -> list[str]:
    """The program and arguments an entry starts, whatever its shape; nothing where it starts none."""
    if not isinstance(entry, dict):
        return []
    command, arguments = entry.get("command"), entry.get("args")
    words = command if isinstance(command, list) else [command, *(arguments if isinstance(arguments, list) else [])]
    return [str(word) for word in words] if words and isinstance(words[0], str) else []


def _is_same_program(one: Any, other: Any) -> bool:
    return isinstance(one, str) and isinstance(other, str) and os.path.basename(one) == os.path.basename(other)
