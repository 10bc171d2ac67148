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


@operation(writes=False, core=True, apart=True)
def get_context(
    ctx: Context,
    query: Annotated[
        str | None, Field(max_length=100_000, description="What the talk is about; else the latest.")
    ] = None,
    max_tokens: Annotated[int, Field(ge=1, le=1_000_000, description="Most tokens of the text.")] = 2_000,
) -> ContextText:
    """Give what to have in mind as one text within a token budget: pinned memories first, then the most relevant.

    Use at the start of a session, with the user's first message. Costs max_tokens at most. Example:
    get_context(query='plan the trip', max_tokens=1000)

    `omitted` counts the memories that did not fit; search_nodes finds them. Tokens are estimated on the high side.
    """
    blocks: list[tuple[ContextEntity, list[str]]] = []
    for entity in ctx.store.entities.recent(Filter(pinned=True), _MOST_PINNED):
        if entity.damage is None:
            told = ContextEntity(name=entity.name, entityType=entity.entity_type, pinned=True)
            blocks.append((told, list(entity.observations)))
    pinned = {told["name"] for told, _ in blocks}
    found = search_nodes(ctx, query=query or "", limit=_MOST_FOUND)
    for result in found["results"]:
        if result["name"] not in pinned and "error" not in result:
            told = ContextEntity(name=result["name"], entityType=result["type"], pinned=False)
            # An entity found by its name alone is about the query as a whole.
            matching = [result["observations"][match["index"]] for match in result.get("matches", [])]
            blocks.append((told, matching or result["observations"]))
    text, used, left = "", [], max_tokens
    for told, observations in blocks:
        block, cost = _block(told, observations, left, first=not text)
        if block:
            text, left = text + block, left - cost
            used.append(told)
    return {
        "text": text,
        "entities": used,
        "tokens": estimated_tokens(text),
        "omitted": len(blocks) - len(used) + int(found["more"]),
    }


def _block(told: ContextEntity, observations: list[str], budget: int, *, first: bool) -> tuple[str, int]:
    """One memory as text, with as many of its observations as fit, and its tokens; "" if not even one does.

    Parts are estimated one by one, which together is never less than the whole.
    """
    block = ("" if first else "\n\n") + f"{told['name']} ({told['entityType']})"
    spent = estimated_tokens(block)
    fitting = ("", 0) if observations or spent > budget else (block, spent)
    for observation in observations:
        line = f"\n- {observation}"
        spent += estimated_tokens(line)
        if spent > budget:
            break
        block += line
        fitting = block, spent
    return fitting
