"""Builds the MCP bundle, one file that Claude Desktop and others install with a click: `dist/enhanced-memory-*.mcpb`.

A bundle is a zip archive with a manifest. Ours is of the kind `uv`: it carries the sources and pyproject.toml, and the
application that installs it brings Python and the packages for its platform, which a bundle could not hold for all.
The same sources give the same bytes. Run it as `python scripts/build_mcpb.py [FOLDER]`.

Source: the manifest's specification, version 0.4, in the repository modelcontextprotocol/mcpb.
"""

from __future__ import annotations

import json
import sys
import tomllib
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from enhanced_memory import __version__  # noqa: E402 - the path comes first
from enhanced_memory.registry import operations  # noqa: E402
from enhanced_memory.settings import Settings  # noqa: E402

TOP = ("LICENSE", "README.md", "memory_client.py", "memory_db_service.py", "pyproject.toml", "schema.sql", "server.py")
ENTRY_POINT = "server.py"
OLDEST = (1980, 1, 1, 0, 0, 0)
"""The time of every file: the first that a zip archive can tell."""

ASKED = {"database": "db_path", "namespace": "namespace", "tools": "tools"}
"""What the application asks its user for, and the setting it goes to."""


def manifest() -> dict[str, Any]:
    """The manifest: what the project says of itself, and the tools of the core profile from the register."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    known = Settings.__dataclass_fields__
    variables = {known[name].metadata["variable"]: f"${{user_config.{key}}}" for key, name in ASKED.items()}
    return {
        "manifest_version": "0.4",
        "name": project["name"],
        "display_name": "Enhanced Memory",
        "version": __version__,
        "description": project["description"],
        "author": {"name": "Enhanced Memory contributors"},
        "license": project["license"],
        "keywords": project["keywords"],
        "server": {
            "type": "uv",
            "entry_point": ENTRY_POINT,
            "mcp_config": {
                "command": "uv",
                "args": ["run", "--directory", "${__dirname}", ENTRY_POINT],
                "env": variables,
            },
        },
        "tools": [
            {"name": declared.name, "description": " ".join(declared.description.split("\n\n")[0].split())}
            for declared in operations().values()
            if declared.core
        ],
        "prompts_generated": True,
        "compatibility": {
            "platforms": ["darwin", "linux"],
            "runtimes": {"python": project["requires-python"]},
        },
        "user_config": {
            key: {
                "type": "string",
                "title": key.capitalize(),
                "description": known[name].metadata["meaning"],
                "default": known[name].default,
                "required": False,
            }
            for key, name in ASKED.items()
        },
    }


def contents() -> Iterator[tuple[str, bytes]]:
    """Every file of the bundle: its name and its bytes, in the order of the names; links are followed."""
    files = [ROOT / name for name in TOP]
    files += [
        path for path in (ROOT / "enhanced_memory").rglob("*") if path.is_file() and "__pycache__" not in path.parts
    ]
    named = {path.relative_to(ROOT).as_posix(): path.read_bytes() for path in files}
    named["manifest.json"] = json.dumps(manifest(), indent=2, ensure_ascii=False).encode() + b"\n"
    yield from sorted(named.items())


def build(folder: Path) -> Path:
    """Write the bundle into `folder`; where it is."""
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / f"enhanced-memory-{__version__}.mcpb"
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as bundle:
        for name, data in contents():
            entry = zipfile.ZipInfo(name, OLDEST)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = 0o644 << 16
            bundle.writestr(entry, data)
    return target


if __name__ == "__main__":
    print(build(Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "dist"))
