"""The command that lets the tiers manage themselves: curate, which shows what it would do before it does it.

Above it lies the program; below it the session, which asks the daemon, and output, which prints.
"""

from __future__ import annotations

from typing import Any

import click

from enhanced_memory.cli import output
from enhanced_memory.cli.session import Command, Session, examples


@click.command(
    "curate",
    cls=Command,
    short_help="Move memories to the tier they belong to.",
    epilog=examples(
        ("enhanced-memory curate", "what would be done, and why; nothing is changed"),
        ("enhanced-memory curate --apply", "the same, and do it"),
        ("enhanced-memory curate --undo last", "put the last run back; an earlier one by its name"),
        ("enhanced-memory --namespace work curate --apply", "in another namespace"),
    ),
)
@click.option("--apply", "apply_", is_flag=True, help="Do it, after showing it.")
@click.option("--undo", metavar="RUN", help="Put this run back: its name, or last.")
@click.pass_obj
def curate_command(session: Session, apply_: bool, undo: str | None) -> None:
    """Show what curation would do, with a reason for each move; with --apply, do it.

    Old memories that nobody reads become episodic, what several episodes share becomes one semantic memory, and what
    has proved itself as a skill becomes procedural. Nothing is deleted, and every run can be put back.
    """
    if undo is not None and apply_:
        raise click.UsageError("--undo and --apply do not go together")
    if undo is not None:
        _undo(session, undo)
        return
    if session.json and apply_:
        output.json_line(session.ask("autonomous_curation", {}))
        return
    plan = session.ask("autonomous_curation", {"dry_run": True})
    if session.json:
        output.json_line(plan)
        return
    _show(plan)
    if not apply_:
        if plan["moves_total"]:
            output.note("Nothing was changed; --apply does it.")
        return
    done = session.ask("autonomous_curation", {})
    if done["moves_total"] and done["run_id"] is not None:
        output.note(
            f"Done: {done['promoted_to_episodic']} to episodic, {done['promoted_to_semantic']} to semantic,"
            f" {done['promoted_to_procedural']} to procedural."
            f" `enhanced-memory curate --undo {done['run_id']}` puts it back."
        )


def _show(plan: dict[str, Any]) -> None:
    """The moves of a run: a table at a terminal, else a line each."""
    moves = plan["moves"]
    if not output.at_terminal():
        output.lines((m["action"], m["name"], m["from"], m["to"], m["reason"]) for m in moves)
    elif moves:
        rows = [(m["name"], m["from"], m["to"], m["reason"] + _sure(m)) for m in moves]
        output.table(("Memory", "From", "To", "Why"), rows)
    if not moves:
        output.note("Every memory is in the tier it belongs to.")
    left = plan["moves_total"] - len(moves)
    if left:
        output.note(f"… and {left:,} more.")
    if plan["decayed"]:
        output.note(f"{plan['decayed']:,} have faded to the least relevance; `call confirm_entities` refreshes one.")


def _sure(move: dict[str, Any]) -> str:
    """How sure it is what a move makes, where that is known."""
    return f" (confidence {move['confidence']:.2f})" if "confidence" in move else ""


def _undo(session: Session, run_id: str) -> None:
    """Put a run back and tell what came of it."""
    reply = session.ask("undo_curation", {"run_id": run_id})
    if session.json:
        output.json_line(reply)
        return
    if not reply["undone"]:
        output.note(f"{run_id} was put back before; nothing was changed.")
        return
    counts = [(key, reply[key]) for key in ("restored", "deleted", "reverted")]
    if output.at_terminal():
        output.table(("Put back", ">"), [(key.capitalize(), f"{count:,}") for key, count in counts])
    else:
        output.lines(counts)
        output.lines(("skipped", each["name"], each["reason"]) for each in reply["skipped"])
    if reply["skipped_total"]:
        output.note(f"{reply['skipped_total']:,} were left alone, since somebody changed them later:")
        for each in reply["skipped"][:20]:
            output.note(f"  {output.visible(each['name'])}: {each['reason']}")
