"""The Store protocol: what operations may ask of a store, whatever engine is behind it.

Above it lie the operations and the service; beside it `sqlite/`, the engine at hand. Nothing here knows requests or
ranking, nothing above knows SQL. Names of tables, files and connections do not appear.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

T = TypeVar("T")


class Analyser(Protocol):
    """Turns text into the words that are indexed; given to the store, which knows no language."""

    version: int
    """Changes when the same text would give other words; the index is then made anew."""

    def label(self, text: str) -> Sequence[str]:
        """Words of a name or a type."""

    def observation(self, text: str) -> tuple[Sequence[str], Sequence[str]]:
        """Words of who an observation is about, and of what it says."""


@dataclass(frozen=True, slots=True)
class Entity:
    """A memory as it stands. Times are UTC ISO 8601; `stored_bytes` and `original_bytes` are those of the content."""

    id: int
    namespace: str
    name: str
    entity_type: str
    observations: tuple[str, ...]
    tier: str
    always_include: bool
    relevance_score: float
    source_session: str | None
    source_timestamp: str | None
    extraction_method: str
    last_confirmed: str | None
    access_count: int
    created_at: str
    updated_at: str
    last_accessed: str
    version: int
    branch: str
    original_bytes: int
    stored_bytes: int
    checksum: str
    deleted_at: str | None = None
    parent_entity_id: int | None = None
    """The entity it was merged into, if it was."""
    slots: tuple[int, ...] | None = None
    """Places of the observations in the index, in their order; None is 1, 2, 3, …"""
    damage: str | None = None
    """Why the stored content cannot be read, or None; with damage, `observations` is empty."""

    @property
    def saved(self) -> float:
        """Share of the content's bytes that compression saves: 0 none, towards 1 all. Over compact JSON."""
        return max(0.0, 1 - self.stored_bytes / self.original_bytes) if self.original_bytes else 0.0

    def slot(self, position: int) -> int:
        """The place in the index of the observation at `position`."""
        return position + 1 if self.slots is None else self.slots[position]

    def position(self, slot: int) -> int | None:
        """Where the observation indexed at `slot` stands in `observations`, or None if it is no longer there."""
        if self.slots is None:
            return slot - 1 if 1 <= slot <= len(self.observations) else None
        try:
            return self.slots.index(slot)
        except ValueError:
            return None


@dataclass(frozen=True, slots=True)
class Draft:
    """A new entity before it has a number."""

    name: str
    entity_type: str
    observations: Sequence[str]
    tier: str = "working"
    always_include: bool = False
    relevance_score: float = 1.0
    source_session: str | None = None
    source_timestamp: str | None = None
    extraction_method: str = "manual"


@dataclass(frozen=True, slots=True)
class Change:
    """Provenance of a version: what was done, why, by whom, from which conversation, how."""

    action: str
    message: str | None = None
    author: str | None = None
    session: str | None = None
    method: str | None = None


@dataclass(frozen=True, slots=True)
class Edge:
    """A relation between two entities, by name. `strength` is 0..1."""

    source: str
    target: str
    relation_type: str
    strength: float | None = None
    metadata: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class PastVersion:
    """One version of an entity, whole: what it said, and where it came from."""

    version: int
    branch: str
    parent: int | None
    merged: int | None
    action: str
    message: str | None
    author: str | None
    session: str | None
    method: str | None
    created_at: str
    name: str
    entity_type: str
    observations: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Branch:
    """A line of versions of one entity: its newest version, and the one it began at."""

    name: str
    head: int
    created_from: int
    description: str | None
    created_at: str


@dataclass(frozen=True, slots=True)
class ChangeNote:
    """One change of a namespace: a version of an entity, or with `edge` the making or ending of a relation.

    `place` orders changes and names this one: time, kind, number.
    """

    place: tuple[str, str, int]
    name: str
    version: int | None
    branch: str | None
    action: str
    message: str | None
    author: str | None
    edge: Edge | None


@dataclass(frozen=True, slots=True)
class Match:
    """What the index is asked: rows with any of `any_of`, or with all of `all_of`; `helpful` only add to the rank.

    Each is a sequence of phrases, a phrase a sequence of words that follow one another. The words in `labels` are
    looked for in names, types and speakers alone.
    """

    any_of: Sequence[Sequence[str]] = ()
    all_of: Sequence[Sequence[str]] = ()
    helpful: Sequence[Sequence[str]] = ()
    labels: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Frequency:
    """In how many indexed rows a word occurs: at all, and as speaker or subject."""

    rows: int
    who: int


@dataclass(frozen=True, slots=True)
class Filter:
    """Which entities count: of any of these namespaces (none: the transaction's), types (none: all) and tiers.

    `pinned` lets only pinned ones through. `since` and `until` bound `updated_at`, the one inclusive, the other not.
    """

    namespaces: Sequence[str] = ()
    entity_types: Sequence[str] = ()
    tiers: Sequence[str] = ()
    pinned: bool = False
    since: str | None = None
    until: str | None = None


@dataclass(frozen=True, slots=True)
class Hit:
    """An indexed row that matched: the entity, the place (0 is name and type), and its score, higher is better."""

    entity_id: int
    slot: int
    score: float


@dataclass(frozen=True, slots=True)
class Finding:
    """A conflict between two entities; `confidence` is 0..1, `evidence` plain data, one dict a pair of observations."""

    entity: str
    entity_id: int
    other: str
    other_id: int
    kind: str
    confidence: float
    action: str
    evidence: Sequence[Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Statistics:
    """Figures of one namespace, and of the whole store where the name says so."""

    entities: int
    relations: int
    by_type: Mapping[str, int]
    by_tier: Mapping[str, int]
    original_bytes: int
    stored_bytes: int
    versions: int
    branches: int
    pending_conflicts: int
    pinned: int
    auto_extracted: int
    store_bytes: int
    namespaces: Mapping[str, int] = field(default_factory=dict)


class Entities(Protocol):
    """The entities of the transaction's namespace; deleted ones are not seen unless a method says so."""

    def find(self, name: str) -> Entity | None:
        """The entity called `name`, or None."""

    def find_many(self, names: Sequence[str]) -> dict[str, Entity]:
        """Those of `names` that exist, by name."""

    def names(self, beginning: str, limit: int) -> list[str]:
        """Names that begin so, letter by letter, in their order."""

    def by_ids(self, ids: Sequence[int]) -> dict[int, Entity]:
        """Those of `ids` that live, in whatever namespace, by number."""

    def page(self, after: int, limit: int, entity_type: str | None = None) -> list[Entity]:
        """Up to `limit` entities numbered above `after`, in that order."""

    def count(self, entity_type: str | None = None) -> int:
        """How many there are."""

    def beside(self, ids: Sequence[int], reach: int) -> list[list[int]]:
        """Per entity of `ids`, the entities around it in its session, by number: up to `reach` on either side."""

    def recent(self, wanted: Filter, limit: int, offset: int = 0) -> list[Entity]:
        """Entities most recently used first."""

    def create(self, draft: Draft, change: Change) -> Entity:
        """A new entity with its next version. The name must be free; one deleted under it comes back anew."""

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
        """The entity changed. A change of name, type or observations appends a version; `attributes` do not.

        `anyway` appends one even if nothing changed; `merged` is the version that was merged in.
        `attributes` may hold tier, always_include, relevance_score, source_session, source_timestamp,
        extraction_method and last_confirmed.
        """

    def delete(self, entity: Entity, change: Change) -> None:
        """Take the entity and its relations out of every read and search; the history stays."""

    def find_even_deleted(self, name: str) -> Entity | None:
        """The entity called `name`, else the one deleted last under it, else the one last renamed from it, or None."""

    def even_deleted(self, ids: Sequence[int]) -> list[Entity]:
        """The entities of these numbers, deleted or not, in the order of their numbers."""

    def restore(self, entity: Entity, change: Change, entity_type: str, observations: Sequence[str]) -> Entity:
        """A deleted entity brought back with this content, under its name, which must be free."""

    def check_out(self, entity: Entity, branch: str, tip: PastVersion) -> Entity:
        """Make reads and searches see another branch, whose newest version is `tip`."""

    def purge(self, entity: Entity) -> list[str]:
        """Erase the entity with its history, relations, conflicts and index rows, for good.

        Returns every text it held, in any version, so that copies elsewhere can be found.
        """

    def count_accesses(self, ids: Iterable[int]) -> None:
        """Note that these were read; it is written later, together with others."""

    def statistics(self) -> Statistics:
        """Figures for the status report."""


class Relations(Protocol):
    """The live relations of the transaction's namespace."""

    def create(self, edge: Edge, source_id: int, target_id: int) -> bool:
        """Make the relation; False if there is one of this type between the two already."""

    def delete(self, source_id: int, target_id: int, relation_type: str) -> bool:
        """End the relation; False if there is none."""

    def between(self, source_id: int, target_id: int, relation_type: str) -> Edge | None:
        """The relation, or None."""

    def touching(self, ids: Sequence[int], limit: int) -> list[Edge]:
        """Relations with at least one end among `ids`, oldest first."""

    def links(self, ids: Sequence[int], limit: int) -> list[tuple[int, int, Edge]]:
        """Relations with at least one end among `ids`, oldest first, with the numbers of their ends."""

    def leaving(self, ids: Sequence[int]) -> list[Edge]:
        """Relations that start at one of `ids`, oldest first."""

    def restore(self, entity_id: int, ended_at: str) -> tuple[list[Edge], list[Edge]]:
        """Make the relations again that ended with the entity's deletion; those made, and those whose end is gone."""

    def page(self, after: int, limit: int) -> list[tuple[int, Edge]]:
        """Up to `limit` relations numbered above `after`, with their numbers."""


class Versions(Protocol):
    """The history of entities."""

    def read(self, entity: Entity, version: int) -> PastVersion | None:
        """That version of the entity, whole, or None. Raises: Corrupt: its stored bytes fail their check."""

    def newest(self, entity: Entity, head: int | None, below: int | None, limit: int) -> list[PastVersion]:
        """Up to `limit` versions numbered under `below`, newest first: all, or those that led to `head`."""

    def ancestors(self, entity: Entity, version: int) -> set[int]:
        """The versions that `version` came from by parents and merges, itself among them."""

    def append_aside(
        self,
        entity: Entity,
        tip: PastVersion,
        branch: str,
        change: Change,
        entity_type: str,
        observations: Sequence[str],
        merged: int | None = None,
    ) -> int:
        """The next version on a branch the entity is not on, on top of `tip`; what reads see stays as it is."""


class Branches(Protocol):
    """Lines of versions beside one another, of which reads and searches see one."""

    def all(self, entity: Entity) -> list[Branch]:
        """The entity's branches, oldest first."""

    def head(self, entity: Entity, name: str) -> int | None:
        """The newest version of a branch, or None if the entity has no such branch."""

    def having(self, name: str, limit: int) -> list[int]:
        """Up to `limit` living entities of the namespace that have a branch of this name, the newest branches first."""

    def create(self, entity: Entity, name: str, from_version: int, description: str | None) -> None:
        """A new branch that starts at a version."""

    def delete(self, entity: Entity, name: str) -> None:
        """Drop a branch's name; its versions stay in the history."""


class History(Protocol):
    """What stood at an instant, and what changed between two."""

    def named_at(self, names: Sequence[str], instant: str) -> dict[str, Entity]:
        """Those of `names` that stood at the instant, with what they said, by the name they had then."""

    def page_at(self, instant: str, after: int, limit: int, entity_type: str | None) -> list[Entity]:
        """Up to `limit` entities numbered above `after` that stood at the instant, as they were then."""

    def count_at(self, instant: str, entity_type: str | None) -> int:
        """How many entities stood at the instant."""

    def relations_at(self, instant: str, ids: Sequence[int], *, leaving: bool) -> list[Edge]:
        """Relations that stood at the instant and start at one of `ids`, or, without `leaving`, touch one."""

    def changes(self, since: str, until: str, after: tuple[str, str, int] | None, limit: int) -> list[ChangeNote]:
        """Up to `limit` changes from `since` on and before `until`, in order, behind the one called `after`."""


class Index(Protocol):
    """Full text over names, types and observations."""

    def frequencies(self, words: Sequence[str]) -> dict[str, Frequency]:
        """How often each word occurs; an estimate that may be a minute old."""

    def words_from(self, beginning: str, limit: int, *, in_names: bool) -> list[str]:
        """Up to `limit` indexed words that begin so, `in_names` only words of names."""

    def rows(self) -> int:
        """How many rows the index holds, about."""

    def best(self, match: Match, wanted: Filter, limit: int) -> list[Hit]:
        """The `limit` best rows, best first; for `all_of`, the newest that match, unranked."""


@dataclass(frozen=True, slots=True)
class Unembedded:
    """An observation that has no vector yet: its entity, its place in the index, and what it says."""

    entity_id: int
    slot: int
    text: str


class Vectors(Protocol):
    """What observations mean: a vector each, of length 1, as little-endian numbers of 16 bits. Of all namespaces."""

    def begin(self, model: str, dimensions: int, changed: Callable[[], None]) -> None:
        """Vectors of this model are wanted from now on; those of another are dropped. For a write.

        `changed` is called whenever an entity gets observations, before they are committed.
        Before `begin`, `nearest` finds nothing and `put` keeps nothing.
        """

    def missing(self, after: int, limit: int) -> tuple[list[Unembedded], int | None]:
        """Those without vectors among the `limit` entities numbered above `after`, and the last of these, if any."""

    def missing_of(self, ids: Iterable[int]) -> list[Unembedded]:
        """Those without vectors of these entities."""

    def take_changed(self, limit: int) -> list[int]:
        """Up to `limit` entities that got observations since they were last taken. For a write."""

    def put(self, made: Sequence[tuple[Unembedded, bytes]]) -> None:
        """Keep vectors; one whose observation is no longer there, or says something else by now, is dropped."""

    def count(self) -> int:
        """How many observations have vectors."""

    def nearest(self, vector: bytes, wanted: Filter, limit: int) -> list[Hit]:
        """The `limit` observations that mean most nearly the same, best first; the score is the cosine, -1..1.

        It may find fewer: of very many, only the best thousand are told apart.
        """

    def likeness(self, vector: bytes, places: Sequence[tuple[int, int]]) -> list[float | None]:
        """The cosine, -1..1, for each (entity, place in the index); None for one that has no vector yet."""


class Conflicts(Protocol):
    """Conflicts that were found, each pair and kind once."""

    def record(self, finding: Finding) -> int:
        """Keep a finding as pending; its number, or that of the one kept for this pair and kind already."""

    def page(self, status: str, after: int, limit: int) -> list[tuple[int, Finding]]:
        """Up to `limit` conflicts of a status numbered above `after`, whose entities both live."""


class Requests(Protocol):
    """First replies to writes that carried a request id."""

    def recall(self, request_id: str) -> tuple[str, str] | None:
        """Fingerprint and reply (JSON text) of the write with this id within the last hour, or None."""

    def remember(self, request_id: str, fingerprint: str, reply: str) -> None:
        """Keep the reply of the write that this transaction is."""

    def forget(self, texts: Sequence[str]) -> None:
        """Drop the kept replies that tell any of these texts: they are to be erased."""


class Transaction(Protocol):
    """One consistent view of a namespace; in a write, all of its changes happen or none."""

    namespace: str
    now: str

    @property
    def entities(self) -> Entities:
        """What is remembered."""

    @property
    def relations(self) -> Relations:
        """How entities hang together."""

    @property
    def versions(self) -> Versions:
        """The history of entities."""

    @property
    def branches(self) -> Branches:
        """Lines of versions beside one another."""

    @property
    def history(self) -> History:
        """What stood at an instant."""

    @property
    def index(self) -> Index:
        """Full text."""

    @property
    def vectors(self) -> Vectors:
        """Meaning."""

    @property
    def conflicts(self) -> Conflicts:
        """Conflicts that were found."""

    @property
    def requests(self) -> Requests:
        """First replies to writes that carried a request id."""


class Store(Protocol):
    """A store: runs functions in transactions. Safe for many threads."""

    def write(self, work: Callable[[Transaction], T], namespace: str, timeout_s: float) -> T:
        """Run `work` alone, and return what it returned once it is safe on disk.

        What `work` raises takes back its changes only. Raises: Busy, TimedOut, ShuttingDown, ReadOnly, DiskFull.
        """

    def read(self, work: Callable[[Transaction], T], namespace: str, timeout_s: float) -> T:
        """Run `work` on a snapshot; it waits for no writer. Raises: Busy, TimedOut, Corrupt."""

    def scrub(self, texts: Sequence[str], timeout_s: float) -> None:
        """Overwrite what was erased, these texts, wherever they may still lie; takes long."""

    def gauges(self) -> Mapping[str, int]:
        """Figures of the engine: queue_depth, commits, committed_requests."""

    def close(self) -> None:
        """Finish what was begun, write what was gathered, and let go of the files."""
