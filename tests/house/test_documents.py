"""What the documents say is so: files that are there, commands that run, links that lead somewhere."""

from __future__ import annotations

import ast
import json
import re
import tomllib
from pathlib import Path

import pytest

from enhanced_memory import __version__
from enhanced_memory.settings import Settings

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").glob("*.md"))]
README = (ROOT / "README.md").read_text(encoding="utf-8")
SETUP = (ROOT / "docs" / "setup.md").read_text(encoding="utf-8")


def blocks(text: str, language: str) -> list[str]:
    """The fenced blocks of a language in a document."""
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)


def test_every_snippet_for_an_assistant_can_be_read_and_starts_the_mcp_server() -> None:
    servers = [
        server
        for snippet in [*map(json.loads, blocks(SETUP, "json")), *map(tomllib.loads, blocks(SETUP, "toml"))]
        for key in ("mcpServers", "servers", "mcp_servers")
        for server in snippet.get(key, {}).values()
    ]
    assert len(servers) == 3
    assert {Path(server["command"]).name for server in servers} == {"memory-mcp"}


def test_the_readmes_settings_are_settings_with_their_defaults() -> None:
    known = Settings.__dataclass_fields__.values()
    defaults = {spec.metadata["variable"]: str(int(d) if (d := spec.default) is True else d) for spec in known}
    told = dict(re.findall(r"^\| `(MEMORY_\w+)` \| `(.*?)` \|", README, re.MULTILINE))
    assert told
    assert told.items() <= defaults.items()


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_link_in_a_document_leads_to_a_file(document: Path) -> None:
    for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", document.read_text(encoding="utf-8")):
        assert (document.parent / target).exists(), f"{document.name} links to {target}"


def test_every_file_that_the_architecture_names_is_there() -> None:
    text = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
    paths = re.findall(r"`(\w+/\w[\w./-]*)`", text)
    assert paths
    assert [path for path in paths if not ((ROOT / path).exists() or (ROOT / "enhanced_memory" / path).exists())] == []


@pytest.mark.parametrize(
    "name",
    [
        "memory_db_service.py",
        "memory_client.py",
        "server.py",
        "schema.sql",
        "pyproject.toml",
        "constraints.txt",
        "README.md",
        "ARCHITECTURE.md",
        "CONTRIBUTING.md",
        "CHANGELOG.md",
        "LICENSE",
        "scripts/start",
        "scripts/test",
    ],
)
def test_a_promised_file_is_there(name: str) -> None:
    assert (ROOT / name).is_file()


def test_the_changelog_begins_with_this_version_or_with_what_is_not_released_yet() -> None:
    sections = re.findall(r"^## \[?([\w.]+)", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert sections[0] in {"Unreleased", __version__}
    assert len(sections) == len(set(sections))


SOURCES = [
    *sorted(ROOT.glob("*.py")),
    *(path for folder in ("enhanced_memory", "scripts", "tests") for path in sorted((ROOT / folder).rglob("*.py"))),
]


def test_every_module_opens_by_saying_what_it_is() -> None:
    silent = [
        str(path.relative_to(ROOT))
        for path in SOURCES
        if path.stat().st_size and not ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
    ]
    assert silent == []
