"""The slips of models that are mended before a call goes out, and everything that is left as it came."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from enhanced_memory.mcp.arguments import mended

SCHEMA = {
    "type": "object",
    "properties": {
        "query": {"type": "string"},
        "names": {"type": "array", "items": {"type": "string"}},
        "context_vars": {"type": "object"},
        "limit": {"type": "integer"},
        "threshold": {"type": "number"},
        "dry_run": {"type": "boolean"},
        "tier": {"anyOf": [{"enum": ["working"], "type": "string"}, {"type": "null"}], "default": None},
        "ids": {"anyOf": [{"type": "array"}, {"type": "null"}], "default": None},
        "anything": {"description": "whatever"},
    },
    "required": ["query"],
}

plain = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**6), 10**6)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@pytest.mark.parametrize(
    ("name", "sent", "meant"),
    [
        ("names", '["Ann", "Bob"]', ["Ann", "Bob"]),
        ("ids", "[1, 2]", [1, 2]),
        ("context_vars", '{"a": [1]}', {"a": [1]}),
        ("limit", "10", 10),
        ("threshold", "0.5", 0.5),
        ("threshold", "1", 1),
        ("dry_run", "true", True),
    ],
)
def test_a_value_sent_as_a_json_string_is_read_as_what_the_schema_wants(name: str, sent: str, meant: object) -> None:
    assert mended({name: sent}, SCHEMA) == {name: meant}


@pytest.mark.parametrize(
    ("name", "sent"),
    [
        ("query", "[1, 2]"),  # the schema wants a string
        ("query", "10"),
        ("tier", "[1]"),  # a string is among what it wants
        ("anything", "[1]"),  # it does not say what it wants
        ("unheard_of", "[1]"),  # it does not know the name
        ("names", '{"a": 1}'),  # JSON, but not a list
        ("names", "Ann"),  # not JSON
        ("names", '"Ann"'),  # a string once more
        ("names", "[" * 5000),  # deeper than the wire goes
        ("limit", "1.5"),  # a number, but not a whole one
        ("limit", "true"),  # Python's True is an integer, JSON's is not
        ("limit", "9" * 5000),  # more digits than the wire takes
        ("limit", "ten"),
        ("threshold", "NaN"),
        ("names", "\ud800"),  # no UTF-8
    ],
)
def test_a_string_that_is_not_clearly_something_else_stays_a_string(name: str, sent: str) -> None:
    assert mended({name: sent}, SCHEMA) == {name: sent}


def test_a_null_for_an_optional_parameter_is_left_out_and_any_other_null_is_kept() -> None:
    sent = {"query": None, "limit": None, "tier": None, "unheard_of": None, "context_vars": {"inside": None}}

    assert mended(sent, SCHEMA) == {"query": None, "unheard_of": None, "context_vars": {"inside": None}}


def test_values_inside_lists_and_objects_stay_as_they_are() -> None:
    sent = {"names": ["[1]", "2"], "context_vars": {"limit": "10"}}

    assert mended(sent, SCHEMA) == sent


@given(st.lists(plain, max_size=4), st.dictionaries(st.text(max_size=5), plain, max_size=4))
def test_quoting_a_list_or_an_object_as_json_is_undone(names: list[object], variables: dict[str, object]) -> None:
    meant = {"names": names, "context_vars": variables}

    assert mended({name: json.dumps(value) for name, value in meant.items()}, SCHEMA) == meant


@given(st.dictionaries(st.sampled_from([*SCHEMA["properties"], "unheard_of"]), plain))
def test_mending_twice_changes_nothing_more(sent: dict[str, object]) -> None:
    once = mended(sent, SCHEMA)

    assert mended(once, SCHEMA) == once
