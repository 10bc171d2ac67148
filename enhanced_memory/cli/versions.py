"""Commands about what was: history, diff, branches, revert and changes.

Above it lies the program; below it the session, which asks the daemon, and output, which prints.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from typing import Any, Final

import click

from enhanced_memory.cli import output
from enhanced_memory.cli.hints import tell_unknown_namespace
from enhanced_memory.cli.names import names
from enhanced_memory.cli.session import Command, Session, examples

NAME: Final = click.argument("name", shell_complete=names)


@click.command(
    "history",
    cls=Command,
    short_help="Show the versions of a memory as a graph.",
    epilog=examples(
        ("enhanced-memory history 'Ada Lovelace'", "newest first, branches and merges as lines beside it"),
        ("enhanced-memory history Ada --branch proposal", "one branch only"),
        ("enhanced-memory history Ada | cut -f1,4,5", "number, action and time of each, for other programs"),
    ),
)
@NAME
@click.option("--branch", metavar="NAME", help="Only this branch.")
@click.option("--limit", type=click.IntRange(1), help="Most versions to show (20).")
@click.option("--cursor", metavar="TEXT", help="Where the page before ended.")
@click.pass_obj
def history_command(session: Session, name: str, branch: str | None, limit: int | None, cursor: str | None) -> None:
    """Show what became of NAME: each version with its branch, time, author, message, and what it added and removed.

    Deleted memories have a history too. Piped, each line holds version, branch, parent, action, time, author, message,
    and how many observations were added and removed.
    """
    asked = {"entity_name": name, "branch": branch, "limit": limit, "cursor": cursor}
    reply = session.ask("memory_history", asked)
    versions = reply["versions"]
    if session.json:
        output.json_line(reply)
        return
    if output.at_terminal():
        output.styled(_log(versions))
    else:
        output.lines(_row(each) for each in versions)
    if reply["deleted"]:
        output.note(f"{name} is deleted; `enhanced-memory revert` brings it back.")
    if reply["next_cursor"] is not None:
        output.more_behind(reply["next_cursor"], "There are older ones")


def _row(version: dict[str, Any]) -> tuple[object, ...]:
    """A version for programs."""
    told = ("version", "branch", "parent", "action", "created", "author", "message")
    return (*(_empty(version[key]) for key in told), len(version["added"]), len(version["removed"]))


def _empty(value: object) -> object:
    return "" if value is None else value


def _log(versions: Sequence[dict[str, Any]]) -> Iterator[list[tuple[str, str]]]:
    """The versions for a person, with the lines of the graph before them; as pieces of text with their styles."""
    for lanes, version, below in graph(versions):
        if version is None:
            yield [(lanes, "dim")]
            continue
        head = [(lanes, "dim"), (f"version {version['version']}", "bold yellow"), (f"  ({version['branch']})", "cyan")]
        head.append((f"  {version['action']}", "bold"))
        head.append((f"  {output.moment(version['created'])}  {version['author'] or ''}", "dim"))
        yield head
        if version["message"]:
            yield [(below, "dim"), (f"  {version['message']}", "italic")]
        for mark, texts, style in (("+", version["added"], "green"), ("-", version["removed"], "red")):
            for text in texts:
                yield [(below, "dim"), (f"  {mark} {text}", style)]


def graph(versions: Sequence[dict[str, Any]]) -> Iterator[tuple[str, dict[str, Any] | None, str]]:
    """Lines of a graph, newest version first: what stands before a version, the version, what stands before its text.

    The version is None on lines where branches part or meet. A lane is a line of descent; it waits for the version
    that is its number, and then for that one's parent.
    """
    lanes: list[int] = []
    for version in versions:
        number, parent, merged = version["version"], version.get("parent"), version.get("merge_parent")
        if number not in lanes:
            lanes.append(number)
        at = lanes.index(number)
        for other in range(len(lanes) - 1, at, -1):
            if lanes[other] == number:
                yield _joined(len(lanes), at, other, "╯"), None, ""
                del lanes[other]
        head = "".join("● " if lane == at else "│ " for lane in range(len(lanes)))
        lanes[at : at + 1] = [] if parent is None else [parent]
        below = "│ " * len(lanes)
        yield head, version, below if parent is not None else "│ " * at + "  " + "│ " * (len(lanes) - at)
        if merged is not None:
            if merged not in lanes:
                lanes.insert(at + 1, merged)
                yield _joined(len(lanes), at, at + 1, "╮"), None, ""
            elif lanes.index(merged) != at:
                left, right = sorted((at, lanes.index(merged)))
                yield _joined(len(lanes), left, right, "┤"), None, ""


def _joined(width: int, left: int, right: int, end: str) -> str:
    """A line of the graph that joins two lanes."""
    cells = ["│ "] * width
    cells[left] = "├─"
    for between in range(left + 1, right):
        cells[between] = "┼─"
    cells[right] = f"{end} "
    return "".join(cells)


@click.command(
    "diff",
    cls=Command,
    short_help="Compare two versions of a memory.",
    epilog=examples(
        ("enhanced-memory diff Ada", "what the newest version changed"),
        ("enhanced-memory diff Ada 3 7", "from version 3 to version 7, of whatever branches"),
        ("enhanced-memory diff Ada 3", "from version 3 to what stands now"),
    ),
)
@NAME
@click.argument("version1", metavar="[V1", required=False, type=click.IntRange(1))
@click.argument("version2", metavar="[V2]]", required=False, type=click.IntRange(1))
@click.pass_obj
def diff_command(session: Session, name: str, version1: int | None, version2: int | None) -> None:
    """Show what differs between two versions of NAME: lines taken away with -, lines added with +."""
    reply = session.ask("memory_diff", {"entity_name": name, "version1": version1, "version2": version2})
    if session.json:
        output.json_line(reply)
        return
    text = reply["diff"].splitlines()
    if output.at_terminal():
        output.styled([(line, _style_of(line))] for line in text)
    else:
        output.lines([line] for line in text)
    if not text:
        output.note("They say the same.")


def _style_of(line: str) -> str:
    """How a line of a unified diff looks."""
    for beginning, style in (("+++", "bold"), ("---", "bold"), ("@@", "cyan"), ("+", "green"), ("-", "red")):
        if line.startswith(beginning):
            return style
    return ""


@click.command(
    "branches",
    cls=Command,
    short_help="List the branches of a memory.",
    epilog=examples(
        ("enhanced-memory branches Ada", "with their newest versions; * marks the one that is read"),
        ("enhanced-memory call memory_merge entity_name=Ada source_branch=proposal", "bring one in"),
    ),
)
@NAME
@click.pass_obj
def branches_command(session: Session, name: str) -> None:
    """List the branches of NAME, with their newest versions and where they began."""
    reply = session.ask("list_branches", {"entity_name": name})
    rows = [
        (
            "*" if each["current"] else "",
            each["name"],
            each["head_version"],
            each["created_from_version"],
            output.moment(each["created"]),
            each["description"] or "",
        )
        for each in reply["branches"]
    ]
    output.answer(session.json, reply, ("", "Branch", ">Newest", ">Began at", "Since", "What for"), rows)


@click.command(
    "revert",
    cls=Command,
    short_help="Bring back what a memory said at an earlier version.",
    epilog=examples(
        ("enhanced-memory revert Ada 3", "as a new version on top; nothing is lost"),
        ("enhanced-memory revert Ada 3 --message 'the import was wrong'", "with a reason, also of a deleted memory"),
    ),
)
@NAME
@click.argument("version", type=click.IntRange(1))
@click.option("--message", metavar="TEXT", help="Why; kept in the history.")
@click.pass_obj
def revert_command(session: Session, name: str, version: int, message: str | None) -> None:
    """Bring back what NAME said at VERSION, as a new version. `history` shows the numbers."""
    reply = session.ask("memory_revert", {"entity_name": name, "version": version, "message": message})
    if session.json:
        output.json_line(reply)
    elif output.at_terminal():
        print(f"{output.visible(name)}: as at version {version} again, now version {reply['new_version']}")
    else:
        output.lines([("reverted", name, reply["new_version"])])


@click.command(
    "changes",
    cls=Command,
    short_help="What changed lately.",
    epilog=examples(
        ("enhanced-memory changes", "since yesterday, oldest first"),
        ("enhanced-memory changes --newest --limit 10", "the last ten, the newest first"),
        ("enhanced-memory changes --since 2h", "within two hours; 30min, 7d and 2025-05-01 work as well"),
        ("enhanced-memory changes --since 2025-05-01 --until 2025-06-01 --json", "for programs"),
    ),
)
@click.option("--since", metavar="TIME", default="1d", help="A time, or a span such as 30min, 2h, 7d, 2w (1d).")
@click.option("--until", metavar="TIME", help="Up to then.")
@click.option("--limit", type=click.IntRange(1), help="Most changes to show (100).")
@click.option("--cursor", metavar="TEXT", help="Where the page before ended.")
@click.option("--newest", is_flag=True, help="The newest instead of the oldest of them, and these first.")
@click.pass_obj
def changes_command(
    session: Session, since: str, until: str | None, limit: int | None, cursor: str | None, newest: bool
) -> None:
    """List what changed, oldest first: versions of memories, relations made and ended.

    Piped, each line holds time, action, memory, version, message and author.
    """
    if newest and cursor is not None:
        raise click.UsageError("--newest and --cursor do not go together")
    asked = {"since": since, "until": until, "limit": limit, "cursor": cursor}
    reply = _newest(session, asked) if newest else session.ask("what_changed", asked)
    rows = [change_row(each) for each in reply["changes"]]
    output.answer(session.json, reply, ("When", "What", "Memory", ">Version", "Message", "Author"), rows)
    if session.json:
        return
    if not rows:
        output.note("Nothing changed.")
        tell_unknown_namespace(session)
    output.months_meant(since=since, until=until)
    if reply["next_cursor"] is not None:
        output.more_behind(reply["next_cursor"], "There are newer ones")


_PAGE: Final = 1_000


def _newest(session: Session, asked: dict[str, Any]) -> dict[str, Any]:
    """The reply with the last changes, newest first; the pages before them are read and passed over."""
    most = asked["limit"] or 100
    last: deque[dict[str, Any]] = deque(maxlen=most)
    reply = session.ask("what_changed", {**asked, "limit": _PAGE})
    last.extend(reply["changes"])
    while reply["next_cursor"] is not None:
        reply = session.ask("what_changed", {**asked, "limit": _PAGE, "cursor": reply["next_cursor"]})
        last.extend(reply["changes"])
    return {**reply, "changes": list(last)[::-1]}


def change_row(change: dict[str, Any]) -> tuple[object, ...]:
    """When, what, to whom, which version, why and by whom, of one change."""
    relation = change.get("relation")
    who = f"{relation['from']} {relation['relationType']} {relation['to']}" if relation else change.get("name", "")
    what = f"relation {change['action']}" if relation else change["action"]
    told = (_empty(change.get(key)) for key in ("version", "message", "author"))
    return output.moment(change["created"]), what, who, *told
