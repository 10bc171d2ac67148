"""Detection: which memories are in conflict with some observations, as the operations on conflicts and entities ask it.

Above it lie those operations; below it `rules.conflicts`, which decides, and the store's index, which finds what to
decide on.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Sequence
from typing import TYPE_CHECKING

from enhanced_memory.rules import conflicts as rules
from enhanced_memory.shapes import Conflict
from enhanced_memory.store.base import Entity, Filter, Finding, Match

if TYPE_CHECKING:
    from enhanced_memory.context import Context

_OBSERVATIONS = 50
"""Observations of one entity that others are looked up for; and up to which two entities are compared whole."""

_ROWS = 20
_JUDGED = 8
"""Rows to take from the index for each lookup, and observations to judge one against."""


def conflicts_with(
    ctx: Context,
    name: str | None,
    entity_type: str,
    observations: Sequence[str],
    threshold: float,
    until: float = float("inf"),
) -> tuple[list[Conflict], bool]:
    """Memories in conflict with an entity of this name, type and observations, surest first; and whether all is told.

    Of more than 50 observations the first count. What is not looked up by `until` (time.monotonic) is left out.
    """
    found: list[Conflict] = []
    pairs, whole = _pairs(ctx, entity_type, observations[:_OBSERVATIONS], until)
    for entity, texts in pairs:
        if entity.name == name and entity.namespace == ctx.store.namespace:
            continue
        if time.monotonic() > until:
            whole = False
            break
        verdict = compared(entity, entity_type, observations, threshold, texts)
        if verdict is not None:
            found.append(told(entity, verdict))
    found.sort(key=lambda conflict: (-conflict["confidence"], conflict["existing_id"]))
    return found, whole


def compared(
    entity: Entity, entity_type: str, observations: Sequence[str], threshold: float, pairs: Sequence[tuple[str, str]]
) -> rules.Verdict | None:
    """What an entity is to another of this type and with these observations, when some pairs of them are looked at.

    Where these say something and the lists are short, all are compared.
    """
    same_type = entity.entity_type == entity_type
    old = entity.observations
    verdict = rules.compare(old, observations, threshold=threshold, pairs=pairs, same_type=same_type)
    if verdict is not None and max(len(old), len(observations)) <= _OBSERVATIONS:
        verdict = rules.compare(old, observations, threshold=threshold, same_type=same_type) or verdict
    return verdict


def _pairs(
    ctx: Context, entity_type: str, observations: Sequence[str], until: float
) -> tuple[list[tuple[Entity, list[tuple[str, str]]]], bool]:
    """Per entity that may be in conflict, its observations worth judging, each with the one it may be against."""
    index = ctx.store.index
    rows = index.rows()
    asked: list[tuple[str, dict[str, int], list[tuple[int, int]]]] = []
    whole = True
    for observation in observations:
        if time.monotonic() > until:
            whole = False
            break
        often = index.frequencies(rules.looked_up(observation))
        counts = {token: frequency.rows for token, frequency in often.items()}
        places: dict[tuple[int, int], None] = {}
        for lookup in rules.lookups(observation, counts, rows):
            match = Match(
                any_of=[(token,) for token in lookup.needed],
                helpful=[(token,) for token in lookup.helpful],
                all_of=[(token,) for token in lookup.together],
            )
            hits = index.best(match, Filter(entity_types=[entity_type]), _ROWS)
            if len(hits) < _ROWS:  # what entities of another type say of the same thing counts less
                hits += index.best(match, Filter(), _ROWS)
            places.update(((hit.entity_id, hit.slot), None) for hit in hits if hit.slot)
        asked.append((observation, counts, list(places)))
    entities = ctx.store.entities.by_ids(list(dict.fromkeys(number for _, _, places in asked for number, _ in places)))
    found: defaultdict[int, list[tuple[str, str]]] = defaultdict(list)
    for observation, counts, places in asked:
        texts = [(number, text) for number, slot in places if (text := _observation(entities.get(number), slot))]
        likely = [texts[place] for place in rules.worth_judging(observation, [text for _, text in texts], counts)]
        likely.sort(key=lambda each: entities[each[0]].entity_type != entity_type)
        for number, text in likely[:_JUDGED]:
            found[number].append((text, observation))
    return [(entities[number], texts) for number, texts in found.items()], whole


def _observation(entity: Entity | None, slot: int) -> str | None:
    """What an index row says, if the entity can be read and still says it."""
    position = None if entity is None or entity.damage is not None else entity.position(slot)
    return None if entity is None or position is None else entity.observations[position]


def told(entity: Entity, verdict: rules.Verdict) -> Conflict:
    """A verdict on a memory as a reply tells it."""
    return {
        "existing_entity": entity.name,
        "existing_id": entity.id,
        "conflict_type": verdict.conflict_type,
        "confidence": round(verdict.confidence, 3),
        "suggested_action": verdict.suggested_action,
        "details": verdict.details,
        "evidence": [
            {
                "new": each.new,
                "existing": each.existing,
                "reason": each.reason,
                "confidence": round(each.confidence, 3),
            }
            for each in verdict.evidence
        ],
    }


def record(ctx: Context, name: str, number: int, found: Sequence[Conflict]) -> None:
    """Keep conflicts of an entity as pending, and note their numbers in them; what was decided before stays decided."""
    for conflict in found:
        kept = ctx.store.conflicts.record(finding(name, number, conflict))
        if kept is not None:
            conflict["conflict_id"] = kept


def finding(name: str, number: int, conflict: Conflict) -> Finding:
    """A conflict of an entity as the store keeps it."""
    return Finding(
        entity=name,
        entity_id=number,
        other=conflict["existing_entity"],
        other_id=conflict["existing_id"],
        kind=conflict["conflict_type"],
        confidence=conflict["confidence"],
        action=conflict["suggested_action"],
        evidence=[dict(each) for each in conflict["evidence"]],
    )
