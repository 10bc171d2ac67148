"""The command import: takes over what another program remembers, in any of the formats of `imports/`.

Above it lies the program; below it the readers, which give items one by one, and the session, which sends them to the
daemon slice by slice, so that a source of any size goes through while the memory used stays small. A conversation's
facts are extracted by the daemon and go in as entities, so that a dry run and a real one take the same road.
"""

from __future__ import annotations

import importlib
import json
import re
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import IO, Any, Final

import click

from enhanced_memory.cli import output
from enhanced_memory.cli.imports.items import Bad, Conversation, Item, Record, entity
from enhanced_memory.cli.imports.source import Source
from enhanced_memory.cli.session import ON_EXISTING, Command, Failed, Session, examples, file_trouble

SLICE_LINES: Final = 250
"""Lines in one request and so in one transaction. The operation takes 1,000; fewer keep other writers waiting less."""

SLICE_SHARE: Final = 4
"""A request's lines stay under this fraction of the largest request, since quoting can make text longer."""

SPOOL_BYTES: Final = 8 * 1024 * 1024
"""Relations wait in memory up to this size, in an unnamed temporary file beyond it."""

TALK_CHARACTERS: Final = 200_000
"""A long conversation is extracted from in stretches of about this length, each far within an operation's time."""

BAD_SHOWN: Final = 100
"""Bad items told one by one to a person; --json gives them all."""

FORMATS: Final = ("auto", "jsonl", "mcp-memory-service", "basic-memory", "chatgpt", "claude", "markdown")
"""What --format offers; said again here because `imports.detect` need not be loaded for help, a test compares them."""

_LABELLED: Final = re.compile(r"\s*(?:[#<*_\[(\d>-]|[^:\n]{0,160}[:\uff1a])")
"""A line that could be taken for a speaker's label, a heading or a date; it gets its speaker's label again."""


@dataclass
class Summary:
    """What became of a source's items. `errors`: the bad ones, each with its `place`, `error`, and `line` if it has."""

    format: str = "jsonl"
    conversations: int = 0
    created: int = 0
    updated: int = 0
    relations: int = 0
    unchanged: int = 0
    secrets: int = 0
    history: int = 0
    errors: list[dict[str, Any]] = field(default_factory=list)

    def skip(self, place: str, error: str, number: int | None = None) -> None:
        """Note an item that is left out."""
        self.errors.append({"place": place, "error": error} | ({} if number is None else {"line": number}))

    @property
    def read(self) -> int:
        """Items that could be read."""
        return self.conversations + self.created + self.updated + self.relations + self.unchanged + self.history

    @property
    def counts(self) -> dict[str, Any]:
        """All figures, for programs."""
        return {
            "format": self.format,
            "conversations": self.conversations,
            "entities": self.created + self.updated,
            "created": self.created,
            "updated": self.updated,
            "relations": self.relations,
            "unchanged": self.unchanged,
            "skipped": len(self.errors),
            "secrets": self.secrets,
            "history_left_out": self.history,
            "errors": self.errors,
        }

    @property
    def sentence(self) -> str:
        """What went through."""
        told = []
        if self.conversations:
            told.append(f"{output.counted(self.conversations, 'conversation', 'conversations')} read")
        told.append(f"{output.counted(self.created, 'entity', 'entities')} created")
        if self.updated:
            told.append(f"{self.updated:,} updated")
        told.append(output.counted(self.relations, "relation", "relations"))
        if self.unchanged:
            told.append(f"{self.unchanged:,} unchanged")
        if self.history:
            told.append(f"{output.counted(self.history, 'version', 'versions')} of the history left out")
        if self.secrets:
            told.append(f"{output.counted(self.secrets, 'secret', 'secrets')} masked")
        return ", ".join(told)


@click.command(
    "import",
    cls=Command,
    short_help="Take over memories, notes or conversations of another program.",
    epilog=examples(
        ("enhanced-memory import ~/memory.jsonl", "a file of the reference memory server"),
        ("enhanced-memory import --dry-run chatgpt-export.zip", "what an import would do; changes nothing"),
        ("enhanced-memory import conversations.json", "facts out of ChatGPT's or Claude's conversations"),
        ("enhanced-memory import ~/notes", "a folder of Markdown, or of basic-memory's notes"),
        ("enhanced-memory import --format mcp-memory-service export.json", "if the format is not recognised"),
        ("zcat memory.jsonl.gz | enhanced-memory import -", "from standard input"),
    ),
)
@click.argument("source", metavar="PATH|-", type=click.Path(exists=True, allow_dash=True))
@click.option("--format", "format_name", type=click.Choice(FORMATS), default="auto", help="What PATH holds (auto).")
@click.option("--on-existing", type=click.Choice(ON_EXISTING), help="If an entity is there already (merge).")
@click.option("--dry-run", is_flag=True, help="Tell what an import would do, and change nothing.")
@click.pass_obj
def import_command(session: Session, source: str, format_name: str, on_existing: str | None, dry_run: bool) -> None:
    """Take over what PATH holds: a file, a .zip, or a folder. The format is recognised by what is in it.

    An item that cannot be used is skipped and told by its place. Importing again changes nothing. Ends with status 1
    if nothing could be read, or nothing is there. docs/importing.md tells what becomes of each format.
    """
    from enhanced_memory.cli.imports.detect import FORMATS as MODULES
    from enhanced_memory.cli.imports.detect import format_of
    from enhanced_memory.cli.imports.source import opened

    summary = Summary()
    longest = session.settings.max_request_bytes
    try:
        with opened(source, longest) as (found, head):
            summary.format = format_of(found, head) if format_name == "auto" else format_name
            reader = importlib.import_module(f"enhanced_memory.cli.imports.{MODULES[summary.format]}")
            items: Iterator[Item] = reader.items(found)
            with output.progress("Importing", lambda: found.total, shown=not session.json) as done:
                _Import(session, on_existing, dry_run, longest // SLICE_SHARE, summary, done).run(items)
    except OSError as error:
        raise file_trouble(error, source) from error
    except KeyboardInterrupt:
        if not dry_run:
            output.note("Stopped; what went in before stays, and importing the same again adds the rest.")
        raise
    summary.errors.sort(key=lambda error: error.get("line", 0))
    _report(session, found, summary, dry_run=dry_run)


@dataclass
class _Import:
    """One import: entities are sent as they come, relations wait until every entity is there.

    `budget`: bytes of lines in one request. `done` is told the size of what was dealt with.
    """

    session: Session
    on_existing: str | None
    dry_run: bool
    budget: int
    summary: Summary
    done: Callable[[int], None]
    _facts: int = 0
    _trial: _Trial = field(default_factory=lambda: _Trial())

    def run(self, items: Iterator[Item]) -> None:
        """Deal with all items. Raises: Failed: the daemon cannot go on; what it took so far stays."""
        with tempfile.SpooledTemporaryFile(SPOOL_BYTES) as waiting:
            self._send_all(self._entities(items, waiting))
            waiting.seek(0)
            self._send_all(_waiting(waiting))

    def _entities(self, items: Iterator[Item], waiting: IO[bytes]) -> Iterator[Record]:
        """The items that go in first: entities, and facts of conversations. Relations go to `waiting`.

        A line that is not one JSON object goes on with the entities, for the daemon to say what is wrong with it.
        """
        for item in items:
            if isinstance(item, Bad):
                self.summary.skip(item.place, item.reason, item.number)
                self.done(item.size)
            elif isinstance(item, Conversation):
                yield from self._extracted(item)
                self.done(item.size)
            elif (kind := _value(item.text).get("type")) == "version":
                self.summary.history += 1
                self.done(item.size)
            elif kind == "relation":
                head = json.dumps([item.place, item.number, item.size])
                waiting.write(f"{head}\n{item.text}\n".encode())
            else:
                yield item

    def _extracted(self, talk: Conversation) -> Iterator[Record]:
        """The entities of the facts that a conversation states."""
        found: dict[str, tuple[str, list[str]]] = {}
        for text in _stretches(talk):
            params = {"conversation_text": text, "session_id": talk.session, "auto_store": False}
            try:
                reply = self.session.ask("auto_extract_facts", params)
            except Failed as failed:
                raise self._stopped(failed, talk.place) from failed
            self.summary.secrets += sum(reply.get("secrets", {}).values())
            for fact in reply["facts"]:
                known = found.setdefault(fact["name"], (fact["entityType"], []))[1]
                known += [text for text in fact["observations"] if text not in known]
        self.summary.conversations += 1
        for name, (kind, observations) in found.items():
            self._facts += 1
            yield entity(
                talk.place,
                self._facts,
                name,
                kind,
                observations,
                source_session=talk.session,
                source_timestamp=talk.began,
                extraction_method="auto",
            )

    def _send_all(self, records: Iterator[Record]) -> None:
        """Send `records` slice by slice."""
        batch: list[Record] = []
        size = 0
        for record in records:
            length = len(record.text.encode())
            if batch and (len(batch) == SLICE_LINES or size + length > self.budget):
                self._send(batch)
                batch, size = [], 0
            batch.append(record)
            size += length
        if batch:
            self._send(batch)

    def _send(self, batch: list[Record]) -> None:
        """Send one slice; where it proves too large or too slow, its halves, down to the item that is to blame."""
        params: dict[str, Any] = {
            "lines": [{"line": record.number, "text": record.text} for record in batch],
            "on_existing": self.on_existing,
        }
        if self.dry_run:
            params["assumed"] = self._trial.ends(batch)
        try:
            reply = self.session.ask("preview_import" if self.dry_run else "import_graph", params)
        except Failed as failed:
            code = failed.reply.get("code")
            if len(batch) > 1 and code in ("too_large", "timeout"):
                self._send(batch[: len(batch) // 2])
                self._send(batch[len(batch) // 2 :])
                return
            if code != "too_large":
                raise self._stopped(failed, batch[0].place) from failed
            self.summary.skip(batch[0].place, str(failed.reply["error"]), self._line(batch[0]))
        else:
            self._count(batch, reply)
        self.done(sum(record.size for record in batch))

    def _count(self, batch: list[Record], reply: dict[str, Any]) -> None:
        """Count in what the daemon made, or would make, of one slice."""
        summary = self.summary
        if self.dry_run:
            actions = self._trial.settle(batch, reply["actions"], self.on_existing, self._previewed)
            for record, action in zip(batch, actions, strict=True):
                if action == "taken":
                    name = _value(record.text)["name"].strip()
                    summary.skip(record.place, f"there is an entity {name!r} already", self._line(record))
            summary.created += actions.count("created")
            summary.updated += actions.count("updated")
            summary.relations += actions.count("related")
            summary.unchanged += actions.count("unchanged")
        else:
            summary.created += reply["created"]
            summary.updated += reply["updated"]
            summary.relations += reply["relations"]
            summary.unchanged += reply["unchanged"]
        records = {record.number: record for record in batch}
        for error in reply["errors"]:
            record = records[error["line"]]
            summary.skip(record.place, error["error"], self._line(record))

    def _previewed(self, texts: list[str]) -> list[str]:
        """What would become of these lines by themselves."""
        lines = [{"line": number, "text": text} for number, text in enumerate(texts, start=1)]
        reply = self.session.ask("preview_import", {"lines": lines, "on_existing": self.on_existing})
        actions: list[str] = reply["actions"]
        return actions

    def _line(self, record: Record) -> int | None:
        """The number of a record's line, where the source has lines."""
        return record.number if self.summary.format == "jsonl" else None

    def _stopped(self, failed: Failed, place: str) -> Failed:
        """The failure that ends the import, with what is already in."""
        sentence = f"the import stopped at {place}: {failed.reply.get('error')}"
        hint = f"in so far: {self.summary.sentence}; import the same again, nothing goes in twice"
        if failed.reply.get("hint"):
            hint = f"{failed.reply['hint']}; {hint}"
        return Failed({**failed.reply, "error": sentence, "hint": hint}, failed.status)


class _Trial:
    """What a dry run keeps in mind of earlier slices, since the daemon keeps nothing of them.

    Names and hashes of what was told, so that a name, an observation or a relation that comes again counts as it would.
    """

    def __init__(self) -> None:
        self._names: set[str] = set()
        self._told: set[int] = set()
        self._last: dict[str, int] = {}

    def ends(self, batch: list[Record]) -> list[str]:
        """The ends of the relations in a slice that earlier slices would have made."""
        values = [_value(record.text) for record in batch]
        ends = [value.get(key) for value in values if value.get("type") == "relation" for key in ("from", "to")]
        return sorted({end.strip() for end in ends if isinstance(end, str) and end.strip() in self._names})

    def settle(
        self, batch: list[Record], actions: list[str], on_existing: str | None, ask: Callable[[list[str]], list[str]]
    ) -> list[str]:
        """What would become of each record, the daemon's answer corrected by what came before it.

        `ask` gives the daemon's answer for further lines.
        """
        values = [_value(record.text) for record in batch]
        before = frozenset(self._names)
        settled = []
        for value, action in zip(values, actions, strict=True):
            settled.append(action if action == "error" else self._settled(value, action, before, on_existing, ask))
        return settled

    def _settled(
        self,
        value: dict[str, Any],
        action: str,
        before: frozenset[str],
        on_existing: str | None,
        ask: Callable[[list[str]], list[str]],
    ) -> str:
        if value["type"] == "relation":
            again = self._tell((value["from"].strip(), value["relationType"].strip(), value["to"].strip()))
            return "unchanged" if again else action
        name = value["name"].strip()
        content = {key: item for key, item in value.items() if key != "observations"}
        if on_existing == "replace":
            content = value
        untold = [text for text in value.get("observations", []) if not self._tell((name, text))]
        mark = hash(json.dumps(content, sort_keys=True))
        same, self._last[name] = self._last.get(name) == mark, mark
        self._names.add(name)
        if name not in before:
            return action
        if on_existing == "error":
            return "taken"
        if on_existing == "skip" or (same and (on_existing == "replace" or not untold)):
            return "unchanged"
        if on_existing == "replace" or not same:
            return "updated"
        # What is new to the file may be old to the memory: behind a line that makes up for those before, it shows.
        bare, further = ({**content, "observations": texts} for texts in ([], untold))
        return "updated" if ask([json.dumps(bare), json.dumps(further)])[1] == "updated" else "unchanged"

    def _tell(self, words: tuple[str, ...]) -> bool:
        """Note something told; whether it was told before."""
        mark = hash(words)
        known = mark in self._told
        self._told.add(mark)
        return known


def _value(text: str) -> dict[str, Any]:
    """The JSON object of a line, an empty one where it is none."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _waiting(waiting: IO[bytes]) -> Iterator[Record]:
    """The relations that were set aside."""
    for head in waiting:
        place, number, size = json.loads(head)
        yield Record(place, number, next(iter(waiting)).decode()[:-1], size)


def _stretches(talk: Conversation) -> Iterator[str]:
    """A conversation as text with its speakers and days, in stretches that begin with a speaker."""
    stretch: list[str] = []
    length = 0
    for turn in talk.turns:
        who = f"[{turn.date[:10]}] {turn.speaker}:" if turn.date else f"{turn.speaker}:"
        for number, line in enumerate(turn.text.splitlines()):
            begins = number == 0 or length > TALK_CHARACTERS
            if length > TALK_CHARACTERS:
                yield "\n".join(stretch)
                stretch, length = [], 0
            stretch.append(f"{who} {line}" if begins or _LABELLED.match(line) else line)
            length += len(stretch[-1]) + 1
    if stretch:
        yield "\n".join(stretch)


def _report(session: Session, source: Source, summary: Summary, *, dry_run: bool) -> None:
    """Tell what became of the source. Raises: Failed: none of its items could be read, or it has none.

    A file of the reference server may be empty, as it is before its first memory.
    """
    told = [f"{error['place']}: {error['error']}" for error in summary.errors[:BAD_SHOWN]]
    if len(summary.errors) > BAD_SHOWN:
        told.append(f"and {len(summary.errors) - BAD_SHOWN:,} more; --json gives them all")
    counts = {**summary.counts, "dry_run": dry_run}
    if not summary.read and (summary.errors or source.is_folder or summary.format != "jsonl"):
        if told and not session.json:
            output.note("\n".join(told))
        path = click.format_filename(source.path)
        what = "line" if summary.format == "jsonl" else "item"
        sentence = f"no {what} of {path} could be read as {summary.format}"
        hint = f"if it is of another kind, say which: --format {', '.join(FORMATS[1:])}"
        if not summary.errors:
            sentence = f"there is nothing to import in {path}, read as {summary.format}"
        if not summary.errors and source.is_folder:
            hint = "of a folder, notes (.md, .markdown) and conversations.json are read; any other file must be named"
        raise Failed({"success": False, "error": sentence, "code": "parse_error", "hint": hint, **counts})
    if session.json:
        output.json_line({"success": True, **counts})
        return
    if dry_run:
        output.note("Dry run: nothing was changed.")
    sentence = f"{summary.sentence}; {len(summary.errors):,} skipped:" if told else summary.sentence
    print("\n".join(output.visible(line) for line in [sentence, *told]))
