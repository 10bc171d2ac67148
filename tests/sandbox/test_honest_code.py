"""Code as people write it gives the answer it should, and errors that say what is wrong in it and where."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from enhanced_memory.errors import SandboxError, SandboxMemory, SandboxRejected, SandboxTimeout
from tests.sandbox.conftest import MEMORIES, Cell, Sample, samples

pytestmark = pytest.mark.process

SNIPPETS = samples("honest.txt")


@pytest.mark.parametrize("snippet", SNIPPETS, ids=[sample.name for sample in SNIPPETS])
def test_a_snippet_gives_its_answer(snippet: Sample, cell: Cell) -> None:
    code, _, wanted = snippet.code.rpartition("\n#=> ")
    context = {"person": "Ada", "amount": 21}
    assert cell.run(code, context_vars=context).result == json.loads(wanted)


def test_there_are_a_hundred_snippets_and_more() -> None:
    assert len({snippet.name for snippet in SNIPPETS}) == len(SNIPPETS) >= 100


def test_what_was_printed_comes_back_from_all_functions_in_order(cell: Cell) -> None:
    outcome = cell.run("def f():\n    print('in', 1, sep='-')\nprint('a')\nf()\nprint('b', end='')")
    assert outcome.stdout == "a\nin-1\nb"


def test_print_is_cut_at_64_kib_and_marked(cell: Cell) -> None:
    outcome = cell.run("for i in range(100000):\n    print('é' * 10)\nresult = 'done'")
    text, mark = outcome.stdout.rsplit("\n[", 1)
    assert outcome.result == "done"
    assert 65_530 <= len(text.encode()) <= 65_536
    assert mark == "cut at 65,536 bytes]"


def test_what_was_printed_before_an_error_or_the_time_limit_comes_with_it(cell: Cell) -> None:
    raised = cell.failure("print('so far')\n1 / 0")
    stopped = cell.failure("print('so far')\nwhile True: pass", timeout_s=0.2)
    assert raised.details is not None
    assert raised.details["stdout"] == "so far\n"
    assert stopped.details == {"stdout": "so far\n"}


@pytest.mark.parametrize(
    ("code", "type_", "message", "line"),
    [
        ("x = 1\n1 / 0", "ZeroDivisionError", "division by zero", 2),
        ("def f():\n    return {}['k']\n\nf()", "KeyError", "'k'", 2),
        ("import json\n\njson.loads('{')", "JSONDecodeError", "Expecting property name", 3),
        ("from json import decoder", "ImportError", "json has no 'decoder' here", 1),
        ("\nimport os", "ImportError", "'os' cannot be imported here; available: json, re,", 2),
        ("x = sorted([1, 'a'])", "TypeError", "'<' not supported", 1),
        ("search_nodes('x',\n 1, 2)", "TypeError", "search_nodes() takes 2 arguments (query, limit), not 3", 1),
        ("open_nodes(['Nobody'])", "OperationError", "there is no entity 'Nobody'", 1),
        ("search_nodes(print)", "TypeError", "search_nodes() holds a value of type method, which is not JSON", 1),
        ("result = [1, len]", "ResultError", "result holds a value of type builtin_function_or_method", None),
        ("result = float('nan')", "ResultError", "result holds nan, which JSON cannot express", None),
        ("result = 'x' * 1048576", "ResultError", "result is larger than 1,048,576 bytes", None),
        ("raise ValueError('x' * 1000)", "ValueError", "x" * 500, 1),
        ("'{0.real}'.format(1)", "ValueError", "no attributes here", 1),
        (
            "class A:\n    def f(self):\n        self.n += 1\n\nA().f()",
            "AttributeError",
            "'A' object has no attribute",
            3,
        ),
        ("x = 1\n\nclass A:\n    y = 1 / 0", "ZeroDivisionError", "division by zero", 4),
        ("a = (1,)\na[0] = 2", "TypeError", "a tuple cannot be changed here", 2),
    ],
)
def test_an_error_has_its_type_its_message_and_the_line_of_the_code(
    code: str, type_: str, message: str, line: int | None, cell: Cell
) -> None:
    error = cell.failure(code)
    assert isinstance(error, SandboxError)
    assert error.details is not None
    assert error.details["type"] == type_
    assert message in error.details["message"]
    assert error.details["line"] == line
    assert error.message.startswith(f"line {line}: {type_}" if line else type_)
    assert len(error.details["message"]) <= 500
    assert str(Path(__file__).parents[2]) not in str(error.reply())


@pytest.mark.parametrize(
    ("code", "message", "line"),
    [
        ("x = 1\nclass A(dict):\n    pass", "line 2: a class has no bases", 2),
        ("class A:\n    def __eq__(self, x): pass", "line 2: of special methods a class has only __init__", 2),
        ("x = (", "line 1: '(' was never closed", 1),
        ("\nx._y", 'line 2: "_y" is an invalid attribute name', 2),
        ("return 1", "line 1: 'return' outside function", 1),
        ("match 1:\n    case int(real=x): pass", "line 2: class patterns take a plain name and no keywords", 2),
        ("match 1:\n    case x.y: pass", "line 2: patterns are made of literals and plain names", 2),
        ("x = 1\0", "source code string cannot contain null bytes", None),
    ],
)
def test_code_that_is_not_allowed_is_rejected_with_the_reason_and_the_line(
    code: str, message: str, line: int | None, cell: Cell
) -> None:
    error = cell.failure(code)
    assert isinstance(error, SandboxRejected)
    assert message in error.message
    assert error.details == {"line": line}


def test_the_polite_limit_stops_code_in_time(cell: Cell) -> None:
    error = cell.failure("while True:\n    pass", timeout_s=0.1)
    assert isinstance(error, SandboxTimeout)
    assert error.message == "the code was stopped at its limit of 0.1 seconds"


def test_code_that_asks_for_too_much_memory_is_stopped(cell: Cell) -> None:
    assert isinstance(cell.failure("x = 'x' * (300 * 1024 * 1024)"), SandboxMemory)


def test_two_hundred_megabytes_are_not_too_much(cell: Cell) -> None:
    assert cell.run("result = len('x' * (200 * 1024 * 1024))").result == 209_715_200


@pytest.mark.parametrize("data", [MEMORIES, {"a": [1, 2.5, None, True, "é\n\x00"]}, "text", [], {}, 0, -1e300])
def test_a_variable_comes_back_as_it_went_in(data: Any, cell: Cell) -> None:
    assert cell.run("result = data", context_vars={"data": data}).result == data


def test_a_run_sees_nothing_of_the_one_before(cell: Cell) -> None:
    cell.run("import collections\ncollections.Counter('a')\nleft = 1\nresult = left")
    error = cell.failure("result = left")
    assert error.details is not None
    assert error.details["type"] == "NameError"
