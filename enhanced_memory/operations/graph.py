"""The graph as a whole: opening entities by name, paging through everything, and the reference server's file."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field, TypeAdapter, ValidationError

from enhanced_memory.errors import AlreadyExists, Corrupt, InvalidParams, RequestError
from enhanced_memory.operations.branching import as_on
from enhanced_memory.operations.entities import store_entity
from enhanced_memory.operations.words import damaged, edge, graph_entity, relation
from enhanced_memory.registry import operation
from enhanced_memory.rules.budget import tokens_of
from enhanced_memory.rules.query import resolve_time
from enhanced_memory.shapes import (
    MAX_BATCH,
    BranchName,
    Cursor,
    EntityFields,
    EntityType,
    Exported,
    GraphPage,
    Imported,
    Instant,
    LineAction,
    LineInput,
    Name,
    Names,
    OnExisting,
    Opened,
    PreviewedImport,
    RelationFields,
    Version,
)
from enhanced_memory.store.base import Edge, Entity, PastVersion

if TYPE_CHECKING:
    from enhanced_memory.context import Context

_MOST_RELATIONS = 1_000
"""Relations told with opened entities; `read_graph` gives all."""

_PAGE_BYTES = 4 * 1024 * 1024
"""A page of an export ends when its lines are this long together, so that a page of huge entities stays a page."""

_ENTITY = TypeAdapter(EntityFields)
_RELATION = TypeAdapter(RelationFields)
_ENTITY_KEYS = frozenset(EntityFields.__annotations__) - {"expected_version"}
_RELATION_KEYS = frozenset({"from", "to", "relationType", "strength", "metadata"})

_Cursor = Annotated[Cursor | None, Field(description="next_cursor of the page before; leave out to begin.")]
_Branch = Annotated[BranchName | None, Field(description="As this branch has them, where they have it.")]
_AsOf = Annotated[Instant | None, Field(description="As it stood then: ISO 8601, or 2h, 7d, 2w ago.")]


@operation(writes=False, core=True)
def open_nodes(
    ctx: Context,
    names: Annotated[Names, Field(description="Exact names of the entities to open.")],
    as_of: _AsOf = None,
    branch: _Branch = None,
    version: Annotated[Version | None, Field(description="As they were at this version.")] = None,
) -> Opened:
    """Read entities by their exact names, with the relations that touch them.

    Use when the name is known. Gives every observation, however many; unknown names come back as missing. Example:
    open_nodes(names=['Ann','Atlas project'])

    as_of, branch or version (one of them) show another state than the present one.

    Raises: Corrupt: none of the entities that exist can be read. NotFound: an entity has no such version.
    InvalidParams: as_of is no time, or more than one of the three is given.
    """
    if sum(each is not None for each in (as_of, branch, version)) > 1:
        raise InvalidParams("open_nodes takes one of as_of, branch and version", details={"path": "as_of"})
    wanted = list(dict.fromkeys(names))
    if as_of is not None:
        return _opened_at(ctx, wanted, instant_of(ctx, "as_of", as_of))
    found = ctx.store.entities.find_many(wanted)
    entities = [found[name] for name in wanted if name in found]
    if entities and all(entity.damage is not None for entity in entities):
        raise damaged(entities[0])
    ids = [entity.id for entity in entities]
    ctx.store.entities.count_accesses(ids)
    return {
        "entities": [graph_entity(as_on(ctx, entity, branch, version)) for entity in entities],
        "relations": [relation(found_edge) for found_edge in ctx.store.relations.touching(ids, _MOST_RELATIONS)],
        "missing": [name for name in wanted if name not in found],
    }


@operation(writes=False, core=True)
def read_graph(
    ctx: Context,
    limit: Annotated[int, Field(ge=1, le=MAX_BATCH, description="Most entities to return.")] = 100,
    cursor: _Cursor = None,
    entity_type: Annotated[EntityType | None, Field(description="Only entities of this type.")] = None,
    as_of: _AsOf = None,
    max_tokens: Annotated[int | None, Field(ge=100, description="End the page before it costs more.")] = None,
    branch: _Branch = None,
) -> GraphPage:
    """Page through everything that is remembered: entities, and the relations that start at them.

    Use to look over a whole memory; search_nodes finds things far cheaper. Pass next_cursor on as cursor until it is
    null. Example: read_graph(limit=50, entity_type='person')

    Pages neither repeat nor skip what was there when paging began. as_of shows everything as it stood then.

    Raises: InvalidParams: a cursor or time that is none.
    """
    if as_of is not None and branch is not None:
        raise InvalidParams("read_graph takes one of as_of and branch", details={"path": "branch"})
    instant = None if as_of is None else instant_of(ctx, "as_of", as_of)
    after = 0 if cursor is None else number_of(cursor)
    if instant is None:
        page = ctx.store.entities.page(after, limit + 1, entity_type)
        leaving = ctx.store.relations.leaving([entity.id for entity in page])
        total = ctx.store.entities.count(entity_type)
    else:
        page = ctx.store.history.page_at(instant, after, limit + 1, entity_type)
        leaving = ctx.store.history.relations_at(instant, [entity.id for entity in page], leaving=True)
        total = ctx.store.history.count_at(instant, entity_type)
    edges: dict[str, list[Edge]] = {}
    for found in leaving:
        edges.setdefault(found.source, []).append(found)
    reply = GraphPage(entities=[], relations=[], next_cursor=None, total_entities=total)
    spent = 0
    for count, entity in enumerate(page):
        told, relations = (
            graph_entity(as_on(ctx, entity, branch)),
            [relation(found) for found in edges.get(entity.name, [])],
        )
        if max_tokens is not None:
            spent += tokens_of(told) + sum(map(tokens_of, relations))
        if count == limit or (count and max_tokens is not None and spent > max_tokens):
            reply["next_cursor"] = str(page[count - 1].id)
            break
        reply["entities"].append(told)
        reply["relations"] += relations
    return reply


@operation(writes=True, idempotent=True, administrative=True)
def import_graph(
    ctx: Context,
    lines: Annotated[
        list[LineInput],
        Field(max_length=MAX_BATCH, description="Lines of the file with their numbers, entities before relations."),
    ],
    on_existing: Annotated[
        OnExisting, Field(description="As in create_entities; error reports the line and skips it.")
    ] = "merge",
) -> Imported:
    """Take in lines of a reference memory server's file, one JSON object each.

    Use the command line's import for whole files. A line that cannot be used is reported by its number and skipped;
    the others of the call happen together. A relation needs both its ends to be there.
    """
    return _imported(ctx, lines, on_existing)[0]


@operation(writes=True, transaction=False, idempotent=True, administrative=True)
def preview_import(
    ctx: Context,
    lines: Annotated[list[LineInput], Field(max_length=MAX_BATCH, description="As in import_graph.")],
    on_existing: Annotated[
        OnExisting, Field(description="As in create_entities; error reports the line and skips it.")
    ] = "merge",
    assumed: Annotated[
        list[Name] | None, Field(max_length=2 * MAX_BATCH, description="Entities that earlier lines of the file make.")
    ] = None,
) -> PreviewedImport:
    """Tell what import_graph would do with these lines, and change nothing.

    Use the command line's `import --dry-run` for whole files. The lines are carried out and taken back again, so the
    answer is that of a real import, made at this moment and alone.
    """

    def try_out(inner: Context) -> None:
        missing = [name for name in dict.fromkeys(assumed or ()) if inner.store.entities.find(name) is None]
        for name in missing:
            store_entity(inner, {"name": name, "entityType": "assumed", "observations": []}, "skip", None)
        reply, actions = _imported(inner, lines, on_existing)
        raise _TakenBackError({**reply, "actions": actions})

    try:
        ctx.write(try_out)
    except _TakenBackError as tried:
        return tried.reply
    raise AssertionError("the trial always ends by being taken back")


@operation(writes=False, administrative=True)
def export_graph(
    ctx: Context,
    cursor: _Cursor = None,
    limit: Annotated[int, Field(ge=1, le=MAX_BATCH, description="Most lines to return.")] = 500,
    history: Annotated[bool, Field(description="Whether lines of type version follow, one a version.")] = False,
) -> Exported:
    """Give everything that is remembered as lines of a reference memory server's file, entities first.

    Use the command line's export for whole files. Pass next_cursor on until it is null. Entities that cannot be
    read are left out of the lines and named. With history, each entity's versions come last, newest first, each with
    what it added and removed; the reference server passes over such lines, and so does import_graph.
    """
    kind, number = (cursor or "e0")[:1], (cursor or "e0")[1:]
    if kind not in ("e", "r", "v"):
        raise InvalidParams(f"cursor: {cursor!r} is no cursor of an export", details={"path": "cursor"})
    reply = Exported(lines=[], next_cursor=None, entities=0, relations=0, versions=0, unreadable=[])
    if kind == "v":
        _export_versions(ctx, number, limit, reply)
        return reply
    if kind == "e":
        page = ctx.store.entities.page(number_of(number), limit)
        for count, entity in enumerate(page, start=1):
            if entity.damage is not None:
                reply["unreadable"].append(entity.name)
            else:
                reply["lines"].append(_line({"type": "entity", **_exported(entity)}))
                reply["entities"] += 1
            if count == limit or sum(map(len, reply["lines"])) > _PAGE_BYTES:
                reply["next_cursor"] = f"e{entity.id}"
                return reply
        reply["next_cursor"] = "r0"
        return reply
    edges = ctx.store.relations.page(number_of(number), limit)
    reply["lines"] = [_line({"type": "relation", **relation(found)}) for _, found in edges]
    reply["relations"] = len(edges)
    if len(edges) == limit:
        reply["next_cursor"] = f"r{edges[-1][0]}"
    elif history:
        reply["next_cursor"] = "v0"
    return reply


def _export_versions(ctx: Context, cursor: str, limit: int, reply: Exported) -> None:
    """Fill a page with versions: those of the first entity beyond the cursor's number, then of the next ones."""
    number, _, version = cursor.partition(".")
    after, below = number_of(number), number_of(version) if version else None
    while page := ctx.store.entities.page(after, 1):
        entity, room = page[0], limit - len(reply["lines"])
        try:
            found = ctx.store.versions.newest(entity, None, below, room + 1)
            known = {each.version: each for each in found}
            for each in found[:room]:
                parent = each.parent and (known.get(each.parent) or ctx.store.versions.read(entity, each.parent))
                reply["lines"].append(_line(_exported_version(entity.name, each, parent or None)))
                reply["versions"] += 1
        except Corrupt:
            reply["unreadable"].append(entity.name)
            found = []
        if len(found) > room:
            reply["next_cursor"] = f"v{after}.{found[room - 1].version}"
            return
        after, below = entity.id, None
        if len(reply["lines"]) == limit or sum(map(len, reply["lines"])) > _PAGE_BYTES:
            reply["next_cursor"] = f"v{after}"
            return


def _exported_version(entity: str, version: PastVersion, parent: PastVersion | None) -> dict[str, Any]:
    """A version as a line of the file says it; keys that say nothing are left out."""
    before = () if parent is None else parent.observations
    old, new = set(before), set(version.observations)
    told = {
        "type": "version",
        "entity": entity,
        "version": version.version,
        "branch": version.branch,
        "parent": version.parent,
        "mergeParent": version.merged,
        "action": version.action,
        "message": version.message,
        "author": version.author,
        "session": version.session,
        "method": version.method,
        "created": version.created_at,
        "name": version.name,
        "entityType": version.entity_type,
        "added": [text for text in version.observations if text not in old],
        "removed": [text for text in before if text not in new],
    }
    return {key: value for key, value in told.items() if value is not None}


class _TakenBackError(Exception):
    """Ends the transaction of a trial, so that nothing of it stays; `reply` is what it came to."""

    def __init__(self, reply: PreviewedImport) -> None:
        super().__init__()
        self.reply = reply


def _imported(ctx: Context, lines: Sequence[LineInput], on_existing: OnExisting) -> tuple[Imported, list[LineAction]]:
    """Take in the lines; the reply, and what became of each line in order."""
    reply = Imported(entities=0, created=0, updated=0, relations=0, unchanged=0, errors=[])
    actions: list[LineAction] = []
    for given in lines:
        try:
            action = _import_line(ctx, given["text"], on_existing)
        except (RequestError, AlreadyExists, ValueError) as error:
            reply["errors"].append({"line": given["line"], "error": _sentence(error)})
            action = "error"
        actions.append(action)
    reply["created"], reply["updated"] = actions.count("created"), actions.count("updated")
    reply["entities"] = reply["created"] + reply["updated"]
    reply["relations"], reply["unchanged"] = actions.count("related"), actions.count("unchanged")
    return reply, actions


def _import_line(ctx: Context, text: str, on_existing: OnExisting) -> LineAction:
    """Take in one line; tells what became of it. Raises: ValueError, RequestError."""
    try:
        item = json.loads(text)
    except RecursionError as error:
        raise ValueError("is nested too deeply") from error
    if not isinstance(item, dict):
        raise ValueError("is no JSON object")
    kind = item.get("type")
    if kind == "entity":
        item["observations"] = _observations(item.get("observations", []))
        wanted = {key: value for key, value in item.items() if key in _ENTITY_KEYS}
        given = _ENTITY.validate_python({"extraction_method": "import", **wanted})
        return store_entity(ctx, given, on_existing, "imported")["action"]
    if kind == "relation":
        relation_given = _RELATION.validate_python({k: v for k, v in item.items() if k in _RELATION_KEYS})
        ends = relation_given["from"], relation_given["to"]
        found = ctx.store.entities.find_many(ends)
        for name in ends:
            if name not in found:
                raise ValueError(f"there is no entity {name!r} to relate")
        made = ctx.store.relations.create(edge(relation_given), *(found[name].id for name in ends))
        return "related" if made else "unchanged"
    if kind == "version":
        return "passed"
    raise ValueError('its "type" is neither "entity" nor "relation"')


def _observations(given: Any) -> Any:
    """An entity's observations without the empty ones that other servers let in."""
    return [text for text in given if not isinstance(text, str) or text.strip()] if isinstance(given, list) else given


def _exported(entity: Entity) -> dict[str, Any]:
    """The entity as a line of the file says it: what differs from a fresh one's is added to the reference's keys."""
    told: dict[str, Any] = {
        "name": entity.name,
        "entityType": entity.entity_type,
        "observations": list(entity.observations),
    }
    for key, usual in (
        ("tier", "working"),
        ("always_include", False),
        ("relevance_score", 1.0),
        ("source_session", None),
        ("source_timestamp", None),
        ("extraction_method", "import"),
    ):
        value = getattr(entity, key)
        if value != usual:
            told[key] = value
    return told


def _line(item: dict[str, Any]) -> str:
    return json.dumps(item, ensure_ascii=False, separators=(",", ":"))


def _sentence(error: Exception) -> str:
    """What is wrong with a line, without what it says."""
    if isinstance(error, ValidationError):
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        return f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
    if isinstance(error, json.JSONDecodeError):
        return f"is no JSON: {error.msg} (column {error.colno})"
    return str(error)


def instant_of(ctx: Context, name: str, value: str, *, end: bool = False) -> str:
    """The instant a time means; a span is counted back from now. Raises: InvalidParams."""
    instant = resolve_time(value, ctx.now, end=end)
    if instant is None:
        raise InvalidParams(
            f"{name}: {value!r} is no time", hint="use ISO 8601, or a span such as 7d or 2w", details={"path": name}
        )
    return instant


def number_of(cursor: str) -> int:
    """The number behind a cursor. Raises: InvalidParams."""
    if not cursor.isascii() or not cursor.isdigit() or len(cursor) > 18:
        raise InvalidParams(f"cursor: {cursor!r} is none that was given out", details={"path": "cursor"})
    return int(cursor)


def _opened_at(ctx: Context, names: list[str], instant: str) -> Opened:
    """The named entities and the relations that touch them, as they stood at the instant."""
    found = ctx.store.history.named_at(names, instant)
    ids = [entity.id for entity in found.values()]
    edges = ctx.store.history.relations_at(instant, ids, leaving=False)
    return {
        "entities": [graph_entity(found[name]) for name in names if name in found],
        "relations": [relation(edge) for edge in edges[:_MOST_RELATIONS]],
        "missing": [name for name in names if name not in found],
    }
