"""Commands about what belongs together: graph, context, relate and delete.

Above it lies the program; below it the session, which asks the daemon, and output, which prints.
"""

from __future__ import annotations

from typing import Any

import click

from enhanced_memory.cli import output
from enhanced_memory.cli.names import names
from enhanced_memory.cli.session import EXIT_FAILED, Command, Session, examples


@click.command(
    "graph",
    cls=Command,
    short_help="Show what lies around a memory, as a tree.",
    epilog=examples(
        ("enhanced-memory graph 'Ada Lovelace'", "what is related to her"),
        ("enhanced-memory graph Ada --depth 3", "and to that, up to three relations away"),
        ("enhanced-memory graph Ada --depth 2 | cut -f1,3", "who with whom, one relation a line"),
    ),
)
@click.argument("name", shell_complete=names)
@click.option("--depth", type=click.IntRange(1), help="Relations to follow (1).")
@click.option("--limit", type=click.IntRange(1), help="Most memories to show (50).")
@click.pass_obj
def graph_command(session: Session, name: str, depth: int | None, limit: int | None) -> None:
    """Show what lies around NAME as a tree; each memory once, where it is nearest."""
    reply = session.ask("neighbors", {"name": name, "depth": depth, "limit": limit})
    if session.json:
        output.json_line(reply)
    elif output.at_terminal():
        output.tree(_tree(name, reply["relations"]))
    else:
        output.lines((item["from"], item["relationType"], item["to"]) for item in reply["relations"])
    if reply["more"] and not session.json:
        output.note("There is more than is shown: --limit says how much.")


def _tree(root: str, relations: list[dict[str, Any]]) -> output.Branch:
    """The relations as a tree that begins at `root`, each further memory below the first that leads to it."""
    beside: dict[str, list[tuple[str, str]]] = {}
    for item in relations:
        beside.setdefault(item["from"], []).append((f"─ {item['relationType']} → {item['to']}", item["to"]))
        beside.setdefault(item["to"], []).append((f"← {item['relationType']} ─ {item['from']}", item["from"]))
    top: output.Branch = (root, [])
    seen = {root}
    waiting = [(root, top)]
    for name, branch in waiting:
        for told, other in beside.get(name, []):
            if other not in seen:
                seen.add(other)
                twig: output.Branch = (told, [])
                branch[1].append(twig)
                waiting.append((other, twig))
    return top


@click.command(
    "context",
    cls=Command,
    short_help="What an assistant would have in mind.",
    epilog=examples(
        ("enhanced-memory context", "pinned memories, then those that matter most"),
        ("enhanced-memory context billing service", "with this question in mind"),
        ("enhanced-memory context --max-tokens 500 | pbcopy", "for a chat that has no memory"),
    ),
)
@click.argument("query", nargs=-1)
@click.option("--max-tokens", type=click.IntRange(1), help="What the text may cost (2000).")
@click.pass_obj
def context_command(session: Session, query: tuple[str, ...], max_tokens: int | None) -> None:
    """Print what to have in mind as one text: pinned memories first, then the most relevant to QUERY."""
    reply = session.ask("get_context", {"query": " ".join(query) or None, "max_tokens": max_tokens})
    if session.json:
        output.json_line(reply)
        return
    for line in reply["text"].splitlines():
        print(output.visible(line))
    if reply["omitted"]:
        output.note(f"{reply['omitted']} did not fit: --max-tokens gives more room.")
    elif not reply["text"]:
        output.note("Nothing is remembered yet.")


@click.command(
    "relate",
    cls=Command,
    short_help="Relate two memories.",
    epilog=examples(
        ("enhanced-memory relate 'Ada Lovelace' writes_for 'Analytical Engine'", "a relation from one to the other"),
        ("enhanced-memory relate Ada knows Babbage --delete", "end it; the history keeps it"),
    ),
)
@click.argument("source", metavar="A", shell_complete=names)
@click.argument("relation_type", metavar="TYPE")
@click.argument("target", metavar="B", shell_complete=names)
@click.option("--strength", type=click.FloatRange(0, 1), help="How strong it is, 0 to 1.")
@click.option("--delete", is_flag=True, help="End the relation instead.")
@click.pass_obj
def relate_command(
    session: Session, source: str, relation_type: str, target: str, strength: float | None, delete: bool
) -> int:
    """Relate A to B, both of which must be there. Ends with status 1 if there is no such relation to end."""
    relation: dict[str, Any] = {"from": source, "to": target, "relationType": relation_type}
    if strength is not None:
        relation["strength"] = strength
    reply = session.ask("delete_relations" if delete else "create_relations", {"relations": [relation]})
    if delete:
        action = "missing" if reply["missing"] else "deleted"
    else:
        action = "created" if reply["relations"] else "unchanged"
    if session.json:
        output.json_line(reply)
    elif output.at_terminal():
        print(output.visible(f"{source} {relation_type} {target}: {action}"))
    else:
        output.lines([(action, source, relation_type, target)])
    return EXIT_FAILED if action == "missing" else 0


@click.command(
    "delete",
    cls=Command,
    short_help="Take memories, or observations of one, out of every read.",
    epilog=examples(
        ("enhanced-memory delete 'Ada Lovelace'", "its history stays: `revert` brings it back"),
        ("enhanced-memory delete Ada --observation 'Lives in London'", "one observation only, word for word"),
        ("enhanced-memory call purge_entities entityNames=Ada confirm=true", "erase for good, with the history"),
    ),
)
@click.argument("names_given", metavar="NAME...", nargs=-1, required=True, shell_complete=names)
@click.option("--observation", "observations", metavar="TEXT", multiple=True, help="Only this; may be repeated.")
@click.pass_obj
def delete_command(session: Session, names_given: tuple[str, ...], observations: tuple[str, ...]) -> int:
    """Take the memories called NAME out of every read and search. Ends with status 1 if one is not there."""
    if observations:
        deletions = [{"entityName": name, "observations": list(observations)} for name in names_given]
        reply = session.ask("delete_observations", {"deletions": deletions})
        rows = [
            ("removed", item["entityName"], text) for item in reply["results"] for text in item["removedObservations"]
        ]
        missing = [item["entityName"] for item in reply["results"] if not item["removedObservations"]]
    else:
        reply = session.ask("delete_entities", {"entityNames": list(names_given)})
        rows = [("deleted", name, "") for name in reply["deleted"]]
        missing = reply["missing"]
    if session.json:
        output.json_line(reply)
    else:
        if output.at_terminal():
            for action, name, text in rows:
                print(output.visible(f"{name}: {action}{f' {text!r}' if text else ''}"))
        else:
            output.lines(tuple(filter(None, row)) for row in rows)
        for name in missing:
            output.note(f"{'Nothing like that is' if observations else 'Nothing is'} remembered under {name!r}.")
    return EXIT_FAILED if missing else 0
