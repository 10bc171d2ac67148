"""Replies that stay small: whatever is asked, an assistant is not sent more tokens than it can bear.

Above it lie tools and resources; below it the estimate of tokens. A reply that is too large is asked for again in
smaller measure where its operation can do that, so that its cursor stays right; what is too large still is cut at the
end of its longest lists and texts. Either way `truncated` says what was left out and how to get it.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from enhanced_memory.registry import Operation
from enhanced_memory.rules.budget import estimated_tokens, tokens_of

Reply = dict[str, Any]
Ask = Callable[[Mapping[str, Any]], Awaitable[Reply]]

_BYTES_A_TOKEN = 4
"""Where cutting begins; English prose has about as many by the estimate, anything else fewer."""

_AIM = 0.95
"""Share of the budget that is aimed at, since the sentence about what was left out costs something too."""

_SENTENCE_TOKENS = 150
"""What that sentence costs at the most."""

_MANY_KEYS = 32
"""From so many keys on an object is a table, whose last rows may be left out; a smaller one is a thing with parts."""

_ATTEMPTS = 8
_CUTS = 200
_LARGE = 1 << 20
"""Bytes from which on cutting is left to a thread: others are being served meanwhile."""

_WAYS = {
    "open_nodes": "search_nodes with detail='matched' gives only the observations that match",
    "execute_code": "put less into result",
    "search_nodes": "ask with offset for the next, with detail='matched', or with a smaller limit",
}
_NEXT_PAGE = "pass next_cursor on as cursor for the next page"
_WITHIN = "search_nodes with detail='matched' finds what was left out here"
"""Of one entity that is larger than a page: the cursor goes on behind it."""

_OTHERWISE = "ask for less at once"


async def bounded(operation: Operation, params: Mapping[str, Any], ask: Ask, budget: int) -> Reply:
    """The reply to `params`, of at most `budget` tokens by the estimate, or of `max_tokens` where more was asked for.

    `ask` sends parameters to the daemon; a read may be sent more than once.
    """
    reply = await ask(params)
    wanted = params.get("max_tokens")
    if isinstance(wanted, int) and not isinstance(wanted, bool):
        budget = max(budget, wanted)
    text = _text(reply)
    if _fits(text, budget):
        return reply
    smaller = False
    if not operation.writes and reply["success"]:
        again = await _asked_for_less(operation, params, ask, reply, budget)
        smaller, reply = again is not reply, again
        text = _text(reply)
    way = _NEXT_PAGE if reply.get("next_cursor") else _WAYS.get(operation.name, _OTHERWISE)
    if _fits(text, budget - _SENTENCE_TOKENS):
        return {**reply, "truncated": f"this is less than was asked for, to stay within {budget:,} tokens; {way}"}
    if len(text) > _LARGE:
        cut, left_out = await asyncio.to_thread(_cut, reply, budget)
    else:
        cut, left_out = _cut(reply, budget)
    said = "; ".join(left_out[:3]) + (f"; and {len(left_out) - 3} more" if len(left_out) > 3 else "")
    if smaller and reply.get("next_cursor"):
        said = f"{said}; the page is smaller as well"
        way = f"{_WITHIN}; {_NEXT_PAGE}"
    return {**cut, "truncated": f"left out to stay within {budget:,} tokens: {said}. For the rest, {way}"}


async def _asked_for_less(
    operation: Operation, params: Mapping[str, Any], ask: Ask, reply: Reply, budget: int
) -> Reply:
    """A smaller reply where the operation gives one: by its own budget, or page by page; else the same reply."""
    fields = operation.params.model_fields
    if "max_tokens" in fields and params.get("max_tokens") is None:
        less = await ask({**params, "max_tokens": int(budget * _AIM) - _SENTENCE_TOKENS})
        return less if less["success"] else reply
    if "limit" not in fields or "next_cursor" not in reply:
        return reply
    items = max((len(value) for value in reply.values() if isinstance(value, list)), default=0)
    for _ in range(_ATTEMPTS):
        tokens = tokens_of(reply)
        if tokens <= budget * _AIM - _SENTENCE_TOKENS or items <= 1:
            return reply
        items = max(1, min(items - 1, int(items * budget * _AIM * 0.9 / tokens)))
        less = await ask({**params, "limit": items})
        if not less["success"]:
            return reply
        reply = less
    return reply


def _fits(text: str, budget: int) -> bool:
    """Whether a text has at most `budget` tokens; no character is more than four."""
    return len(text) * 4 <= budget or (len(text) <= budget * 16 and estimated_tokens(text) <= budget)


def _text(reply: Mapping[str, Any]) -> str:
    return json.dumps(reply, ensure_ascii=False, separators=(",", ":"))


def _cut(reply: Reply, budget: int) -> tuple[Reply, list[str]]:
    """A copy of the reply within the budget, and what was left out of it, in words."""
    aim = int(budget * _AIM) - _SENTENCE_TOKENS
    size = min(len(_text(reply)), aim * _BYTES_A_TOKEN)
    for _ in range(_ATTEMPTS):
        copy: Reply = json.loads(_text(reply))
        totals: dict[str, int] = {}
        kept: dict[str, tuple[int, str]] = {}
        for _ in range(_CUTS):
            excess = len(_text(copy)) - size
            if excess <= 0:
                break
            where, before, after, kind = _shorten(copy, excess)
            totals.setdefault(where, before)
            kept[where] = (after, kind)
        tokens = tokens_of(copy)
        if tokens <= aim:
            return copy, [
                f"{totals[where] - left:,} of {totals[where]:,} {kind} of {where}"
                for where, (left, kind) in kept.items()
            ]
        size = int(size * aim / tokens * 0.9)
    return {"success": reply["success"]}, ["everything"]


def _shorten(reply: Reply, excess: int) -> tuple[str, int, int, str]:
    """Take at least `excess` bytes, if it has as many, from the end of what is largest; where, and how long it was and
    is, and in what."""
    parent: Any = reply
    key: Any = max(reply, key=lambda name: len(_text(reply[name])) if name != "success" else 0)
    where = str(key)
    while True:
        node = parent[key]
        if isinstance(node, str):
            left = max(0, len(node) - excess - 1)
            parent[key] = node[:left]
            return where, len(node), left, "characters"
        if not isinstance(node, list | dict) or not node:
            parent[key] = None
            return where, 1, 0, "values"
        keys = list(node) if isinstance(node, dict) else list(range(len(node)))
        sizes = [len(_text(node[each])) + (len(str(each)) + 4 if isinstance(node, dict) else 1) for each in keys]
        heaviest = max(range(len(keys)), key=sizes.__getitem__)
        is_table = isinstance(node, list) or len(keys) > _MANY_KEYS
        if is_table and sizes[heaviest] * 2 <= sum(sizes):
            gone = 0
            for each, size in zip(reversed(keys), reversed(sizes), strict=True):
                gone += size
                del node[each]
                if gone >= excess:
                    break
            return where, len(keys), len(node), "items" if isinstance(node, list) else "keys"
        parent, key = node, keys[heaviest]
        where += f"[{key}]" if isinstance(node, list) else f".{key}"
