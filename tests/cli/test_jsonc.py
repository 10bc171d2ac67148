"""Edits of JSON with comments: the value is there, and every byte around it is what it was."""

from __future__ import annotations

import json
import re

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from enhanced_memory.cli import jsonc

VALUE = {"command": "/opt/memory-mcp", "args": ["--tools", "full"]}
PATH = ["mcpServers", "enhanced-memory"]

keys = st.one_of(st.sampled_from(["mcpServers", "servers", "a", "//", "}", '{"', "\u00fc"]), st.text(max_size=8))
scalars = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), st.text()
)
plain = st.recursive(scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=4))
gaps = st.text("ab", max_size=3).flatmap(
    lambda word: st.sampled_from(["", " ", "\n", "\r\n", "\t", f"/*{word}*/", f" // {word}\n", "\n\n  ", "/***/\n"])
)


@st.composite
def written(draw: st.DrawFn, value: object) -> str:
    """Some way to write a value as JSON with comments and trailing commas."""

    def gap() -> str:
        return draw(gaps)

    if not isinstance(value, dict | list) or draw(st.booleans()):
        indents: list[int | str | None] = [None, 2, "\t"]
        return json.dumps(value, ensure_ascii=draw(st.booleans()), indent=draw(st.sampled_from(indents)))
    if isinstance(value, dict):
        items = [f"{json.dumps(k)}{gap()}:{gap()}{draw(written(v))}{gap()}" for k, v in value.items()]
    else:
        items = [f"{draw(written(v))}{gap()}" for v in value]
    text = ",".join(gap() + item for item in items) + ("," + gap() if bool(items) and draw(st.booleans()) else "")
    return f"{'{['[isinstance(value, list)]}{text}{gap()}{'}]'[isinstance(value, list)]}"


@st.composite
def documents(draw: st.DrawFn) -> tuple[str, dict[str, object]]:
    """A text whose outermost value is an object, and what it says."""
    value: dict[str, object] = draw(st.dictionaries(keys, plain, max_size=5))
    bom = draw(st.sampled_from(["", "\ufeff"]))
    return f"{bom}{draw(gaps)}{draw(written(value))}{draw(gaps)}", value


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(documents())
def test_a_text_says_what_was_written_into_it(document: tuple[str, dict[str, object]]) -> None:
    text, value = document
    assert jsonc.read(text) == value


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(documents(), keys, plain)
def test_what_was_put_in_is_there_and_all_else_says_what_it_said(
    document: tuple[str, dict[str, object]], key: str, new: object
) -> None:
    text, value = document
    edited = jsonc.put(text, [key], new)
    assert jsonc.read(edited) == {**value, key: new}
    assert jsonc.put(edited, [key], new) == edited


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(documents(), keys, plain)
def test_what_is_put_in_and_taken_out_again_leaves_the_bytes_as_they_were(
    document: tuple[str, dict[str, object]], key: str, new: object
) -> None:
    text, value = document
    if value and key not in value:
        assert jsonc.drop(jsonc.put(text, [key], new), [key]) == text


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(documents(), keys, plain)
def test_nothing_is_lost_around_what_is_put_in(document: tuple[str, dict[str, object]], key: str, new: object) -> None:
    text, value = document
    if key in value:
        return
    edited = jsonc.put(text, [key], new)
    rest = iter(edited)
    assert all(letter in rest for letter in text), "the text before is no longer there in its order"


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(documents(), st.data())
def test_what_is_taken_out_is_gone_and_all_else_says_what_it_said(
    document: tuple[str, dict[str, object]], data: st.DataObject
) -> None:
    text, value = document
    if value:
        key = data.draw(st.sampled_from(sorted(value)))
        assert jsonc.read(jsonc.drop(text, [key])) == {k: v for k, v in value.items() if k != key}


@pytest.mark.parametrize(
    ("text", "edited"),
    [
        ('{"a":1}', '{"a":1,"mcpServers":{"enhanced-memory":1}}'),
        ('{"a": 1}', '{"a": 1, "mcpServers": {"enhanced-memory": 1}}'),
        (
            '{\r\n\t"mcpServers": {\r\n\t\t"x": 0 // last\r\n\t}\r\n}',
            '{\r\n\t"mcpServers": {\r\n\t\t"x": 0, // last\r\n\t\t"enhanced-memory": 1\r\n\t}\r\n}',
        ),
        ('{\n    "mcpServers": {}\n}\n', '{\n    "mcpServers": {\n        "enhanced-memory": 1\n    }\n}\n'),
        ('{\n  "mcpServers": {"x": 0,},\n}', '{\n  "mcpServers": {"x": 0, "enhanced-memory": 1,},\n}'),
        ("", '{\n  "mcpServers": {\n    "enhanced-memory": 1\n  }\n}\n'),
    ],
)
def test_a_new_member_is_written_in_the_manner_of_its_surroundings(text: str, edited: str) -> None:
    assert jsonc.put(text, PATH, 1) == edited


def test_what_follows_on_the_line_of_a_member_taken_out_does_not_become_part_of_a_comment() -> None:
    assert jsonc.drop('{ // note\n"a": 1, "b": 2 }', ["a"]) == '{ // note\n "b": 2 }'


def test_of_two_members_with_one_name_the_one_that_counts_is_edited() -> None:
    assert jsonc.put('{"a": 1, "a": 2}', ["a"], 3) == '{"a": 1, "a": 3}'


def test_a_name_written_with_escapes_is_the_same_name() -> None:
    assert jsonc.put('{"\\u0061": 1}', ["a"], 2) == '{"\\u0061": 2}'


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ('{"a": 1', "line 1, column 8: expected a comma or }"),
        ('{\n  "a": 1\n  "b": 2}', "line 3, column 3: expected a comma or }"),
        ("{'a': 1}", "line 1, column 2: expected a name in quotes or }"),
        ('{"a": tru}', "line 1, column 7: expected a value"),
        ('{"a": 01}', "line 1, column 7: expected a value"),
        ('{"a": "x\n"}', "line 1, column 7: expected the string's end"),
        ('{"a": 1} x', "line 1, column 10: expected nothing more"),
        ("{} /* open", "line 1, column 4: expected nothing more"),
        ("[" * 1000, "line 1, column 202: expected at most 200 levels"),
        ('{"a": ' + "9" * 5000 + "}", "line 1, column 7: expected a shorter number"),
    ],
)
def test_a_text_that_is_not_json_is_refused_with_its_line_and_column(text: str, where: str) -> None:
    with pytest.raises(jsonc.Unreadable, match=re.escape(where)):
        jsonc.read(text)


def test_a_place_inside_something_that_is_no_object_is_refused() -> None:
    with pytest.raises(jsonc.Unfit):
        jsonc.put('{"mcpServers": [1]}', PATH, VALUE)
