"""Commands that reach every operation of the daemon: call, which runs one, and operations, which lists them.

Above it lies the program; below it the session, which asks the daemon, and output, which prints. What an operation
takes is the daemon's to say: its `describe` is asked, nothing about single operations is known here.
"""

from __future__ import annotations

import json
import sys
from typing import Any

import click

from enhanced_memory.cli import hints, output
from enhanced_memory.cli.session import Command, Session, examples


@click.command(
    "call",
    cls=Command,
    short_help="Run any operation of the daemon.",
    epilog=examples(
        ("enhanced-memory call read_graph entity_type=person limit=5", "parameters by name"),
        ("enhanced-memory call confirm_entities entityNames=Ada entityNames=Babbage", "a list, one item at a time"),
        ("""enhanced-memory call delete_entities '{"entityNames": ["Ada"]}'""", "or all as one JSON object"),
        ("enhanced-memory call create_relations - < relations.json", "or from standard input"),
    ),
)
@click.argument("method")
@click.argument("params", metavar="[JSON | - | KEY=VALUE...]", nargs=-1)
@click.pass_obj
def call_command(session: Session, method: str, params: tuple[str, ...]) -> None:
    """Run the operation METHOD and print its reply as JSON. `enhanced-memory operations METHOD` tells what it takes."""
    reply = session.ask(method, _params(session, method, params))
    if output.at_terminal() and not session.json:
        output.pretty_json(reply)
    else:
        output.json_line(reply)


def _params(session: Session, method: str, given: tuple[str, ...]) -> dict[str, Any]:
    """The parameters of a call, from one JSON object or from `key=value` pairs."""
    if len(given) == 1 and (given[0] == "-" or given[0].lstrip().startswith("{")):
        text = sys.stdin.read() if given[0] == "-" else given[0]
        try:
            params = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise click.UsageError(f"the parameters are not JSON: {error}") from error
        if not isinstance(params, dict):
            raise click.UsageError("the parameters must be one JSON object")
        return params
    texts: dict[str, list[str]] = {}
    for pair in given:
        key, equals, text = pair.partition("=")
        if not (key and equals):
            raise click.UsageError(f"{pair!r} is neither a JSON object nor KEY=VALUE")
        texts.setdefault(key, []).append(text)
    if not texts:
        return {}
    known = {item["name"]: item["params"].get("properties", {}) for item in session.ask("describe", {})["operations"]}
    schemas = known.get(method, {})  # calling an operation that is not there will say so, and name the nearest
    return {key: _value(key, schemas.get(key, {}), items) for key, items in texts.items()}


def _value(key: str, schema: dict[str, Any], texts: list[str]) -> Any:
    """The texts given for one parameter as what its schema asks for; a list may be given item by item."""
    kinds = _kinds(schema)
    if "array" in kinds and not (len(texts) == 1 and texts[0].lstrip().startswith("[")):
        return [_single(text, _kinds(schema.get("items", {}))) for text in texts]
    if len(texts) > 1:
        raise click.UsageError(f"{key} is given {len(texts)} times, and is no list")
    return _single(texts[0], kinds)


def _single(text: str, kinds: set[str]) -> Any:
    """A text where one is asked for, so that the query 2024 stays one; else the JSON it spells, if it does."""
    if "string" in kinds:
        return text
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def _kinds(schema: dict[str, Any]) -> set[str]:
    """The JSON types a schema allows, as far as it names them itself."""
    own = {schema["type"]} if "type" in schema else set()
    return own.union(*(_kinds(choice) for choice in schema.get("anyOf", [])))


@click.command(
    "operations",
    cls=Command,
    short_help="List what `call` can run, or explain one.",
    epilog=examples(
        ("enhanced-memory operations", "all of them"),
        ("enhanced-memory operations read_graph", "what one does and takes"),
    ),
)
@click.argument("method", required=False)
@click.pass_obj
def operations_command(session: Session, method: str | None) -> None:
    """List the daemon's operations with what they do, or explain the one called METHOD."""
    reply = session.ask("describe", {})
    if method is not None:
        named = {item["name"]: item for item in reply["operations"]}
        if method not in named:
            near = hints.meant(method, named)
            raise click.UsageError(f"there is no operation {method!r}.{near} Without METHOD all are listed")
        _explain(session, named[method])
    elif session.json:
        output.json_line(reply)
    else:
        rows = [
            (item["name"], "writes" if item["writes"] else "reads", _paragraphs(item["description"])[0])
            for item in reply["operations"]
        ]
        if output.at_terminal():
            output.table(("Operation", "", "What it does"), rows)
        else:
            output.lines(rows)


def _explain(session: Session, operation: dict[str, Any]) -> None:
    """Print what one operation does and takes."""
    if session.json:
        output.json_line({"success": True, **operation})
        return
    needed = operation["params"].get("required", [])
    rows = [
        (name, _type_of(schema), _default_of(schema, name in needed), schema.get("description", ""))
        for name, schema in operation["params"].get("properties", {}).items()
    ]
    if not output.at_terminal():
        output.lines(rows)
        return
    paragraphs = _paragraphs(operation["description"])
    output.block(operation["name"], "writes" if operation["writes"] else "reads", [("", "\n\n".join(paragraphs))])
    if rows:
        output.table(("Parameter", "Type", "Default", "Meaning"), rows)


def _paragraphs(description: str) -> list[str]:
    """The words of an operation, its paragraphs unwrapped for whatever width they are shown in."""
    return [" ".join(paragraph.split()) for paragraph in description.split("\n\n")]


def _type_of(schema: dict[str, Any]) -> str:
    """The type of a parameter in a word or two, or the words it may be."""
    choices = [str(word) for choice in (schema, *schema.get("anyOf", [])) for word in choice.get("enum", [])]
    return " or ".join(choices or sorted(_kinds(schema) - {"null"})) or "any"


def _default_of(schema: dict[str, Any], needed: bool) -> str:
    """What a parameter is when it is left out."""
    if needed:
        return "(needed)"
    default = schema.get("default")
    return "" if default is None else json.dumps(default, ensure_ascii=False)
