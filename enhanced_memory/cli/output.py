"""What the command line prints: JSON for programs, tables for people at a terminal, plain lines for pipes.

Above it lie the commands; below it the hall. Standard library only until something is printed at a terminal: rich is
imported there and nowhere else. Data goes to standard output, remarks, errors and progress to standard error.
"""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from enhanced_memory.wire import encode

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

TableOf = tuple[Sequence[str], Iterable[Sequence[object]]]
"""Headings and rows, as `table` takes them."""

_ESCAPES = {code: f"\\x{code:02x}" for code in (*range(32), *range(127, 160))} | {9: "\\t", 10: "\\n", 13: "\\r"}


def at_terminal() -> bool:
    """Whether a person reads standard output."""
    return sys.stdout.isatty()


def visible(text: object) -> str:
    """`text` on one line, control characters escaped as Python writes them.

    Memories are other people's words: printed raw, one could move the cursor, rename the window or fake a line.
    """
    return str(text).translate(_ESCAPES)


def counted(count: int, one: str, many: str) -> str:
    """A number of things, with the word for them."""
    return f"{count:,} {one if count == 1 else many}"


def moment(time: str) -> str:
    """A time as the daemon tells it; for a person shorter, to the second and without its zone, which is UTC."""
    return time[:19].replace("T", " ") if at_terminal() else time


def json_line(value: Mapping[str, Any]) -> None:
    """`value` as one line of JSON on standard output, in UTF-8 whatever the locale says."""
    raw_lines([encode(value)])


def raw_lines(lines: Iterable[bytes]) -> None:
    """Ready lines to standard output, byte for byte."""
    sys.stdout.flush()
    sys.stdout.buffer.writelines(lines)
    sys.stdout.buffer.flush()


def lines(rows: Iterable[Sequence[object]]) -> None:
    """One line a row, its cells separated by tabs; a tab or newline inside a cell is escaped."""
    for row in rows:
        print("\t".join(visible(cell) for cell in row))


def flat(reply: Mapping[str, Any], path: str = "") -> list[tuple[str, object]]:
    """Each figure of a reply with its path, as in `by_type.person`, for tools that read line by line."""
    rows: list[tuple[str, object]] = []
    for key, value in reply.items():
        if isinstance(value, dict):
            rows += flat(value, f"{path}{key}.")
        elif isinstance(value, list):
            rows += [(f"{path}{key}", item) for item in value]
        elif key != "success":
            rows.append((f"{path}{key}", value))
    return rows


def table(headings: Sequence[str], rows: Iterable[Sequence[object]], title: str | None = None) -> None:
    """A table for a terminal; a heading that starts with `>` stands over numbers. A cell may hold several lines."""
    _console().print(_drawn(headings, rows, title))


def tables(several: Iterable[TableOf]) -> None:
    """Tables for a terminal, one below the other."""
    for each in several:
        table(*each)


@contextmanager
def redrawn() -> Iterator[Callable[[Iterable[TableOf]], None]]:
    """For a terminal: gives a function that shows tables in the place of those it showed before."""
    from rich.console import Group
    from rich.live import Live

    console = _console()
    if console.is_dumb_terminal:
        yield tables
        return
    with Live(console=console, auto_refresh=False, vertical_overflow="visible") as live:
        yield lambda several: live.update(Group(*(_drawn(*each) for each in several)), refresh=True)


def _drawn(headings: Sequence[str], rows: Iterable[Sequence[object]], title: str | None = None) -> Table:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    drawn = Table(box=box.SIMPLE_HEAD, title=title and visible(title), title_justify="left", pad_edge=False)
    for heading in headings:
        drawn.add_column(heading.lstrip(">"), justify="right" if heading.startswith(">") else "left", overflow="fold")
    for row in rows:
        drawn.add_row(*(Text(several_lines(cell)) for cell in row))
    return drawn


def answer(as_json: bool, reply: Mapping[str, Any], headings: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """A reply as JSON, as a table at a terminal, or as plain lines; the usual way to answer."""
    if as_json:
        json_line(reply)
    elif not at_terminal():
        lines(rows)
    elif shown := list(rows):
        table(headings, shown)


def styled(several: Iterable[Sequence[tuple[str, str]]]) -> None:
    """For a terminal: lines, each of pieces of text with their styles; a piece is made visible."""
    from rich.text import Text

    console = _console()
    for pieces in several:
        console.print(Text.assemble(*((visible(text), style) for text, style in pieces)), soft_wrap=False)


Branch = tuple[str, list["Branch"]]
"""A tree: what it says, and what grows from it."""


def tree(root: Branch) -> None:
    """For a terminal: a tree with lines to its branches."""
    from rich.text import Text
    from rich.tree import Tree

    drawn = Tree(Text(visible(root[0]), style="bold"), guide_style="dim")
    waiting = [(drawn, root)]
    while waiting:
        at, (_, branches) = waiting.pop()
        waiting += [(at.add(Text(visible(branch[0]))), branch) for branch in branches]
    _console().print(drawn)


def block(heading: str, remark: str, items: Iterable[tuple[str, object]]) -> None:
    """For a terminal: a bold heading with a remark beside it, and below it items behind their marks."""
    from rich.table import Table
    from rich.text import Text

    console = _console()
    console.print(Text(visible(heading), style="bold").append(f"  {visible(remark)}", style="not bold dim"))
    body = Table.grid(padding=(0, 1))
    body.add_column(width=2, justify="right")
    body.add_column(overflow="fold")
    for mark, text in items:
        body.add_row(mark, Text(several_lines(text)))
    console.print(body)


def pretty_json(value: Any) -> None:
    """For a terminal: JSON data, indented and in colours."""
    _console().print_json(data=value)


def several_lines(text: object) -> str:
    """As `visible`, but line breaks stay: for cells of a terminal's table."""
    return "\n".join(visible(line) for line in str(text).split("\n"))


def note(text: str) -> None:
    """A remark for the person, on standard error."""
    print(several_lines(text), file=sys.stderr)


def months_meant(**spans: str | None) -> None:
    """Tell what a span such as 1m was taken for: the daemon's m is a month, and many write it for a minute."""
    for option, span in spans.items():
        number = (span or "").strip().lower().removesuffix("m")
        if span and number != span.strip().lower() and number.isdecimal():
            months = f"{number} {'month' if number == '1' else 'months'} of 30 days"
            note(f"Note: --{option} {span} was taken for {months}; {number}min is in minutes.")


def more_behind(cursor: str, what: str = "There are more") -> None:
    """Tell how to have the next page, in words to copy into a shell."""
    note(f"{what}: --cursor {shlex.quote(cursor)} gives them.")


def failure(reply: Mapping[str, Any]) -> None:
    """The sentence of a failed reply, and the way out where there is one, on standard error."""
    note(f"Error: {reply.get('error', 'the daemon sent a failure without a sentence')}")
    if reply.get("hint"):
        note(f"Hint: {reply['hint']}")


@contextmanager
def progress(title: str, total: Callable[[], int | None], *, shown: bool) -> Iterator[Callable[[int], None]]:
    """A progress bar on standard error while the block runs, if `shown` and a person reads it.

    Gives a function that takes what was done since its last call. `total` says what these amounts add up to, None
    if nobody knows; it is asked only for a bar that is shown.
    """
    if not (shown and sys.stderr.isatty()):
        yield lambda _amount: None
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(title, total=total())
        yield lambda amount: bar.advance(task, amount)


def _console() -> Console:
    from rich.console import Console

    return Console(highlight=False)
