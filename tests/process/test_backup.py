"""Backups and restores with real processes: under load, damaged in hundreds of ways, on full and read-only disks."""

from __future__ import annotations

import contextlib
import gzip
import json
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from enhanced_memory.errors import EnhancedMemoryError
from enhanced_memory.service import offline
from enhanced_memory.service.dispatcher import MemoryDBService
from enhanced_memory.settings import Settings
from tests.conftest import PATIENCE_S, ROOT, Daemon, StartDaemon, ready_line

pytestmark = pytest.mark.process


def create(name: str, *observations: str) -> dict[str, Any]:
    return {"entities": [{"name": name, "entityType": "note", "observations": list(observations)}]}


def silent(_done: int, _total: int) -> None:
    """Nobody is told how far it is."""


def enhanced_memory(*arguments: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """A run of the command line as a process."""
    command = [sys.executable, "-c", "from enhanced_memory.cli.main import main; main()", *map(str, arguments)]
    return subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE_S, env={**os.environ, **environment}
    )


def names_in(db: Path) -> set[str]:
    with closing(sqlite3.connect(f"file:{db}?mode=ro", uri=True)) as connection:
        return {row[0] for row in connection.execute("SELECT name FROM entities WHERE deleted_at IS NULL")}


@pytest.fixture
def filled(tmp_path: Path) -> Settings:
    """The settings of a database with a few memories, which nobody has open."""
    settings = Settings.load({"db_path": str(tmp_path / "data" / "memory.db")})
    (tmp_path / "data").mkdir()
    with closing(MemoryDBService(settings)) as service:
        for number in range(40):
            request = {"method": "create_entities", "params": create(f"n{number}", f"zebra {number}", "lives here")}
            assert service.handle_request(request)["success"]
    return settings


def everything_in(folder: Path) -> dict[str, bytes]:
    """Every file of a folder, with its bytes."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


# ------------------------------------------------------------------------------------------------------ under load


def test_a_backup_under_eight_writers_restores_to_every_write_acknowledged_before_it_began(
    start_daemon: StartDaemon, short_folder: Path
) -> None:
    daemon = start_daemon()
    acknowledged: set[str] = set()
    failed: list[str] = []
    stop, warm = threading.Event(), threading.Barrier(9)

    def writer(number: int) -> None:
        with daemon.connect() as connection, connection.makefile("rwb") as stream:
            item = 0
            while not stop.is_set():
                name = f"{number}-{item}"
                request = {"method": "create_entities", "params": create(name, f"zebra {name}", "x" * 200)}
                stream.write(json.dumps(request).encode() + b"\n")
                stream.flush()
                if json.loads(stream.readline())["success"]:
                    acknowledged.add(name)
                else:
                    failed.append(name)
                item += 1
                if item == 20:
                    warm.wait()

    threads = [threading.Thread(target=writer, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    warm.wait()
    backups = []
    for _ in range(3):
        before = set(acknowledged)
        reply = daemon.ask("backup")
        assert reply["success"], reply
        backups.append((Path(reply["path"]), before))
    stop.set()
    for thread in threads:
        thread.join()
    assert failed == []
    assert daemon.ask("verify_database")["problems"] == []
    assert daemon.end(signal.SIGTERM) == 0
    for path, before in backups:
        done = enhanced_memory("restore", path, "--db", daemon.db)
        assert done.returncode == 0, done.stderr
        restored = names_in(daemon.db)
        assert before <= restored <= acknowledged
    daemon = start_daemon()
    assert daemon.ask("verify_database")["ok"]
    assert {r["name"] for r in daemon.ask("search_nodes", {"query": "zebra 3-7"})["results"]} >= {"3-7"}


def test_a_daemon_that_is_killed_while_it_makes_a_backup_leaves_none_and_the_next_start_makes_one(
    start_daemon: StartDaemon,
) -> None:
    daemon = start_daemon()
    for number in range(20):
        daemon.ask("create_entities", create(f"n{number}", *(f"{os.urandom(300).hex()}" for _ in range(40))))
    asking = threading.Thread(target=_backed_up_or_killed, args=(daemon,))
    asking.start()
    folder = daemon.db.parent / "backups"
    while not folder.exists() or not any(name.startswith(".") for name in os.listdir(folder)):
        if not asking.is_alive():
            break
    daemon.process.kill()
    daemon.process.wait(PATIENCE_S)
    asking.join()
    daemon = start_daemon()
    reply = daemon.ask("backup")
    assert reply["success"]
    assert not [name for name in os.listdir(folder) if name.startswith(".")]


def _backed_up_or_killed(daemon: Daemon) -> None:
    with contextlib.suppress(OSError, ValueError):
        daemon.ask("backup")


# --------------------------------------------------------------------------------------------------- restoring


def test_a_restore_puts_the_backup_in_place_and_keeps_the_old_database_whole(filled: Settings) -> None:
    db = Path(filled.db_path)
    made = offline.backup(filled, None, silent)
    with closing(MemoryDBService(filled)) as service:
        service.handle_request({"method": "create_entities", "params": create("later", "x")})
    reply = offline.restore(filled, made["path"], False, silent)
    assert names_in(db) == {f"n{number}" for number in range(40)}
    assert names_in(Path(reply["kept"])) == names_in(db) | {"later"}
    assert (db.stat().st_mode & 0o777, Path(reply["kept"]).stat().st_nlink) == (0o600, 1)
    assert not [name for name in os.listdir(db.parent) if name.endswith(("-wal", "-shm", "restoring", ".lock"))]


def test_a_log_that_a_crash_left_goes_with_the_old_database_and_never_into_the_restored_one(
    start_daemon: StartDaemon,
) -> None:
    daemon = start_daemon()
    daemon.ask("create_entities", create("first"))
    path = daemon.ask("backup")["path"]
    daemon.ask("create_entities", create("second"))
    daemon.process.kill()
    daemon.process.wait(PATIENCE_S)
    assert Path(f"{daemon.db}-wal").stat().st_size
    done = enhanced_memory("restore", path, "--json", "--db", daemon.db)
    assert names_in(daemon.db) == {"first"}
    assert names_in(Path(json.loads(done.stdout)["kept"])) == {"first", "second"}


def test_a_damaged_database_is_replaced_and_kept_as_it_was(filled: Settings) -> None:
    db = Path(filled.db_path)
    made = offline.backup(filled, None, silent)
    db.write_bytes(b"no database at all" * 1000)
    Path(f"{db}-wal").write_bytes(b"nor a log")
    reply = offline.restore(filled, made["path"], False, silent)
    assert len(names_in(db)) == 40
    assert Path(reply["kept"]).read_bytes() == b"no database at all" * 1000
    assert Path(f"{reply['kept']}-wal").read_bytes() == b"nor a log"


def test_a_restore_while_the_daemon_runs_is_refused_and_names_its_process(start_daemon: StartDaemon) -> None:
    daemon = start_daemon()
    daemon.ask("create_entities", create("first"))
    path = daemon.ask("backup")["path"]
    done = enhanced_memory("restore", path, "--db", daemon.db)
    assert done.returncode == 1
    assert f"kill {daemon.process.pid}" in done.stderr
    assert daemon.ask("open_nodes", {"names": ["first"]})["entities"]


@pytest.mark.parametrize("with_digest", [True, False], ids=["with its digest", "without"])
def test_backups_that_are_cut_off_or_changed_anywhere_are_refused_and_change_nothing(
    filled: Settings, tmp_path: Path, with_digest: bool
) -> None:
    db = Path(filled.db_path)
    made = offline.backup(filled, str(tmp_path / "backup.gz"), silent)
    whole = Path(made["path"]).read_bytes()
    plain = gzip.decompress(whole)
    if not with_digest:
        Path(f"{made['path']}.sha256").unlink()
    before = everything_in(db.parent)
    chance = random.Random(8)
    spoilt = [whole[: chance.randrange(len(whole))] for _ in range(60)] + [b"", whole + b"x", whole + whole, plain]
    for place in [*range(30), *(chance.randrange(len(whole)) for _ in range(240)), *range(-8, 0)]:
        changed = bytearray(whole)
        changed[place] ^= 1 << chance.randrange(8)
        spoilt.append(bytes(changed))
    refused = 0
    for content in spoilt:
        Path(made["path"]).write_bytes(content)
        try:
            offline.restore(filled, made["path"], False, silent)
        except EnhancedMemoryError as error:
            refused += 1
            if (error.code, made["path"] in error.message) != ("corrupt", True):
                raise
            continue
        # Without the digest, bits of the compression that say nothing about what is in it may differ.
        assert not with_digest
        assert gzip.decompress(content) == plain
        shutil.rmtree(db.parent)
        for name, old in before.items():
            (db.parent / name).parent.mkdir(exist_ok=True)
            (db.parent / name).write_bytes(old)
    assert everything_in(db.parent) == before
    assert refused == len(spoilt) if with_digest else refused > len(spoilt) - 20


def packed(tmp_path: Path, content: bytes) -> str:
    path = tmp_path / "other.gz"
    path.write_bytes(gzip.compress(content))
    return str(path)


def test_files_of_others_and_of_newer_programs_are_refused(filled: Settings, tmp_path: Path) -> None:
    db = Path(filled.db_path)
    before = everything_in(db.parent)
    foreign, newer = tmp_path / "foreign.db", tmp_path / "newer.db"
    with closing(sqlite3.connect(foreign)) as connection, connection:
        connection.execute("CREATE TABLE songs (title TEXT)")
    shutil.copy(db, newer)
    with closing(sqlite3.connect(newer)) as connection, connection:
        connection.execute("PRAGMA user_version = 99")
    bomb = b"SQLite format 3\0" + (4096).to_bytes(2, "big") + bytes(10) + (2).to_bytes(4, "big") + bytes(200_000_000)
    for content, why in (
        (b"hello " * 50, "holds no SQLite database"),
        (foreign.read_bytes(), "another program"),
        (newer.read_bytes(), "newer program"),
        (bomb, "holds more"),
    ):
        with pytest.raises(EnhancedMemoryError, match=why):
            offline.restore(filled, packed(tmp_path, content), False, silent)
    with pytest.raises(EnhancedMemoryError, match="No such file"):
        offline.restore(filled, str(tmp_path / "nothing.gz"), False, silent)
    assert everything_in(db.parent) == before


def test_what_is_no_file_is_refused_and_a_database_that_is_not_packed_is_told_apart(
    filled: Settings, tmp_path: Path
) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    done = enhanced_memory("restore", str(pipe), "--db", filled.db_path)
    assert done.returncode == 1
    assert "no ordinary file" in done.stderr
    shutil.copy(filled.db_path, tmp_path / "plain.db")
    with pytest.raises(EnhancedMemoryError, match="not compressed") as refused:
        offline.restore(filled, str(tmp_path / "plain.db"), False, silent)
    assert "gzip" in (refused.value.hint or "")


def test_a_backup_with_a_damaged_memory_is_restored_only_when_that_is_said(filled: Settings) -> None:
    db = Path(filled.db_path)
    with closing(sqlite3.connect(db)) as connection, connection:
        connection.execute("UPDATE entities SET compressed_data = x'00' WHERE name = 'n3'")
    made = offline.backup(filled, None, silent)
    assert made["problems"] == 1
    with pytest.raises(EnhancedMemoryError, match=r"1 things in it are damaged.*\(n3\)"):
        offline.restore(filled, made["path"], False, silent)
    assert offline.restore(filled, made["path"], True, silent)["problems"] == 1


def test_a_drill_restores_the_newest_backup_aside_and_leaves_no_trace(filled: Settings) -> None:
    db = Path(filled.db_path)
    with pytest.raises(EnhancedMemoryError, match="no backup"):
        offline.drill(filled, None, True, silent)
    made = offline.backup(filled, None, silent)
    before = everything_in(db.parent)
    reply = offline.drill(filled, None, True, silent)
    assert reply["path"] == made["path"]
    assert reply["entities"] == reply["live"] == {"default": 40}
    assert everything_in(db.parent) == before
    Path(made["path"]).write_bytes(Path(made["path"]).read_bytes()[:-1])
    with pytest.raises(EnhancedMemoryError, match="not used"):
        offline.drill(filled, None, True, silent)


# --------------------------------------------------------------------------------------------------- the script


@pytest.fixture
def script(short_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The script in a folder of its own, with the command line of this checkout on the path."""
    folder = short_folder / "bin"
    folder.mkdir()
    program = folder / "enhanced-memory"
    start = "from enhanced_memory.cli.main import main; main()"
    program.write_text(f'#!/bin/sh\nPYTHONPATH="{ROOT}" exec "{sys.executable}" -c "{start}" "$@"\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    (short_folder / "scripts").mkdir()
    return Path(shutil.copy(ROOT / "scripts" / "backup_memory.sh", short_folder / "scripts"))


def test_the_script_backs_up_with_the_daemon_up_and_down_and_says_nothing(
    script: Path, start_daemon: StartDaemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    daemon = start_daemon()
    daemon.ask("create_entities", create("first"))
    monkeypatch.setenv("MEMORY_DB_PATH", str(daemon.db))
    monkeypatch.setenv("MEMORY_DB_SOCKET", str(daemon.socket_path))
    folder = daemon.db.parent / "backups"
    for made in (1, 2):
        done = subprocess.run([script], capture_output=True, text=True, timeout=PATIENCE_S)
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
        assert len(list(folder.glob("*.gz"))) == made
        if made == 1:
            assert daemon.end(signal.SIGTERM) == 0
    assert not daemon.socket_path.exists()
    done = subprocess.run([script, daemon.db.parent / "mine.gz"], capture_output=True, text=True, timeout=PATIENCE_S)
    assert (done.returncode, done.stderr) == (0, "")
    assert (daemon.db.parent / "mine.gz").exists()


def test_the_script_fails_with_one_sentence_when_anything_is_off(
    script: Path, filled: Settings, monkeypatch: pytest.MonkeyPatch, short_folder: Path
) -> None:
    monkeypatch.setenv("MEMORY_DB_PATH", filled.db_path)

    def sentence(*arguments: str) -> str:
        done = subprocess.run([script, *arguments], capture_output=True, text=True, timeout=PATIENCE_S)
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr.startswith("backup_memory.sh: ")
        assert done.stderr.count("\n") == 1
        return done.stderr

    assert "one file" in sentence("a", "b")
    assert "there already" in sentence(filled.db_path) or "database itself" in sentence(filled.db_path)
    with closing(sqlite3.connect(filled.db_path)) as connection, connection:
        connection.execute("UPDATE entities SET compressed_data = x'00' WHERE name = 'n3'")
    assert "1 things in the database are damaged" in sentence()
    monkeypatch.setenv("MEMORY_DB_PATH", str(short_folder / "nothing.db"))
    assert "there is no database" in sentence()
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    assert "there is no enhanced-memory" in sentence()


# ------------------------------------------------------------------------------------------------ disks, and pages


def on_disk(script: str, db: Path, socket_path: Path, **environment: str) -> Daemon:
    """A daemon that sees a disk which only it sees: `script` mounts it, in a namespace of its own."""
    command = [sys.executable, str(ROOT / "memory_db_service.py"), "--db", str(db), "--socket", str(socket_path)]
    process = subprocess.Popen(
        ["unshare", "--mount", "--map-root-user", "sh", "-ec", f'{script}\nexec "$@"', "sh", *command],
        text=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        env={**os.environ, **environment},
    )  # fmt: skip
    try:
        return Daemon(process, db, socket_path, ready_line(process))
    except BaseException:
        process.kill()
        raise


def test_a_disk_that_fills_in_the_middle_of_a_backup_keeps_no_half_of_it(short_folder: Path) -> None:
    small = short_folder / "small"
    small.mkdir()
    daemon = on_disk(
        f"mount -t tmpfs -o size=1m none {small}",
        short_folder / "m.db",
        short_folder / "s",
        MEMORY_BACKUP_DIR=str(small),
    )
    with daemon.process:
        try:
            assert daemon.ask("backup")["success"]
            for number in range(40):
                daemon.ask("create_entities", create(f"n{number}", *(os.urandom(500).hex() for _ in range(50))))
            reply = daemon.ask("backup")
            assert reply["code"] == "disk_full"
            assert str(small) in reply["error"]
            seen = Path(f"/proc/{daemon.process.pid}/root{small}")
            assert len(os.listdir(seen)) == 2
            assert daemon.ask("create_entities", create("later"))["success"]
        finally:
            daemon.process.kill()


@pytest.mark.parametrize("closed", [True, False], ids=["closed before", "killed before"])
def test_a_read_only_disk_is_read_and_told_and_writes_are_refused(
    start_daemon: StartDaemon, short_folder: Path, closed: bool
) -> None:
    folder = short_folder / "disk"
    folder.mkdir()
    first = start_daemon(db=folder / "memory.db")
    first.ask("create_entities", create("first", "zebra"))
    first.end(signal.SIGTERM if closed else signal.SIGKILL)
    read_only = f"mount --bind {folder} {folder}; mount -o remount,bind,ro {folder}"
    daemon = on_disk(read_only, folder / "memory.db", short_folder / "s")
    with daemon.process:
        try:
            assert daemon.ask("search_nodes", {"query": "zebra"})["count"] == 1
            reply = daemon.ask("create_entities", create("second"))
            assert reply["code"] == "read_only"
            assert reply["hint"]
            assert daemon.ask("verify_database")["success"]
            assert daemon.end(signal.SIGTERM) == 0
        finally:
            daemon.process.kill()
    again = start_daemon(db=folder / "memory.db")
    assert again.ask("create_entities", create("second"))["success"]


def test_a_log_that_cannot_be_read_on_a_read_only_disk_is_not_passed_over(
    start_daemon: StartDaemon, short_folder: Path
) -> None:
    folder = short_folder / "disk"
    folder.mkdir()
    first = start_daemon(db=folder / "memory.db")
    first.ask("create_entities", create("first", "zebra"))
    first.end(signal.SIGKILL)
    (folder / "memory.db-shm").unlink()
    read_only = f"mount --bind {folder} {folder}; mount -o remount,bind,ro {folder}"
    command = [sys.executable, str(ROOT / "memory_db_service.py"), "--db", str(folder / "memory.db")]
    done = subprocess.run(
        ["unshare", "--mount", "--map-root-user", "sh", "-ec", f'{read_only}\nexec "$@"', "sh", *command],
        capture_output=True, text=True, timeout=PATIENCE_S, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    assert done.returncode == 1
    assert "its log cannot be read" in done.stderr


def test_a_daemon_with_a_damaged_page_answers_reads_refuses_writes_and_says_so_in_its_log(
    start_daemon: StartDaemon, home: Path
) -> None:
    daemon = start_daemon()
    entities = [{"name": f"t{n}", "entityType": "t", "observations": [f"zebra {n}", "y" * 50]} for n in range(600)]
    assert daemon.ask("create_entities", {"entities": entities})["success"]
    assert daemon.end(signal.SIGTERM) == 0
    with closing(sqlite3.connect(daemon.db)) as connection:
        (root,) = connection.execute(
            "SELECT rootpage FROM sqlite_schema WHERE name = 'idx_requests_created'"
        ).fetchone()
    with daemon.db.open("r+b") as file:
        file.seek((root - 1) * 4096)
        file.write(os.urandom(4096))
    daemon = start_daemon()
    assert daemon.ask("search_nodes", {"query": "zebra 17"})["results"][0]["name"] == "t17"
    assert daemon.ask("create_entities", create("new"))["code"] == "read_only"
    assert "open for reading only: it fails its check" in (home / "daemon1.log").read_text()
    assert daemon.end(signal.SIGTERM) == 0


def test_a_log_that_is_missing_at_the_start_is_no_trouble(start_daemon: StartDaemon) -> None:
    daemon = start_daemon()
    daemon.ask("create_entities", create("first"))
    daemon.ask("backup")
    assert daemon.end(signal.SIGTERM) == 0
    assert not Path(f"{daemon.db}-wal").exists()
    daemon = start_daemon()
    assert daemon.ask("open_nodes", {"names": ["first"]})["entities"]
    daemon.end(signal.SIGKILL)
    Path(f"{daemon.db}-shm").unlink()
    daemon = start_daemon()
    assert daemon.ask("create_entities", create("second"))["success"]
