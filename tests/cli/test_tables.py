"""Edits of TOML: one table is put in, replaced or taken out, and every byte around it is what it was."""

from __future__ import annotations

import tomllib

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from enhanced_memory.cli import jsonc, tables

TABLE = ("mcp_servers", "enhanced-memory")
VALUE = {"command": '/opt/my "tools"/memory-mcp\t\x7f', "args": ["a"], "env": {"MEMORY_NAMESPACE": "w ö"}, "n": 3}

PIECES = [
    "# a comment\n",
    "\n",
    'model = "gpt"  # the large one\n',
    '[mcp_servers.docs]\ncommand = "npx"\n',
    "[mcp_servers.docs.env]\nKEY = 'x'\n",
    '[[rules]]\ntext = """\n[mcp_servers.enhanced-memory]\n"""\n',
    "[profiles.deep]\nlist = [\n  [1, 2], # [mcp_servers.enhanced-memory]\n]\n",
    '["mcp_servers"."other one"]\ncommand = "x"\n',
]


@st.composite
def documents(draw: st.DrawFn) -> str:
    """A TOML text of some of these pieces, in their order."""
    text = "".join(piece for piece in PIECES if draw(st.booleans()))
    text = text.replace("\n", draw(st.sampled_from(["\n", "\r\n"])))
    return draw(st.sampled_from(["", "\ufeff"])) + (text.rstrip("\r\n") if draw(st.booleans()) else text)


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(documents())
def test_a_table_put_in_is_there_and_the_bytes_before_it_are_what_they_were(text: str) -> None:
    edited = tables.put(text, TABLE, VALUE)
    assert edited.startswith(text)
    assert tables.read(edited)["mcp_servers"]["enhanced-memory"] == VALUE
    assert tables.put(edited, TABLE, VALUE) == edited
    assert edited.count("\n") == edited.count("\r\n") or "\r" not in edited


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(documents())
def test_a_table_put_in_and_taken_out_again_leaves_the_bytes_as_they_were(text: str) -> None:
    assert tables.drop(tables.put(text, TABLE, VALUE), TABLE) == text


BETWEEN = """\
# ours
[mcp_servers.enhanced-memory] # heading
command = "/old"

[mcp_servers.enhanced-memory.env]
A = "b"

# of the profile
[profiles.deep]
x = 1
"""


def test_a_table_between_others_is_replaced_in_its_place_with_the_tables_in_it() -> None:
    edited = tables.put(BETWEEN, TABLE, {"command": "/new", "env": {"A": "c"}})
    assert edited.startswith('# ours\n[mcp_servers.enhanced-memory]\ncommand = "/new"\nenv = {A = "c"}\n')
    assert edited.endswith("\n# of the profile\n[profiles.deep]\nx = 1\n")


def test_a_table_between_others_is_taken_out_and_their_comments_stay() -> None:
    edited = tables.drop(BETWEEN, TABLE)
    assert tomllib.loads(edited) == {"profiles": {"deep": {"x": 1}}}
    assert edited.startswith("# ours\n")
    assert edited.endswith("\n# of the profile\n[profiles.deep]\nx = 1\n")


@pytest.mark.parametrize(
    "text",
    [
        'mcp_servers = {docs = {command = "npx"}}\n',
        '[mcp_servers]\nenhanced-memory = {command = "old"}\n',
        'mcp_servers.docs.command = "npx"\nmcp_servers.enhanced-memory.command = "x"\n',
    ],
)
def test_a_file_that_writes_its_tables_in_another_way_is_refused(text: str) -> None:
    with pytest.raises(jsonc.Unfit):
        tables.put(text, TABLE, VALUE)


def test_a_date_in_our_table_is_refused_and_not_turned_into_something_else() -> None:
    with pytest.raises(jsonc.Unfit, match="cannot be written again"):
        tables.put(
            "[mcp_servers.enhanced-memory]\nsince = 2026-01-01\n", TABLE, tomllib.loads("since = 2026-01-01\nb = 1")
        )


def test_a_text_that_is_not_toml_is_refused_with_its_line_and_column() -> None:
    with pytest.raises(tables.Unreadable, match="line 2, column 5"):
        tables.read("a = 1\nb = = 2\n")
