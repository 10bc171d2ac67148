"""Many patterns looked for at once: each is tried only where its first sign stands.

Above it lie `rules.phrases` and `rules.endings`; below it nothing. An engine that tries the alternatives of a pattern
in order tries most of them in vain; sorted by their first signs, a few are left at each place. What is found is the
same.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

_ESCAPED_SIGN = re.compile(r"\\[^\w]")


def alternatives(pattern: str) -> list[str]:
    """The alternatives of a pattern: what lies between its bars outside of groups."""
    found, begun, depth, at = [], 0, 0, 0
    while at < len(pattern):
        if pattern[at] == "[":
            at = pattern.index("]", at + 2)
        depth += (pattern[at] == "(") - (pattern[at] == ")")
        if pattern[at] == "|" and not depth:
            found.append(pattern[begun:at])
            begun = at + 1
        at += 2 if pattern[at] == "\\" else 1
    return [*found, pattern[begun:]]


def may_begin(pattern: str, sign: str) -> bool:
    """Whether what a pattern matches can begin with this sign."""
    return any(signs is None or sign in signs for signs in map(first_signs, alternatives(pattern)))


def first_signs(pattern: str) -> frozenset[str] | None:
    """Signs that what one alternative matches can begin with; None where it may be any."""
    found: set[str] = set()
    at = 0
    while at < len(pattern):
        sign = pattern[at]
        if sign == "(":
            end = _end_of_group(pattern, at)
            inner = pattern[at + 1 : end]
            if inner.startswith("?") and not inner.startswith("?:"):
                return None
            each = [first_signs(one) for one in alternatives(inner.removeprefix("?:"))]
            if None in each:
                return None
            found.update(*(signs for signs in each if signs))
            at = end + 1
        elif _ESCAPED_SIGN.match(pattern, at):
            found.add(pattern[at + 1])
            at += 2
        elif sign in "\\[.^$":
            return None
        else:
            found.add(sign)
            at += 1
        if pattern[at : at + 1] == "{":
            return None
        if pattern[at : at + 1] not in ("?", "*"):
            return frozenset(found)
        at += 1
    return None


def _end_of_group(pattern: str, start: int) -> int:
    """Where the group that opens at `start` is closed."""
    depth, at = 0, start
    while True:
        if pattern[at] == "[":
            at = pattern.index("]", at + 2)
        depth += (pattern[at] == "(") - (pattern[at] == ")")
        if not depth:
            return at
        at += 2 if pattern[at] == "\\" else 1


def by_first_sign(patterns: Iterable[str]) -> str:
    """A pattern that matches what the first of these does that matches."""
    each = [(one, first_signs(one)) for pattern in patterns for one in alternatives(pattern)]
    signs = sorted(frozenset().union(*(begins for _, begins in each if begins)))
    parts = []
    for sign in signs:
        beginning = "|".join(one for one, begins in each if begins is None or sign in begins)
        parts.append(f"(?={re.escape(sign)})(?:{beginning})")
    anywhere = "|".join(one for one, begins in each if begins is None)
    if anywhere:
        parts.append(f"(?![{re.escape(''.join(signs))}])(?:{anywhere})")
    return f"(?:{'|'.join(parts)})"
