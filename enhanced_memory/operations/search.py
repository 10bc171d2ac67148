"""Search: the right memory for a question."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from enhanced_memory.errors import Corrupt, InvalidParams
from enhanced_memory.operations.graph import instant_of
from enhanced_memory.operations.words import damaged, relation
from enhanced_memory.registry import operation
from enhanced_memory.rules import query as queries
from enhanced_memory.rules.budget import tokens_of
from enhanced_memory.rules.text import analyse_prefix
from enhanced_memory.rules.tiers import relevance
from enhanced_memory.shapes import EntityType, Found, FoundEntity, Fraction, Line, ObservationMatch, Tier
from enhanced_memory.store.base import Entity, Filter, Match

if TYPE_CHECKING:
    from enhanced_memory.context import Context

_MOST_RELATIONS = 50
"""Relations told with a page of results; `open_nodes` gives more of them."""

_DEEPEST = 2_000
"""Index rows looked at for one search."""

_LABEL_SHARE = 0.5
"""What a match in name and type adds to an entity's best observation, of its own score."""


@operation(writes=False, core=True)
def search_nodes(
    ctx: Context,
    query: Annotated[str, Field(max_length=100_000, description='A question or words; "" lists what was used last.')],
    limit: Annotated[int, Field(ge=1, le=1000, description="Most results.")] = 10,
    mode: Annotated[
        Literal["auto", "lexical", "semantic", "hybrid"], Field(description="auto takes the best there is.")
    ] = "auto",
    entity_type: Annotated[EntityType | None, Field(description="Only this type.")] = None,
    tier: Annotated[Tier | None, Field(description="Only this tier.")] = None,
    namespaces: Annotated[list[Line] | None, Field(max_length=100, description="Search these instead.")] = None,
    since: Annotated[str | None, Field(max_length=64, description="Changed since, ISO 8601 or 7d, 2w.")] = None,
    until: Annotated[str | None, Field(max_length=64, description="Changed before, likewise.")] = None,
    min_relevance: Annotated[Fraction | None, Field(description="Only what is still this relevant.")] = None,
    detail: Annotated[
        Literal["full", "matched", "names"], Field(description="matched: only matching observations.")
    ] = "full",
    max_tokens: Annotated[int | None, Field(ge=50, description="Keep the reply within this budget.")] = None,
    offset: Annotated[int, Field(ge=0, le=100_000, description="Results to pass over.")] = 0,
) -> Found:
    """Find memories by a plain question or by words in their names, types and observations, best first.

    Use before answering anything about the past, and before creating an entity that may exist. Any word may match;
    rare words count most. "quoted phrases", -word, prefix*, type:, tier: and since: work inside the query. Each
    result's `matches` names the observations that matched, best first.

    Raises: InvalidParams: a time that cannot be read, or a mode that is not installed.
    """
    if mode in ("semantic", "hybrid"):
        raise InvalidParams(
            f"mode {mode!r} needs vectors, which are not installed", hint="leave mode at auto", details={"path": "mode"}
        )
    asked = queries.parse(query)
    wanted = _filter(ctx, asked, entity_type, tier, namespaces, since, until)
    floor = 0.0 if min_relevance is None else min_relevance
    words = [(token,) for token in dict.fromkeys(token for word in asked.words for token in word.tokens)]
    match = Match(
        any_of=words,
        required=[phrase.tokens for phrase in asked.phrases],
        excluded=[word.tokens for word in asked.excluded],
        prefixes=[prefix.tokens for prefix in asked.prefixes],
        name_prefixes=[
            tokens for word in asked.words if (tokens := analyse_prefix(word.text)) and len(tokens[-1]) >= 3
        ],
    )
    if match.any_of or match.required or match.prefixes:
        found = _matching(ctx, match, wanted, depth=min(_DEEPEST, 4 * (offset + limit) + 60))
    else:
        found = [(entity, 0.0, []) for entity in ctx.store.entities.recent(wanted, offset + limit + 1)]
    relevant = [(*item, _relevance(ctx, item[0])) for item in found]
    ranked = [item for item in relevant if item[3] >= floor]
    page = ranked[offset : offset + limit]
    results = [_told(item[0], item[1], item[2], item[3], detail, several=bool(namespaces)) for item in page]
    more = len(ranked) > offset + limit
    if max_tokens is not None:
        kept = _within(results, max_tokens)
        more, results = more or kept < len(results), results[:kept]
    ids = [item[0].id for item in page[: len(results)]]
    ctx.store.entities.count_accesses(ids)
    return {
        "query": query,
        "count": len(results),
        "results": results,
        "relations": [relation(edge) for edge in ctx.store.relations.touching(ids, _MOST_RELATIONS)],
        "more": more,
        "mode": "lexical",
    }


def _filter(
    ctx: Context,
    asked: queries.Query,
    entity_type: str | None,
    tier: str | None,
    namespaces: list[str] | None,
    since: str | None,
    until: str | None,
) -> Filter:
    """The filters of the arguments and of the query together."""
    typed_since, typed_until = (next(reversed(asked.values(key)), None) for key in ("since", "until"))
    return Filter(
        namespaces=namespaces or [],
        entity_types=[entity_type] if entity_type is not None else asked.values("type"),
        tiers=[tier] if tier is not None else asked.values("tier"),
        since=instant_of(ctx, "since", first) if (first := since or typed_since) else None,
        until=instant_of(ctx, "until", last, end=True) if (last := until or typed_until) else None,
    )


def _matching(
    ctx: Context, match: Match, wanted: Filter, depth: int
) -> list[tuple[Entity, float, list[ObservationMatch]]]:
    """Entities that match, best first, with the observations that did."""
    rows: dict[int, list[tuple[int, float]]] = {}
    for hit in ctx.store.index.best(match, wanted, depth):
        rows.setdefault(hit.entity_id, []).append((hit.slot, hit.score))
    entities = ctx.store.entities.by_ids(list(rows))
    found = []
    for number, entity in entities.items():
        label = max((score for slot, score in rows[number] if slot == 0), default=0.0)
        matches = [
            ObservationMatch(index=position, score=round(score, 4))
            for slot, score in rows[number]
            if slot and (position := entity.position(slot)) is not None
        ]
        best = max((each["score"] for each in matches), default=0.0)
        score = max(best, label) + _LABEL_SHARE * min(best, label)
        found.append((entity, score, matches))
    return sorted(found, key=lambda item: (-item[1], -item[0].id))


def _relevance(ctx: Context, entity: Entity) -> float:
    since = entity.last_confirmed or entity.created_at
    return relevance(entity.relevance_score, since, ctx.now, pinned=entity.always_include)


def _told(
    entity: Entity, score: float, matches: list[ObservationMatch], relevant: float, detail: str, *, several: bool
) -> FoundEntity:
    """One result, as much of it as was asked for."""
    told = FoundEntity(id=entity.id, name=entity.name, score=round(score, 4))
    if several:
        told["namespace"] = entity.namespace
    if entity.damage is not None:
        told["error"], told["code"] = damaged(entity).message, Corrupt.code
    told["type"] = entity.entity_type
    if detail == "names":
        return told
    if detail == "matched":
        told["observations"] = [entity.observations[each["index"]] for each in matches]
    else:
        told["observations"] = list(entity.observations)
    told["tier"] = entity.tier
    told["version"] = entity.version
    told["branch"] = entity.branch
    told["relevance_score"] = round(relevant, 4)
    told["access_count"] = entity.access_count
    told["created"] = entity.created_at
    told["accessed"] = entity.last_accessed
    told["matches"] = matches
    return told


def _within(results: list[FoundEntity], max_tokens: int) -> int:
    """How many of the results fit the budget."""
    spent = 0
    for count, result in enumerate(results):
        spent += tokens_of(result)
        if spent > max_tokens:
            return count
    return len(results)
