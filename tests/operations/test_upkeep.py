"""Upkeep through the service: backups as files, the check of everything, and what a repair makes anew."""

from __future__ import annotations

import gzip
import hashlib
import os
import sqlite3
import stat
import threading
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from enhanced_memory.errors import Corrupt
from enhanced_memory.service.dispatcher import MemoryDBService
from enhanced_memory.settings import Settings
from enhanced_memory.store.sqlite.store import SQLiteStore
from tests.operations.conftest import Ask
from tests.store.conftest import Analyser

pytestmark = pytest.mark.process

Remember = Callable[..., dict[str, Any]]


@pytest.fixture
def db(service: MemoryDBService) -> Path:
    """The service's database file."""
    return Path(service.settings.db_path)


@pytest.fixture
def lived_in(ask: Ask, remember: Remember) -> None:
    """A memory with something of everything: history, branches, renames, relations, conflicts, what was deleted."""
    for number in range(30):
        remember(f"thing {number}", f"zebra number {number}", "stands in the café", "költség: 3/4 of v1.2", "!!!")
    remember("Ann", *(f"fact {number} of Ann" for number in range(40)), type_="person")
    for number in range(25):
        observed = [{"entityName": "Ann", "contents": [f"new fact {number}", f"another {number}"]}]
        ask("add_observations", observations=observed)
    gone = ["fact 3 of Ann", "new fact 7", "fact 39 of Ann"]
    ask("delete_observations", deletions=[{"entityName": "Ann", "observations": gone}])
    ask("memory_revert", entity_name="Ann", version=4)
    ask("memory_branch", entity_name="Ann", branch_name="proposal")
    ask("add_observations", observations=[{"entityName": "Ann", "contents": ["on the proposal"]}])
    ask("memory_checkout", entity_name="Ann", branch_name="main")
    ask("memory_merge", entity_name="Ann", source_branch="proposal")
    ask("update_entity", entityName="thing 1", name="renamed", entityType="renamed thing")
    ask("create_relations", relations=[{"from": "Ann", "to": f"thing {n}", "relationType": "owns"} for n in (2, 3, 4)])
    ask("delete_entities", entityNames=["thing 3", "thing 5"])
    remember("thing 5", "came back")
    ask("detect_conflicts", entity_name="thing 6")
    ask("create_entities", namespace="other", entities=[{"name": "Bo", "entityType": "p", "observations": ["x y z"]}])
    ask("purge_entities", entityNames=["thing 9"], confirm=True)


def change(db: Path, *statements: str) -> None:
    """Change the database behind the service's back."""
    with closing(sqlite3.connect(db)) as connection, connection:
        for statement in statements:
            connection.execute(statement)


def unpacked(path: str | Path, folder: Path) -> Path:
    """The database in a backup."""
    plain = folder / "unpacked.db"
    plain.write_bytes(gzip.decompress(Path(path).read_bytes()))
    return plain


# -------------------------------------------------------------------------------------------------------- backups


def test_a_backup_is_one_compressed_database_of_its_owners_alone_with_its_digest_beside_it(
    ask: Ask, lived_in: None, db: Path, tmp_path: Path
) -> None:
    reply = ask("backup")
    path = Path(reply["path"])
    assert path.parent == db.parent / "backups"
    assert stat.S_IMODE(path.stat().st_mode) == stat.S_IMODE(Path(f"{path}.sha256").stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert reply["bytes"] == path.stat().st_size
    assert reply["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    assert Path(f"{path}.sha256").read_text() == f"{reply['sha256']}  {path.name}\n"
    assert sorted(os.listdir(path.parent)) == [path.name, f"{path.name}.sha256"]
    assert reply["problems"] == 0
    with closing(sqlite3.connect(f"file:{unpacked(path, tmp_path)}?mode=ro&immutable=1", uri=True)) as copy:
        (living,) = copy.execute("SELECT count(*) FROM entities WHERE deleted_at IS NULL").fetchone()
        assert living == reply["entities"] == sum(ask("get_memory_status")["namespaces"].values())
        assert copy.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_a_backup_goes_where_it_is_told_and_replaces_nothing(
    ask: Ask, remember: Remember, db: Path, tmp_path: Path
) -> None:
    remember("Ann", "x")
    wanted = tmp_path / "elsewhere" / "mine.gz"
    wanted.parent.mkdir()
    assert ask("backup", path=str(wanted))["path"] == str(wanted)
    before = wanted.read_bytes()
    assert ask("backup", path=str(wanted))["code"] == "already_exists"
    assert wanted.read_bytes() == before
    for path in ("relative.gz", str(tmp_path / "nowhere" / "x.gz"), str(db), f"{db}-journal", f"{db}.lock"):
        assert ask("backup", path=path)["code"] == "invalid_params", path
    assert sorted(os.listdir(wanted.parent)) == ["mine.gz", "mine.gz.sha256"]
    assert ask("get_memory_status")["total_entities"] == 1


def test_two_backups_within_a_second_have_two_names(ask: Ask, remember: Remember) -> None:
    remember("Ann", "x")
    assert len({ask("backup")["path"] for _ in range(3)}) == 3


def test_backups_of_seven_days_are_kept_and_files_of_others_left_alone(ask: Ask, remember: Remember, db: Path) -> None:
    remember("Ann", "x")
    folder = db.parent / "backups"
    folder.mkdir()

    def named(days: float) -> str:
        return f"memory-{datetime.now(UTC) - timedelta(days=days):%Y%m%dT%H%M%SZ}.db.gz"

    kept = {named(-1), named(0.5), named(6.9), f"other-{named(30)}", "memory-20200101.db.gz", "memory.db.gz", "notes"}
    old = {named(7.1), named(8), named(400)}
    for name in kept | old:
        (folder / name).touch()
    (folder / f"{min(old)}.sha256").touch()
    reply = ask("backup")
    assert set(reply["deleted"]) == old
    assert set(os.listdir(folder)) == kept | {Path(reply["path"]).name, f"{Path(reply['path']).name}.sha256"}


def test_what_a_killed_backup_left_is_removed_by_the_next(ask: Ask, remember: Remember, db: Path) -> None:
    remember("Ann", "x")
    folder = db.parent / "backups"
    folder.mkdir()
    ours, dead = os.getpid(), 2**22 + 1
    for end in ("copy", "part"):
        (folder / f".memory-20260101T000000Z-{dead}.{end}").touch()
        (folder / f".memory-20260101T000000Z-{ours}.{end}").touch()
    ask("backup", path=None)
    assert {name for name in os.listdir(folder) if name.startswith(".")} == {
        f".memory-20260101T000000Z-{ours}.{end}" for end in ("copy", "part")
    }


def test_the_newest_backup_is_known_after_a_restart_wherever_it_lies(tmp_path: Path) -> None:
    settings = Settings.load({"db_path": str(tmp_path / "memory.db")})
    first = MemoryDBService(settings)
    assert first.upkeep.last_backup() is None
    assert first.handle_request({"method": "backup", "params": {"path": str(tmp_path / "x.gz")}})["success"]
    made_at = first.upkeep.last_backup()
    assert made_at is not None
    first.close()
    second = MemoryDBService(settings)
    assert second.upkeep.last_backup() == made_at
    assert second.handle_request({"method": "backup"})["success"]
    assert (second.upkeep.last_backup() or "") >= made_at[:19]
    second.close()


def test_one_damaged_memory_does_not_keep_the_others_from_being_backed_up(
    ask: Ask, remember: Remember, db: Path
) -> None:
    remember("Ann", "x")
    remember("Bo", "y")
    change(db, "UPDATE entities SET compressed_data = x'00' WHERE name = 'Bo'")
    reply = ask("backup")
    assert reply["success"]
    assert reply["problems"] == 1


def test_a_backup_and_a_check_at_once_are_refused_as_busy(service: MemoryDBService, ask: Ask) -> None:
    with service.upkeep._alone():
        assert ask("backup")["code"] == ask("verify_database")["code"] == "busy"
    assert ask("verify_database")["ok"]


def test_a_check_under_way_ends_when_the_service_is_to_end(service: MemoryDBService, lived_in: None) -> None:
    replies: list[dict[str, Any]] = []
    asking = threading.Thread(target=lambda: replies.append(service.handle_request({"method": "verify_database"})))
    asking.start()
    while service.upkeep._child is None:
        assert asking.is_alive()
    service.begin_shutdown()
    asking.join()
    assert replies[0]["code"] == "shutting_down"


# --------------------------------------------------------------------------------------------------------- checks


def test_a_memory_that_was_used_in_every_way_is_found_whole(ask: Ask, lived_in: None) -> None:
    reply = ask("verify_database")
    assert reply["problems"] == []
    assert reply["ok"]
    assert reply["repaired"] == {}
    assert reply["checked"]["entities"] == 31
    assert reply["checked"]["branches"] == 2
    assert reply["checked"]["index_rows"] > 150


DAMAGE = {
    "entity": "UPDATE entities SET compressed_data = x'0102' WHERE name = 'thing 7'",
    "entity's checksum": "UPDATE entities SET checksum = 'abc' WHERE name = 'thing 7'",
    "entity's row": "UPDATE entities SET namespace_id = 99 WHERE name = 'thing 7'",
    "version": "UPDATE versions SET compressed_data = x'00' WHERE id ="
    " (SELECT max(id) FROM versions WHERE delta_depth > 0)",
    "version's parent": "DELETE FROM versions WHERE version_number = 5 AND entity_id ="
    " (SELECT id FROM entities WHERE name = 'Ann')",
    "version that is current": "DELETE FROM versions WHERE entity_id ="
    " (SELECT id FROM entities WHERE name = 'renamed')",
    "version of several that is current": "DELETE FROM versions WHERE (entity_id, version_number) ="
    " (SELECT id, current_version FROM entities WHERE name = 'Ann')",
    "version that began it": "DELETE FROM versions WHERE version_number = 1 AND entity_id ="
    " (SELECT id FROM entities WHERE name = 'renamed')",
    "version's content": "UPDATE entities SET compressed_data = (SELECT compressed_data FROM entities WHERE name ="
    " 'thing 8'), checksum = (SELECT checksum FROM entities WHERE name = 'thing 8') WHERE name = 'Ann'",
    "branch": "UPDATE branches SET head_version = 999 WHERE name = 'proposal'",
    "branch of an entity": "UPDATE branches SET head_version = 2 WHERE name = 'main'",
    "relation": "UPDATE relations SET to_entity_id = 4711 WHERE id = (SELECT max(id) FROM relations)",
    "relation's end": "UPDATE relations SET to_entity_id = (SELECT id FROM entities WHERE deleted_at IS NOT NULL)"
    " WHERE id = (SELECT min(id) FROM relations)",
    "conflict": "INSERT INTO conflicts (entity_id, conflict_type, confidence, detected_at, namespace_id)"
    " VALUES (4711, 'update', 1, '2026', 1)",
    "dictionary": "UPDATE dictionaries SET data = x'00'",
    "index": "INSERT INTO search_index (rowid, body) VALUES (17, 'strange')",
    "index of nothing": "INSERT INTO search_index (rowid, body) VALUES (800000, 'strange')",
    "index without a row": "INSERT INTO search_index (search_index, rowid, body) VALUES ('delete', 17, 'zebra number')",
    "index that is empty": "INSERT INTO search_index (search_index) VALUES ('delete-all')",
    "vector": "INSERT INTO vectors VALUES (800000, x'0000')",
}
"""Ways to damage a database, and by their first word the kind of problem that is told."""


@pytest.mark.parametrize("damage", DAMAGE)
def test_damage_of_every_kind_is_found_and_told(ask: Ask, lived_in: None, db: Path, damage: str) -> None:
    change(db, DAMAGE[damage])
    reply = ask("verify_database")
    assert not reply["ok"]
    kind = damage.split("'")[0].split(" ")[0]
    assert reply["problem_counts"].get(kind), reply["problems"]
    assert all(each["detail"] for each in reply["problems"])
    assert sum(reply["problem_counts"].values()) >= len(reply["problems"])


def test_very_many_problems_are_counted_and_fifty_of_a_kind_told(ask: Ask, remember: Remember, db: Path) -> None:
    for number in range(70):
        remember(f"thing {number}", "x")
    change(db, "UPDATE entities SET compressed_data = x'00'")
    reply = ask("verify_database")
    assert reply["problem_counts"]["entity"] == 70
    assert sum(each["kind"] == "entity" for each in reply["problems"]) == 50


def test_what_the_check_found_is_known_until_it_is_asked_again(
    service: MemoryDBService, ask: Ask, remember: Remember, db: Path
) -> None:
    remember("Ann", "x")
    assert service.upkeep.integrity()["status"] == "ok"
    change(db, "INSERT INTO search_index (rowid, body) VALUES (800000, 'strange')")
    ask("verify_database")
    found = service.upkeep.integrity()
    assert (found["status"], found["problems"] > 0) == ("bad", True)
    assert ask("verify_database", repair=True)["ok"]
    assert service.upkeep.integrity()["status"] == "ok"


# -------------------------------------------------------------------------------------------------------- repairs


@pytest.mark.parametrize("damage", [name for name in DAMAGE if name.startswith("index")])
def test_a_damaged_index_is_made_anew_from_the_memories(ask: Ask, lived_in: None, db: Path, damage: str) -> None:
    change(db, DAMAGE[damage])
    reply = ask("verify_database", repair=True)
    assert reply["ok"], reply["problems"]
    assert reply["repaired"]["index_rows"] == reply["checked"]["index_rows"]
    assert ask("search_nodes", query="zebra number 17")["results"][0]["name"] == "thing 17"
    assert ask("search_nodes", query="strange")["count"] == 0


def test_vectors_of_nothing_are_dropped(ask: Ask, remember: Remember, db: Path) -> None:
    remember("Ann", "x")
    change(db, "INSERT INTO vectors VALUES (9, x'00000000')", "INSERT INTO vectors VALUES (800000, x'00000000')")
    reply = ask("verify_database", repair=True)
    assert reply["ok"]
    assert reply["repaired"]["vectors"] == 1
    assert reply["checked"]["vectors"] == 1


def test_an_index_of_a_table_that_lacks_a_row_is_made_anew(tmp_path: Path) -> None:
    path = tmp_path / "memory.db"
    settings = Settings.load({"db_path": str(path)})
    entity = {"name": "Ann", "entityType": "p", "observations": ["x"]}
    with closing(MemoryDBService(settings)) as service:
        service.handle_request({"method": "create_entities", "params": {"entities": [entity]}})
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("PRAGMA writable_schema = ON")
        named = "name = 'idx_renames_name'"
        row = connection.execute(f"SELECT * FROM sqlite_schema WHERE {named}").fetchone()
        connection.execute(f"DELETE FROM sqlite_schema WHERE {named}")
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("INSERT INTO renames (entity_id, old_name, created_at) VALUES (1, 'Anna', '2026')")
        connection.execute("PRAGMA writable_schema = ON")
        connection.execute("INSERT INTO sqlite_schema VALUES (?, ?, ?, ?, ?)", row)
    with closing(MemoryDBService(settings)) as service:
        found = service.handle_request({"method": "verify_database"})
        assert found["problem_counts"].keys() == {"table index"}
        repaired = service.handle_request({"method": "verify_database", "params": {"repair": True}})
        assert repaired["ok"]
        assert repaired["repaired"]["table_indexes"] == 1


def test_a_repair_never_touches_what_cannot_be_derived(ask: Ask, lived_in: None, db: Path) -> None:
    change(
        db,
        DAMAGE["index that is empty"],
        "UPDATE entities SET compressed_data = x'0102' WHERE name = 'thing 7'",
        "UPDATE versions SET compressed_data = x'00' WHERE id = (SELECT max(id) FROM versions WHERE delta_depth > 0)",
        "UPDATE branches SET head_version = 999 WHERE name = 'proposal'",
    )

    def everything() -> list[Any]:
        with closing(sqlite3.connect(db)) as connection:
            tables = ("entities", "versions", "relations", "branches", "conflicts", "renames", "checkouts")
            return [connection.execute(f"SELECT * FROM {table} ORDER BY id").fetchall() for table in tables]

    before = everything()
    reply = ask("verify_database", repair=True)
    assert not reply["ok"]
    assert set(reply["problem_counts"]) == {"entity", "version", "branch"}
    assert everything() == before
    assert ask("search_nodes", query="zebra number 17")["results"][0]["name"] == "thing 17"


def test_memories_that_change_while_the_index_is_made_anew_are_in_it_as_they_are_then(tmp_path: Path) -> None:
    settings = Settings.load({"db_path": str(tmp_path / "memory.db")})
    with closing(MemoryDBService(settings)) as service:

        def ask(method: str, **params: Any) -> dict[str, Any]:
            reply = service.handle_request({"method": method, "params": params})
            assert reply["success"], reply
            return reply

        def thing(name: str, *observations: str) -> dict[str, Any]:
            return {"name": name, "entityType": "thing", "observations": list(observations)}

        ask("create_entities", entities=[thing(f"t{n}", f"zebra {n}", "lion") for n in range(400)])
        steps: list[int] = []

        def meanwhile(done: int, total: int) -> None:
            step = len(steps)
            steps.append(done)
            assert len(steps) < 30
            for number in {max(done - 3, 0), min(done + 60, 399), 399 - step}:
                name = f"t{number}"
                if ask("open_nodes", names=[name])["missing"]:
                    ask("create_entities", entities=[thing(name, f"came back {step}")])
                elif step % 3 == 2:
                    ask("delete_entities", entityNames=[name])
                else:
                    ask("add_observations", observations=[{"entityName": name, "contents": [f"new {step}"]}])
                    ask("delete_observations", deletions=[{"entityName": name, "observations": ["lion"]}])
            ask("create_entities", entities=[thing(f"fresh {step}", f"giraffe {step}")])

        service._store.repair(index=True, table_indexes=[], vectors=[], progress=meanwhile)
        assert len(steps) > 5
        assert ask("verify_database")["problems"] == []


def test_a_start_in_the_middle_of_a_repair_makes_the_index_anew(tmp_path: Path) -> None:
    path = str(tmp_path / "memory.db")
    settings = Settings.load({"db_path": path})
    entities = [{"name": f"t{n}", "entityType": "t", "observations": [f"zebra {n}"]} for n in range(200)]
    service = MemoryDBService(settings)
    service.handle_request({"method": "create_entities", "params": {"entities": entities}})

    def stop(done: int, _total: int) -> None:
        if done > 50:
            raise InterruptedError

    with pytest.raises(InterruptedError):
        service._store.repair(index=True, table_indexes=[], vectors=[], progress=stop)
    service.close()
    with closing(MemoryDBService(settings)) as again:
        assert again.handle_request({"method": "verify_database"})["problems"] == []


# ------------------------------------------------------------------------------------------- damaged at the start


@pytest.mark.parametrize("later", [False, True], ids=["small and checked at once", "large and checked while served"])
def test_pages_of_garbage_make_a_store_that_reads_and_says_why_it_does_not_write(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, later: bool
) -> None:
    path = tmp_path / "memory.db"
    settings = Settings.load({"db_path": str(path)})
    entities = [{"name": f"t{n}", "entityType": "t", "observations": [f"zebra {n}", "x" * 60]} for n in range(900)]
    with closing(MemoryDBService(settings)) as service:
        service.handle_request({"method": "create_entities", "params": {"entities": entities}})
    whole = path.read_bytes()
    pages = len(whole) // 4096
    if later:
        monkeypatch.setattr("enhanced_memory.store.sqlite.opening.CHECKED_BEFORE_BYTES", 0)
    told = 0
    refused: list[tuple[str, str]] = []
    for page in range(2, pages, max(1, pages // 9)):
        path.write_bytes(whole[: page * 4096] + os.urandom(4096) + whole[(page + 1) * 4096 :])
        try:
            service = MemoryDBService(settings)
        except Corrupt as error:  # it held the description of the tables, without which nothing can be read
            refused.append((error.message, error.hint or ""))
            continue
        with closing(service):
            checker = service._store._checker  # type: ignore[attr-defined]
            if checker is not None:
                checker.join()
            integrity = service.upkeep.integrity()
            reply = service.handle_request({"method": "create_entities", "params": {"entities": entities[:1]}})
            if integrity["status"] == "ok":  # the page was a free one
                assert reply["success"] or reply["code"] == "corrupt", reply
                continue
            told += 1
            assert integrity["status"] == "bad"
            assert reply["code"] == "read_only"
            assert "fails its check" in reply["error"]
            assert "verify" in reply["hint"]
            for method, params in (
                ("search_nodes", {"query": "zebra 17"}),
                ("open_nodes", {"names": ["t5"]}),
                ("get_memory_status", {}),
                ("read_graph", {}),
            ):
                answer = service.handle_request({"method": method, "params": params})
                assert answer["success"] or answer["code"] == "corrupt", answer
            assert service.handle_request({"method": "verify_database"})["ok"] is False
            backup = service.handle_request({"method": "backup"})
            assert backup["code"] == "corrupt"
            assert not list((tmp_path / "backups").glob("*.gz"))
    assert told >= 6
    assert all("cannot be read" in message and "restore" in hint for message, hint in refused)


@pytest.mark.parametrize("kept", [0.5, 0.9])
def test_a_file_that_was_cut_off_is_refused_with_the_way_out(tmp_path: Path, kept: float) -> None:
    path = tmp_path / "memory.db"
    with closing(SQLiteStore(str(path), Analyser())):
        pass
    os.truncate(path, int(path.stat().st_size * kept))
    before = path.read_bytes()
    with pytest.raises(Corrupt) as refused:
        SQLiteStore(str(path), Analyser())
    assert "restore" in (refused.value.hint or "")
    assert path.read_bytes() == before


def test_threads_that_write_when_damage_is_found_are_all_answered(tmp_path: Path) -> None:
    with closing(SQLiteStore(str(tmp_path / "memory.db"), Analyser())) as store:
        barrier = threading.Barrier(5)
        failures: list[str] = []

        def write() -> None:
            barrier.wait()
            for _ in range(50):
                try:
                    store.write(lambda tx: tx.notes.put("a", "b"), "default", 10.0)
                except Exception as error:
                    failures.append(type(error).__name__)

        threads = [threading.Thread(target=write) for _ in range(4)]
        for thread in threads:
            thread.start()
        barrier.wait()
        store._read_only = "it fails its check: made up"
        for thread in threads:
            thread.join()
        assert set(failures) <= {"ReadOnly"}
        with pytest.raises(Exception, match="made up"):
            store.write(lambda tx: tx.notes.put("a", "b"), "default", 10.0)


def test_a_backup_that_was_deleted_since_is_no_backup_and_one_on_a_disk_that_is_away_is_one(
    service: MemoryDBService, ask: Any, tmp_path: Path
) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    assert ask("backup", path=str(disk / "taken along.db.gz"))["success"]
    made_at = service.upkeep.last_backup()
    assert made_at is not None
    disk.rename(tmp_path / "away")
    assert service.upkeep.last_backup() == made_at
    (tmp_path / "away").rename(disk)
    (disk / "taken along.db.gz").unlink()
    assert service.upkeep.last_backup() is None
