"""What one run may take, as a caller of the service meets it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from enhanced_memory import wire
from enhanced_memory.service.dispatcher import MemoryDBService
from tests.conftest import PROMPTLY_S

pytestmark = pytest.mark.process

Ask = Callable[..., dict[str, Any]]

CATCH = "\nexcept OperationError as error:\n    result = [done, error.code]"


def test_the_two_hundred_and_first_call_is_refused_and_the_run_goes_on(ask: Ask) -> None:
    code = "done = 0\ntry:\n    while True:\n        search_nodes('x')\n        done += 1" + CATCH
    reply = ask("execute_code", code=code)
    assert reply["result"] == [200, "too_large"]
    assert reply["operations"] == {"search_nodes": 200}


@pytest.mark.parametrize(
    ("write", "undone"),
    [
        ("create_entities([{'name': n, 'entityType': 'x', 'observations': ['a', 'c']} for n in names])", 1),
        ("add_observations([{'entityName': n, 'contents': ['c']} for n in names])", 1),
        ("delete_observations([{'entityName': n, 'observations': ['b']} for n in names])", 1),
        ("delete_entities(names)", 1),
        ("confirm_entities(names)", 1),
    ],
)
def test_the_five_hundred_and_first_entity_is_refused_with_its_batch_whatever_writes_it(
    write: str, undone: int, ask: Ask
) -> None:
    every = [f"entity {number}" for number in range(501)]
    made = [{"name": name, "entityType": "x", "observations": ["a", "b"]} for name in every]
    ask("create_entities", entities=made)
    code = "done = 0\ntry:\n    for names in batches:\n        " + write + "\n        done += len(names)" + CATCH
    reply = ask("execute_code", code=code, context_vars={"batches": [every[:300], every[300:500], every[500:]]})
    assert reply["result"] == [500, "too_large"]
    if "confirm" not in write:
        versions = ask("memory_history", entity_name=every[-1])["versions"]
        assert [version["action"] for version in versions] == ["created"] * undone


def test_reading_many_entities_is_no_writing(ask: Ask) -> None:
    code = "for i in range(3):\n    open_nodes([str(n) for n in range(300)])\nresult = 'read'"
    assert ask("execute_code", code=code)["result"] == "read"


@pytest.mark.parametrize(
    ("code", "others"),
    [
        ("result = 'x' * {}", '""'),
        ("result = 'é\\n' + 'x' * {}", '"é\\n"'),
        ("result = [1, 2.5, None, [], (), {{}}, [True], 'x' * {}]", '[1,2.5,null,[],[],{},[true],""]'),
        (
            "result = {{'x' * {}: 1, 'b': {{'c': {{1, 2}}}}, 3: 4, None: range(0)}}",
            '{"":1,"b":{"c":[1,2]},"3":4,"null":[]}',
        ),
    ],
)
def test_a_result_of_a_mebibyte_fits_and_one_byte_more_does_not(code: str, others: str, ask: Ask) -> None:
    most = 1024 * 1024 - len(others.encode())
    result = ask("execute_code", code=code.format(most))["result"]
    assert len(wire.encode(result)) == 1024 * 1024 + len("\n")
    reply = ask("execute_code", code=code.format(most + 1))
    assert (reply["code"], reply["error"]) == ("sandbox_error", "ResultError: result is larger than 1,048,576 bytes")


def test_a_result_of_very_many_lists_fits_or_is_refused_in_words_of_its_own(ask: Ask) -> None:
    assert ask("execute_code", code="result = [[]] * 199_000")["result"] == [[]] * 199_000
    reply = ask("execute_code", code="result = [[]] * 201_000")
    assert reply["code"] == "sandbox_error"
    assert reply["error"] == "ResultError: result has more than 199,900 lists and dicts"


@pytest.mark.parametrize("code", ["print('x' * 65535)", "for _ in range(32768):\n    print('x')", "print('é' * 32767)"])
def test_sixty_four_kibibytes_are_printed_whole(code: str, ask: Ask) -> None:
    stdout = ask("execute_code", code=code)["stdout"]
    assert 65535 <= len(stdout.encode()) <= 65536
    assert set(stdout) <= set("xé\n")
    assert stdout.endswith("\n")


@pytest.mark.parametrize(
    "code", ["print('x' * 65536, end='')", "print('x' * 65536)", "print('x' * 65536); print(end='')"]
)
def test_a_line_end_alone_is_not_told_as_cut(code: str, ask: Ask) -> None:
    assert ask("execute_code", code=code)["stdout"] == "x" * 65536


@pytest.mark.parametrize("more", ["print('x')", "print()", "print('', '')", "print('é', end='')", "print(end='\\r')"])
def test_whatever_is_printed_beyond_sixty_four_kibibytes_is_cut_and_marked(more: str, ask: Ask) -> None:
    stdout = ask("execute_code", code=f"print('x' * 65536)\n{more}")["stdout"]
    assert stdout == "x" * 65536 + "\n[cut at 65,536 bytes]"


def test_half_a_character_is_cut_whole_and_nothing_behind_it_takes_its_place(ask: Ask) -> None:
    stdout = ask("execute_code", code="print('x' * 65535 + 'é', end='')\nprint('y', end='')")["stdout"]
    assert stdout == "x" * 65535 + "\n[cut at 65,536 bytes]"


def test_two_hundred_mebibytes_fit_and_three_hundred_do_not(ask: Ask) -> None:
    reply = ask("execute_code", code="result = len('x' * (200 * 1024 * 1024))")
    assert reply["result"] == 200 * 1024 * 1024
    assert 200 < reply["memory_used_mb"] < 256
    assert ask("execute_code", code="x = 'x' * (300 * 1024 * 1024)")["code"] == "sandbox_memory"


@pytest.mark.parametrize("timeout_s", [0.1, 1, 30])
def test_a_time_limit_from_a_tenth_of_a_second_to_thirty_is_taken(timeout_s: float, ask: Ask) -> None:
    assert ask("execute_code", code="result = 1", timeout_s=timeout_s)["result"] == 1


@pytest.mark.parametrize("timeout_s", [0, 0.09, -1, 30.01, 10**9, "5"])
def test_another_time_limit_is_refused(timeout_s: Any, ask: Ask) -> None:
    reply = ask("execute_code", code="result = 1", timeout_s=timeout_s)
    assert (reply["code"], reply["details"]["path"]) == ("invalid_params", "timeout_s")


@pytest.mark.parametrize(
    "code",
    [
        "while True:\n    try:\n        while True: pass\n    except Exception:\n        pass",
        "while True:\n    try:\n        while True: pass\n    finally:\n        continue",
        "while True:\n    try:\n        search_nodes('x')\n    except:\n        pass",
        "sum(range(10**12))",
        "import re\nre.match(r'(a+)+$', 'a' * 60 + 'b')",
    ],
)
def test_code_that_swallows_its_limit_ends_all_the_same_and_the_service_is_as_it_was(code: str, ask: Ask) -> None:
    reply = ask("execute_code", code=code, timeout_s=0.3)
    assert reply["code"] == "sandbox_timeout"
    assert ask("execute_code", code="result = len(search_nodes('x'))")["result"] == 0
    assert ask("ping")["pong"] is True


def test_read_only_leaves_out_every_operation_that_writes_and_no_other(ask: Ask) -> None:
    names = [each["name"] for each in ask("describe")["operations"] if each["writes"]]
    assert len(names) > 10
    for name in names:
        assert ask("execute_code", code=name, read_only=True)["details"]["type"] == "NameError"
    code = "result = [len(read_graph()['entities']), len(search_nodes('')), get_memory_status()['total_entities']]"
    assert ask("execute_code", code=code, read_only=True)["result"] == [0, 0, 0]


def test_a_run_in_progress_holds_up_no_other_request(ask: Ask) -> None:
    with ThreadPoolExecutor(4) as pool:
        runs = [pool.submit(ask, "execute_code", code="while True: pass", timeout_s=1) for _ in range(4)]
        made = ask("create_entities", entities=[{"name": "Ann", "entityType": "person", "observations": ["x"]}])
        assert made["success"]
        assert ask("search_nodes", query="Ann")["count"] == 1
        assert [run.result(5)["code"] for run in runs] == ["sandbox_timeout"] * 4


def test_eight_callers_at_once_all_get_their_own_answers(ask: Ask) -> None:
    start = threading.Barrier(8)

    def caller(number: int) -> list[Any]:
        start.wait(PROMPTLY_S)
        return [
            ask("execute_code", code="search_nodes('x')\nresult = n", context_vars={"n": [number, turn]})["result"]
            for turn in range(3)
        ]

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(caller, range(8))) == [[[number, turn] for turn in range(3)] for number in range(8)]


def test_the_service_tells_how_code_is_held_and_starts_its_process_once(service: MemoryDBService, ask: Ask) -> None:
    told = service._facts()["sandbox"]
    zygote = service._sandbox._zygote
    assert told["isolation"] in ("kernel", "partial", "language")
    assert set(told["layers"]) >= {"guards", "process", "limits", "seccomp", "landlock"}
    assert set(told["layers"].values()) <= {"on", "missing"}
    assert zygote is not None
    zygote.stop()
    assert service._facts()["sandbox"] == told
    assert service._sandbox._zygote is zygote  # what was found is remembered; no other was started for the answer
    assert ask("execute_code", code="result = 1")["result"] == 1


def test_where_the_sandbox_cannot_be_started_it_is_unavailable_and_every_layer_missing(
    service: MemoryDBService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("enhanced_memory.sandbox.supervisor._BOOT", "raise SystemExit(1)")
    told = service._facts()["sandbox"]
    assert told["isolation"] == "unavailable"
    assert set(told["layers"].values()) == {"missing"}
