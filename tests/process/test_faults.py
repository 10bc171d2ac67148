"""Faults of the machine, each caused for real: what is told, what goes on, and that nothing acknowledged is lost."""

from __future__ import annotations

import contextlib
import json
import os
import random
import resource
import shutil
import signal
import socket
import sqlite3
import stat
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.conftest import PATIENCE_S

pytestmark = pytest.mark.process

RunDaemon = Callable[..., "subprocess.Popen[str]"]
StartDaemon = Callable[..., Any]


def create(*names: str, text: str = "zebra") -> dict[str, Any]:
    return {"entities": [{"name": name, "entityType": "thing", "observations": [f"{text} {name}"]} for name in names]}


def names(daemon: Any) -> set[str]:
    return {entity["name"] for entity in daemon.ask("read_graph", {"limit": 1000})["entities"]}


def refusal(process: subprocess.Popen[str]) -> str:
    _, err = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 1
    assert err.startswith("memory-db-service: ")
    return err


# --------------------------------------------------------------------------------------------------- files that go


@pytest.mark.parametrize("replaced", [False, True])
def test_a_database_removed_under_the_daemon_is_read_on_and_a_write_is_refused_and_nowhere(
    start_daemon: StartDaemon, replaced: bool
) -> None:
    daemon = start_daemon()
    assert daemon.ask("create_entities", create("before"))["success"]
    kept = daemon.db.with_name("kept.db")
    daemon.db.rename(kept)
    if replaced:
        daemon.db.write_bytes(kept.read_bytes())
    reply = daemon.ask("create_entities", create("after"))
    assert reply["code"] == "read_only"
    assert str(daemon.db) in reply["error"]
    assert names(daemon) == {"before"}
    assert daemon.ask("get_system_health")["status"] == "failing"
    with contextlib.suppress(FileNotFoundError):
        daemon.db.unlink()
    kept.rename(daemon.db)
    assert daemon.ask("create_entities", create("again"))["success"]
    assert "gone or replaced" not in str(daemon.ask("get_system_health")["reasons"])
    assert names(daemon) == {"before", "again"}


def test_a_log_removed_under_the_daemon_loses_nothing_that_was_acknowledged(start_daemon: StartDaemon) -> None:
    daemon = start_daemon()
    assert daemon.ask("create_entities", create("before"))["success"]
    daemon.db.with_name(f"{daemon.db.name}-wal").unlink()
    assert daemon.ask("create_entities", create("after"))["code"] == "read_only"
    health = daemon.ask("get_system_health")
    assert health["status"] == "failing"
    assert "gone or replaced" in health["reasons"][0]
    assert daemon.end(signal.SIGKILL) == -signal.SIGKILL
    assert names(start_daemon()) == {"before"}


def _cut(log: Path) -> None:
    os.truncate(log, log.stat().st_size // 2)


def _change(log: Path, place: float) -> None:
    changed = bytearray(log.read_bytes())
    changed[int(place * len(changed))] ^= 1
    log.write_bytes(changed)


LOG_DAMAGE: dict[str, Callable[[Path], None]] = {
    "cut in half": _cut,
    "cut to nothing": lambda log: os.truncate(log, 0),
    "without its last byte": lambda log: os.truncate(log, log.stat().st_size - 1),
    "a bit of its header": lambda log: _change(log, 0),
    "a bit in the middle": lambda log: _change(log, 0.5),
    "removed": Path.unlink,
}


@pytest.mark.parametrize("damage", LOG_DAMAGE)
def test_a_log_that_was_damaged_after_a_kill_is_told_until_somebody_has_looked(
    damage: str, start_daemon: StartDaemon, home: Path
) -> None:
    daemon = start_daemon()
    for number in range(10):
        assert daemon.ask("create_entities", create(f"thing {number}"))["success"]
    daemon.end(signal.SIGKILL)
    LOG_DAMAGE[damage](daemon.db.with_name(f"{daemon.db.name}-wal"))
    daemon = start_daemon()
    # The last commit may have been the housekeeping's own, and nobody's memory.
    assert len(names(daemon)) < 10 or damage == "without its last byte"
    for _ in range(2):
        health = daemon.ask("get_system_health")
        assert health["status"] == "degraded"
        assert "log was cut off, damaged or removed" in health["reasons"][0]
        assert daemon.ask("create_entities", create("later"))["success"]
        daemon.end(signal.SIGTERM)
        daemon = start_daemon()  # the notice outlives it
    assert daemon.ask("verify_database")["ok"]
    assert daemon.ask("get_system_health")["reasons"] == []
    assert daemon.end(signal.SIGTERM) == 0
    assert not daemon.db.with_name(f"{daemon.db.name}.mark").exists()


def test_a_kill_at_any_time_is_no_damage_of_the_log(start_daemon: StartDaemon) -> None:
    daemon = start_daemon()
    for number in range(4):
        for size in (1, 300):  # a few pages, and enough for the log to be emptied when it is idle
            entities = create(*(f"{number} {size} {each}" for each in range(size)))
            assert daemon.ask("create_entities", entities)["success"]
            daemon.end(signal.SIGKILL)
            daemon = start_daemon()
            assert daemon.ask("get_system_health")["reasons"] == []
    assert daemon.ask("get_memory_status")["total_entities"] == 4 * 301


def test_a_database_behind_a_symbolic_link_is_served(start_daemon: StartDaemon, short_folder: Path) -> None:
    (short_folder / "elsewhere").mkdir()
    link = short_folder / "link.db"
    link.symlink_to(short_folder / "elsewhere" / "memory.db")
    daemon = start_daemon(db=link)
    assert daemon.ask("create_entities", create("before"))["success"]
    daemon.end(signal.SIGKILL)
    assert names(start_daemon(db=link)) == {"before"}
    assert link.is_symlink()


def test_a_socket_removed_under_the_daemon_is_there_again(start_daemon: StartDaemon) -> None:
    daemon = start_daemon()
    daemon.socket_path.unlink()
    give_up = 1000
    while not daemon.socket_path.exists():
        give_up -= 1
        assert give_up, "the daemon did not take its path again"
        with contextlib.suppress(subprocess.TimeoutExpired):
            daemon.process.wait(0.01)
    assert daemon.ask("ping")["pid"] == daemon.process.pid
    assert stat.S_IMODE(daemon.socket_path.lstat().st_mode) == 0o600
    assert daemon.end(signal.SIGTERM) == 0
    assert not daemon.socket_path.exists()


def test_a_daemon_whose_folders_were_removed_ends(start_daemon: StartDaemon, short_folder: Path) -> None:
    folder = short_folder / "tried"
    folder.mkdir()
    daemon = start_daemon(db=folder / "memory.db", socket_path=folder / "memory.sock")
    shutil.rmtree(folder)
    assert daemon.process.wait(PATIENCE_S) == 0
    assert not folder.exists()


def test_a_second_daemon_is_refused_even_when_the_lock_beside_the_database_was_removed(
    start_daemon: StartDaemon, run_daemon: RunDaemon, short_folder: Path
) -> None:
    daemon = start_daemon()
    daemon.db.with_name(f"{daemon.db.name}.lock").unlink()
    second = run_daemon("--db", daemon.db, "--socket", short_folder / "other", stderr=subprocess.PIPE)
    assert "another program has locked" in refusal(second)
    assert daemon.ask("create_entities", create("still"))["success"]


def test_a_database_with_a_second_name_is_refused(
    start_daemon: StartDaemon, run_daemon: RunDaemon, short_folder: Path
) -> None:
    daemon = start_daemon()
    os.link(daemon.db, short_folder / "second.db")
    second = run_daemon("--db", short_folder / "second.db", "--socket", short_folder / "other", stderr=subprocess.PIPE)
    assert "hard links" in refusal(second)


# ------------------------------------------------------------------------------------------------ disks that fill


class Small:
    """A file system of a few megabytes that only the daemon sees, and the files in it as others reach them."""

    def __init__(self, run_daemon: RunDaemon, start: StartDaemon, folder: Path, megabytes: int, options: str) -> None:
        mounted = folder / "disk"
        mounted.mkdir()
        script = f'mount -t tmpfs -o size={megabytes}m none "{mounted}" && {options} exec "$@"'
        self.daemon = start(
            db=mounted / "memory.db",
            socket_path=folder / "s",
            inside=["unshare", "--mount", "--map-root-user", "sh", "-c", script, "sh"],
        )
        self.folder = Path(f"/proc/{self.daemon.process.pid}/root{mounted}")


def fill(folder: Path) -> Path:
    """A file that takes what is left of a disk."""
    filler = folder / "filler"
    with filler.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        for size in (65536, 4096, 1):
            with contextlib.suppress(OSError):
                while True:
                    file.write(b"x" * size)
    return filler


def test_on_a_full_disk_writes_answer_disk_full_reads_go_on_and_freed_space_is_used_without_a_restart(
    run_daemon: RunDaemon, start_daemon: StartDaemon, short_folder: Path
) -> None:
    small = Small(run_daemon, start_daemon, short_folder, 4, "")
    daemon = small.daemon
    acknowledged = {"first"}
    assert daemon.ask("create_entities", create("first"))["success"]
    filler = fill(small.folder)
    reply: dict[str, Any] = {"success": True}
    for number in range(2_000):
        reply = daemon.ask("create_entities", create(f"n{number}", text="giraffe " * 200))
        if not reply["success"]:
            break
        acknowledged.add(f"n{number}")
    assert reply["code"] == "disk_full"
    assert "space" in reply["hint"]
    assert names(daemon) == acknowledged
    assert daemon.ask("search_nodes", {"query": "zebra"})["results"][0]["name"] == "first"
    filler.unlink()
    assert daemon.ask("create_entities", create("later"))["success"]
    assert names(daemon) == acknowledged | {"later"}
    assert daemon.end(signal.SIGTERM) == 0


def test_a_full_disk_at_any_moment_leaves_every_write_whole_or_undone(
    run_daemon: RunDaemon, start_daemon: StartDaemon, short_folder: Path
) -> None:
    small = Small(run_daemon, start_daemon, short_folder, 3, "")
    daemon = small.daemon
    acknowledged: set[str] = set()
    for number in range(400):
        if number % 20 == 10:
            fill(small.folder)
        if number % 20 == 0:
            (small.folder / "filler").unlink(missing_ok=True)
        pair = (f"a{number}", f"b{number}")
        reply = daemon.ask("create_entities", create(*pair, text="okapi " * 20))
        if reply["success"]:
            acknowledged.update(pair)
        else:
            assert reply["code"] == "disk_full", reply
    (small.folder / "filler").unlink(missing_ok=True)
    assert names(daemon) == acknowledged
    assert {"a0", "a399"} & acknowledged


def test_a_purge_on_a_full_disk_erases_and_what_is_asked_again_overwrites(
    run_daemon: RunDaemon, start_daemon: StartDaemon, short_folder: Path
) -> None:
    small = Small(run_daemon, start_daemon, short_folder, 12, "")
    daemon = small.daemon
    marker = b"Xylographquokka"
    assert daemon.ask("create_entities", create("secret", text=f"The code is {marker.decode()}"))["success"]
    for number in range(300):
        assert daemon.ask("create_entities", create(f"n{number}", text=f"giraffe {random.random()} " * 100))["success"]

    def found() -> list[str]:
        return [file.name for file in small.folder.iterdir() if marker.lower() in file.read_bytes().lower()]

    def reasons() -> str:
        return str(daemon.ask("get_system_health")["reasons"])

    assert daemon.ask("purge_entities", {"entityNames": ["n0"], "confirm": True})["success"]
    assert found()
    filler = fill(small.folder)  # that purge emptied the log: nothing the daemon does when it is idle makes more room
    room = (small.folder / "memory.db").stat().st_size  # enough for the erasure; overwriting takes twice as much
    os.truncate(filler, filler.stat().st_size - room)
    asked = {"entityNames": ["secret"], "confirm": True}
    reply = daemon.ask("purge_entities", asked)
    assert (reply["code"], reply["details"]) == ("disk_full", {"purged": ["secret"]})
    assert "are erased" in reply["error"]
    assert daemon.ask("open_nodes", {"names": ["secret"]})["entities"] == []
    assert "purged" in reasons()
    filler.unlink()
    assert daemon.ask("purge_entities", asked)["missing"] == ["secret"]
    assert found() == []
    assert "purged" not in reasons()


# ------------------------------------------------------------------------------------- clients and the process itself


def test_a_thousand_idle_connections_cost_little_and_hold_up_nobody(start_daemon: StartDaemon) -> None:
    limit = 3000
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, limit), hard))
    try:
        daemon = start_daemon("--max-connections", "2000")
        before = psutil.Process(daemon.process.pid).memory_info().rss
        with contextlib.ExitStack() as stack:
            for _ in range(1000):
                stack.enter_context(daemon.connect())
            assert daemon.ask("create_entities", create("a"))["success"]
            assert psutil.Process(daemon.process.pid).memory_info().rss - before < 50 * 1024 * 1024
        assert daemon.ask("ping")["success"]
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_a_stopped_daemon_goes_on_where_it_was_when_it_is_continued(start_daemon: StartDaemon) -> None:
    daemon = start_daemon()
    with daemon.connect() as connection, connection.makefile("rwb") as stream:
        daemon.process.send_signal(signal.SIGSTOP)
        stream.write(json.dumps({"method": "create_entities", "params": create("while stopped")}).encode() + b"\n")
        stream.flush()
        daemon.process.send_signal(signal.SIGCONT)
        assert json.loads(stream.readline())["success"]
    assert names(daemon) == {"while stopped"}


def test_clients_that_vanish_in_the_middle_of_a_request_leave_nothing_half_done(start_daemon: StartDaemon) -> None:
    daemon = start_daemon()
    line = json.dumps({"method": "create_entities", "params": create("x", "y")}).encode()
    for cut in range(1, len(line), 3):
        with daemon.connect() as connection:
            connection.sendall(line[:cut])
    assert names(daemon) in (set(), {"x", "y"})
    assert daemon.ask("create_entities", create("z"))["success"]
    assert names(daemon) == {"z"}


def test_code_ends_when_its_client_has_gone_and_not_when_that_only_sends_no_more(start_daemon: StartDaemon) -> None:
    daemon = start_daemon()
    endless = {"method": "execute_code", "params": {"code": "while True: pass", "timeout_s": 30}}
    for _ in range(4):  # every place for code
        with daemon.connect() as leaving:
            leaving.sendall(json.dumps(endless).encode() + b"\n")
    with daemon.connect() as waiting:
        waiting.settimeout(20)  # less than those four would have taken
        code = {"method": "execute_code", "params": {"code": "result = 1 + 1", "timeout_s": 30}}
        waiting.sendall(json.dumps(code).encode())
        waiting.shutdown(socket.SHUT_WR)
        assert json.loads(waiting.makefile("rb").readline())["result"] == 2


def test_a_client_that_does_not_read_its_replies_holds_up_nobody(start_daemon: StartDaemon) -> None:
    reader = start_daemon("--reply-timeout-s", "0.5")
    assert reader.ask("create_entities", create(*map(str, range(500)), text="long " * 100))["success"]
    with reader.connect() as lazy:
        lazy.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        for _ in range(20):
            lazy.sendall(b'{"method":"read_graph","params":{"limit":500}}\n')
        assert reader.ask("create_entities", create("meanwhile"))["success"]
        assert "meanwhile" in names(reader)


def test_a_defect_of_the_tables_is_corrupt_and_no_internal_error(start_daemon: StartDaemon) -> None:
    daemon = start_daemon()
    assert daemon.ask("create_entities", create("a"))["success"]
    with sqlite3.connect(daemon.db) as db:
        db.execute("UPDATE entities SET name = CAST(x'ff41' AS TEXT)")
        db.execute("DROP TABLE search_index")
    assert daemon.ask("search_nodes", {"query": "zebra"})["code"] == "corrupt"
    assert daemon.ask("read_graph")["code"] == "corrupt"
    assert daemon.ask("create_entities", create("b"))["code"] == "corrupt"
    assert daemon.ask("ping")["success"]


def test_a_damaged_index_is_told_as_such_and_in_health_and_is_made_anew_on_demand(start_daemon: StartDaemon) -> None:
    daemon = start_daemon()
    assert daemon.ask("create_entities", create(*map(str, range(50)), text="zebra"))["success"]
    assert daemon.end(signal.SIGTERM) == 0
    with sqlite3.connect(daemon.db) as db:
        db.execute("DELETE FROM search_index_data WHERE id > 10")
    daemon = start_daemon()
    reply = daemon.ask("search_nodes", {"query": "zebra"})
    assert (reply["code"], "verify --repair" in reply["hint"]) == ("corrupt", True)
    health = daemon.ask("get_system_health")
    assert health["status"] == "degraded"
    assert "met damaged data" in health["reasons"][0]
    assert daemon.ask("verify_database", {"repair": True})["ok"]
    assert daemon.ask("search_nodes", {"query": "zebra"})["count"] == 10
    assert daemon.ask("get_system_health")["reasons"] == []
