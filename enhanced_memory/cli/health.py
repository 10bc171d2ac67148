"""The command health: whether the daemon is well, once or again and again.

Above it lies the program; below it the session, which asks the daemon, and output, which prints. The exit status is
for monitors: 0 healthy, 1 degraded, 2 failing or out of reach.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Final

import click

from enhanced_memory.cli import output
from enhanced_memory.cli.session import Command, Failed, Session, examples
from enhanced_memory.cli.watching import Draw, watch_option, watched

EXIT_STATUS: Final = {"healthy": 0, "degraded": 1, "failing": 2, "unreachable": 2}


@click.command(
    "health",
    cls=Command,
    short_help="Whether the daemon is well.",
    epilog=examples(
        (
            "enhanced-memory health",
            "status, reasons, figures; ends with 0 healthy, 1 degraded, 2 failing or unreachable",
        ),
        ("enhanced-memory health --watch", "the same every two seconds, until Ctrl-C"),
        ("enhanced-memory health --watch 60 --json >> health.jsonl", "a line of JSON every minute"),
        ("enhanced-memory health | grep ^reasons", "what is wrong and what to do, if anything"),
    ),
)
@watch_option
@click.pass_obj
def health_command(session: Session, watch: float | None) -> int:
    """Whether the daemon is well: its status with the reasons, and the figures behind it.

    It starts no daemon: one that does not run is out of reach.
    """
    session.flags["autostart"] = "0"
    if watch is None:
        health = _asked(session)
        _show(session, health, output.tables)
        return EXIT_STATUS[health["status"]]
    return watched(session, watch, lambda draw: _show(session, _asked(session), draw))


def _show(session: Session, health: dict[str, Any], draw: Draw) -> None:
    """Show it the way the run answers; at a terminal `draw` shows tables."""
    if session.json:
        output.json_line(health)
    elif output.at_terminal():
        draw([(("Health", health["status"]), _rows(health)), *_requests(health)])
    else:
        output.lines(output.flat(health))


def _asked(session: Session) -> dict[str, Any]:
    """The daemon's answer; where it gives none, `unreachable` with the reason, in the same form."""
    try:
        return session.ask("get_system_health", {})
    except Failed as failed:
        reasons = [f"{failed.reply['error']}."] + ([f"Hint: {failed.reply['hint']}."] if "hint" in failed.reply else [])
        return {**failed.reply, "status": "unreachable", "reasons": reasons}


def _rows(health: dict[str, Any]) -> list[tuple[str, str]]:
    """What a person wants to know first, in that order."""
    rows = [("!", reason) for reason in health["reasons"]]
    if health["status"] == "unreachable":
        return rows
    entities, free, sandbox = health["total_entities"], health["disk_free_mb"], health["sandbox"]
    missing = [name for name, state in sandbox["layers"].items() if state != "on"]
    rows += [
        ("Entities", "unknown" if entities is None else f"{entities:,}"),
        ("Database", f"{health['database_size_mb']:,.1f} MB, and {health['wal_size_mb']:,.1f} MB of log"),
        ("Free on its disk", "unknown" if free is None else f"{free:,.0f} MB"),
        ("Last backup", health["last_backup"] or "none"),
        ("Integrity", health["integrity"]["status"]),
        ("Daemon", f"{health['memory_usage_mb']:,.0f} MB of memory, {health['cpu_percent']:.0f} % of a processor"),
        ("Running for", f"{timedelta(seconds=int(health['uptime_s']))} as process {health['pid']}"),
        ("Connections", f"{health['connections']:,}"),
        ("Writes that wait", f"{health['queue_depth']:,}"),
        ("Executed code is held by", sandbox["isolation"] + (f", without {', '.join(missing)}" if missing else "")),
    ]
    if "vectors" in health:
        rows.append(("Vectors", f"{health['vectors']['done']:,} of {health['vectors']['total']:,}"))
    versions = f"{health['version']}, SQLite {health['sqlite_version']}, schema {health['schema_version']}"
    return [*rows, ("Versions", versions), ("File", health["database"])]


def _requests(health: dict[str, Any]) -> list[output.TableOf]:
    """The table of requests, the most frequent first; none where there were none."""
    told = sorted(health.get("requests", {}).items(), key=lambda item: -item[1]["count"])
    rows = [
        (name, f"{each['count']:,}", f"{each['errors']:,}", f"{each['p50_ms']:,.1f}", f"{each['p99_ms']:,.1f}")
        for name, each in told
    ]
    return [(("Request", ">Count", ">Errors", ">p50 ms", ">p99 ms"), rows)] if rows else []
