"""The command dashboard: how the memory is and what goes on in it, on one screen.

Above it lies the program; below it the session, which asks the daemon, and output, which prints.
"""

from __future__ import annotations

from typing import Any, Final

import click

from enhanced_memory.cli import output
from enhanced_memory.cli.session import Command, Session, examples
from enhanced_memory.cli.versions import change_row
from enhanced_memory.cli.watching import Draw, watch_option, watched

LAST: Final = 8
"""Changes and conflicts shown of each."""

RECENT: Final = "1d"
PAGE: Final = 1_000
"""Changes of the last day are looked through, so many at once."""


@click.command(
    "dashboard",
    cls=Command,
    short_help="How the memory is and what goes on, on one screen.",
    epilog=examples(
        ("enhanced-memory dashboard", "status, health, latest changes, open conflicts, long operations"),
        ("enhanced-memory dashboard --watch", "again every two seconds, until Ctrl-C"),
        ("enhanced-memory dashboard | grep ^health", "plain lines for other programs"),
    ),
)
@watch_option
@click.pass_obj
def dashboard_command(session: Session, watch: float | None) -> None:
    """Show how much is remembered, how the daemon is, what changed last, what is to be decided, and what runs."""
    if watch is None:
        _show(session, _gathered(session), output.tables)
        return
    watched(session, watch, lambda draw: _show(session, _gathered(session), draw))


def _gathered(session: Session) -> dict[str, Any]:
    """Everything the screen shows, by its part."""
    page = session.ask("what_changed", {"since": RECENT, "limit": PAGE})
    while page["next_cursor"] is not None:
        page = session.ask("what_changed", {"since": RECENT, "limit": PAGE, "cursor": page["next_cursor"]})
    return {
        "status": _only(session.ask("get_memory_status", {})),
        "health": _only(session.ask("get_system_health", {})),
        "changes": page["changes"][-LAST:][::-1],
        "conflicts": session.ask("list_conflicts", {"limit": LAST})["conflicts"],
        "running": session.ask("list_running", {})["running"],
    }


def _only(reply: dict[str, Any]) -> dict[str, Any]:
    """A reply without what every reply carries."""
    return {key: value for key, value in reply.items() if key not in ("success", "id")}


def _show(session: Session, seen: dict[str, Any], draw: Draw) -> None:
    """Show it the way the run answers; at a terminal `draw` shows tables."""
    if session.json:
        output.json_line({"success": True, **seen})
    elif output.at_terminal():
        draw(_tables(seen))
    else:
        output.lines(output.flat({"status": seen["status"], "health": seen["health"]}))
        output.lines(("changes", *change_row(each)) for each in seen["changes"])
        output.lines(
            ("conflicts", each["conflict_id"], each["conflict_type"], each["entity"], each["existing_entity"])
            for each in seen["conflicts"]
        )
        output.lines(("running", each["method"], each["done"], each["total"]) for each in seen["running"])


def _tables(seen: dict[str, Any]) -> list[output.TableOf]:
    """The parts as tables; those with nothing in them are left out."""
    status, health = seen["status"], seen["health"]
    rows = [
        ("Health", "\n".join([health["status"], *health["reasons"]])),
        ("Entities", f"{status['total_entities']:,} with {status['total_relations']:,} relations"),
        ("Tiers", ", ".join(f"{name} {count:,}" for name, count in status["by_tier"].items() if count) or "none yet"),
        ("Versions", f"{status['versioning']['total_versions']:,}"),
        ("Conflicts to review", f"{status['conflicts']['pending']:,}"),
        ("Database", f"{status['database_size_mb']:,.1f} MB"),
        ("Last backup", health["last_backup"] or "none"),
        ("Connections", f"{health['connections']:,}, and {health['queue_depth']:,} writes that wait"),
    ]
    tables: list[output.TableOf] = [(("Memory", ""), rows)]
    if seen["running"]:
        running = [
            (each["method"], f"{each['done']:,}", f"{each['total']:,}", each["seconds"]) for each in seen["running"]
        ]
        tables.append((("Running", ">Done", ">Of", ">Seconds"), running))
    if seen["conflicts"]:
        conflicts = [
            (each["conflict_id"], each["conflict_type"], each["entity"], each["existing_entity"])
            for each in seen["conflicts"]
        ]
        tables.append(((">Conflict", "Kind", "Of", "With"), conflicts))
    if seen["changes"]:
        changes = [(row[0][11:19], row[1], row[2], row[3]) for row in map(_told, seen["changes"])]
        tables.append((("Changed", "What", "Memory", ">Version"), changes))
    return tables


def _told(change: dict[str, Any]) -> tuple[str, ...]:
    return tuple(str(cell) for cell in change_row(change))
