"""Search: the right memory for a question."""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Annotated, Literal, NamedTuple

from pydantic import Field

from enhanced_memory.errors import Busy, Corrupt, InvalidParams
from enhanced_memory.operations.branching import as_on
from enhanced_memory.operations.graph import instant_of
from enhanced_memory.operations.words import damaged, relation
from enhanced_memory.registry import operation
from enhanced_memory.rules import fusion, ranking
from enhanced_memory.rules import query as queries
from enhanced_memory.rules.budget import tokens_of
from enhanced_memory.rules.ranking import Found as Ranked
from enhanced_memory.rules.text import analyse_parts, analyse_prefix, observe
from enhanced_memory.rules.tiers import faded, relevance
from enhanced_memory.rules.wording import is_code, question
from enhanced_memory.shapes import TIERS, BranchName, EntityType, Found, FoundEntity, Fraction, Line, Tier
from enhanced_memory.store.base import Details, Entity, Filter, Hit, Match, Outline

if TYPE_CHECKING:
    from enhanced_memory.context import Context

_MOST_RELATIONS = 50
"""Relations told with a page of results; `open_nodes` gives more of them."""

_MOST_EXPANSIONS = 20
"""Words that the beginning of one stands for."""

_SHORTEST_BEGINNING = 3
"""Letters a word needs to be taken for the beginning of a name."""

_MOST_WORDS = 100
"""Words of a query that are looked up; a page of text pasted into it is searched by its first hundred."""

_MOST_ASIDE = 500
"""Entities on a branch that one search reads whole."""

_DEEPER = 8
_DEEPEST = 10_000
"""Where what only the texts tell leaves too few rows, 8 times as many are asked for, and so many at the most."""

_STEP = 16
_STEP_BY = 4
"""Results that are ranked at first, and by how much more next; as many as are judged for a page of ten anyway."""

_RECENT_PAGE = 1_000
"""Entities read at once to find those among the last used that are relevant enough."""

_GLANCE = 4
"""Letters of a word that tell at a glance that an observation cannot have it."""

_MOST_MATCHES = 20
"""Matching observations told of one entity."""

_MOST_UNREAD = 5
"""What was taken for words although it looks like a filter, as far as it is told."""

_SECONDS_A_DAY = 86_400

_SHORT = 400
"""Characters of a text whose reading is kept: the reading of long ones would take gigabytes."""

_read_short_line = lru_cache(16_384)(ranking.read_line)
"""Observations as the ranking sees them, kept by their text; about 2 KiB each."""


@operation(writes=False, core=True, apart=True)
def search_nodes(
    ctx: Context,
    query: Annotated[str, Field(max_length=100_000, description='"" lists what was used last.')],
    limit: Annotated[int, Field(ge=1, le=1000, description="Most results.")] = 10,
    mode: Annotated[
        Literal["auto", "lexical", "semantic", "hybrid"], Field(description="auto takes the best there is.")
    ] = "auto",
    entity_type: Annotated[EntityType | None, Field(description="Only this type.")] = None,
    tier: Annotated[Tier | None, Field(description="Only this tier.")] = None,
    namespaces: Annotated[list[Line] | None, Field(max_length=100, description="Search these instead.")] = None,
    since: Annotated[str | None, Field(max_length=64, description="ISO 8601, or 7d, 2w.")] = None,
    until: Annotated[str | None, Field(max_length=64, description="Changed before, likewise.")] = None,
    min_relevance: Annotated[Fraction | None, Field(description="Only what is still this relevant.")] = None,
    detail: Annotated[Literal["full", "matched", "names"], Field(description="How much of each result.")] = "full",
    max_tokens: Annotated[int | None, Field(ge=50, description="Keep the reply within this budget.")] = None,
    offset: Annotated[int, Field(ge=0, le=100_000, description="Results to pass over.")] = 0,
    explain: Annotated[bool, Field(description="Say why each result ranks where it does.")] = False,
    branch: Annotated[BranchName | None, Field(description="As this branch has entities, where they have it.")] = None,
) -> Found:
    """Find memories by a plain question or by words in their names, types and observations, best first.

    Use before answering about the past and before creating. Any word may match; "a phrase", -word, prefix* work. Gives
    each with its score and what matched. A small reply:
    search_nodes(query='what does Ann drink?', limit=5, detail='matched')

    Rare words count most; type:, tier: and since: work inside the query as well. Each result's `matches` names the
    observations that matched, best first.

    Raises: InvalidParams: a time that cannot be read, or a mode that is not installed.
    """
    ran = _mode(ctx, mode)
    asked = queries.parse(query)
    wanted = _filter(ctx, asked, entity_type, tier, namespaces, since, until)
    depth = offset + limit + 1
    find = partial(_results, ctx, query, asked, wanted, ran, depth, explain, branch, min_relevance)
    results = find(ctx.store.entities.outlines)
    page = results[offset : offset + limit]
    details = _details(ctx, page)
    if any(each.damage not in (None, result.entity.damage) for each, result in zip(details, page, strict=True)):
        results = find(ctx.store.entities.by_ids)  # an outline overlooked it
        page = results[offset : offset + limit]
        details = _details(ctx, page)
    several = bool(namespaces)
    told = [
        _told(result, each, detail, several=several, explain=explain)
        for result, each in zip(page, details, strict=True)
    ]
    kept = len(told) if max_tokens is None else _within(told, max_tokens)
    if told and not kept:  # a page that gives nothing would never end; the rest of it is for open_nodes
        told[0], kept = _told(page[0], details[0], "names", several=several, explain=False), 1
    ids = [result.entity.id for result in page[:kept]]
    ctx.store.entities.count_accesses(ids)
    reply: Found = {
        "query": query,
        "count": kept,
        "results": told[:kept],
        "relations": [relation(edge) for edge in ctx.store.relations.touching(ids, _MOST_RELATIONS)],
        "more": len(results) > offset + kept,
        "mode": ran,
    }
    if asked.unread:
        reply["notice"] = _notice(asked.unread)
    return reply


def _notice(unread: Sequence[str]) -> str:
    """What to tell of parts of a query that look like filters and are none."""
    told = ", ".join(unread[:_MOST_UNREAD])
    takes = "tier: takes " + ", ".join(TIERS[:-1]) + f" or {TIERS[-1]}; since: and until: take 2026-01-31, 7d or 2w"
    return f"read as plain words, since that is no filter: {told[:_SHORT]}. {takes}"


def _mode(ctx: Context, wanted: str) -> str:
    """How to search: as wanted, or for auto the best there is. Raises: InvalidParams; Busy: the model is not ready."""
    meaning = ctx.service.meaning
    if wanted == "auto":
        return "hybrid" if meaning is not None and meaning.ready else "lexical"
    if wanted != "lexical" and meaning is None:
        raise InvalidParams(
            f"mode {wanted!r} needs vectors, which are not installed",
            hint="leave mode at auto, or install enhanced-memory[semantic]",
            details={"path": "mode"},
        )
    if wanted != "lexical" and meaning is not None and not meaning.ready:
        raise Busy(
            f"mode {wanted!r} needs a model that is not loaded", hint="ask again in a moment, or look in the log"
        )
    return wanted


_Seen = Entity | Outline
"""What a search judges: entities, as a rule in outline."""

_Reader = Callable[[Sequence[int]], Mapping[int, _Seen]]
"""Reads those of some numbers that live."""


class _Result(NamedTuple):
    """An entity, how it ranks, its score with what breaks ties, and its relevance now (0.1..1)."""

    entity: _Seen
    ranked: Ranked
    score: float
    relevance: float


@dataclass(slots=True, eq=False)
class _Reading:
    """What the ranking reads of an entity.

    `confirmed` is when it last was, or else when it was created; `updated` when it last changed. `strip` is all of one
    that has a single short observation and no session, once it was found.
    """

    title: ranking.Title
    confirmed: datetime
    updated: datetime
    strip: ranking.Strip | None = None


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
    first = since or next(reversed(asked.values("since")), None)
    last = until or next(reversed(asked.values("until")), None)
    return Filter(
        namespaces=namespaces or [],
        entity_types=[entity_type] if entity_type is not None else asked.values("type"),
        tiers=[tier] if tier is not None else asked.values("tier"),
        since=None if first is None else instant_of(ctx, "since", first),
        until=None if last is None else instant_of(ctx, "until", last, end=True),
    )


def _details(ctx: Context, page: Sequence[_Result]) -> list[Details]:
    """What is told of these results beside what they were judged by."""
    found = ctx.store.entities.details([seen.id for seen, *_ in page if isinstance(seen, Outline)])
    return [
        found[seen.id]
        if isinstance(seen, Outline)
        else Details(seen.version, seen.branch, seen.access_count, seen.last_accessed, seen.damage)
        for seen, *_ in page
    ]


# ------------------------------------------------------------------------------------------------------- the ranking


def _results(
    ctx: Context,
    query: str,
    asked: queries.Query,
    wanted: Filter,
    mode: str,
    depth: int,
    explain: bool,
    branch: str | None,
    least: float | None,
    read: _Reader,
) -> list[_Result]:
    """What is found, best first; candidates are read by `read`."""
    if asked.words or asked.phrases or asked.prefixes:

        def match(asked: queries.Query, step: int) -> list[_Result]:
            return _matching(ctx, query, asked, wanted, mode, step, explain, branch, least, read)

        found = _in_steps(partial(match, asked), depth)
        if found or not (asked.phrases and asked.words):
            return found
        loosely = replace(asked, words=asked.words + asked.phrases, phrases=())  # it quotes a title nobody wrote so
        return _in_steps(partial(match, loosely), depth)
    if query.strip() and not asked.filters and not asked.excluded:  # signs alone, which no memory can match
        return []
    return _recent(ctx, wanted, depth, _test(ctx, asked, least))


def _in_steps(match: Callable[[int], list[_Result]], depth: int) -> list[_Result]:
    """The results down to `depth`: those of a few candidates first, then what more candidates add to them.

    Results are judged beside one another, so more candidates may change their order. What an earlier page told must
    stay where it was, or the next would repeat some and leave out others.
    """
    results: list[_Result] = []
    step = _STEP
    while True:
        found = match(step)
        known = {result.entity.id for result in results}
        least = results[-1].score if results else math.inf
        results += [each._replace(score=min(each.score, least)) for each in found if each.entity.id not in known]
        if len(results) >= depth or len(found) < step:
            return results
        step *= _STEP_BY


def _matching(
    ctx: Context,
    query: str,
    asked: queries.Query,
    wanted: Filter,
    mode: str,
    depth: int,
    explain: bool,
    branch: str | None,
    least: float | None,
    read: _Reader,
) -> list[_Result]:
    """At least `depth` entities that match, best first: rows of the index, judged again with those around them.

    The index has what reads see; entities that have `branch` are read whole, as that branch has them.
    """
    aside = {} if branch is None else _aside(ctx, branch, wanted)
    lines = {number: [_read_line(text) for text in entity.observations] for number, entity in aside.items()}
    unindexed = Counter(token for each in lines.values() for line in each for token in line.counts)
    terms, matches = _looked_up(ctx, asked, unindexed)
    passes = _test(ctx, asked, least)
    hits = []
    if mode != "semantic":
        hits = [*_called(ctx, query, wanted), *_met(ctx, matches, wanted, read, passes, depth)]
    by_meaning = mode == "semantic" or (mode == "hybrid" and not all(is_code(word.text) for word in asked.words))
    vector = _vector(ctx, query, terms) if by_meaning else b""
    if vector:
        look = partial(ctx.store.vectors.nearest, vector, wanted)
        likest = _gathered(look, read, passes, depth, max(ranking.CANDIDATES, 2 * depth))
        likeness = fusion.UNLIKE if hits else fusion.ALONE
        hits += [hit for hit in likest if hit.score >= likeness]
    else:
        hits = _foremost(hits, depth)
    slots: dict[int, list[int]] = {}
    for hit in hits:
        if hit.entity_id not in aside:
            slots.setdefault(hit.entity_id, []).append(hit.slot)
    entities: dict[int, _Seen] = {**read(list(slots))}
    in_sessions = [number for number, entity in entities.items() if entity.source_session is not None]
    windows = ctx.store.entities.beside(in_sessions, ranking.REACH)
    around = {number for window in windows.values() for number in window} - entities.keys() - aside.keys()
    if around:
        neighbours = read(sorted(around))
        entities |= {number: entity for number, entity in neighbours.items() if _passes(ctx, entity, wanted)}
    readings = {number: _reading(entity) for number, entity in entities.items()}
    strips = _strips(entities, readings, slots, windows, [term.token[:_GLANCE] for term in terms])
    strips += [
        ranking.Strip(number, [ranking.Place(number, at, line) for at, line in enumerate(each)])
        for number, each in lines.items()
    ]
    entities |= aside
    readings |= {number: _reading(entity) for number, entity in aside.items()}
    titles = {number: reading.title for number, reading in readings.items()}
    found = ranking.score(terms, strips, titles, explain=explain) if mode != "semantic" else []
    if vector:
        found = fusion.fuse(found, terms, strips, titles, _likeness(ctx, vector, strips, entities))
    known = {each.entity for each in found}
    # A damaged entity has no observations to judge, but its rows matched: it is told, so that its loss is noticed.
    found += [Ranked(number, 0.0, ()) for number in slots if number in entities and number not in known]
    if passes is not None:
        found = [each for each in found if passes(entities[each.entity])]
    if len(found) > depth:  # what a tie cannot lift into the page needs none
        found = [each for each in found if each.score >= found[depth - 1].score - ranking.TIES]
    results = []
    now = datetime.fromisoformat(ctx.now)
    for ranked in found:
        entity = entities[ranked.entity]
        reading = readings[ranked.entity]
        pinned = entity.always_include
        relevant = 1.0 if pinned else faded(entity.relevance_score, (now - reading.confirmed).total_seconds())
        tie = ranking.tie_break(relevant, (now - reading.updated).total_seconds() / _SECONDS_A_DAY, pinned)
        results.append(_Result(entity, ranked, ranked.score + tie, relevant))
    return sorted(results, key=lambda result: (-result.score, -result.entity.id))


def _reading(seen: _Seen) -> _Reading:
    """What the ranking reads of an entity; kept with its outline."""
    if not isinstance(seen, Outline):
        return _read(seen)
    if seen.reading is None:
        seen.reading = _read(seen)
    reading: _Reading = seen.reading
    return reading


def _read(seen: _Seen) -> _Reading:
    return _Reading(
        ranking.read_title(seen.name, seen.entity_type, len(seen.observations)),
        datetime.fromisoformat(seen.last_confirmed or seen.created_at),
        datetime.fromisoformat(seen.updated_at),
    )


def _test(ctx: Context, asked: queries.Query, least: float | None) -> Callable[[_Seen], bool] | None:
    """Whether an entity is relevant enough, has every phrase and nothing excluded; None where nothing of it is asked.

    What is damaged has no text to tell, but is told, so that its loss is noticed.
    """
    texts = bool(asked.phrases or asked.excluded)
    if least is None and not texts:
        return None

    def passes(entity: _Seen) -> bool:
        if least is not None and not _is_relevant(ctx, entity, least):
            return False
        return not texts or entity.damage is not None or _keeps(entity, asked)

    return passes


def _met(
    ctx: Context,
    matches: Sequence[Match],
    wanted: Filter,
    read: _Reader,
    passes: Callable[[_Seen], bool] | None,
    depth: int,
) -> list[Hit]:
    """The rows that match, of entities that pass: with each match those that the ones before it leave room for."""
    hits: list[Hit] = []
    met: set[int] = set()
    for match in matches:
        missing = depth - len(met)
        if missing <= 0:
            break
        rows = 2 * missing if met else max(ranking.CANDIDATES, 2 * depth)
        hits += _gathered(partial(ctx.store.index.best, match, wanted), read, passes, missing, rows, met)
        met.update(hit.entity_id for hit in hits)
    return hits


def _gathered(
    look: Callable[[int], list[Hit]],
    read: _Reader,
    passes: Callable[[_Seen], bool] | None,
    depth: int,
    rows: int,
    met: Collection[int] = (),
) -> list[Hit]:
    """The best `rows` rows of an index, of entities that pass and were not `met`; more while these are below `depth`.

    Where all pass, what is deeper counts for entities that had no row before: large ones, which fill the first look,
    have enough of them, and must not hide the others.
    """
    hits = kept = look(rows)
    passed = dict.fromkeys(met, False)
    while True:
        unknown = {hit.entity_id for hit in hits} - passed.keys()
        if passes is None:
            passed |= dict.fromkeys(unknown, True)
        else:
            found = read(sorted(unknown))
            passed |= {number: number in found and passes(found[number]) for number in unknown}
        enough = sum(passed.values()) >= depth
        exhausted = len(hits) < rows or rows >= _DEEPEST
        if enough or exhausted:
            return [hit for hit in kept if passed[hit.entity_id]]
        rows = min(_DEEPER * rows, _DEEPEST)
        hits = look(rows)
        kept = hits if passes is not None else [*kept, *(hit for hit in hits if hit.entity_id not in passed)]


def _foremost(hits: Sequence[Hit], depth: int) -> list[Hit]:
    """The rows of the best entities among them, as many as are worth judging for a page that ends at `depth`."""
    most = max(ranking.MEMORIES, 2 * depth)
    best = set(itertools.islice(dict.fromkeys(hit.entity_id for hit in hits), most))
    return [hit for hit in hits if hit.entity_id in best]


def _recent(ctx: Context, wanted: Filter, depth: int, passes: Callable[[Entity], bool] | None) -> list[_Result]:
    """What was used last and passes, up to `depth`."""
    if passes is None:
        found = ctx.store.entities.recent(wanted, depth)
    else:
        page = max(depth, _RECENT_PAGE)
        found = []
        for looked in range(0, _DEEPEST, page):
            recent = ctx.store.entities.recent(wanted, page, looked)
            found += filter(passes, recent)
            if len(found) >= depth or len(recent) < page:
                break
    return [_Result(entity, Ranked(entity.id, 0.0, ()), 0.0, _relevance(ctx, entity)) for entity in found[:depth]]


def _aside(ctx: Context, branch: str, wanted: Filter) -> dict[int, Entity]:
    """The entities that have a branch, as it has them."""
    found = ctx.store.entities.by_ids(ctx.store.branches.having(branch, _MOST_ASIDE))
    seen = {number: as_on(ctx, entity, branch) for number, entity in found.items()}
    return {number: entity for number, entity in seen.items() if _passes(ctx, entity, wanted)}


def _vector(ctx: Context, query: str, terms: Sequence[ranking.Term]) -> bytes:
    """What the query means, without the names of those it is about."""
    meaning = ctx.service.meaning
    assert meaning is not None
    return meaning.vector(question(query, {term.token for term in terms if term.is_name}))


def _likeness(
    ctx: Context, vector: bytes, strips: Sequence[ranking.Strip], entities: Mapping[int, _Seen]
) -> dict[tuple[int, int], float]:
    """The cosine to the query of every place in the strips that has a vector."""
    places = [(place.entity, place.position) for strip in strips for place in strip.places]
    cosines = ctx.store.vectors.likeness(vector, [(number, entities[number].slot(index)) for number, index in places])
    return {place: cosine for place, cosine in zip(places, cosines, strict=True) if cosine is not None}


def _called(ctx: Context, query: str, wanted: Filter) -> list[Hit]:
    """The entities whose whole name is the query, in small or capital letters."""
    name = query.strip()
    found = ctx.store.entities.find_many(list(dict.fromkeys((name, name.lower(), name.title(), name.upper()))))
    return [Hit(entity.id, 0, 0.0) for entity in found.values() if _passes(ctx, entity, wanted)]


def _looked_up(
    ctx: Context, asked: queries.Query, unindexed: Mapping[str, int]
) -> tuple[list[ranking.Term], list[Match]]:
    """The terms that score, and what the index is asked for until a page is full.

    `unindexed` counts words in what the index does not hold.
    """
    index = ctx.store.index
    rows = index.rows()
    typed = list(asked.tokens)[:_MOST_WORDS]
    frequencies = index.frequencies(typed)
    begun = _begun(ctx, asked, [word for word, often in frequencies.items() if often.rows])
    frequencies.update(index.frequencies(begun))
    counts = {
        word: ranking.Count(often.rows + unindexed.get(word, 0), often.who) for word, often in frequencies.items()
    }
    terms = ranking.weigh(typed, counts, rows, beginnings=begun)
    labels = frozenset(term.token for term in terms if term.is_name)
    if asked.phrases:
        needed = [phrase.tokens for phrase in asked.phrases]
        return terms, [Match(any_of=needed, helpful=[(token,) for token in counts], labels=labels)]
    chosen = ranking.choose_terms(counts, rows)
    filling = [(token,) for token in chosen.filling]
    matches = [
        Match(all_of=several, labels=labels)
        for size in range(len(filling), 0, -1)
        for several in itertools.combinations(filling, size)
    ]
    if chosen.others:
        matches.append(Match(any_of=[(token,) for token in chosen.others], labels=labels, newest=True))
    if chosen.needed:
        helpful = [(token,) for token in chosen.helpful]
        matches.insert(0, Match(any_of=[(token,) for token in chosen.needed], helpful=helpful, labels=labels))
    return terms, matches


def _begun(ctx: Context, asked: queries.Query, known: Sequence[str]) -> list[str]:
    """Indexed words that a typed beginning stands for: one marked so, or one that may be the beginning of a name."""
    index = ctx.store.index
    found = [
        word
        for prefix in asked.prefixes
        for word in index.words_from(prefix.tokens[-1], _MOST_EXPANSIONS, in_names=False)
    ]
    alone = len(asked.words) == 1
    for word in asked.words[:_MOST_WORDS]:
        if alone or not any(token in known for token in word.tokens):
            beginning = analyse_prefix(word.text)
            if beginning and len(beginning[-1]) >= _SHORTEST_BEGINNING:
                found += index.words_from(beginning[-1], _MOST_EXPANSIONS, in_names=True)
    return [word for word in dict.fromkeys(found) if word not in known]


def _strips(
    entities: Mapping[int, _Seen],
    readings: Mapping[int, _Reading],
    slots: Mapping[int, Sequence[int]],
    windows: Mapping[int, Sequence[int]],
    beginnings: Sequence[str],
) -> list[ranking.Strip]:
    """The candidates with what lies within reach of them, in the order in which it was said.

    `windows` has for each candidate that is of a session the entities around it there, itself among them.
    """
    strips: list[ranking.Strip] = []
    sessions: dict[tuple[str, str], set[int]] = {}
    for number in slots:
        if number not in entities:
            continue
        entity = entities[number]
        if number not in windows:
            reading = readings[number]
            if reading.strip is not None:
                strips.append(reading.strip)
            elif len(entity.observations) > 2 * ranking.REACH + 2:
                strips += _laid_out(number, [(number, 0)], entities, slots, beginnings)
            elif found := _candidates(entity, slots[number]):  # of so few there is one strip, without a gap
                first = max(min(found) - ranking.REACH, 0)
                texts = entity.observations[first : max(found) + ranking.REACH + 1]
                places = [
                    ranking.Place(number, at, _read_line(text) if at in found else _glance(text, beginnings))
                    for at, text in enumerate(texts, start=first)
                ]
                strips.append(ranking.Strip(number, places))
                if len(entity.observations) == 1 and len(texts[0]) <= _SHORT:
                    reading.strip = strips[-1]
            continue
        session = sessions.setdefault((entity.namespace, entity.source_session or ""), set())
        session.update(each for each in windows[number] if each in entities)
    neighbours = {pair for window in windows.values() for pair in itertools.pairwise(window)}
    for whole, members in sessions.items():
        starts: list[tuple[int, int]] = []
        start = 0
        for before, number in itertools.pairwise([0, *sorted(members)]):
            if (before, number) not in neighbours:
                start += ranking.REACH + 1  # something lies between that nobody looked at
            starts.append((number, start))
            start += len(entities[number].observations)
        strips += _laid_out(whole, starts, entities, slots, beginnings)
    return strips


def _laid_out(
    whole: object,
    starts: Sequence[tuple[int, int]],
    entities: Mapping[int, _Seen],
    slots: Mapping[int, Sequence[int]],
    beginnings: Sequence[str],
) -> list[ranking.Strip]:
    """The strips of one session or entity; `starts` has its entities with the number of the first line of each."""
    found = {
        start + position
        for number, start in starts
        for position in _candidates(entities[number], slots.get(number, ()))
    }
    wanted = sorted({line + step for line in found for step in range(-ranking.REACH, ranking.REACH + 1)})
    strips: list[ranking.Strip] = []
    strip: list[ranking.Place] = []
    at, last = 0, 0
    for number, start in starts:
        observations = entities[number].observations
        while at < len(wanted) and wanted[at] < start + len(observations):
            line = wanted[at]
            at += 1
            if line < start:
                continue
            if strip and line - last > 1:
                strips.append(ranking.Strip(whole, strip))
                strip = []
            last = line
            text = observations[line - start]
            read = _read_line(text) if line in found else _glance(text, beginnings)
            strip.append(ranking.Place(number, line - start, read))
    if strip:
        strips.append(ranking.Strip(whole, strip))
    return strips


def _read_line(text: str) -> ranking.Line:
    """An observation as the ranking sees it."""
    return _read_short_line(text) if len(text) <= _SHORT else ranking.read_line(text)


def _glance(text: str, beginnings: Sequence[str]) -> ranking.Line:
    """A neighbour's line; one that can have no word of the query is not read, which takes longer than all else."""
    lowered, wordless = _glanced(text) if len(text) <= _SHORT else _glanced.__wrapped__(text)
    if lowered is None:
        return _read_line(text)
    for beginning in beginnings:
        if beginning in lowered:
            return _read_line(text)
    return wordless


@lru_cache(16_384)
def _glanced(text: str) -> tuple[str | None, ranking.Line]:
    """The text in small letters, unless it may have words in other forms; and its line without any word."""
    lowered = text.lower()
    return lowered if lowered.isascii() else None, ranking.Line({}, text.count(" ") // 2 + 1, observe(text).said)


def _candidates(entity: _Seen, slots: Sequence[int]) -> list[int]:
    """Places of the observations that the index found; of an entity found by its name, its first ones."""
    places = [place for slot in slots if slot and (place := entity.position(slot)) is not None]
    return places or (list(range(min(ranking.MANY, len(entity.observations)))) if slots else [])


def _passes(ctx: Context, entity: _Seen, wanted: Filter) -> bool:
    """Whether an entity that the index did not find itself passes the filter."""
    return (
        entity.namespace in (wanted.namespaces or [ctx.store.namespace])
        and (not wanted.entity_types or entity.entity_type in wanted.entity_types)
        and (not wanted.tiers or entity.tier in wanted.tiers)
        and (wanted.since is None or entity.updated_at >= wanted.since)
        and (wanted.until is None or entity.updated_at < wanted.until)
    )


def _keeps(entity: _Seen, asked: queries.Query) -> bool:
    """Whether the entity has every phrase that was quoted and nothing that was excluded."""
    texts = [analyse_parts(text) for text in (entity.name, entity.entity_type, *entity.observations)]
    return all(_has(texts, phrase.tokens) for phrase in asked.phrases) and not any(
        _has(texts, word.tokens) for word in asked.excluded
    )


def _has(texts: Sequence[Sequence[str]], phrase: Sequence[str]) -> bool:
    """Whether the words of a phrase follow one another in one of the texts."""
    size, first = len(phrase), tuple(phrase)
    return any(tuple(text[at : at + size]) == first for text in texts for at in range(len(text) - size + 1))


def _relevance(ctx: Context, entity: _Seen) -> float:
    since = entity.last_confirmed or entity.created_at
    return relevance(entity.relevance_score, since, ctx.now, pinned=entity.always_include)


def _is_relevant(ctx: Context, entity: _Seen, least: float) -> bool:
    """Whether it is still this relevant, as the reply tells it."""
    return round(_relevance(ctx, entity), 4) >= least


# ------------------------------------------------------------------------------------------------------- the telling


def _told(result: _Result, details: Details, detail: str, *, several: bool, explain: bool) -> FoundEntity:
    """One result, as much of it as was asked for."""
    entity = result.entity
    matches = result.ranked.matches[:_MOST_MATCHES]
    told = FoundEntity(id=entity.id, name=entity.name, score=round(result.score, 4))
    if several:
        told["namespace"] = entity.namespace
    if entity.damage is not None:
        told["error"], told["code"] = damaged(entity).message, Corrupt.code
    told["type"] = entity.entity_type
    if explain:
        told["explanation"] = [
            {
                "index": match.position,
                "text": round(match.text, 4),
                "named": round(match.named, 4),
                "whole": round(match.whole, 4),
                "meaning": round(match.meaning, 4),
                "words": [
                    {"word": reason.token, "field": reason.where, "times": round(reason.times, 3)}
                    for reason in match.reasons
                ],
            }
            for match in matches
        ]
    if detail == "names":
        return told
    if detail == "matched":
        told["observations"] = [entity.observations[match.position] for match in matches]
    else:
        told["observations"] = list(entity.observations)
    told["tier"] = entity.tier
    told["version"] = details.version
    told["branch"] = details.branch
    told["relevance_score"] = round(result.relevance, 4)
    told["access_count"] = details.access_count
    told["created"] = entity.created_at
    told["accessed"] = details.last_accessed
    told["matches"] = [{"index": match.position, "score": round(match.score, 4)} for match in matches]
    return told


def _within(results: list[FoundEntity], max_tokens: int) -> int:
    """How many of the results fit the budget."""
    spent = 0
    for count, result in enumerate(results):
        spent += tokens_of(result)
        if spent > max_tokens:
            return count
    return len(results)
