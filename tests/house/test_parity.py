"""What repeats the register says the same as the register: the clients' methods, and the made pages."""

from __future__ import annotations

import inspect
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from enhanced_memory.client import BlockingMemoryClient, MemoryClient
from enhanced_memory.client.connection import Reply
from enhanced_memory.client.methods import READS, TIMED, WRITES
from enhanced_memory.registry import Operation, argument_name, fields_of, operations

ROOT = Path(__file__).resolve().parents[2]
EVERY_OPERATION = sorted(operations().values(), key=lambda operation: operation.name)


class Told(BlockingMemoryClient):
    """A client that keeps what it would send."""

    def call(self, method: str, params: Any = None, *, request_id: str | None = None) -> Reply:
        return {"method": method, "params": dict(params or {}), "request_id": request_id}


class ToldLater(MemoryClient):
    """The same for the asyncio client; its calls never suspend."""

    async def call(self, method: str, params: Any = None, *, request_id: str | None = None) -> Reply:
        return {"method": method, "params": dict(params or {}), "request_id": request_id}


@pytest.mark.process
def test_the_made_pages_are_up_to_date() -> None:
    check = subprocess.run(
        [sys.executable, str(ROOT / "scripts" / "generate.py"), "--check"], capture_output=True, text=True
    )
    assert check.returncode == 0, check.stdout + check.stderr


@pytest.mark.parametrize("operation", EVERY_OPERATION, ids=lambda operation: operation.name)
@pytest.mark.parametrize("client", [MemoryClient, BlockingMemoryClient])
def test_an_operation_has_a_client_method_with_its_arguments_and_defaults(client: type, operation: Operation) -> None:
    method = getattr(client, operation.name)
    theirs = list(inspect.signature(operation.handler).parameters.values())[1:]
    ours = list(inspect.signature(method).parameters.values())[1:]
    if operation.writes:
        request_id = ours.pop()
        assert (request_id.name, request_id.kind, request_id.default) == (
            "request_id",
            inspect.Parameter.KEYWORD_ONLY,
            None,
        )
    assert [(p.name, p.kind, p.default) for p in ours] == [(p.name, p.kind, p.default) for p in theirs]
    assert inspect.iscoroutinefunction(method) == (client is MemoryClient)


@pytest.mark.parametrize("operation", EVERY_OPERATION, ids=lambda operation: operation.name)
def test_a_client_method_sends_its_arguments_under_their_names_on_the_wire(operation: Operation) -> None:
    parameters = list(inspect.signature(operation.handler).parameters.values())[1:]
    given = {parameter.name: f"the {parameter.name}" for parameter in parameters}
    own = {"request_id": "mine"} if operation.writes else {}
    expected = {
        "method": operation.name,
        "params": {argument_name(name): value for name, value in given.items()},
        "request_id": own.get("request_id"),
    }
    assert getattr(Told(), operation.name)(**given, **own) == expected
    with pytest.raises(StopIteration) as done:
        getattr(ToldLater(), operation.name)(**given, **own).send(None)
    assert done.value.value == expected


@pytest.mark.parametrize("operation", EVERY_OPERATION, ids=lambda operation: operation.name)
def test_a_client_method_leaves_out_what_is_none_by_default(operation: Operation) -> None:
    parameters = list(inspect.signature(operation.handler).parameters.values())[1:]
    needed = {p.name: "given" for p in parameters if p.default is inspect.Parameter.empty}
    sent = getattr(Told(), operation.name)(**needed)["params"]
    assert set(sent) == {argument_name(p.name) for p in parameters if p.default is not None}


def test_the_client_has_no_method_of_an_operation_that_is_not_there() -> None:
    own = {"call", "close", "create_entities_batch"}
    for client in (MemoryClient, BlockingMemoryClient):
        assert {name for name in dir(client) if not name.startswith("_")} - own == set(operations())


def test_the_client_repeats_reads_and_writes_in_one_transaction_and_nothing_else() -> None:
    assert {operation.name for operation in operations().values() if not operation.writes} == READS
    assert {name for name, operation in operations().items() if operation.writes and operation.transaction} == WRITES


def test_the_client_knows_the_time_of_its_own_that_an_operation_is_given() -> None:
    timed = {name: fields_of(operation).get("timeout_s") for name, operation in operations().items()}
    assert {name: field.default for name, field in timed.items() if field is not None} == TIMED
