"""Ways out as a person at the command line takes them: commands where a hint of the daemon names operations.

Above it lies the program, which prints failures, and the commands that find nothing; below it the session and output.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final

from enhanced_memory.cli import output

if TYPE_CHECKING:
    from enhanced_memory.cli.session import Session

COMMANDS: Final = {
    "`describe`": "operations",
    "list_conflicts with status=resolved": "conflicts list --status resolved",
    "list_skills with its name": "call list_skills name=NAME",
    "autonomous_curation": "curate",
    "create_entities": "add",
    "create_relations": "relate",
    "delete_entities": "delete",
    "delete_relations": "relate --delete",
    "execute_code": "run",
    "get_context": "context",
    "get_memory_status": "status",
    "get_system_health": "health",
    "list_branches": "branches",
    "list_conflicts": "conflicts list",
    "list_skills": "skills",
    "memory_diff": "diff",
    "memory_history": "history",
    "memory_revert": "revert",
    "neighbors": "graph",
    "open_nodes": "open",
    "reopen_conflict": "conflicts reopen",
    "resolve_conflict": "conflicts resolve",
    "run_skill": "skills run",
    "search_nodes": "search",
    "undo_curation": "curate --undo",
    "what_changed": "changes",
}
"""What an operation is called here; the others go by `call`."""


def in_commands(hint: str | None) -> str | None:
    """A hint with the commands of this program in the place of the operations that it names.

    Left as it is what was meant by a name that somebody gave to `call`.
    """
    if not hint:
        return hint
    from enhanced_memory.client.methods import READS, WRITES

    others = (name for name in READS | WRITES if "_" in name)
    words = sorted({*COMMANDS, *others}, key=lambda each: (-len(each), each))
    named = re.compile(rf"(?<!did you mean )(?<![\w'\"`-])({'|'.join(map(re.escape, words))})(?![\w'\"=-])")
    return named.sub(lambda found: f"`enhanced-memory {COMMANDS.get(found[1], f'call {found[1]}')}`", hint)


def meant(word: str, known: Iterable[str]) -> str:
    """ " Did you mean X?", or nothing where no known word is near; small and capital letters are one."""
    spelled = {each.casefold(): each for each in known}
    nearest = difflib.get_close_matches(word.casefold(), spelled, n=1, cutoff=_NEAR)
    return f" Did you mean {spelled[nearest[0]]!r}?" if nearest else ""


_NEAR: Final = 0.75
"""Likeness (0..1) from which a word may be another that was written wrong."""

_BEGINNINGS: Final = (3, 2, 1)
_MOST: Final = 100
"""Letters that a name and the one that is meant begin with, and names that are compared for each."""


def name_meant(session: Session, name: str) -> str:
    """ " Did you mean X?" of a name that is nobody's, if one that begins like it is near."""
    for letters in _BEGINNINGS:
        reply = session.ask("complete_names", {"beginning": name[:letters], "limit": _MOST})
        if nearest := meant(name, reply.get("names", [])):
            return nearest
    return ""


def tell_unknown_namespace(session: Session) -> None:
    """Remark, where nothing was found, that there is no such namespace as the one that was asked for."""
    wanted = session.settings.namespace
    if wanted == "default":
        return
    there: Mapping[str, Any] = session.ask("get_memory_status", {}).get("namespaces", {})
    if there and wanted not in there:
        known = ", ".join(sorted(there))
        output.note(f"There is no namespace {wanted!r} yet. Those that are there: {known}.{meant(wanted, there)}")
