"""The reading processes of a real daemon: they see what was written, and their loss costs nobody an answer."""

from __future__ import annotations

import json
import os
import re
import signal
import threading
from collections.abc import Callable
from typing import Any

import psutil
import pytest

from tests.conftest import PROMPTLY_S, Daemon, StartDaemon

pytestmark = pytest.mark.process

CLIENTS = 8
SEARCHES = 15


def note(name: str, text: str) -> dict[str, Any]:
    return {"entities": [{"name": name, "entityType": "note", "observations": [text]}], "check_conflicts": False}


def at_once(daemon: Daemon, work: Callable[[Callable[..., dict[str, Any]], int], None]) -> None:
    """Run `work` for CLIENTS clients that begin together, each with a function that asks, and its number."""
    barrier = threading.Barrier(CLIENTS)
    failures: list[BaseException] = []

    def client(number: int) -> None:
        with daemon.connect() as connection, connection.makefile("rwb") as stream:

            def ask(method: str, params: dict[str, Any]) -> dict[str, Any]:
                stream.write(json.dumps({"method": method, "params": params}).encode() + b"\n")
                stream.flush()
                reply: dict[str, Any] = json.loads(stream.readline())
                assert reply["success"], reply
                return reply

            try:
                barrier.wait()
                work(ask, number)
            except BaseException as error:
                failures.append(error)

    threads = [threading.Thread(target=client, args=(number,)) for number in range(CLIENTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]


def search_once(ask: Callable[..., dict[str, Any]], _: int) -> None:
    ask("search_nodes", {"query": "copper"})


def found(reply: dict[str, Any]) -> list[str]:
    return [result["name"] for result in reply["results"]]


def readers_of(daemon: Daemon) -> list[psutil.Process]:
    children = psutil.Process(daemon.process.pid).children()
    while not all(each.name().startswith("memory-db-") for each in children):  # they take their names as they begin
        pass
    return [each for each in children if each.name() == "memory-db-reader"]


def helper_of(daemon: Daemon) -> psutil.Process:
    readers = readers_of(daemon)
    (helper,) = (each for each in psutil.Process(daemon.process.pid).children() if each not in readers)
    return helper


def test_clients_that_search_at_once_each_find_what_they_have_just_written(start_daemon: StartDaemon) -> None:
    daemon = start_daemon()

    def work(ask: Callable[..., dict[str, Any]], number: int) -> None:
        for turn in range(SEARCHES):
            name = f"client {number} turn {turn}"
            ask("create_entities", note(name, f"the kettle of room {number}x{turn} whistles"))
            assert found(ask("search_nodes", {"query": f"kettle {number}x{turn}"}))[0] == name

    at_once(daemon, work)
    reading = daemon.ask("get_system_health")["reading"]
    assert reading["processes"] == 2
    assert 0 < reading["answered"] <= CLIENTS * SEARCHES


def test_what_they_read_counts_as_an_access_and_is_as_the_daemon_itself_tells_it(start_daemon: StartDaemon) -> None:
    daemon = start_daemon()
    daemon.ask("create_entities", note("kettle", "Ann bought a copper kettle in Lisbon"))
    replies: list[dict[str, Any]] = []

    def work(ask: Callable[..., dict[str, Any]], number: int) -> None:
        for _ in range(SEARCHES):
            replies.append(ask("search_nodes", {"query": "where did Ann buy the kettle?", "detail": "matched"}))

    at_once(daemon, work)
    assert daemon.ask("get_system_health")["reading"]["answered"] > 0
    assert {json.dumps(reply["results"][0]["observations"]) for reply in replies} == {
        json.dumps(["Ann bought a copper kettle in Lisbon"])
    }
    assert len({reply["results"][0]["score"] for reply in replies}) == 1

    def accesses() -> int:
        return int(daemon.ask("search_nodes", {"query": "kettle"})["results"][0]["access_count"])

    while accesses() < len(replies):  # written about once a second
        pass


def test_a_reply_is_the_same_byte_for_byte_whoever_gives_it(start_daemon: StartDaemon) -> None:
    daemon = start_daemon()
    daemon.ask("create_entities", note("kettle", 'Ann said \u201cmind the \u00fcber-kettle\u201d, "twice"'))
    request = {"id": "\u00fc 7", "method": "search_nodes", "params": {"query": "kettle Ann", "detail": "matched"}}
    line = json.dumps(request).encode() + b"\n"
    replies: set[bytes] = set()

    def work(_: Callable[..., dict[str, Any]], __: int) -> None:
        with daemon.connect() as connection, connection.makefile("rwb") as stream:
            for _turn in range(SEARCHES):
                stream.write(line)
                stream.flush()
                told = stream.readline()
                replies.add(re.sub(rb'"access_count":\d+,|"accessed":"[^"]*",|"score":[\d.]+', b"", told))

    work(daemon.ask, 0)
    alone = set(replies)
    at_once(daemon, work)
    assert daemon.ask("get_system_health")["reading"]["answered"] > 0
    assert replies == alone
    assert len(alone) == 1
    (reply,) = alone
    assert reply.startswith(b'{"success":true,"query":')
    assert reply.endswith('"id":"\u00fc 7"}\n'.encode())


def test_searches_go_on_when_the_processes_are_killed(start_daemon: StartDaemon) -> None:
    daemon = start_daemon()
    daemon.ask("create_entities", note("kettle", "a copper kettle"))

    def work(ask: Callable[..., dict[str, Any]], number: int) -> None:
        for turn in range(SEARCHES):
            if number == 0 and turn == SEARCHES // 2:
                for process in readers_of(daemon):
                    process.kill()
            assert found(ask("search_nodes", {"query": "copper"})) == ["kettle"]

    at_once(daemon, work)
    at_once(daemon, work)
    assert readers_of(daemon) == []
    assert daemon.ask("get_system_health")["reading"]["processes"] == 0


def test_writes_go_on_when_the_processes_are_killed_or_stand_still(start_daemon: StartDaemon) -> None:
    daemon = start_daemon()

    def work(ask: Callable[..., dict[str, Any]], number: int) -> None:
        for turn in range(SEARCHES):
            if number == 0 and turn == SEARCHES // 2:
                for process, blow in zip(readers_of(daemon), (signal.SIGKILL, signal.SIGSTOP), strict=True):
                    process.send_signal(blow)
            ask("create_entities", note(f"client {number} turn {turn}", f"the kettle of room {number}x{turn}"))

    at_once(daemon, work)
    assert daemon.ask("get_memory_status")["total_entities"] == CLIENTS * SEARCHES
    for number in range(CLIENTS):
        assert found(daemon.ask("search_nodes", {"query": f"kettle {number}x3"}))[0] == f"client {number} turn 3"


def test_lists_of_processes_show_one_daemon(start_daemon: StartDaemon) -> None:
    daemon = start_daemon()
    daemon.ask("ping")
    assert [process.cmdline()[0] for process in readers_of(daemon)] == ["memory-db-reader"] * 2


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_none_outlives_the_daemon(start_daemon: StartDaemon, number: int) -> None:
    daemon = start_daemon()
    processes = readers_of(daemon)
    assert len(processes) == 2
    os.kill(daemon.process.pid, number)
    daemon.process.wait()
    gone, alive = psutil.wait_procs(processes, timeout=PROMPTLY_S)
    assert (len(gone), alive) == (2, [])


def test_an_interrupt_from_the_keyboard_ends_the_daemon_alone_and_it_still_answers_what_was_sent(
    start_daemon: StartDaemon,
) -> None:
    daemon = start_daemon()
    for process in readers_of(daemon):
        process.send_signal(signal.SIGINT)
        process.send_signal(signal.SIGTERM)
    daemon.ask("create_entities", note("kettle", "a copper kettle"))
    at_once(daemon, search_once)
    assert daemon.ask("get_system_health")["reading"]["processes"] == 2


def test_where_the_setting_says_none_there_is_none(start_daemon: StartDaemon) -> None:
    daemon = start_daemon("--read-processes", "0")
    assert readers_of(daemon) == []
    daemon.ask("create_entities", note("kettle", "a copper kettle"))
    at_once(daemon, search_once)


def test_a_dictionary_made_meanwhile_is_known_to_them(start_daemon: StartDaemon) -> None:
    daemon = start_daemon()
    for page in range(6):
        entities = [
            note(f"n {page} {each}", f"the kettle of room {page} {each} whistles")["entities"][0] for each in range(100)
        ]
        daemon.ask("create_entities", {"entities": entities, "check_conflicts": False})

    def work(ask: Callable[..., dict[str, Any]], number: int) -> None:
        for turn in range(SEARCHES):
            name = f"late {number} {turn}"
            ask("create_entities", note(name, f"the kettle of room late{number}x{turn} whistles"))
            results = ask("search_nodes", {"query": f"late{number}x{turn}"})["results"]
            assert (results[0]["name"], "error" in results[0]) == (name, False)

    at_once(daemon, work)


def test_what_nobody_waits_for_is_done_by_a_process_that_gives_way(start_daemon: StartDaemon) -> None:
    daemon = start_daemon()
    helper, readers = helper_of(daemon), readers_of(daemon)
    assert helper.nice() > max(each.nice() for each in readers) == psutil.Process(daemon.process.pid).nice()
    before = helper.cpu_times().user
    entities = [
        {
            "name": f"note {number}",
            "entityType": "note",
            "observations": [f"kettle {number} whistles in room {number * 7}"],
        }
        for number in range(2_000)  # enough for a dictionary, and for it to take a while
    ]
    for start in range(0, len(entities), 500):
        daemon.ask("create_entities", {"entities": entities[start : start + 500], "check_conflicts": False})
    while helper.cpu_times().user == before:
        pass
