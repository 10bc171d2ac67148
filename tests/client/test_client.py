"""The two clients against a daemon, and against programs on a Unix socket that behave as no daemon should.

Most tests run twice, once for each client: they share one road, and must answer alike.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from enhanced_memory import wire
from enhanced_memory.client.methods import READS, WRITES
from enhanced_memory.errors import InvalidParams
from enhanced_memory.settings import Settings
from memory_client import BlockingMemoryClient, DaemonUnavailable, MemoryClient
from tests.conftest import PATIENCE_S, PROMPTLY_S

A_READ = "search_nodes"
A_WRITE = "create_entities"


Connect = Callable[..., Any]
Listen = Callable[..., Any]
Manner = Callable[[Any, socket.socket], None]

# -------------------------------------------------------------------------------------------------------------- manners


def faithful(server: Any, connection: socket.socket) -> None:
    """Answer every request with its own parameters."""
    while (request := server.read(connection)) is not None:
        connection.sendall(wire.encode({"success": True, "asked": request["params"]}))


def dying(server: Any, connection: socket.socket) -> None:
    """Read a request and end the connection."""
    server.read(connection)


def closing(server: Any, connection: socket.socket) -> None:
    """End the connection at once."""


def saying(data: bytes) -> Manner:
    """Answer any one request with `data`, and end the connection."""

    def manner(server: Any, connection: socket.socket) -> None:
        server.read(connection)
        connection.sendall(data)

    return manner


def failing(code: str) -> Manner:
    """Answer one request with a failure."""
    return saying(wire.encode({"success": False, "error": "no", "code": code}))


# ------------------------------------------------------------------------------------------------- requests and replies


def test_a_failure_is_returned_and_not_raised(listen: Listen, connect: Connect) -> None:
    server = listen(failing("not_found"))
    assert connect(server.path).call(A_READ, {}) == {"success": False, "error": "no", "code": "not_found"}


def test_a_request_carries_namespace_and_the_name_of_the_client(listen: Listen, connect: Connect) -> None:
    server = listen(faithful)
    connect(server.path, namespace="work", client="diary").call(A_READ, {"query": "tea"})
    assert server.requests == [{"method": A_READ, "params": {"query": "tea"}, "namespace": "work", "client": "diary"}]


def test_the_environment_says_where_and_in_which_namespace(
    listen: Listen, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = listen(faithful)
    monkeypatch.setenv("MEMORY_DB_SOCKET", str(server.path))
    monkeypatch.setenv("MEMORY_NAMESPACE", "home")
    connect().call("ping")
    assert server.requests == [{"method": "ping", "params": {}, "namespace": "home"}]


def test_settings_that_are_given_win_over_the_environment_and_arguments_over_both(
    listen: Listen, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = listen(faithful)
    settings = Settings.load({"socket_path": str(server.path), "namespace": "given"})
    monkeypatch.setenv("MEMORY_NAMESPACE", "environment")
    connect(settings=settings).call("ping")
    connect(settings=settings, namespace="argument").call("ping")
    assert [request["namespace"] for request in server.requests] == ["given", "argument"]


def test_arguments_may_be_given_by_position_and_those_left_out_are_not_sent(listen: Listen, connect: Connect) -> None:
    server = listen(faithful)
    connect(server.path).search_nodes("green tea", 5)
    [request] = server.requests
    assert request["params"]["query"] == "green tea"
    assert request["params"]["limit"] == 5
    assert None not in request["params"].values()


def test_a_reply_of_many_megabytes_arrives_whole(listen: Listen, connect: Connect) -> None:
    server = listen(faithful)
    text = "tea " * 2_000_000
    assert connect(server.path).call(A_READ, {"query": text})["asked"]["query"] == text


@pytest.mark.parametrize("value", [float("nan"), "\ud800", {1, 2}, 1 << 100_000], ids=["nan", "half", "set", "int"])
def test_what_json_cannot_hold_is_answered_as_a_failure_and_never_sent(
    listen: Listen, connect: Connect, value: object
) -> None:
    server = listen(faithful)
    reply = connect(server.path).call(A_READ, {"query": value})
    assert (reply["success"], reply["code"]) == (False, "invalid_params")
    assert server.connections == 0


def test_time_outs_and_numbers_of_connections_below_one_are_refused() -> None:
    for options in ({"timeout_s": 0}, {"max_connections": 0}):
        with pytest.raises(InvalidParams, match="above 0"):
            MemoryClient(**options)  # type: ignore[arg-type]


# --------------------------------------------------------------------------------------------------------- who is there


def test_a_path_where_nobody_listens_is_named_with_a_way_out(short_folder: Path, connect: Connect) -> None:
    with pytest.raises(DaemonUnavailable, match=r"no memory daemon answers at .*/none.sock") as caught:
        connect(short_folder / "none.sock").call("ping")
    assert "memory-db-service" in str(caught.value.hint)


def test_a_socket_that_its_listener_left_behind_counts_as_nobody(short_folder: Path, connect: Connect) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as left_behind:
        left_behind.bind(str(short_folder / "memory.sock"))
    with pytest.raises(DaemonUnavailable, match="no memory daemon answers"):
        connect(short_folder / "memory.sock").call("ping")


def test_a_path_that_is_no_socket_is_refused(short_folder: Path, connect: Connect) -> None:
    path = short_folder / "memory.sock"
    path.write_text("diary")
    with pytest.raises(DaemonUnavailable, match="is not a socket"):
        connect(path).call("ping")


def test_a_path_too_long_for_a_socket_is_refused(short_folder: Path, connect: Connect) -> None:
    with pytest.raises(DaemonUnavailable, match=r"cannot connect to .*too long"):
        connect(short_folder / ("s" * 200)).call("ping")


def test_a_socket_of_another_user_is_refused_before_anything_is_sent(
    listen: Listen, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = listen(faithful)
    monkeypatch.setattr(wire, "peer_uid", lambda _: os.geteuid() + 54_321)
    with pytest.raises(DaemonUnavailable, match=f"held by user id {os.geteuid() + 54_321}, not by you"):
        connect(server.path).call("ping")
    assert server.ended.acquire(timeout=PROMPTLY_S)
    assert server.requests == []


def test_a_socket_of_root_is_trusted(listen: Listen, connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    server = listen(faithful)
    monkeypatch.setattr(wire, "peer_uid", lambda _: 0)
    monkeypatch.setattr(os, "geteuid", lambda: 54_321)
    assert connect(server.path).call("ping")["success"]


@pytest.mark.parametrize("answer", [b"hello\n", b"[]\n", b'{"results":[]}\n', b'{"success":"yes"}\n', b"\xff\n"])
def test_a_listener_that_speaks_otherwise_is_refused_and_not_asked_again(
    listen: Listen, connect: Connect, answer: bytes
) -> None:
    server = listen(saying(answer))
    with pytest.raises(DaemonUnavailable, match="does not speak as the memory daemon does"):
        connect(server.path).call(A_WRITE, {})
    assert server.connections == 1


# ----------------------------------------------------------------------------------------------------- kept connections


def test_calls_one_after_another_share_a_connection(listen: Listen, connect: Connect) -> None:
    server = listen(faithful)
    caller = connect(server.path)
    for number in range(5):
        assert caller.call(A_READ, {"query": str(number)})["asked"] == {"query": str(number)}
    assert server.connections == 1


def test_one_asyncio_client_serves_one_event_loop_after_another(listen: Listen) -> None:
    server = listen(faithful)
    client = MemoryClient(server.path, timeout_s=PROMPTLY_S)

    async def call_together() -> list[Any]:
        return await asyncio.gather(*(client.call(A_READ, {"query": n}) for n in range(20)))

    for _ in range(3):
        assert [reply["asked"]["query"] for reply in asyncio.run(call_together())] == list(range(20))
    assert server.connections <= 8
    asyncio.run(client.close())


def test_a_client_that_is_closed_gives_its_connections_back_and_can_be_used_again(
    listen: Listen, connect: Connect
) -> None:
    server = listen(faithful)
    caller = connect(server.path)
    caller.call("ping")
    caller.close()
    assert server.ended.acquire(timeout=PROMPTLY_S)
    assert caller.call("ping")["success"]
    assert server.connections == 2


def test_a_client_that_is_forgotten_gives_its_connections_back(listen: Listen) -> None:
    server = listen(faithful)
    BlockingMemoryClient(server.path, timeout_s=PROMPTLY_S).call("ping")
    assert server.ended.acquire(timeout=PROMPTLY_S)


def test_a_farewell_on_an_idle_connection_is_not_read_as_the_next_reply(listen: Listen, connect: Connect) -> None:
    said = threading.Event()

    def waiting(server: Any, connection: socket.socket) -> None:
        server.read(connection)
        connection.sendall(wire.encode({"success": True}))
        goodbye.wait(PROMPTLY_S)
        connection.sendall(wire.encode({"success": False, "error": "bye", "code": "shutting_down"}))
        said.set()
        server.read(connection)

    goodbye = threading.Event()
    server = listen(waiting, faithful)
    caller = connect(server.path)
    caller.call("ping")
    goodbye.set()
    assert said.wait(PROMPTLY_S)
    assert caller.call(A_READ, {"query": "second"})["asked"] == {"query": "second"}


def test_calls_at_the_same_time_use_connections_of_their_own(listen: Listen) -> None:
    together = threading.Barrier(4)

    def sociable(server: Any, connection: socket.socket) -> None:
        request = server.read(connection)
        assert request is not None
        together.wait(PROMPTLY_S)  # nobody is answered before four have asked
        connection.sendall(wire.encode({"success": True, "asked": request["params"]}))
        server.read(connection)

    server = listen(sociable)

    async def call_together() -> list[Any]:
        async with MemoryClient(server.path, timeout_s=PROMPTLY_S) as client:
            return await asyncio.gather(*(client.call(A_READ, {"query": n}) for n in range(4)))

    assert [reply["asked"]["query"] for reply in asyncio.run(call_together())] == [0, 1, 2, 3]
    with BlockingMemoryClient(server.path, timeout_s=PROMPTLY_S) as client:
        assert [reply["asked"]["query"] for reply in in_threads(client, 4)] == [0, 1, 2, 3]


def test_no_more_connections_are_opened_than_allowed(listen: Listen) -> None:
    server = listen(faithful)

    async def call_together() -> list[Any]:
        async with MemoryClient(server.path, timeout_s=PROMPTLY_S, max_connections=2) as client:
            return await asyncio.gather(*(client.call(A_READ, {"query": n}) for n in range(30)))

    assert [reply["asked"]["query"] for reply in asyncio.run(call_together())] == list(range(30))
    assert server.connections <= 2
    with BlockingMemoryClient(server.path, timeout_s=PROMPTLY_S, max_connections=2) as client:
        assert [reply["asked"]["query"] for reply in in_threads(client, 30)] == list(range(30))
    assert server.connections <= 4


def test_a_forked_child_opens_connections_of_its_own(listen: Listen) -> None:
    server = listen(faithful)
    with BlockingMemoryClient(server.path, timeout_s=PROMPTLY_S) as client:
        client.call("ping")
        child = os.fork()
        if child == 0:
            status = 1
            try:
                status = 0 if client.call(A_READ, {"query": "child"})["asked"] == {"query": "child"} else 1
            finally:
                os._exit(status)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert client.call(A_READ, {"query": "parent"})["asked"] == {"query": "parent"}
    assert server.connections == 2


def in_threads(client: BlockingMemoryClient, count: int) -> list[Any]:
    """Replies to `count` reads made from as many threads at once."""
    replies: list[Any] = [None] * count
    barrier = threading.Barrier(count)

    def ask(number: int) -> None:
        barrier.wait(PROMPTLY_S)
        replies[number] = client.call(A_READ, {"query": number})

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PROMPTLY_S)
    return replies


# ----------------------------------------------------------------------------------------------------- lost connections


@pytest.mark.parametrize("loss", [dying, closing, saying(b'{"success":tr')])
def test_a_write_that_was_lost_is_sent_once_more_under_the_same_request_id(
    listen: Listen, connect: Connect, loss: Manner
) -> None:
    server = listen(loss, faithful)
    assert connect(server.path).call(A_WRITE, {"entities": []}) == {"success": True, "asked": {"entities": []}}
    assert server.connections == 2
    assert len({json.dumps(request) for request in server.requests}) == 1
    assert len(server.requests[0]["request_id"]) == 32


def test_each_write_has_a_request_id_of_its_own_and_a_read_has_none(listen: Listen, connect: Connect) -> None:
    server = listen(faithful)
    caller = connect(server.path)
    for method in (A_WRITE, A_WRITE, A_READ):
        caller.call(method, {})
    first, second, read = server.requests
    assert first["request_id"] != second["request_id"]
    assert "request_id" not in read


def test_a_request_id_of_the_callers_own_is_sent_as_it_is(listen: Listen, connect: Connect) -> None:
    server = listen(faithful)
    connect(server.path).create_entities([], request_id="mine")
    assert server.requests[0]["request_id"] == "mine"


def test_a_method_the_client_does_not_know_is_not_repeated(listen: Listen, connect: Connect) -> None:
    server = listen(dying, faithful)
    with pytest.raises(DaemonUnavailable, match="may or may not have stored it"):
        connect(server.path).call("operation_of_a_later_daemon", {})
    assert server.connections == 1


def test_a_read_that_was_lost_is_sent_once_more(listen: Listen, connect: Connect) -> None:
    server = listen(dying, faithful)
    assert connect(server.path).call(A_READ, {"query": "x"})["success"]
    assert server.connections == 2


@pytest.mark.parametrize("loss", [dying, closing])
def test_a_write_that_is_lost_each_time_is_reported_as_uncertain_with_its_request_id(
    listen: Listen, connect: Connect, loss: Manner
) -> None:
    server = listen(loss)
    with pytest.raises(DaemonUnavailable, match="may or may not have stored it") as caught:
        connect(server.path).call(A_WRITE, {}, request_id="mine")
    assert caught.value.details == {"request_id": "mine"}
    assert server.connections > 2


def test_a_read_survives_a_daemon_that_takes_connections_while_it_dies(listen: Listen, connect: Connect) -> None:
    server = listen(dying, closing, closing, closing, faithful)
    assert connect(server.path).call(A_READ, {"query": "x"})["success"]
    assert server.connections == 5


def test_a_write_lost_with_the_daemon_is_reported_as_uncertain(listen: Listen, connect: Connect) -> None:
    def ending(server: Any, connection: socket.socket) -> None:
        server.read(connection)
        server.path.unlink()

    with pytest.raises(DaemonUnavailable, match=r"ended before it answered .* may or may not have stored it"):
        connect(listen(ending).path).call(A_WRITE, {})


def test_a_read_lost_twice_says_nothing_of_storing(listen: Listen, connect: Connect) -> None:
    with pytest.raises(DaemonUnavailable) as caught:
        connect(listen(dying).path).call(A_READ, {})
    assert "stored" not in caught.value.message


def test_a_kept_connection_that_died_is_replaced_without_sending_twice(listen: Listen, connect: Connect) -> None:
    server = listen(saying(wire.encode({"success": True})), faithful)
    caller = connect(server.path)
    caller.call("ping")
    assert server.ended.acquire(timeout=PROMPTLY_S)
    assert caller.call(A_WRITE, {"entities": []})["asked"] == {"entities": []}
    assert [request["method"] for request in server.requests] == ["ping", A_WRITE]


def test_a_refusal_said_before_the_request_was_read_is_returned(listen: Listen, connect: Connect) -> None:
    def crowded(server: Any, connection: socket.socket) -> None:
        connection.sendall(wire.encode({"success": False, "error": "too many", "code": "busy"}))

    server = listen(crowded)
    large = {"entities": ["x" * 1_000_000]}  # more than fits into the socket: sending breaks off
    assert connect(server.path).call(A_WRITE, large)["code"] == "busy"
    assert server.connections == 1


def test_without_autostart_a_daemon_that_shuts_down_is_reported_as_such(listen: Listen, connect: Connect) -> None:
    server = listen(failing("shutting_down"))
    assert connect(server.path).call(A_WRITE, {})["code"] == "shutting_down"
    assert server.connections == 1


# ------------------------------------------------------------------------------------------- time-outs and cancellation


class Late:
    """A manner that answers its first request only when `go` is set, and the following at once."""

    def __init__(self) -> None:
        self.go = threading.Event()
        self.asked = threading.Event()

    def __call__(self, server: Any, connection: socket.socket) -> None:
        while (request := server.read(connection)) is not None:
            self.asked.set()
            self.go.wait(PROMPTLY_S)
            try:
                connection.sendall(wire.encode({"success": True, "asked": request["params"]}))
            except OSError:
                return


def test_a_late_reply_is_never_read_as_anothers(listen: Listen, connect: Connect) -> None:
    late = Late()
    server = listen(late, faithful)
    caller = connect(server.path, timeout_s=0.2)
    with pytest.raises(DaemonUnavailable, match=r"no answer from .* within 0.2 s$"):
        caller.call(A_READ, {"query": "first"})
    late.go.set()
    assert server.ended.acquire(timeout=PROMPTLY_S)
    assert caller.call(A_READ, {"query": "second"})["asked"] == {"query": "second"}


def test_a_write_that_timed_out_is_not_repeated_and_reported_as_uncertain(listen: Listen, connect: Connect) -> None:
    late = Late()
    server = listen(late)
    with pytest.raises(DaemonUnavailable, match=r"within 0.2 s; the daemon may or may not have stored it") as caught:
        connect(server.path, timeout_s=0.2).call(A_WRITE, {})
    late.go.set()
    assert [request["request_id"] for request in server.requests] == [(caught.value.details or {})["request_id"]]


def test_a_reply_that_never_ends_is_timed_out(listen: Listen, connect: Connect) -> None:
    def endless(server: Any, connection: socket.socket) -> None:
        server.read(connection)
        try:
            while True:
                connection.sendall(b" " * 1024)
        except OSError:
            return

    with pytest.raises(DaemonUnavailable, match=r"within 0.2 s"):
        connect(listen(endless).path, timeout_s=0.2).call(A_READ, {})


def test_a_request_nobody_reads_is_timed_out(listen: Listen, connect: Connect) -> None:
    done = threading.Event()

    def deaf(server: Any, connection: socket.socket) -> None:
        done.wait(PROMPTLY_S)

    with pytest.raises(DaemonUnavailable, match=r"within 0.2 s"):
        connect(listen(deaf).path, timeout_s=0.2).call(A_READ, {"query": "x" * 4_000_000})
    done.set()


def test_waiting_for_a_connection_counts_and_says_that_nothing_was_sent(listen: Listen) -> None:
    late = Late()
    server = listen(late)
    with BlockingMemoryClient(server.path, timeout_s=PROMPTLY_S, max_connections=1) as client:
        holder = threading.Thread(target=client.call, args=(A_READ, {"query": "first"}))
        holder.start()
        assert late.asked.wait(PROMPTLY_S)
        client._timeout_s = 0.1
        with pytest.raises(DaemonUnavailable, match=r"could not be sent to .* within 0.1 s"):
            client.call(A_WRITE, {})
        late.go.set()
        holder.join(PROMPTLY_S)
    assert [request["method"] for request in server.requests] == [A_READ]


def test_a_listener_whose_queue_is_full_is_waited_for(short_folder: Path, connect: Connect) -> None:
    path = short_folder / "memory.sock"
    with (
        socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener,
        socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as first,
    ):
        listener.bind(str(path))
        listener.listen(0)
        first.connect(str(path))
        caller = connect(path, timeout_s=0.2)
        with pytest.raises(DaemonUnavailable, match=r"could not be sent to .* within 0.2 s"):
            caller.call("ping")

        def answer_the_first_that_asks() -> None:
            asked = False
            while not asked:
                connection, _ = listener.accept()
                with connection:
                    connection.settimeout(0.1)
                    with suppress(TimeoutError):
                        asked = connection.recv(65536) != b""
                        connection.sendall(wire.encode({"success": True}))

        server = threading.Thread(target=answer_the_first_that_asks)
        server.start()
        assert connect(path).call("ping") == {"success": True}
        server.join(PROMPTLY_S)


def test_a_cancelled_call_takes_its_connection_with_it(listen: Listen) -> None:
    late = Late()
    server = listen(late, faithful)

    async def cancel_and_call() -> Any:
        async with MemoryClient(server.path, timeout_s=PROMPTLY_S, max_connections=1) as client:
            cancelled = asyncio.create_task(client.call(A_READ, {"query": "first"}))
            await asyncio.to_thread(late.asked.wait, PROMPTLY_S)
            cancelled.cancel()
            with pytest.raises(asyncio.CancelledError):
                await cancelled
            late.go.set()
            return await client.call(A_READ, {"query": "second"})

    assert asyncio.run(cancel_and_call())["asked"] == {"query": "second"}
    assert server.connections == 2


# ----------------------------------------------------------------------------------------------------------- the daemon


@pytest.mark.process
def test_what_is_stored_is_found_and_a_killed_and_restarted_daemon_goes_unnoticed(
    start_daemon: Callable[..., Any], connect: Connect
) -> None:
    daemon = start_daemon()
    caller = connect(daemon.socket_path, timeout_s=30)
    first = caller.create_entities([{"name": "tea", "entityType": "drink", "observations": ["Ann likes green tea"]}])
    assert first["results"][0]["action"] == "created"
    daemon.end(signal.SIGKILL)
    start_daemon()
    second = caller.create_entities([{"name": "mug", "entityType": "thing", "observations": ["Ann's mug is blue"]}])
    assert second["results"][0]["action"] == "created"
    assert [result["name"] for result in caller.search_nodes("green tea", limit=5)["results"]] == ["tea"]


@pytest.mark.process
def test_a_write_repeated_under_its_request_id_is_stored_once_even_across_a_kill(
    start_daemon: Callable[..., Any], connect: Connect
) -> None:
    daemon = start_daemon()
    caller = connect(daemon.socket_path, timeout_s=30)
    thing = [{"name": "tea", "entityType": "drink", "observations": ["hot"]}]
    first = caller.create_entities(thing, request_id="once")
    daemon.end(signal.SIGKILL)
    start_daemon()
    assert caller.create_entities(thing, request_id="once") == first


@pytest.mark.process
def test_many_threads_with_one_client_are_all_stored(start_daemon: Callable[..., Any]) -> None:
    daemon = start_daemon()
    together = threading.Barrier(16)
    with BlockingMemoryClient(daemon.socket_path) as client:

        def store(number: int) -> None:
            together.wait(PROMPTLY_S)
            for step in range(5):
                reply = client.create_entities([{"name": f"{number}.{step}", "entityType": "n", "observations": []}])
                assert reply["success"], reply

        threads = [threading.Thread(target=store, args=(number,)) for number in range(16)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(PATIENCE_S)
        assert client.get_memory_status()["total_entities"] == 80


def test_the_client_knows_which_operations_read_and_which_write() -> None:
    assert {"ping", A_READ, "open_nodes", "get_memory_status"} <= READS
    assert {A_WRITE, "delete_entities", "create_relations"} <= WRITES
