"""A supervisor for the tests of a module, a small memory for code to ask, and the corpora as data."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from enhanced_memory.errors import EnhancedMemoryError, InvalidParams, NotFound
from enhanced_memory.sandbox.supervisor import Outcome, Supervisor

FOLDER = Path(__file__).parent

FUNCTIONS = {
    "search_nodes": ["query", "limit"],
    "create_entities": ["entities"],
    "open_nodes": ["names"],
}

MEMORIES: list[dict[str, Any]] = [
    {
        "name": "Ada",
        "entityType": "person",
        "observations": ["writes programs", "likes tea", "born 1815-12-10"],
        "tier": "semantic",
        "relevance_score": 0.9,
        "created_at": "2024-03-01T10:00:00Z",
    },
    {
        "name": "Grace",
        "entityType": "person",
        "observations": ["found a bug", "likes coffee"],
        "tier": "semantic",
        "relevance_score": 0.8,
        "created_at": "2024-03-05T09:30:00Z",
    },
    {
        "name": "Parser",
        "entityType": "project",
        "observations": ["written in C", "has 12 tests", "owner: Grace", "deadline 2024-06-01"],
        "tier": "working",
        "relevance_score": 0.5,
        "created_at": "2024-05-20T08:00:00Z",
    },
    {
        "name": "Engine",
        "entityType": "project",
        "observations": ["owner: Ada"],
        "tier": "episodic",
        "relevance_score": 0.4,
        "created_at": "2024-05-21T18:45:00Z",
    },
    {
        "name": "Tea",
        "entityType": "preference",
        "observations": ["green, no sugar", "Ada drinks 3 cups a day"],
        "tier": "working",
        "relevance_score": 0.7,
        "created_at": "2024-05-22T12:00:00Z",
    },
]


def call(name: str, arguments: dict[str, Any]) -> Any:
    """The memory operations of these tests; like the service, they check what they get."""
    unknown = [given for given in arguments if given not in FUNCTIONS[name]]
    if unknown or FUNCTIONS[name][0] not in arguments:
        raise InvalidParams(f"{name} takes {FUNCTIONS[name]}, not {list(arguments)}")
    if name == "search_nodes":
        words = str(arguments["query"]).lower()
        found = [memory for memory in MEMORIES if words in f"{memory['name']} {memory['observations']}".lower()]
        return found[: arguments.get("limit", 10)]
    if name == "create_entities":
        return {"created": len(arguments["entities"])}
    for wanted in arguments["names"]:
        if wanted not in [memory["name"] for memory in MEMORIES]:
            raise NotFound(f"there is no entity {wanted!r}", hint="search for it")
    return [memory for memory in MEMORIES if memory["name"] in arguments["names"]]


class Cell:
    """A supervisor with these tests' operations."""

    def __init__(self, supervisor: Supervisor) -> None:
        self.supervisor = supervisor

    def run(self, code: str, **options: Any) -> Outcome:
        """Run `code`; raises what the supervisor raises."""
        return self.supervisor.run(code, **{"functions": FUNCTIONS, "call": call, **options})

    def failure(self, code: str, **options: Any) -> EnhancedMemoryError:
        """The error in which a run of `code` ends."""
        with pytest.raises(EnhancedMemoryError) as caught:
            self.run(code, **options)
        return caught.value


@pytest.fixture(scope="module")
def cell() -> Iterator[Cell]:
    """A supervisor that lives as long as the module's tests."""
    supervisor = Supervisor()
    yield Cell(supervisor)
    supervisor.close()


@dataclass(frozen=True)
class Sample:
    """A piece of code of a corpus: its group and name, the code, and what the file says of its end."""

    name: str
    code: str
    ends: str


def samples(file_name: str) -> list[Sample]:
    """The corpus in a file: "== group | ends" lines, "# name" lines, code between them."""
    group = ends = name = ""
    collected: list[tuple[str, str, list[str]]] = []
    for line in (FOLDER / file_name).read_text().splitlines():
        if line.startswith("== "):
            group, _, ends = line[3:].partition(" | ")
            name = ""
        elif line.startswith("# ") and group:
            name = line[2:]
            collected.append((f"{group}: {name}", ends, []))
        elif name:
            collected[-1][2].append(line)
    return [Sample(title, _code(lines), ends) for title, ends, lines in collected]


def _code(lines: list[str]) -> str:
    text = "\n".join(lines).rstrip("\n")
    return str(eval(text[2:])) if text.startswith("= ") else text
