"""The Store protocol: what operations may ask of a store, whatever engine is behind it.

Above it lie the operations and the service; beside it `sqlite/`, the engine at hand. Nothing here knows requests or
ranking, nothing above knows SQL. Names of tables, files and connections do not appear.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple, Protocol, TypeVar

T = TypeVar("T")


class Analyser(Protocol):
    """Turns text into the words that are indexed; given to the store, which knows no language."""

    version: int
    """Changes when the same text would give other words; the index is then made anew."""

    def label(self, text: str) -> Sequence[str]:
        """Words of a name or a type."""

    def observation(self, text: str) -> tuple[Sequence[str], Sequence[str]]:
        """Words of who an observation is about, and of what it says."""


class Helpers(Protocol):
    """Processes beside ours that have the same database open for reading; given to the store by whoever runs them."""

    def begin(self, task: str, data: Any, timeout_s: float, *, patiently: bool = False) -> Callable[[], Any] | None:
        """Have one that is idle do a task of the store's own, within `timeout_s` seconds; `data` is JSON data.

        With `patiently` it is one that has nothing else to do, and gives way to whatever somebody waits for.
        What is returned waits for what came of it, None if nothing did; call it once. None: none is idle.
        Raises: ValueError: it is no JSON data.
        """


class _Placed:
    """What has observations, each with a place in the index."""

    __slots__ = ()

    observations: tuple[str, ...]
    slots: tuple[int, ...] | None

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
class Entity(_Placed):
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
    conflict_resolution_method: str | None = None
    """The strategy of the resolution that set it back or took it away, if one did."""
    slots: tuple[int, ...] | None = None
    """Places of the observations in the index, in their order; None is 1, 2, 3, …"""
    damage: str | None = None
    """Why the stored content cannot be read, or None; with damage, `observations` is empty."""

    @property
    def saved(self) -> float:
        """Share of the content's bytes that compression saves: 0 none, towards 1 all. Over compact JSON."""
        return max(0.0, 1 - self.stored_bytes / self.original_bytes) if self.original_bytes else 0.0


@dataclass(slots=True, eq=False)
class Outline(_Placed):
    """What a search judges an entity by: the same object again for as long as none of it changes.

    `reading` is for whoever judges it: what they made of it, kept as long as the outline itself.
    """

    id: int
    namespace: str
    name: str
    entity_type: str
    observations: tuple[str, ...]
    tier: str
    always_include: bool
    relevance_score: float
    source_session: str | None
    last_confirmed: str | None
    created_at: str
    updated_at: str
    slots: tuple[int, ...] | None = None
    damage: str | None = None
    reading: Any = None


class Details(NamedTuple):
    """What is told of an entity beside its outline; `damage` is what reading it whole would find."""

    version: int
    branch: str
    access_count: int
    last_accessed: str
    damage: str | None


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
class Link:
    """A relation by number, with the numbers of its ends; `ended_at` is None while it lives."""

    number: int
    source_id: int
    target_id: int
    edge: Edge
    ended_at: str | None


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
    looked for in names, types and speakers alone. `newest` asks for the newest rows instead of the best, as `all_of`
    always does.
    """

    any_of: Sequence[Sequence[str]] = ()
    all_of: Sequence[Sequence[str]] = ()
    helpful: Sequence[Sequence[str]] = ()
    labels: frozenset[str] = frozenset()
    newest: bool = False


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


class Hit(NamedTuple):
    """An indexed row that matched: the entity, the place (0 is name and type), and its score, higher is better."""

    entity_id: int
    slot: int
    score: float


NO_LONGER_SAID: Final = "outdated"
"""Strategy of a conflict that settled itself: one of its entities says nothing of its evidence any more."""


@dataclass(frozen=True, slots=True)
class Resolution:
    """What was decided about a conflict: `status` is resolved or ignored.

    `undo` is plain data of whoever resolved it, by which it is undone: numbers, times and marks, no memory's text.
    """

    status: str
    strategy: str
    resolved_at: str
    notes: str | None
    undo: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Finding:
    """A conflict between two entities; `confidence` is 0..1, `evidence` plain data, one dict a pair of observations.

    `resolution` is None while it is pending.
    """

    entity: str
    entity_id: int
    other: str
    other_id: int
    kind: str
    confidence: float
    action: str
    evidence: Sequence[Mapping[str, Any]]
    resolution: Resolution | None = None


@dataclass(frozen=True, slots=True)
class Skill:
    """One version of a kept procedure, and how its runs went; `total_ms` is of all of them, failed ones too."""

    id: int
    name: str
    version: int
    description: str
    code: str
    tags: tuple[str, ...]
    created_at: str
    run_count: int
    success_count: int
    total_ms: float
    last_error: str | None


@dataclass(frozen=True, slots=True)
class Transition:
    """One move of an entity from tier to tier; `run_id` names the curation that did it, or that was undone."""

    id: int
    entity_id: int
    name: str
    from_tier: str
    to_tier: str
    reason: str | None
    run_id: str | None
    created_at: str


@dataclass(frozen=True, slots=True)
class Aging:
    """What tells how an entity ages, without its content."""

    id: int
    name: str
    entity_type: str
    tier: str
    always_include: bool
    relevance_score: float
    last_confirmed: str | None
    access_count: int
    created_at: str
    last_accessed: str


@dataclass(frozen=True, slots=True)
class Texts:
    """What an entity says, and its name."""

    entity_id: int
    name: str
    observations: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Said:
    """What an entity says, and the places of that in the index (None is 1, 2, 3, …)."""

    entity_id: int
    observations: tuple[str, ...]
    slots: tuple[int, ...] | None


@dataclass(frozen=True, slots=True)
class Move:
    """An entity that is to go from tier to tier."""

    entity_id: int
    from_tier: str
    to_tier: str
    reason: str


@dataclass(frozen=True, slots=True)
class Moved:
    """What a curation did to an entity's tier, all its moves together.

    `last` is the number of its last transition by the curation; `newest` and `newest_run` are those of the last one by
    anybody.
    """

    entity_id: int
    name: str
    from_tier: str
    to_tier: str
    last: int
    newest: int
    newest_run: str | None
    lives: bool


@dataclass(frozen=True, slots=True)
class Run:
    """A curation: of which namespace, when it began and ended, and when it was undone."""

    run_id: str
    namespace: str
    author: str | None
    began_at: str
    ended_at: str | None
    undone_at: str | None


@dataclass(frozen=True, slots=True)
class Consolidation:
    """What one write of a curation did to a semantic entity: made it (`before_version` is None) or made it grow.

    `added` are observations, `sources` the numbers of entities that it was related to.
    """

    id: int
    run_id: str
    entity_id: int
    before_version: int | None
    after_version: int
    before_score: float
    after_score: float
    added: Sequence[str]
    sources: Sequence[int]


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


@dataclass(frozen=True, slots=True)
class Overview:
    """Figures of all namespaces together that cost milliseconds, however much there is. Times are UTC ISO 8601."""

    entities: int
    first_memory: str | None
    newest_change: str | None


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

    def outlines(self, ids: Sequence[int]) -> dict[int, Outline]:
        """The same in outline, read in half the time; damage that `details` sees may be overlooked."""

    def details(self, ids: Sequence[int]) -> dict[int, Details]:
        """What outlines leave out of the entities of `ids`, which live."""

    def page(self, after: int, limit: int, entity_type: str | None = None) -> list[Entity]:
        """Up to `limit` entities numbered above `after`, in that order."""

    def texts(self, after: int, limit: int, entity_type: str | None = None) -> list[Texts]:
        """The same as names and observations, which is quicker; what cannot be read says nothing. None are kept."""

    def types(self, ids: Collection[int]) -> dict[int, str]:
        """The types of those of `ids` that live, in whatever namespace, by number."""

    def count(self, entity_type: str | None = None) -> int:
        """How many there are."""

    def beside(self, ids: Sequence[int], reach: int) -> dict[int, list[int]]:
        """Per entity of `ids` that is of a session, those around it there, by number: up to `reach` on either side."""

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
        extraction_method, last_confirmed and conflict_resolution_method.
        """

    def delete(self, entity: Entity, change: Change) -> None:
        """Take the entity and its relations out of every read and search; the history stays."""

    def find_even_deleted(self, name: str) -> Entity | None:
        """The entity called `name`, else the one deleted last under it, else the one last renamed from it, or None."""

    def even_deleted(self, ids: Sequence[int]) -> list[Entity]:
        """The entities of these numbers, deleted or not, in the order of their numbers."""

    def restore(self, entity: Entity, change: Change, entity_type: str, observations: Sequence[str]) -> Entity:
        """A deleted entity brought back with this content, under its name, which must be free."""

    def merge_away(self, entity: Entity, change: Change, into: Entity, method: str) -> Entity:
        """Delete the entity as part of another one, which becomes its parent; returns it as it is then."""

    def rewind(self, entity: Entity, change: Change, tip: PastVersion, attributes: Mapping[str, Any]) -> Entity:
        """Make an earlier version the newest of the branch that reads see; a deleted entity comes back with it.

        `change` becomes a version on top of what is left behind; both stay in the history, on no branch. The name must
        be free. `attributes` may hold those of `update`, and updated_at.
        """

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

    def overview(self) -> Overview:
        """Figures of all namespaces together, in milliseconds."""


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

    def ends(self, relation_type: str, source_ids: Sequence[int]) -> dict[int, list[int]]:
        """Per entity of `source_ids`, those that a relation of this type leads to, oldest relation first."""

    def starts(self, relation_type: str, after: int, limit: int) -> list[int]:
        """Up to `limit` entities of the namespace numbered above `after` at which a relation of this type starts."""

    def restore(self, entity_id: int, ended_at: str) -> tuple[list[Edge], list[Edge]]:
        """Make the relations again that ended with the entity's deletion; those made, and those whose end is gone."""

    def page(self, after: int, limit: int) -> list[tuple[int, Edge]]:
        """Up to `limit` relations numbered above `after`, with their numbers."""

    def of(self, entity_id: int) -> list[Link]:
        """The live relations of one entity, oldest first."""

    def numbered(self, numbers: Iterable[int]) -> dict[int, Link]:
        """Those of these numbers that there are, live or ended, by number."""

    def revive(self, number: int) -> None:
        """Let an ended relation live again, in its old place among the others; there must be no live one like it."""


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
        """The `limit` best rows, best first, the newest of equals; for `all_of` and `newest`, the newest, unranked."""


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

    def alike(self, places: Sequence[tuple[int, int]], least: float, most: int) -> list[tuple[int, int]]:
        """Pairs of these (entity, place in the index) whose cosine is at least `least`, by their order in `places`.

        The earlier one first, and of each later one no more than `most` pairs, those with the earliest. The time grows
        with the square of their number: about a quarter of a second for 4,000 of 384 dimensions.
        """

    def likeness(self, vector: bytes, places: Sequence[tuple[int, int]]) -> list[float | None]:
        """The cosine, -1..1, for each (entity, place in the index); None for one that has no vector yet."""


class Conflicts(Protocol):
    """Conflicts that were found, each pair and kind once.

    When a change takes everything out of an entity that a pending conflict shows as evidence, the conflict is resolved
    in the same transaction, by the strategy `NO_LONGER_SAID`; it is pending again when going back brings it back.
    """

    def record(self, finding: Finding, run: str | None = None) -> int | None:
        """Keep a finding as pending; its number, or that of the one that waits for this pair and kind already.

        None where a caller decided on this pair and kind, and the evidence is what it was then. `run` names the search
        of the whole namespace that found it; the last to find it counts.
        """

    def of_run(self, run: str, after: int, limit: int) -> list[tuple[int, Finding]]:
        """Up to `limit` conflicts of a search, numbered above `after`, whose entities both live."""

    def kinds_of_run(self, run: str) -> dict[str, int]:
        """How many conflicts of each kind a search found whose entities both live."""

    def page(self, status: str, after: int, limit: int) -> list[tuple[int, Finding]]:
        """Up to `limit` conflicts of a status numbered above `after`; pending ones only if both their entities live."""

    def get(self, number: int) -> Finding | None:
        """The conflict of that number, or None."""

    def find(self, entity_id: int, other_id: int, kind: str) -> int | None:
        """The number of the conflict of this kind between the two, either way round: a pending one, else the last."""

    def next_number(self) -> int:
        """The number that the next conflict will get."""

    def resolve(self, number: int, resolution: Resolution) -> None:
        """Note what was decided about a pending conflict."""

    def reopen(self, number: int, traces: Sequence[tuple[int, int]]) -> None:
        """Make a conflict pending again.

        `traces` are versions, entity and number, that the resolution left on no branch; they go when one of the two
        entities is purged.
        """

    def resolved_after(self, number: int) -> int | None:
        """The last resolved conflict that shares an entity with this one and was resolved later, or None."""


class Skills(Protocol):
    """Kept procedures of the transaction's namespace, in versions; deleted ones are not seen."""

    def find(self, name: str, version: int | None = None) -> Skill | None:
        """That version of a skill, or its newest, or None."""

    def versions(self, name: str, below: int | None, limit: int) -> list[Skill]:
        """Up to `limit` versions of a skill numbered under `below`, newest first."""

    def page(self, tag: str | None, after: int, limit: int) -> list[Skill]:
        """The newest version of each skill, of those with a tag if one is given, by name.

        Up to `limit` of them, behind the one that the row numbered `after` belongs to; 0 is the beginning.
        """

    def add(self, name: str, description: str, code: str, tags: Sequence[str]) -> Skill:
        """The next version of a skill; numbers go on where a deleted one of that name ended."""

    def describe(self, skill: Skill, description: str, tags: Sequence[str]) -> None:
        """Give a version another description and other tags."""

    def delete(self, name: str) -> int:
        """Take a skill with all its versions out of every read; how many there were."""

    def count_run(self, skill: Skill, ms: float, error: str | None) -> None:
        """Note a run of this version: how long it took, and in which error it ended, if in one."""

    def forget_errors(self) -> None:
        """Drop the last error of every skill, deleted ones too: it may quote what is to be erased."""


class Transitions(Protocol):
    """Moves from tier to tier in the transaction's namespace, and who is due for one."""

    def page(self, entity_id: int | None, run_id: str | None, below: int | None, limit: int) -> list[Transition]:
        """Up to `limit` transitions numbered under `below`, newest first: all, or of one entity, or of one run."""

    def aging(self, after: int, limit: int) -> tuple[list[Aging], int | None]:
        """The entities among the `limit` numbered above `after`, and the last of these numbers, if any.

        Those whose times or relevance are damaged are left out.
        """

    def said(self, ids: Sequence[int]) -> list[Said]:
        """What those of `ids` say that live and can be read, in order of their numbers; nothing is kept at hand."""

    def practised(self, least: int) -> list[int]:
        """Entities that bear the name of a skill with at least so many successful runs, in order of their numbers."""

    def still(self, ids: Sequence[int], tier: str) -> dict[int, str]:
        """Names of those of `ids` that live, are in this tier and are not pinned."""

    def move(self, moves: Sequence[Move], run_id: str) -> list[Move]:
        """Do those moves whose entity lives, is in `from_tier` and is not pinned; returns these. Logged.

        Changes nothing but the tier: no version, no time of change.
        """

    def note(self, move: Move, run_id: str) -> None:
        """Log a move that was done otherwise."""

    def moved(self, run_id: str, after: int, limit: int) -> list[Moved]:
        """Up to `limit` entities numbered above `after` that a curation moved."""

    def put_back(self, moved: Sequence[Moved], reason: str, run_id: str) -> list[Moved]:
        """Give these their first tier again, unless they are gone or were moved since; returns those. Logged."""


class Curation(Protocol):
    """Curations that ran, what they made, and when the daemon's own ran last."""

    def begin(self, run_id: str, author: str | None) -> None:
        """A curation of the transaction's namespace begins."""

    def end(self, run_id: str) -> None:
        """It has done all of its work."""

    def find(self, run_id: str) -> Run | None:
        """The curation of that name, of whatever namespace, or None."""

    def last(self) -> Run | None:
        """The newest curation of the namespace that did something and was not put back, or None."""

    def note_undone(self, run_id: str) -> None:
        """It was put back."""

    def keep(self, done: Consolidation) -> None:
        """Keep what was done to a semantic entity; its `id` is given by the store."""

    def kept(self, run_id: str) -> list[Consolidation]:
        """What a curation did to semantic entities and was not put back, oldest first."""

    def all_kept(self) -> list[Consolidation]:
        """The same of all curations of the namespace."""

    def forget(self, ids: Sequence[int]) -> None:
        """These were put back."""

    def last_round(self) -> str | None:
        """When the daemon last finished curating every namespace, or None."""

    def note_round(self) -> None:
        """It has just done so."""


class Requests(Protocol):
    """First replies to writes that carried a request id."""

    def recall(self, request_id: str) -> tuple[str, str] | None:
        """Fingerprint and reply (JSON text) of the write with this id within the last hour, or None."""

    def remember(self, request_id: str, fingerprint: str, reply: str) -> None:
        """Keep the reply of the write that this transaction is."""

    def forget(self, texts: Sequence[str]) -> None:
        """Drop the kept replies that tell any of these texts: they are to be erased."""


class Notes(Protocol):
    """What the service notes about the store itself, for its next start."""

    def get(self, key: str) -> str | None:
        """What was noted, or None."""

    def put(self, key: str, value: str) -> None:
        """Note it, in the place of what was noted before."""


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
    def skills(self) -> Skills:
        """Kept procedures."""

    @property
    def transitions(self) -> Transitions:
        """Moves from tier to tier."""

    @property
    def curation(self) -> Curation:
        """Curations that ran."""

    @property
    def requests(self) -> Requests:
        """First replies to writes that carried a request id."""

    @property
    def notes(self) -> Notes:
        """What the service notes about the store."""


@dataclass(frozen=True, slots=True)
class Condition:
    """How the engine and its files stand. `disk_bytes` and `disk_free_bytes` are None where the disk cannot be asked;
    `files_in_place` is whether the files at their paths are those that were opened, without which nothing is written;
    `writer_quiet_s` is the time since the writer gave a sign of life; `erasure_is_late` is whether what was erased
    could not be overwritten in the files yet."""

    engine_version: str
    schema_version: int
    store_bytes: int
    log_bytes: int
    disk_bytes: int | None
    disk_free_bytes: int | None
    files_in_place: bool
    writable: bool
    writer_quiet_s: float
    erasure_is_late: bool


class Store(Protocol):
    """A store: runs functions in transactions. Safe for many threads."""

    def write(
        self, work: Callable[[Transaction], T], namespace: str, timeout_s: float, drafts: Sequence[Draft] = ()
    ) -> T:
        """Run `work` alone, and return what it returned once it is safe on disk.

        `drafts` are what it will likely create: what can be worked out of them may be, before its turn comes.
        What `work` raises takes back its changes only. Raises: Busy, TimedOut, ShuttingDown, ReadOnly, DiskFull.
        """

    def write_later(
        self,
        work: Callable[[Transaction], T],
        namespace: str,
        timeout_s: float,
        then: Callable[[T | None, BaseException | None], None],
        drafts: Sequence[Draft] = (),
    ) -> Callable[[], None]:
        """As `write`, but nobody waits: `then` is called with what `work` returned once that is safe, or the error.

        All other writes wait while `then` runs. What is returned waits until it was called, which it is with Busy when
        the time is over before the turn came; call it once. Raises: Busy: too many wait. ShuttingDown, ReadOnly.
        """

    def read(self, work: Callable[[Transaction], T], namespace: str, timeout_s: float) -> T:
        """Run `work` on a snapshot; it waits for no writer. Raises: Busy, TimedOut, Corrupt."""

    def scrub(self, erased: Sequence[Sequence[str]], timeout_s: float) -> None:
        """Overwrite what was erased, the texts of each entity, wherever they may lie, and what is owed from before.

        Takes long. What fails is owed, and done in an idle moment when there is room, by the next process if need be.
        Raises: DiskFull, TimedOut, Busy, ShuttingDown, ReadOnly.
        """

    def copy(self, target: str, progress: Callable[[int, int], None]) -> Mapping[str, int]:
        """Write the store as it stands now into the empty file `target`; returns the rows of its tables.

        No writer waits. `progress` is told steps done and steps in all, and may raise to stop it. Raises: DiskFull.
        """

    def repair(
        self,
        *,
        index: bool,
        table_indexes: Sequence[str],
        vectors: Sequence[int],
        progress: Callable[[int, int], None],
    ) -> Mapping[str, int]:
        """Make anew what can be derived from the entities, in slices; nothing else is touched.

        `index`: full text; `table_indexes`: the engine's own, by name; `vectors`: rows to drop, to be made again where
        their observations are there. Returns how many of each. Raises: ReadOnly.
        """

    @property
    def is_reading(self) -> bool:
        """Whether a read is under way."""

    def count_accesses(self, ids: Iterable[int]) -> None:
        """Note that these entities were read, by whomever; it is written later, together with others."""

    @property
    def is_writing(self) -> bool:
        """Whether a write is under way, or waits."""

    @property
    def read_only(self) -> str | None:
        """Why nothing can be written, or None."""

    @property
    def integrity(self) -> Mapping[str, str]:
        """What the check at the start found: status ok, bad or unknown, with checked_at and problem where there are."""

    @property
    def log_was_cut(self) -> bool:
        """Whether what was acknowledged before the start is missing from the log, which somebody cut or damaged."""

    def gauges(self) -> Mapping[str, int]:
        """Figures of the engine: queue_depth, group_size, commits, committed_requests."""

    def condition(self) -> Condition:
        """How the engine and its files stand; asks nobody and waits for nothing."""

    def close(self) -> None:
        """Finish what was begun, write what was gathered, and let go of the files."""
