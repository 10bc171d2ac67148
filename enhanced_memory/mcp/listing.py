"""What a model reads of an operation: words and schemas as short as they can be, since it pays for them every time.

Above it lie the tools; below it the register. The daemon checks every argument and says what is wrong, so a listed
schema tells the shape and leaves out bounds; a result's schema is open.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

_RAISES = re.compile(r"\s*\bRaises: .*", re.DOTALL)
_SHOWN_PARAGRAPHS = 2
"""Of a docstring: what it does, and when to use it, with an example; further ones are for the documents."""

_KNOWN = frozenset(
    [
        "auto_store",
        "branch",
        "check_conflicts",
        "code",
        "conflict_id",
        "commit_message",
        "context_vars",
        "cursor",
        "deletions",
        "dry_run",
        "entity_data",
        "entity_id",
        "entity_name",
        "entity_type",
        "entityName",
        "entityNames",
        "expected_version",
        "explain",
        "extraction_context",
        "extractor",
        "limit",
        "max_tokens",
        "message",
        "min_relevance",
        "mode",
        "names",
        "namespaces",
        "new_tier",
        "notes",
        "observations",
        "offset",
        "reason",
        "relations",
        "session_id",
        "threshold",
        "tier",
        "timeout_s",
        "until",
        "version",
    ]
)
"""Arguments that mean the same in every tool, or what their name or the tool's example says."""


def words(docstring: str) -> str:
    """An operation's docstring for a model: its first paragraphs, without what it raises and without line ends."""
    paragraphs = _RAISES.sub("", docstring).split("\n\n")[:_SHOWN_PARAGRAPHS]
    return "\n".join(" ".join(paragraph.split()) for paragraph in paragraphs if paragraph.strip())


def taken(schema: Mapping[str, Any]) -> dict[str, Any]:
    """The schema of an operation's arguments, in the same shape without references, titles, bounds and nulls.

    An argument that may be null may be left out as well, so null is not told. Of an object within, the keys it must
    have are told; the words of its argument tell the others.
    """
    named = schema.get("$defs", {})
    properties = {}
    for name, value in schema.get("properties", {}).items():
        told = _shape(value, named)
        if "description" in value and name not in _KNOWN:
            told["description"] = value["description"]
        if isinstance(value.get("default"), int | float) and value["default"] not in (0, True):
            told["default"] = value["default"]
        properties[name] = told
    required = {"required": schema["required"]} if "required" in schema else {}
    return {"type": "object", "properties": properties, **required}


GIVEN: Final = {"type": "object", "properties": {"success": {"type": "boolean"}}, "required": ["success"]}
"""The schema of every reply as a model reads it: `success`, and whatever the tool's words say; docs/operations.md has
each key."""


def _shape(schema: Mapping[str, Any], named: Mapping[str, Any]) -> dict[str, Any]:
    """One value's schema, and those within it."""
    schema = _resolved(schema, named)
    branches = [branch for branch in schema.get("anyOf", ()) if branch.get("type") != "null"]
    if len(branches) == 1:
        return _shape(branches[0], named)
    if branches:
        return {"anyOf": [_shape(branch, named) for branch in branches]}
    told: dict[str, Any] = {key: schema[key] for key in ("type", "enum", "const") if key in schema}
    if "items" in schema:
        told["items"] = _shape(schema["items"], named)
    if "properties" in schema:
        needed = schema.get("required", ())
        told["properties"] = {name: _shape(schema["properties"][name], named) for name in needed}
        if needed:
            told["required"] = list(needed)
    return told


def _resolved(schema: Mapping[str, Any], named: Mapping[str, Any]) -> Mapping[str, Any]:
    """The schema that a reference names, or itself."""
    while "$ref" in schema:
        schema = named[schema["$ref"].rpartition("/")[2]]
    return schema
