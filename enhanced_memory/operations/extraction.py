"""Extraction: what a conversation states, kept as memories."""

from __future__ import annotations

import hashlib
from collections import Counter
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field, TypeAdapter, ValidationError

from enhanced_memory.errors import InvalidParams, ModelFailed
from enhanced_memory.operations.branching import view
from enhanced_memory.operations.entities import store_entity
from enhanced_memory.registry import operation
from enhanced_memory.rules import asking, extraction, secrets
from enhanced_memory.shapes import (
    MAX_NAME,
    MAX_OBSERVATIONS,
    MAX_TYPE,
    ExtractedEntity,
    ExtractedFacts,
    ExtractionPrompt,
    Fraction,
    Line,
    Message,
    ModelAnswer,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from enhanced_memory.context import Context
    from enhanced_memory.store.base import Entity

_ANSWER: TypeAdapter[ModelAnswer] = TypeAdapter(ModelAnswer)
_NOTHING = '{"facts": []}'

_NOBODY = "user"
"""Whom a fact is about where the conversation names nobody."""


@operation(writes=True, transaction=False, core=True, idempotent=True)
def auto_extract_facts(
    ctx: Context,
    conversation_text: Annotated[str, Field(description="Best with speakers, as in `Ann: I moved`.")],
    session_id: Annotated[Line | None, Field(description="Which conversation; further calls add to its facts.")] = None,
    auto_store: Annotated[bool, Field(description="Remember them, or only tell.")] = True,
    extraction_context: Annotated[Message | None, Field(description="A note for the history.")] = None,
    extractor: Annotated[Literal["rules", "llm"], Field(description="rules work offline.")] = "rules",
    threshold: Annotated[Fraction, Field(description="Least confidence.")] = (extraction.THRESHOLD),
) -> ExtractedFacts:
    """Find the lasting facts of a conversation - preferences, rules, decisions, plans, events - and remember them.

    Use at the end of a talk, or of a long stretch of one. Gives each fact with its evidence. Example:
    auto_extract_facts(conversation_text='Ann: I prefer tea')

    Questions, thanks, hypotheticals and code are no facts, and nothing between <private> tags is read. Keys and
    passwords are replaced by a mark before anything is stored, unless the setting MEMORY_MASK_SECRETS is off, and
    counted in `secrets`. One entity per session and subject, and another for each further 10,000 facts; a repeated
    call changes nothing: new_count of the facts were not remembered before, known_count were. Lines and spans of the
    evidence count in the text after that replacement.

    extractor llm asks a language model, which sees the conversation without its secrets and private passages.

    Raises: InvalidParams: a model was asked for, and none is there. ModelFailed. TooLarge: too much for it at once.
    """
    if extractor == "rules":
        return _extracted(ctx, conversation_text, session_id, auto_store, extraction_context, threshold, None)
    if ctx.service.ask_model is None:
        raise InvalidParams(
            "extractor 'llm' needs a model, and none is connected",
            hint="leave extractor at rules; or install enhanced-memory[anthropic], set ANTHROPIC_API_KEY for the daemon"
            " and restart it",
            details={"path": "extractor"},
        )
    question = prepare_extraction(ctx, conversation_text)
    if question["prompt"] is None:
        answer = _NOTHING
    else:
        answer = ctx.service.ask_model(question["system"], question["prompt"], question["max_tokens"])
    return _extracted(ctx, conversation_text, session_id, auto_store, extraction_context, threshold, answer)


@operation(writes=False, transaction=False, administrative=True)
def prepare_extraction(
    ctx: Context,
    conversation_text: Annotated[str, Field(description="The talk.")],
) -> ExtractionPrompt:
    """Tell what to ask a language model of one's own to have it find the facts; complete_extraction takes its answer.

    The prompt holds the sentences of the conversation, without secrets and private passages, and the JSON Schema of the
    answer.

    Raises: TooLarge: too much for a model at once.
    """
    text = _masked(ctx, conversation_text, anyway=True)[0]
    return {
        "system": asking.SYSTEM,
        "prompt": asking.prompt(text, _ANSWER.json_schema()),
        "max_tokens": asking.ANSWER_TOKENS,
    }


@operation(writes=True, transaction=False, administrative=True, idempotent=True)
def complete_extraction(
    ctx: Context,
    conversation_text: Annotated[str, Field(description="The talk that prepare_extraction was given.")],
    answer: Annotated[str, Field(max_length=1_000_000, description="What the model answered.")],
    session_id: Annotated[Line | None, Field(description="Which conversation; further calls add to its facts.")] = None,
    auto_store: Annotated[bool, Field(description="Whether to remember the facts, or only to return them.")] = True,
    extraction_context: Annotated[Message | None, Field(description="A note for the history.")] = None,
    threshold: Annotated[Fraction, Field(description="Least confidence; higher keeps fewer, surer facts.")] = (
        extraction.THRESHOLD
    ),
) -> ExtractedFacts:
    """Remember the facts that a language model of one's own found, as auto_extract_facts does with those of its rules.

    The answer is held to its schema, and a fact that nothing in the conversation bears out is refused.

    Raises: ModelFailed: the answer is not what was asked for.
    """
    return _extracted(ctx, conversation_text, session_id, auto_store, extraction_context, threshold, answer)


def _extracted(
    ctx: Context,
    conversation: str,
    session_id: str | None,
    auto_store: bool,
    note: str | None,
    threshold: float,
    answer: str | None,
) -> ExtractedFacts:
    """The facts of a conversation, of a model's answer or where there is none by rules, stored unless told not to."""
    text, masked = _masked(ctx, conversation, anyway=answer is not None)
    if ctx.service.settings.mask_secrets:
        session_id = _without_secret(session_id)
        note = note and secrets.redact(note)[0]
    refused = 0
    if answer is None:
        facts = extraction.extract(text, threshold=threshold)
    else:
        facts, refused = asking.facts_of(text, _understood(answer), threshold=threshold)
    found = _by_subject(facts, session_id)
    stored: list[tuple[ExtractedEntity, int, int]] = []
    if auto_store and found:
        stored = ctx.write(lambda inner: [part for entity in found for part in _stored(inner, entity, note)])
        entities = [entity for entity, _, _ in stored]
    else:
        entities = [part for entity in found for part in _divided(entity, []).values()]
    count = sum(len(entity["observations"]) for entity in entities)
    told: ExtractedFacts = {
        "facts": entities,
        "count": count,
        "stored": bool(stored),
        "entity_ids": [number for _, number, _ in stored],
        "session_id": session_id,
        "secrets": dict(masked),
    }
    if auto_store:
        told["new_count"] = sum(new for _, _, new in stored)
        told["known_count"] = count - told["new_count"]
    if answer is not None:
        told["refused"] = refused
    return told


def _masked(ctx: Context, conversation: str, *, anyway: bool) -> tuple[str, Counter[str]]:
    """A conversation without its secrets, and how many of each kind there were.

    A setting lets them stay, but not `anyway`: a language model sees none.
    """
    if anyway or ctx.service.settings.mask_secrets:
        return secrets.redact(conversation)
    return conversation, Counter()


def _understood(answer: str) -> ModelAnswer:
    """A model's answer as data, whether or not it stands in a code block. Raises: ModelFailed."""
    text = answer.strip().removeprefix("```json").removeprefix("```").removesuffix("```")
    try:
        understood: ModelAnswer = _ANSWER.validate_json(text)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        place = ".".join(map(str, first["loc"])) or "the whole"
        raise ModelFailed(
            f"the model did not answer as it was asked to: {place}: {first['msg']}",
            hint="ask again, or leave extractor at rules",
        ) from None
    return understood


def _without_secret(session: str | None) -> str | None:
    """A session's name without secrets; a piece of its checksum tells it from another that had one."""
    plain, masked = secrets.redact(session or "")
    if session is None or not masked:
        return session
    return f"{plain} {hashlib.sha256(session.encode()).hexdigest()[:6]}"


def _by_subject(facts: Iterable[extraction.Fact], session_id: str | None) -> list[ExtractedEntity]:
    """The facts of a session by whom they are about, each once."""
    found: dict[str, tuple[ExtractedEntity, set[str]]] = {}
    subjects: dict[str, tuple[ExtractedEntity, set[str]]] = {}
    for text, line, span, kind, negated, confidence, speaker, subject in facts:
        if subject not in subjects:
            name = _name(session_id or "session", subject)
            empty: ExtractedEntity = {
                "name": name,
                "entityType": "auto_extracted",
                "observations": [],
                "source_session": session_id,
                "extraction_method": "auto",
                "evidence": [],
            }
            subjects[subject] = found.setdefault(name, (empty, set()))
        entity, told_of = subjects[subject]
        if text not in told_of:
            told_of.add(text)
            entity["observations"].append(text)
            entity["evidence"].append(
                {
                    "line": line,
                    "span": list(span),
                    "kind": kind,
                    "negated": negated,
                    "confidence": round(confidence, 3),
                    "speaker": speaker,
                }
            )
    return [entity for entity, _ in found.values()]


def _stored(ctx: Context, entity: ExtractedEntity, note: str | None) -> list[tuple[ExtractedEntity, int, int]]:
    """Remember one entity of facts: what each entity of the store holds of it, its number, and how many were new."""
    there: list[Entity] = []
    while (existing := ctx.store.entities.find(_part(entity["name"], len(there)))) is not None:
        there.append(existing)
    held = [view(ctx, existing, None).observations for existing in there]
    stored: list[tuple[ExtractedEntity, int, int]] = []
    for place, part in _divided(entity, held).items():
        known = set(held[place]) if place < len(held) else set()
        new = sum(text not in known for text in part["observations"])
        number = there[place].id if not new else _written(ctx, part, note)
        stored.append((part, number, new))
    return stored


def _written(ctx: Context, entity: ExtractedEntity, note: str | None) -> int:
    """Create an entity of facts or add them to the one there is; returns its number."""
    written = store_entity(
        ctx,
        {
            "name": entity["name"],
            "entityType": entity["entityType"],
            "observations": entity["observations"],
            "source_session": entity["source_session"],
            "extraction_method": "auto",
        },
        "merge",
        note,
    )
    return written["id"]


def _divided(entity: ExtractedEntity, held: Sequence[Sequence[str]]) -> dict[int, ExtractedEntity]:
    """The facts of an entity by the place where they are kept: one holds a bounded number, further ones hold more.

    `held` is what stands at the places already: a fact stays where it is, a new one goes to the first with room.
    """
    known = {text: place for place in reversed(range(len(held))) for text in held[place]}
    room = [MAX_OBSERVATIONS - len(texts) for texts in held]
    chosen: dict[int, list[int]] = {}
    free = 0
    for number, text in enumerate(entity["observations"]):
        place = known.get(text)
        if place is None:
            while free < len(room) and room[free] <= 0:
                free += 1
            if free == len(room):
                room.append(MAX_OBSERVATIONS)
            room[free] -= 1
            place = free
        chosen.setdefault(place, []).append(number)
    return {
        place: {
            **entity,
            "name": _part(entity["name"], place),
            "observations": [entity["observations"][number] for number in numbers],
            "evidence": [entity["evidence"][number] for number in numbers],
        }
        for place, numbers in sorted(chosen.items())
    }


def _part(name: str, place: int) -> str:
    """What the entity is called that holds an entity's facts at a place, from 0."""
    return f"{name[: MAX_NAME - 8]} #{place + 1}" if place else name


def _name(session: str, subject: str) -> str:
    """What the entity of a session's facts about a subject is called."""
    told = f"auto-extracted-{session}" if subject == _NOBODY else f"auto-extracted-{session}:{subject[:MAX_TYPE]}"
    return told[:MAX_NAME]
