"""`create_entities_batch` of both clients, against listeners that answer as a daemon does until told otherwise."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from enhanced_memory import wire
from memory_client import DaemonUnavailable

Connect = Callable[..., Any]
Listen = Callable[..., Any]
Manner = Callable[[Any, socket.socket], None]


def storing(fails_at: int | None = None, dies_at: int | None = None) -> Manner:
    """Answer `create_entities` as a daemon does; the request with a given number (from 0) fails, or is not answered."""

    def manner(server: Any, connection: socket.socket) -> None:
        while (request := server.read(connection)) is not None:
            number = len({json.dumps(request) for request in server.requests}) - 1
            if number == dies_at:
                return
            if number == fails_at:
                connection.sendall(wire.encode({"success": False, "error": "full", "code": "disk_full"}))
                continue
            results = [{"name": entity["name"], "action": "created"} for entity in request["params"]["entities"]]
            connection.sendall(wire.encode({"success": True, "results": results}))

    return manner


def entities(count: int) -> list[Mapping[str, Any]]:
    return [{"name": f"e{n}", "entityType": "thing", "observations": []} for n in range(count)]


def test_a_batch_is_sent_in_slices_and_answered_as_one(listen: Listen, connect: Connect) -> None:
    server = listen(storing())
    reply = connect(server.path).create_entities_batch(entities(7), batch_size=3, on_existing="skip")
    assert (reply["success"], reply["stored"]) == (True, 7)
    assert [result["name"] for result in reply["results"]] == [f"e{n}" for n in range(7)]
    assert [len(request["params"]["entities"]) for request in server.requests] == [3, 3, 1]
    assert {request["params"]["on_existing"] for request in server.requests} == {"skip"}


def test_a_batch_of_nothing_is_asked_all_the_same(listen: Listen, connect: Connect) -> None:
    server = listen(storing())
    assert connect(server.path).create_entities_batch([]) == {"success": True, "results": [], "stored": 0}
    assert len(server.requests) == 1


def test_a_batch_ends_at_the_first_slice_that_fails_and_says_what_was_stored(listen: Listen, connect: Connect) -> None:
    server = listen(storing(fails_at=1))
    reply = connect(server.path).create_entities_batch(entities(9), batch_size=2)
    assert (reply["success"], reply["code"], reply["stored"]) == (False, "disk_full", 2)
    assert [result["name"] for result in reply["results"]] == ["e0", "e1"]
    assert len(server.requests) == 2


def test_a_batch_that_loses_the_daemon_says_what_was_acknowledged(listen: Listen, connect: Connect) -> None:
    server = listen(storing(dies_at=2))
    with pytest.raises(DaemonUnavailable, match="may or may not have stored it") as caught:
        connect(server.path).create_entities_batch(entities(9), batch_size=2, request_id="mine")
    assert caught.value.details == {"request_id": "mine/2", "stored": 4}


def test_each_slice_of_a_batch_has_a_request_id_of_its_own(listen: Listen, connect: Connect) -> None:
    server = listen(storing())
    connect(server.path).create_entities_batch(entities(5), batch_size=2, request_id="mine")
    assert [request["request_id"] for request in server.requests] == ["mine/0", "mine/1", "mine/2"]


def test_a_batch_size_below_one_is_a_failure(listen: Listen, connect: Connect) -> None:
    server = listen(storing())
    assert connect(server.path).create_entities_batch(entities(1), batch_size=0)["code"] == "invalid_params"
    assert server.connections == 0
