"""The operations as methods of the two clients. Made by scripts/generate.py: do not edit.

Above it lie the clients, which add `call`; below it nothing at run time.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from enhanced_memory.client.connection import Reply
    from enhanced_memory.shapes import (
        AdditionInput,
        BranchName,
        ConflictData,
        Cursor,
        DeletionInput,
        EntityDraft,
        EntityInput,
        EntityType,
        Fraction,
        Instant,
        Line,
        LineInput,
        Message,
        Name,
        Names,
        OnExisting,
        RelationInput,
        Strategy,
        Tag,
        Tier,
        Version,
    )

READS = frozenset(
    [
        "complete_names",
        "describe",
        "export_graph",
        "find_path",
        "get_context",
        "get_memory_status",
        "get_system_health",
        "list_branches",
        "list_conflicts",
        "list_running",
        "list_skills",
        "list_transitions",
        "memory_diff",
        "memory_history",
        "neighbors",
        "open_nodes",
        "ping",
        "prepare_extraction",
        "read_graph",
        "search_nodes",
        "wait_for_changes",
        "what_changed",
    ]
)
"""Operations that change nothing: one may be sent again whatever became of it."""

WRITES = frozenset(
    [
        "add_observations",
        "confirm_entities",
        "create_entities",
        "create_relations",
        "delete_branch",
        "delete_entities",
        "delete_observations",
        "delete_relations",
        "delete_skill",
        "import_graph",
        "memory_branch",
        "memory_checkout",
        "memory_commit",
        "memory_merge",
        "memory_revert",
        "promote_to_tier",
        "reopen_conflict",
        "resolve_conflict",
        "update_entity",
    ]
)
"""Operations that change the store in one transaction: one may be sent again under the same request id."""

LONG: frozenset[str] = frozenset(
    ["autonomous_curation", "backup", "detect_memory_conflicts", "undo_curation", "verify_database"]
)
"""Operations that work in slices, and may take an hour."""

TIMED = {"execute_code": 30.0, "run_skill": 30.0, "wait_for_changes": 20.0}
"""Operations that are given seconds of their own, `timeout_s`, and how many unless the caller says."""


def _given(params: dict[str, Any]) -> dict[str, Any]:
    """The parameters that are not None."""
    return {name: value for name, value in params.items() if value is not None}


class AsyncMethods(ABC):
    """Every operation, by way of `call`."""

    @abstractmethod
    async def call(
        self, method: str, params: Mapping[str, Any] | None = None, *, request_id: str | None = None
    ) -> Reply:
        """The reply to one request."""

    async def create_entities(
        self,
        entities: list[EntityInput],
        on_existing: OnExisting = "merge",
        commit_message: Message | None = None,
        branch: BranchName | None = None,
        check_conflicts: bool = True,
        *,
        request_id: str | None = None,
    ) -> Reply:
        """Remember people, projects, preferences, decisions: one entity per thing, short facts as observations."""
        return await self.call(
            "create_entities",
            {"entities": entities, "on_existing": on_existing, "check_conflicts": check_conflicts}
            | _given({"commit_message": commit_message, "branch": branch}),
            request_id=request_id,
        )

    async def add_observations(
        self,
        observations: list[AdditionInput],
        branch: BranchName | None = None,
        expected_version: Version | None = None,
        check_conflicts: bool = True,
        *,
        request_id: str | None = None,
    ) -> Reply:
        """Add facts to entities that exist."""
        return await self.call(
            "add_observations",
            {"observations": observations, "check_conflicts": check_conflicts}
            | _given({"branch": branch, "expected_version": expected_version}),
            request_id=request_id,
        )

    async def update_entity(
        self,
        entityName: Name,
        name: Name | None = None,
        entityType: EntityType | None = None,
        always_include: bool | None = None,
        relevance_score: Fraction | None = None,
        expected_version: Version | None = None,
        branch: BranchName | None = None,
        *,
        request_id: str | None = None,
    ) -> Reply:
        """Rename an entity, or change its type, pin or relevance."""
        return await self.call(
            "update_entity",
            {"entityName": entityName}
            | _given(
                {
                    "name": name,
                    "entityType": entityType,
                    "always_include": always_include,
                    "relevance_score": relevance_score,
                    "expected_version": expected_version,
                    "branch": branch,
                }
            ),
            request_id=request_id,
        )

    async def confirm_entities(self, entityNames: Names, *, request_id: str | None = None) -> Reply:
        """Say that memories still hold: their age counts from now, and their relevance is full again."""
        return await self.call("confirm_entities", {"entityNames": entityNames}, request_id=request_id)

    async def delete_entities(self, entityNames: Names, *, request_id: str | None = None) -> Reply:
        """Take entities and their relations out of every read and search; their history stays."""
        return await self.call("delete_entities", {"entityNames": entityNames}, request_id=request_id)

    async def delete_observations(
        self,
        deletions: list[DeletionInput],
        branch: BranchName | None = None,
        expected_version: Version | None = None,
        *,
        request_id: str | None = None,
    ) -> Reply:
        """Remove facts from entities, each given word for word."""
        return await self.call(
            "delete_observations",
            {"deletions": deletions} | _given({"branch": branch, "expected_version": expected_version}),
            request_id=request_id,
        )

    async def open_nodes(
        self,
        names: Names,
        as_of: Instant | None = None,
        branch: BranchName | None = None,
        version: Version | None = None,
    ) -> Reply:
        """Read entities by their exact names, with the relations that touch them."""
        return await self.call(
            "open_nodes", {"names": names} | _given({"as_of": as_of, "branch": branch, "version": version})
        )

    async def read_graph(
        self,
        limit: int = 100,
        cursor: Cursor | None = None,
        entity_type: EntityType | None = None,
        as_of: Instant | None = None,
        max_tokens: int | None = None,
        branch: BranchName | None = None,
    ) -> Reply:
        """Page through everything that is remembered: entities, and the relations that start at them."""
        return await self.call(
            "read_graph",
            {"limit": limit}
            | _given(
                {
                    "cursor": cursor,
                    "entity_type": entity_type,
                    "as_of": as_of,
                    "max_tokens": max_tokens,
                    "branch": branch,
                }
            ),
        )

    async def import_graph(
        self, lines: list[LineInput], on_existing: OnExisting = "merge", *, request_id: str | None = None
    ) -> Reply:
        """Take in lines of a reference memory server's file, one JSON object each."""
        return await self.call("import_graph", {"lines": lines, "on_existing": on_existing}, request_id=request_id)

    async def preview_import(
        self,
        lines: list[LineInput],
        on_existing: OnExisting = "merge",
        assumed: list[Name] | None = None,
        *,
        request_id: str | None = None,
    ) -> Reply:
        """Tell what import_graph would do with these lines, and change nothing."""
        return await self.call(
            "preview_import",
            {"lines": lines, "on_existing": on_existing} | _given({"assumed": assumed}),
            request_id=request_id,
        )

    async def export_graph(self, cursor: Cursor | None = None, limit: int = 500, history: bool = False) -> Reply:
        """Give everything that is remembered as lines of a reference memory server's file, entities first."""
        return await self.call("export_graph", {"limit": limit, "history": history} | _given({"cursor": cursor}))

    async def detect_conflicts(
        self,
        entity_data: EntityDraft | None = None,
        entity_name: Name | None = None,
        threshold: Fraction = 0.85,
        *,
        request_id: str | None = None,
    ) -> Reply:
        """Find memories that contradict, update or repeat an entity, stored or not yet stored, surest first."""
        return await self.call(
            "detect_conflicts",
            {"threshold": threshold} | _given({"entity_data": entity_data, "entity_name": entity_name}),
            request_id=request_id,
        )

    async def detect_memory_conflicts(
        self,
        threshold: Fraction = 0.85,
        entity_type: EntityType | None = None,
        limit: int = 50,
        cursor: Cursor | None = None,
        *,
        request_id: str | None = None,
    ) -> Reply:
        """Search everything remembered for memories that contradict, update or repeat one another."""
        return await self.call(
            "detect_memory_conflicts",
            {"threshold": threshold, "limit": limit} | _given({"entity_type": entity_type, "cursor": cursor}),
            request_id=request_id,
        )

    async def list_conflicts(
        self,
        status: Literal["pending", "resolved", "ignored"] = "pending",
        limit: int = 50,
        cursor: Cursor | None = None,
    ) -> Reply:
        """List recorded conflicts with their evidence, oldest first."""
        return await self.call("list_conflicts", {"status": status, "limit": limit} | _given({"cursor": cursor}))

    async def get_context(self, query: str | None = None, max_tokens: int = 2000) -> Reply:
        """Give what to have in mind as one text within a token budget: pinned memories first, then the most
        relevant."""
        return await self.call("get_context", {"max_tokens": max_tokens} | _given({"query": query}))

    async def autonomous_curation(
        self, dry_run: bool = False, namespace: Line | None = None, *, request_id: str | None = None
    ) -> Reply:
        """Let the tiers manage themselves: move memories to the tier they belong to, with a reason for each."""
        return await self.call(
            "autonomous_curation", {"dry_run": dry_run} | _given({"namespace": namespace}), request_id=request_id
        )

    async def undo_curation(self, run_id: Line, *, request_id: str | None = None) -> Reply:
        """Put a curation back: tiers as they were, what it made deleted again, what it made grow as it was before."""
        return await self.call("undo_curation", {"run_id": run_id}, request_id=request_id)

    async def auto_extract_facts(
        self,
        conversation_text: str,
        session_id: Line | None = None,
        auto_store: bool = True,
        extraction_context: Message | None = None,
        extractor: Literal["rules", "llm"] = "rules",
        threshold: Fraction = 0.5,
        *,
        request_id: str | None = None,
    ) -> Reply:
        """Find the lasting facts of a conversation - preferences, rules, decisions, plans, events - and remember
        them."""
        return await self.call(
            "auto_extract_facts",
            {
                "conversation_text": conversation_text,
                "auto_store": auto_store,
                "extractor": extractor,
                "threshold": threshold,
            }
            | _given({"session_id": session_id, "extraction_context": extraction_context}),
            request_id=request_id,
        )

    async def prepare_extraction(self, conversation_text: str) -> Reply:
        """Tell what to ask a language model of one's own to have it find the facts; complete_extraction takes its
        answer."""
        return await self.call("prepare_extraction", {"conversation_text": conversation_text})

    async def complete_extraction(
        self,
        conversation_text: str,
        answer: str,
        session_id: Line | None = None,
        auto_store: bool = True,
        extraction_context: Message | None = None,
        threshold: Fraction = 0.5,
        *,
        request_id: str | None = None,
    ) -> Reply:
        """Remember the facts that a language model of one's own found, as auto_extract_facts does with those of its
        rules."""
        return await self.call(
            "complete_extraction",
            {"conversation_text": conversation_text, "answer": answer, "auto_store": auto_store, "threshold": threshold}
            | _given({"session_id": session_id, "extraction_context": extraction_context}),
            request_id=request_id,
        )

    async def get_system_health(self) -> Reply:
        """Tell whether the memory service is well: healthy, degraded or failing, each reason with what to do about
        it."""
        return await self.call("get_system_health")

    async def find_path(self, from_: Name, to: Name, max_hops: int = 4) -> Reply:
        """Find the shortest way from one entity to another along relations, in whichever direction they point."""
        return await self.call("find_path", {"from": from_, "to": to, "max_hops": max_hops})

    async def neighbors(self, name: Name, depth: int = 1, limit: int = 50) -> Reply:
        """Read what lies around an entity: the entities up to `depth` relations away, and the relations between
        them."""
        return await self.call("neighbors", {"name": name, "depth": depth, "limit": limit})

    async def execute_code(
        self,
        code: str,
        context_vars: dict[str, Any] | None = None,
        timeout_s: float = 30.0,
        read_only: bool = False,
        *,
        request_id: str | None = None,
    ) -> Reply:
        """Execute Python over the memories, to filter, group or count many of them without reading them all."""
        return await self.call(
            "execute_code",
            {"code": code, "timeout_s": timeout_s, "read_only": read_only} | _given({"context_vars": context_vars}),
            request_id=request_id,
        )

    async def create_relations(self, relations: list[RelationInput], *, request_id: str | None = None) -> Reply:
        """Relate entities that exist: Ann works_at Initech."""
        return await self.call("create_relations", {"relations": relations}, request_id=request_id)

    async def delete_relations(self, relations: list[RelationInput], *, request_id: str | None = None) -> Reply:
        """End relations between entities."""
        return await self.call("delete_relations", {"relations": relations}, request_id=request_id)

    async def resolve_conflict(
        self,
        conflict_id: int | None = None,
        conflict_data: ConflictData | None = None,
        strategy: Strategy = "auto",
        dry_run: bool = False,
        notes: Message | None = None,
        *,
        request_id: str | None = None,
    ) -> Reply:
        """Decide a conflict between two memories; it can be undone."""
        return await self.call(
            "resolve_conflict",
            {"strategy": strategy, "dry_run": dry_run}
            | _given({"conflict_id": conflict_id, "conflict_data": conflict_data, "notes": notes}),
            request_id=request_id,
        )

    async def reopen_conflict(
        self, conflict_id: int, keep_changes: bool = False, *, request_id: str | None = None
    ) -> Reply:
        """Undo the resolution of a conflict: both entities and their relations stand as before, and it is pending
        again."""
        return await self.call(
            "reopen_conflict", {"conflict_id": conflict_id, "keep_changes": keep_changes}, request_id=request_id
        )

    async def search_nodes(
        self,
        query: str,
        limit: int = 10,
        mode: Literal["auto", "lexical", "semantic", "hybrid"] = "auto",
        entity_type: EntityType | None = None,
        tier: Tier | None = None,
        namespaces: list[Line] | None = None,
        since: str | None = None,
        until: str | None = None,
        min_relevance: Fraction | None = None,
        detail: Literal["full", "matched", "names"] = "full",
        max_tokens: int | None = None,
        offset: int = 0,
        explain: bool = False,
        branch: BranchName | None = None,
    ) -> Reply:
        """Find memories by a plain question or by words in their names, types and observations, best first."""
        return await self.call(
            "search_nodes",
            {"query": query, "limit": limit, "mode": mode, "detail": detail, "offset": offset, "explain": explain}
            | _given(
                {
                    "entity_type": entity_type,
                    "tier": tier,
                    "namespaces": namespaces,
                    "since": since,
                    "until": until,
                    "min_relevance": min_relevance,
                    "max_tokens": max_tokens,
                    "branch": branch,
                }
            ),
        )

    async def save_skill(
        self,
        name: Name,
        code: str,
        description: Message,
        tags: list[Tag] | None = None,
        *,
        request_id: str | None = None,
    ) -> Reply:
        """Keep a procedure that worked: Python code under a name, to be run again with run_skill."""
        return await self.call(
            "save_skill",
            {"name": name, "code": code, "description": description} | _given({"tags": tags}),
            request_id=request_id,
        )

    async def run_skill(
        self,
        name: Name,
        args: dict[str, Any] | None = None,
        timeout_s: float = 30.0,
        version: Version | None = None,
        *,
        request_id: str | None = None,
    ) -> Reply:
        """Run a kept procedure; answers as execute_code does."""
        return await self.call(
            "run_skill",
            {"name": name, "timeout_s": timeout_s} | _given({"args": args, "version": version}),
            request_id=request_id,
        )

    async def list_skills(
        self, tag: Tag | None = None, name: Name | None = None, limit: int = 50, cursor: Cursor | None = None
    ) -> Reply:
        """List kept procedures by name, each in its newest version, with how its runs went."""
        return await self.call("list_skills", {"limit": limit} | _given({"tag": tag, "name": name, "cursor": cursor}))

    async def delete_skill(self, name: Name, *, request_id: str | None = None) -> Reply:
        """Take a kept procedure with all its versions out of every list and run."""
        return await self.call("delete_skill", {"name": name}, request_id=request_id)

    async def get_memory_status(self) -> Reply:
        """Tell how much is remembered: entities by type and tier, relations, versions, space saved, namespaces."""
        return await self.call("get_memory_status")

    async def ping(self) -> Reply:
        """Answer, so that a client knows the service is there and which version it is."""
        return await self.call("ping")

    async def list_running(self) -> Reply:
        """List the long operations under way, and how far each is."""
        return await self.call("list_running")

    async def wait_for_changes(self, after: int | None = None, timeout_s: float = 20.0) -> Reply:
        """Wait until something is written, by any client, and tell where; at once where that happened since `after`."""
        return await self.call("wait_for_changes", {"timeout_s": timeout_s} | _given({"after": after}))

    async def complete_names(self, beginning: str, limit: int = 20) -> Reply:
        """List names of entities that begin with some letters, for a person or program that fills in a name."""
        return await self.call("complete_names", {"beginning": beginning, "limit": limit})

    async def describe(self) -> Reply:
        """List every operation with its words and the JSON Schema of its parameters and reply."""
        return await self.call("describe")

    async def promote_to_tier(
        self,
        new_tier: Tier,
        entity_id: int | None = None,
        entityName: Name | None = None,
        reason: Message | None = None,
        *,
        request_id: str | None = None,
    ) -> Reply:
        """Move a memory to another tier: working (now), episodic (happened), semantic (known), procedural (how to)."""
        return await self.call(
            "promote_to_tier",
            {"new_tier": new_tier} | _given({"entity_id": entity_id, "entityName": entityName, "reason": reason}),
            request_id=request_id,
        )

    async def list_transitions(
        self, entityName: Name | None = None, run_id: Line | None = None, limit: int = 50, cursor: Cursor | None = None
    ) -> Reply:
        """List moves of memories from tier to tier, newest first, with their reasons."""
        return await self.call(
            "list_transitions",
            {"limit": limit} | _given({"entityName": entityName, "run_id": run_id, "cursor": cursor}),
        )

    async def backup(self, path: str | None = None, *, request_id: str | None = None) -> Reply:
        """Back up the whole store, all namespaces, into one compressed file that was checked after it was written."""
        return await self.call("backup", _given({"path": path}), request_id=request_id)

    async def verify_database(self, repair: bool = False, *, request_id: str | None = None) -> Reply:
        """Check the whole store: every page, checksum and version, every entry of the index, the ends of relations."""
        return await self.call("verify_database", {"repair": repair}, request_id=request_id)

    async def memory_history(
        self, entity_name: Name, branch: BranchName | None = None, limit: int = 20, cursor: Cursor | None = None
    ) -> Reply:
        """List an entity's versions, newest first: what each added and removed, when, by whom."""
        return await self.call(
            "memory_history",
            {"entity_name": entity_name, "limit": limit} | _given({"branch": branch, "cursor": cursor}),
        )

    async def memory_commit(
        self, entity_name: Name, message: Message, author: Line | None = None, *, request_id: str | None = None
    ) -> Reply:
        """Mark the entity's present state with a message, as a version of its own."""
        return await self.call(
            "memory_commit",
            {"entity_name": entity_name, "message": message} | _given({"author": author}),
            request_id=request_id,
        )

    async def memory_diff(
        self, entity_name: Name, version1: Version | None = None, version2: Version | None = None
    ) -> Reply:
        """Compare two versions of an entity: observations added and removed, name and type changed."""
        return await self.call(
            "memory_diff", {"entity_name": entity_name} | _given({"version1": version1, "version2": version2})
        )

    async def memory_revert(
        self, entity_name: Name, version: Version, message: Message | None = None, *, request_id: str | None = None
    ) -> Reply:
        """Bring back what an entity said at an earlier version, as a new version on top; also a deleted entity."""
        return await self.call(
            "memory_revert",
            {"entity_name": entity_name, "version": version} | _given({"message": message}),
            request_id=request_id,
        )

    async def memory_branch(
        self,
        entity_name: Name,
        branch_name: BranchName,
        from_version: Version | None = None,
        description: Message | None = None,
        checkout: bool = True,
        *,
        request_id: str | None = None,
    ) -> Reply:
        """Begin a branch of an entity, to try changes beside what stands."""
        return await self.call(
            "memory_branch",
            {"entity_name": entity_name, "branch_name": branch_name, "checkout": checkout}
            | _given({"from_version": from_version, "description": description}),
            request_id=request_id,
        )

    async def list_branches(self, entity_name: Name) -> Reply:
        """List an entity's branches with their newest versions."""
        return await self.call("list_branches", {"entity_name": entity_name})

    async def delete_branch(
        self, entity_name: Name, branch_name: BranchName, *, request_id: str | None = None
    ) -> Reply:
        """Drop a branch of an entity; its versions stay in the history."""
        return await self.call(
            "delete_branch", {"entity_name": entity_name, "branch_name": branch_name}, request_id=request_id
        )

    async def memory_checkout(
        self, entity_name: Name, branch_name: BranchName, *, request_id: str | None = None
    ) -> Reply:
        """Make reads and searches see another branch of an entity, for everyone."""
        return await self.call(
            "memory_checkout", {"entity_name": entity_name, "branch_name": branch_name}, request_id=request_id
        )

    async def memory_merge(
        self,
        entity_name: Name,
        source_branch: BranchName,
        target_branch: BranchName = "main",
        dry_run: bool = False,
        prefer: Literal["source", "target"] | None = None,
        *,
        request_id: str | None = None,
    ) -> Reply:
        """Merge one branch of an entity into another, observation by observation, from where they parted."""
        return await self.call(
            "memory_merge",
            {
                "entity_name": entity_name,
                "source_branch": source_branch,
                "target_branch": target_branch,
                "dry_run": dry_run,
            }
            | _given({"prefer": prefer}),
            request_id=request_id,
        )

    async def what_changed(
        self, since: Instant, until: Instant | None = None, limit: int = 100, cursor: Cursor | None = None
    ) -> Reply:
        """List what changed in this memory between two times, oldest first: versions of entities, relations made and
        ended."""
        return await self.call(
            "what_changed", {"since": since, "limit": limit} | _given({"until": until, "cursor": cursor})
        )

    async def purge_entities(self, entityNames: Names, confirm: bool, *, request_id: str | None = None) -> Reply:
        """Erase entities for good, with history, relations, index and every copy in the database file."""
        return await self.call(
            "purge_entities", {"entityNames": entityNames, "confirm": confirm}, request_id=request_id
        )


class BlockingMethods(ABC):
    """Every operation, by way of `call`."""

    @abstractmethod
    def call(self, method: str, params: Mapping[str, Any] | None = None, *, request_id: str | None = None) -> Reply:
        """The reply to one request."""

    def create_entities(
        self,
        entities: list[EntityInput],
        on_existing: OnExisting = "merge",
        commit_message: Message | None = None,
        branch: BranchName | None = None,
        check_conflicts: bool = True,
        *,
        request_id: str | None = None,
    ) -> Reply:
        """Remember people, projects, preferences, decisions: one entity per thing, short facts as observations."""
        return self.call(
            "create_entities",
            {"entities": entities, "on_existing": on_existing, "check_conflicts": check_conflicts}
            | _given({"commit_message": commit_message, "branch": branch}),
            request_id=request_id,
        )

    def add_observations(
        self,
        observations: list[AdditionInput],
        branch: BranchName | None = None,
        expected_version: Version | None = None,
        check_conflicts: bool = True,
        *,
        request_id: str | None = None,
    ) -> Reply:
        """Add facts to entities that exist."""
        return self.call(
            "add_observations",
            {"observations": observations, "check_conflicts": check_conflicts}
            | _given({"branch": branch, "expected_version": expected_version}),
            request_id=request_id,
        )

    def update_entity(
        self,
        entityName: Name,
        name: Name | None = None,
        entityType: EntityType | None = None,
        always_include: bool | None = None,
        relevance_score: Fraction | None = None,
        expected_version: Version | None = None,
        branch: BranchName | None = None,
        *,
        request_id: str | None = None,
    ) -> Reply:
        """Rename an entity, or change its type, pin or relevance."""
        return self.call(
            "update_entity",
            {"entityName": entityName}
            | _given(
                {
                    "name": name,
                    "entityType": entityType,
                    "always_include": always_include,
                    "relevance_score": relevance_score,
                    "expected_version": expected_version,
                    "branch": branch,
                }
            ),
            request_id=request_id,
        )

    def confirm_entities(self, entityNames: Names, *, request_id: str | None = None) -> Reply:
        """Say that memories still hold: their age counts from now, and their relevance is full again."""
        return self.call("confirm_entities", {"entityNames": entityNames}, request_id=request_id)

    def delete_entities(self, entityNames: Names, *, request_id: str | None = None) -> Reply:
        """Take entities and their relations out of every read and search; their history stays."""
        return self.call("delete_entities", {"entityNames": entityNames}, request_id=request_id)

    def delete_observations(
        self,
        deletions: list[DeletionInput],
        branch: BranchName | None = None,
        expected_version: Version | None = None,
        *,
        request_id: str | None = None,
    ) -> Reply:
        """Remove facts from entities, each given word for word."""
        return self.call(
            "delete_observations",
            {"deletions": deletions} | _given({"branch": branch, "expected_version": expected_version}),
            request_id=request_id,
        )

    def open_nodes(
        self,
        names: Names,
        as_of: Instant | None = None,
        branch: BranchName | None = None,
        version: Version | None = None,
    ) -> Reply:
        """Read entities by their exact names, with the relations that touch them."""
        return self.call(
            "open_nodes", {"names": names} | _given({"as_of": as_of, "branch": branch, "version": version})
        )

    def read_graph(
        self,
        limit: int = 100,
        cursor: Cursor | None = None,
        entity_type: EntityType | None = None,
        as_of: Instant | None = None,
        max_tokens: int | None = None,
        branch: BranchName | None = None,
    ) -> Reply:
        """Page through everything that is remembered: entities, and the relations that start at them."""
        return self.call(
            "read_graph",
            {"limit": limit}
            | _given(
                {
                    "cursor": cursor,
                    "entity_type": entity_type,
                    "as_of": as_of,
                    "max_tokens": max_tokens,
                    "branch": branch,
                }
            ),
        )

    def import_graph(
        self, lines: list[LineInput], on_existing: OnExisting = "merge", *, request_id: str | None = None
    ) -> Reply:
        """Take in lines of a reference memory server's file, one JSON object each."""
        return self.call("import_graph", {"lines": lines, "on_existing": on_existing}, request_id=request_id)

    def preview_import(
        self,
        lines: list[LineInput],
        on_existing: OnExisting = "merge",
        assumed: list[Name] | None = None,
        *,
        request_id: str | None = None,
    ) -> Reply:
        """Tell what import_graph would do with these lines, and change nothing."""
        return self.call(
            "preview_import",
            {"lines": lines, "on_existing": on_existing} | _given({"assumed": assumed}),
            request_id=request_id,
        )

    def export_graph(self, cursor: Cursor | None = None, limit: int = 500, history: bool = False) -> Reply:
        """Give everything that is remembered as lines of a reference memory server's file, entities first."""
        return self.call("export_graph", {"limit": limit, "history": history} | _given({"cursor": cursor}))

    def detect_conflicts(
        self,
        entity_data: EntityDraft | None = None,
        entity_name: Name | None = None,
        threshold: Fraction = 0.85,
        *,
        request_id: str | None = None,
    ) -> Reply:
        """Find memories that contradict, update or repeat an entity, stored or not yet stored, surest first."""
        return self.call(
            "detect_conflicts",
            {"threshold": threshold} | _given({"entity_data": entity_data, "entity_name": entity_name}),
            request_id=request_id,
        )

    def detect_memory_conflicts(
        self,
        threshold: Fraction = 0.85,
        entity_type: EntityType | None = None,
        limit: int = 50,
        cursor: Cursor | None = None,
        *,
        request_id: str | None = None,
    ) -> Reply:
        """Search everything remembered for memories that contradict, update or repeat one another."""
        return self.call(
            "detect_memory_conflicts",
            {"threshold": threshold, "limit": limit} | _given({"entity_type": entity_type, "cursor": cursor}),
            request_id=request_id,
        )

    def list_conflicts(
        self,
        status: Literal["pending", "resolved", "ignored"] = "pending",
        limit: int = 50,
        cursor: Cursor | None = None,
    ) -> Reply:
        """List recorded conflicts with their evidence, oldest first."""
        return self.call("list_conflicts", {"status": status, "limit": limit} | _given({"cursor": cursor}))

    def get_context(self, query: str | None = None, max_tokens: int = 2000) -> Reply:
        """Give what to have in mind as one text within a token budget: pinned memories first, then the most
        relevant."""
        return self.call("get_context", {"max_tokens": max_tokens} | _given({"query": query}))

    def autonomous_curation(
        self, dry_run: bool = False, namespace: Line | None = None, *, request_id: str | None = None
    ) -> Reply:
        """Let the tiers manage themselves: move memories to the tier they belong to, with a reason for each."""
        return self.call(
            "autonomous_curation", {"dry_run": dry_run} | _given({"namespace": namespace}), request_id=request_id
        )

    def undo_curation(self, run_id: Line, *, request_id: str | None = None) -> Reply:
        """Put a curation back: tiers as they were, what it made deleted again, what it made grow as it was before."""
        return self.call("undo_curation", {"run_id": run_id}, request_id=request_id)

    def auto_extract_facts(
        self,
        conversation_text: str,
        session_id: Line | None = None,
        auto_store: bool = True,
        extraction_context: Message | None = None,
        extractor: Literal["rules", "llm"] = "rules",
        threshold: Fraction = 0.5,
        *,
        request_id: str | None = None,
    ) -> Reply:
        """Find the lasting facts of a conversation - preferences, rules, decisions, plans, events - and remember
        them."""
        return self.call(
            "auto_extract_facts",
            {
                "conversation_text": conversation_text,
                "auto_store": auto_store,
                "extractor": extractor,
                "threshold": threshold,
            }
            | _given({"session_id": session_id, "extraction_context": extraction_context}),
            request_id=request_id,
        )

    def prepare_extraction(self, conversation_text: str) -> Reply:
        """Tell what to ask a language model of one's own to have it find the facts; complete_extraction takes its
        answer."""
        return self.call("prepare_extraction", {"conversation_text": conversation_text})

    def complete_extraction(
        self,
        conversation_text: str,
        answer: str,
        session_id: Line | None = None,
        auto_store: bool = True,
        extraction_context: Message | None = None,
        threshold: Fraction = 0.5,
        *,
        request_id: str | None = None,
    ) -> Reply:
        """Remember the facts that a language model of one's own found, as auto_extract_facts does with those of its
        rules."""
        return self.call(
            "complete_extraction",
            {"conversation_text": conversation_text, "answer": answer, "auto_store": auto_store, "threshold": threshold}
            | _given({"session_id": session_id, "extraction_context": extraction_context}),
            request_id=request_id,
        )

    def get_system_health(self) -> Reply:
        """Tell whether the memory service is well: healthy, degraded or failing, each reason with what to do about
        it."""
        return self.call("get_system_health")

    def find_path(self, from_: Name, to: Name, max_hops: int = 4) -> Reply:
        """Find the shortest way from one entity to another along relations, in whichever direction they point."""
        return self.call("find_path", {"from": from_, "to": to, "max_hops": max_hops})

    def neighbors(self, name: Name, depth: int = 1, limit: int = 50) -> Reply:
        """Read what lies around an entity: the entities up to `depth` relations away, and the relations between
        them."""
        return self.call("neighbors", {"name": name, "depth": depth, "limit": limit})

    def execute_code(
        self,
        code: str,
        context_vars: dict[str, Any] | None = None,
        timeout_s: float = 30.0,
        read_only: bool = False,
        *,
        request_id: str | None = None,
    ) -> Reply:
        """Execute Python over the memories, to filter, group or count many of them without reading them all."""
        return self.call(
            "execute_code",
            {"code": code, "timeout_s": timeout_s, "read_only": read_only} | _given({"context_vars": context_vars}),
            request_id=request_id,
        )

    def create_relations(self, relations: list[RelationInput], *, request_id: str | None = None) -> Reply:
        """Relate entities that exist: Ann works_at Initech."""
        return self.call("create_relations", {"relations": relations}, request_id=request_id)

    def delete_relations(self, relations: list[RelationInput], *, request_id: str | None = None) -> Reply:
        """End relations between entities."""
        return self.call("delete_relations", {"relations": relations}, request_id=request_id)

    def resolve_conflict(
        self,
        conflict_id: int | None = None,
        conflict_data: ConflictData | None = None,
        strategy: Strategy = "auto",
        dry_run: bool = False,
        notes: Message | None = None,
        *,
        request_id: str | None = None,
    ) -> Reply:
        """Decide a conflict between two memories; it can be undone."""
        return self.call(
            "resolve_conflict",
            {"strategy": strategy, "dry_run": dry_run}
            | _given({"conflict_id": conflict_id, "conflict_data": conflict_data, "notes": notes}),
            request_id=request_id,
        )

    def reopen_conflict(self, conflict_id: int, keep_changes: bool = False, *, request_id: str | None = None) -> Reply:
        """Undo the resolution of a conflict: both entities and their relations stand as before, and it is pending
        again."""
        return self.call(
            "reopen_conflict", {"conflict_id": conflict_id, "keep_changes": keep_changes}, request_id=request_id
        )

    def search_nodes(
        self,
        query: str,
        limit: int = 10,
        mode: Literal["auto", "lexical", "semantic", "hybrid"] = "auto",
        entity_type: EntityType | None = None,
        tier: Tier | None = None,
        namespaces: list[Line] | None = None,
        since: str | None = None,
        until: str | None = None,
        min_relevance: Fraction | None = None,
        detail: Literal["full", "matched", "names"] = "full",
        max_tokens: int | None = None,
        offset: int = 0,
        explain: bool = False,
        branch: BranchName | None = None,
    ) -> Reply:
        """Find memories by a plain question or by words in their names, types and observations, best first."""
        return self.call(
            "search_nodes",
            {"query": query, "limit": limit, "mode": mode, "detail": detail, "offset": offset, "explain": explain}
            | _given(
                {
                    "entity_type": entity_type,
                    "tier": tier,
                    "namespaces": namespaces,
                    "since": since,
                    "until": until,
                    "min_relevance": min_relevance,
                    "max_tokens": max_tokens,
                    "branch": branch,
                }
            ),
        )

    def save_skill(
        self,
        name: Name,
        code: str,
        description: Message,
        tags: list[Tag] | None = None,
        *,
        request_id: str | None = None,
    ) -> Reply:
        """Keep a procedure that worked: Python code under a name, to be run again with run_skill."""
        return self.call(
            "save_skill",
            {"name": name, "code": code, "description": description} | _given({"tags": tags}),
            request_id=request_id,
        )

    def run_skill(
        self,
        name: Name,
        args: dict[str, Any] | None = None,
        timeout_s: float = 30.0,
        version: Version | None = None,
        *,
        request_id: str | None = None,
    ) -> Reply:
        """Run a kept procedure; answers as execute_code does."""
        return self.call(
            "run_skill",
            {"name": name, "timeout_s": timeout_s} | _given({"args": args, "version": version}),
            request_id=request_id,
        )

    def list_skills(
        self, tag: Tag | None = None, name: Name | None = None, limit: int = 50, cursor: Cursor | None = None
    ) -> Reply:
        """List kept procedures by name, each in its newest version, with how its runs went."""
        return self.call("list_skills", {"limit": limit} | _given({"tag": tag, "name": name, "cursor": cursor}))

    def delete_skill(self, name: Name, *, request_id: str | None = None) -> Reply:
        """Take a kept procedure with all its versions out of every list and run."""
        return self.call("delete_skill", {"name": name}, request_id=request_id)

    def get_memory_status(self) -> Reply:
        """Tell how much is remembered: entities by type and tier, relations, versions, space saved, namespaces."""
        return self.call("get_memory_status")

    def ping(self) -> Reply:
        """Answer, so that a client knows the service is there and which version it is."""
        return self.call("ping")

    def list_running(self) -> Reply:
        """List the long operations under way, and how far each is."""
        return self.call("list_running")

    def wait_for_changes(self, after: int | None = None, timeout_s: float = 20.0) -> Reply:
        """Wait until something is written, by any client, and tell where; at once where that happened since `after`."""
        return self.call("wait_for_changes", {"timeout_s": timeout_s} | _given({"after": after}))

    def complete_names(self, beginning: str, limit: int = 20) -> Reply:
        """List names of entities that begin with some letters, for a person or program that fills in a name."""
        return self.call("complete_names", {"beginning": beginning, "limit": limit})

    def describe(self) -> Reply:
        """List every operation with its words and the JSON Schema of its parameters and reply."""
        return self.call("describe")

    def promote_to_tier(
        self,
        new_tier: Tier,
        entity_id: int | None = None,
        entityName: Name | None = None,
        reason: Message | None = None,
        *,
        request_id: str | None = None,
    ) -> Reply:
        """Move a memory to another tier: working (now), episodic (happened), semantic (known), procedural (how to)."""
        return self.call(
            "promote_to_tier",
            {"new_tier": new_tier} | _given({"entity_id": entity_id, "entityName": entityName, "reason": reason}),
            request_id=request_id,
        )

    def list_transitions(
        self, entityName: Name | None = None, run_id: Line | None = None, limit: int = 50, cursor: Cursor | None = None
    ) -> Reply:
        """List moves of memories from tier to tier, newest first, with their reasons."""
        return self.call(
            "list_transitions",
            {"limit": limit} | _given({"entityName": entityName, "run_id": run_id, "cursor": cursor}),
        )

    def backup(self, path: str | None = None, *, request_id: str | None = None) -> Reply:
        """Back up the whole store, all namespaces, into one compressed file that was checked after it was written."""
        return self.call("backup", _given({"path": path}), request_id=request_id)

    def verify_database(self, repair: bool = False, *, request_id: str | None = None) -> Reply:
        """Check the whole store: every page, checksum and version, every entry of the index, the ends of relations."""
        return self.call("verify_database", {"repair": repair}, request_id=request_id)

    def memory_history(
        self, entity_name: Name, branch: BranchName | None = None, limit: int = 20, cursor: Cursor | None = None
    ) -> Reply:
        """List an entity's versions, newest first: what each added and removed, when, by whom."""
        return self.call(
            "memory_history",
            {"entity_name": entity_name, "limit": limit} | _given({"branch": branch, "cursor": cursor}),
        )

    def memory_commit(
        self, entity_name: Name, message: Message, author: Line | None = None, *, request_id: str | None = None
    ) -> Reply:
        """Mark the entity's present state with a message, as a version of its own."""
        return self.call(
            "memory_commit",
            {"entity_name": entity_name, "message": message} | _given({"author": author}),
            request_id=request_id,
        )

    def memory_diff(self, entity_name: Name, version1: Version | None = None, version2: Version | None = None) -> Reply:
        """Compare two versions of an entity: observations added and removed, name and type changed."""
        return self.call(
            "memory_diff", {"entity_name": entity_name} | _given({"version1": version1, "version2": version2})
        )

    def memory_revert(
        self, entity_name: Name, version: Version, message: Message | None = None, *, request_id: str | None = None
    ) -> Reply:
        """Bring back what an entity said at an earlier version, as a new version on top; also a deleted entity."""
        return self.call(
            "memory_revert",
            {"entity_name": entity_name, "version": version} | _given({"message": message}),
            request_id=request_id,
        )

    def memory_branch(
        self,
        entity_name: Name,
        branch_name: BranchName,
        from_version: Version | None = None,
        description: Message | None = None,
        checkout: bool = True,
        *,
        request_id: str | None = None,
    ) -> Reply:
        """Begin a branch of an entity, to try changes beside what stands."""
        return self.call(
            "memory_branch",
            {"entity_name": entity_name, "branch_name": branch_name, "checkout": checkout}
            | _given({"from_version": from_version, "description": description}),
            request_id=request_id,
        )

    def list_branches(self, entity_name: Name) -> Reply:
        """List an entity's branches with their newest versions."""
        return self.call("list_branches", {"entity_name": entity_name})

    def delete_branch(self, entity_name: Name, branch_name: BranchName, *, request_id: str | None = None) -> Reply:
        """Drop a branch of an entity; its versions stay in the history."""
        return self.call(
            "delete_branch", {"entity_name": entity_name, "branch_name": branch_name}, request_id=request_id
        )

    def memory_checkout(self, entity_name: Name, branch_name: BranchName, *, request_id: str | None = None) -> Reply:
        """Make reads and searches see another branch of an entity, for everyone."""
        return self.call(
            "memory_checkout", {"entity_name": entity_name, "branch_name": branch_name}, request_id=request_id
        )

    def memory_merge(
        self,
        entity_name: Name,
        source_branch: BranchName,
        target_branch: BranchName = "main",
        dry_run: bool = False,
        prefer: Literal["source", "target"] | None = None,
        *,
        request_id: str | None = None,
    ) -> Reply:
        """Merge one branch of an entity into another, observation by observation, from where they parted."""
        return self.call(
            "memory_merge",
            {
                "entity_name": entity_name,
                "source_branch": source_branch,
                "target_branch": target_branch,
                "dry_run": dry_run,
            }
            | _given({"prefer": prefer}),
            request_id=request_id,
        )

    def what_changed(
        self, since: Instant, until: Instant | None = None, limit: int = 100, cursor: Cursor | None = None
    ) -> Reply:
        """List what changed in this memory between two times, oldest first: versions of entities, relations made and
        ended."""
        return self.call("what_changed", {"since": since, "limit": limit} | _given({"until": until, "cursor": cursor}))

    def purge_entities(self, entityNames: Names, confirm: bool, *, request_id: str | None = None) -> Reply:
        """Erase entities for good, with history, relations, index and every copy in the database file."""
        return self.call("purge_entities", {"entityNames": entityNames, "confirm": confirm}, request_id=request_id)
