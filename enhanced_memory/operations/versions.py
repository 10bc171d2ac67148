"""Versions: what an entity said, compared, brought back, tried on a branch and merged."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from enhanced_memory.errors import AlreadyExists, EnhancedMemoryError, InvalidParams, NotFound, VersionConflict
from enhanced_memory.operations.branching import head, past, view
from enhanced_memory.operations.entities import existing_entity
from enhanced_memory.operations.graph import instant_of, number_of
from enhanced_memory.operations.words import relation
from enhanced_memory.registry import operation
from enhanced_memory.rules.merging import merged_observations
from enhanced_memory.shapes import (
    MAX_BATCH,
    Branched,
    BranchName,
    ChangeLine,
    Changes,
    CheckedOut,
    Committed,
    Cursor,
    DeletedBranch,
    EntityHistory,
    Instant,
    Line,
    Merged,
    Message,
    Modified,
    Name,
    Names,
    Purged,
    Reverted,
    Version,
    VersionContent,
    VersionDiff,
    VersionNote,
)
from enhanced_memory.shapes import Branches as BranchList
from enhanced_memory.store.base import Change, ChangeNote, Entity, PastVersion

if TYPE_CHECKING:
    from enhanced_memory.context import Context

_NEVER = "9999-12-31T23:59:59.999999Z"

_EntityName = Annotated[Name, Field(description="The entity.")]


@operation(writes=False, core=True)
def memory_history(
    ctx: Context,
    entity_name: Annotated[Name, Field(description="The entity; a deleted, merged or former name is found too.")],
    branch: Annotated[BranchName | None, Field(description="Only what led to this branch's newest version.")] = None,
    limit: Annotated[int, Field(ge=1, le=MAX_BATCH, description="Most versions.")] = 20,
    cursor: Annotated[Cursor | None, Field(description="next_cursor of the page before.")] = None,
) -> EntityHistory:
    """List an entity's versions, newest first: what each added and removed, when, by whom.

    Use to see how a memory came to be, or which version to go back to; deleted entities too. Example:
    memory_history(entity_name='Ann', limit=5)

    A version tells its conversation as well, where it came from one.

    Raises: NotFound: nothing was ever called so, or it has no such branch.
    """
    entity = any_entity(ctx, entity_name)
    below = None if cursor is None else number_of(cursor)
    tip = None if branch is None else head(ctx, entity, branch)
    found = ctx.store.versions.newest(entity, tip, below, limit + 1)
    contents = {version.version: version for version in found}
    notes = []
    for version in found[:limit]:
        parent = contents.get(version.parent or 0) or (
            None if version.parent is None else ctx.store.versions.read(entity, version.parent)
        )
        notes.append(_note(version, () if parent is None else parent.observations))
    reply: EntityHistory = {
        "entity": entity.name,
        "deleted": entity.deleted_at is not None,
        "versions": notes,
        "next_cursor": str(found[limit - 1].version) if len(found) > limit else None,
    }
    if entity.deleted_at is not None and entity.parent_entity_id is not None:
        (whole,) = ctx.store.entities.even_deleted([entity.parent_entity_id])
        reply["merged_into"] = whole.name
    return reply


@operation(writes=True)
def memory_commit(
    ctx: Context,
    entity_name: _EntityName,
    message: Annotated[Message, Field(min_length=1, description="What this state is.")],
    author: Annotated[Line | None, Field(description="Who says so, if not the calling client.")] = None,
) -> Committed:
    """Mark the entity's present state with a message, as a version of its own.

    Use before a larger change, so that the way back has a name. Raises: NotFound.
    """
    if ctx.caller.code:
        author = None  # code speaks for nobody but itself
    seen = view(ctx, existing_entity(ctx, entity_name), None)
    change = Change("committed", message, author or ctx.caller.client, method="manual")
    version = seen.change(ctx, change, seen.observations, anyway=True)
    return {"entity": seen.entity.name, "version": version, "branch": seen.branch}


@operation(writes=False, core=True)
def memory_diff(
    ctx: Context,
    entity_name: _EntityName,
    version1: Annotated[Version | None, Field(description="Else version2's parent.")] = None,
    version2: Annotated[Version | None, Field(description="Else the current version.")] = None,
) -> VersionDiff:
    """Compare two versions of an entity: observations added and removed, name and type changed.

    Use to see what became of a memory since a version; without versions, the last change. Example:
    memory_diff(entity_name='Ann', version1=3)

    The versions may be of different branches.

    Raises: NotFound.
    """
    entity = any_entity(ctx, entity_name)
    after = past(ctx, entity, version2 or entity.version)
    before = past(ctx, entity, version1 or after.parent or after.version)
    old, new = set(before.observations), set(after.observations)
    changed = {
        field: Modified(old=left, new=right)
        for field, left, right in (
            ("name", before.name, after.name),
            ("entityType", before.entity_type, after.entity_type),
        )
        if left != right
    }
    lines = difflib.unified_diff(
        _text(before), _text(after), f"version {before.version}", f"version {after.version}", lineterm=""
    )
    return {
        "version1": _content(before),
        "version2": _content(after),
        "differences": {
            "added_observations": [text for text in after.observations if text not in old],
            "removed_observations": [text for text in before.observations if text not in new],
            "modified_metadata": changed,
        },
        "diff": "\n".join(lines),
    }


@operation(writes=True, core=True)
def memory_revert(
    ctx: Context,
    entity_name: _EntityName,
    version: Annotated[Version, Field(description="The version to go back to.")],
    message: Annotated[Message | None, Field(description="Why.")] = None,
) -> Reverted:
    """Bring back what an entity said at an earlier version, as a new version on top; also a deleted entity.

    Use when a change or deletion was wrong; memory_history finds the version. Example: memory_revert(entity_name='Ann',
    version=3)

    Nothing is lost: the replaced state stays in the history. The name stays as it is now. A deleted entity comes back
    with its relations whose other end lives; the others are told, and come back with that end.

    Raises: NotFound: no such entity or version. AlreadyExists: another entity has its name now.
    """
    entity = any_entity(ctx, entity_name)
    if entity.name != entity_name:
        raise NotFound(
            f"there is no entity {entity_name!r} now",
            hint=f"it was renamed to {entity.name!r}",
            details={"entity": entity_name},
        )
    wanted = past(ctx, entity, version)
    change = Change("reverted", message or f"back to version {version}", ctx.caller.client, method="manual")
    if entity.deleted_at is None:
        seen = view(ctx, entity, None)
        new_version = seen.change(ctx, change, wanted.observations, wanted.entity_type, anyway=True)
        return {"entity": entity.name, "reverted_to": version, "new_version": new_version}
    if ctx.store.entities.find(entity.name) is not None:
        raise AlreadyExists(
            f"there is another entity {entity.name!r} now", hint="rename it first", details={"entity": entity.name}
        )
    restored = ctx.store.entities.restore(entity, change, wanted.entity_type, wanted.observations)
    made, lost = ctx.store.relations.restore(entity.id, entity.deleted_at)
    return {
        "entity": restored.name,
        "reverted_to": version,
        "new_version": restored.version,
        "restored_relations": [relation(edge) for edge in made],
        "lost_relations": [relation(edge) for edge in lost],
    }


@operation(writes=True)
def memory_branch(
    ctx: Context,
    entity_name: _EntityName,
    branch_name: Annotated[BranchName, Field(description="Name of the new branch.")],
    from_version: Annotated[Version | None, Field(description="Where it begins; else the current version.")] = None,
    description: Annotated[Message | None, Field(description="What it is for.")] = None,
    checkout: Annotated[bool, Field(description="Whether reads and searches see it from now on.")] = True,
) -> Branched:
    """Begin a branch of an entity, to try changes beside what stands.

    Use with checkout=false to work on a proposal through the `branch` argument of the writes, while everyone else
    goes on seeing what stands; memory_merge brings it in. Raises: NotFound; AlreadyExists: the branch is there.
    """
    entity = existing_entity(ctx, entity_name)
    if ctx.store.branches.head(entity, branch_name) is not None or branch_name == "main":
        raise AlreadyExists(
            f"{entity.name!r} has a branch {branch_name!r} already",
            details={"entity": entity.name, "branch": branch_name},
        )
    start = past(ctx, entity, from_version or entity.version)
    ctx.store.branches.create(entity, branch_name, start.version, description)
    if checkout:
        entity = ctx.store.entities.check_out(entity, branch_name, start)
    return {
        "entity": entity.name,
        "branch_name": branch_name,
        "created_from_version": start.version,
        "current_branch": entity.branch,
    }


@operation(writes=False)
def list_branches(ctx: Context, entity_name: _EntityName) -> BranchList:
    """List an entity's branches with their newest versions. Raises: NotFound."""
    entity = any_entity(ctx, entity_name)
    return {
        "entity": entity.name,
        "branches": [
            {
                "name": branch.name,
                "head_version": branch.head,
                "created_from_version": branch.created_from,
                "description": branch.description,
                "created": branch.created_at,
                "current": branch.name == entity.branch,
            }
            for branch in ctx.store.branches.all(entity)
        ],
    }


@operation(writes=True, destructive=True)
def delete_branch(
    ctx: Context,
    entity_name: _EntityName,
    branch_name: Annotated[BranchName, Field(description="The branch to drop; not main, not the one checked out.")],
) -> DeletedBranch:
    """Drop a branch of an entity; its versions stay in the history.

    Use when a proposal was merged or given up. Raises: NotFound; InvalidParams: it is main or checked out.
    """
    entity = existing_entity(ctx, entity_name)
    head(ctx, entity, branch_name)
    if branch_name in ("main", entity.branch):
        why = "main cannot be deleted" if branch_name == "main" else "it is checked out"
        raise InvalidParams(
            f"branch {branch_name!r} stays: {why}", hint="check out another first", details={"path": "branch_name"}
        )
    ctx.store.branches.delete(entity, branch_name)
    return {"entity": entity.name, "deleted": branch_name}


@operation(writes=True, idempotent=True)
def memory_checkout(
    ctx: Context,
    entity_name: _EntityName,
    branch_name: Annotated[BranchName, Field(description="The branch that reads and searches are to see.")],
) -> CheckedOut:
    """Make reads and searches see another branch of an entity, for everyone.

    Use to adopt a proposal for a while, or to go back to main. Raises: NotFound.
    """
    entity = existing_entity(ctx, entity_name)
    tip = past(ctx, entity, head(ctx, entity, branch_name))
    if branch_name != entity.branch:
        entity = ctx.store.entities.check_out(entity, branch_name, tip)
    return {"entity": entity.name, "branch_name": branch_name, "version": entity.version}


@operation(writes=True)
def memory_merge(
    ctx: Context,
    entity_name: _EntityName,
    source_branch: Annotated[BranchName, Field(description="The branch whose changes come in.")],
    target_branch: Annotated[BranchName, Field(description="The branch that takes them.")] = "main",
    dry_run: Annotated[bool, Field(description="Only tell what would change.")] = False,
    prefer: Annotated[
        Literal["source", "target"] | None, Field(description="Whose entityType holds if both changed it.")
    ] = None,
) -> Merged:
    """Merge one branch of an entity into another, observation by observation, from where they parted.

    What either side added is in, what either side removed is out. Use to bring a proposal in; try dry_run first.

    Raises: NotFound; InvalidParams: a branch into itself; VersionConflict: both sides changed entityType, and prefer
    does not say whose holds.
    """
    entity = existing_entity(ctx, entity_name)
    source, target = view(ctx, entity, source_branch), view(ctx, entity, target_branch)
    if source_branch == target_branch:
        raise InvalidParams("a branch cannot be merged into itself", details={"path": "source_branch"})
    versions = ctx.store.versions
    common = versions.ancestors(entity, source.version) & versions.ancestors(entity, target.version)
    base = past(ctx, entity, max(common))
    observations = merged_observations(base.observations, source.observations, target.observations)
    kind = _merged_type(entity, base.entity_type, source.entity_type, target.entity_type, prefer)
    before, after = set(target.observations), set(observations)
    nothing_new = source.version in versions.ancestors(entity, target.version)
    new_version = None
    if not dry_run and not nothing_new:
        change = Change("merged", f"merge of {source_branch}", ctx.caller.client, method="manual")
        new_version = target.change(ctx, change, observations, kind, anyway=True, merged=source.version)
    return {
        "entity": entity.name,
        "source_branch": source_branch,
        "target_branch": target_branch,
        "base_version": base.version,
        "added": [text for text in observations if text not in before],
        "removed": [text for text in target.observations if text not in after],
        "entityType": kind,
        "new_version": new_version,
        "dry_run": dry_run,
    }


@operation(writes=False)
def what_changed(
    ctx: Context,
    since: Annotated[Instant, Field(description="From when on: ISO 8601, or 2h, 7d, 2w.")],
    until: Annotated[Instant | None, Field(description="Before when; else now.")] = None,
    limit: Annotated[int, Field(ge=1, le=MAX_BATCH, description="Most changes.")] = 100,
    cursor: Annotated[Cursor | None, Field(description="next_cursor of the page before.")] = None,
) -> Changes:
    """List what changed in this memory between two times, oldest first: versions of entities, relations made and ended.

    Use at the start of a session to learn what others stored meanwhile. Raises: InvalidParams: a time that is none.
    """
    start = instant_of(ctx, "since", since)
    end = _NEVER if until is None else instant_of(ctx, "until", until)
    found = ctx.store.history.changes(start, end, _place(cursor), limit + 1)
    last = found[limit - 1].place if len(found) > limit else None
    return {
        "changes": [_change(note) for note in found[:limit]],
        "next_cursor": None if last is None else f"{last[0]}|{last[1]}|{last[2]}",
    }


@operation(writes=True, transaction=False, destructive=True, idempotent=True, administrative=True)
def purge_entities(
    ctx: Context,
    entityNames: Annotated[Names, Field(description="Entities to erase; deleted ones too.")],
    confirm: Annotated[bool, Field(description="Must be true: this cannot be undone.")],
) -> Purged:
    """Erase entities for good, with history, relations, index and every copy in the database file.

    Use only when the user demands that something be erased for ever; delete_entities can be undone. What was merged
    into another entity is that one's by now: purge it as well, or reopen the conflict first. Rewrites the database
    file, which takes seconds for a large one.
    """

    if not confirm:
        raise InvalidParams("purge_entities needs confirm=true: it cannot be undone", details={"path": "confirm"})

    erased: list[list[str]] = []

    def erase(inner: Context) -> list[str]:
        erased.clear()  # a group of writes that one of them spoils is run again
        purged = []
        for name in dict.fromkeys(entityNames):
            while (entity := inner.store.entities.find_even_deleted(name)) is not None and entity.name == name:
                held = inner.store.entities.purge(entity)
                inner.store.requests.forget(held)
                erased.append(held)
                purged.append(name)
        if purged:
            inner.store.skills.forget_errors()  # which may quote what code read
        return list(dict.fromkeys(purged))

    purged = ctx.write(erase)
    try:
        ctx.service.scrub(erased)
    except EnhancedMemoryError as error:
        raise type(error)(
            f"the entities are erased, but what they left in the file is not overwritten yet: {error.message}",
            hint="that is done by itself as soon as there is room and time; get_system_health tells until it is done",
            details={"purged": purged},
        ) from error
    return {"purged": purged, "missing": [name for name in dict.fromkeys(entityNames) if name not in purged]}


def any_entity(ctx: Context, name: str) -> Entity:
    """The entity called `name`, now or when it was deleted or renamed. Raises: NotFound."""
    entity = ctx.store.entities.find_even_deleted(name)
    if entity is None:
        raise NotFound(f"nothing was ever called {name!r}", hint="search_nodes finds names", details={"entity": name})
    return entity


def _merged_type(entity: Entity, base: str, source: str, target: str, prefer: str | None) -> str:
    """The type after a merge. Raises: VersionConflict."""
    if source in (target, base):
        return target
    if target == base:
        return source
    if prefer is None:
        raise VersionConflict(
            f"both branches changed the type of {entity.name!r}: to {source!r} and to {target!r}",
            hint="say prefer=source or prefer=target",
            details={"source": source, "target": target, "base": base},
        )
    return source if prefer == "source" else target


def _note(version: PastVersion, before: tuple[str, ...]) -> VersionNote:
    old, new = set(before), set(version.observations)
    note = VersionNote(
        version=version.version,
        branch=version.branch,
        parent=version.parent,
        message=version.message,
        author=version.author,
        session=version.session,
        method=version.method,
        created=version.created_at,
        action=version.action,
        added=[text for text in version.observations if text not in old],
        removed=[text for text in before if text not in new],
    )
    if version.merged is not None:
        note["merge_parent"] = version.merged
    return note


def _content(version: PastVersion) -> VersionContent:
    return {
        "version": version.version,
        "branch": version.branch,
        "name": version.name,
        "entityType": version.entity_type,
        "observations": list(version.observations),
        "message": version.message,
        "author": version.author,
        "created": version.created_at,
        "action": version.action,
    }


def _text(version: PastVersion) -> list[str]:
    """The version as lines for a text diff."""
    lines = [f"name: {version.name}", f"type: {version.entity_type}"]
    return lines + [f"- {line}" for text in version.observations for line in text.splitlines() or [""]]


def _change(note: ChangeNote) -> ChangeLine:
    kind: Literal["entity", "relation"] = "entity" if note.edge is None else "relation"
    line = ChangeLine(kind=kind, action=note.action, created=note.place[0])
    if note.edge is not None:
        line["relation"] = relation(note.edge)
    elif note.version is not None and note.branch is not None:
        line["name"], line["version"], line["branch"] = note.name, note.version, note.branch
        line["message"], line["author"] = note.message, note.author
    return line


def _place(cursor: str | None) -> tuple[str, str, int] | None:
    """The change a cursor names. Raises: InvalidParams."""
    if cursor is None:
        return None
    instant, _, rest = cursor.partition("|")
    kind, _, number = rest.partition("|")
    if kind not in ("entity", "relation"):
        raise InvalidParams(f"cursor: {cursor!r} is none that was given out", details={"path": "cursor"})
    return instant, kind, number_of(number)
