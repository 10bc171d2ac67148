"""The words and shapes everyone shares: what an entity, a relation and each reply look like on the wire.

Spelling changes between the wire and the store happen here and nowhere else. Bounds are said once, in the
annotations; their numbers come from the contract's section on limits.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Final, Literal, NotRequired

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, StringConstraints, with_config
from pydantic_core import PydanticCustomError
from typing_extensions import TypedDict

MAX_BATCH: Final = 1_000
MAX_OBSERVATIONS: Final = 10_000
MAX_OBSERVATION_BYTES: Final = 64 * 1024
MAX_NAME: Final = 512
MAX_TYPE: Final = 128
TIERS: Final = ("working", "episodic", "semantic", "procedural")

_CONTROL_CHARACTER: Final = re.compile("[\x00-\x1f\x7f-\x9f]")
"""Unicode's category Cc."""

INPUT = ConfigDict(extra="forbid", strict=True)
"""How a caller's objects are read: no unknown keys, no conversions."""


def _no_control_characters(text: str) -> str:
    if _CONTROL_CHARACTER.search(text):
        raise PydanticCustomError("control_character", "must not contain control characters")
    return text


def _observation(text: str) -> str:
    if not text.strip():
        raise PydanticCustomError("blank", "must not be blank")
    if len(text) * 4 > MAX_OBSERVATION_BYTES and len(text.encode()) > MAX_OBSERVATION_BYTES:
        raise PydanticCustomError("too_large", "is longer than 64 KiB")
    return text


def _without_reference_keys(value: Any) -> Any:
    """An entity or relation without the keys `type` and `id` that clients of the reference server send along."""
    if isinstance(value, dict) and ("type" in value or "id" in value):
        return {key: item for key, item in value.items() if key not in ("type", "id")}
    return value


Name = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=MAX_NAME),
    AfterValidator(_no_control_characters),
]
EntityType = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=MAX_TYPE),
    AfterValidator(_no_control_characters),
]
Observation = Annotated[str, Field(min_length=1), AfterValidator(_observation)]
Observations = Annotated[list[Observation], Field(max_length=MAX_OBSERVATIONS)]
Names = Annotated[list[Name], Field(min_length=1, max_length=MAX_BATCH)]
Fraction = Annotated[float, Field(ge=0, le=1)]
Line = Annotated[str, StringConstraints(max_length=MAX_NAME), AfterValidator(_no_control_characters)]
Message = Annotated[str, Field(max_length=4_096)]
Tier = Literal["working", "episodic", "semantic", "procedural"]
Method = Literal["manual", "auto", "import"]
OnExisting = Literal["merge", "replace", "skip", "error"]
Version = Annotated[int, Field(ge=1, le=2**53)]
BranchName = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=MAX_TYPE),
    AfterValidator(_no_control_characters),
]
Tag = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=MAX_TYPE),
    AfterValidator(_no_control_characters),
]
Strategy = Literal["auto", "merge", "update", "branch", "ignore"]
Instant = Annotated[str, Field(min_length=1, max_length=64)]
Cursor = Annotated[str, Field(max_length=256)]

# ------------------------------------------------------------------------------------------------ what callers send


@with_config(INPUT)
class EntityFields(TypedDict):
    """An entity to create or update. The keys without NotRequired must be there."""

    name: Name
    entityType: EntityType
    observations: Observations
    tier: NotRequired[Tier]
    always_include: NotRequired[bool]
    relevance_score: NotRequired[Fraction]
    source_session: NotRequired[Line | None]
    source_timestamp: NotRequired[Line | None]
    extraction_method: NotRequired[Method]
    expected_version: NotRequired[Version]


@with_config(INPUT)
class DraftFields(TypedDict):
    """An entity to be held against what is remembered; its name, if it has one, keeps it from meeting itself."""

    observations: Observations
    name: NotRequired[Name]
    entityType: NotRequired[EntityType]


@with_config(ConfigDict(extra="ignore", strict=True))
class ConflictData(TypedDict):
    """Two entities in conflict, by number; the other keys of what list_conflicts tells may be there."""

    entity_id: Annotated[int, Field(ge=1, le=2**53)]
    existing_id: Annotated[int, Field(ge=1, le=2**53)]
    conflict_type: Literal["duplicate", "update", "contradiction"]


EntityDraft = Annotated[DraftFields, BeforeValidator(_without_reference_keys)]

EntityInput = Annotated[EntityFields, BeforeValidator(_without_reference_keys)]


@with_config(INPUT)
class AdditionInput(TypedDict):
    """Observations to add to one entity."""

    entityName: Name
    contents: Observations


@with_config(INPUT)
class DeletionInput(TypedDict):
    """Observations to take from one entity."""

    entityName: Name
    observations: Observations


RelationFields = TypedDict(
    "RelationFields",
    {
        "from": Name,
        "to": Name,
        "relationType": EntityType,
        "strength": NotRequired[Fraction | None],
        "metadata": NotRequired[dict[str, Any] | None],
    },
)
with_config(INPUT)(RelationFields)
RelationInput = Annotated[RelationFields, BeforeValidator(_without_reference_keys)]

# ------------------------------------------------------------------------------------------------- what they receive

Relation = TypedDict(
    "Relation",
    {
        "from": str,
        "to": str,
        "relationType": str,
        "strength": NotRequired[float],
        "metadata": NotRequired[dict[str, Any]],
    },
)


class WrittenEntity(TypedDict):
    """What became of one entity of a batch. `compression` is the share of its bytes saved, 0..1.

    `conflicts`: what it is in conflict with, where there is any; recorded as pending.
    """

    id: int
    name: str
    action: Literal["created", "updated", "unchanged"]
    version: int
    compression: float
    conflicts: NotRequired[list[Conflict]]


class CreatedEntities(TypedDict):
    """Reply of create_entities. `conflicts_checked` is False where there was no time to look for all conflicts."""

    results: list[WrittenEntity]
    conflicts_checked: NotRequired[bool]


class AddedObservations(TypedDict):
    """What was new to one entity, and what that is in conflict with, where there is any; recorded as pending."""

    entityName: str
    addedObservations: list[str]
    version: int
    conflicts: NotRequired[list[Conflict]]


class Additions(TypedDict):
    """Reply of add_observations. `conflicts_checked` is False where there was no time to look for all conflicts."""

    results: list[AddedObservations]
    conflicts_checked: NotRequired[bool]


class RemovedObservations(TypedDict):
    """What was taken from one entity."""

    entityName: str
    removedObservations: list[str]
    version: int


class Deletions(TypedDict):
    """Reply of delete_observations."""

    results: list[RemovedObservations]


class GraphEntity(TypedDict):
    """An entity as the reference server shapes it, with version, branch and tier."""

    name: str
    entityType: str
    observations: list[str]
    version: int
    branch: str
    tier: str
    error: NotRequired[str]
    code: NotRequired[str]


class EntityDetails(TypedDict):
    """An entity with all that is known of it. Times are UTC, ISO 8601; sizes are bytes of its content."""

    id: int
    name: str
    entityType: str
    observations: list[str]
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
    current_version: int
    current_branch: str
    original_size: int
    compressed_size: int
    checksum: str


class Confirmed(TypedDict):
    """Reply of confirm_entities."""

    confirmed: list[str]
    missing: list[str]


class DeletedEntities(TypedDict):
    """Reply of delete_entities."""

    deleted: list[str]
    missing: list[str]


class CreatedRelations(TypedDict):
    """Reply of create_relations: what was made, and what was there already."""

    relations: list[Relation]
    existing: list[Relation]


class DeletedRelations(TypedDict):
    """Reply of delete_relations."""

    deleted: list[Relation]
    missing: list[Relation]


class ObservationMatch(TypedDict):
    """An observation that matched: its place in the entity's list, from 0, and its score."""

    index: int
    score: float


class MatchedWord(TypedDict):
    """A word of the query as it was met: in who, text, question, name, type, or the observation before or after."""

    word: str
    field: str
    times: float


class MatchExplanation(TypedDict):
    """What a match's score is made of: its text, being about someone named, the session or entity, its meaning."""

    index: int
    text: float
    named: float
    whole: float
    meaning: float
    words: list[MatchedWord]


class FoundEntity(TypedDict):
    """One search result. `relevance_score` is that of now, 0.1..1; `error` and `code` mark one that cannot be read."""

    id: int
    name: str
    type: NotRequired[str]
    observations: NotRequired[list[str]]
    tier: NotRequired[str]
    version: NotRequired[int]
    branch: NotRequired[str]
    relevance_score: NotRequired[float]
    score: float
    access_count: NotRequired[int]
    created: NotRequired[str]
    accessed: NotRequired[str]
    matches: NotRequired[list[ObservationMatch]]
    namespace: NotRequired[str]
    explanation: NotRequired[list[MatchExplanation]]
    error: NotRequired[str]
    code: NotRequired[str]


class Found(TypedDict):
    """Reply of search_nodes. `more`: further results wait behind a larger offset.

    `notice`: what of the query was not read as it looks, where there is such.
    """

    query: str
    count: int
    results: list[FoundEntity]
    relations: list[Relation]
    more: bool
    mode: str
    notice: NotRequired[str]


class Opened(TypedDict):
    """Reply of open_nodes."""

    entities: list[GraphEntity]
    relations: list[Relation]
    missing: list[str]


class GraphPage(TypedDict):
    """Reply of read_graph; pass `next_cursor` on for the next page, null at the end."""

    entities: list[GraphEntity]
    relations: list[Relation]
    next_cursor: str | None
    total_entities: int


class BadLine(TypedDict):
    """A line that was skipped, and why."""

    line: int
    error: str


@with_config(INPUT)
class LineInput(TypedDict):
    """A line of a file, with its number there."""

    line: Annotated[int, Field(ge=1)]
    text: str


class Imported(TypedDict):
    """Reply of import_graph: entities and relations made or changed, lines that were there already, lines skipped.

    `entities` is `created` and `updated` together.
    """

    entities: int
    created: int
    updated: int
    relations: int
    unchanged: int
    errors: list[BadLine]


LineAction = Literal["created", "updated", "related", "unchanged", "passed", "error"]
"""What becomes of a line of an import; `passed` are lines of history, which are not taken over."""


class PreviewedImport(Imported):
    """Reply of preview_import: that of import_graph, and what would become of each line, in order."""

    actions: list[LineAction]


class Exported(TypedDict):
    """Reply of export_graph: lines of the file, how many are of each kind, and names that could not be read."""

    lines: list[str]
    next_cursor: str | None
    entities: int
    relations: int
    versions: int
    unreadable: list[str]


class Compression(TypedDict):
    """Bytes of the content as compact JSON and as stored, and the share saved in percent."""

    original_bytes: int
    stored_bytes: int
    savings_pct: float


class Versioning(TypedDict):
    """How much history there is."""

    total_versions: int
    total_branches: int


class PendingConflicts(TypedDict):
    """Conflicts that wait for a decision."""

    pending: int


class VectorStatus(TypedDict):
    """How many observations have vectors of the model, of how many there are in all namespaces, about."""

    model: str
    done: int
    total: int


class MemoryStatus(TypedDict):
    """Reply of get_memory_status."""

    total_entities: int
    total_relations: int
    by_type: dict[str, int]
    by_tier: dict[str, int]
    compression: Compression
    versioning: Versioning
    conflicts: PendingConflicts
    always_include_count: int
    auto_extracted_count: int
    database_size_mb: float
    namespaces: dict[str, int]
    vectors: NotRequired[VectorStatus]


class Pong(TypedDict):
    """Reply of ping."""

    pong: bool
    pid: int
    version: str
    database: str


class RequestFigures(TypedDict):
    """The requests of one operation since the daemon started, refused ones among the errors; times within 10 %."""

    count: int
    errors: int
    p50_ms: float
    p99_ms: float


class SandboxHealth(TypedDict):
    """How executed code is held: kernel, partial or language, and each layer on or missing."""

    isolation: str
    layers: dict[str, str]


class SystemHealth(TypedDict):
    """Reply of get_system_health; `status` with its reasons, sentences that say what to do, the worst first.

    total_entities counts those of all namespaces, and is null where the database cannot be read. Sizes in MiB, of the
    daemon and its database; cpu_percent 100 is one processor; queue_depth counts the writes that wait.
    reading counts the processes beside the daemon that answer searches, and the searches they answered.
    """

    status: Literal["healthy", "degraded", "failing"]
    reasons: list[str]
    total_entities: int | None
    database_size_mb: float
    wal_size_mb: float
    disk_free_mb: float | None
    memory_usage_mb: float
    cpu_percent: float
    uptime_s: float
    connections: int
    queue_depth: int
    reading: dict[str, int]
    requests: dict[str, RequestFigures]
    last_backup: str | None
    integrity: dict[str, Any]
    sandbox: SandboxHealth
    vectors: NotRequired[VectorStatus]
    schema_version: int
    sqlite_version: str
    version: str
    pid: int
    database: str


class OperationWords(TypedDict):
    """One operation as declared."""

    name: str
    title: str
    description: str
    writes: bool
    core: bool
    params: dict[str, Any]
    result: dict[str, Any]


class NoticedChange(TypedDict):
    """One write: in which namespace, and the entities it changed, or null where any may have."""

    namespace: str
    names: list[str] | None


class NoticedChanges(TypedDict):
    """What was written lately. `last` is the number of the newest write, to be passed on as `after`; `missed` says that
    more was written than is told."""

    last: int
    changes: list[NoticedChange]
    missed: bool


class MatchingNames(TypedDict):
    """Names of entities, in their order."""

    names: list[str]


class RunningOperation(TypedDict):
    """A long operation under way: `done` of `total` steps (0 of 0 until it knows), seconds since it began."""

    method: str
    namespace: str
    done: int
    total: int
    seconds: float


class RunningList(TypedDict):
    """Reply of list_running, the oldest first."""

    running: list[RunningOperation]


class Described(TypedDict):
    """Reply of describe."""

    version: str
    operations: list[OperationWords]


class VersionNote(TypedDict):
    """One version in a history: what it added to and removed from its parent, and where it came from.

    `merge_parent` is the version of the other branch, for a merge.
    """

    version: int
    branch: str
    parent: int | None
    merge_parent: NotRequired[int]
    message: str | None
    author: str | None
    session: str | None
    method: str | None
    created: str
    action: str
    added: list[str]
    removed: list[str]


class EntityHistory(TypedDict):
    """Reply of memory_history, newest first; `merged_into` where it is now part of another entity."""

    entity: str
    deleted: bool
    merged_into: NotRequired[str]
    versions: list[VersionNote]
    next_cursor: str | None


class Committed(TypedDict):
    """Reply of memory_commit."""

    entity: str
    version: int
    branch: str


class VersionContent(TypedDict):
    """One version, whole."""

    version: int
    branch: str
    name: str
    entityType: str
    observations: list[str]
    message: str | None
    author: str | None
    created: str
    action: str


class Modified(TypedDict):
    """A value before and after; a TypedDict cannot spell `from`, so it is old and new."""

    old: str
    new: str


class Differences(TypedDict):
    """What one version has and another has not."""

    added_observations: list[str]
    removed_observations: list[str]
    modified_metadata: dict[str, Modified]


class VersionDiff(TypedDict):
    """Reply of memory_diff; `diff` is unified text."""

    version1: VersionContent
    version2: VersionContent
    differences: Differences
    diff: str


class Reverted(TypedDict):
    """Reply of memory_revert; the relations are told when a deleted entity came back."""

    entity: str
    reverted_to: int
    new_version: int
    restored_relations: NotRequired[list[Relation]]
    lost_relations: NotRequired[list[Relation]]


class Branched(TypedDict):
    """Reply of memory_branch."""

    entity: str
    branch_name: str
    created_from_version: int
    current_branch: str


class BranchNote(TypedDict):
    """One branch of an entity."""

    name: str
    head_version: int
    created_from_version: int
    description: str | None
    created: str
    current: bool


class Branches(TypedDict):
    """Reply of list_branches."""

    entity: str
    branches: list[BranchNote]


class DeletedBranch(TypedDict):
    """Reply of delete_branch."""

    entity: str
    deleted: str


class CheckedOut(TypedDict):
    """Reply of memory_checkout."""

    entity: str
    branch_name: str
    version: int


class Merged(TypedDict):
    """Reply of memory_merge; `new_version` is null in a dry run and when there was nothing to merge."""

    entity: str
    source_branch: str
    target_branch: str
    base_version: int
    added: list[str]
    removed: list[str]
    entityType: str
    new_version: int | None
    dry_run: bool


class ChangeLine(TypedDict):
    """One change of a namespace: a version of an entity, or the making or ending of a relation."""

    kind: Literal["entity", "relation"]
    action: str
    created: str
    name: NotRequired[str]
    version: NotRequired[int]
    branch: NotRequired[str]
    message: NotRequired[str | None]
    author: NotRequired[str | None]
    relation: NotRequired[Relation]


class Changes(TypedDict):
    """Reply of what_changed, oldest first."""

    changes: list[ChangeLine]
    next_cursor: str | None


class Purged(TypedDict):
    """Reply of purge_entities."""

    purged: list[str]
    missing: list[str]


class PathFound(TypedDict):
    """Reply of find_path: the relations on the way, from its beginning on."""

    found: bool
    path: list[Relation]
    hops: int


class SubGraph(TypedDict):
    """Reply of neighbors, nearest first."""

    entities: list[GraphEntity]
    relations: list[Relation]
    more: bool


class ContextEntity(TypedDict):
    """A memory that the context tells of."""

    name: str
    entityType: str
    pinned: bool


class ContextText(TypedDict):
    """Reply of get_context; `omitted` counts memories that did not fit, the last one standing for any number."""

    text: str
    entities: list[ContextEntity]
    tokens: int
    omitted: int


class FactEvidence(TypedDict):
    """Where a fact was found: line from 1, span in characters; its kind, how sure it is (0..1), who said it."""

    line: int
    span: list[int]
    kind: str
    negated: bool
    confidence: float
    speaker: str | None


class ExtractedEntity(TypedDict):
    """The facts of one session about one subject, with the evidence of each, in the same order."""

    name: str
    entityType: str
    observations: list[str]
    source_session: str | None
    extraction_method: str
    evidence: list[FactEvidence]


MODEL_TEXT: Final = 400
"""Characters of a fact that a model states, and of a sentence as the model sees it."""


@with_config(INPUT)
class ModelFact(TypedDict):
    """One fact as a language model answers it."""

    sentence: Annotated[int, Field(ge=1, description="Number of the sentence that states it.")]
    fact: Annotated[
        str, Field(min_length=3, max_length=MODEL_TEXT, description="One sentence that stands alone, names kept.")
    ]
    kind: Literal["preference", "requirement", "rule", "usage", "identity", "decision", "plan", "event"]
    negated: NotRequired[Annotated[bool, Field(description="Whether it denies or forbids.")]]
    confidence: Annotated[float, Field(ge=0, le=1, description="How sure it is, and that it will matter.")]


@with_config(INPUT)
class ModelAnswer(TypedDict):
    """What a language model answers to the prompt of prepare_extraction."""

    facts: Annotated[list[ModelFact], Field(max_length=200)]


class ExtractionPrompt(TypedDict):
    """Reply of prepare_extraction; `prompt` is null where nothing is said. `max_tokens` bounds the answer."""

    system: str
    prompt: str | None
    max_tokens: int


class ExtractedFacts(TypedDict):
    """Reply of auto_extract_facts; `count` is of facts, `secrets` how many of each kind were replaced by a mark.

    Where they were to be stored, `new_count` of the facts were not remembered before this call, and `known_count` were.
    `refused` counts facts of a model that nothing in the conversation bears out.
    """

    facts: list[ExtractedEntity]
    count: int
    new_count: NotRequired[int]
    known_count: NotRequired[int]
    stored: bool
    entity_ids: list[int]
    session_id: str | None
    secrets: dict[str, int]
    refused: NotRequired[int]


class ConflictEvidence(TypedDict):
    """Two observations and what is between them."""

    new: str
    existing: str
    reason: str
    confidence: float


class Conflict(TypedDict):
    """A memory that an entity is in conflict with; `conflict_id` where it was recorded."""

    conflict_id: NotRequired[int]
    existing_entity: str
    existing_id: int
    conflict_type: Literal["duplicate", "update", "contradiction"]
    confidence: float
    suggested_action: str
    details: str
    evidence: list[ConflictEvidence]


class Conflicts(TypedDict):
    """Reply of detect_conflicts, surest first."""

    conflicts: list[Conflict]
    conflict_count: int


class RecordedConflict(TypedDict):
    """A conflict on record; `resolution` once it was decided."""

    conflict_id: int
    entity: str
    entity_id: int
    existing_entity: str
    existing_id: int
    conflict_type: Literal["duplicate", "update", "contradiction"]
    confidence: float
    suggested_action: str
    status: str
    evidence: list[ConflictEvidence]
    resolution: NotRequired[Resolving]


class Resolving(TypedDict):
    """How a recorded conflict was decided."""

    strategy: str
    resolved_at: str
    notes: str | None


class ConflictList(TypedDict):
    """Reply of list_conflicts."""

    conflicts: list[RecordedConflict]
    next_cursor: str | None


class ConflictSide(TypedDict):
    """One of the two entities of a conflict; `new_version` is the step that deciding made in its history, if any."""

    id: int
    name: str
    new_version: int | None


class ResolutionDetails(TypedDict, total=False):  # not total, since the details of a failure are told in its place
    """What resolving a conflict did, or would do.

    `conflict_id` is null in a preview of a conflict that is not on record. `added_observations` went to the older
    entity, or with `branch` to that branch of it. `relations_moved` are those of the newer as the older has them now,
    `relations_dropped` those it had no need of: between the two, or there already. `left_reads` names the entity that
    is seen no more, `relevance` what was set, by name.
    """

    conflict_id: int | None
    conflict_type: Literal["duplicate", "update", "contradiction"]
    status: Literal["pending", "resolved", "ignored"]
    dry_run: bool
    older: ConflictSide
    newer: ConflictSide
    added_observations: list[str]
    branch: str | None
    relations_moved: list[Relation]
    relations_dropped: list[Relation]
    relevance: dict[str, float]
    left_reads: str | None
    evidence: list[ConflictEvidence]


class Resolved(TypedDict):
    """Reply of resolve_conflict; `strategy` is the one that was followed, auto where none was."""

    action_taken: Literal["merged", "updated", "branched", "ignored", "left_pending"]
    strategy: Strategy
    updated_entities: list[str]
    details: ResolutionDetails


class ReopeningDetails(TypedDict, total=False):  # as above
    """What reopening a conflict put back.

    `exact` tells that everything stands as before; else `kept_observations` came to the older entity since and stayed,
    and `relations_lost` could not come back.
    """

    exact: bool
    relations_restored: list[Relation]
    relations_lost: list[Relation]
    kept_observations: list[str]
    versions: dict[str, int]


class Reopened(TypedDict):
    """Reply of reopen_conflict; `undone` is the strategy that had been followed."""

    conflict_id: int
    status: Literal["pending"]
    undone: str
    updated_entities: list[str]
    details: ReopeningDetails


class Promoted(TypedDict):
    """Reply of promote_to_tier."""

    id: int
    name: str
    from_tier: Tier
    to_tier: Tier


class TransitionLine(TypedDict):
    """One move from tier to tier. `run_id` names the curation that did it; with `undo:` before it, that was undone."""

    id: int
    name: str
    entity_id: int
    from_tier: str
    to_tier: str
    reason: str | None
    run_id: str | None
    created: str


class TransitionList(TypedDict):
    """Reply of list_transitions, newest first."""

    transitions: list[TransitionLine]
    next_cursor: str | None


CurationMove = TypedDict(
    "CurationMove",
    {
        "name": str,
        "from": str,
        "to": str,
        "reason": str,
        "action": Literal["moved", "made", "grown"],
        "confidence": NotRequired[float],
    },
)
"""One move of a curation: an entity that moved, or a semantic one that was made of episodes or grew by them.

`confidence`, 0..1, is how sure it is what was made or grew; it is that entity's relevance_score.
"""


class Curated(TypedDict):
    """Reply of autonomous_curation. `moves` holds the first 1,000 of `moves_total`; `run_id` is null for a dry run."""

    promoted_to_episodic: int
    promoted_to_semantic: int
    promoted_to_procedural: int
    decayed: int
    moves: list[CurationMove]
    moves_total: int
    dry_run: bool
    namespace: str
    run_id: str | None


class LeftAlone(TypedDict):
    """An entity that was not put back, and why."""

    name: str
    reason: str


class CurationUndone(TypedDict):
    """Reply of undo_curation: how many got their tier back, were deleted again, or say again what they said before.

    `undone` is false where the run was undone already. `skipped` holds the first 1,000 of `skipped_total`.
    """

    run_id: str
    namespace: str
    undone: bool
    restored: int
    deleted: int
    reverted: int
    skipped: list[LeftAlone]
    skipped_total: int


class MemoryConflicts(TypedDict):
    """Reply of detect_memory_conflicts: a page of what was found, and how much that is in all, by conflict_type."""

    conflicts: list[RecordedConflict]
    total_conflicts: int
    by_type: dict[str, int]
    next_cursor: str | None


class CodeResult(TypedDict):
    """Reply of execute_code; `operations` counts the calls the code made."""

    result: Any
    stdout: str
    execution_time_ms: float
    memory_used_mb: float
    operations: dict[str, int]


class SkillResult(CodeResult):
    """Reply of run_skill: what the code came to, and which version of the skill it was."""

    name: str
    version: int


class SavedSkill(TypedDict):
    """Reply of save_skill; unchanged where the same was saved before."""

    name: str
    version: int
    action: Literal["created", "updated", "unchanged"]


class SkillNote(TypedDict):
    """A version of a skill. `success_rate` is 0..1 over its runs, `mean_ms` their mean time; null before the first."""

    name: str
    version: int
    description: str
    tags: list[str]
    run_count: int
    success_rate: float | None
    mean_ms: float | None
    last_error: str | None
    created: str
    code: NotRequired[str]


class SkillList(TypedDict):
    """Reply of list_skills; pass `next_cursor` on for the next page, null at the end."""

    skills: list[SkillNote]
    next_cursor: str | None


class DeletedSkill(TypedDict):
    """Reply of delete_skill, with how many versions it had."""

    deleted: str
    versions: int


class BackupMade(TypedDict):
    """Reply of backup. `problems` counts damaged things in the database, `deleted` names old backups."""

    path: str
    bytes: int
    sha256: str
    entities: int
    problems: int
    deleted: list[str]


class Problem(TypedDict):
    """One thing that is wrong: what kind, what about it, and which memory it belongs to, if to one."""

    kind: str
    detail: str
    entity: NotRequired[str]


class Verified(TypedDict):
    """Reply of verify_database. `problem_counts` has all problems by kind, `problems` at most 50 of a kind."""

    ok: bool
    checked: dict[str, int]
    problems: list[Problem]
    problem_counts: dict[str, int]
    repaired: dict[str, int]
