"""The schema: made anew from schema.sql, or brought up from an older one by numbered steps.

Above it lies the store. Each step runs in one transaction with its record; `PRAGMA user_version` tells where a
database stands. Version 1 is the layout of the implementation guide, with or without its later columns.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable
from importlib import resources
from typing import Any

from enhanced_memory.errors import Corrupt
from enhanced_memory.store.base import Change
from enhanced_memory.store.sqlite.codec import CorruptBlob, checksum
from enhanced_memory.store.sqlite.connections import Connection
from enhanced_memory.store.sqlite.dictionary import SHIPPED
from enhanced_memory.store.sqlite.scope import Scope
from enhanced_memory.store.sqlite.stamps import as_stamp
from enhanced_memory.store.sqlite.versions import SQLiteVersions

CURRENT = 3
"""The schema this program works with."""

_GUIDE_COLUMNS = {"id", "name", "entity_type", "compressed_data", "created_at"}
"""What the smallest layout of the guide has."""

SHIPPED_DICTIONARY = 1
"""Number of the dictionary that every database starts with."""


def statements() -> str:
    """The text of schema.sql."""
    return resources.files(__package__).joinpath("schema.sql").read_text(encoding="utf-8")


def prepare(connection: Connection, scope_of: Callable[[str], Scope]) -> None:
    """Bring the database to the current schema; `scope_of` gives the scope of a namespace.

    Raises: Corrupt: it was made by a newer program, or is no database of ours.
    """
    version = known_version(connection)
    while version < CURRENT:
        connection.execute("BEGIN IMMEDIATE")
        try:
            if version == 0:
                version, description = CURRENT, "made from schema.sql"
                _make(connection, scope_of("default").now)
            elif version == 1:
                version, description = CURRENT, _from_guide(connection, scope_of)
            else:
                version, description = version + 1, _STEPS[version + 1](connection, scope_of)
            connection.execute(
                "INSERT INTO schema_migrations (version, description, applied_at) VALUES (?, ?, ?)",
                (version, description, scope_of("default").now),
            )
            connection.execute(f"PRAGMA user_version = {version}")
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise


def known_version(connection: Connection) -> int:
    """Where the database stands. Raises: Corrupt: it was made by a newer program, or is no database of ours."""
    refuse_foreign(connection)
    version = _version(connection)
    if version > CURRENT:
        raise Corrupt(
            f"the database has schema {version}, made by a newer program; this one knows {CURRENT}",
            hint="update enhanced-memory, or name another database",
        )
    return version


def _version(connection: Connection) -> int:
    """Where the database stands: 0 empty, 1 the guide's layout, else its own word."""
    version = int(connection.execute("PRAGMA user_version").fetchone()[0])
    return 1 if version == 0 and _tables(connection) else version


def refuse_foreign(connection: Connection) -> None:
    """Raises: Corrupt: the file is a database, but of another program. Changes nothing in it."""
    if _tables(connection) and not set(_columns(connection, "entities")) >= _GUIDE_COLUMNS:
        raise Corrupt("the database file belongs to another program", hint="name another file with --db")


def _tables(connection: Connection) -> int:
    return int(connection.execute("SELECT count(*) FROM sqlite_schema WHERE type = 'table'").fetchone()[0])


def _make(connection: Connection, now: str) -> None:
    """All tables, and the dictionary every database starts with."""
    for statement in _split(statements()):
        connection.execute(statement)
    connection.execute(
        "INSERT INTO dictionaries (id, data, checksum, created_at) VALUES (?, ?, ?, ?)",
        (SHIPPED_DICTIONARY, SHIPPED, checksum(SHIPPED), now),
    )


def _split(script: str) -> list[str]:
    """The statements of a script; executescript would commit the transaction they belong to."""
    found, text = [], ""
    for line in script.splitlines():
        text += line.split("--")[0] + "\n"
        if sqlite3.complete_statement(text):
            found.append(text)
            text = ""
    return found


def _columns(connection: Connection, table: str) -> list[str]:
    return [row[1] for row in connection.execute(f"PRAGMA table_info({table})")]


# --------------------------------------------------------------------------------------------------------- the steps


def _from_guide(connection: Connection, scope_of: Callable[[str], Scope]) -> str:
    """Version 1 to the current one: the guide's tables, which keep their rows and numbers, in today's shape.

    Its conflicts had no evidence to keep and are found again; content that cannot be read is kept as it is.
    """
    old = {}
    for table in ("entities", "versions", "conflicts"):
        columns = _columns(connection, table)
        if columns:
            selected = ", ".join(columns)
            rows = connection.execute(f"SELECT {selected} FROM {table} ORDER BY id").fetchall()
            old[table] = [dict(zip(columns, row, strict=True)) for row in rows]
    for table in reversed(list(old)):
        connection.execute(f"DROP TABLE {table}")
    scope = scope_of("default")
    _make(connection, scope.now)
    for row in old["entities"]:
        _adopt(connection, scope, row, [v for v in old.get("versions", []) if v["entity_id"] == row["id"]])
    connection.execute("INSERT INTO meta (key, value) VALUES ('analyser_version', '0')")  # the index is made after this
    return "took over the guide's tables"


def _adopt(connection: Connection, scope: Scope, row: dict[str, Any], versions: list[dict[str, Any]]) -> None:
    """One entity of the guide's layout, with its versions as keyframes and its content as the version after them."""
    blob = row["compressed_data"] or b""
    try:
        unpacked = scope.contents.unpack(blob, checksum(blob))
        observations = list(dict.fromkeys(text for text in unpacked.observations if text.strip()))
        packed = scope.contents.pack(observations, None)
        stored, size, digest = packed.blob, packed.original_bytes, packed.checksum
    except CorruptBlob:
        observations, stored, size, digest = [], blob, max(len(blob), 1), checksum(blob)
    created = _time(row["created_at"], scope.now)
    used = _time(row.get("last_accessed"), created)
    connection.execute(
        "INSERT INTO entities (id, namespace_id, name, entity_type, tier, compressed_data, original_size,"
        " compressed_size, compression_ratio, checksum, access_count, created_at, updated_at, last_accessed,"
        " always_include, relevance_score, source_session, source_timestamp, extraction_method, last_confirmed,"
        " current_version) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            row["id"],
            scope.own_namespace(),
            row["name"],
            row["entity_type"],
            row.get("tier") or "working",
            stored,
            size,
            len(stored),
            len(stored) / size,
            digest,
            row.get("access_count") or 0,
            created,
            scope.now,
            used,
            bool(row.get("always_include")),
            1.0 if row.get("relevance_score") is None else row["relevance_score"],
            row.get("source_session"),
            row.get("source_timestamp"),
            row.get("extraction_method") or "manual",
            row.get("last_confirmed") and _time(row["last_confirmed"], scope.now),
            len(versions) + 1,
        ),
    )
    for number, past in enumerate(versions, start=1):
        data = past["compressed_data"] or b""
        connection.execute(
            "INSERT INTO versions (entity_id, version_number, branch_name, compressed_data, commit_message, created_at,"
            " action, parent_version, delta_depth, delta_bytes, checksum, entity_type)"
            " VALUES (?, ?, 'main', ?, ?, ?, 'updated', ?, 0, 0, ?, ?)",
            (
                row["id"],
                number,
                data,
                past["commit_message"],
                _time(past["created_at"], created),
                number - 1 or None,
                bytes.fromhex(checksum(data)),
                row["entity_type"],
            ),
        )
    SQLiteVersions(scope).take_over(
        row["id"],
        len(versions) + 1,
        row["entity_type"],
        Change("created", "taken over from the guide's layout", method="import"),
    )


def _time(text: str | None, otherwise: str) -> str:
    """The guide's times (SQLite's CURRENT_TIMESTAMP, UTC without saying so) as ours."""
    return as_stamp(text) or otherwise


_THIRD = (
    "ALTER TABLE conflicts ADD COLUMN strategy TEXT",
    "ALTER TABLE conflicts ADD COLUMN undo TEXT",
    "CREATE INDEX idx_transitions_run ON tier_transitions (run_id, entity_id) WHERE run_id IS NOT NULL",
    "CREATE TABLE curation_runs (run_id TEXT PRIMARY KEY, namespace_id INTEGER NOT NULL REFERENCES namespaces (id),"
    " author TEXT, began_at TIMESTAMP NOT NULL, ended_at TIMESTAMP, undone_at TIMESTAMP) WITHOUT ROWID",
    "CREATE TABLE consolidations (id INTEGER PRIMARY KEY, run_id TEXT NOT NULL REFERENCES curation_runs (run_id),"
    " entity_id INTEGER NOT NULL REFERENCES entities (id), before_version INTEGER, after_version INTEGER NOT NULL,"
    " before_score REAL NOT NULL, after_score REAL NOT NULL, added TEXT NOT NULL, sources TEXT NOT NULL,"
    " undone_at TIMESTAMP)",
    "CREATE INDEX idx_consolidations_run ON consolidations (run_id)",
    "CREATE INDEX idx_consolidations_entity ON consolidations (entity_id)",
    "ALTER TABLE conflicts ADD COLUMN run TEXT",
    "CREATE INDEX idx_conflicts_run ON conflicts (run) WHERE run IS NOT NULL",
)
"""What version 3 adds."""


def _to_third(connection: Connection, _: Callable[[str], Scope]) -> str:
    """Version 2 to 3: resolutions and curations that can be undone, an index without lengths, leaner versions."""
    for statement in _THIRD:
        connection.execute(statement)
    _make_anew(connection, "search_vocabulary", "search_index")  # its rows are made after this
    connection.execute("UPDATE meta SET value = '0' WHERE key = 'analyser_version'")
    connection.execute("ALTER TABLE versions RENAME TO versions_before")
    connection.execute("DROP INDEX idx_versions_entity")
    _make_anew(connection, "versions")
    columns = ", ".join(_columns(connection, "versions"))
    connection.execute(f"INSERT INTO versions ({columns}) SELECT {columns} FROM versions_before ORDER BY id")
    connection.execute("DROP TABLE versions_before")
    _make_anew(connection, "all_versions")
    return "resolutions and curations that can be undone; a smaller index"


def _make_anew(connection: Connection, *tables: str) -> None:
    """Drop these tables, where they are, and make them, or views, as schema.sql has them, with their indexes."""
    for table in tables:
        connection.execute(f"DROP TABLE IF EXISTS {table}")
    made = re.compile(rf"\s*CREATE (VIRTUAL )?(TABLE|VIEW|.*INDEX \w+ ON) ({'|'.join(tables)})\b")
    for statement in _split(statements()):
        if made.match(statement):
            connection.execute(statement)


_STEPS: dict[int, Callable[[Connection, Callable[[str], Scope]], str]] = {3: _to_third}
"""The step that leads to each schema, from the one before; it returns what it did, for the record."""
