"""Entities: what is remembered, as it stands now.

Above it lies the store's transaction; below it contents, versions and the index queue. Every change of content goes
through here, so that the row, its version and its index rows are one.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any

from enhanced_memory.errors import Corrupt
from enhanced_memory.store.base import (
    Change,
    Details,
    Draft,
    Entity,
    Filter,
    Outline,
    Overview,
    PastVersion,
    Statistics,
    Texts,
)
from enhanced_memory.store.sqlite.codec import CorruptBlob
from enhanced_memory.store.sqlite.conflicts import settle_outdated
from enhanced_memory.store.sqlite.contents import Packed
from enhanced_memory.store.sqlite.drafts import Ready, make_ready
from enhanced_memory.store.sqlite.erasing import owe
from enhanced_memory.store.sqlite.filters import conditions, marks
from enhanced_memory.store.sqlite.indexing import label_fields, observation_fields, row_number
from enhanced_memory.store.sqlite.relations import SQLiteRelations
from enhanced_memory.store.sqlite.rows import DETAILS, OUTLINE, SELECT
from enhanced_memory.store.sqlite.scope import Scope
from enhanced_memory.store.sqlite.vectors import forget, forget_all
from enhanced_memory.store.sqlite.versions import SQLiteVersions

_BY_NAME = (
    f"{SELECT} WHERE entities.namespace_id = ?1 AND entities.name = ?2 AND entities.deleted_at IS NULL UNION ALL"
    f" {SELECT} WHERE entities.namespace_id = ?1 AND entities.name = ?2 AND entities.deleted_at IS NOT NULL"
    " AND entities.parent_entity_id IS NULL"
)
"""The entity of a name, and those deleted under it that were not merged into another: one look for both."""

_INSERT = (
    "INSERT INTO entities (namespace_id, name, entity_type, tier, compressed_data, original_size, compressed_size,"
    " compression_ratio, checksum, created_at, always_include, relevance_score, source_session, source_timestamp,"
    " extraction_method) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
_ATTRIBUTES = frozenset(
    {
        "tier",
        "always_include",
        "relevance_score",
        "source_session",
        "source_timestamp",
        "extraction_method",
        "last_confirmed",
        "conflict_resolution_method",
    }
)
_REFERENCES = {
    "versions": ("entity_id",),
    "renames": ("entity_id",),
    "checkouts": ("entity_id",),
    "branches": ("entity_id",),
    "relations": ("from_entity_id", "to_entity_id"),
    "conflicts": ("entity_id", "conflicting_entity_id"),
    "tier_transitions": ("entity_id",),
    "consolidations": ("entity_id",),
}
"""Tables and columns that name an entity; a test holds them against the schema."""

_BESIDE = """
SELECT m.id,
    (SELECT group_concat(id) FROM (
        SELECT e.id FROM entities e WHERE e.namespace_id = m.namespace_id AND e.source_session = m.source_session
        AND e.id < m.id AND e.deleted_at IS NULL ORDER BY e.id DESC LIMIT :reach)),
    (SELECT group_concat(id) FROM (
        SELECT e.id FROM entities e WHERE e.namespace_id = m.namespace_id AND e.source_session = m.source_session
        AND e.id > m.id AND e.deleted_at IS NULL ORDER BY e.id LIMIT :reach))
FROM entities m WHERE m.id IN (SELECT value FROM json_each(:ids)) AND m.source_session IS NOT NULL
"""

_CHUNK = 500


class SQLiteEntities:
    """The `entities` table of one namespace."""

    def __init__(self, scope: Scope) -> None:
        self._scope = scope
        self._versions = SQLiteVersions(scope)
        self._relations = SQLiteRelations(scope)
        self._free: tuple[str, tuple[Any, ...] | None] | None = None
        """The name `find` did not find last, with the row deleted last under it; so long as nothing is written."""

    # ------------------------------------------------------------------------------------------------------ reading

    def find(self, name: str) -> Entity | None:
        """The entity called `name`, or None."""
        rows = self._scope.connection.execute(_BY_NAME, (self._scope.namespace_id, name)).fetchall()
        if rows and rows[0][21] is None:
            return self._scope.rows.entity(rows[0])
        self._free = (name, max(rows, key=lambda row: str(row[21]), default=None))
        return None

    def names(self, beginning: str, limit: int) -> list[str]:
        """Names that begin so, letter by letter, in their order."""
        rows = self._scope.connection.execute(
            "SELECT name FROM entities WHERE namespace_id = ? AND deleted_at IS NULL AND name >= ? AND name < ?"
            " ORDER BY name LIMIT ?",
            (self._scope.namespace_id, beginning, beginning + chr(0x10FFFF), limit),
        )
        return [row[0] for row in rows]

    def find_many(self, names: Sequence[str]) -> dict[str, Entity]:
        """Those of `names` that exist, by name."""
        found: dict[str, Entity] = {}
        for start in range(0, len(names), _CHUNK):
            part = names[start : start + _CHUNK]
            statement = (
                f"{SELECT} WHERE entities.namespace_id = ? AND entities.deleted_at IS NULL"
                f" AND entities.name IN ({marks(len(part))})"
            )
            for row in self._scope.connection.execute(statement, (self._scope.namespace_id, *part)):
                found[row[2]] = self._scope.rows.entity(row)
        return found

    def by_ids(self, ids: Sequence[int]) -> dict[int, Entity]:
        """Those of `ids` that live, in whatever namespace, by number."""
        found: dict[int, Entity] = {}
        for start in range(0, len(ids), _CHUNK):
            part = ids[start : start + _CHUNK]
            statement = f"{SELECT} WHERE entities.deleted_at IS NULL AND entities.id IN ({marks(len(part))})"
            for row in self._scope.connection.execute(statement, part):
                found[row[0]] = self._scope.rows.entity(row)
        return found

    def outlines(self, ids: Sequence[int]) -> dict[int, Outline]:
        """The same in outline, read in half the time; damage that `details` sees may be overlooked."""
        rows: list[tuple[Any, ...]] = []
        for start in range(0, len(ids), _CHUNK):
            part = ids[start : start + _CHUNK]
            statement = f"{OUTLINE} WHERE deleted_at IS NULL AND id IN ({marks(len(part))})"
            rows += self._scope.connection.execute(statement, part)
        return self._scope.rows.outlines(rows, self._names_of_namespaces, self._blobs)

    def details(self, ids: Sequence[int]) -> dict[int, Details]:
        """What outlines leave out of the entities of `ids`, which live."""
        found: dict[int, Details] = {}
        for start in range(0, len(ids), _CHUNK):
            part = ids[start : start + _CHUNK]
            statement = f"{DETAILS} WHERE id IN ({marks(len(part))})"
            for row in self._scope.connection.execute(statement, part):
                found[row[0]] = self._scope.rows.details(row)
        return found

    def page(self, after: int, limit: int, entity_type: str | None = None) -> list[Entity]:
        """Up to `limit` entities numbered above `after`, in that order."""
        condition = "" if entity_type is None else " AND entities.entity_type = ?"
        values = [] if entity_type is None else [entity_type]
        rows = self._scope.connection.execute(
            f"{SELECT} WHERE +entities.namespace_id = ? AND entities.deleted_at IS NULL AND entities.id > ?{condition}"
            " ORDER BY entities.id LIMIT ?",
            (self._scope.namespace_id, after, *values, limit),
        )
        return [self._scope.rows.entity(row) for row in rows.fetchall()]

    def texts(self, after: int, limit: int, entity_type: str | None = None) -> list[Texts]:
        """The same as names and observations, which is quicker; what cannot be read says nothing. None are kept."""
        condition = "" if entity_type is None else " AND entity_type = ?"
        values = [] if entity_type is None else [entity_type]
        rows = self._scope.connection.execute(
            "SELECT id, name, compressed_data, checksum FROM entities"
            f" WHERE +namespace_id = ? AND deleted_at IS NULL AND id > ?{condition} ORDER BY id LIMIT ?",
            (self._scope.namespace_id, after, *values, limit),
        )
        found = []
        for number, name, blob, stored in rows.fetchall():
            observations: tuple[str, ...] = ()
            with suppress(CorruptBlob):
                observations = self._scope.contents.unpack_once(blob, stored).observations
            found.append(Texts(number, name, observations))
        return found

    def types(self, ids: Collection[int]) -> dict[int, str]:
        """The types of those of `ids` that live, in whatever namespace, by number."""
        statement = (
            "SELECT id, entity_type FROM entities WHERE deleted_at IS NULL AND id IN (SELECT value FROM json_each(?))"
        )
        return dict(self._scope.connection.execute(statement, (json.dumps([*ids]),)))

    def count(self, entity_type: str | None = None) -> int:
        """How many there are."""
        condition = "" if entity_type is None else " AND entity_type = ?"
        values = [] if entity_type is None else [entity_type]
        statement = f"SELECT count(*) FROM entities WHERE namespace_id = ? AND deleted_at IS NULL{condition}"
        return int(self._scope.connection.execute(statement, (self._scope.namespace_id, *values)).fetchone()[0])

    def beside(self, ids: Sequence[int], reach: int) -> dict[int, list[int]]:
        """Per entity of `ids` that is of a session, those around it there, by number: up to `reach` on either side."""
        rows = self._scope.connection.execute(_BESIDE, {"ids": json.dumps(ids), "reach": reach}) if ids else ()
        return {
            number: sorted([number, *(int(each) for part in parts if part for each in part.split(","))])
            for number, *parts in rows
        }

    def recent(self, wanted: Filter, limit: int, offset: int = 0) -> list[Entity]:
        """Entities most recently used first."""
        parts, values = conditions(self._scope, wanted)
        wanted_by = f"SELECT entities.id FROM entities WHERE {' AND '.join(parts)}"
        # A plus keeps SQLite from an index: pins are few and have one of their own, but all else is best walked by
        # number from the newest on, since an index on the namespace would have it sort every entity.
        newest, number = wanted_by, "+entities.id"
        if not wanted.pinned:
            newest, number = wanted_by.replace("entities.namespace_id IN", "+entities.namespace_id IN"), "entities.id"
        deepest = limit + offset
        rows = self._scope.connection.execute(
            f"{SELECT} WHERE entities.id IN ("
            f" SELECT * FROM ({wanted_by} AND last_accessed IS NOT NULL ORDER BY last_accessed DESC LIMIT ?)"
            f" UNION ALL SELECT * FROM ({newest} AND last_accessed IS NULL ORDER BY {number} DESC LIMIT ?))"
            " ORDER BY coalesce(last_accessed, entities.created_at) DESC, entities.id DESC LIMIT ? OFFSET ?",
            (*values, deepest, *values, deepest, limit, offset),
        )
        return [self._scope.rows.entity(row) for row in rows.fetchall()]

    def find_even_deleted(self, name: str) -> Entity | None:
        """The entity called `name`, else the one deleted last under it, else the one last renamed from it, or None."""
        row = self._scope.connection.execute(
            "SELECT id FROM entities WHERE namespace_id = ? AND name = ?"
            " ORDER BY deleted_at IS NULL DESC, deleted_at DESC LIMIT 1",
            (self._scope.namespace_id, name),
        ).fetchone()
        row = (
            row
            or self._scope.connection.execute(
                "SELECT entities.id FROM renames JOIN entities ON entities.id = renames.entity_id"
                " WHERE namespace_id = ? AND old_name = ? ORDER BY renames.id DESC LIMIT 1",
                (self._scope.namespace_id, name),
            ).fetchone()
        )
        return None if row is None else self._by_id(row[0])

    def even_deleted(self, ids: Sequence[int]) -> list[Entity]:
        """The entities of these numbers, deleted or not, in the order of their numbers."""
        found: list[Entity] = []
        wanted = sorted(set(ids))
        for start in range(0, len(wanted), _CHUNK):
            part = wanted[start : start + _CHUNK]
            statement = f"{SELECT} WHERE entities.id IN ({marks(len(part))}) ORDER BY entities.id"
            found += [self._scope.rows.entity(row) for row in self._scope.connection.execute(statement, part)]
        return found

    def count_accesses(self, ids: Iterable[int]) -> None:
        """Note that these were read; it is written later, together with others."""
        self._scope.count_accesses(ids)

    # ------------------------------------------------------------------------------------------------------ writing

    def create(self, draft: Draft, change: Change) -> Entity:
        """A new entity with its next version. The name must be free; one deleted under it comes back anew."""
        deleted = self._deleted(draft.name)
        if deleted is not None:
            return self._recreate(deleted, draft, change)
        scope = self._scope
        ready = self._ready(draft)
        packed = ready.packed
        number = scope.connection.execute(
            _INSERT,
            (
                scope.own_namespace(),
                draft.name,
                draft.entity_type,
                draft.tier,
                packed.blob,
                packed.original_bytes,
                len(packed.blob),
                len(packed.blob) / packed.original_bytes,
                packed.checksum,
                scope.now,
                draft.always_include,
                draft.relevance_score,
                draft.source_session,
                draft.source_timestamp,
                draft.extraction_method,
            ),
        ).lastrowid
        assert number is not None
        self._versions.begin(number, change)
        for slot, fields in enumerate(ready.fields):
            scope.index_queue.insert(row_number(number, slot), fields)
        scope.signs.expect(number)
        return Entity(
            id=number,
            namespace=scope.namespace,
            name=draft.name,
            entity_type=draft.entity_type,
            observations=tuple(draft.observations),
            tier=draft.tier,
            always_include=draft.always_include,
            relevance_score=draft.relevance_score,
            source_session=draft.source_session,
            source_timestamp=draft.source_timestamp,
            extraction_method=draft.extraction_method,
            last_confirmed=None,
            access_count=0,
            created_at=scope.now,
            updated_at=scope.now,
            last_accessed=scope.now,
            version=1,
            branch="main",
            original_bytes=packed.original_bytes,
            stored_bytes=len(packed.blob),
            checksum=packed.checksum,
        )

    def update(
        self,
        entity: Entity,
        change: Change,
        *,
        name: str | None = None,
        entity_type: str | None = None,
        observations: Sequence[str] | None = None,
        attributes: Mapping[str, Any] | None = None,
        anyway: bool = False,
        merged: int | None = None,
    ) -> Entity:
        """The entity changed. A change of name, type or observations appends a version; `attributes` do not."""
        wanted = {key: value for key, value in (attributes or {}).items() if getattr(entity, key) != value}
        _refuse_unknown(wanted, _ATTRIBUTES)
        name = entity.name if name is None else name
        entity_type = entity.entity_type if entity_type is None else entity_type
        contents = entity.observations if observations is None else tuple(observations)
        new_content = (name, entity_type, contents) != (entity.name, entity.entity_type, entity.observations)
        if new_content or anyway:
            _refuse_damaged(entity)
            packed = self._index_difference(entity, name, entity_type, contents)
            if change.action == "reverted" or not set(entity.observations) <= set(contents):
                self._settle_conflicts(entity, contents)
            number = self._versions.append(entity, change, entity_type, contents, len(packed.blob), merged)
            wanted |= {**_content_columns(packed, number), "name": name, "entity_type": entity_type}
        if name != entity.name:
            self._rename(entity)
        if "tier" in wanted:
            self._log_transition(entity, wanted["tier"], change.message)
        if not wanted:
            return entity
        wanted["updated_at"] = self._scope.now
        self._set(entity.id, wanted)
        return self._by_id(entity.id)

    def delete(self, entity: Entity, change: Change) -> None:
        """Take the entity and its relations out of every read and search; the history stays."""
        number = self._versions.append(entity, change, entity.entity_type, entity.observations, entity.stored_bytes)
        self._unindex(entity)
        self._relations.end_all(entity.id)
        now = self._scope.now
        self._set(entity.id, {"current_version": number, "deleted_at": now, "updated_at": now})

    def restore(self, entity: Entity, change: Change, entity_type: str, observations: Sequence[str]) -> Entity:
        """A deleted entity brought back with this content, under its name, which must be free."""
        packed = self._scope.contents.pack(observations, None)
        number = self._versions.append(entity, change, entity_type, observations, len(packed.blob))
        columns = {**_content_columns(packed, number), "entity_type": entity_type, "updated_at": self._scope.now}
        columns |= {"deleted_at": None, "parent_entity_id": None, "conflict_resolution_method": None}
        self._set(entity.id, columns)
        self._index(entity.id, entity.name, entity_type, observations)
        self._settle_conflicts(entity, observations)
        return self._by_id(entity.id)

    def merge_away(self, entity: Entity, change: Change, into: Entity, method: str) -> Entity:
        """Delete the entity as part of another one, which becomes its parent; returns it as it is then."""
        self.delete(entity, change)
        self._set(entity.id, {"parent_entity_id": into.id, "conflict_resolution_method": method})
        return self._by_id(entity.id)

    def rewind(self, entity: Entity, change: Change, tip: PastVersion, attributes: Mapping[str, Any]) -> Entity:
        """Make an earlier version the newest of the branch that reads see; a deleted entity comes back with it."""
        _refuse_damaged(entity)
        _refuse_unknown(attributes, _ATTRIBUTES | {"updated_at"})
        left = self._versions.read(entity, entity.version)
        if left is None:
            raise ValueError(f"entity {entity.id} has no version {entity.version}")
        self._versions.settle(entity)
        self._versions.append_aside(entity, left, entity.branch, change, tip.entity_type, tip.observations)
        if entity.deleted_at is None:
            packed = self._index_difference(entity, entity.name, tip.entity_type, tip.observations)
        else:
            slots = entity.slots if entity.observations == tip.observations else None
            packed = self._scope.contents.pack(tip.observations, slots)
            self._index(entity.id, entity.name, tip.entity_type, tip.observations, slots)
        self._settle_conflicts(entity, tip.observations)
        self._see(entity, entity.branch, tip.version)
        self._versions.set_head(entity.id, entity.branch, tip.version)
        columns = {
            **_content_columns(packed, tip.version),
            "entity_type": tip.entity_type,
            "updated_at": self._scope.now,
        }
        self._set(entity.id, {**columns, "deleted_at": None, "parent_entity_id": None, **attributes})
        return self._by_id(entity.id)

    def check_out(self, entity: Entity, branch: str, tip: PastVersion) -> Entity:
        """Make reads and searches see another branch, whose newest version is `tip`."""
        _refuse_damaged(entity)
        self._versions.settle(entity)
        packed = self._index_difference(entity, entity.name, tip.entity_type, tip.observations)
        self._settle_conflicts(entity, tip.observations)
        self._see(entity, branch, tip.version)
        columns = {**_content_columns(packed, tip.version), "entity_type": tip.entity_type}
        self._set(entity.id, {**columns, "current_branch": branch, "updated_at": self._scope.now})
        return self._by_id(entity.id)

    def purge(self, entity: Entity) -> list[str]:
        """Erase the entity with its history, relations, conflicts and index rows, for good; returns what it held."""
        self._free = None
        texts = {entity.name, *entity.observations, *self._versions.texts(entity)}
        if entity.deleted_at is None:
            self._unindex(entity)
        forget_all(self._scope, entity.id)
        self._erase_traces(entity)
        for table, columns in _REFERENCES.items():
            for column in columns:
                self._scope.connection.execute(f"DELETE FROM {table} WHERE {column} = ?", (entity.id,))
        self._scope.connection.execute(
            "UPDATE entities SET parent_entity_id = NULL WHERE parent_entity_id = ?", (entity.id,)
        )
        self._scope.connection.execute("DELETE FROM entities WHERE id = ?", (entity.id,))
        owe(self._scope.connection)
        return sorted(texts)

    def index_anew(self, entity: Entity) -> None:
        """Put an entity that the index does not know into it."""
        self._index(entity.id, entity.name, entity.entity_type, entity.observations, entity.slots)

    def write_accesses(self, counts: Mapping[int, int]) -> None:
        """Add gathered accesses to their entities."""
        self._scope.connection.executemany(
            "UPDATE entities SET access_count = access_count + ?, last_accessed = ? WHERE id = ?",
            [(count, self._scope.now, number) for number, count in counts.items()],
        )

    # --------------------------------------------------------------------------------------------------- statistics

    def overview(self) -> Overview:
        """Figures of all namespaces together, in milliseconds."""
        entities, first, newest = self._scope.connection.execute(
            "SELECT (SELECT count(*) FROM entities WHERE deleted_at IS NULL),"
            " (SELECT created_at FROM entities ORDER BY id LIMIT 1),"
            " (SELECT max(created_at) FROM (SELECT * FROM (SELECT created_at FROM entities ORDER BY id DESC LIMIT 1)"
            " UNION ALL SELECT * FROM (SELECT coalesce(v.created_at, e.created_at) FROM versions v"
            " JOIN entities e ON e.id = v.entity_id ORDER BY v.id DESC LIMIT 1)))"
        ).fetchone()
        return Overview(entities, first, newest)

    def statistics(self) -> Statistics:
        """Figures for the status report."""
        execute = self._scope.connection.execute
        number = (self._scope.namespace_id,)
        live = "FROM entities WHERE namespace_id = ? AND deleted_at IS NULL"
        by_namespace = dict(
            execute(
                "SELECT name, (SELECT count(*) FROM entities WHERE namespace_id = namespaces.id AND deleted_at IS NULL)"
                " FROM namespaces ORDER BY id"
            ).fetchall()
        )
        # Rows in the order of an index are all over the file: most of them are read faster as they lie.
        most = 2 * by_namespace.get(self._scope.namespace, 0) > sum(by_namespace.values())
        whole = live.replace("entities", "entities NOT INDEXED") if most else live
        entities, original, stored, pinned, extracted = execute(
            "SELECT count(*), coalesce(sum(original_size), 0), coalesce(sum(compressed_size), 0),"
            f" coalesce(sum(always_include), 0), coalesce(sum(extraction_method = 'auto'), 0) {whole}",
            number,
        ).fetchone()
        tiers = {"working": 0, "episodic": 0, "semantic": 0, "procedural": 0}
        tiers.update(execute(f"SELECT tier, count(*) {live} AND tier <> 'working' GROUP BY tier", number).fetchall())
        tiers["working"] = entities - sum(tiers.values())
        (deleted,) = execute(f"SELECT count(*) {live.replace('IS NULL', 'IS NOT NULL')}", number).fetchone()
        (later_versions,) = execute(  # the first ones need no counting: every entity has one
            "SELECT count(*) FROM versions WHERE version_number > 1 AND ((SELECT min(id) = ?1 AND max(id) = ?1"
            " FROM namespaces) OR entity_id IN (SELECT id FROM entities WHERE namespace_id = ?1))",
            number,
        ).fetchone()
        (extra_branches,) = execute(
            "SELECT count(*) FROM branches b JOIN entities e ON e.id = b.entity_id"
            " WHERE e.namespace_id = ? AND e.deleted_at IS NULL AND b.name <> 'main'",
            number,
        ).fetchone()
        (relations,) = execute(
            "SELECT count(*) FROM relations WHERE namespace_id = ? AND deleted_at IS NULL", number
        ).fetchone()
        (pending,) = execute(
            "SELECT count(*) FROM conflicts c JOIN entities a ON a.id = c.entity_id"
            " JOIN entities b ON b.id = c.conflicting_entity_id WHERE c.namespace_id = ?"
            " AND c.resolution_status = 'pending' AND a.deleted_at IS NULL AND b.deleted_at IS NULL",
            number,
        ).fetchone()
        (pages,), (page_bytes,) = execute("PRAGMA page_count").fetchone(), execute("PRAGMA page_size").fetchone()
        return Statistics(
            entities=entities,
            relations=relations,
            by_type=dict(  # of one that another program wrote as bytes its hexadecimal digits
                execute(
                    "SELECT iif(typeof(entity_type) = 'blob', hex(entity_type), entity_type), count(*)"
                    f" {live} GROUP BY entity_type ORDER BY 2 DESC, 1",
                    number,
                )
            ),
            by_tier=tiers,
            original_bytes=original,
            stored_bytes=stored,
            versions=entities + deleted + later_versions,
            branches=entities + extra_branches,
            pending_conflicts=pending,
            pinned=pinned,
            auto_extracted=extracted,
            store_bytes=pages * page_bytes,
            namespaces=by_namespace,
        )

    # ------------------------------------------------------------------------------------------------------ helpers

    def _names_of_namespaces(self) -> dict[int, str]:
        return dict(self._scope.connection.execute("SELECT id, name FROM namespaces"))

    def _blobs(self, ids: Sequence[int]) -> dict[int, Any]:
        """The stored bytes of these entities."""
        found: dict[int, Any] = {}
        for start in range(0, len(ids), _CHUNK):
            part = ids[start : start + _CHUNK]
            statement = f"SELECT id, compressed_data FROM entities WHERE id IN ({marks(len(part))})"
            found.update(self._scope.connection.execute(statement, part))
        return found

    def _by_id(self, number: int) -> Entity:
        """The entity of that number, deleted or not; it must be there."""
        row = self._scope.connection.execute(f"{SELECT} WHERE entities.id = ?", (number,)).fetchone()
        return self._scope.rows.entity(row)

    def _deleted(self, name: str) -> Entity | None:
        """The entity deleted last under that name, unless it was merged into another."""
        if self._free is None or self._free[0] != name:
            self.find(name)
        free, self._free = self._free, None
        return None if free is None or free[1] is None else self._scope.rows.entity(free[1])

    def _ready(self, draft: Draft) -> Ready:
        """The draft made ready, if it was and is the same, or else now."""
        contents = self._scope.contents
        ready = self._scope.ready.get(draft.name)
        if (
            ready is None
            or ready.dictionary != contents.dictionary  # a purge may have dropped the one it was made with
            or (ready.entity_type, ready.observations) != (draft.entity_type, draft.observations)
        ):
            ready = make_ready(draft, contents, self._scope.analyser)
        return ready

    def _recreate(self, deleted: Entity, draft: Draft, change: Change) -> Entity:
        """A deleted entity begun anew: its history goes on, all else is as for a new one."""
        _refuse_damaged(deleted)
        packed = self._scope.contents.pack(draft.observations, None)
        number = self._versions.append(deleted, change, draft.entity_type, draft.observations, len(packed.blob))
        self._set(
            deleted.id,
            {
                **_content_columns(packed, number),
                "entity_type": draft.entity_type,
                "tier": draft.tier,
                "always_include": draft.always_include,
                "relevance_score": draft.relevance_score,
                "source_session": draft.source_session,
                "source_timestamp": draft.source_timestamp,
                "extraction_method": draft.extraction_method,
                "last_confirmed": None,
                "access_count": 0,
                "created_at": self._scope.now,
                "updated_at": self._scope.now,
                "last_accessed": self._scope.now,
                "deleted_at": None,
            },
        )
        self._index(deleted.id, draft.name, draft.entity_type, draft.observations)
        return self._by_id(deleted.id)

    def _index_difference(self, entity: Entity, name: str, entity_type: str, observations: Sequence[str]) -> Packed:
        """Bring the entity's index rows to what it is to be; returns the new content as it is to be stored."""
        if (name, entity_type) != (entity.name, entity.entity_type):
            self._delete_label(entity)
            self._insert_label(entity.id, name, entity_type)
        known = len(entity.observations)
        if entity.slots is None and observations[:known] == entity.observations:  # the common case: something came
            for place, text in enumerate(observations[known:], start=known + 1):
                self._insert_observation(entity.id, place, text)
            return self._scope.contents.pack(observations, None)
        old_slots = entity.slots or range(1, len(entity.observations) + 1)
        places = dict(zip(entity.observations, old_slots, strict=True))
        wanted = set(observations)
        for place, text in enumerate(entity.observations):
            if text not in wanted:
                self._delete_observation(entity, place, text)
        taken = {slot for text, slot in places.items() if text in wanted}
        slots = []
        free = max(taken, default=0) if len(taken) == max(taken, default=0) else 0
        for text in observations:
            slot = places.get(text)
            if slot is None:
                free += 1
                while free in taken:
                    free += 1
                slot = free
                taken.add(slot)
                self._insert_observation(entity.id, slot, text)
            slots.append(slot)
        in_order = slots == list(range(1, len(slots) + 1))
        return self._scope.contents.pack(observations, None if in_order else slots)

    def _index(
        self,
        number: int,
        name: str,
        entity_type: str,
        observations: Sequence[str],
        slots: Sequence[int] | None = None,
    ) -> None:
        """All index rows of an entity that has none."""
        self._insert_label(number, name, entity_type)
        for slot, text in zip(slots or range(1, len(observations) + 1), observations, strict=True):
            self._insert_observation(number, slot, text)

    def _unindex(self, entity: Entity) -> None:
        """Take the entity's rows out of the index.

        Those of a damaged one cannot be told any more; searches pass over the rows of entities that are gone.
        """
        self._delete_label(entity)
        for place, text in enumerate(entity.observations):
            self._delete_observation(entity, place, text)
        forget_all(self._scope, entity.id)

    def _settle_conflicts(self, entity: Entity, contents: Sequence[str]) -> None:
        settle_outdated(self._scope, entity, contents, self._by_id)

    def _see(self, entity: Entity, branch: str, version: int) -> None:
        """Note which branch reads see from now on, and its newest version."""
        self._scope.connection.execute(
            "INSERT INTO checkouts (entity_id, branch_name, version_number, created_at) VALUES (?, ?, ?, ?)",
            (entity.id, branch, version, self._scope.now),
        )

    def _erase_traces(self, entity: Entity) -> None:
        """Erase what undone resolutions left of the entity in the history of others, unless something builds on it.

        Of others, all that undone resolutions left goes: what one merged in is also in what was merged in after it.
        """
        own = self._traces(entity.id)
        others = {owner for owner, _ in own} - {entity.id}
        traces = {trace for other in others for trace in self._traces(other) if trace[0] == other}
        for owner, version in sorted(traces, reverse=True):
            self._scope.connection.execute(
                "DELETE FROM versions WHERE entity_id = :owner AND version_number = :version"
                " AND NOT EXISTS (SELECT 1 FROM versions v WHERE v.entity_id = :owner"
                " AND (v.parent_version = :version OR v.merged_version = :version))"
                " AND NOT EXISTS (SELECT 1 FROM branches WHERE branches.entity_id = :owner"
                " AND (head_version = :version OR created_from_version = :version))",
                {"owner": owner, "version": version},
            )

    def _traces(self, entity_id: int) -> set[tuple[int, int]]:
        """Entities and versions that undone resolutions of the entity's conflicts left on no branch."""
        rows = self._scope.connection.execute(
            "SELECT undo FROM conflicts WHERE undo IS NOT NULL AND (entity_id = ? OR conflicting_entity_id = ?)",
            (entity_id, entity_id),
        )
        return {(trace[0], trace[1]) for (undo,) in rows for trace in json.loads(undo).get("traces", ())}

    def _rename(self, entity: Entity) -> None:
        self._scope.connection.execute(
            "INSERT INTO renames (entity_id, old_name, created_at) VALUES (?, ?, ?)",
            (entity.id, entity.name, self._scope.now),
        )

    def _log_transition(self, entity: Entity, tier: str, reason: str | None) -> None:
        self._scope.connection.execute(
            "INSERT INTO tier_transitions (entity_id, from_tier, to_tier, reason, created_at) VALUES (?, ?, ?, ?, ?)",
            (entity.id, entity.tier, tier, reason, self._scope.now),
        )

    def _insert_label(self, number: int, name: str, entity_type: str) -> None:
        self._scope.index_queue.insert(row_number(number, 0), label_fields(self._scope.analyser, name, entity_type))

    def _delete_label(self, entity: Entity) -> None:
        self._scope.index_queue.delete(
            row_number(entity.id, 0), label_fields(self._scope.analyser, entity.name, entity.entity_type)
        )

    def _insert_observation(self, number: int, slot: int, text: str) -> None:
        self._scope.index_queue.insert(row_number(number, slot), observation_fields(self._scope.analyser, text))
        self._scope.signs.expect(number)

    def _delete_observation(self, entity: Entity, place: int, text: str) -> None:
        slot = place + 1 if entity.slots is None else entity.slots[place]
        self._scope.index_queue.delete(row_number(entity.id, slot), observation_fields(self._scope.analyser, text))
        forget(self._scope, entity.id, slot)

    def _set(self, number: int, columns: Mapping[str, Any]) -> None:
        self._free = None
        assignments = ", ".join(f"{column} = ?" for column in columns)
        self._scope.connection.execute(f"UPDATE entities SET {assignments} WHERE id = ?", (*columns.values(), number))


def _content_columns(packed: Packed, version: int) -> dict[str, Any]:
    """The columns of the entities row that hold its content."""
    return {
        "compressed_data": packed.blob,
        "original_size": packed.original_bytes,
        "compressed_size": len(packed.blob),
        "compression_ratio": len(packed.blob) / packed.original_bytes,
        "checksum": packed.checksum,
        "current_version": version,
    }


def _refuse_unknown(attributes: Iterable[str], known: frozenset[str]) -> None:
    unknown = set(attributes) - known
    if unknown:
        raise ValueError(f"no attributes of an entity: {sorted(unknown)}")


def _refuse_damaged(entity: Entity) -> None:
    """Raises: Corrupt: the entity's content cannot be read, so it cannot be changed."""
    if entity.damage is not None:
        raise Corrupt(
            f"{entity.name!r} cannot be read: {entity.damage}",
            hint="delete it, then memory_revert brings back a version that can be read; other memories are untouched",
            details={"entity": entity.name},
        )
