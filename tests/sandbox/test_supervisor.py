"""The supervisor: what a run gives, how its calls are answered, how many go on, and how the zygote lives and dies."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psutil
import pytest

from enhanced_memory.errors import (
    Busy,
    Internal,
    InvalidParams,
    NotFound,
    SandboxError,
    SandboxRejected,
    SandboxTimeout,
    ShuttingDown,
    TimedOut,
    TooLarge,
)
from enhanced_memory.sandbox import frames, limits
from enhanced_memory.sandbox.supervisor import Supervisor
from tests.conftest import PROMPTLY_S
from tests.hall.test_turns import until_waiting
from tests.sandbox.conftest import FUNCTIONS, Cell, call

pytestmark = pytest.mark.process

ROOT = Path(__file__).parents[2]


@pytest.fixture
def own_cell() -> Iterator[Cell]:
    """A supervisor for one test, which may do harm to it."""
    supervisor = Supervisor()
    yield Cell(supervisor)
    supervisor.close()


def zygotes(process: psutil.Process | None = None) -> list[psutil.Process]:
    """The zygotes that this process, or another, has started."""
    children = (process or psutil.Process()).children()
    return [child for child in children if "zygote" in " ".join(child.cmdline())]


def the_zygote(cell: Cell) -> psutil.Process:
    """The zygote of this supervisor, started if it was not."""
    before = {process.pid for process in zygotes()}
    cell.run("result = 1")
    [zygote] = [process for process in zygotes() if process.pid not in before]
    return zygote


class Gate:
    """A memory operation that says when it was entered and waits until it may go on."""

    def __init__(self) -> None:
        self.entered = threading.Event()
        self.open = threading.Event()

    def call(self, name: str, arguments: dict[str, Any]) -> Any:
        self.entered.set()
        assert self.open.wait(PROMPTLY_S)
        return []


def test_nothing_starts_before_the_first_run() -> None:
    before = zygotes()
    supervisor = Supervisor()
    assert zygotes() == before
    supervisor.close()


def test_an_outcome_has_the_result_the_output_the_time_the_memory_and_the_calls(cell: Cell) -> None:
    outcome = cell.run("search_nodes('a')\nsearch_nodes('b')\nopen_nodes(['Ada'])\nprint('x')\nresult = [1]")
    assert outcome.result == [1]
    assert outcome.stdout == "x\n"
    assert outcome.operations == {"search_nodes": 2, "open_nodes": 1}
    assert 0 < outcome.execution_time_ms < 30_000
    assert 1 < outcome.memory_used_mb < 256


def test_memory_used_grows_with_what_the_code_takes(cell: Cell) -> None:
    little = cell.run("result = 1").memory_used_mb
    much = cell.run("x = 'x' * 100_000_000\nresult = 1").memory_used_mb
    assert 90 < much - little < 110


def test_parameters_go_by_position_and_by_name_in_their_order(cell: Cell) -> None:
    seen: list[dict[str, Any]] = []

    def remember(name: str, arguments: dict[str, Any]) -> Any:
        seen.append(arguments)

    cell.run("search_nodes('x', 5)\nsearch_nodes('x', limit=5)\nsearch_nodes(limit=5, query='x')", call=remember)
    assert seen == [{"query": "x", "limit": 5}] * 3


def test_calls_are_made_in_the_thread_of_the_caller(cell: Cell) -> None:
    threads: list[int] = []
    cell.run("search_nodes('x')", call=lambda *_: threads.append(threading.get_ident()))
    assert threads == [threading.get_ident()]


def test_a_failing_operation_is_an_ordinary_exception_in_the_code(cell: Cell) -> None:
    def fail(name: str, arguments: dict[str, Any]) -> Any:
        raise NotFound("no such thing", hint="look elsewhere")

    code = "try:\n    search_nodes('x')\nexcept Exception as e:\n    result = [e.message, e.code, e.hint, str(e)]"
    assert cell.run(code, call=fail).result == ["no such thing", "not_found", "look elsewhere", "no such thing"]


def test_a_defect_in_an_operation_reaches_the_caller_and_ends_the_run(cell: Cell) -> None:
    with pytest.raises(ZeroDivisionError):
        cell.run("while True:\n    search_nodes('x')", call=lambda *_: 1 / 0)
    assert cell.run("result = 1").result == 1


def test_a_defect_that_looks_like_a_broken_pipe_reaches_the_caller_too(cell: Cell) -> None:
    def fail(name: str, arguments: dict[str, Any]) -> Any:
        raise BrokenPipeError

    with pytest.raises(BrokenPipeError):
        cell.run("search_nodes('x')", call=fail)


def test_the_two_hundred_and_first_call_is_refused_and_what_came_before_stands(cell: Cell) -> None:
    code = (
        "n = 0\ntry:\n    while True:\n        search_nodes('x')\n        n += 1\n"
        "except OperationError as e:\n    result = [n, e.code]"
    )
    outcome = cell.run(code)
    assert outcome.result == [200, "too_large"]
    assert outcome.operations == {"search_nodes": 200}


def test_the_five_hundred_and_first_entity_is_refused_with_its_batch(cell: Cell) -> None:
    code = (
        "def make(n):\n    return create_entities([{'name': str(i)} for i in range(n)])['created']\n"
        "made = [make(300), make(200)]\ntry:\n    make(1)\nexcept OperationError as e:\n    result = [made, e.code]"
    )
    assert cell.run(code).result == [[300, 200], "too_large"]


def test_a_reply_that_is_too_large_is_refused_and_the_run_goes_on(cell: Cell) -> None:
    code = "try:\n    search_nodes('x')\nexcept OperationError as e:\n    result = e.code"
    assert cell.run(code, call=lambda *_: "x" * limits.MAX_TO_WORKER_BYTES).result == "too_large"


@pytest.mark.parametrize("timeout_s", [0.09, 30.1, 0, -1, float("nan")])
def test_a_time_limit_out_of_bounds_is_refused(timeout_s: float, cell: Cell) -> None:
    assert isinstance(cell.failure("result = 1", timeout_s=timeout_s), InvalidParams)


@pytest.mark.parametrize("name", ["_x", "__builtins__", "_getattr_", "print", "class", "a b", "", "1x", "printed"])
def test_a_variable_cannot_have_a_name_that_code_could_not_use(name: str, cell: Cell) -> None:
    error = cell.failure("result = 1", context_vars={name: 1})
    assert isinstance(error, InvalidParams)
    assert error.details == {"path": f"context_vars.{name}"}


def test_code_over_256_kib_is_refused(cell: Cell) -> None:
    assert isinstance(cell.failure("#" * (256 * 1024 + 1)), TooLarge)
    assert cell.run("#" * (256 * 1024)).result is None


def test_one_run_does_not_hold_up_another(cell: Cell) -> None:
    gate = Gate()
    with ThreadPoolExecutor(1) as pool:
        held = pool.submit(cell.run, "search_nodes('x')\nresult = 'held'", call=gate.call)
        assert gate.entered.wait(PROMPTLY_S)
        assert cell.run("result = 1").result == 1
        gate.open.set()
        assert held.result(PROMPTLY_S).result == "held"


def test_eight_at_once_all_get_their_own_answer(cell: Cell) -> None:
    start = threading.Barrier(8)

    def run(number: int) -> Any:
        start.wait(PROMPTLY_S)
        return cell.run("search_nodes('x')\nresult = n * n", context_vars={"n": number}).result

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(run, range(8))) == [n * n for n in range(8)]


def test_of_eight_callers_at_once_none_has_a_second_turn_before_all_had_their_first(own_cell: Cell) -> None:
    inside: list[str] = []
    first, second = threading.Barrier(limits.MAX_RUNS + 1), threading.Barrier(limits.MAX_RUNS)
    before: list[list[str]] = []

    def take_part(name: str, arguments: dict[str, Any]) -> Any:
        inside.append(arguments["query"])
        if inside.count(arguments["query"]) == 1:
            waited_at = first if arguments["query"].startswith("early") else second
            waited_at.wait(PROMPTLY_S)
            before.append(list(inside))
        return []

    def caller(name: str, turns: int) -> None:
        for _ in range(turns):
            own_cell.run("search_nodes(name)", context_vars={"name": name}, call=take_part)

    own_cell.run("result = 1")
    with ThreadPoolExecutor(8) as pool:
        runs = [pool.submit(caller, f"early {number}", 3) for number in range(4)]
        runs += [pool.submit(caller, f"late {number}", 1) for number in range(4) if until_inside(inside, 4)]
        until_waiting(own_cell.supervisor._places, 4)
        first.wait(PROMPTLY_S)  # the early ones leave and ask again at once
        for run in runs:
            run.result(PROMPTLY_S)
    assert sorted(before[-1][:8]) == [f"{which} {number}" for which in ("early", "late") for number in range(4)]


def until_inside(inside: list[str], count: int) -> bool:
    """True once so many calls were made."""
    until = time.monotonic() + PROMPTLY_S
    while len(inside) < count:
        assert time.monotonic() < until
    return True


def test_a_run_beyond_those_that_may_go_on_and_wait_is_refused_as_busy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MAX_RUNS", 1)
    monkeypatch.setattr(limits, "MAX_WAITING", 0)
    supervisor, gate = Supervisor(), Gate()
    cell = Cell(supervisor)
    with ThreadPoolExecutor(1) as pool:
        held = pool.submit(cell.run, "search_nodes('x')", call=gate.call)
        assert gate.entered.wait(PROMPTLY_S)
        assert isinstance(cell.failure("result = 1"), Busy)
        gate.open.set()
        held.result(PROMPTLY_S)
    assert cell.run("result = 1").result == 1
    supervisor.close()


def test_a_run_that_waits_too_long_for_a_place_is_refused_as_busy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MAX_RUNS", 1)
    supervisor, gate = Supervisor(wait_s=0.01), Gate()
    cell = Cell(supervisor)
    with ThreadPoolExecutor(1) as pool:
        held = pool.submit(cell.run, "search_nodes('x')", call=gate.call)
        assert gate.entered.wait(PROMPTLY_S)
        assert isinstance(cell.failure("result = 1"), Busy)
        gate.open.set()
        held.result(PROMPTLY_S)
    supervisor.close()


def test_code_that_swallows_its_limit_is_killed_and_its_call_answered_late_harms_nobody(cell: Cell) -> None:
    gate = Gate()

    def late(name: str, arguments: dict[str, Any]) -> Any:
        gate.open.wait(0.9)  # longer than the limit and the grace, and nobody opens
        return []

    assert isinstance(cell.failure("search_nodes('x')", call=late, timeout_s=0.2), SandboxTimeout)
    assert cell.run("result = 1").result == 1


def test_a_run_that_nobody_waits_for_any_more_is_ended(cell: Cell) -> None:
    gone = threading.Event()
    calls: list[str] = []

    def leave(name: str, arguments: dict[str, Any]) -> Any:
        calls.append(name)
        gone.set()
        return call(name, arguments)

    endless = "search_nodes('tea')\nwhile True: pass"
    with pytest.raises(TimedOut, match="nobody waits"):
        cell.run(endless, timeout_s=30, call=leave, gone=gone.is_set)
    assert calls == ["search_nodes"]
    assert cell.run("result = 1").result == 1


def test_sixty_runs_leave_no_process_no_descriptor_and_no_thread(own_cell: Cell) -> None:
    zygote = the_zygote(own_cell)
    before = (psutil.Process().num_fds(), zygote.num_fds(), psutil.Process().num_threads())
    for number in range(60):
        code = ["result = 1", "1 / 0", "search_nodes('x')"][number % 3]
        if number % 3 == 1:
            own_cell.failure(code)
        else:
            own_cell.run(code)
    after = (psutil.Process().num_fds(), zygote.num_fds(), psutil.Process().num_threads())
    assert before == after
    assert zygote.children() == []


def test_the_zygote_has_no_environment_and_no_descriptor_of_its_parent(
    own_cell: Cell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EM_CANARY", "secret")
    with (tmp_path / "database").open("w") as database, socket.socket(socket.AF_UNIX) as listener:
        os.set_inheritable(database.fileno(), True)
        os.set_inheritable(listener.fileno(), True)
        zygote = the_zygote(own_cell)
        assert zygote.environ() == {}
        assert str(tmp_path / "database") not in [opened.path for opened in zygote.open_files()]
        assert zygote.num_fds() == 6  # three standard ones, the control socket and a pipe to hear of ends
        assert zygote.cwd() == "/"


def test_a_zygote_that_was_killed_is_replaced(own_cell: Cell) -> None:
    zygote = the_zygote(own_cell)
    zygote.kill()
    zygote.wait(PROMPTLY_S)
    assert own_cell.run("result = 1").result == 1


def test_a_run_whose_zygote_is_killed_fails_and_the_next_one_works(own_cell: Cell) -> None:
    zygote, gate = the_zygote(own_cell), Gate()
    with ThreadPoolExecutor(1) as pool:
        held = pool.submit(own_cell.failure, "search_nodes('x')", call=gate.call)
        assert gate.entered.wait(PROMPTLY_S)
        [worker] = zygote.children()
        zygote.kill()
        assert gone([worker])  # the worker dies with it
        gate.open.set()
        assert isinstance(held.result(PROMPTLY_S), Internal)
    assert own_cell.run("result = 1").result == 1


def test_a_worker_that_is_killed_fails_its_run_alone(own_cell: Cell) -> None:
    zygote, gate = the_zygote(own_cell), Gate()
    with ThreadPoolExecutor(1) as pool:
        held = pool.submit(own_cell.failure, "search_nodes('x')", call=gate.call)
        assert gate.entered.wait(PROMPTLY_S)
        [worker] = zygote.children()
        worker.kill()
        gate.open.set()
        error = held.result(PROMPTLY_S)
    assert isinstance(error, SandboxError)
    assert error.details == {"type": "Died", "signal": signal.SIGKILL}
    assert zygote.is_running()


def test_closing_ends_the_zygote_and_what_runs_and_takes_no_more(own_cell: Cell) -> None:
    zygote, gate = the_zygote(own_cell), Gate()
    with ThreadPoolExecutor(1) as pool:
        held = pool.submit(own_cell.failure, "search_nodes('x')\nwhile True: pass", call=gate.call)
        assert gate.entered.wait(PROMPTLY_S)
        own_cell.supervisor.close()
        gate.open.set()
        assert isinstance(held.result(PROMPTLY_S), ShuttingDown)
    assert not zygote.is_running()
    assert isinstance(own_cell.failure("result = 1"), ShuttingDown)
    own_cell.supervisor.close()


def test_the_zygote_and_its_workers_end_with_a_daemon_that_is_killed() -> None:
    program = (
        "import sys\n"
        f"sys.path.insert(0, {str(ROOT)!r})\n"
        "from enhanced_memory.sandbox.supervisor import Supervisor\n"
        "def call(name, arguments):\n"
        "    print('running', flush=True)\n"
        "Supervisor().run('f()\\nwhile True: pass', functions={'f': []}, call=call)\n"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE) as daemon:
        assert daemon.stdout is not None
        assert daemon.stdout.readline() == b"running\n"
        [zygote] = zygotes(psutil.Process(daemon.pid))
        processes = [zygote, *zygote.children()]
        assert len(processes) == 2
        daemon.kill()
        assert gone(processes)


def gone(processes: list[psutil.Process]) -> bool:
    """Whether these have ended, or are waited for by nobody, within five seconds."""
    until = time.monotonic() + PROMPTLY_S
    while time.monotonic() < until:
        if all(not process.is_running() or _is_dead(process) for process in processes):
            return True
    return False


def _is_dead(process: psutil.Process) -> bool:
    try:
        return bool(process.status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True


def test_below_the_kernels_isolation_code_is_refused_unless_that_is_allowed() -> None:
    for allowed in (False, True):
        supervisor = Supervisor(allow_partial=allowed)
        cell = Cell(supervisor)
        cell.run("result = 1")
        zygote = supervisor._zygote
        assert zygote is not None
        zygote.held["seccomp"] = False
        if allowed:
            assert cell.run("result = 1").result == 1
        else:
            error = cell.failure("result = 1")
            assert isinstance(error, SandboxRejected)
            assert "isolation is partial, not kernel (missing: seccomp)" in error.message
        assert supervisor.confinement_report()["isolation"] == "partial"
        supervisor.close()


LIES: dict[str, bytes] = {
    "nothing": b"",
    "half a header": b"\0\0",
    "half a message": b"\0\0\0\x10{}",
    "a length beyond the limit": b"\xff\xff\xff\xff",
    "no JSON": frames.encode({}, 99)[:4] + b"xxx",
    "a list": b"\0\0\0\x03[]\n",
    "nested without end": b"\0\0\x10\0" + b"[" * 4096,
    "an unknown kind": frames.encode({"kind": "mine"}, 99),
    "a kind that is a list": frames.encode({"kind": []}, 99),
    "done without a result": frames.encode({"kind": "done", "stdout": ""}, 99),
    "done with output that is no text": frames.encode({"kind": "done", "result": 1, "stdout": []}, 99),
    "an error with a line that is text": frames.encode(
        {"kind": "error", "type": "x", "message": "x", "line": "x", "stdout": ""}, 999
    ),
    "an error with a great message": frames.encode(
        {"kind": "error", "type": "x", "message": "x" * 501, "line": 1, "stdout": ""}, 999
    ),
    "a call of what is not offered": frames.encode({"kind": "call", "name": "restore", "arguments": {}}, 99),
    "a call whose name is a list": frames.encode({"kind": "call", "name": [], "arguments": {}}, 99),
    "a call with a list of arguments": frames.encode({"kind": "call", "name": "search_nodes", "arguments": []}, 99),
    "calls without end": frames.encode({"kind": "call", "name": "search_nodes", "arguments": {"query": ""}}, 99) * 201,
}


@pytest.mark.parametrize("lie", LIES)
def test_whatever_a_worker_that_was_taken_over_says_the_run_ends_with_an_error(
    lie: str, own_cell: Cell, monkeypatch: pytest.MonkeyPatch
) -> None:
    zygote = own_cell.supervisor._started()
    start: Callable[[float], tuple[socket.socket, socket.socket]] = zygote.start

    def start_with_a_liar(timeout_s: float) -> tuple[socket.socket, socket.socket]:
        pipe, watch = start(timeout_s)
        pipe.close()
        ours, liars = socket.socketpair()
        threading.Thread(target=tell, args=(liars,)).start()
        return ours, watch

    def tell(liars: socket.socket) -> None:
        with liars:
            liars.recv(1 << 20)  # the request
            liars.sendall(LIES[lie])
            liars.shutdown(socket.SHUT_WR)
            while liars.recv(1 << 20):  # replies to its calls
                pass

    monkeypatch.setattr(zygote, "start", start_with_a_liar)
    with pytest.raises(SandboxError, match="the process of the code died"):
        own_cell.supervisor.run("result = 1", functions=FUNCTIONS, call=call)
