"""What the daemon promises whoever talks to it, on the real process: nothing lost, nothing doubled, nothing run."""

from __future__ import annotations

import hashlib
import json
import os
import pickle
import signal
import socket
import sqlite3
import threading
import zlib
from pathlib import Path
from typing import Any

import psutil
import pytest

from enhanced_memory.client import BlockingMemoryClient
from tests.conftest import PROMPTLY_S, Daemon, StartDaemon

pytestmark = pytest.mark.process


def create(name: str, *observations: str) -> dict[str, Any]:
    return {"entities": [{"name": name, "entityType": "note", "observations": list(observations)}]}


def test_fifty_clients_with_a_hundred_creates_each_lose_and_double_nothing(start_daemon: StartDaemon) -> None:
    daemon = start_daemon()
    barrier = threading.Barrier(50)
    acknowledged: list[str] = []

    def client(number: int) -> None:
        with daemon.connect() as connection, connection.makefile("rwb") as stream:
            barrier.wait()
            for item in range(100):
                name = f"client {number} item {item}"
                stream.write(json.dumps({"method": "create_entities", "params": create(name, name)}).encode() + b"\n")
                stream.flush()
                reply = json.loads(stream.readline())
                assert reply["results"][0]["action"] == "created"
                acknowledged.append(name)

    threads = [threading.Thread(target=client, args=(number,)) for number in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(acknowledged) == 5_000
    assert daemon.ask("get_memory_status")["total_entities"] == 5_000
    seen: list[str] = []
    cursor = None
    while True:
        page = daemon.ask("read_graph", {"limit": 1000, "cursor": cursor})
        seen += [entity["name"] for entity in page["entities"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert sorted(seen) == sorted(acknowledged)


@pytest.mark.parametrize("method", ["execute_code", "run_skill"])
def test_a_client_waits_for_code_that_takes_all_the_time_it_was_given(method: str, start_daemon: StartDaemon) -> None:
    daemon = start_daemon()
    endless = "while True: pass"
    with BlockingMemoryClient(daemon.socket_path) as patient:
        assert patient.save_skill("endless", endless, "never ends")["success"]
    with BlockingMemoryClient(daemon.socket_path, timeout_s=3.0) as client:
        given = {"code": endless} if method == "execute_code" else {"name": "endless"}
        assert client.call(method, {**given, "timeout_s": 3.0})["code"] == "sandbox_timeout"


def test_what_was_acknowledged_is_there_after_a_kill_at_that_very_moment(start_daemon: StartDaemon) -> None:
    acknowledged: list[str] = []
    daemon = start_daemon()
    for cycle in range(5):
        lock = threading.Lock()
        stop = threading.Event()

        def writer(
            number: int, daemon: Daemon = daemon, lock: Any = lock, stop: Any = stop, cycle: int = cycle
        ) -> None:
            connection = daemon.connect()
            stream = connection.makefile("rwb")
            try:
                for item in range(1_000):
                    name = f"{cycle}-{number}-{item}"
                    request = {"method": "create_entities", "params": create(name, name)}
                    stream.write(json.dumps(request).encode() + b"\n")
                    stream.flush()
                    if not stream.readline().startswith(b'{"success":true'):
                        return
                    with lock:
                        acknowledged.append(name)
                        if len(acknowledged) >= 40 * (cycle + 1) and not stop.is_set():
                            stop.set()
                            daemon.process.send_signal(signal.SIGKILL)
            except (OSError, ValueError):
                return

        threads = [threading.Thread(target=writer, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        daemon.process.wait(PROMPTLY_S)
        daemon = start_daemon()
        reply = daemon.ask("open_nodes", {"names": acknowledged})
        assert reply["missing"] == []
        assert all(entity["observations"] == [entity["name"]] for entity in reply["entities"])


class Command:
    """A pickle that would run a command."""

    def __init__(self, marker: Path) -> None:
        self._marker = marker

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f"touch {self._marker}",)


def test_tampered_blobs_run_nothing_take_no_memory_and_hide_no_other(
    start_daemon: StartDaemon, short_folder: Path
) -> None:
    marker = short_folder / "ran"
    daemon = start_daemon()
    for name in ("command", "bomb", "flipped", "mock", "whole"):
        assert daemon.ask("create_entities", create(name, f"zebra {name}", "and more"))["success"]
    assert daemon.end(signal.SIGTERM) == 0
    deflate = zlib.compressobj(9)
    bomb = b"".join(deflate.compress(bytes(1 << 20)) for _ in range(1024)) + deflate.flush()
    with sqlite3.connect(daemon.db) as db:
        (flipped,) = db.execute("SELECT compressed_data FROM entities WHERE name = 'flipped'").fetchone()
        spoilt = bytes([*flipped[:-1], flipped[-1] ^ 1])
        for name, blob, checksum in (
            ("command", zlib.compress(pickle.dumps({"observations": [Command(marker)]})), None),
            ("bomb", bomb, None),
            ("flipped", spoilt, hashlib.sha256(flipped).hexdigest()),
            ("mock", zlib.compress(b"\x80\x05r\xff\xff\xff\x7f" + b"N."), None),
        ):
            db.execute(
                "UPDATE entities SET compressed_data = ?, checksum = ? WHERE name = ?",
                (blob, checksum or hashlib.sha256(blob).hexdigest(), name),
            )
    db.close()
    daemon = start_daemon()
    before = psutil.Process(daemon.process.pid).memory_info().rss
    for name in ("command", "bomb", "flipped", "mock"):
        assert daemon.ask("open_nodes", {"names": [name]})["code"] == "corrupt"
        addition = {"observations": [{"entityName": name, "contents": ["x"]}]}
        assert daemon.ask("add_observations", addition)["code"] == "corrupt"
    found = {r["name"]: r for r in daemon.ask("search_nodes", {"query": "zebra"})["results"]}
    assert found.pop("whole")["observations"] == ["zebra whole", "and more"]
    assert {name: result["code"] for name, result in found.items()} == dict.fromkeys(
        ("command", "bomb", "flipped", "mock"), "corrupt"
    )
    assert psutil.Process(daemon.process.pid).memory_info().rss - before < 64 * 1024 * 1024
    assert not marker.exists()


def test_a_client_that_hangs_costs_the_others_nothing(start_daemon: StartDaemon) -> None:
    daemon = start_daemon()
    hanging: list[socket.socket] = []
    for _ in range(20):
        connection = daemon.connect()
        connection.sendall(b'{"method": "create_entities", "params": {"entities": [')
        hanging.append(connection)
    assert daemon.ask("create_entities", create("a", "b"))["success"]
    assert daemon.ask("search_nodes", {"query": "b"})["count"] == 1
    for connection in hanging:
        connection.close()
