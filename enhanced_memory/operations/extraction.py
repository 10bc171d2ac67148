"""Extraction: what a conversation states, kept as memories."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from enhanced_memory.errors import InvalidParams
from enhanced_memory.operations.entities import store_entity
from enhanced_memory.registry import operation
from enhanced_memory.rules import extraction, secrets
from enhanced_memory.shapes import MAX_TYPE, ExtractedEntity, ExtractedFacts, Fraction, Line, Message

if TYPE_CHECKING:
    from enhanced_memory.context import Context

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
    passwords are replaced by a mark before anything is stored, and counted in `secrets`. One entity per session and
    subject; a repeated call changes nothing. Lines and spans of the evidence count in the text after that replacement.

    Raises: InvalidParams: a model was asked for, and none is there.
    """
    if extractor == "llm":
        raise InvalidParams(
            "extractor 'llm' needs a model, and none is connected",
            hint="leave extractor at rules",
            details={"path": "extractor"},
        )
    text, masked = secrets.redact(conversation_text)
    session = session_id or "session"
    found: dict[str, ExtractedEntity] = {}
    for fact in extraction.extract(text, threshold=threshold):
        name = _name(session, fact.subject)
        entity = found.setdefault(
            name,
            {
                "name": name,
                "entityType": "auto_extracted",
                "observations": [],
                "source_session": session_id,
                "extraction_method": "auto",
                "evidence": [],
            },
        )
        if fact.text not in entity["observations"]:
            entity["observations"].append(fact.text)
            entity["evidence"].append(
                {
                    "line": fact.line,
                    "span": list(fact.span),
                    "kind": fact.kind,
                    "negated": fact.negated,
                    "confidence": round(fact.confidence, 3),
                    "speaker": fact.speaker,
                }
            )
    ids: list[int] = []
    if auto_store and found:
        ids = ctx.write(lambda inner: [_stored(inner, entity, extraction_context) for entity in found.values()])
    return {
        "facts": list(found.values()),
        "count": sum(len(entity["observations"]) for entity in found.values()),
        "stored": bool(ids),
        "entity_ids": ids,
        "session_id": session_id,
        "secrets": dict(masked),
    }


def _stored(ctx: Context, entity: ExtractedEntity, note: str | None) -> int:
    """Remember one entity of facts; returns its number."""
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


def _name(session: str, subject: str) -> str:
    """What the entity of a session's facts about a subject is called."""
    told = f"auto-extracted-{session}" if subject == _NOBODY else f"auto-extracted-{session}:{subject[:MAX_TYPE]}"
    return told[:512]
