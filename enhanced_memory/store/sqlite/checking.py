"""The check of a whole database: every page, every checksum, every chain of versions, every word of the index.

Above it lie the service's upkeep programs, which give it a connection; below it the files of the tables. It only reads,
and reads one snapshot, so that what is written meanwhile is no problem.
"""

from __future__ import annotations

import sqlite3
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final

from enhanced_memory.errors import Corrupt
from enhanced_memory.store.base import Analyser, Entity
from enhanced_memory.store.sqlite.codec import Codec, CorruptBlob, checksum
from enhanced_memory.store.sqlite.connections import Connection
from enhanced_memory.store.sqlite.contents import Contents
from enhanced_memory.store.sqlite.entities import SQLiteEntities
from enhanced_memory.store.sqlite.index import FrequencyCache, SQLiteIndex
from enhanced_memory.store.sqlite.indexing import entity_and_slot, row_number
from enhanced_memory.store.sqlite.scope import Scope, reading_scope
from enhanced_memory.store.sqlite.versions import SQLiteVersions

TOLD_OF_A_KIND: Final = 50
"""Problems of one kind that are told one by one; the others are counted."""

_PAGE: Final = 500
_WORDS_IN_A_ROW: Final = 10
"""About; for the progress alone."""

_MASK: Final = (1 << 64) - 1

Progress = Callable[[int, int], None]


@dataclass
class Report:
    """What a check looked at and what it found.

    `checked`: how many of each thing. `problems`: kind, detail, and entity where one is to blame; at most
    `TOLD_OF_A_KIND` of a kind, `counts` has how many there are. `broken_indexes`: SQLite's own indexes that do not fit
    their tables. `lost_vectors`: rows of vectors that belong to nothing.
    """

    checked: dict[str, int] = field(default_factory=dict)
    problems: list[dict[str, str]] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    broken_indexes: list[str] = field(default_factory=list)
    lost_vectors: list[int] = field(default_factory=list)

    def add(self, kind: str, detail: str, entity: str | None = None) -> None:
        """Note a problem."""
        self.counts[kind] += 1
        if self.counts[kind] <= TOLD_OF_A_KIND:
            problem = {"kind": kind, "detail": detail}
            if entity is not None:
                problem["entity"] = entity
            self.problems.append(problem)


def quick_problem(connection: Connection) -> str | None:
    """The first thing wrong with the file's pages, or None: structure only, a second for a few hundred MB."""
    try:
        (found,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    except sqlite3.DatabaseError as error:
        return str(error)
    return None if found == "ok" else str(found)


def check(connection: Connection, analyser: Analyser | None, progress: Progress) -> Report:
    """Look at everything, in one read transaction. `progress` is told steps done and steps in all.

    The database must have the current schema. Without an analyser, or with another than the one that made it, the
    full-text index is not held against the words of its entities, which takes most of the time.
    """
    return _Check(connection, analyser, progress).run()


def table_counts(connection: Connection) -> dict[str, int]:
    """Rows of every table of ours."""
    tables = connection.execute(
        "SELECT name FROM sqlite_schema WHERE type = 'table' AND sql NOT LIKE 'CREATE VIRTUAL%'"
        " AND name NOT LIKE 'search!_%' ESCAPE '!' AND name NOT LIKE 'sqlite!_%' ESCAPE '!'"
    ).fetchall()
    return {name: int(connection.execute(f"SELECT count(*) FROM {name}").fetchone()[0]) for (name,) in sorted(tables)}


def living_entities(connection: Connection) -> dict[str, int]:
    """Entities that are not deleted, by namespace."""
    rows = connection.execute(
        "SELECT n.name, count(e.id) FROM namespaces n LEFT JOIN entities e"
        " ON e.namespace_id = n.id AND e.deleted_at IS NULL GROUP BY n.id ORDER BY n.id"
    )
    return dict(rows.fetchall())


class _Check:
    """One check of one database."""

    def __init__(self, connection: Connection, analyser: Analyser | None, progress: Progress) -> None:
        self._connection = connection
        self._analyser = analyser
        self._tell = progress
        self._codec = Codec()
        self._scope: Scope = reading_scope(connection, Contents(self._codec))
        self._report = Report()
        self._done = self._total = 0
        self._expected: defaultdict[int, int] = defaultdict(int)  # per entity, the sum of hashes of its index entries
        self._expected_rows = 0
        self._unknown: set[int] = set()  # entities whose words cannot be told
        self._names: dict[int, str] = {}

    def run(self) -> Report:
        self._connection.text_factory = partial(str, encoding="utf-8", errors="replace")  # a damaged text is no crash
        try:
            self._file()
            self._connection.execute("BEGIN")
            try:
                for part in (
                    self._count,
                    self._dictionaries,
                    self._references,
                    self._entities_and_versions,
                    self._branches,
                    self._index,
                    self._vectors,
                ):
                    try:
                        part()
                    except sqlite3.DatabaseError as error:
                        self._report.add("database", f"reading stopped in {part.__name__.strip('_')}: {error}")
            finally:
                self._connection.execute("ROLLBACK")
        finally:
            self._connection.text_factory = str
        self._tell(max(self._total, self._done), max(self._total, self._done))
        return self._report

    def _step(self, count: int) -> None:
        self._done += count
        self._tell(self._done, max(self._total, self._done))

    def _rows(self, statement: str, *values: object) -> Iterator[Any]:
        """The rows of a statement, some at a time."""
        cursor = self._connection.execute(statement, values)
        while part := cursor.fetchmany(_PAGE):
            yield from part

    # ---------------------------------------------------------------------------------------------------- the parts

    def _file(self) -> None:
        """SQLite's own check of pages, b-trees and indexes."""
        try:
            found = [str(row[0]) for row in self._connection.execute("PRAGMA integrity_check(1000)")]
        except sqlite3.DatabaseError as error:
            found = [str(error)]
        for line in found:
            if line == "ok":
                continue
            name = _index_of(line)
            if name is not None:
                if name not in self._report.broken_indexes:
                    self._report.broken_indexes.append(name)
                self._report.add("table index", line)
            else:
                self._report.add("database", line)

    def _count(self) -> None:
        counts = table_counts(self._connection)
        (versions,) = self._connection.execute("SELECT count(*) FROM all_versions").fetchone()
        rows = SQLiteIndex(self._scope, FrequencyCache()).rows()
        self._total = counts["entities"] + versions + rows
        self._report.checked = {
            "entities": counts["entities"],
            "versions": versions,
            "relations": counts["relations"],
            "conflicts": counts["conflicts"],
            "branches": counts["branches"],
            "index_rows": rows,
            "vectors": counts["vectors"],
        }

    def _dictionaries(self) -> None:
        """Checksums of the dictionaries; those that hold make blobs readable."""
        for number, data, digest in self._rows("SELECT id, data, checksum FROM dictionaries ORDER BY id"):
            if type(data) is not bytes or checksum(data) != digest:
                self._report.add("dictionary", f"dictionary {number} fails its checksum")
                continue
            self._codec.add_dictionary(number, data)

    def _references(self) -> None:
        """Rows that name an entity or a namespace that is not there, and relations that outlived an end."""
        kinds = {"relations": "relation", "conflicts": "conflict", "branches": "branch", "versions": "version"}
        for table, row, parent, _ in self._rows("PRAGMA foreign_key_check"):
            self._report.add(
                kinds.get(table, "reference"), f"row {row} of {table} names a row of {parent} that is gone"
            )
        for number, source, target in self._rows(
            "SELECT r.id, a.name, b.name FROM relations r JOIN entities a ON a.id = r.from_entity_id"
            " JOIN entities b ON b.id = r.to_entity_id"
            " WHERE r.deleted_at IS NULL AND (a.deleted_at IS NOT NULL OR b.deleted_at IS NOT NULL)"
        ):
            self._report.add("relation", f"relation {number}, {source} to {target}, has an end that was deleted")

    def _entities_and_versions(self) -> None:
        """Every entity, with its whole history beside it."""
        entities = SQLiteEntities(self._scope)
        seen = 0
        ids = [row[0] for row in self._rows("SELECT id FROM entities ORDER BY id")]
        for start in range(0, len(ids), _PAGE):
            page = entities.even_deleted(ids[start : start + _PAGE])
            for entity in page:
                self._entity(entity)
            seen += len(page)
            self._step(len(page))
        if seen != len(ids):
            self._report.add("entity", f"{len(ids) - seen} entities cannot be reached by their number or namespace")

    def _entity(self, entity: Entity) -> None:
        name = self._names[entity.id] = str(entity.name)
        if entity.damage is not None:
            self._report.add("entity", f"its content cannot be read: {entity.damage}", name)
            self._unknown.add(entity.id)
        else:
            if entity.stored_bytes <= 0 or len(set(entity.observations)) != len(entity.observations):
                self._report.add("entity", "its content or its sizes are not as they are written", name)
            if entity.deleted_at is None and self._analyser is not None:
                self._expect(entity, self._analyser)
        self._history(entity, name)

    def _expect(self, entity: Entity, analyser: Analyser) -> None:
        """Add up what the index must hold of an entity."""
        total = 0
        label = (("name", analyser.label(entity.name)), ("type", analyser.label(entity.entity_type)))
        total += _sum_of(row_number(entity.id, 0), label)
        for position, text in enumerate(entity.observations):
            who, body = analyser.observation(text)
            total += _sum_of(row_number(entity.id, entity.slot(position)), (("who", who), ("body", body)))
        self._expected[entity.id] = total & _MASK
        self._expected_rows += 1 + len(entity.observations)

    def _history(self, entity: Entity, name: str) -> None:
        """Parents exist, every blob holds its checksum and decodes, every delta fits the list it is applied to."""
        lengths: dict[int, int | None] = {}  # None: damaged there or before
        depths: dict[int, int] = {}
        rows = self._connection.execute(
            "SELECT version_number, parent_version, merged_version, delta_depth, compressed_data, checksum, entity_type"
            " FROM all_versions WHERE entity_id = ? ORDER BY version_number",
            (entity.id,),
        ).fetchall()
        kept_in_row = None  # the type of the current version, where its content is the entity's row
        for number, parent, merged, depth, blob, digest, kind in rows:
            problem = None
            for reference in (parent, merged):
                if reference is not None and reference not in lengths:
                    problem = f"version {number} comes from version {reference}, which is not there"
            try:
                if depth == 0:
                    lengths[number] = self._keyframe(entity, number, blob, digest)
                else:
                    before = lengths.get(parent)
                    if parent in depths and depth != depths[parent] + 1:
                        raise CorruptBlob("its place in the chain is not one behind its parent's")
                    delta = self._scope.contents.unpack_delta(blob, digest.hex())
                    lengths[number] = None if before is None else _length_after(before, delta)
            except (ValueError, TypeError, AttributeError) as error:
                lengths[number] = None
                if not (depth == 0 and blob is None and entity.damage is not None):  # told as the entity's own
                    problem = problem or f"version {number} cannot be read: {error}"
            depths[number] = depth
            if number == entity.version and depth == 0 and blob is None:
                kept_in_row = kind
            if problem:
                self._report.add("version", problem, name)
        self._step(len(rows))
        if entity.version not in lengths:
            self._report.add("version", f"its current version {entity.version} is not there", name)
        elif entity.damage is None and lengths[entity.version] is not None and kept_in_row != entity.entity_type:
            self._compare_current(entity, name)

    def _keyframe(self, entity: Entity, number: int, blob: bytes | None, digest: bytes | None) -> int:
        if blob is not None:
            if digest is None:
                raise CorruptBlob("its checksum is missing")
            return len(self._scope.contents.unpack(blob, digest.hex()).observations)
        if number != entity.version:
            raise CorruptBlob("its content is missing")
        if entity.damage is not None:
            raise CorruptBlob(entity.damage)
        return len(entity.observations)

    def _compare_current(self, entity: Entity, name: str) -> None:
        """The current version says what the entity says."""
        try:
            current = SQLiteVersions(self._scope).read(entity, entity.version)
        except Corrupt as error:
            self._report.add("version", error.message, name)
            return
        if current is None or (current.observations, current.entity_type) != (entity.observations, entity.entity_type):
            self._report.add("version", f"its current version {entity.version} says something else than it does", name)

    def _branches(self) -> None:
        """Heads and starts of branches are versions; the branch an entity is on ends at its current version."""
        for name, branch, column, number in self._rows(
            "SELECT e.name, b.name, 'head', b.head_version FROM branches b JOIN entities e ON e.id = b.entity_id"
            " WHERE NOT EXISTS"
            " (SELECT 1 FROM all_versions v WHERE v.entity_id = e.id AND v.version_number = b.head_version)"
            " UNION ALL SELECT e.name, b.name, 'start', b.created_from_version FROM branches b"
            " JOIN entities e ON e.id = b.entity_id WHERE NOT EXISTS"
            " (SELECT 1 FROM all_versions v WHERE v.entity_id = e.id AND v.version_number = b.created_from_version)"
        ):
            self._report.add("branch", f"the {column} of branch {branch}, version {number}, is not there", name)
        for name, branch, head, current in self._rows(
            "SELECT e.name, b.name, b.head_version, e.current_version FROM branches b"
            " JOIN entities e ON e.id = b.entity_id AND e.current_branch = b.name"
            " WHERE b.head_version <> e.current_version"
        ):
            detail = f"branch {branch} ends at version {head}, and the memory on it is at {current}"
            self._report.add("branch", detail, name)

    def _index(self) -> None:
        """Every entry of the full-text index against the words of its entity; every word is found when looked up.

        The index keeps no text, so both sides are added up: the hashes of all (word, row, column, place) of an entity.
        """
        row = self._connection.execute("SELECT value FROM meta WHERE key = 'analyser_version'").fetchone()
        if self._analyser is None or row is None or row[0] != str(self._analyser.version):
            return  # of another analyser's index the next start makes one of ours
        execute = self._connection.execute
        execute("CREATE VIRTUAL TABLE temp.entries USING fts5vocab ('main', 'search_index', 'instance')")
        execute("CREATE VIRTUAL TABLE temp.words USING fts5vocab ('main', 'search_index', 'row')")
        try:
            self._compare_index()
        except sqlite3.DatabaseError as error:
            self._report.add("index", f"it cannot be read: {error}")
        finally:
            with suppress(sqlite3.DatabaseError):
                execute("DROP TABLE temp.entries")
                execute("DROP TABLE temp.words")

    def _compare_index(self) -> None:
        found: defaultdict[int, int] = defaultdict(int)
        for entries, entry in enumerate(self._rows("SELECT term, doc, col, offset FROM temp.entries"), start=1):
            found[entity_and_slot(entry[1])[0]] += hash(entry)
            if entries % (_PAGE * _WORDS_IN_A_ROW) == 0:
                self._step(_PAGE)
        for number in sorted(found.keys() | self._expected.keys()):
            if number in self._unknown or found[number] & _MASK == self._expected[number]:
                continue
            if number in self._names and self._expected[number]:
                self._report.add("index", "its words in the index are not those it says", self._names[number])
            else:
                known = self._names.get(number)
                self._report.add("index", f"words of entity {number}, which is not there, are in the index", known)
        rows = self._report.checked["index_rows"]
        if not self._unknown and rows != self._expected_rows:
            self._report.add("index", f"it counts {rows} rows, and there should be {self._expected_rows}")
        for word, documents, count in self._rows("SELECT term, doc, cnt FROM temp.words"):
            looked_up = self._connection.execute("SELECT doc, cnt FROM temp.words WHERE term = ?", (word,)).fetchone()
            if looked_up != (documents, count):
                self._report.add("index", "a word that is in it is not found when it is looked up")

    def _vectors(self) -> None:
        """Vectors of observations that are there, all of one length. What they say only the model can tell."""
        sizes = Counter(dict(self._rows("SELECT length(data), count(*) FROM vectors GROUP BY 1")))
        if not sizes:
            return
        usual = sizes.most_common(1)[0][0]
        slots: dict[int, set[int]] = {}
        entities = SQLiteEntities(self._scope)
        for row, size in self._rows("SELECT row, length(data) FROM vectors ORDER BY row"):
            number, slot = entity_and_slot(row)
            if number not in slots:
                if len(slots) > _PAGE:
                    slots.clear()
                entity = entities.by_ids([number]).get(number)
                places = range(len(entity.observations)) if entity is not None else ()
                slots[number] = {entity.slot(place) for place in places} if entity is not None else set()
            if number in self._unknown:
                continue
            if slot not in slots[number]:
                self._report.add("vector", f"row {row} belongs to no observation", self._names.get(number))
            elif size != usual:
                self._report.add("vector", f"row {row} has {size} bytes, the others {usual}", self._names.get(number))
            else:
                continue
            self._report.lost_vectors.append(row)


def _sum_of(row: int, columns: Sequence[tuple[str, Sequence[str]]]) -> int:
    """The hashes of a row's entries, added up."""
    return sum(hash((word, row, column, place)) for column, words in columns for place, word in enumerate(words))


def _length_after(length: int, delta: Mapping[str, Any]) -> int:
    """How many observations there are once a delta is applied. Raises: ValueError: it does not fit."""
    remove, add, at = delta.get("remove", []), delta.get("add", []), delta.get("at")
    if not isinstance(remove, list) or not isinstance(add, list) or not all(isinstance(text, str) for text in add):
        raise ValueError("a delta of another shape")
    if any(not isinstance(place, int) or not 0 <= place < length for place in remove):
        raise ValueError("a delta that removes what is not there")
    length -= len(remove)
    if at is not None:
        if not isinstance(at, list) or len(at) != len(add):
            raise ValueError("a delta whose places do not match its additions")
        if any(not isinstance(place, int) or not 0 <= place <= length + behind for behind, place in enumerate(at)):
            raise ValueError("a delta that adds beyond the end")
    return length + len(add)


def _index_of(line: str) -> str | None:
    """The index that a line of SQLite's check complains of, or None if it complains of something else."""
    for words in ("missing from index ", "wrong # of entries in index ", "non-unique entry in index "):
        if words in line:
            return line.split(words, 1)[1].strip()
    return None
