"""Skills: procedures that are kept by name, in versions, and run again."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field

from enhanced_memory.errors import CodeError, InvalidParams, NotFound, SandboxRejected, ServiceError
from enhanced_memory.operations.graph import number_of
from enhanced_memory.operations.procedures import executed
from enhanced_memory.registry import operation
from enhanced_memory.shapes import (
    MAX_BATCH,
    Cursor,
    DeletedSkill,
    Message,
    Name,
    SavedSkill,
    SkillList,
    SkillNote,
    SkillResult,
    Tag,
    Version,
)
from enhanced_memory.store.base import Skill

if TYPE_CHECKING:
    from enhanced_memory.context import Context

log = logging.getLogger(__name__)

_MAX_TAGS = 50
_MAX_ERROR = 500
"""Characters of a run's error that are kept."""

_SkillName = Annotated[Name, Field(description="The skill.")]


@operation(writes=True, transaction=False, idempotent=True, administrative=True)
def save_skill(
    ctx: Context,
    name: Annotated[Name, Field(description="What it is called; a known name gets its next version.")],
    code: Annotated[str, Field(min_length=1, description="Python as for execute_code; it finds what it is given.")],
    description: Annotated[Message, Field(min_length=1, description="What it does, and what it needs in args.")],
    tags: Annotated[
        list[Tag] | None, Field(max_length=_MAX_TAGS, description="Words to list it by; left out, they stay.")
    ] = None,
) -> SavedSkill:
    """Keep a procedure that worked: Python code under a name, to be run again with run_skill.

    Use when the same steps over the memories will be needed again. The code is compiled, not run; what does not
    compile is refused with its line and not kept. Other code under a known name makes its next version; the same code
    makes none, and another description or other tags are taken over by the version there is.

    Raises: SandboxRejected (details.line). TooLarge: over 256 KiB of code. Busy.
    """
    ctx.service.check_code(code)
    return ctx.write(lambda inner: _saved(inner, name, code, description, tags))


@operation(writes=True, transaction=False, destructive=True, administrative=True)
def run_skill(
    ctx: Context,
    name: _SkillName,
    args: Annotated[
        dict[str, Any] | None, Field(description="What it works on: each a variable, and all as the dict `args`.")
    ] = None,
    timeout_s: Annotated[float, Field(ge=0.1, le=30, description="Seconds it may take.")] = 30.0,
    version: Annotated[Version | None, Field(description="Which version; else the newest.")] = None,
) -> SkillResult:
    """Run a kept procedure; answers as execute_code does.

    Use instead of writing the code again; list_skills tells what there is. Each run is counted with its time and
    whether it succeeded, for the version that ran.

    Raises: NotFound; InvalidParams: an argument whose name cannot be a variable; SandboxError, SandboxTimeout and
    SandboxMemory, which are counted and kept as the last error; SandboxRejected, Busy.
    """
    skill = ctx.read(lambda inner: _existing(inner, name, version))
    variables = {**(args or {}), "args": args or {}}
    try:
        outcome = executed(ctx, skill.code, variables, timeout_s)
    except InvalidParams as error:
        path = str((error.details or {}).get("path", "args")).replace("context_vars", "args", 1)
        raise InvalidParams(error.message, hint=error.hint, details={"path": path}) from None
    except SandboxRejected:
        raise  # it did not run
    except CodeError as error:
        _count(ctx, skill, error.execution_time_ms, f"{error.code}: {error.message}"[:_MAX_ERROR])
        raise
    _count(ctx, skill, outcome["execution_time_ms"], None)
    return {"name": skill.name, "version": skill.version, **outcome}


@operation(writes=False)
def list_skills(
    ctx: Context,
    tag: Annotated[Tag | None, Field(description="Only those with this tag.")] = None,
    name: Annotated[Name | None, Field(description="Only this one: all its versions, newest first, with code.")] = None,
    limit: Annotated[int, Field(ge=1, le=MAX_BATCH, description="Most skills.")] = 50,
    cursor: Annotated[Cursor | None, Field(description="next_cursor of the page before.")] = None,
) -> SkillList:
    """List kept procedures by name, each in its newest version, with how its runs went.

    Use before writing code for a task that may have been solved; with `name`, to read the code of one.

    Raises: NotFound: no skill is called so. InvalidParams: a cursor that is none, or tag and name together.
    """
    if tag is not None and name is not None:
        raise InvalidParams("list_skills takes tag or name, not both", details={"path": "tag"})
    place = None if cursor is None else number_of(cursor)
    if name is None:
        found = ctx.store.skills.page(tag, place or 0, limit + 1)
        following = str(found[limit - 1].id) if len(found) > limit else None
    else:
        _existing(ctx, name, None)
        found = ctx.store.skills.versions(name, place, limit + 1)
        following = str(found[limit - 1].version) if len(found) > limit else None
    return {
        "skills": [_note(skill, with_code=name is not None) for skill in found[:limit]],
        "next_cursor": following,
    }


@operation(writes=True, destructive=True, administrative=True)
def delete_skill(ctx: Context, name: _SkillName) -> DeletedSkill:
    """Take a kept procedure with all its versions out of every list and run.

    Use when it is no longer right. Saved again under the name, its versions go on from where they ended.

    Raises: NotFound.
    """
    _existing(ctx, name, None)
    return {"deleted": name, "versions": ctx.store.skills.delete(name)}


def _existing(ctx: Context, name: str, version: int | None) -> Skill:
    """The skill, in a version or its newest. Raises: NotFound."""
    skill = ctx.store.skills.find(name, version)
    if skill is not None:
        return skill
    if version is not None and ctx.store.skills.find(name) is not None:
        raise NotFound(
            f"the skill {name!r} has no version {version}",
            hint="list_skills with its name lists its versions",
            details={"skill": name, "version": version},
        )
    raise NotFound(f"there is no skill {name!r}", hint="list_skills lists them", details={"skill": name})


def _saved(ctx: Context, name: str, code: str, description: str, tags: list[str] | None) -> SavedSkill:
    known = ctx.store.skills.find(name)
    kept = () if known is None else known.tags
    labels = kept if tags is None else tuple(dict.fromkeys(tags))
    if known is None or known.code != code:
        added = ctx.store.skills.add(name, description, code, labels)
        return {"name": name, "version": added.version, "action": "created" if known is None else "updated"}
    if (description, labels) == (known.description, known.tags):
        return {"name": name, "version": known.version, "action": "unchanged"}
    ctx.store.skills.describe(known, description, labels)
    return {"name": name, "version": known.version, "action": "updated"}


def _count(ctx: Context, skill: Skill, ms: float, error: str | None) -> None:
    """Note a run. It has happened: what the service cannot do now must not hide what came of it."""
    try:
        ctx.write(lambda inner: inner.store.skills.count_run(skill, ms, error))
    except ServiceError as problem:
        log.warning("a run of a skill is not counted: %s", problem.code)


def _note(skill: Skill, *, with_code: bool) -> SkillNote:
    note: SkillNote = {
        "name": skill.name,
        "version": skill.version,
        "description": skill.description,
        "tags": list(skill.tags),
        "run_count": skill.run_count,
        "success_rate": round(skill.success_count / skill.run_count, 3) if skill.run_count else None,
        "mean_ms": round(skill.total_ms / skill.run_count, 2) if skill.run_count else None,
        "last_error": skill.last_error,
        "created": skill.created_at,
    }
    if with_code:
        note["code"] = skill.code
    return note
