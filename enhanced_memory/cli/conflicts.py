"""The command conflicts: memories that contradict, update or repeat one another, side by side, and their decision.

Above it lies the program; below it the session, which asks the daemon, and output, which prints.
"""

from __future__ import annotations

from typing import Any, Final

import click

from enhanced_memory.cli import output
from enhanced_memory.cli.session import Command, Group, Session, examples

STRATEGIES: Final = ("auto", "merge", "update", "branch", "ignore")


@click.group(
    "conflicts",
    cls=Group,
    invoke_without_command=True,
    short_help="Review memories that contradict or repeat one another.",
    epilog=examples(
        ("enhanced-memory conflicts", "those that wait for a decision, side by side"),
        ("enhanced-memory conflicts list --status resolved", "those that were decided"),
        ("enhanced-memory conflicts resolve 7 --strategy merge --dry-run", "what a decision would do"),
        ("enhanced-memory conflicts reopen 7", "undo a decision"),
    ),
)
@click.pass_context
def conflicts_command(context: click.Context) -> None:
    """Review conflicts on record; without a further word they are listed."""
    if context.invoked_subcommand is None:
        context.invoke(list_command)


@conflicts_command.command(
    "list", cls=Command, epilog=examples(("enhanced-memory conflicts list --limit 5", "the five oldest that are open"))
)
@click.option("--status", type=click.Choice(("pending", "resolved", "ignored")), help="Which (pending).")
@click.option("--limit", type=click.IntRange(1), help="Most to show (50).")
@click.option("--cursor", metavar="TEXT", help="Where the page before ended.")
@click.pass_obj
def list_command(
    session: Session, status: str | None = None, limit: int | None = None, cursor: str | None = None
) -> None:
    """List conflicts, oldest first. Piped: number, kind, confidence, both names, and both observations, one a line."""
    reply = session.ask("list_conflicts", {"status": status, "limit": limit, "cursor": cursor})
    if session.json:
        output.json_line(reply)
        return
    if output.at_terminal():
        output.tables(_side_by_side(each) for each in reply["conflicts"])
    else:
        output.lines(row for each in reply["conflicts"] for row in _rows(each))
    if not reply["conflicts"]:
        output.note(f"There are no {status or 'pending'} conflicts.")
    elif reply["next_cursor"] is not None:
        output.note(f"There are more: --cursor {reply['next_cursor']} gives them.")


def _side_by_side(conflict: dict[str, Any]) -> output.TableOf:
    """Both sides of a conflict, evidence by evidence."""
    heading = f"{conflict['conflict_id']}: {conflict['conflict_type']}, {conflict['confidence']:.0%} sure"
    rows = [(each["new"], each["existing"], each["reason"]) for each in conflict["evidence"]]
    return (conflict["entity"], conflict["existing_entity"], f"{heading}, {conflict['suggested_action']}?"), rows


def _rows(conflict: dict[str, Any]) -> list[tuple[object, ...]]:
    """A conflict for programs, a line for each piece of evidence."""
    head = (
        conflict["conflict_id"],
        conflict["conflict_type"],
        f"{conflict['confidence']:.2f}",
        conflict["entity"],
        conflict["existing_entity"],
    )
    return [(*head, each["new"], each["existing"]) for each in conflict["evidence"]] or [head]


@conflicts_command.command(
    "resolve",
    cls=Command,
    epilog=examples(
        ("enhanced-memory conflicts resolve 7", "as its kind suggests; contradictions stay open"),
        ("enhanced-memory conflicts resolve 7 --strategy ignore --notes 'two people'", "both may stand"),
    ),
)
@click.argument("number", metavar="ID", type=click.IntRange(1))
@click.option("--strategy", type=click.Choice(STRATEGIES), help="What to do (auto).")
@click.option("--dry-run", is_flag=True, help="Only tell what would happen.")
@click.option("--notes", metavar="TEXT", help="Why; kept with the conflict.")
@click.pass_obj
def resolve_command(session: Session, number: int, strategy: str | None, dry_run: bool, notes: str | None) -> None:
    """Decide the conflict of this number."""
    asked = {"conflict_id": number, "strategy": strategy, "dry_run": dry_run or None, "notes": notes}
    _tell(session, session.ask("resolve_conflict", asked))


@conflicts_command.command(
    "reopen", cls=Command, epilog=examples(("enhanced-memory conflicts reopen 7", "everything as before the decision"))
)
@click.argument("number", metavar="ID", type=click.IntRange(1))
@click.pass_obj
def reopen_command(session: Session, number: int) -> None:
    """Undo the decision of the conflict of this number."""
    _tell(session, session.ask("reopen_conflict", {"conflict_id": number}))


def _tell(session: Session, reply: dict[str, Any]) -> None:
    """What became of a conflict, figure by figure."""
    output.answer(session.json, reply, ("Conflict", ""), output.flat(reply))
