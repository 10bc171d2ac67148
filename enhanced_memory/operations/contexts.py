"""Context: what an assistant should have in mind, as text that fits a budget."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from enhanced_memory.operations.search import search_nodes
from enhanced_memory.registry import operation
from enhanced_memory.rules.budget import estimated_tokens
from enhanced_memory.shapes import ContextEntity, ContextText
from enhanced_memory.store.base import Filter

if TYPE_CHECKING:
    from enhanced_memory.context import Context

_MOST_PINNED = 200
_MOST_FOUND = 50
"""Entities considered; a budget holds fewer as a rule."""


@operation(writes=False, core=True)
def get_context(
    ctx: Context,
    query: Annotated[
        str | None, Field(max_length=100_000, description="What the talk is about; else the latest.")
    ] = None,
    max_tokens: Annotated[int, Field(ge=1, le=1_000_000, description="Most tokens of the text.")] = 2_000,
) -> ContextText:
    """Give what to have in mind as one text within a token budget: pinned memories first, then the most relevant.

    Use at the start of a session, with the user's first message as query. `omitted` counts the memories that did not
    fit; search_nodes finds them. Tokens are estimated on the high side.
    """
    blocks: list[tuple[ContextEntity, list[str]]] = []
    for entity in ctx.store.entities.recent(Filter(pinned=True), _MOST_PINNED):
        if entity.damage is None:
            told = ContextEntity(name=entity.name, entityType=entity.entity_type, pinned=True)
            blocks.append((told, list(entity.observations)))
    pinned = {told["name"] for told, _ in blocks}
    found = search_nodes(ctx, query=query or "", limit=_MOST_FOUND, detail="full" if not query else "matched")
    for result in found["results"]:
        if result["name"] not in pinned and "error" not in result:
            told = ContextEntity(name=result["name"], entityType=result["type"], pinned=False)
            blocks.append((told, result["observations"]))
    text, used = "", []
    for told, observations in blocks:
        longer = _with_block(text, told, observations, max_tokens)
        if longer is not None:
            text = longer
            used.append(told)
    return {
        "text": text,
        "entities": used,
        "tokens": estimated_tokens(text),
        "omitted": len(blocks) - len(used) + int(found["more"]),
    }


def _with_block(text: str, told: ContextEntity, observations: list[str], max_tokens: int) -> str | None:
    """The text with one memory added, with as many of its observations as fit; None if not even one does."""
    longer = f"{text}\n\n" if text else ""
    longer += f"{told['name']} ({told['entityType']})"
    if not observations:
        return longer if estimated_tokens(longer) <= max_tokens else None
    fitting = None
    for observation in observations:
        longer += f"\n- {observation}"
        if estimated_tokens(longer) > max_tokens:
            break
        fitting = longer
    return fitting
