"""The listener on a real socket, with a service that does what its callers ask in place of the memory."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import queue
import re
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from enhanced_memory import wire
from enhanced_memory.errors import EnhancedMemoryError
from enhanced_memory.service.listener import Listener
from enhanced_memory.settings import Settings
from tests.conftest import PROMPTLY_S

PING = b'{"method":"ping"}\n'
PONG = {"success": True, "method": "ping"}


class Gauges:
    connections = 0


class Service:
    """Answers `ping`; `wait` waits to be let go, `fill` makes a reply of so many bytes, `fail` and `nan` fail.

    `later` is answered by whoever calls the next of `promises`, with as many bytes as `fill`.
    """

    def __init__(self) -> None:
        self.gauges = Gauges()
        self.entered = threading.Semaphore(0)
        self.let_go = threading.Event()
        self.promises: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self.asked_for = threading.Event()

    def handle_request(self, request: Any, gone: Callable[[], bool]) -> dict[str, Any]:
        try:
            known = wire.as_request(request)
        except EnhancedMemoryError as error:
            return {**error.reply(), **({"id": request["id"]} if isinstance(request, dict) and "id" in request else {})}
        reply: dict[str, Any] = {"success": True, "method": known["method"]}
        if known["method"] == "wait":
            self.entered.release()
            assert self.let_go.wait(PROMPTLY_S)
        elif known["method"] == "fill":
            reply["filling"] = "x" * known["params"]["bytes"]
        elif known["method"] == "nan":
            reply["number"] = float("nan")
        elif known["method"] == "fail":
            raise RuntimeError("a defect")
        return reply | ({"id": known["id"]} if "id" in known else {})

    def handle_later(self, request: Any, answer: Callable[[dict[str, Any]], None]) -> Callable[[], None] | None:
        if not isinstance(request, dict) or request.get("method") != "later":
            return None
        kept = threading.Event()

        def keep() -> None:
            answer({"success": True, "id": request["id"], "filling": "x" * request.get("params", {}).get("bytes", 0)})
            kept.set()

        def wait() -> None:
            self.asked_for.set()
            assert kept.wait(PROMPTLY_S)

        self.promises.put(keep)
        return wait

    def keep(self) -> None:
        """Answer the oldest `later` that is not answered."""
        self.promises.get(timeout=PROMPTLY_S)()


class Client:
    """One connection, read line by line."""

    def __init__(self, path: str) -> None:
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.socket.settimeout(PROMPTLY_S)
        self.socket.connect(path)
        self._lines = self.socket.makefile("rb")

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def reply(self) -> dict[str, Any]:
        line = self._lines.readline()
        assert line.endswith(b"\n"), f"no whole reply, but {line[:100]!r}"
        reply: dict[str, Any] = json.loads(line)
        return reply

    def ask(self, data: bytes) -> dict[str, Any]:
        self.send(data)
        return self.reply()

    def has_ended(self) -> bool:
        """Whether the daemon says nothing more and has ended the connection, in whichever way."""
        try:
            return self._lines.read() == b""
        except ConnectionResetError:
            return True

    def end_sending(self) -> None:
        self.socket.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        self._lines.close()
        self.socket.close()


class House:
    """A running listener, its service, and its clients."""

    def __init__(self, path: str, settings: Settings, stack: contextlib.ExitStack) -> None:
        self.service = Service()
        self._path = path
        self._stack = stack
        self.quiet = threading.Event()
        server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        server.bind(path)
        server.listen(128)
        self.listener = Listener(server, self.service, settings, retake=lambda: None)
        self.listener.start()

    def client(self) -> Client:
        client = Client(self._path)
        self._stack.callback(client.close)
        return client

    def drain(self) -> None:
        self.listener.drain(when_quiet=self.quiet.set)

    def end(self) -> None:
        self.service.let_go.set()
        if not self.quiet.is_set():
            self.drain()
        self.listener.close()
        assert self.quiet.wait(PROMPTLY_S), "a connection's thread did not end"


OpenHouse = Callable[..., House]


@pytest.fixture
def open_house(short_folder: Path) -> Iterator[OpenHouse]:
    with contextlib.ExitStack() as stack:

        def open_(**settings: Any) -> House:
            path = str(short_folder / "s")
            house = House(path, Settings(socket_path=path, **settings), stack)
            stack.callback(house.end)
            return house

        yield open_


@pytest.fixture
def house(open_house: OpenHouse) -> House:
    return open_house()


# ------------------------------------------------------------------------------------------- requests and replies


def test_a_connection_carries_many_requests_answered_in_order(house: House) -> None:
    client = house.client()
    client.send(b"".join(b'{"method":"ping","id":%d}\n' % number for number in range(1000)))
    assert [client.reply()["id"] for _ in range(1000)] == list(range(1000))


def test_an_object_without_a_newline_is_answered_while_the_client_waits(house: House) -> None:
    client = house.client()
    assert client.ask(PING.strip()) == PONG
    assert client.ask(PING.strip()) == PONG


def test_the_guides_first_client_reads_its_whole_reply_at_once(house: House) -> None:
    client = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    with client:
        client.settimeout(PROMPTLY_S)
        client.connect(house._path)
        client.send(json.dumps({"method": "fill", "params": {"bytes": 4000}}).encode())
        reply = json.loads(client.recv(4096).decode())
    assert len(reply["filling"]) == 4000


def test_a_client_that_has_ended_its_sending_side_is_answered_to_the_last(house: House) -> None:
    client = house.client()
    client.send(PING + PING.strip())
    client.end_sending()
    assert [client.reply(), client.reply()] == [PONG, PONG]
    assert client.has_ended()


def test_a_request_cut_anywhere_is_answered(house: House) -> None:
    request = '{"method":"ping","id":"ä}\\"{"}'.encode()
    client = house.client()
    for cut in range(1, len(request)):
        client.send(request[:cut])
        assert client.ask(request[cut:])["id"] == 'ä}"{'


MALFORMED = {
    b"hello": "parse_error",
    b'"method"': "invalid_request",
    b"{": "parse_error",
    b"}": "parse_error",
    b"{]": "parse_error",
    b'{"method":': "parse_error",
    b'{"method":"ping"': "parse_error",
    b'{"method":"ping"]': "parse_error",
    b'{"method":"ping"}}': "parse_error",
    b'{"method":"pi\xff"}': "parse_error",
    b'{"method":"\\ud800"}': "parse_error",
    b'{"method":"ping","id":NaN}': "parse_error",
    b'{"method":"ping","id":1e999}': "parse_error",
    b'\xef\xbb\xbf{"method":"ping"}': "parse_error",
    b"\x00": "parse_error",
    b"null": "invalid_request",
    b"[]": "invalid_request",
    b"{}": "invalid_request",
    b'{"method":7}': "invalid_request",
    b'{"method":"ping","params":[]}': "invalid_request",
    b"[" * 100 + b"]" * 100: "parse_error",
}


@pytest.mark.parametrize("request_", MALFORMED, ids=repr)
def test_a_malformed_line_cut_anywhere_is_answered_and_the_connection_goes_on(house: House, request_: bytes) -> None:
    client = house.client()
    for cut in range(len(request_) + 1):
        client.send(request_[:cut])
        client.send(request_[cut:] + b"\n")
        replies = [client.reply()]
        while replies[-1].get("method") == "ping":  # what stands before the fault may be a request of its own
            replies.append(client.reply())
        assert replies[-1]["code"] == MALFORMED[request_]
        assert client.ask(PING) == PONG


@pytest.mark.parametrize("request_", MALFORMED, ids=repr)
def test_a_malformed_request_without_a_newline_is_answered_when_the_client_has_ended_its_sending_side(
    house: House, request_: bytes
) -> None:
    for cut in range(len(request_) + 1):
        client = house.client()
        client.send(request_[:cut])
        client.send(request_[cut:])
        client.end_sending()
        reply = client.reply()
        while reply.get("method") == "ping":
            reply = client.reply()
        assert reply["code"] == MALFORMED[request_]
        assert client.has_ended()
        client.close()


def test_the_id_is_echoed_where_it_could_be_read(house: House) -> None:
    client = house.client()
    assert client.ask(b'{"method":7,"id":[null,{"a":1.5}]}\n')["id"] == [None, {"a": 1.5}]
    assert client.ask(b'{"method":"fail","id":0}\n')["id"] == 0
    assert client.ask(b'{"method":"nan","id":null}\n')["id"] is None
    assert "id" not in client.ask(b'{"id":1,\n')


# ------------------------------------------------------------------------------- replies that another thread gives

LATER = b'{"method":"later","id":%d}\n'


def test_a_reply_may_come_from_another_thread(house: House) -> None:
    client = house.client()
    for number in range(100):
        client.send(LATER % number)
        house.service.keep()
        assert client.reply() == {"success": True, "id": number, "filling": ""}
        assert client.ask(PING) == PONG


def test_what_is_sent_behind_such_a_request_is_answered_behind_it(house: House) -> None:
    client = house.client()
    client.send(LATER % 1 + PING + LATER % 2 + b"junk\n" + LATER % 3)
    assert house.service.asked_for.wait(PROMPTLY_S), "the connection does not wait for the reply it was promised"
    for _ in range(3):
        house.service.keep()
    replies = [client.reply() for _ in range(5)]
    assert [reply.get("id", reply.get("code", reply.get("method"))) for reply in replies] == [
        1,
        "ping",
        2,
        "parse_error",
        3,
    ]


def test_a_promised_reply_goes_out_before_the_connection_ends(house: House) -> None:
    client = house.client()
    client.send(LATER % 1)
    client.end_sending()
    assert house.service.asked_for.wait(PROMPTLY_S)
    house.service.keep()
    assert client.reply()["id"] == 1
    assert client.has_ended()


def test_a_promise_is_asked_for_when_its_time_is_over(open_house: OpenHouse) -> None:
    house = open_house(operation_timeout_s=1)
    client = house.client()
    client.send(LATER % 1)
    assert house.service.asked_for.wait(PROMPTLY_S), "nobody asked for the reply"
    house.service.keep()
    assert client.reply()["id"] == 1
    assert client.ask(PING) == PONG


def test_who_gives_a_reply_waits_for_no_client_that_leaves_it_lying(house: House) -> None:
    hanging, other = house.client(), house.client()
    large = 4 * 1024 * 1024
    hanging.send(b'{"method":"later","id":1,"params":{"bytes":%d}}\n' % large + LATER % 2)
    house.service.keep()  # the reply does not fit the socket, and nobody reads it
    house.service.keep()
    other.send(LATER % 3)
    house.service.keep()
    assert other.reply()["id"] == 3
    assert [len(hanging.reply()["filling"]), hanging.reply()["id"]] == [large, 2]
    assert hanging.ask(PING) == PONG


def test_a_client_that_never_takes_a_promised_reply_is_parted_with(open_house: OpenHouse) -> None:
    house = open_house(reply_timeout_s=1)
    client = house.client()
    client.send(b'{"method":"later","id":1,"params":{"bytes":4194304}}\n')
    house.service.keep()
    house.drain()
    assert house.quiet.wait(PROMPTLY_S), "the connection stays"


def test_a_client_that_left_costs_its_reply_alone(house: House) -> None:
    gone, other = house.client(), house.client()
    gone.send(LATER % 1)
    keep = house.service.promises.get(timeout=PROMPTLY_S)
    gone.close()
    other.send(LATER % 2)
    keep()
    house.service.keep()
    assert other.reply()["id"] == 2


def test_blank_lines_are_no_requests(house: House) -> None:
    client = house.client()
    client.send(b"\n \r\n\t\n" + PING + b"\n\n")
    client.end_sending()
    assert client.reply() == PONG
    assert client.has_ended()


@pytest.mark.parametrize("method", [b"fail", b"nan"])
def test_a_defect_of_the_service_is_an_internal_error_and_the_connection_goes_on(
    house: House, method: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    client = house.client()
    reply = client.ask(b'{"method":"%s"}\n' % method)
    assert reply["code"] == "internal"
    assert reply["error"].split()[-1] in caplog.text
    assert "Traceback" not in reply["error"]
    assert client.ask(PING) == PONG


# -------------------------------------------------------------------------------------------------- sizes and time


@pytest.mark.parametrize("end", [b"\n", b""])
def test_a_request_over_the_limit_is_too_large_and_the_next_one_is_answered(open_house: OpenHouse, end: bytes) -> None:
    client = open_house(max_request_bytes=1024).client()
    for size in (1024, 100_000, 5_000_000):
        reply = client.ask(b'{"method":"ping","params":{"text":"%s"}}' % (b"x" * size) + end)
        assert reply["code"] == "too_large"
        assert client.ask(PING) == PONG


def test_a_request_over_the_limit_that_does_not_end_is_too_large_and_the_connection_ends(open_house: OpenHouse) -> None:
    client = open_house(max_request_bytes=1024, request_timeout_s=0.1).client()
    assert client.ask(b"x" * 10_000)["code"] == "too_large"
    assert client.has_ended()


def test_a_request_over_the_limit_is_told_so_before_it_ends_and_its_rest_is_passed_over(open_house: OpenHouse) -> None:
    client = open_house(max_request_bytes=1024).client()
    assert client.ask(b'{"method":"ping","params":{"text":"' + b"x" * 10_000)["code"] == "too_large"
    assert client.ask(b"x" * 10_000 + b'"}}\n' + PING) == PONG


def test_a_request_of_the_largest_size_is_answered(house: House) -> None:
    client = house.client()
    frame = b'{"method":"ping","params":{"text":"%s"}}'
    assert client.ask(frame % (b"x" * (16 * 1024 * 1024 - len(frame % b"")))) == PONG


def test_a_reply_larger_than_any_buffer_arrives_whole(house: House) -> None:
    client = house.client()
    assert len(client.ask(b'{"method":"fill","params":{"bytes":20000000}}\n')["filling"]) == 20_000_000
    assert client.ask(PING) == PONG


def test_a_request_that_is_not_finished_in_time_is_a_parse_error_and_the_connection_ends(open_house: OpenHouse) -> None:
    client = open_house(request_timeout_s=0.1).client()
    assert client.ask(b'{"method":"pi')["code"] == "parse_error"
    assert client.has_ended()


def test_a_byte_now_and_then_does_not_extend_the_time_for_a_request(open_house: OpenHouse) -> None:
    client = open_house(request_timeout_s=0.3).client()
    client.send(b'{"method":"')
    client.socket.settimeout(0.02)
    with contextlib.suppress(BrokenPipeError):
        for _ in range(int(PROMPTLY_S / 0.02)):
            client.send(b"x")
            try:
                received = client.socket.recv(4096)
            except TimeoutError:
                continue
            break
    assert json.loads(received)["code"] == "parse_error"


def test_an_idle_connection_stays_open_and_a_new_request_has_the_whole_time_again(open_house: OpenHouse) -> None:
    house = open_house(request_timeout_s=0.1)
    idle, blank, slow = house.client(), house.client(), house.client()
    assert idle.ask(PING) == PONG
    blank.send(b" ")
    assert slow.ask(b"{")["code"] == "parse_error"  # by now the time for a request has passed
    assert idle.ask(PING) == PONG
    assert blank.ask(PING) == PONG


def test_a_client_that_does_not_take_its_reply_is_dropped(open_house: OpenHouse) -> None:
    house = open_house(reply_timeout_s=0.1)
    client, other = house.client(), house.client()
    client.send(b'{"method":"fill","params":{"bytes":20000000}}\n' + PING)
    assert other.ask(PING) == PONG
    house.drain()
    assert house.quiet.wait(PROMPTLY_S)
    assert len(client._lines.read()) < 20_000_000


# ------------------------------------------------------------------------------------------------ one among others


def test_a_client_whose_request_takes_long_holds_up_nobody_else(house: House) -> None:
    slow, other = house.client(), house.client()
    slow.send(b'{"method":"wait"}\n')
    assert house.service.entered.acquire(timeout=PROMPTLY_S)
    assert other.ask(PING) == PONG
    house.service.let_go.set()
    assert slow.reply()["success"]


def test_clients_that_hang_in_every_way_hold_up_nobody_else(house: House) -> None:
    for beginning in (
        b"",
        b"{",
        b'{"method":"fill","params":{"bytes":9000000}}\n' * 2,
        b'{"method":"wait"}\n',
        b"x" * 9999,
    ):
        house.client().send(beginning)
    assert house.client().ask(PING) == PONG


def test_clients_that_vanish_leave_nothing_behind(house: House) -> None:
    for beginning in (
        b"",
        b"{",
        PING,
        PING * 1000,
        b'{"method":"wait"}\n',
        b'{"method":"fill","params":{"bytes":9000000}}\n',
    ):
        client = house.client()
        client.send(beginning)
        client.close()
    assert house.client().ask(PING) == PONG
    house.service.let_go.set()
    house.drain()
    assert house.quiet.wait(PROMPTLY_S)
    assert house.service.gauges.connections == 0


def test_one_connection_over_the_limit_is_told_busy_and_the_others_go_on(open_house: OpenHouse) -> None:
    house = open_house(max_connections=2)
    first, second = house.client(), house.client()
    assert first.ask(PING) == second.ask(PING) == PONG
    for _ in range(100):
        refused = house.client()
        reply = refused.reply()
        assert reply["code"] == "busy"
        assert reply["hint"]
        assert refused.has_ended()
    assert first.ask(PING) == second.ask(PING) == PONG


def test_a_refused_client_that_sends_first_can_still_read_why(open_house: OpenHouse) -> None:
    house = open_house(max_connections=1)
    assert house.client().ask(PING) == PONG
    for _ in range(20):
        refused = house.client()
        assert refused.ask(PING * 100)["code"] == "busy"
        assert refused._lines.read() == b""


def test_a_connection_that_ends_makes_room_for_another(open_house: OpenHouse) -> None:
    house = open_house(max_connections=1)
    client = house.client()
    assert client.ask(PING) == PONG
    assert house.service.gauges.connections == 1
    client.end_sending()
    assert client.has_ended()
    # Its place is given back before its end can be seen.
    assert house.client().ask(PING) == PONG


def test_another_users_connection_is_closed_unanswered(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wire, "peer_uid", lambda connection: os.geteuid() + 1)
    stranger = house.client()
    with contextlib.suppress(BrokenPipeError):
        stranger.send(PING)
    assert stranger.has_ended()
    monkeypatch.undo()
    assert house.client().ask(PING) == PONG


def test_a_descriptor_sent_along_is_not_kept(house: House) -> None:
    reading, writing = os.pipe()
    client = house.client()
    socket.send_fds(client.socket, [PING], [writing])
    assert client.reply() == PONG
    os.close(writing)
    with open(reading, "rb", buffering=0) as pipe:
        assert pipe.read(1) == b""  # nobody holds the other end


# ------------------------------------------------------------------------------------------------------- the end


def test_draining_finishes_what_was_begun_and_ends_what_is_idle(house: House) -> None:
    idle, busy, partial = house.client(), house.client(), house.client()
    assert idle.ask(PING) == PONG
    partial.send(b'{"method":"pi')
    busy.send(b'{"method":"wait","id":1}\n')
    assert house.service.entered.acquire(timeout=PROMPTLY_S)
    house.drain()
    assert idle.has_ended()
    assert partial.reply()["code"] == "shutting_down"
    assert partial.has_ended()
    assert not house.quiet.is_set()
    house.service.let_go.set()
    assert busy.reply() == {"success": True, "method": "wait", "id": 1}
    assert busy.has_ended()
    assert house.quiet.wait(PROMPTLY_S)


def test_draining_answers_what_was_sent_before(house: House) -> None:
    client = house.client()
    client.send(b'{"method":"wait"}\n' + PING * 10)
    assert house.service.entered.acquire(timeout=PROMPTLY_S)
    house.drain()
    house.service.let_go.set()
    assert [client.reply()["method"] for _ in range(11)] == ["wait"] + ["ping"] * 10
    assert client.has_ended()


def test_closing_cuts_whoever_is_left(house: House) -> None:
    client = house.client()
    client.send(b'{"method":"fill","params":{"bytes":20000000}}\n')
    client.socket.recv(1)
    house.drain()
    house.listener.close()
    assert house.quiet.wait(PROMPTLY_S)


# ------------------------------------------------------------------------------------------------------- the log


def test_each_request_is_one_log_line_of_sizes_and_codes(house: House, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    client = house.client()
    client.ask(b'{"method":"ping","id":"private"}\n')
    client.ask(b'{"method":"private","params":["private"]}\n')
    client.ask(b'"private\n')
    client.end_sending()
    assert client.has_ended()
    lines = [record.getMessage() for record in caplog.records]
    assert re.fullmatch(r"op=ping ok=1 ms=\d+ in_bytes=32 out_bytes=\d+", lines[0])
    assert [line.split(" code=")[1] for line in lines[1:]] == ["invalid_request", "parse_error"]
    assert "private" not in caplog.text


def test_a_busy_service_counts_the_requests_it_does_not_log(house: House, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    client = house.client()
    client.send(PING * 5000)
    for _ in range(5000):
        client.reply()
    assert 50 <= len(caplog.records) < 5000


def test_at_debug_every_request_is_logged(house: House, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    client = house.client()
    client.send(PING * 500)
    for _ in range(500):
        client.reply()
    assert sum("op=ping" in record.getMessage() for record in caplog.records) == 500
