"""What the documents say is so: files that are there, commands that run, links that lead somewhere."""

from __future__ import annotations

import ast
import json
import os
import re
import shlex
import signal
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from enhanced_memory import __version__
from enhanced_memory.cli.main import COMMANDS
from enhanced_memory.settings import Settings

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").glob("*.md"))]
README = (ROOT / "README.md").read_text(encoding="utf-8")
FIVE_MINUTES = README.split("## First memory in five minutes")[1].split("\n## ")[0]
PROGRAMS = {
    "enhanced-memory": "enhanced_memory.cli.main",
    "memory-db-service": "enhanced_memory.service.main",
    "memory-mcp": "enhanced_memory.mcp.main",
}


def blocks(text: str, language: str) -> list[str]:
    """The fenced blocks of a language in a document."""
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)


def command_lines(text: str) -> list[list[str]]:
    """The words of every line in a document's shell blocks."""
    return [shlex.split(line, comments=True) for block in blocks(text, "sh") for line in block.splitlines() if line]


def run(command: list[str]) -> subprocess.CompletedProcess[str]:
    """A README's line as the reader runs it, in the checkout's top folder; its output."""
    if command[0] in PROGRAMS:
        start = f"import sys; from {PROGRAMS[command[0]]} import main; main(sys.argv[1:])"
        command = [sys.executable, "-c", start, *command[1:]]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)


@pytest.fixture
def ended_daemon(home: Path) -> Iterator[None]:
    """Ends the daemon that the test's commands have started."""
    yield
    lock = home / ".memories" / "memory.db.lock"
    if lock.exists():
        os.kill(int(lock.read_text()), signal.SIGKILL)


@pytest.mark.process
def test_every_line_of_the_readmes_first_five_minutes_works(home: Path, ended_daemon: None) -> None:
    for command in command_lines(FIVE_MINUTES):
        if command[0] == "export":
            continue
        at_home = [str(home / word) if word.endswith(".jsonl") else word for word in command]
        done = run(at_home)
        assert done.returncode == 0, f"{shlex.join(command)}\n{done.stdout}{done.stderr}"
        assert done.stdout.strip(), f"{shlex.join(command)} says nothing"
    for program in blocks(FIVE_MINUTES, "python"):
        done = run([sys.executable, "-c", program])
        assert (done.returncode, done.stdout) == (0, "Charles Babbage\n"), done.stderr


@pytest.mark.process
def test_every_line_of_the_page_on_importing_works_with_the_samples(home: Path, ended_daemon: None) -> None:
    samples = {path.name: str(path) for path in (ROOT / "tests" / "cli" / "samples").iterdir()}
    samples["memory.jsonl"] = samples["reference.jsonl"]
    for command in command_lines((ROOT / "docs" / "importing.md").read_text(encoding="utf-8")):
        done = run([samples.get(word, word) for word in command])
        assert done.returncode == 0, f"{shlex.join(command)}\n{done.stdout}{done.stderr}"
        assert done.stdout.strip(), f"{shlex.join(command)} says nothing"


@pytest.mark.process
def test_every_line_of_the_page_on_the_command_line_works(home: Path, ended_daemon: None) -> None:
    text = (ROOT / "docs" / "command-line.md").read_text(encoding="utf-8")
    for command in command_lines(text):
        done = run(command)
        assert done.returncode == 0, f"{shlex.join(command)}\n{done.stdout}{done.stderr}"
        assert done.stdout.strip() or done.stderr.strip(), f"{shlex.join(command)} says nothing"
    for name in re.findall(r"`enhanced-memory ([a-z]+)", text):
        assert name in COMMANDS, name


def test_every_command_in_a_document_is_there() -> None:
    seen = set()
    for document in DOCUMENTS:
        for words in command_lines(document.read_text(encoding="utf-8")):
            program = Path(words[0]).name
            seen.add(program)
            if program == "enhanced-memory" and not words[1].startswith("-"):
                assert words[1] in COMMANDS, f"{document.name}: {shlex.join(words)}"
            elif words[0].startswith("./"):
                assert os.access(ROOT / words[0], os.X_OK), f"{document.name}: {shlex.join(words)}"
            elif program.startswith("python") and words[1].endswith(".py"):
                assert (ROOT / words[1]).is_file(), f"{document.name}: {shlex.join(words)}"
    assert {"start", "test", "enhanced-memory"} <= seen


def test_every_snippet_for_an_assistant_can_be_read_and_starts_the_mcp_server() -> None:
    servers = [
        server
        for snippet in [*map(json.loads, blocks(README, "json")), *map(tomllib.loads, blocks(README, "toml"))]
        for key in ("mcpServers", "servers", "mcp_servers")
        for server in snippet.get(key, {}).values()
    ]
    assert len(servers) == 3
    assert {Path(server["command"]).name for server in servers} == {"memory-mcp"}


def test_the_readmes_settings_are_settings_with_their_defaults() -> None:
    known = Settings.__dataclass_fields__.values()
    defaults = {spec.metadata["variable"]: str(int(d) if (d := spec.default) is True else d) for spec in known}
    told = dict(re.findall(r"^\| `(MEMORY_\w+)` \| `(.*?)` \|", README, re.MULTILINE))
    assert told
    assert told.items() <= defaults.items()


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_link_in_a_document_leads_to_a_file(document: Path) -> None:
    for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", document.read_text(encoding="utf-8")):
        assert (document.parent / target).exists(), f"{document.name} links to {target}"


def test_every_file_that_the_architecture_names_is_there() -> None:
    text = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
    paths = re.findall(r"`((?:enhanced_memory|scripts|tests|docs|deploy)/[\w./-]*)`", text)
    assert paths
    assert [path for path in paths if not (ROOT / path).exists()] == []


@pytest.mark.parametrize(
    "name",
    [
        "memory_db_service.py",
        "memory_client.py",
        "server.py",
        "schema.sql",
        "pyproject.toml",
        "constraints.txt",
        "README.md",
        "ARCHITECTURE.md",
        "CONTRIBUTING.md",
        "CHANGELOG.md",
        "LICENSE",
        "scripts/start",
        "scripts/test",
    ],
)
def test_a_promised_file_is_there(name: str) -> None:
    assert (ROOT / name).is_file()


def test_the_changelog_tells_of_this_version() -> None:
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert f"## [{__version__}]" in text or f"## {__version__}" in text


SOURCES = [
    *sorted(ROOT.glob("*.py")),
    *(path for folder in ("enhanced_memory", "scripts", "tests") for path in sorted((ROOT / folder).rglob("*.py"))),
]


def test_every_module_opens_by_saying_what_it_is() -> None:
    silent = [
        str(path.relative_to(ROOT))
        for path in SOURCES
        if path.stat().st_size and not ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
    ]
    assert silent == []
