"""Every statement of every write fails once, and all of the write is there afterwards or nothing of it."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import pytest

from enhanced_memory.registry import operations
from enhanced_memory.service.dispatcher import MemoryDBService
from enhanced_memory.settings import Settings
from enhanced_memory.store.sqlite import connections

ANN = {"name": "Ann", "entityType": "person", "observations": ["drinks oolong tea", "lives in Graz", "plays chess"]}
BOB = {"name": "Bob", "entityType": "person", "observations": ["lives in Linz"]}
BEES = {"name": "Carl", "entityType": "person", "observations": ["keeps eleven bees on the roof"]}
KNOWS = {"from": "Ann", "to": "Bob", "relationType": "knows"}

BEFORE: tuple[tuple[str, dict[str, Any]], ...] = (
    (
        "create_entities",
        {"entities": [ANN, BOB, {**BOB, "name": "Twin"}, {**BOB, "name": "Gone"}], "check_conflicts": False},
    ),
    (
        "create_entities",
        {"entities": [{**ANN, "name": "Annie"}, BEES, {**BEES, "name": "Carla"}], "check_conflicts": False},
    ),
    ("create_relations", {"relations": [KNOWS]}),
    ("memory_branch", {"entity_name": "Ann", "branch_name": "idea"}),
    ("add_observations", {"observations": [{"entityName": "Ann", "contents": ["sings"]}], "branch": "idea"}),
    ("memory_branch", {"entity_name": "Bob", "branch_name": "spare", "checkout": False}),
    ("delete_entities", {"entityNames": ["Gone"]}),
    ("detect_conflicts", {"entity_name": "Carl"}),
    ("resolve_conflict", {"conflict_id": 1, "strategy": "merge"}),
    ("save_skill", {"name": "double", "code": "result = n * 2", "description": "twice"}),
)

WRITES: dict[str, dict[str, Any]] = {
    "create_entities": {
        "entities": [{**BOB, "observations": ["now in Wels"], "tier": "semantic"}, {**ANN, "name": "C"}]
    },
    "add_observations": {
        "observations": [{"entityName": "Ann", "contents": ["reads"]}, {"entityName": "Bob", "contents": ["runs"]}]
    },
    "update_entity": {"entityName": "Ann", "name": "Anna", "entityType": "friend", "always_include": True},
    "confirm_entities": {"entityNames": ["Ann", "Bob"]},
    "delete_entities": {"entityNames": ["Ann", "Bob"]},
    "delete_observations": {"deletions": [{"entityName": "Ann", "observations": ["sings", "plays chess"]}]},
    "create_relations": {"relations": [{**KNOWS, "relationType": "likes"}, {**KNOWS, "from": "Bob", "to": "Ann"}]},
    "delete_relations": {"relations": [KNOWS]},
    "import_graph": {
        "lines": [{"line": 1, "text": '{"type":"entity","name":"D","entityType":"t","observations":["new"]}'}]
    },
    "memory_commit": {"entity_name": "Ann", "message": "as told"},
    "memory_revert": {"entity_name": "Gone", "version": 1},
    "memory_branch": {"entity_name": "Bob", "branch_name": "other"},
    "memory_checkout": {"entity_name": "Ann", "branch_name": "main"},
    "memory_merge": {"entity_name": "Ann", "source_branch": "idea"},
    "delete_branch": {"entity_name": "Bob", "branch_name": "spare"},
    "resolve_conflict": {"conflict_data": {"entity_id": 2, "existing_id": 3, "conflict_type": "duplicate"}},
    "reopen_conflict": {"conflict_id": 1},
    "delete_skill": {"name": "double"},
    "promote_to_tier": {"entityName": "Ann", "new_tier": "semantic", "reason": "it lasts"},
}
"""One call of each operation that writes in one transaction, and what it changes."""


class Failing(connections.Connection):
    """A connection whose statement number `fails_at` fails, counted from the beginning of each transaction on."""

    fails_at = 0
    count = 0

    def execute(self, statement: str, *parameters: Any) -> sqlite3.Cursor:
        if statement.startswith("BEGIN"):
            Failing.count = 0
        if Failing.fails_at and not statement.startswith(("BEGIN", "ROLLBACK", "RELEASE", "SAVEPOINT", "PRAGMA")):
            Failing.count += 1
            if Failing.count == Failing.fails_at:
                error = sqlite3.OperationalError("disk I/O error")
                error.sqlite_errorcode = sqlite3.SQLITE_IOERR_WRITE
                raise error
        return super().execute(statement, *parameters)


def everything(path: Path) -> dict[str, list[Any]]:
    """Every row of every table that is the user's."""
    with sqlite3.connect(path) as db:
        tables = [
            row[0]
            for row in db.execute("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name")
            if row[0] not in ("search_vocabulary", "search_index", "sqlite_sequence")
        ]
        return {table: db.execute(f"SELECT * FROM {table}").fetchall() for table in tables}


def test_every_operation_that_writes_in_one_transaction_is_among_those_tried() -> None:
    purging = {"purge_entities"}
    assert {o.name for o in operations().values() if o.writes and o.transaction} - purging == set(WRITES)


PAIR = {"entity_id": 2, "existing_id": 3, "conflict_type": "duplicate"}
OTHERS = [("resolve_conflict", {"conflict_data": PAIR, "strategy": name}) for name in ("update", "branch", "ignore")]
"""Further calls, which take ways of their own."""


@pytest.mark.parametrize(("method", "params"), [*WRITES.items(), *OTHERS])
def test_whichever_statement_of_a_write_fails_all_of_it_is_there_or_nothing(
    method: str, params: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "Connection", Failing)
    path = tmp_path / "memory.db"
    service = MemoryDBService(Settings.load({"db_path": str(path)}))
    try:
        for name, given in BEFORE:
            assert service.handle_request({"method": name, "params": given})["success"]
        before = everything(path)
        for at in range(1, 1000):
            Failing.count, Failing.fails_at = 0, at
            reply = service.handle_request({"method": method, "params": params})
            Failing.fails_at = 0
            if reply["success"]:
                break
            assert reply["code"] == "internal"
            assert everything(path) == before, f"statement {at}"
        assert reply["success"]
        assert at > 2
        assert everything(path) != before
        found = service.handle_request({"method": "search_nodes", "params": {"query": "Graz"}})
        assert found["success"]
    finally:
        service.close()
