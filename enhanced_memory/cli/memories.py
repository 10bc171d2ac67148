"""Commands about what is remembered: status, search, open and add.

Above it lies the program; below it the session, which asks the daemon, and output, which prints.
"""

from __future__ import annotations

import sys
from typing import Any, Final

import click

from enhanced_memory.cli import output
from enhanced_memory.cli.conflicts import told
from enhanced_memory.cli.hints import name_meant, tell_unknown_namespace
from enhanced_memory.cli.names import names as known_names
from enhanced_memory.cli.session import EXIT_FAILED, ON_EXISTING, TIERS, Command, Session, examples

SHOWN_WITHOUT_MATCH: Final = 3
"""Observations shown of a memory whose name or type matched, but no observation of its own."""


@click.command(
    "status",
    cls=Command,
    short_help="How much is remembered.",
    epilog=examples(("enhanced-memory status", "counts, tiers, space"), ("enhanced-memory --json status", "the same")),
)
@click.pass_obj
def status_command(session: Session) -> None:
    """How much is remembered: entities by type and tier, relations, versions, space."""
    reply = session.ask("get_memory_status", {})
    if session.json:
        output.json_line(reply)
    elif output.at_terminal():
        output.table(("Memory", ">"), _status_rows(reply))
    else:
        output.lines(output.flat(reply))
    if not (session.json or reply["total_entities"]):
        tell_unknown_namespace(session)


def _status_rows(reply: dict[str, Any]) -> list[tuple[str, str]]:
    """What a person wants to know first, in that order."""
    space, history = reply["compression"], reply["versioning"]
    rows = [("Entities", f"{reply['total_entities']:,}")]
    rows += [(f"  {name}", f"{count:,}") for name, count in sorted(reply["by_type"].items(), key=lambda item: -item[1])]
    rows += [(f"Tier {name}", f"{count:,}") for name, count in reply["by_tier"].items()]
    rows += [
        ("Relations", f"{reply['total_relations']:,}"),
        ("Versions", f"{history['total_versions']:,}"),
        ("Branches", f"{history['total_branches']:,}"),
        ("Conflicts to review", f"{reply['conflicts']['pending']:,}"),
        ("Pinned", f"{reply['always_include_count']:,}"),
        ("Observations", f"{_size(space['original_bytes'])}, stored in {_size(space['stored_bytes'])}"),
        ("Saved by compression", f"{space['savings_pct']:.1f} %"),
        ("Database", f"{reply['database_size_mb']:.1f} MB"),
    ]
    rows += [(f"Namespace {name}", f"{count:,}") for name, count in reply["namespaces"].items()]
    return rows


def _size(count: int) -> str:
    """A number of bytes as a person writes it."""
    for unit, size in (("GB", 1_000_000_000), ("MB", 1_000_000), ("kB", 1_000)):
        if count >= size:
            return f"{count / size:.1f} {unit}"
    return f"{count} bytes"


@click.command(
    "search",
    cls=Command,
    short_help="Find memories by what they say.",
    epilog=examples(
        ("enhanced-memory search where does Ada work", "any word may match, rare words count most"),
        ("enhanced-memory search --type decision --limit 3 database", "the three best decisions"),
        ("enhanced-memory search --since 7d release", "what changed within the last week"),
        ("enhanced-memory search -- London -Paris", "without a word; `--` ends the options"),
        ("enhanced-memory search ''", "the most recently used"),
        ("enhanced-memory search Ada | cut -f2", "names only: rank, name, type, score, then what matched"),
    ),
)
@click.argument("query", nargs=-1, required=True)
@click.option("--limit", type=click.IntRange(1, 1000), help="Most results to give (10).")
@click.option("--offset", type=click.IntRange(0), help="Leave out the first ones.")
@click.option("--type", "entity_type", metavar="TYPE", help="Only entities of this type.")
@click.option("--tier", type=click.Choice(TIERS), help="Only entities of this tier.")
@click.option("--since", metavar="WHEN", help="Only what changed since then: 2026-01-31, or 7d, 2w.")
@click.option("--until", metavar="WHEN", help="Only what changed before then.")
@click.option("--min-relevance", type=click.FloatRange(0, 1), help="Only what is still this relevant.")
@click.option("--mode", type=click.Choice(("auto", "lexical", "semantic", "hybrid")), help="How to search.")
@click.option(
    "--detail", type=click.Choice(("full", "matched", "names")), help="Whole memories, what matched, or names only."
)
@click.pass_obj
def search_command(session: Session, /, query: tuple[str, ...], detail: str | None, **narrowing: Any) -> None:
    """Find memories by their names, types and observations, best first. QUERY may be a question."""
    reply = session.ask("search_nodes", {"query": " ".join(query), "detail": detail, **narrowing})
    if session.json:
        output.json_line(reply)
        return
    first = (narrowing["offset"] or 0) + 1
    found = [(rank, result, _telling(result, detail)) for rank, result in enumerate(reply["results"], first)]
    if output.at_terminal():
        rows = [
            (rank, item["name"], item["type"], "\n".join(said), f"{item['score']:.2f}") for rank, item, said in found
        ]
        if rows:
            output.table((">#", "Name", "Type", "Observations", ">Score"), rows)
    else:
        output.lines(
            (rank, item["name"], item.get("type", ""), f"{item['score']:.4f}", *said) for rank, item, said in found
        )
    if "notice" in reply:
        output.note(f"Note: {reply['notice']}.")
    output.months_meant(since=narrowing["since"], until=narrowing["until"])
    if not found:
        output.note("Nothing found.")
        tell_unknown_namespace(session)
    elif reply["more"]:
        output.note(f"{len(found)} shown, and there are more: --offset {first - 1 + len(found)} gives the next.")


def _telling(result: dict[str, Any], detail: str | None) -> list[str]:
    """The observations of a result that say why it was found, best first."""
    if "error" in result:
        return [result["error"]]
    observations: list[str] = result.get("observations", [])
    if detail == "matched":
        return observations
    matching = [
        observations[match["index"]] for match in result.get("matches", []) if match["index"] < len(observations)
    ]
    return matching or observations[:SHOWN_WITHOUT_MATCH]


@click.command(
    "open",
    cls=Command,
    short_help="Show memories by name, whole.",
    epilog=examples(
        ("enhanced-memory open 'Ada Lovelace'", "everything about her, with her relations"),
        ("enhanced-memory open Ada | grep ^observation | cut -f3", "one observation a line"),
    ),
)
@click.argument("names", metavar="NAME...", nargs=-1, required=True, shell_complete=known_names)
@click.pass_obj
def open_command(session: Session, names: tuple[str, ...]) -> int:
    """Show entities by name, with all observations and relations. Ends with status 1 if one is not there."""
    reply = session.ask("open_nodes", {"names": list(names)})
    if session.json:
        output.json_line(reply)
    else:
        _show(reply["entities"], reply["relations"])
        for name in reply["missing"]:
            output.note(f"Nothing is remembered under {name!r}.{name_meant(session, name)}")
        if not reply["entities"]:
            tell_unknown_namespace(session)
    return EXIT_FAILED if reply["missing"] else 0


def _show(entities: list[dict[str, Any]], relations: list[dict[str, Any]]) -> None:
    """Entities and the relations between or around them, as blocks at a terminal, else as tagged lines."""
    if not output.at_terminal():
        for entity in entities:
            output.lines([("entity", entity["name"], entity["entityType"], entity["tier"], entity["version"])])
            output.lines(("observation", entity["name"], text) for text in entity["observations"])
        output.lines(("relation", item["from"], item["relationType"], item["to"]) for item in relations)
        return
    for entity in entities:
        name = entity["name"]
        items = [("!", entity["error"])] if "error" in entity else []
        items += [("•", text) for text in entity["observations"]]
        items += [("→", f"{item['relationType']} {item['to']}") for item in relations if item["from"] == name]
        items += [("←", f"{item['from']} {item['relationType']}") for item in relations if item["to"] == name]
        output.block(name, f"{entity['entityType']}, {entity['tier']}, version {entity['version']}", items)


@click.command(
    "add",
    cls=Command,
    short_help="Remember something.",
    epilog=examples(
        ("enhanced-memory add 'Ada Lovelace' person 'Writes programs'", "a new entity, or one more observation"),
        ("enhanced-memory add Ada person --replace 'Retired'", "this is all that is true now"),
        ("git log -1 --format=%s | enhanced-memory add Release event -", "observations from standard input"),
    ),
)
@click.argument("name", shell_complete=known_names)
@click.argument("entity_type", metavar="TYPE")
@click.argument("observations", metavar="[OBSERVATION]...", nargs=-1)
@click.option("--on-existing", type=click.Choice(ON_EXISTING), help="If NAME is there already (merge).")
@click.option("--replace", "on_existing", flag_value="replace", help="Short for --on-existing replace.")
@click.option("--tier", type=click.Choice(TIERS), help="Tier of the entity (working).")
@click.option("--pin", is_flag=True, help="Always include it in an assistant's context.")
@click.pass_obj
def add_command(
    session: Session,
    name: str,
    entity_type: str,
    observations: tuple[str, ...],
    on_existing: str | None,
    tier: str | None,
    pin: bool,
) -> None:
    """Remember OBSERVATIONs about NAME, an entity of this TYPE; `-` reads them from standard input, one a line.

    An entity that is there already gets what is new. Put `--` before observations that start with a dash.
    """
    entity: dict[str, Any] = {"name": name, "entityType": entity_type, "observations": _given(observations)}
    if tier is not None:
        entity["tier"] = tier
    if pin:
        entity["always_include"] = True
    reply = session.ask("create_entities", {"entities": [entity], "on_existing": on_existing})
    if session.json:
        output.json_line(reply)
        return
    result = reply["results"][0]
    if output.at_terminal():
        print(f"{output.visible(result['name'])}: {result['action']}, version {result['version']}")
    else:
        output.lines([(result["action"], result["name"], result["version"])])
    for sentence in told(name, result.get("conflicts", []), checked=reply.get("conflicts_checked", True)):
        output.note(sentence)


def _given(observations: tuple[str, ...]) -> list[str]:
    """The observations of the command line, those of standard input in the place of `-`."""
    given: list[str] = []
    for text in observations:
        if text == "-":
            given += [line.strip() for line in sys.stdin if line.strip()]
        else:
            given.append(text)
    return given
