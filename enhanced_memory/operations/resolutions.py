"""Resolutions: deciding a conflict between two memories, and undoing the decision.

What a resolution changed is kept as numbers beside the conflict; the contents themselves lie in the history.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field

from enhanced_memory.errors import AlreadyExists, InvalidParams, NotFound, TooLarge, VersionConflict
from enhanced_memory.operations.branching import past, view
from enhanced_memory.operations.words import damaged, relation
from enhanced_memory.registry import operation
from enhanced_memory.rules import conflicts as judging
from enhanced_memory.rules import resolving as rules
from enhanced_memory.rules.merging import merged_observations
from enhanced_memory.rules.owners import owner_of
from enhanced_memory.shapes import (
    MAX_OBSERVATIONS,
    ConflictData,
    Message,
    Reopened,
    ReopeningDetails,
    Resolved,
    Strategy,
)
from enhanced_memory.store.base import NO_LONGER_SAID, Change, Edge, Entity, Finding, Link, Resolution

if TYPE_CHECKING:
    from enhanced_memory.context import Context

_TAKEN = {"merge": "merged", "update": "updated", "branch": "branched", "ignore": "ignored"}

_JUDGED = 50
"""Observations of either entity, the last ones, that are looked through for evidence of a conflict a caller tells of:
whole lists of thousands would hold up other writes for a minute."""

_KEPT = (
    "version",
    "branch",
    "always_include",
    "relevance_score",
    "last_confirmed",
    "conflict_resolution_method",
    "updated_at",
)
"""What is noted of an entity before and after a resolution; no text of its content."""


@dataclass
class _Plan:
    """What resolving is to do. `moves` are the newer's relations, with where each goes (None: nowhere)."""

    strategy: str
    older: Entity
    newer: Entity
    contents: Sequence[str] = ()
    branch: str | None = None
    older_gets: dict[str, Any] = field(default_factory=dict)
    newer_gets: dict[str, Any] = field(default_factory=dict)
    moves: list[tuple[Link, rules.Ends | None]] = field(default_factory=list)

    @property
    def leaves(self) -> bool:
        """Whether the newer one leaves the reads."""
        return self.strategy in ("merge", "branch")

    @property
    def steps(self) -> tuple[bool, bool]:
        """Whether the older and the newer get a version."""
        return self.strategy != "ignore", self.leaves or bool(self.newer_gets)

    def moved(self, link: Link, ends: rules.Ends) -> Edge:
        """A relation of the newer as the older has it."""
        source = link.edge.source if ends[0] == link.source_id else self.older.name
        target = link.edge.target if ends[1] == link.target_id else self.older.name
        return replace(link.edge, source=source, target=target)


@operation(writes=True, core=True, destructive=True)
def resolve_conflict(
    ctx: Context,
    conflict_id: Annotated[int | None, Field(ge=1, le=2**53, description="A conflict on record.")] = None,
    conflict_data: Annotated[ConflictData | None, Field(description="Or two entities by number.")] = None,
    strategy: Annotated[
        Strategy,
        Field(
            description="merge makes them one; update lets the newer count more; branch keeps the newer as a branch of"
            " the older; ignore lets both stand; auto leaves contradictions pending."
        ),
    ] = "auto",
    dry_run: Annotated[bool, Field(description="Only tell what would happen.")] = False,
    notes: Annotated[Message | None, Field(description="Why; kept with the conflict.")] = None,
) -> Resolved:
    """Decide a conflict between two memories; it can be undone.

    Use after detect_conflicts; a contradiction only as the user wants; try dry_run first. Tells what was done and to
    whom. Example: resolve_conflict(conflict_id=7, strategy='merge', dry_run=True)

    Which of the two is older is told by when they were created. merge: the older gets the newer's observations, pin and
    relations, and the higher relevance. update: the newer's relevance becomes 1.0, the older's 0.7 at most. branch: the
    newer's type and observations become the branch conflict-<id> of the older, which gets its relations; memory_merge
    or memory_checkout adopts it. With merge and branch the newer leaves reads and searches and keeps its history. Of
    two like relations the older's stays; those between the two end. reopen_conflict undoes it.

    Raises: NotFound: no such conflict, or an entity is gone. VersionConflict: it was decided already. InvalidParams:
    not exactly one of conflict_id and conflict_data. TooLarge: merged they hold more than 10,000 observations.
    """
    if (conflict_id is None) == (conflict_data is None):
        raise InvalidParams("resolve_conflict takes conflict_id or conflict_data", details={"path": "conflict_id"})
    number, finding, older, newer = _named(ctx, conflict_id, conflict_data)
    chosen = rules.FOR_KIND.get(finding.kind) if strategy == "auto" else strategy
    if number is None and not dry_run:
        number = ctx.store.conflicts.record(finding)
    if chosen is None:
        return _told(ctx, number, finding, _Plan("auto", older, newer), dry_run)
    plan = _planned(ctx, number or ctx.store.conflicts.next_number(), chosen, older, newer)
    told = _told(ctx, number, finding, plan, dry_run)
    if number is not None and not dry_run:
        undo = _carried_out(ctx, number, plan)
        status = "ignored" if chosen == "ignore" else "resolved"
        ctx.store.conflicts.resolve(number, Resolution(status, chosen, ctx.now, notes, undo))
    return told


@operation(writes=True)
def reopen_conflict(
    ctx: Context,
    conflict_id: Annotated[int, Field(ge=1, le=2**53, description="A conflict that was resolved or ignored.")],
    keep_changes: Annotated[
        bool,
        Field(description="Reopen it although what it made was changed since; such changes stay with the older."),
    ] = False,
) -> Reopened:
    """Undo the resolution of a conflict: both entities and their relations stand as before, and it is pending again.

    Use when a resolution turned out wrong. Contents, versions, branches, pins, relevance and relations go back to what
    they were; what was done and undone stays in the history. Changes made since are never lost: those that undoing
    would overwrite are named in an error, and with keep_changes they stay in the older entity, as a new version.

    Raises: NotFound: no such conflict. VersionConflict: it is pending; a later resolution of the same memories must be
    reopened first; something was changed since. AlreadyExists: another entity has the name of one that would come back.
    """
    finding = _on_record(ctx, conflict_id)
    done = finding.resolution
    if done is None:
        raise VersionConflict(
            f"conflict {conflict_id} is pending already",
            hint="list_conflicts with status=resolved names those that can be reopened",
            details={"conflict_id": conflict_id},
        )
    details = ReopeningDetails(exact=True, relations_restored=[], relations_lost=[], kept_observations=[], versions={})
    traces: list[tuple[int, int]] = []
    names: list[str] = []
    if "older" in done.undo:
        undoing = _Undoing(ctx, conflict_id, done, {e.id: e for e in _both(ctx, finding)}, details)
        undoing.check(keep_changes)
        traces, names = undoing.carry_out()
    ctx.store.conflicts.reopen(conflict_id, traces)
    return {
        "conflict_id": conflict_id,
        "status": "pending",
        "undone": done.strategy,
        "updated_entities": names,
        "details": details,
    }


# ------------------------------------------------------------------------------------------------------------ resolving


def _on_record(ctx: Context, number: int) -> Finding:
    """The conflict of that number. Raises: NotFound."""
    finding = ctx.store.conflicts.get(number)
    if finding is None:
        raise NotFound(
            f"there is no conflict {number}", hint="list_conflicts names them", details={"conflict_id": number}
        )
    return finding


def _both(ctx: Context, finding: Finding) -> list[Entity]:
    return ctx.store.entities.even_deleted([finding.entity_id, finding.other_id])


def _named(ctx: Context, number: int | None, data: ConflictData | None) -> tuple[int | None, Finding, Entity, Entity]:
    """The pending conflict a caller means, with its number if it is on record, and its entities, the older first.

    Raises: NotFound, VersionConflict, InvalidParams, Corrupt.
    """
    if data is not None:
        number = ctx.store.conflicts.find(data["entity_id"], data["existing_id"], data["conflict_type"])
    finding = None if number is None else _on_record(ctx, number)
    done = None if finding is None else finding.resolution
    if data is not None and done is not None and done.strategy == NO_LONGER_SAID:
        number = finding = done = None  # the caller tells of another one
    if done is not None:
        by = "its evidence is no longer there" if done.strategy == NO_LONGER_SAID else f"by {done.strategy}"
        raise VersionConflict(
            f"conflict {number} is {done.status} already, {by}",
            hint="reopen_conflict undoes that",
            details={"conflict_id": number, "status": done.status},
        )
    if finding is not None:
        first, second = (_living(ctx, one) for one in (finding.entity_id, finding.other_id))
    elif data is None:
        raise ValueError("neither a number nor data")
    elif data["entity_id"] == data["existing_id"]:
        raise InvalidParams("an entity is in no conflict with itself", details={"path": "conflict_data.existing_id"})
    else:
        first, second = (_living(ctx, one) for one in (data["entity_id"], data["existing_id"]))
        finding = _claimed(first, second, data)
    older, newer = sorted((first, second), key=lambda entity: (entity.created_at, entity.id))
    return number, finding, older, newer


def _living(ctx: Context, number: int) -> Entity:
    """The entity of that number. Raises: NotFound: it is not there, or no longer; Corrupt."""
    entity = ctx.store.entities.by_ids([number]).get(number)
    if entity is None or entity.namespace != ctx.store.namespace:
        known = [one for one in ctx.store.entities.even_deleted([number]) if one.namespace == ctx.store.namespace]
        gone = (
            f"entity {known[0].name!r} is no longer there" if known else f"there is no entity with the number {number}"
        )
        hint = "memory_revert brings a deleted one back" if known else "`id` in search results is an entity's number"
        raise NotFound(gone, hint=hint, details={"entity_id": number})
    if entity.damage is not None:
        raise damaged(entity)
    return entity


def _claimed(new: Entity, existing: Entity, data: ConflictData) -> Finding:
    """A conflict that a caller tells of, with the evidence there is for it; who says so is sure."""
    owners = owner_of(existing.name, existing.entity_type), owner_of(new.name, new.entity_type)
    verdict = judging.compare(existing.observations[-_JUDGED:], new.observations[-_JUDGED:], owners=owners)
    fits = verdict is not None and verdict.conflict_type == data["conflict_type"]
    evidence = [
        {"new": one.new, "existing": one.existing, "reason": one.reason, "confidence": round(one.confidence, 3)}
        for one in (verdict.evidence if verdict is not None and fits else ())
    ]
    kind = data["conflict_type"]
    return Finding(new.name, new.id, existing.name, existing.id, kind, 1.0, judging.ACTIONS[kind], evidence)


def _planned(ctx: Context, number: int, strategy: str, older: Entity, newer: Entity) -> _Plan:
    """What a strategy does to two entities. Raises: TooLarge."""
    plan = _Plan(strategy, older, newer)
    if strategy == "update":
        plan.older_gets = {"relevance_score": min(older.relevance_score, rules.OUTDATED)}
        plan.newer_gets = {} if newer.relevance_score == 1.0 else {"relevance_score": 1.0}
    if strategy == "merge":
        known = set(older.observations)
        plan.contents = [*older.observations, *(text for text in newer.observations if text not in known)]
        if len(plan.contents) > MAX_OBSERVATIONS:
            raise TooLarge(
                f"{older.name!r} would hold {len(plan.contents):,} observations; the most is {MAX_OBSERVATIONS:,}",
                hint="resolve it by update or branch",
                details={"entity": older.name},
            )
        plan.older_gets = {
            "always_include": older.always_include or newer.always_include,
            "relevance_score": max(older.relevance_score, newer.relevance_score),
            "last_confirmed": max(filter(None, (older.last_confirmed, newer.last_confirmed)), default=None),
        }
    if strategy == "branch":
        plan.contents = newer.observations
        plan.branch = name = f"conflict-{number}"
        again = 1
        while ctx.store.branches.head(older, plan.branch) is not None:
            again += 1
            plan.branch = f"{name}-{again}"
    if plan.leaves:
        taken = {_ends(link) for link in ctx.store.relations.of(older.id)}
        for link in ctx.store.relations.of(newer.id):
            image = rules.moved(_ends(link), newer.id, older.id, taken)
            taken |= {image} if image else set()
            plan.moves.append((link, image))
    return plan


def _carried_out(ctx: Context, number: int, plan: _Plan) -> dict[str, Any]:
    """Do what was planned; returns what undoing it needs."""
    if plan.strategy == "ignore":
        return {}
    entities, before = ctx.store.entities, (plan.older, plan.newer)

    def step(action: str) -> Change:
        return Change(action, f"conflict {number}: {plan.strategy}", ctx.caller.client, method="manual")

    for link, image in plan.moves:
        ctx.store.relations.delete(*_ends(link))
        if image is not None:
            ctx.store.relations.create(plan.moved(link, image), image[0], image[1])
    older, newer, aside = plan.older, plan.newer, None
    if plan.strategy == "merge":
        older = entities.update(
            older, step("merged"), observations=plan.contents, attributes=plan.older_gets, anyway=True
        )
    if plan.strategy == "update":
        outdated = plan.older_gets | {"conflict_resolution_method": plan.strategy}
        older = entities.update(older, step("outdated"), attributes=outdated, anyway=True)
        if plan.newer_gets:
            newer = entities.update(newer, step("updated"), attributes=plan.newer_gets, anyway=True)
    if plan.branch is not None:
        tip = past(ctx, older, older.version)
        ctx.store.branches.create(older, plan.branch, older.version, f"conflict {number}")
        aside = ctx.store.versions.append_aside(
            older, tip, plan.branch, step("branched"), newer.entity_type, plan.contents
        )
    if plan.leaves:
        newer = entities.merge_away(newer, step("merged_away"), older, plan.strategy)
    numbers = {_ends(link): link.number for link in ctx.store.relations.of(older.id)} if plan.moves else {}
    return {
        "older": plan.older.id,
        "sides": [
            {"id": old.id, "before": _noted(old), "after": _noted(new)}
            for old, new in zip(before, (older, newer), strict=True)
            if old is not new
        ],
        "relations": [[link.number, None if image is None else numbers[image]] for link, image in plan.moves],
        "branch": plan.branch,
        "aside": aside,
    }


def _told(ctx: Context, number: int | None, finding: Finding, plan: _Plan, dry_run: bool) -> Resolved:
    """The reply, whether it happened or only would."""
    undecided = plan.strategy == "auto"
    older, newer = plan.older, plan.newer
    steps = (False, False) if undecided else plan.steps
    known = set(older.observations)
    relevance = {
        entity.name: gets["relevance_score"]
        for entity, gets in ((older, plan.older_gets), (newer, plan.newer_gets))
        if gets.get("relevance_score", entity.relevance_score) != entity.relevance_score
    }
    status = "pending" if undecided else "ignored" if plan.strategy == "ignore" else "resolved"
    return {
        "action_taken": "left_pending" if undecided else _TAKEN[plan.strategy],  # type: ignore[typeddict-item]
        "strategy": plan.strategy,  # type: ignore[typeddict-item]
        "updated_entities": [entity.name for entity, one in zip((older, newer), steps, strict=True) if one],
        "details": {
            "conflict_id": number,
            "conflict_type": finding.kind,  # type: ignore[typeddict-item]
            "status": status,  # type: ignore[typeddict-item]
            "dry_run": dry_run,
            "older": {"id": older.id, "name": older.name, "new_version": _next(ctx, older) if steps[0] else None},
            "newer": {"id": newer.id, "name": newer.name, "new_version": _next(ctx, newer) if steps[1] else None},
            "added_observations": [text for text in plan.contents if plan.branch or text not in known],
            "branch": plan.branch,
            "relations_moved": [relation(plan.moved(link, image)) for link, image in plan.moves if image],
            "relations_dropped": [relation(link.edge) for link, image in plan.moves if not image],
            "relevance": relevance,
            "left_reads": newer.name if plan.leaves else None,
            "evidence": [dict(each) for each in finding.evidence],  # type: ignore[misc]
        },
    }


def _next(ctx: Context, entity: Entity) -> int:
    """The number that the entity's next version gets."""
    return ctx.store.versions.newest(entity, None, None, 1)[0].version + 1


def _ends(link: Link) -> rules.Ends:
    return link.source_id, link.target_id, link.edge.relation_type


def _noted(entity: Entity) -> dict[str, Any]:
    return {key: getattr(entity, key) for key in _KEPT} | {"living": entity.deleted_at is None}


# ------------------------------------------------------------------------------------------------------------ reopening


class _Undoing:
    """The way back from one resolution: first everything is looked at, then everything done."""

    def __init__(
        self,
        ctx: Context,
        number: int,
        done: Resolution,
        entities: Mapping[int, Entity],
        details: ReopeningDetails,
    ) -> None:
        self._ctx = ctx
        self._number = number
        self._done = done
        self._entities = dict(entities)
        self._details = details
        self._older = self._entities[done.undo["older"]]
        self._changes: list[str] = []
        links = ctx.store.relations.numbered(one for pair in done.undo["relations"] for one in pair if one is not None)
        self._pairs = [
            (links[old], None if new is None else links.get(new))
            for old, new in done.undo["relations"]
            # A number may by now be that of another relation, if the one meant was purged with its other end.
            if old in links and links[old].ended_at == done.resolved_at
        ]
        self._change = Change("reopened", f"conflict {number} reopened", ctx.caller.client, method="manual")

    # -------------------------------------------------------------------------------------------------------- looking

    def check(self, keep_changes: bool) -> None:
        """Raises: VersionConflict, AlreadyExists, Corrupt: it cannot be undone, or not without `keep_changes`."""
        later = self._ctx.store.conflicts.resolved_after(self._number)
        if later is not None:
            raise VersionConflict(
                f"conflict {later} was resolved after conflict {self._number}, and touches the same memories",
                hint=f"reopen conflict {later} first",
                details={"conflict_id": self._number, "resolved_later": later},
            )
        if self._older.deleted_at is not None:
            raise _deleted_since(self._older)
        for side in self._done.undo["sides"]:
            self._check_entity(self._entities[side["id"]], side["after"])
        self._check_branch()
        self._check_relations()
        self._details["exact"] = not self._changes and self._details["exact"]
        if self._changes and not keep_changes:
            raise VersionConflict(
                f"conflict {self._number} cannot be undone exactly: {self._changes[0]}",
                hint="keep_changes=true reopens it and leaves what came since where it is",
                details={"conflict_id": self._number, "changes": self._changes},
            )

    def _check_entity(self, entity: Entity, after: Mapping[str, Any]) -> None:
        if entity.damage is not None:
            raise damaged(entity)
        deleted_again = entity.deleted_at is not None and entity.version != after["version"]
        if deleted_again:
            raise _deleted_since(entity)
        if not after["living"] and entity.deleted_at is None:
            self._changes.append(f"{entity.name!r} was brought back since")
        elif not after["living"] and self._ctx.store.entities.find(entity.name) is not None:
            raise AlreadyExists(
                f"there is another entity {entity.name!r} now",
                hint="rename it with update_entity; then reopen the conflict",
                details={"entity": entity.name},
            )
        elif any(getattr(entity, key) != after[key] for key in _KEPT):
            self._details["exact"] = False
            if self._edited(entity, after):
                self._changes.append(f"{entity.name!r} was changed since, and is at version {entity.version}")

    def _edited(self, entity: Entity, after: Mapping[str, Any]) -> bool:
        """Whether undoing would overwrite what the entity says on the branch the resolution changed."""
        if (entity.version, entity.branch) == (after["version"], after["branch"]):
            return False
        side = self._side(entity)
        made, origin = (past(self._ctx, entity, side[when]["version"]) for when in ("after", "before"))
        if (made.entity_type, made.observations) == (origin.entity_type, origin.observations):
            return False
        head = self._ctx.store.branches.head(entity, after["branch"])
        now = None if head is None else past(self._ctx, entity, head)
        return now is None or (now.entity_type, now.observations) != (made.entity_type, made.observations)

    def _side(self, entity: Entity) -> Mapping[str, Any]:
        return next(side for side in self._done.undo["sides"] if side["id"] == entity.id)

    def _check_branch(self) -> None:
        name = self._done.undo["branch"]
        if name is not None:
            if self._older.branch == name:
                self._changes.append(f"branch {name!r} of {self._older.name!r} is checked out")
            elif self._ctx.store.branches.head(self._older, name) not in (None, self._done.undo["aside"]):
                self._changes.append(f"branch {name!r} of {self._older.name!r} was worked on since")

    def _check_relations(self) -> None:
        ids = {end for old, _ in self._pairs for end in (old.source_id, old.target_id)} - self._entities.keys()
        living = self._ctx.store.entities.by_ids(sorted(ids)).keys() | self._entities.keys()
        kept = []
        for old, new in self._pairs:
            told = f"{old.edge.source} {old.edge.relation_type} {old.edge.target}"
            if not {old.source_id, old.target_id} <= living:
                self._changes.append(f"an end of the relation {told} was deleted since")
                self._details["relations_lost"].append(relation(old.edge))
            elif new is not None and new.ended_at is not None:
                self._changes.append(f"the relation {told} was ended since")
                self._details["relations_lost"].append(relation(old.edge))
            else:
                kept.append((old, new))
        self._pairs = kept

    # ---------------------------------------------------------------------------------------------------------- doing

    def carry_out(self) -> tuple[list[tuple[int, int]], list[str]]:
        """Undo it; returns the versions left on no branch that hold the newer's texts, and the entities' names."""
        traces: list[tuple[int, int]] = []
        for side in self._done.undo["sides"]:
            entity = self._entities[side["id"]]
            if side["after"]["living"] == (entity.deleted_at is None):
                traces += self._put_back(entity, side["before"], side["after"])
        branch, aside = self._done.undo["branch"], self._done.undo["aside"]
        unused = branch is not None and self._older.branch != branch
        if unused and self._ctx.store.branches.head(self._older, branch) == aside:
            self._ctx.store.branches.delete(self._older, branch)
            traces.append((self._older.id, aside))
        for old, new in self._pairs:
            if new is not None:
                self._ctx.store.relations.delete(*_ends(new))
            if self._ctx.store.relations.between(*_ends(old)) is None:
                self._ctx.store.relations.revive(old.number)
            self._details["relations_restored"].append(relation(old.edge))
        now = {e.id: e for e in self._ctx.store.entities.even_deleted(list(self._entities))}
        touched = [now[number] for number in self._entities if now[number] != self._entities[number]]
        self._details["versions"] = {entity.name: entity.version for entity in touched}
        return traces, [entity.name for entity in touched]

    def _put_back(self, entity: Entity, before: Mapping[str, Any], after: Mapping[str, Any]) -> list[tuple[int, int]]:
        """One entity as it was before, its later changes kept; returns the versions left behind that hold the union."""
        now = {key: getattr(entity, key) for key in _KEPT}
        attributes = rules.put_back(before, after, now)
        attributes.pop("version", None)
        if (entity.version, entity.branch) == (after["version"], after["branch"]):
            self._ctx.store.entities.rewind(
                entity, self._change, past(self._ctx, entity, before["version"]), attributes
            )
            united = entity.id == self._older.id and self._done.strategy == "merge"
            return [(entity.id, number) for number in (after["version"], _next(self._ctx, entity) - 1) if united]
        attributes.pop("updated_at", None)
        if self._ctx.store.branches.head(entity, after["branch"]) is not None:
            seen = view(self._ctx, entity, after["branch"])
            made, origin = (past(self._ctx, entity, when["version"]) for when in (after, before))
            contents = merged_observations(made.observations, origin.observations, seen.observations)
            seen.change(self._ctx, self._change, contents, anyway=True)
            known = set(origin.observations)
            self._details["kept_observations"] += [text for text in contents if text not in known]
        changed = self._ctx.store.entities.by_ids([entity.id])[entity.id]
        self._ctx.store.entities.update(changed, self._change, attributes=attributes)
        return []


def _deleted_since(entity: Entity) -> VersionConflict:
    return VersionConflict(
        f"{entity.name!r} was deleted since",
        hint="memory_revert brings it back; then reopen the conflict",
        details={"entity": entity.name},
    )
