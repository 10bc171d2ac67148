"""An entity as one branch has it, and changes to it there; shared by the operations that take a branch.

Above it lie the operations on entities and versions; below it the store.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from enhanced_memory.errors import NotFound
from enhanced_memory.operations.words import damaged
from enhanced_memory.store.base import Change, Entity, PastVersion

if TYPE_CHECKING:
    from enhanced_memory.context import Context


@dataclass(frozen=True)
class View:
    """What an entity says on a branch. `tip` is the branch's newest version, or None on the branch reads see."""

    entity: Entity
    branch: str
    tip: PastVersion | None

    @property
    def version(self) -> int:
        """The branch's newest version."""
        return self.entity.version if self.tip is None else self.tip.version

    @property
    def entity_type(self) -> str:
        """The type there."""
        return self.entity.entity_type if self.tip is None else self.tip.entity_type

    @property
    def observations(self) -> tuple[str, ...]:
        """The observations there."""
        return self.entity.observations if self.tip is None else self.tip.observations

    def change(
        self,
        ctx: Context,
        change: Change,
        observations: Sequence[str],
        entity_type: str | None = None,
        *,
        anyway: bool = False,
        merged: int | None = None,
    ) -> int:
        """Make this the content of the branch; returns its newest version, a new one if anything changed."""
        kind = entity_type or self.entity_type
        if self.tip is None:
            entity = ctx.store.entities.update(
                self.entity, change, entity_type=kind, observations=observations, anyway=anyway, merged=merged
            )
            return entity.version
        if not anyway and (kind, tuple(observations)) == (self.entity_type, self.observations):
            return self.version
        return ctx.store.versions.append_aside(self.entity, self.tip, self.branch, change, kind, observations, merged)


def view(ctx: Context, entity: Entity, branch: str | None) -> View:
    """The entity on a branch, None being the one reads see. Raises: NotFound: it has no such branch; Corrupt."""
    if entity.damage is not None:
        raise damaged(entity)
    if branch is None or branch == entity.branch:
        return View(entity, entity.branch, None)
    return View(entity, branch, past(ctx, entity, head(ctx, entity, branch)))


def as_on(ctx: Context, entity: Entity, branch: str | None, version: int | None = None) -> Entity:
    """The entity as a branch has it, if it has that branch, or as it was at a version; else as it is.

    Raises: NotFound: it has no such version.
    """
    if branch is not None:
        version = ctx.store.branches.head(entity, branch)
    if version is None or version == entity.version or entity.damage is not None:
        return entity
    seen = past(ctx, entity, version)
    return replace(
        entity,
        entity_type=seen.entity_type,
        observations=seen.observations,
        version=seen.version,
        branch=branch or seen.branch,
        slots=None,
    )


def head(ctx: Context, entity: Entity, branch: str) -> int:
    """The newest version of a branch. Raises: NotFound."""
    found = ctx.store.branches.head(entity, branch)
    if found is None:
        raise NotFound(
            f"{entity.name!r} has no branch {branch!r}",
            hint="list_branches names those it has; memory_branch with checkout=false makes one",
            details={"entity": entity.name, "branch": branch},
        )
    return found


def past(ctx: Context, entity: Entity, version: int) -> PastVersion:
    """A version of the entity. Raises: NotFound."""
    found = ctx.store.versions.read(entity, version)
    if found is None:
        raise NotFound(
            f"{entity.name!r} has no version {version}",
            hint="memory_history lists its versions",
            details={"entity": entity.name, "version": version},
        )
    return found
