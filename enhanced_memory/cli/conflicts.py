"""The command conflicts: memories that contradict, update or repeat one another, side by side, and their decision.

Above it lies the program; below it the session, which asks the daemon, and output, which prints.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import click

from enhanced_memory.cli import output
from enhanced_memory.cli.hints import tell_unknown_namespace
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
        tell_unknown_namespace(session)
    elif reply["next_cursor"] is not None:
        output.more_behind(reply["next_cursor"])


_VERBS: Final = {"contradiction": "contradicts", "update": "is about the same as", "duplicate": "repeats"}

_MOST_TOLD: Final = 5
"""Conflicts of one write told one by one."""


def told(name: str, conflicts: Sequence[Mapping[str, Any]], *, checked: bool) -> list[str]:
    """Sentences on what was written under a name: each conflict that its reply carries, and how to look and decide."""
    sentences = []
    for each in conflicts[:_MOST_TOLD]:
        verb = _VERBS.get(each["conflict_type"], "is in conflict with")
        sentence = f"{name!r} {verb} {each['existing_entity']!r}"
        if each["evidence"]:
            here, there = each["evidence"][0]["new"], each["evidence"][0]["existing"]
            sentence += f": {here!r} here, {there!r} there" if here != there else f": both say {here!r}"
        number = f"Conflict {each['conflict_id']}: " if "conflict_id" in each else ""
        sentences.append(f"{number}{sentence}.")
    if len(conflicts) > _MOST_TOLD:
        sentences.append(f"There are {len(conflicts) - _MOST_TOLD} more conflicts.")
    if conflicts:
        number = conflicts[0].get("conflict_id", "ID")
        sentences.append(
            "Nothing is changed by that: `enhanced-memory conflicts` shows them side by side, and "
            f"`enhanced-memory conflicts resolve {number} --strategy ...` decides: {', '.join(STRATEGIES[1:])}."
        )
    if not checked:
        look = shlex.join(["enhanced-memory", "call", "detect_conflicts", f"entity_name={name}"])
        sentences.append(f"There was no time to look for all conflicts; `{look}` does.")
    return sentences


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
    reply = session.ask("resolve_conflict", asked)
    _tell(session, reply, lambda: _decided(number, reply))


@conflicts_command.command(
    "reopen", cls=Command, epilog=examples(("enhanced-memory conflicts reopen 7", "everything as before the decision"))
)
@click.argument("number", metavar="ID", type=click.IntRange(1))
@click.pass_obj
def reopen_command(session: Session, number: int) -> None:
    """Undo the decision of the conflict of this number."""
    reply = session.ask("reopen_conflict", {"conflict_id": number})
    _tell(session, reply, lambda: _reopened(number, reply))


def _tell(session: Session, reply: dict[str, Any], sentences: Callable[[], list[str]]) -> None:
    """What became of a conflict: sentences at a terminal, figure by figure for programs."""
    if session.json:
        output.json_line(reply)
    elif output.at_terminal():
        for sentence in sentences():
            print(output.visible(sentence))
    else:
        output.lines(output.flat(reply))


def _decided(number: int, reply: dict[str, Any]) -> list[str]:
    """What a decision did, or would do."""
    action, details = reply["action_taken"], reply["details"]
    older, newer = details["older"]["name"], details["newer"]["name"]
    said = {
        "merged": f"{newer!r} is merged into {older!r}",
        "updated": f"{newer!r} counts fully, {older!r} less",
        "branched": f"what {newer!r} says is branch {details.get('branch')!r} of {older!r}",
        "ignored": "both may stand",
        "left_pending": "left open, since nobody but you can tell which is right",
    }.get(action, action)
    sentences = [f"Conflict {number}: {said}."]
    sentences += [f"{older!r} gets: {text}" for text in details.get("added_observations", [])]
    if details.get("left_reads"):
        sentences.append(f"{details['left_reads']!r} leaves all reads; its history stays.")
    if action == "left_pending":
        sentences.append(f"`enhanced-memory conflicts resolve {number} --strategy ...`: {', '.join(STRATEGIES[1:])}.")
    elif details.get("dry_run"):
        sentences.append("Nothing was changed: the same without --dry-run does it.")
    else:
        sentences.append(f"`enhanced-memory conflicts reopen {number}` undoes it.")
    return sentences


def _reopened(number: int, reply: dict[str, Any]) -> list[str]:
    """What reopening a conflict put back."""
    details = reply["details"]
    names = " and ".join(repr(name) for name in reply["updated_entities"])
    back = f"{names} {'stand' if len(reply['updated_entities']) > 1 else 'stands'} as before" if names else "reopened"
    sentences = [f"Conflict {number} is open again ({reply['undone']} undone): {back}."]
    sentences += [f"Kept, since it came later: {text}" for text in details.get("kept_observations", [])]
    sentences += [
        f"Lost: {each['from']} {each['relationType']} {each['to']}" for each in details.get("relations_lost", [])
    ]
    return sentences
