"""Sources of any size in each format that can be imported, for tests and for the bench."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

PLACES = ("Graz", "Wels", "Linz", "Wien", "Steyr")


def reference(path: Path, count: int) -> Path:
    """The reference server's file: entities with three observations each, and a relation for each but the first."""
    with path.with_suffix(".jsonl").open("w") as file:
        for n in range(count):
            told = [f"lives in {PLACES[n % 5]}", f"works on project {n % 97}", f"was met {n} times"]
            value = {"type": "entity", "name": f"person_{n}", "entityType": "person", "observations": told}
            file.write(json.dumps(value) + "\n")
            if n:
                ends = {"from": f"person_{n}", "to": f"person_{n // 2}", "relationType": "reports_to"}
                file.write(json.dumps({"type": "relation", **ends}) + "\n")
    return path.with_suffix(".jsonl")


def memory_service(path: Path, count: int) -> Path:
    """mcp-memory-service's export: memories of two sentences."""
    memories = [
        {
            "content": f"The server {n} stands in {PLACES[n % 5]}.\nIt is restarted on day {n % 28} of each month.",
            "content_hash": f"{n:064x}"[::-1],
            "tags": ["server", PLACES[n % 5]],
            "created_at": 1751364000.0 + n,
            "memory_type": "note",
            "metadata": {"source": "made"},
        }
        for n in range(count)
    ]
    path.with_suffix(".json").write_text(
        json.dumps({"export_metadata": {"total_memories": count}, "memories": memories})
    )
    return path.with_suffix(".json")


def basic_memory(path: Path, count: int) -> Path:
    """basic-memory's notes: two observations and a relation each, in folders of a hundred."""
    for n in range(count):
        folder = path / f"part-{n // 100}"
        folder.mkdir(parents=True, exist_ok=True)
        relations = f"\n## Relations\n- follows [[Note {n - 1}]]\n" if n else ""
        (folder / f"note-{n}.md").write_text(
            f"---\ntitle: Note {n}\ntype: note\npermalink: part-{n // 100}/note-{n}\ntags: [made, n{n % 7}]\n---\n\n"
            f"# Note {n}\n\n## Observations\n- [place] It was written in {PLACES[n % 5]} #place\n"
            f"- [number] It is the note after {n - 1} (counted)\n{relations}"
        )
    return path


def markdown(path: Path, count: int) -> Path:
    """Plain notes with headings, points and a link each, in folders of a hundred."""
    for n in range(count):
        folder = path / f"part-{n // 100}"
        folder.mkdir(parents=True, exist_ok=True)
        link = f"\nSee [the one before](../part-{(n - 1) // 100}/day-{n - 1}.md).\n" if n else ""
        (folder / f"day-{n}.md").write_text(
            f"# Day {n}\n\nIt rained in {PLACES[n % 5]} on day {n}.\n\n"
            f"## Plans\n\n- walk {n} steps\n- read page {n}\n{link}"
        )
    return path


def chatgpt(path: Path, count: int) -> Path:
    """ChatGPT's .zip: conversations of four messages, of which two state something."""
    several = []
    for n in range(count):
        said = [
            ("user", f"I live in {PLACES[n % 5]}. Can you help me with task {n}?"),
            ("assistant", "Of course! What is it about? Here is an outline:\n1. Begin\n2. End"),
            ("user", f"We decided to use server number {n} for the project."),
            ("assistant", "That sounds good. Let me know if you need anything else."),
        ]
        mapping: dict[str, Any] = {"root": {"id": "root", "message": None, "parent": None, "children": ["m0"]}}
        for at, (role, text) in enumerate(said):
            mapping[f"m{at}"] = {
                "id": f"m{at}",
                "parent": f"m{at - 1}" if at else "root",
                "children": [f"m{at + 1}"] if at < 3 else [],
                "message": {
                    "id": f"m{at}",
                    "author": {"role": role, "metadata": {}},
                    "create_time": 1714550400.0 + 60 * n + at,
                    "content": {"content_type": "text", "parts": [text]},
                    "metadata": {},
                },
            }
        number = f"{n:012d}"
        several.append(
            {
                "title": f"Task {n}",
                "create_time": 1714550400.0 + 60 * n,
                "mapping": mapping,
                "current_node": "m3",
                "conversation_id": f"00000000-0000-4000-8000-{number}",
            }
        )
    with zipfile.ZipFile(path.with_suffix(".zip"), "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("user.json", "{}")
        packed.writestr("conversations.json", json.dumps(several))
    return path.with_suffix(".zip")


def claude(path: Path, count: int) -> Path:
    """Claude's conversations.json: two messages each, of which one states something."""
    several = [
        {
            "uuid": f"00000000-0000-4000-8000-{n:012d}",
            "name": f"Talk {n}",
            "created_at": "2025-02-03T09:00:00.000000Z",
            "updated_at": "2025-02-03T09:10:00.000000Z",
            "chat_messages": [
                {"sender": "human", "text": f"I always back up disk {n} on Sundays.", "content": []},
                {"sender": "assistant", "text": "", "content": [{"type": "text", "text": "Good idea."}]},
            ],
        }
        for n in range(count)
    ]
    path.with_suffix(".json").write_text(json.dumps(several))
    return path.with_suffix(".json")


MAKERS: dict[str, Callable[[Path, int], Path]] = {
    "jsonl": reference,
    "mcp-memory-service": memory_service,
    "basic-memory": basic_memory,
    "chatgpt": chatgpt,
    "claude": claude,
    "markdown": markdown,
}
