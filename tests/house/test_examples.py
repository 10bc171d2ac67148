"""Every example in the documents does what the document says, against a home and a daemon of the page's own.

The word behind a fence tells what becomes of the block: `sh` runs in bash up to its first failure, `console` runs line
by line at a terminal and prints what stands there, `python` runs as a program and prints the `output` block behind it,
`json` and `toml` can be read, and a `json` block that is a request is answered by the daemon with success. A page's
blocks run in their order, in one folder. What would change more than a home, or never ends, is a `shell` block: of it
the commands, files and options are only looked up.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import shlex
import signal
import struct
import subprocess
import sys
import termios
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from enhanced_memory.cli.main import COMMANDS, program
from memory_client import BlockingMemoryClient
from tests.conftest import PATIENCE_S

ROOT = Path(__file__).resolve().parents[2]
PAGES = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").glob("*.md"))]
PROGRAMS = {
    "enhanced-memory": "enhanced_memory.cli.main",
    "memory-db-service": "enhanced_memory.service.main",
    "memory-mcp": "enhanced_memory.mcp.main",
}
RUN = {"sh", "console", "python", "json", "toml"}
SHOWN = {"shell", "output", "text", "ini", "yaml", "crontab", ""}
TELLS_BY_STATUS = ("enhanced-memory doctor", "enhanced-memory health")
"""Commands whose exit status 1 is an answer: in an empty home there is no backup, for one."""

TERMINAL = (24, 80)
"""Lines and columns of the terminal whose output the pages show."""


class Block(NamedTuple):
    """A fenced block of a page: its word, its text, and the text of the `output` block right behind it, if any."""

    language: str
    text: str
    output: str | None


def blocks(page: Path) -> list[Block]:
    """The page's fenced blocks, in their order."""
    found = re.findall(
        r"^```(\w*)\n(.*?)^```$(?=(\n+```output\n(.*?)^```$)?)", page.read_text(encoding="utf-8"), re.S | re.M
    )
    return [Block(language, text, output if behind else None) for language, text, behind, output in found]


def is_run_here(block: Block) -> bool:
    """Whether it is a block to run, and not one that sets a checkout up or runs this suite, which CI does."""
    return block.language in RUN and not all(line.startswith("./scripts/") for line in block.text.splitlines())


@pytest.fixture
def desk(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where a page's examples run: the programs on the path, and what a reader has in a checkout."""
    commands, desk = home / "bin", home / "desk"
    commands.mkdir()
    desk.mkdir()
    for name, module in PROGRAMS.items():
        start = f"import sys; from {module} import main; main(sys.argv[1:])"
        (commands / name).write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -c "{start}" "$@"\n')
        (commands / name).chmod(0o700)
    for name in ("deploy", "scripts", "server.py"):
        (desk / name).symlink_to(ROOT / name)
    for sample in (ROOT / "tests" / "cli" / "samples").iterdir():
        (desk / sample.name).symlink_to(sample)
    (desk / "memory.jsonl").symlink_to(desk / "reference.jsonl")
    monkeypatch.setenv("PATH", f"{commands}:{Path(sys.executable).parent}:{os.environ['PATH']}")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("MEMORY_MCP_IDLE_S", "0.05")  # the assistants' resident process ends with its last session
    monkeypatch.setenv("TERM", "dumb")  # no colours
    monkeypatch.delenv("COLUMNS", raising=False)
    subprocess.run(
        ["enhanced-memory", "status"], check=True, capture_output=True, timeout=PATIENCE_S
    )  # starts the daemon
    yield desk
    for lock in home.rglob("*.lock"):
        if (pid := lock.read_text().strip()).isdecimal():
            try:
                os.kill(int(pid), signal.SIGKILL)
            except ProcessLookupError:
                continue  # the page has ended it


def at_a_terminal(line: str, folder: Path) -> str:
    """What a shell line prints to a person."""
    ours, its = os.openpty()
    fcntl.ioctl(its, termios.TIOCSWINSZ, struct.pack("HHHH", *TERMINAL, 0, 0))
    printed = b""
    with subprocess.Popen(["bash", "-c", line], cwd=folder, stdin=its, stdout=its, stderr=its) as process:
        os.close(its)
        try:
            while part := os.read(ours, 65536):
                printed += part
        except OSError:
            pass  # how Linux tells that the last writer has gone
        os.close(ours)
    assert process.returncode == 0, printed.decode()
    return printed.decode().replace("\r\n", "\n")


def comparable(printed: str) -> list[str]:
    """The lines of an output without what differs from run to run: times, decimals, widths, empty lines."""
    for pattern in (r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d(\.\d+Z)?", r"\d+\.\d+", r"─+"):
        printed = re.sub(pattern, "*", printed)
    return [" ".join(line.split()) for line in printed.splitlines() if line.strip()]


def run(block: Block, folder: Path) -> None:
    """Do what the block says, and hold it to what it promises."""
    if block.language == "sh":
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", block.text],
            cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=PATIENCE_S,
        )  # fmt: skip
        allowed = {0, 1} if block.text.rstrip().startswith(TELLS_BY_STATUS) else {0}
        assert done.returncode in allowed, done.stdout + done.stderr
        if block.output is not None:
            assert comparable(done.stdout) == comparable(block.output)
    elif block.language == "console":
        for command, promised in re.findall(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", block.text, re.M):
            assert comparable(at_a_terminal(command, folder)) == comparable(promised), command
    elif block.language == "python":
        done = subprocess.run(
            [sys.executable, "-c", block.text], cwd=folder, capture_output=True, text=True, timeout=PATIENCE_S
        )
        assert done.returncode == 0, done.stderr
        assert comparable(done.stdout) == comparable(block.output or ""), done.stdout
    elif block.language == "json":
        value = json.loads(block.text)
        if isinstance(value, dict) and "method" in value:
            with BlockingMemoryClient(autostart=True) as memory:
                reply = memory.call(value["method"], value.get("params"))
            assert reply["success"], reply
    elif block.language == "toml":
        tomllib.loads(block.text)


@pytest.mark.process
@pytest.mark.parametrize(
    "page", [page for page in PAGES if any(map(is_run_here, blocks(page)))], ids=lambda page: page.name
)
def test_every_example_of_the_page_does_what_the_page_says(page: Path, desk: Path) -> None:
    for block in blocks(page):
        if is_run_here(block):
            print(block.text)  # a failure shows how far the page has come
            run(block, desk)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_block_says_whether_it_runs(page: Path) -> None:
    assert {block.language for block in blocks(page)} <= RUN | SHOWN


def shown_commands() -> list[list[str]]:
    """The words of every command of ours that a page shows: in blocks that are not run, and between backticks."""
    lines = []
    for page in PAGES:
        lines += [line for block in blocks(page) if block.language == "shell" for line in block.text.splitlines()]
        lines += re.findall(r"`((?:enhanced-memory|memory-mcp|memory-db-service) [^`\n]+)`", page.read_text("utf-8"))
    return [words for line in lines if (words := shlex.split(line, comments=True))]


def test_every_command_of_ours_that_is_only_shown_is_there_with_its_options() -> None:
    seen = 0
    for words in shown_commands():
        if words[0] != "enhanced-memory" or words[1].startswith("-"):
            continue
        seen += 1
        names = words[1].split("|")
        assert set(names) <= set(COMMANDS), shlex.join(words)
        known = {option for name in names for option in options_of(name)}
        told = {word.strip("[]").split("=")[0] for word in words if word.strip("[]").startswith("--")}
        assert told <= known, shlex.join(words)
    assert seen


def options_of(name: str) -> set[str]:
    """The options of a sub-command, and those of its own sub-commands."""
    import click

    command = program.get_command(click.Context(program), name)
    assert command is not None
    commands = [command, *getattr(command, "commands", {}).values()]
    return {option for each in commands for parameter in each.params for option in parameter.opts}


def test_every_file_that_a_shown_command_names_is_there() -> None:
    for words in shown_commands():
        for word in words:
            if re.match(r"(\./)?(scripts|deploy|tests)/[\w./-]+$", word):
                assert (ROOT / word).exists(), shlex.join(words)
