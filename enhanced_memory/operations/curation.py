"""Curation: the tiers manage themselves, and a run can be put back.

A run looks through the namespace page by page, decides everything, and then writes in slices of some milliseconds; what
somebody changed in between is left alone. Each slice is whole with its record, so that a run that was cut off can be
put back like any other, and the next one goes on where it ended.
"""

from __future__ import annotations

import itertools
import time
import uuid
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Annotated, Literal, TypeVar

from pydantic import Field

from enhanced_memory.errors import Busy, NotFound
from enhanced_memory.registry import operation
from enhanced_memory.rules import tiers
from enhanced_memory.rules.overlap import levelled
from enhanced_memory.shapes import MAX_OBSERVATIONS, Curated, CurationMove, CurationUndone, LeftAlone, Line
from enhanced_memory.store.base import Aging, Change, Consolidation, Draft, Edge, Entity, Move, Moved, Run, Said

if TYPE_CHECKING:
    from enhanced_memory.context import Context

T = TypeVar("T")
U = TypeVar("U")

_DERIVED = "derived_from"

_PAGE = 1_000
"""Entities looked through in one read."""

_SLICE_S = 0.008
"""Seconds of work after which a write ends. With its commit and what one step more takes it stays well below 50 ms."""

_MOVES_A_STEP = 50
_TEXTS_A_STEP = 25
_SOURCES_A_STEP = 50
"""What one step of a write does at most: a few milliseconds of work."""

_TOLD = 1_000
"""Moves told in the reply."""

_COMPARED = 4_000
"""Observations of one type held against each other by meaning, the newest: the time grows with their square."""

_ALIKE_EACH = 10
"""Earlier observations of like meaning that are considered for each."""


@operation(writes=True, long=True, administrative=True)
def autonomous_curation(
    ctx: Context,
    dry_run: Annotated[bool, Field(description="Tell what would be done, and change nothing.")] = False,
    namespace: Annotated[Line | None, Field(min_length=1, description="Work in this namespace instead.")] = None,
) -> Curated:
    """Let the tiers manage themselves: move memories to the tier they belong to, with a reason for each.

    Working memories older than 30 days that were read less than three times, and not in the last week, become
    episodic. What three or more episodes of one type share becomes one semantic entity, related to them by
    derived_from, whose relevance_score is its confidence; later runs make the same entity grow. Entities that bear the
    name of a skill that ran successfully three times become procedural. Pinned entities are left alone and nothing is
    deleted; undo_curation puts a run back. `decayed` counts the entities whose relevance has fallen to 0.1, its least.

    Raises: Busy: a curation is under way.
    """
    inside = _in(ctx, namespace or ctx.caller.namespace)
    with _alone(ctx):
        plan = _planned(inside)
        total = plan.entities + plan.steps
        if dry_run or not plan.entities:
            return _told(plan, inside.caller.namespace, dry_run, None)
        run_id = inside.write(_begin)
        done = _Progress(inside, plan.entities, total)
        plan.episodic = _moved(inside, plan.episodic, run_id, done)
        plan.semantic = _consolidated(inside, plan.semantic, run_id, done)
        plan.procedural = _moved(inside, plan.procedural, run_id, done)
        inside.write(lambda c: c.store.curation.end(run_id))
        return _told(plan, inside.caller.namespace, dry_run, run_id)


@operation(writes=True, long=True, destructive=True, administrative=True)
def undo_curation(
    ctx: Context,
    run_id: Annotated[
        Line, Field(min_length=1, description="The run, or last: the newest that did something and was not put back.")
    ],
) -> CurationUndone:
    """Put a curation back: tiers as they were, what it made deleted again, what it made grow as it was before.

    Use when a curation was not wanted. What somebody changed since keeps the later change and is told in `skipped`. A
    run that was undone already is left as it is.

    Raises: NotFound: there was no such run. Busy: a curation is under way.
    """
    with _alone(ctx):
        run = ctx.read(lambda c: c.store.curation.last() if run_id == "last" else c.store.curation.find(run_id))
        if run is None:
            raise NotFound(
                "there is nothing to put back: no curation has moved a memory, or each that did was put back"
                if run_id == "last"
                else f"there was no curation {run_id!r}",
                hint="list_transitions tells the runs",
                details={"run_id": run_id},
            )
        undone = _Undone(run)
        if run.undone_at is None:
            inside = _in(ctx, run.namespace)
            _forget_knowledge(inside, undone)
            _restore_tiers(inside, undone)
            inside.write(lambda c: c.store.curation.note_undone(run.run_id))
        return undone.told()


def _aging(after: int, ctx: Context) -> tuple[list[Aging], int | None]:
    return ctx.store.transitions.aging(after, _PAGE)


def _said(ids: Sequence[int], ctx: Context) -> list[Said]:
    return ctx.store.transitions.said(ids)


def _alike(places: Sequence[tuple[int, int]], ctx: Context) -> list[tuple[int, int]]:
    return ctx.store.vectors.alike(places, tiers.ALIKE, _ALIKE_EACH)


def _derived(after: int, ctx: Context) -> list[int]:
    return ctx.store.relations.starts(_DERIVED, after, _PAGE)


def _moved_by(run_id: str, after: int, ctx: Context) -> list[Moved]:
    return ctx.store.transitions.moved(run_id, after, _PAGE)


def _in(ctx: Context, namespace: str) -> Context:
    """The context in another namespace."""
    return replace(ctx, caller=replace(ctx.caller, namespace=namespace))


@contextmanager
def _alone(ctx: Context) -> Iterator[None]:
    """Around a curation or its undoing. Raises: Busy: another is under way."""
    if not ctx.service.curating.acquire(blocking=False):
        raise Busy("a curation is under way", hint="list_running tells how far it is; ask again when it has ended")
    try:
        yield
    finally:
        ctx.service.curating.release()


def _begin(ctx: Context) -> str:
    run_id = f"{ctx.now[:10]}-{uuid.uuid4().hex[:8]}"
    ctx.store.curation.begin(run_id, ctx.caller.client)
    return run_id


# ------------------------------------------------------------------------------------------------------ what is to do


@dataclass
class _Step:
    """An entity to be moved."""

    name: str
    move: Move


@dataclass
class _Lesson:
    """What episodes share and a semantic entity is to say: the texts in their order, and its name."""

    name: str
    learnt: tiers.Knowledge
    texts: list[str]

    @property
    def reason(self) -> str:
        """Why, without a word of what the episodes say: it outlives them."""
        count = len(self.texts)
        if count:
            return f"{self.learnt.episodes} episodes share {count} observation{'s' * (count > 1)}"
        more = len(self.learnt.shares)
        return f"{more} more episode{'s say' if more > 1 else ' says'} the same"

    def parts(self) -> list[tuple[list[str], list[tuple[int, float]]]]:
        """Texts and sources, as much at once as one step writes."""
        shares = list(self.learnt.shares.items())
        texts = [self.texts[at : at + _TEXTS_A_STEP] for at in range(0, len(self.texts), _TEXTS_A_STEP)]
        sources = [shares[at : at + _SOURCES_A_STEP] for at in range(0, len(shares), _SOURCES_A_STEP)]
        return [(some or [], others or []) for some, others in itertools.zip_longest(texts, sources)]


@dataclass
class _Plan:
    """All that a run is to do, in the order in which it does it; afterwards what it did."""

    entities: int = 0
    decayed: int = 0
    episodic: list[_Step] = field(default_factory=list)
    semantic: list[_Lesson] = field(default_factory=list)
    procedural: list[_Step] = field(default_factory=list)

    @property
    def steps(self) -> int:
        """How many things there are to do."""
        return len(self.episodic) + len(self.semantic) + len(self.procedural)


def _planned(ctx: Context) -> _Plan:
    """Look through the namespace and decide."""
    plan = _Plan()
    now: str = ctx.read(lambda c: c.now)
    made = ctx.read(lambda c: {each.entity_id for each in c.store.curation.all_kept()})
    practised = set(ctx.read(lambda c: c.store.transitions.practised(tiers.PROCEDURAL_FROM)))
    episodes = _Episodes(by_meaning=ctx.service.meaning is not None and ctx.service.meaning.ready)
    total: int = ctx.read(lambda c: c.store.entities.count())
    after: int | None = 0
    while after is not None:
        aging, after = ctx.read(partial(_aging, after))
        plan.entities += len(aging)
        kinds: dict[int, str] = {}
        for each in aging:
            since = each.last_confirmed or each.created_at
            relevant = tiers.relevance(each.relevance_score, since, now, pinned=each.always_include)
            plan.decayed += tiers.has_decayed(relevant)
            if each.always_include:
                continue
            tier = each.tier
            if tier == "working":
                reason = tiers.why_episodic(each.created_at, each.last_accessed, each.access_count, now)
                if reason is not None:
                    plan.episodic.append(_Step(each.name, Move(each.id, tier, "episodic", reason)))
                    tier = "episodic"
            if tier == "episodic" and each.id not in made:
                kinds[each.id] = each.entity_type
            if tier in ("episodic", "semantic") and each.id in practised:
                reason = f"a skill of this name ran successfully {tiers.PROCEDURAL_FROM} times or more"
                plan.procedural.append(_Step(each.name, Move(each.id, tier, "procedural", reason)))
        for said in ctx.read(partial(_said, list(kinds))):
            episodes.add(kinds[said.entity_id], said)
        ctx.progress(plan.entities, max(total, plan.entities))
    groups = episodes.groups(ctx)
    if groups:
        learnt = tiers.knowledge(groups, _known(ctx, episodes))
        plan.semantic = _lessons(ctx, learnt)
    return plan


class _Episodes:
    """The episodes of a namespace, by what they say; with vectors, also by what they mean."""

    def __init__(self, *, by_meaning: bool) -> None:
        self._episodes = tiers.Episodes()
        self._by_meaning = by_meaning
        self._places: dict[str, deque[tuple[int, int, int, str]]] = {}
        self._same: dict[str, dict[int, int]] = {}

    def add(self, entity_type: str, said: Said) -> None:
        """One more."""
        at: dict[int, int] = {}
        for place, text in enumerate(said.observations):
            at.setdefault(_key(text), place)
        are_new = self._episodes.add(said.entity_id, entity_type, at)
        if self._by_meaning:
            places = self._places.setdefault(entity_type, deque(maxlen=_COMPARED))
            for (key, place), is_new in zip(at.items(), are_new, strict=True):
                if is_new:
                    slot = place + 1 if said.slots is None else said.slots[place]
                    places.append((key, said.entity_id, slot, said.observations[place]))

    def groups(self, ctx: Context) -> list[tiers.Group]:
        """What they share."""
        for entity_type, kept in self._places.items():
            places = [(number, slot) for _, number, slot, _ in kept]
            pairs = ctx.read(partial(_alike, places))
            same = tiers.same_in_meaning([text for *_, text in kept], pairs)
            keys = [key for key, *_ in kept]
            self._same[entity_type] = {keys[later]: keys[earlier] for later, earlier in same.items()}
            self._episodes.merge(entity_type, self._same[entity_type])
        return self._episodes.groups()

    def keys(self, entity_type: str, texts: Sequence[str]) -> frozenset[int]:
        """What texts say, in the words in which episodes of that type said it first."""
        same = self._same.get(entity_type, {})
        return frozenset(same.get(key, key) for key in map(_key, texts))


def _key(text: str) -> int:
    """What an observation says in substance, as a number, which takes a tenth of the space of the text."""
    return hash(levelled(text))


def _known(ctx: Context, episodes: _Episodes) -> list[tiers.Known]:
    """What semantic entities say that came from episodes: all that curation made, and others with such relations."""
    kept = ctx.read(lambda c: c.store.curation.all_kept())
    given: dict[int, list[str]] = {}
    sources: dict[int, set[int]] = {}
    for each in kept:
        given.setdefault(each.entity_id, []).extend(each.added)
        sources.setdefault(each.entity_id, set()).update(each.sources)
    found: list[tiers.Known] = []

    def look(numbers: Sequence[int], c: Context) -> list[tiers.Known]:
        ends = c.store.relations.ends(_DERIVED, numbers)
        return [
            tiers.Known(
                number=entity.id,
                entity_type=entity.entity_type,
                says=episodes.keys(entity.entity_type, entity.observations),
                given=episodes.keys(entity.entity_type, given.get(entity.id, [])),
                sources=frozenset({*ends.get(entity.id, ()), *sources.get(entity.id, ())}),
                open=entity.deleted_at is None and not entity.always_include and entity.damage is None,
            )
            for entity in c.store.entities.even_deleted(numbers)
            if entity.id in given or (entity.deleted_at is None and entity.tier in ("semantic", "procedural"))
        ]

    numbers = set(given)
    after = 0
    while page := ctx.read(partial(_derived, after)):
        numbers.update(page)
        after = page[-1]
    for part in _batches(sorted(numbers), _PAGE):
        found += ctx.read(partial(look, part))
    return found


def _lessons(ctx: Context, learnt: Sequence[tiers.Knowledge]) -> list[_Lesson]:
    """Knowledge with its words, and a name that is free for what is new."""
    lessons = []
    taken: set[str] = set()
    for part in _batches(learnt, _PAGE // 10):

        def look(c: Context, part: Sequence[tiers.Knowledge] = part) -> list[_Lesson]:
            firsts = c.store.entities.by_ids(sorted({number for each in part for number in each.keys.values()}))
            growing = c.store.entities.by_ids([each.into for each in part if each.into is not None])
            found = []
            for each in part:
                texts = _texts(each.keys, firsts)
                if each.into is not None and each.into in growing:
                    found.append(_Lesson(growing[each.into].name, each, texts))
                elif each.into is None and texts:
                    name = _free_name(c, tiers.name_of_knowledge(each.entity_type, texts[0]), taken)
                    taken.add(name)
                    found.append(_Lesson(name, each, texts))
            return found

        lessons += ctx.read(look)
    return lessons


def _texts(keys: Mapping[int, int], firsts: Mapping[int, Entity]) -> list[str]:
    """What the keys stand for, as the first episode put it; of one that says something else by now, nothing."""
    found = []
    for key, number in keys.items():
        said = firsts[number].observations if number in firsts else ()
        found += [text for text in said if _key(text) == key][:1]
    return found


def _free_name(ctx: Context, wanted: str, taken: set[str]) -> str:
    """The name, with a number behind it if somebody has it."""
    name = wanted
    for number in itertools.count(2):
        if name not in taken and ctx.store.entities.find(name) is None:
            return name
        name = f"{wanted} ({number})"
    raise AssertionError


# ----------------------------------------------------------------------------------------------------------- doing it


class _Progress:
    """How far a run is, told as it goes."""

    def __init__(self, ctx: Context, done: int, total: int) -> None:
        self._ctx, self._done, self._total = ctx, done, total

    def advance(self, count: int) -> None:
        """So many things are done. Raises: ShuttingDown."""
        self._done = min(self._done + count, self._total)
        self._ctx.progress(self._done, self._total)


def _in_slices(
    ctx: Context, items: Sequence[T], work: Callable[[Context, T], U], advance: Callable[[int], None]
) -> list[U]:
    """`work` done on every item, in writes that each end after some milliseconds; what it returned, in their order."""
    results: list[U] = []

    def some(c: Context) -> list[U]:
        until = time.perf_counter() + _SLICE_S
        done: list[U] = []
        for item in itertools.islice(items, len(results), None):
            done.append(work(c, item))
            if time.perf_counter() >= until:
                break
        return done

    while len(results) < len(items):
        done = ctx.write(some)
        results += done
        advance(len(done))
    return results


def _batches(items: Sequence[T], size: int) -> list[Sequence[T]]:
    return [items[at : at + size] for at in range(0, len(items), size)]


def _moved(ctx: Context, steps: Sequence[_Step], run_id: str, progress: _Progress) -> list[_Step]:
    """Move these; those that could be moved."""

    def move(c: Context, part: Sequence[_Step]) -> list[_Step]:
        done = {each.entity_id for each in c.store.transitions.move([step.move for step in part], run_id)}
        return [step for step in part if step.move.entity_id in done]

    parts = _in_slices(ctx, _batches(steps, _MOVES_A_STEP), move, lambda count: progress.advance(count * _MOVES_A_STEP))
    return [step for part in parts for step in part]


_Part = tuple[int, bool, list[str], list[tuple[int, float]]]
"""Place of the lesson, whether it is the first part of it, and some of its texts and sources."""


def _consolidated(ctx: Context, lessons: Sequence[_Lesson], run_id: str, progress: _Progress) -> list[_Lesson]:
    """Make and grow these semantic entities; those lessons that could be kept."""
    parts: list[_Part] = [
        (place, at == 0, *part) for place, lesson in enumerate(lessons) for at, part in enumerate(lesson.parts())
    ]
    taught: dict[int, int | None] = {}

    def teach(c: Context, part: _Part) -> int | None:
        place, is_first, texts, shares = part
        if is_first:  # also when a write that was lost is tried again
            taught[place] = _taught(c, lessons[place], lessons[place].learnt.into, texts, shares, run_id)
        elif taught[place] is not None:
            _taught(c, lessons[place], taught[place], texts, shares, run_id)
        return taught[place]

    numbers = _in_slices(ctx, parts, teach, progress.advance)
    kept = {place for (place, *_), number in zip(parts, numbers, strict=True) if number is not None}
    return [lesson for place, lesson in enumerate(lessons) if place in kept]


def _taught(
    ctx: Context,
    lesson: _Lesson,
    into: int | None,
    texts: Sequence[str],
    shares: Sequence[tuple[int, float]],
    run_id: str,
) -> int | None:
    """A part of a lesson, in the entity `into` or a new one; its number, or None if there was nothing to do."""
    episodes = ctx.store.transitions.still([number for number, _ in shares], "episodic")
    score = round(lesson.learnt.confidence, 3)
    change = Change("created" if into is None else "updated", lesson.reason, ctx.caller.client, method="auto")
    before_version, before_score = None, score
    if into is None:
        if len(episodes) < tiers.SEMANTIC_FROM:
            return None
        name = _free_name(ctx, lesson.name, set())
        draft = Draft(
            name, lesson.learnt.entity_type, texts, "semantic", relevance_score=score, extraction_method="auto"
        )
        entity = ctx.store.entities.create(draft, change)
        added = list(texts)
        ctx.store.transitions.note(Move(entity.id, "episodic", "semantic", lesson.reason), run_id)
    else:
        found = ctx.store.entities.by_ids([into]).get(into)
        if found is None or found.always_include or found.damage is not None:
            return None
        said = set(map(levelled, found.observations))
        room = MAX_OBSERVATIONS - len(found.observations)
        added = [text for text in texts if levelled(text) not in said][:room]
        if not added and not episodes:
            return None
        before_version, before_score = found.version, found.relevance_score
        entity = ctx.store.entities.update(
            found,
            change,
            observations=[*found.observations, *added],
            attributes={"relevance_score": max(score, found.relevance_score)},
        )
    related = [
        number
        for number, share in shares
        if number in episodes
        and ctx.store.relations.create(
            Edge(entity.name, episodes[number], _DERIVED, round(share, 3)), entity.id, number
        )
    ]
    ctx.store.curation.keep(
        Consolidation(
            id=0,
            run_id=run_id,
            entity_id=entity.id,
            before_version=before_version,
            after_version=entity.version,
            before_score=before_score,
            after_score=entity.relevance_score,
            added=added,
            sources=related,
        )
    )
    return entity.id


def _told(plan: _Plan, namespace: str, dry_run: bool, run_id: str | None) -> Curated:
    moves: Iterator[CurationMove] = itertools.chain(
        map(_told_step, plan.episodic), map(_told_lesson, plan.semantic), map(_told_step, plan.procedural)
    )
    return {
        "promoted_to_episodic": len(plan.episodic),
        "promoted_to_semantic": len(plan.semantic),
        "promoted_to_procedural": len(plan.procedural),
        "decayed": plan.decayed,
        "moves": list(itertools.islice(moves, _TOLD)),
        "moves_total": plan.steps,
        "dry_run": dry_run,
        "namespace": namespace,
        "run_id": run_id,
    }


def _told_step(step: _Step) -> CurationMove:
    move = step.move
    return {"name": step.name, "from": move.from_tier, "to": move.to_tier, "reason": move.reason, "action": "moved"}


def _told_lesson(lesson: _Lesson) -> CurationMove:
    action: Literal["made", "grown"] = "made" if lesson.learnt.into is None else "grown"
    return {
        "name": lesson.name,
        "from": "episodic",
        "to": "semantic",
        "reason": lesson.reason,
        "action": action,
        "confidence": round(lesson.learnt.confidence, 3),
    }


# ------------------------------------------------------------------------------------------------------ putting it back


@dataclass
class _Undone:
    """What came of putting a run back."""

    run: Run
    restored: int = 0
    deleted: int = 0
    reverted: int = 0
    skipped: list[LeftAlone] = field(default_factory=list)
    made: set[int] = field(default_factory=set)

    @property
    def log_id(self) -> str:
        """What the log calls the undoing."""
        return f"undo:{self.run.run_id}"

    @property
    def reason(self) -> str:
        """What the log and the history say of it."""
        return f"curation {self.run.run_id} undone"

    def told(self) -> CurationUndone:
        """The reply."""
        return {
            "run_id": self.run.run_id,
            "namespace": self.run.namespace,
            "undone": self.run.undone_at is None,
            "restored": self.restored,
            "deleted": self.deleted,
            "reverted": self.reverted,
            "skipped": self.skipped[:_TOLD],
            "skipped_total": len(self.skipped),
        }


def _forget_knowledge(ctx: Context, undone: _Undone) -> None:
    """Delete the semantic entities that the run made, and take back what it added to others."""
    by_entity: dict[int, list[Consolidation]] = {}
    for each in ctx.read(lambda c: c.store.curation.kept(undone.run.run_id)):
        by_entity.setdefault(each.entity_id, []).append(each)
    undone.made = {number for number, done in by_entity.items() if done[0].before_version is None}
    parts = [
        (done, batch, at + _SOURCES_A_STEP >= len(sources))
        for done in reversed(by_entity.values())
        for sources in [[number for each in done for number in each.sources]]
        for at in range(0, max(len(sources), 1), _SOURCES_A_STEP)
        for batch in [sources[at : at + _SOURCES_A_STEP]]
    ]

    def take_back(c: Context, part: tuple[list[Consolidation], list[int], bool]) -> tuple[str, LeftAlone | None]:
        done, sources, is_last = part
        (entity,) = c.store.entities.even_deleted([done[0].entity_id]) or (None,)
        if entity is None:
            return "gone", None
        against = _changed_since(c, entity, done)
        if against is not None:
            return "skipped" if is_last else "", {"name": entity.name, "reason": against}
        for number in sources:
            c.store.relations.delete(entity.id, number, _DERIVED)
        return (_finished(c, entity, done, undone) if is_last else ""), None

    steps = _Progress(ctx, 0, len(parts))
    for outcome, left in _in_slices(ctx, parts, take_back, steps.advance):
        undone.deleted += outcome == "deleted"
        undone.reverted += outcome == "reverted"
        if outcome == "skipped" and left is not None:
            undone.skipped.append(left)


def _changed_since(ctx: Context, entity: Entity, done: Sequence[Consolidation]) -> str | None:
    """What somebody did to a semantic entity since the run, or None."""
    if entity.deleted_at is not None:
        return "it was deleted since"
    if entity.version != done[-1].after_version:
        return "it was changed since"
    if entity.relevance_score != done[-1].after_score:
        return "it was confirmed or given another relevance since"
    if done[0].before_version is not None:
        return None
    if entity.tier != "semantic" or entity.always_include or entity.last_confirmed is not None:
        return "it was moved, pinned or confirmed since"
    own = {number for each in done for number in each.sources}
    links = ctx.store.relations.links([entity.id], len(own) + 1)
    if any(
        source != entity.id or target not in own or edge.relation_type != _DERIVED for source, target, edge in links
    ):
        return "it was related to others since"
    return None


def _finished(ctx: Context, entity: Entity, done: Sequence[Consolidation], undone: _Undone) -> str:
    """Delete what the run made, or give back what it said before; called when its relations are gone."""
    ctx.store.curation.forget([each.id for each in done])
    change = Change("deleted", undone.reason, ctx.caller.client, method="auto")
    first = done[0]
    if first.before_version is None:
        ctx.store.transitions.note(Move(entity.id, "semantic", "episodic", undone.reason), undone.log_id)
        ctx.store.entities.delete(entity, change)
        return "deleted"
    past = ctx.store.versions.read(entity, first.before_version)
    ctx.store.entities.update(
        entity,
        replace(change, action="reverted"),
        observations=None if past is None else past.observations,
        attributes={"relevance_score": first.before_score},
    )
    return "reverted"


def _restore_tiers(ctx: Context, undone: _Undone) -> None:
    """Give the entities that the run moved their tiers back."""
    after = 0
    while page := ctx.read(partial(_moved_by, undone.run.run_id, after)):
        after = page[-1].entity_id
        due = []
        for each in page:
            if each.entity_id in undone.made or each.newest_run == undone.log_id:
                continue
            if each.lives and each.newest == each.last:
                due.append(each)
            else:
                since = "it was moved since" if each.lives else "it was deleted since"
                undone.skipped.append({"name": each.name, "reason": since})

        def put_back(c: Context, part: Sequence[Moved]) -> int:
            return len(c.store.transitions.put_back(part, undone.reason, undone.log_id))

        steps = _Progress(ctx, after, after + len(due))
        undone.restored += sum(_in_slices(ctx, _batches(due, _MOVES_A_STEP), put_back, steps.advance))
