"""Commands that move memories in and out as files of the reference memory server: import and export.

Above it lies the program; below it the session, which asks the daemon slice by slice, so that a file of any size goes
through while the memory used stays small. The file's format is JSON Lines: one entity or one relation a line.
"""

from __future__ import annotations

import contextlib
import json
import os
import stat
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import IO, Any, BinaryIO, Final, NamedTuple

import click

from enhanced_memory.cli import output
from enhanced_memory.cli.session import ON_EXISTING, Command, Failed, Session, examples, file_trouble

SLICE_LINES: Final = 250
"""Lines in one request and so in one transaction. The operation takes 1,000; fewer keep other writers waiting less."""

SLICE_SHARE: Final = 4
"""A request's lines stay under this fraction of the largest request, since quoting can make text longer."""

SPOOL_BYTES: Final = 8 * 1024 * 1024
"""Relations wait in memory up to this size, in an unnamed temporary file beyond it."""

ERRORS_SHOWN: Final = 100
"""Bad lines told one by one to a person; --json gives them all."""

PAGE_LINES: Final = 500
"""Lines asked for at once when exporting."""

NEEDED: Final[dict[str, dict[str, type]]] = {
    "entity": {"name": str, "entityType": str, "observations": list},
    "relation": {"from": str, "to": str, "relationType": str},
}
"""What a line must hold, by its `type`."""


class Line(NamedTuple):
    """One line of the file: its number, its text without the line break, and its size in bytes with it."""

    number: int
    text: str
    size: int


@dataclass
class Summary:
    """What became of a file's lines. `errors`: the bad ones, each with its `line` and `error`."""

    entities: int = 0
    relations: int = 0
    unchanged: int = 0
    errors: list[dict[str, Any]] = field(default_factory=list)

    def add(self, reply: dict[str, Any]) -> None:
        """Count in what the daemon made of one slice."""
        self.entities += reply["entities"]
        self.relations += reply["relations"]
        self.unchanged += reply["unchanged"]
        self.errors += reply["errors"]

    def skip(self, line: int, error: str) -> None:
        """Note a line that is left out."""
        self.errors.append({"line": line, "error": error})

    @property
    def read(self) -> int:
        """Lines that could be read."""
        return self.entities + self.relations + self.unchanged

    @property
    def sentence(self) -> str:
        """What went through."""
        return f"{_counted(self.entities, 'entity', 'entities')}, {_counted(self.relations, 'relation', 'relations')}"


def _counted(count: int, one: str, many: str) -> str:
    """A number of things, with the word for them."""
    return f"{count:,} {one if count == 1 else many}"


@click.command(
    "import",
    cls=Command,
    short_help="Take over a file of the reference memory server.",
    epilog=examples(
        ("enhanced-memory import ~/memory.jsonl", "entities and relations; what is known already stays"),
        ("enhanced-memory import --dry-run memory.jsonl", "check the file, change nothing"),
        ("zcat memory.jsonl.gz | enhanced-memory import -", "from standard input"),
    ),
)
@click.argument("file", metavar="FILE|-", type=click.Path(exists=True, dir_okay=False, allow_dash=True))
@click.option("--on-existing", type=click.Choice(ON_EXISTING), help="If an entity is there already (merge).")
@click.option("--dry-run", is_flag=True, help="Check and count the lines, send nothing.")
@click.pass_obj
def import_command(session: Session, file: str, on_existing: str | None, dry_run: bool) -> None:
    """Take over FILE, one JSON entity or relation a line; relations may stand before their entities.

    A bad line is skipped and told by its number. Importing a file again changes nothing. Ends with status 1 if no line
    could be read.
    """
    summary = Summary()
    largest = session.settings.max_request_bytes
    with _source(file) as source, output.progress("Importing", lambda: _size(source), shown=not session.json) as done:
        lines = _lines(source, largest, summary)
        if dry_run:
            _count(lines, summary, done)
        else:
            _Import(session, on_existing, largest // SLICE_SHARE, summary, done).run(lines)
    summary.errors.sort(key=lambda error: error["line"])
    _report(session, file, summary, dry_run=dry_run)


@contextlib.contextmanager
def _source(file: str) -> Iterator[BinaryIO]:
    """The file to import, or standard input for `-`, in bytes."""
    try:
        if file == "-":
            yield sys.stdin.buffer
        else:
            with open(file, "rb") as source:
                yield source
    except OSError as error:
        raise file_trouble(error, file) from error


def _size(source: BinaryIO) -> int | None:
    """Bytes to read, None where nobody knows."""
    state = os.fstat(source.fileno())
    return state.st_size if stat.S_ISREG(state.st_mode) else None


def _lines(source: BinaryIO, longest: int, summary: Summary) -> Iterator[Line]:
    """The lines that hold something. One that is no text, or longer than a request may be, is noted in `summary`."""
    number = 0
    while raw := source.readline(longest):
        number += 1
        if len(raw) == longest and not raw.endswith(b"\n"):
            while (rest := source.readline(longest)) and not rest.endswith(b"\n"):
                pass  # the rest of the line is passed over, never held whole
            summary.skip(number, f"is longer than a request may be ({longest:,} bytes)")
            continue
        try:
            text = raw.decode("utf-8-sig" if number == 1 else "utf-8").rstrip("\r\n")
        except UnicodeDecodeError:
            summary.skip(number, "is not UTF-8")
            continue
        if text.strip():
            yield Line(number, text, len(raw))


def _parsed(text: str) -> Any:
    """The JSON value of a line, or None where it is none."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


@dataclass
class _Import:
    """One import: entities are sent as they come, relations wait until every entity is there.

    `budget`: bytes of lines in one request. `done` is told the size of what was dealt with.
    """

    session: Session
    on_existing: str | None
    budget: int
    summary: Summary
    done: Callable[[int], None]

    def run(self, lines: Iterator[Line]) -> None:
        """Send all lines. Raises: Failed: the daemon cannot go on; what it took so far stays."""
        with tempfile.SpooledTemporaryFile(SPOOL_BYTES) as waiting:
            self._send_all(_setting_aside(lines, waiting))
            waiting.seek(0)
            self._send_all(_waiting(waiting))

    def _send_all(self, lines: Iterator[Line]) -> None:
        """Send `lines` slice by slice."""
        batch: list[Line] = []
        size = 0
        for line in lines:
            if batch and (len(batch) == SLICE_LINES or size + line.size > self.budget):
                self._send(batch)
                batch, size = [], 0
            batch.append(line)
            size += line.size
        if batch:
            self._send(batch)

    def _send(self, batch: list[Line]) -> None:
        """Send one slice; where it proves too large or too slow, its halves, down to the line that is to blame."""
        params = {
            "lines": [{"line": line.number, "text": line.text} for line in batch],
            "on_existing": self.on_existing,
        }
        try:
            self.summary.add(self.session.ask("import_graph", params))
        except Failed as failed:
            code = failed.reply.get("code")
            if len(batch) > 1 and code in ("too_large", "timeout"):
                self._send(batch[: len(batch) // 2])
                self._send(batch[len(batch) // 2 :])
                return
            if code != "too_large":
                raise self._stopped(failed, batch[0].number) from failed
            self.summary.skip(batch[0].number, str(failed.reply["error"]))
        self.done(sum(line.size for line in batch))

    def _stopped(self, failed: Failed, line: int) -> Failed:
        """The failure that ends the import, with what is already in."""
        sentence = f"the import stopped at line {line}: {failed.reply.get('error')}"
        hint = f"in so far: {self.summary.sentence}; import the file again, nothing goes in twice"
        if failed.reply.get("hint"):
            hint = f"{failed.reply['hint']}; {hint}"
        return Failed({**failed.reply, "error": sentence, "hint": hint}, failed.status)


def _setting_aside(lines: Iterator[Line], waiting: IO[bytes]) -> Iterator[Line]:
    """`lines` without the relations, which go to `waiting` with their numbers and sizes.

    A line that is not one JSON object goes on with the entities, for the daemon to say what is wrong with it.
    """
    for line in lines:
        value = _parsed(line.text)
        if isinstance(value, dict) and value.get("type") == "relation":
            waiting.write(b"%d %d %s\n" % (line.number, line.size, line.text.encode()))
        else:
            yield line


def _waiting(waiting: IO[bytes]) -> Iterator[Line]:
    """The lines that were set aside."""
    for raw in waiting:
        number, size, text = raw[:-1].decode().split(" ", 2)
        yield Line(int(number), text, int(size))


def _count(lines: Iterator[Line], summary: Summary, done: Callable[[int], None]) -> None:
    """Check `lines` here, as far as that goes without the daemon, and count them."""
    for line in lines:
        value = _parsed(line.text)
        problem = _problem(value)
        if problem:
            summary.skip(line.number, problem)
        elif value["type"] == "entity":
            summary.entities += 1
        else:
            summary.relations += 1
        done(line.size)


def _problem(value: Any) -> str | None:
    """What is wrong with a line's JSON value, None if nothing is."""
    if not isinstance(value, dict):
        return "is not one JSON object"
    needed = NEEDED.get(str(value.get("type")))
    if needed is None:
        return "its `type` is neither entity nor relation"
    for key, kind in needed.items():
        if not isinstance(value.get(key), kind):
            return f"{key} must be a {'list' if kind is list else 'text'}"
    return None


def _report(session: Session, file: str, summary: Summary, *, dry_run: bool) -> None:
    """Tell what became of the file. Raises: Failed: it has lines, and none could be read."""
    counts: dict[str, Any] = {
        "entities": summary.entities,
        "relations": summary.relations,
        "unchanged": summary.unchanged,
        "errors": summary.errors,
        "dry_run": dry_run,
    }
    told = [f"line {error['line']}: {error['error']}" for error in summary.errors[:ERRORS_SHOWN]]
    if len(summary.errors) > ERRORS_SHOWN:
        told.append(f"and {len(summary.errors) - ERRORS_SHOWN:,} more; --json gives them all")
    if summary.errors and not summary.read:
        if not session.json:
            output.note("\n".join(told))
        sentence = f"no line of {click.format_filename(file)} could be read"
        hint = "the file must hold one JSON entity or relation a line, as the reference memory server writes it"
        raise Failed({"success": False, "error": sentence, "code": "parse_error", "hint": hint, **counts})
    if session.json:
        output.json_line({"success": True, **counts})
        return
    sentence = summary.sentence
    if summary.unchanged:
        sentence += f", {summary.unchanged:,} unchanged"
    if dry_run:
        sentence += " could be imported"
    if told:
        sentence += f"; {_counted(len(summary.errors), 'line', 'lines')} skipped:"
    print("\n".join(output.visible(line) for line in [sentence, *told]))


@click.command(
    "export",
    cls=Command,
    short_help="Write everything to a file of the reference memory server.",
    epilog=examples(
        ("enhanced-memory export memory.jsonl", "written whole or not at all, readable by you alone"),
        ("enhanced-memory export - | gzip > memory.jsonl.gz", "to standard output"),
    ),
)
@click.argument("file", metavar="FILE|-", type=click.Path(dir_okay=False, writable=True, allow_dash=True))
@click.pass_obj
def export_command(session: Session, file: str) -> None:
    """Write all entities and relations to FILE, one JSON object a line. A file that is there is replaced at the end."""
    summary = Summary()
    with output.progress("Exporting", lambda: _total(session), shown=not session.json) as done, _target(file) as target:
        for page in _pages(session, summary):
            target.writelines(page)
            done(len(page))
    reply = {
        "success": True,
        "entities": summary.entities,
        "relations": summary.relations,
        "file": click.format_filename(file),
    }
    if file == "-":
        output.note(summary.sentence)  # standard output holds the memories themselves
    elif session.json:
        output.json_line(reply)
    else:
        print(summary.sentence)


def _total(session: Session) -> int:
    """Lines an export will have, near enough for a progress bar."""
    status = session.ask("get_memory_status", {})
    return int(status["total_entities"]) + int(status["total_relations"])


def _pages(session: Session, summary: Summary) -> Iterator[list[bytes]]:
    """The lines of the export, page by page, counted in `summary`."""
    cursor: str | None = None
    while True:
        reply = session.ask("export_graph", {"cursor": cursor, "limit": PAGE_LINES})
        summary.entities += reply["entities"]
        summary.relations += reply["relations"]
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
