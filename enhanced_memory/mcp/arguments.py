"""A model's arguments, mended before they are sent: the slips models make that have only one reading.

Above it lie the tools, below it the wire. Nothing is checked here: what stays wrong goes to the daemon as it came,
and the daemon says what is wrong with it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from enhanced_memory import wire
from enhanced_memory.errors import ParseError


def mended(arguments: Mapping[str, Any], schema: Mapping[str, Any]) -> dict[str, Any]:
    """The top-level `arguments` with two slips undone; values inside lists and objects stay as they are.

    A null for a parameter that may be absent is left out: models fill in every parameter they know. Where `schema`,
    the JSON Schema of the whole call, has no room for a string, a string that holds JSON of a type it wants is that
    JSON: `"[1, 2]"` for a list, `"10"` for a number.
    """
    properties = schema.get("properties", {})
    required = schema.get("required", ())
    return {
        name: _unquoted(value, properties.get(name, {}))
        for name, value in arguments.items()
        if value is not None or name in required or name not in properties
    }


def accepted_types(schema: Mapping[str, Any]) -> frozenset[str]:
    """The JSON types that `schema` lets a value have; empty where it does not say."""
    if "type" in schema:
        declared = schema["type"]
        return frozenset([declared] if isinstance(declared, str) else declared)
    branches = [accepted_types(branch) for branch in (*schema.get("anyOf", ()), *schema.get("oneOf", ()))]
    return frozenset().union(*branches) if all(branches) else frozenset()


def _unquoted(value: Any, schema: Mapping[str, Any]) -> Any:
    """`value`, or what it holds as JSON when it is a string and `schema` wants something else."""
    if not isinstance(value, str):
        return value
    wanted = accepted_types(schema)
    if not wanted or "string" in wanted:
        return value
    try:
        held = wire.decode(value.encode())
    except (ParseError, UnicodeEncodeError):  # not JSON within the wire's limits, or a lone surrogate
        return value
    return held if wanted & _types_of(held) else value


def _types_of(value: Any) -> frozenset[str]:
    """The JSON types that `value` counts as; every integer is a number as well."""
    match value:
        case bool():
            return frozenset(["boolean"])
        case int():
            return frozenset(["integer", "number"])
        case float():
            return frozenset(["number"])
        case list():
            return frozenset(["array"])
        case dict():
            return frozenset(["object"])
    return frozenset()
