"""The schema: made anew, and brought up from what came before."""

from __future__ import annotations

import hashlib
import pickle
import re
import sqlite3
import zlib
from pathlib import Path
from typing import Any

import pytest

from enhanced_memory.errors import Corrupt
from enhanced_memory.store.base import Change, Filter, Match
from enhanced_memory.store.sqlite import schema
from enhanced_memory.store.sqlite.codec import checksum
from enhanced_memory.store.sqlite.dictionary import SHIPPED
from enhanced_memory.store.sqlite.store import SQLiteStore
from tests.store.conftest import Analyser

SMALL = """CREATE TABLE entities (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT UNIQUE NOT NULL,
    entity_type TEXT NOT NULL, compressed_data BLOB, created_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP)"""
"""The layout of the guide's quick start."""

FULL = """
CREATE TABLE entities (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT UNIQUE NOT NULL, entity_type TEXT NOT NULL,
    tier TEXT DEFAULT 'working', compressed_data BLOB, original_size INTEGER, compressed_size INTEGER,
    compression_ratio REAL, checksum TEXT, access_count INTEGER DEFAULT 0,
    created_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP, last_accessed TIMESTAMP DEFAULT CURRENT_TIMESTAMP,
    current_version INTEGER DEFAULT 1, current_branch TEXT DEFAULT 'main', always_include BOOLEAN DEFAULT 0,
    source_session TEXT, source_timestamp TIMESTAMP, extraction_method TEXT DEFAULT 'manual', last_confirmed TIMESTAMP,
    relevance_score REAL DEFAULT 1.0, parent_entity_id INTEGER, conflict_resolution_method TEXT);
CREATE INDEX idx_entities_name ON entities(name);
CREATE TABLE versions (id INTEGER PRIMARY KEY AUTOINCREMENT, entity_id INTEGER, version_number INTEGER,
    branch_name TEXT, compressed_data BLOB, commit_message TEXT, created_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP,
    FOREIGN KEY (entity_id) REFERENCES entities (id));
CREATE TABLE conflicts (id INTEGER PRIMARY KEY AUTOINCREMENT, entity_id INTEGER, conflicting_entity_id INTEGER,
    conflict_type TEXT NOT NULL, confidence REAL NOT NULL, suggested_action TEXT,
    resolution_status TEXT DEFAULT 'pending', detected_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP, resolved_at TIMESTAMP,
    resolution_notes TEXT, FOREIGN KEY (entity_id) REFERENCES entities (id),
    FOREIGN KEY (conflicting_entity_id) REFERENCES entities (id));
"""
"""The layout of the guide's full implementation."""

ALL = (None, None, 9)
"""To `newest`: every version there is."""

GUIDE_COLUMNS = {
    table: set(
        re.findall(r"^\s*([a-z_]+) (?:INTEGER|TEXT|BLOB|REAL|TIMESTAMP|BOOLEAN)", columns.replace(", ", ",\n"), re.M)
    )
    for table, columns in re.findall(r"CREATE TABLE (\w+) \((.*?)\);", FULL, re.S)
}


def blob(*observations: str) -> bytes:
    return zlib.compress(pickle.dumps({"observations": list(observations)}, protocol=5))


def layout(path: str) -> dict[str, Any]:
    """Every table's columns and every index of a database."""
    with sqlite3.connect(path) as db:
        tables = [row[0] for row in db.execute("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name")]
        return {table: db.execute(f"PRAGMA table_info({table})").fetchall() for table in tables} | {
            "indexes": db.execute("SELECT name, sql FROM sqlite_schema WHERE type = 'index' ORDER BY name").fetchall(),
            "views": db.execute("SELECT name, sql FROM sqlite_schema WHERE type = 'view' ORDER BY name").fetchall(),
            "virtual": db.execute("SELECT sql FROM sqlite_schema WHERE sql LIKE 'CREATE VIRTUAL%'").fetchall(),
        }


def made_by_version_2(path: str) -> None:
    """A database as schema 2 had it: one memory, whose second version added a fact, and its rows in the index."""
    told = {1: blob("Keeps bees"), 2: blob("Keeps bees", "Sells honey")}
    digest = {version: hashlib.sha256(data).hexdigest() for version, data in told.items()}
    times = {version: f"2025-03-0{version}T08:00:00.000000Z" for version in told}
    with sqlite3.connect(path) as db:
        db.executescript((Path(__file__).parent / "data" / "schema-2.sql").read_text())
        db.execute("INSERT INTO schema_migrations VALUES (2, 'made from schema.sql', ?)", (times[1],))
        db.execute("INSERT INTO meta VALUES ('analyser_version', ?)", (str(Analyser().version),))
        db.execute("INSERT INTO namespaces VALUES (1, 'default', ?)", (times[1],))
        db.execute("INSERT INTO dictionaries VALUES (1, ?, ?, 0, ?)", (SHIPPED, checksum(SHIPPED), times[1]))
        db.execute(
            "INSERT INTO entities (id, name, entity_type, compressed_data, original_size, compressed_size,"
            " compression_ratio, checksum, created_at, current_version, namespace_id, updated_at)"
            " VALUES (5, 'Wanda', 'person', ?, 45, ?, 1.0, ?, ?, 2, 1, ?)",
            (told[2], len(told[2]), digest[2], times[1], times[2]),
        )
        insert = (
            "INSERT INTO versions (id, entity_id, version_number, branch_name, compressed_data, created_at, action,"
            " parent_version, delta_depth, delta_bytes, checksum, entity_type, author, method)"
            " VALUES (?, 5, ?, 'main', ?, ?, ?, ?, 0, 0, ?, 'person', 'ann', 'manual')"
        )
        db.execute(insert, (8, 1, told[1], times[1], "created", None, bytes.fromhex(digest[1])))
        db.execute(insert, (9, 2, None, times[2], "updated", 1, None))
        rows = [(40, "wanda", "person", "", ""), (41, "", "", "", "keep bee"), (42, "", "", "", "sell honey")]
        db.executemany("INSERT INTO search_index (rowid, name, type, who, body) VALUES (?, ?, ?, ?, ?)", rows)
        db.execute("PRAGMA user_version = 2")


def open_and_close(path: str) -> None:
    SQLiteStore(path, Analyser()).close()


@pytest.mark.parametrize("old", [SMALL, FULL])
def test_an_old_database_becomes_column_by_column_what_a_new_one_is(path: str, tmp_path: Any, old: str) -> None:
    with sqlite3.connect(path) as db:
        db.executescript(old)
    open_and_close(path)
    fresh = str(tmp_path / "fresh.db")
    open_and_close(fresh)
    assert layout(path) == layout(fresh)


def test_a_database_of_version_2_becomes_column_by_column_what_a_new_one_is(path: str, tmp_path: Path) -> None:
    made_by_version_2(path)
    open_and_close(path)
    fresh = str(tmp_path / "fresh.db")
    open_and_close(fresh)
    assert layout(path) == layout(fresh)


def test_memories_of_version_2_are_found_and_have_their_history(path: str) -> None:
    made_by_version_2(path)
    store = SQLiteStore(path, Analyser())

    def look(tx: Any) -> Any:
        entity = tx.entities.find("Wanda")
        hits = {word: tx.index.best(Match(any_of=[(word,)]), Filter(), 5) for word in ("wanda", "bee", "honey")}
        told = [(v.version, v.action, v.author, v.created_at, v.observations) for v in tx.versions.newest(entity, *ALL)]
        then = tx.history.at(entity, "2025-03-01T12:00:00.000000Z").observations
        return {word: [(hit.entity_id, hit.slot) for hit in found] for word, found in hits.items()}, told, then

    found, told, then = store.read(look, "default", 5.0)

    def change(tx: Any) -> Any:
        return tx.entities.update(tx.entities.find("Wanda"), Change("updated"), observations=["Sells honey"])

    changed = store.write(change, "default", 5.0)
    after = store.read(lambda tx: [v.observations for v in tx.versions.newest(changed, *ALL)], "default", 5.0)
    store.close()
    assert found == {"wanda": [(5, 0)], "bee": [(5, 1)], "honey": [(5, 2)]}
    assert told == [
        (2, "updated", "ann", "2025-03-02T08:00:00.000000Z", ("Keeps bees", "Sells honey")),
        (1, "created", "ann", "2025-03-01T08:00:00.000000Z", ("Keeps bees",)),
    ]
    assert then == ("Keeps bees",)
    assert after == [("Sells honey",), ("Keeps bees", "Sells honey"), ("Keeps bees",)]


def test_the_guides_columns_are_all_there(path: str) -> None:
    open_and_close(path)
    found = layout(path)
    assert GUIDE_COLUMNS.keys() == {"entities", "versions", "conflicts"}
    for table, columns in GUIDE_COLUMNS.items():
        assert columns <= {column[1] for column in found[table]}


def test_memories_of_the_quick_starts_layout_are_kept_and_found(path: str) -> None:
    with sqlite3.connect(path) as db:
        db.execute(SMALL)
        db.execute(
            "INSERT INTO entities VALUES (7, 'user-preferences', 'preference', ?, '2024-05-01 10:00:00')",
            (blob("Prefers voice", "Prefers voice", "Uses parallel execution"),),
        )
    store = SQLiteStore(path, Analyser())
    entity: Any = store.read(lambda tx: tx.entities.find("user-preferences"), "default", 5.0)
    hits = store.read(lambda tx: tx.index.best(Match(any_of=[("parallel",)]), Filter(), 5), "default", 5.0)
    store.close()
    assert (entity.id, entity.observations) == (7, ("Prefers voice", "Uses parallel execution"))
    assert entity.created_at == "2024-05-01T10:00:00.000000Z"
    assert [hit.entity_id for hit in hits] == [7]


def test_versions_of_the_full_layout_are_kept_under_the_new_one(path: str) -> None:
    with sqlite3.connect(path) as db:
        db.executescript(FULL)
        db.execute(
            "INSERT INTO entities (id, name, entity_type, tier, compressed_data, access_count, always_include)"
            " VALUES (3, 'a', 't', 'semantic', ?, 5, 1)",
            (blob("new"),),
        )
        db.execute(
            "INSERT INTO versions (entity_id, version_number, branch_name, compressed_data, commit_message)"
            " VALUES (3, 1, 'main', ?, 'first')",
            (blob("old"),),
        )
    store = SQLiteStore(path, Analyser())

    def look(tx: Any) -> Any:
        entity = tx.entities.find("a")
        return entity, [tx.versions.read(entity, version).observations for version in (1, 2)]

    entity, contents = store.read(look, "default", 5.0)
    store.close()
    assert contents == [("old",), ("new",)]
    assert (entity.tier, entity.access_count, entity.always_include) == ("semantic", 5, True)


def test_a_damaged_memory_of_an_old_layout_is_kept_as_it_is_and_told(path: str) -> None:
    with sqlite3.connect(path) as db:
        db.execute(SMALL)
        db.execute("INSERT INTO entities (name, entity_type, compressed_data) VALUES ('bad', 't', x'00')")
        db.execute("INSERT INTO entities (name, entity_type, compressed_data) VALUES ('good', 't', ?)", (blob("x"),))
    store = SQLiteStore(path, Analyser())
    found = store.read(lambda tx: tx.entities.find_many(["good", "bad"]), "default", 5.0)
    store.close()
    assert found["bad"].damage is not None
    assert found["good"].observations == ("x",)


def test_a_step_that_fails_leaves_the_old_database_as_it_was(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with sqlite3.connect(path) as db:
        db.execute(SMALL)
        db.execute("INSERT INTO entities (name, entity_type, compressed_data) VALUES ('a', 't', ?)", (blob("x"),))
    before = layout(path)

    def broken(*_: object) -> None:
        raise OSError("the power went")

    monkeypatch.setattr(schema, "_adopt", broken)
    with pytest.raises(OSError, match="power"):
        SQLiteStore(path, Analyser())
    assert layout(path) == before


def test_a_database_of_a_newer_program_is_left_alone(path: str) -> None:
    with sqlite3.connect(path) as db:
        db.execute("PRAGMA user_version = 999")
    with pytest.raises(Corrupt, match="newer"):
        SQLiteStore(path, Analyser())


def test_a_file_that_is_no_database_is_left_alone(path: str) -> None:
    with open(path, "wb") as file:
        file.write(b"not a database at all, but a letter" * 100)
    with pytest.raises(Corrupt):
        SQLiteStore(path, Analyser())


def test_opening_again_changes_nothing(path: str) -> None:
    open_and_close(path)
    with sqlite3.connect(path) as db:
        before = db.execute("SELECT * FROM schema_migrations").fetchall()
    open_and_close(path)
    with sqlite3.connect(path) as db:
        assert db.execute("SELECT * FROM schema_migrations").fetchall() == before
        assert db.execute("PRAGMA user_version").fetchone() == (schema.CURRENT,)


def test_a_database_of_another_program_is_left_as_it_is(path: str) -> None:
    with sqlite3.connect(path) as db:
        db.execute("CREATE TABLE moz_places (id INTEGER)")
    db.close()
    with open(path, "rb") as file:
        before = file.read()
    with pytest.raises(Corrupt, match="another program"):
        SQLiteStore(path, Analyser())
    with open(path, "rb") as file:
        assert file.read() == before
