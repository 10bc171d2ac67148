"""The schema: made anew, and brought up from what came before."""

from __future__ import annotations

import pickle
import re
import sqlite3
import zlib
from typing import Any

import pytest

from enhanced_memory.errors import Corrupt
from enhanced_memory.store.base import Filter, Match
from enhanced_memory.store.sqlite import schema
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
            "indexes": db.execute("SELECT name, sql FROM sqlite_schema WHERE type = 'index' ORDER BY name").fetchall()
        }


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
