"""Entities: remembering, adding, changing, confirming and forgetting."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, cast

from pydantic import Field

from enhanced_memory.errors import AlreadyExists, InvalidParams, NotFound, TooLarge, VersionConflict
from enhanced_memory.operations.branching import View, view
from enhanced_memory.operations.words import damaged, entity_details
from enhanced_memory.registry import operation
from enhanced_memory.shapes import (
    MAX_BATCH,
    MAX_OBSERVATIONS,
    AddedObservations,
    AdditionInput,
    Additions,
    BranchName,
    Confirmed,
    CreatedEntities,
    DeletedEntities,
    DeletionInput,
    Deletions,
    EntityDetails,
    EntityFields,
    EntityInput,
    EntityType,
    Fraction,
    Message,
    Name,
    Names,
    OnExisting,
    RemovedObservations,
    Version,
    WrittenEntity,
)
from enhanced_memory.store.base import Change, Draft, Entity

if TYPE_CHECKING:
    from enhanced_memory.context import Context

_Branch = Annotated[BranchName | None, Field(description="Write to this branch; else to the one reads see.")]
_Expected = Annotated[Version | None, Field(description="Only if this is the current version.")]
_Check = Annotated[bool, Field(description="Tell what the new facts are in conflict with, if there is time.")]
_ATTRIBUTES = (
    "tier",
    "always_include",
    "relevance_score",
    "source_session",
    "source_timestamp",
    "extraction_method",
)


def _drafts(arguments: Mapping[str, Any]) -> list[Draft]:
    """What is created if none of the names is there yet."""
    return [
        Draft(given["name"], given["entityType"], list(dict.fromkeys(given["observations"])))
        for given in arguments["entities"]
    ]


def _tell_conflicts(
    arguments: Mapping[str, Any], reply: dict[str, Any]
) -> Callable[[Context], Callable[[Context], dict[str, Any]] | None] | None:
    """What looks for conflicts of what was written, once it is safe; None where none are to be told."""
    if not arguments["check_conflicts"] or arguments["branch"] is not None or "conflicts_checked" in reply:
        return None
    if "entities" in arguments:
        texts = [given["observations"] for given in arguments["entities"]]
        names = [written["name"] if written["action"] != "unchanged" else None for written in reply["results"]]
    else:
        texts = [added["addedObservations"] for added in reply["results"]]
        names = [added["entityName"] if added["addedObservations"] else None for added in reply["results"]]
    from enhanced_memory.operations.detection import check_written  # takes as long to load as everything else here

    return partial(check_written, names=names, texts=texts, reply=reply)


def _unchecked(ctx: Context, reply: Any, check_conflicts: bool) -> Any:
    """The reply, which says so where there is no time to look for conflicts. Decided before the reply is kept."""
    if check_conflicts and not ctx.service.checks.is_left():
        reply["conflicts_checked"] = False
    return reply


@operation(writes=True, core=True, drafts=_drafts, after=_tell_conflicts)
def create_entities(
    ctx: Context,
    entities: Annotated[
        list[EntityInput],
        Field(
            min_length=1,
            max_length=MAX_BATCH,
            description="May have tier, always_include (pin it), relevance_score, source_session, expected_version.",
        ),
    ],
    on_existing: Annotated[
        OnExisting,
        Field(description="If the name exists: merge adds, replace makes this the content, skip leaves it."),
    ] = "merge",
    commit_message: Annotated[Message | None, Field(description="Why; kept in the history.")] = None,
    branch: _Branch = None,
    check_conflicts: _Check = True,
) -> CreatedEntities:
    """Remember people, projects, preferences, decisions: one entity per thing, short facts as observations.

    Use when something lasting is learnt; search first. A name that exists is updated. Tells what became of each.
    Example: create_entities(entities=[{'name':'Ann','entityType':'person','observations':['likes tea']}])

    The whole batch happens or nothing of it; repeating a call changes nothing. The reply also tells each entity's
    version and the share of space saved, and as conflicts what contradicts, updates or repeats another memory; nothing
    is merged or retired by itself.

    Raises: AlreadyExists: on_existing is error and a name is taken. VersionConflict: expected_version is not the
    current version. TooLarge: an entity would hold more than 10,000 observations.
    """
    results = [store_entity(ctx, given, on_existing, commit_message, branch) for given in entities]
    return cast(CreatedEntities, _unchecked(ctx, {"results": results}, check_conflicts))


def store_entity(
    ctx: Context, given: EntityFields, on_existing: OnExisting, message: str | None, branch: str | None = None
) -> WrittenEntity:
    """Create or update one entity as `create_entities` says."""
    observations = list(dict.fromkeys(given["observations"]))
    existing = ctx.store.entities.find(given["name"])
    seen = None if existing is None else view(ctx, existing, branch)
    _check_expected(given["name"], 0 if seen is None else seen.version, given.get("expected_version"))
    attributes: dict[str, Any] = {key: given[key] for key in _ATTRIBUTES if key in given}  # type: ignore[literal-required]
    change = Change(
        action="created" if existing is None else "updated",
        message=message,
        author=ctx.caller.client,
        session=given.get("source_session"),
        method=given.get("extraction_method", "manual"),
    )
    if existing is None or seen is None:
        if branch not in (None, "main"):
            raise NotFound(
                f"there is no entity {given['name']!r} with a branch {branch!r}",
                hint="a new entity begins on main; leave out branch",
                details={"entity": given["name"], "branch": branch},
            )
        _check_room(given["name"], observations)
        draft = Draft(given["name"], given["entityType"], observations, **attributes)
        created = ctx.store.entities.create(draft, change)
        return _written(created, "created", created.version)
    if on_existing == "error":
        raise AlreadyExists(
            f"there is an entity {existing.name!r} already",
            hint="leave on_existing at merge to add to it",
            details={"entity": existing.name},
        )
    if on_existing == "skip":
        return _written(existing, "unchanged", seen.version)
    if on_existing == "merge":
        observations = _merged(seen, observations)
    if seen.tip is not None:
        version = seen.change(ctx, change, observations, given["entityType"])
        return _written(existing, "unchanged" if version == seen.version else "updated", version)
    changed = ctx.store.entities.update(
        existing, change, entity_type=given["entityType"], observations=observations, attributes=attributes
    )
    return _written(changed, "unchanged" if changed is existing else "updated", changed.version)


@operation(writes=True, core=True, idempotent=True, after=_tell_conflicts)
def add_observations(
    ctx: Context,
    observations: Annotated[
        list[AdditionInput],
        Field(min_length=1, max_length=MAX_BATCH, description="Facts to add, by entity."),
    ],
    branch: _Branch = None,
    expected_version: _Expected = None,
    check_conflicts: _Check = True,
) -> Additions:
    """Add facts to entities that exist.

    Use when more is learnt about something known. Tells what was new; nothing is doubled. Example:
    add_observations(observations=[{'entityName':'Ann','contents':['moved to Graz in May']}])

    Where something contradicts, updates or repeats another memory, that is told as conflicts.

    Raises: NotFound: an entity is not there; nothing of the batch happens. VersionConflict.
    """
    results: list[AddedObservations] = []
    for addition in observations:
        seen = view(ctx, existing_entity(ctx, addition["entityName"]), branch)
        _check_expected(seen.entity.name, seen.version, expected_version)
        contents = _merged(seen, addition["contents"])
        added = contents[len(seen.observations) :]
        version = seen.change(ctx, Change("updated", author=ctx.caller.client, method="manual"), contents)
        results.append({"entityName": seen.entity.name, "addedObservations": added, "version": version})
    return cast(Additions, _unchecked(ctx, {"results": results}, check_conflicts))


@operation(writes=True, idempotent=True)
def update_entity(
    ctx: Context,
    entityName: Annotated[Name, Field(description="Entity to change.")],
    name: Annotated[Name | None, Field(description="Its new name; history and relations stay.")] = None,
    entityType: Annotated[EntityType | None, Field(description="Its new type.")] = None,
    always_include: Annotated[bool | None, Field(description="Pin it: it is part of every context.")] = None,
    relevance_score: Annotated[Fraction | None, Field(description="How much it matters, 0 to 1.")] = None,
    expected_version: _Expected = None,
    branch: _Branch = None,
) -> EntityDetails:
    """Rename an entity, or change its type, pin or relevance.

    Use to correct what something is called or is; for facts use add_observations and delete_observations. Returns
    the entity as it is then.

    Raises: NotFound; AlreadyExists: the new name is taken; VersionConflict; InvalidParams: nothing to change.
    """
    entity = existing_entity(ctx, entityName)
    seen = view(ctx, entity, branch)
    _check_expected(entity.name, seen.version, expected_version)
    attributes = {
        key: value
        for key, value in (("always_include", always_include), ("relevance_score", relevance_score))
        if value is not None
    }
    if name is None and entityType is None and not attributes:
        raise InvalidParams(
            "update_entity needs something to change", hint="give name, entityType, always_include or relevance_score"
        )
    if seen.tip is not None:
        return _retyped_aside(ctx, seen, entityType, others=name is not None or bool(attributes))
    if name is not None and name != entity.name and ctx.store.entities.find(name) is not None:
        raise AlreadyExists(f"there is an entity {name!r} already", details={"entity": name})
    action = "renamed" if name is not None and name != entity.name else "updated"
    message = f"renamed from {entity.name!r}" if action == "renamed" else None
    change = Change(action, message, ctx.caller.client, method="manual")
    return entity_details(
        ctx.store.entities.update(entity, change, name=name, entity_type=entityType, attributes=attributes)
    )


@operation(writes=True, idempotent=True)
def confirm_entities(
    ctx: Context,
    entityNames: Annotated[Names, Field(description="Entities that are still true.")],
) -> Confirmed:
    """Say that memories still hold: their age counts from now, and their relevance is full again.

    Use when the user confirms something remembered long ago.
    """
    found = ctx.store.entities.find_many(entityNames)
    change = Change("confirmed", author=ctx.caller.client)
    for entity in found.values():
        attributes = {"last_confirmed": ctx.now, "relevance_score": 1.0}
        ctx.store.entities.update(entity, change, attributes=attributes)
    names = dict.fromkeys(entityNames)
    return {"confirmed": [n for n in names if n in found], "missing": [n for n in names if n not in found]}


@operation(writes=True, core=True, destructive=True, idempotent=True)
def delete_entities(
    ctx: Context,
    entityNames: Annotated[Names, Field(description="Entities to forget.")],
) -> DeletedEntities:
    """Take entities and their relations out of every read and search; their history stays.

    Use when something is to be forgotten or was a mistake; memory_revert brings it back. Tells which were there.
    Example: delete_entities(entityNames=['Old project'])
    """
    found = ctx.store.entities.find_many(entityNames)
    for entity in found.values():
        ctx.store.entities.delete(entity, Change("deleted", author=ctx.caller.client, method="manual"))
    names = dict.fromkeys(entityNames)
    return {"deleted": [n for n in names if n in found], "missing": [n for n in names if n not in found]}


@operation(writes=True, core=True, destructive=True, idempotent=True)
def delete_observations(
    ctx: Context,
    deletions: Annotated[
        list[DeletionInput],
        Field(min_length=1, max_length=MAX_BATCH, description="Facts to remove, by entity."),
    ],
    branch: _Branch = None,
    expected_version: _Expected = None,
) -> Deletions:
    """Remove facts from entities, each given word for word.

    Use when a fact was wrong or no longer holds, before adding the new one. Tells what was removed. Example:
    delete_observations(deletions=[{'entityName':'Ann','observations':['likes tea']}])

    An observation that is not there is passed over.

    Raises: NotFound: an entity is not there; nothing of the batch happens. VersionConflict.
    """
    results: list[RemovedObservations] = []
    for deletion in deletions:
        seen = view(ctx, existing_entity(ctx, deletion["entityName"]), branch)
        _check_expected(seen.entity.name, seen.version, expected_version)
        unwanted = set(deletion["observations"])
        removed = [text for text in seen.observations if text in unwanted]
        kept = [text for text in seen.observations if text not in unwanted]
        version = seen.change(ctx, Change("updated", author=ctx.caller.client, method="manual"), kept)
        results.append({"entityName": seen.entity.name, "removedObservations": removed, "version": version})
    return {"results": results}


def existing_entity(ctx: Context, name: str) -> Entity:
    """The readable entity called `name`. Raises: NotFound; Corrupt: its content cannot be read."""
    entity = ctx.store.entities.find(name)
    if entity is None:
        raise NotFound(
            f"there is no entity {name!r}",
            hint="search_nodes finds the right name; create_entities makes a new one",
            details={"entity": name},
        )
    if entity.damage is not None:
        raise damaged(entity)
    return entity


def _retyped_aside(ctx: Context, seen: View, entity_type: str | None, *, others: bool) -> EntityDetails:
    """The entity with another type on a branch reads do not see. Raises: InvalidParams: more than that was asked."""
    if others or entity_type is None:
        raise InvalidParams(
            "on a branch that is not checked out, only entityType can be changed",
            hint="name, pin and relevance belong to the whole entity; leave out branch",
            details={"path": "branch"},
        )
    change = Change("updated", author=ctx.caller.client, method="manual")
    version = seen.change(ctx, change, seen.observations, entity_type)
    details = entity_details(replace(seen.entity, entity_type=entity_type, observations=seen.observations))
    return {**details, "current_version": version, "current_branch": seen.branch}


def _merged(seen: View, additions: list[str]) -> list[str]:
    """The observations there and those of `additions` that are new. Raises: TooLarge."""
    merged = list(dict.fromkeys([*seen.observations, *additions]))
    _check_room(seen.entity.name, merged)
    return merged


def _check_room(name: str, observations: list[str]) -> None:
    """Raises: TooLarge: more observations than an entity holds."""
    if len(observations) > MAX_OBSERVATIONS:
        raise TooLarge(
            f"{name!r} would hold {len(observations):,} observations; the most is {MAX_OBSERVATIONS:,}",
            hint="spread them over several entities and relate those",
            details={"entity": name},
        )


def _check_expected(name: str, current: int, expected: int | None) -> None:
    """Raises: VersionConflict: the entity is not at the version the caller has seen; 0 where there is none."""
    if expected is not None and expected != current:
        raise VersionConflict(
            f"{name!r} is at version {current}, not {expected}",
            hint="open it again, and repeat the change on what it says now",
            details={"entity": name, "expected_version": expected, "current_version": current},
        )


def _written(entity: Entity, action: str, version: int) -> WrittenEntity:
    return {
        "id": entity.id,
        "name": entity.name,
        "action": action,  # type: ignore[typeddict-item]
        "version": version,
        "compression": round(entity.saved, 3),
    }
