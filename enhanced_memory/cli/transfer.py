"""The command export: everything that is remembered as a file of the reference memory server.

Above it lies the program; below it the session, which asks the daemon page by page, so that a memory of any size goes
through while the memory used stays small. The file's format is JSON Lines: one entity or one relation a line.
"""

from __future__ import annotations

import contextlib
import functools
import os
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, Final

import click

from enhanced_memory.cli import output
from enhanced_memory.cli.session import Command, Session, examples, file_trouble

PAGE_LINES: Final = 500
"""Lines asked for at once when exporting."""


@dataclass
class Summary:
    """What was written."""

    entities: int = 0
    relations: int = 0
    versions: int = 0

    @property
    def sentence(self) -> str:
        """What was written, in words."""
        entities = f"{self.entities:,} {'entity' if self.entities == 1 else 'entities'}"
        relations = f"{self.relations:,} {'relation' if self.relations == 1 else 'relations'}"
        versions = f", {self.versions:,} {'version' if self.versions == 1 else 'versions'}" if self.versions else ""
        return f"{entities}, {relations}{versions}"


@click.command(
    "export",
    cls=Command,
    short_help="Write everything to a file of the reference memory server.",
    epilog=examples(
        ("enhanced-memory export memory.jsonl", "written whole or not at all, readable by you alone"),
        ("enhanced-memory export - | gzip > memory.jsonl.gz", "to standard output"),
        ("enhanced-memory export --history all.jsonl", "with every version, as further lines"),
    ),
)
@click.argument("file", metavar="FILE|-", type=click.Path(dir_okay=False, writable=True, allow_dash=True))
@click.option("--history", is_flag=True, help="Also write every version of what is there, as lines of type version.")
@click.pass_obj
def export_command(session: Session, file: str, history: bool) -> None:
    """Write all entities and relations of the namespace to FILE, one JSON object a line.

    A file that is there is replaced at the end.

    The reference server and `import` pass over lines of history; for a copy that can be restored whole, take a backup.
    """
    summary = Summary()
    whole = functools.partial(_total, session, history)
    with output.progress("Exporting", whole, shown=not session.json) as done, _target(file) as target:
        for page in _pages(session, summary, history):
            target.writelines(page)
            done(len(page))
    reply = {
        "success": True,
        "entities": summary.entities,
        "relations": summary.relations,
        "versions": summary.versions,
        "file": click.format_filename(file),
    }
    if file == "-":
        output.note(summary.sentence)  # standard output holds the memories themselves
    elif session.json:
        output.json_line(reply)
    else:
        print(summary.sentence)


def _total(session: Session, history: bool) -> int:
    """Lines an export will have, near enough for a progress bar."""
    status = session.ask("get_memory_status", {})
    versions = int(status["versioning"]["total_versions"]) if history else 0
    return int(status["total_entities"]) + int(status["total_relations"]) + versions


def _pages(session: Session, summary: Summary, history: bool) -> Iterator[list[bytes]]:
    """The lines of the export, page by page, counted in `summary`."""
    cursor: str | None = None
    while True:
        reply = session.ask("export_graph", {"cursor": cursor, "limit": PAGE_LINES, "history": history or None})
        summary.entities += reply["entities"]
        summary.relations += reply["relations"]
        summary.versions += reply.get("versions", 0)  # a daemon that was started before an update has none
        yield [line.encode() + b"\n" for line in reply["lines"]]
        cursor = reply["next_cursor"]
        if cursor is None:
            return


@contextlib.contextmanager
def _target(file: str) -> Iterator[IO[bytes]]:
    """Where the export goes: standard output, a device or pipe as it is, else a new file that takes the name later.

    That file lies beside the target, is the owner's alone from its first byte, and is on disk before it is renamed.
    """
    path = os.path.realpath(file)
    try:
        if file == "-":
            sys.stdout.flush()
            yield sys.stdout.buffer
            sys.stdout.buffer.flush()
        elif os.path.exists(path) and not os.path.isfile(path):
            with open(path, "wb") as device:
                yield device
        else:
            yield from _replacing(path)
    except BrokenPipeError:
        raise
    except OSError as error:
        raise file_trouble(error, file) from error


def _replacing(path: str) -> Iterator[IO[bytes]]:
    """A file that becomes `path` when everything is written, and disappears when anything goes wrong."""
    folder, name = os.path.split(path)
    with tempfile.NamedTemporaryFile(dir=folder, prefix=f".{name[:100]}.", delete=False) as target:
        try:
            yield target
            target.flush()
            os.fsync(target.fileno())
            os.replace(target.name, path)
        except BaseException:
            os.unlink(target.name)
            raise
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)  # the new name is on disk too
    finally:
        os.close(handle)
