"""The commands that reach every operation."""

from __future__ import annotations

from typing import Any

import pytest

from enhanced_memory.registry import operations
from tests.cli.conftest import Run, StandIn, at_terminal

PROPERTIES = {
    "query": {"type": "string", "description": "What to look for."},
    "limit": {"type": "integer", "default": 10},
    "names": {"type": "array", "items": {"type": "string"}},
    "tier": {"anyOf": [{"enum": ["working", "semantic"], "type": "string"}, {"type": "null"}], "default": None},
    "things": {"type": "array", "items": {"$ref": "#/$defs/Thing"}},
    "confirm": {"type": "boolean"},
}
OPERATION = {
    "name": "try_out",
    "title": "Try out",
    "description": "Try something.\n\nAt length.",
    "writes": True,
    "core": False,
    "params": {"properties": PROPERTIES, "required": ["query"]},
}


@pytest.fixture(autouse=True)
def describing(stand_in: StandIn) -> None:
    """The scripted daemon has one operation."""

    def answer(method: str, _params: dict[str, Any]) -> dict[str, Any]:
        return (
            {"success": True, "operations": [OPERATION]} if method == "describe" else {"success": True, "done": method}
        )

    stand_in.answer = answer


@pytest.mark.parametrize(
    ("given", "params"),
    [
        ((), {}),
        (('{"limit": 5}',), {"limit": 5}),
        (("query=2024", "limit=5", "confirm=true"), {"query": "2024", "limit": 5, "confirm": True}),
        (("query=a=b",), {"query": "a=b"}),
        (("query=",), {"query": ""}),
        (("limit=five",), {"limit": "five"}),
        (("tier=working",), {"tier": "working"}),
        (("names=Ada",), {"names": ["Ada"]}),
        (("names=Ada", "names=7"), {"names": ["Ada", "7"]}),
        (('names=["Ada", "Bob"]',), {"names": ["Ada", "Bob"]}),
        (('things={"a": 1}',), {"things": [{"a": 1}]}),
        (("unknown=1",), {"unknown": 1}),
    ],
)
def test_parameters_become_what_the_operation_takes(
    run: Run, stand_in: StandIn, given: tuple[str, ...], params: dict[str, Any]
) -> None:
    assert run("call", "try_out", *given).json == {"success": True, "done": "try_out"}
    assert stand_in.asked("try_out") == [params]


def test_parameters_may_come_from_standard_input(run: Run, stand_in: StandIn) -> None:
    run("call", "try_out", "-", stdin=b'{"query": "x"}')
    assert stand_in.asked("try_out") == [{"query": "x"}]


def test_a_value_given_twice_is_wrong_usage_unless_it_is_a_list(run: Run) -> None:
    assert run("call", "try_out", "limit=1", "limit=2").status == 2


def test_what_is_not_unicode_is_refused_with_a_sentence(run: Run) -> None:
    ended = run("call", "try_out", "query=\udcff")
    assert ended.status == 1
    assert ended.err.startswith("Error: try_out cannot be written as JSON")


def test_an_operation_the_daemon_does_not_have_is_asked_for_all_the_same(run: Run, stand_in: StandIn) -> None:
    run("call", "other", "limit=1")
    assert stand_in.asked("other") == [{"limit": 1}]


def test_operations_are_a_line_each_when_piped(run: Run) -> None:
    assert run("operations").out == "try_out\twrites\tTry something.\n"


def test_one_operation_is_explained_by_its_parameters(run: Run) -> None:
    assert run("operations", "try_out").out.splitlines() == [
        "query\tstring\t(needed)\tWhat to look for.",
        "limit\tinteger\t10\t",
        "names\tarray\t\t",
        "tier\tworking or semantic\t\t",
        "things\tarray\t\t",
        "confirm\tboolean\t\t",
    ]


def test_an_explanation_as_json_is_the_operations_own_schema(run: Run) -> None:
    assert run("operations", "try_out", "--json").json == {"success": True, **OPERATION}


def test_an_operation_that_is_not_there_cannot_be_explained(run: Run) -> None:
    assert run("operations", "other").status == 2
    assert "Did you mean 'try_out'?" in run("operations", "try_ou").err


@pytest.mark.process
def test_at_a_terminal_a_reply_is_indented_and_an_operation_explained_in_full() -> None:
    assert at_terminal("call", "try_out") == (0, '{\n  "success": true,\n  "done": "try_out"\n}\n')
    status, shown = at_terminal("operations", "try_out")
    assert status == 0
    assert "At length." in shown
    assert "What to look for." in shown


@pytest.mark.parametrize("name", operations())
def test_every_operation_can_be_called(run: Run, name: str) -> None:
    assert run("call", name, "--json").json == {
        "success": True,
        **({"operations": [OPERATION]} if name == "describe" else {"done": name}),
    }
