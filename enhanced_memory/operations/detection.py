"""Detection: which memories are in conflict with some observations, as the operations on conflicts and entities ask it.

Above it lie those operations; below it `rules.conflicts`, which decides, and the store's index, which finds what to
decide on.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from enhanced_memory.rules import conflicts as rules
from enhanced_memory.rules.blocking import Blocks, Candidate
from enhanced_memory.rules.overlap import DUPLICATE, levelled
from enhanced_memory.rules.owners import Owner, names_at_start, names_subject, owner_of, words_of_name
from enhanced_memory.shapes import Conflict
from enhanced_memory.store.base import Entity, Filter, Finding, Hit, Match, Texts

if TYPE_CHECKING:
    from enhanced_memory.context import Context

_OBSERVATIONS = 50
"""Observations of one entity that others are looked up for; and up to which two entities are compared whole."""

_ROWS = 12
_UNRANKED = 100
_JUDGED = 8
"""Rows to take from the index for each lookup, and for each that ranks none; and observations to judge one against."""


def conflicts_with(
    ctx: Context,
    name: str | None,
    entity_type: str | None,
    observations: Sequence[str],
    threshold: float,
    is_over: Callable[[], bool] = lambda: False,
    looked_for: Sequence[str] | None = None,
) -> tuple[list[Conflict], bool]:
    """Memories in conflict with an entity of this name, type and observations, surest first; and whether all is told.

    Observations are looked up, or those of `looked_for`; of more than 50 so many that lie evenly among them.
    What is not looked up by the time that `is_over` says so is left out.
    """
    found: list[Conflict] = []
    wanted = observations if looked_for is None else looked_for
    owner = owner_of(name, entity_type)
    pairs, whole = _pairs(ctx, owner, entity_type, _spread(wanted), is_over)
    for entity, texts in pairs:
        if entity.name == name and entity.namespace == ctx.store.namespace:
            continue
        if is_over():
            whole = False
            break
        verdict = compared(entity, owner, entity_type, observations, threshold, texts)
        if verdict is not None:
            found.append(told(entity, verdict))
    found.sort(key=lambda conflict: (-conflict["confidence"], conflict["existing_id"]))
    return found, whole


def _spread(observations: Sequence[str]) -> Sequence[str]:
    """Up to 50 of them, from the first to the last at even distances: what two lists share may stand anywhere."""
    count = len(observations)
    if count <= _OBSERVATIONS:
        return observations
    return [observations[place * count // _OBSERVATIONS] for place in range(_OBSERVATIONS)]


def compared(
    entity: Entity,
    owner: Owner,
    entity_type: str | None,
    observations: Sequence[str],
    threshold: float,
    pairs: Sequence[tuple[str, str]],
) -> rules.Verdict | None:
    """What an entity is to another of this name, type and observations, when some pairs of them are looked at.

    Where these say something and the lists are short, all are compared.
    """
    same_type = entity_type in (None, entity.entity_type)
    old = entity.observations
    owners = owner_of(entity.name, entity.entity_type), owner
    verdict = rules.compare(old, observations, threshold=threshold, pairs=pairs, same_type=same_type, owners=owners)
    if verdict is not None and max(len(old), len(observations)) <= _OBSERVATIONS:
        whole = rules.compare(old, observations, threshold=threshold, same_type=same_type, owners=owners)
        verdict = whole or verdict
    return verdict


def _pairs(
    ctx: Context, owner: Owner, entity_type: str | None, observations: Sequence[str], is_over: Callable[[], bool]
) -> tuple[list[tuple[Entity, list[tuple[str, str]]]], bool]:
    """Per entity that may be in conflict, its observations worth judging, each with the one it may be against."""
    index = ctx.store.index
    rows = index.rows()
    asked: list[tuple[str, dict[str, int], list[tuple[int, int]]]] = []
    whole = True
    for observation in observations:
        if is_over():
            whole = False
            break
        often = index.frequencies(rules.looked_up(observation, owner))
        counts = {token: frequency.rows for token, frequency in often.items()}
        places: dict[tuple[int, int], None] = {}
        for lookup in rules.lookups(observation, counts, rows, owner):
            match = Match(
                any_of=[*((token,) for token in lookup.needed), *lookup.named],
                helpful=[(token,) for token in lookup.helpful],
                all_of=[(token,) for token in lookup.together],
            )
            most = _UNRANKED if lookup.together else _ROWS
            hits = index.best(match, Filter(), most)
            if entity_type is not None and len(hits) == most and not _are_of_type(ctx, hits, entity_type):
                hits += index.best(match, Filter(entity_types=[entity_type]), most)  # these must not be crowded out
            places.update(((hit.entity_id, hit.slot), None) for hit in hits if hit.slot)
        asked.append((observation, counts, list(places)))
    entities = ctx.store.entities.by_ids(list(dict.fromkeys(number for _, _, near in asked for number, _ in near)))
    found: defaultdict[int, list[tuple[str, str]]] = defaultdict(list)
    for observation, counts, near in asked:
        texts = [(number, text) for number, slot in near if (text := _observation(entities.get(number), slot))]
        likely = [texts[place] for place in rules.worth_judging(observation, [text for _, text in texts], counts)]
        likely.sort(key=lambda each: entities[each[0]].entity_type != entity_type)
        for number, text in likely[:_JUDGED]:
            found[number].append((text, observation))
    for entity, said in _of_named(ctx, observations):
        entities[entity.id] = entity
        found[entity.id] += said
    return [(entities[number], texts) for number, texts in found.items()], whole


def _are_of_type(ctx: Context, hits: Sequence[Hit], entity_type: str) -> bool:
    """Whether all rows are of living entities of one type, so that the best of this type are known already."""
    numbers = {hit.entity_id for hit in hits}
    types = ctx.store.entities.types(numbers)
    return all(types.get(number) == entity_type for number in numbers)


def _of_named(ctx: Context, observations: Sequence[str]) -> list[tuple[Entity, list[tuple[str, str]]]]:
    """Entities that observations name as their subject, with what they say of themselves and may be against it."""
    names = {observation: names_at_start(observation) for observation in observations}
    known = ctx.store.entities.find_many(list(dict.fromkeys(name for each in names.values() for name in each)))
    found = []
    for observation, called in names.items():
        for entity in (known[name] for name in called if name in known):
            said = names_subject(observation, owner_of(entity.name, entity.entity_type))
            if said and entity.damage is None:
                own = entity.observations[-_NAMED:]
                places = rules.worth_judging(said, own, {})[:_JUDGED]
                found.append((entity, [(own[place], observation) for place in places]))
    return found


_NAMED = 200
"""Last observations of an entity named elsewhere that are looked at: as many as take some milliseconds."""


def _observation(entity: Entity | None, slot: int) -> str | None:
    """What an index row says, if the entity can be read and still says it."""
    position = None if entity is None or entity.damage is not None else entity.position(slot)
    return None if entity is None or position is None else entity.observations[position]


CHECK_S = 0.05
"""Seconds of the processor within which a check of what was written ends: on a busy machine it finds the same."""

WAIT_S = 1.0
"""Seconds within which it ends wherever the processor is, or the disk: longer nobody waits for the reply to a write."""


def _limit() -> Callable[[], bool]:
    """What tells whether the time of a check that begins now, in this thread, is over."""
    worked, waited = time.thread_time() + CHECK_S, time.monotonic() + WAIT_S
    return lambda: time.thread_time() > worked or time.monotonic() > waited


def check_written(
    ctx: Context, names: Sequence[str | None], texts: Sequence[Sequence[str]], reply: dict[str, Any]
) -> Callable[[Context], dict[str, Any]] | None:
    """Look for conflicts of entities just written with these observations; None where nothing is to be told.

    What it returns records them as pending and adds them to the results of the reply. What was decided before, on the
    same evidence, is not told again.
    """
    begun = time.thread_time()
    found, whole = ctx.read(partial(_conflicts_of, names=names, texts=texts, is_over=_limit()))
    ctx.service.checks.spend(time.thread_time() - begun)
    return partial(_completed, reply=reply, found=found, whole=whole) if found or not whole else None


Written = tuple[str, int, list[Conflict]]
"""Name and number of an entity, and its conflicts."""


def _conflicts_of(
    ctx: Context, names: Sequence[str | None], texts: Sequence[Sequence[str]], is_over: Callable[[], bool]
) -> tuple[dict[int, Written], bool]:
    """Per place in the batch, the conflicts of what was written; and whether there was time for all."""
    found: dict[int, Written] = {}
    for place, (name, observations) in enumerate(zip(names, texts, strict=True)):
        entity = None if name is None else ctx.store.entities.find(name)
        if entity is None:
            continue
        if is_over():
            return found, False
        context = entity.observations if len(entity.observations) <= _OBSERVATIONS else observations
        conflicts, whole = conflicts_with(
            ctx, entity.name, entity.entity_type, context, DUPLICATE, is_over, looked_for=observations
        )
        if conflicts:
            found[place] = entity.name, entity.id, conflicts
        if not whole:
            return found, False
    return found, True


def _completed(ctx: Context, reply: dict[str, Any], found: Mapping[int, Written], whole: bool) -> dict[str, Any]:
    """The reply with the conflicts, which are recorded."""
    results = list(reply["results"])
    for place, (name, number, conflicts) in found.items():
        pending = record(ctx, name, number, conflicts)
        if pending:
            results[place] = {**results[place], "conflicts": pending}
    return {**reply, "results": results, **({} if whole else {"conflicts_checked": False})}


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


def record(ctx: Context, name: str, number: int, found: Sequence[Conflict]) -> list[Conflict]:
    """Keep conflicts of an entity as pending, and note their numbers in them; gives those that are pending now.

    What was decided before, on the same evidence, stays decided; its number is that of the decision.
    """
    pending = []
    for conflict in found:
        kept = ctx.store.conflicts.record(finding(name, number, conflict))
        if kept is not None:
            pending.append(conflict)
        else:
            kept = ctx.store.conflicts.find(number, conflict["existing_id"], conflict["conflict_type"])
        if kept is not None:
            conflict["conflict_id"] = kept
    return pending


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


# ---------------------------------------------------------------------------------------------- the whole namespace

_FEW = 300
"""Entities up to which each is looked up in the index, which finds more than blocking: other words for the same."""

_PAGE = 200
"""Entities read at once."""

_PAIRS_AT_ONCE = 40
_MOST_PAIRS = 20_000
"""Pairs of entities compared at once, and in all: the most alike of those that blocking gives."""

_BREATH_S = 0.001
"""Seconds between two pauses for other threads."""

_WRITE_S = 0.04
"""Seconds for which recording holds the writer."""

Found = tuple[str, int, Conflict]
"""Name and number of the newer entity, and what it is to the older one."""


def search_namespace(ctx: Context, threshold: float, entity_type: str | None) -> str:
    """Find the conflicts among all entities, or those of a type, and record them; returns what the search is called.

    Works in slices, between which others are served, and tells progress: entities read and pairs compared.
    """
    run, total = ctx.read(lambda inner: (inner.now, inner.store.entities.count(entity_type)))
    if total <= _FEW:
        found = _found_by_index(ctx, threshold, entity_type, total)
    else:
        found = _found_by_blocks(ctx, threshold, entity_type, total)
    while found:
        found = ctx.write(partial(_recorded_some, found=found, run=run))
    return run


def _found_by_index(ctx: Context, threshold: float, entity_type: str | None, total: int) -> list[Found]:
    """What the entities of a small namespace are to one another, each looked up."""
    found: list[Found] = []

    def look(inner: Context, after: int) -> int | None:
        """The entity behind that number against the older ones; its number, or None at the end."""
        for entity in inner.store.entities.page(after, 1, entity_type):
            for conflict in conflicts_with(inner, entity.name, entity.entity_type, entity.observations, threshold)[0]:
                if conflict["existing_id"] < entity.id and entity_type in (None, _type_of(inner, conflict)):
                    found.append((entity.name, entity.id, conflict))
            return entity.id
        return None

    after, done = ctx.read(partial(look, after=0)), 0
    while after is not None:
        done += 1
        ctx.progress(done, max(total, done))
        after = ctx.read(partial(look, after=after))
    return found


def _type_of(ctx: Context, conflict: Conflict) -> str | None:
    entity = ctx.store.entities.by_ids([conflict["existing_id"]]).get(conflict["existing_id"])
    return None if entity is None else entity.entity_type


def _found_by_blocks(ctx: Context, threshold: float, entity_type: str | None, total: int) -> list[Found]:
    """What the entities of a large namespace are to one another, as far as they have nearly the same observations."""
    blocks, after, done = Blocks(), 0, 0
    breathe = _Breath()
    while page := ctx.read(partial(_page, after=after, entity_type=entity_type)):
        for each in page:
            blocks.add(each.entity_id, each.observations, words_of_name(each.name))
            breathe()
        after, done = page[-1].entity_id, done + len(page)
        ctx.progress(done, max(total, done) + _MOST_PAIRS)
    candidates = blocks.pairs(breathe)[:_MOST_PAIRS]
    del blocks
    found: list[Found] = []
    for start in range(0, len(candidates), _PAIRS_AT_ONCE):
        part = candidates[start : start + _PAIRS_AT_ONCE]
        numbers = sorted({number for pair in part for number in (pair.first, pair.second)})
        entities = ctx.read(partial(_by_ids, numbers=numbers))
        for pair in part:
            older, newer = entities.get(pair.first), entities.get(pair.second)
            if older is not None and newer is not None and older.damage is None and newer.damage is None:
                verdict = _verdict(older, newer, pair, threshold)
                if verdict is not None:
                    found.append((newer.name, newer.id, told(older, verdict)))
            breathe()
        ctx.progress(done + start + len(part), done + len(candidates))
    return found


def _page(ctx: Context, after: int, entity_type: str | None) -> list[Texts]:
    return ctx.store.entities.texts(after, _PAGE, entity_type)


def _by_ids(ctx: Context, numbers: Sequence[int]) -> dict[int, Entity]:
    return ctx.store.entities.by_ids(numbers)


def _verdict(older: Entity, newer: Entity, pair: Candidate, threshold: float) -> rules.Verdict | None:
    """What two entities are to one another, by what blocking found alike and the observations that both have."""
    old, new = older.observations, newer.observations
    near = [(old[one], new[other]) for one, other in pair.near if one < len(old) and other < len(new)]
    known = {levelled(text): text for text in reversed(old)}
    same = [(known[level], text) for text in new if (level := levelled(text)) in known]
    same_type = older.entity_type == newer.entity_type
    owners = owner_of(older.name, older.entity_type), owner_of(newer.name, newer.entity_type)
    pairs = [*near, *same[:_OBSERVATIONS]]
    return rules.compare(old, new, threshold=threshold, pairs=pairs, same_type=same_type, owners=owners)


def _recorded_some(ctx: Context, found: list[Found], run: str) -> list[Found]:
    """Record what there is time for, and return the rest."""
    until = time.monotonic() + _WRITE_S
    for done, (name, number, conflict) in enumerate(found, 1):
        ctx.store.conflicts.record(finding(name, number, conflict), run)
        if time.monotonic() > until:
            return found[done:]
    return []


class _Breath:
    """Lets other threads run, called often: without it each would wait for the interpreter's 5 ms at every step.

    Not at every call, since even a pause of no length takes the system a tenth of a millisecond.
    """

    def __init__(self) -> None:
        self._next_at = 0.0

    def __call__(self) -> None:
        if time.monotonic() >= self._next_at:
            time.sleep(0)
            self._next_at = time.monotonic() + _BREATH_S
