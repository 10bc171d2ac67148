"""The ways to install us beside the wheel: the registry's entry, the MCP bundle, the container; all of this version."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest

from enhanced_memory import __version__
from enhanced_memory.cli.main import COMMANDS
from enhanced_memory.registry import operations
from enhanced_memory.settings import TOOL_PROFILES, Settings

ROOT = Path(__file__).resolve().parents[2]
SETTINGS = {spec.metadata["variable"]: spec for spec in Settings.__dataclass_fields__.values()}

SERVER: dict[str, Any] = json.loads((ROOT / "server.json").read_text(encoding="utf-8"))
[PACKAGE] = SERVER["packages"]


def test_the_registrys_entry_has_what_the_registry_asks_for() -> None:
    assert re.fullmatch(
        r"https://static\.modelcontextprotocol\.io/schemas/\d{4}-\d\d-\d\d/server\.schema\.json", SERVER["$schema"]
    )
    assert re.fullmatch(r"[a-zA-Z0-9.-]+/[a-zA-Z0-9._-]+", SERVER["name"])
    assert 1 <= len(SERVER["description"]) <= 100
    assert 1 <= len(SERVER["title"]) <= 100
    assert SERVER.keys() <= {"$schema", "name", "title", "description", "version", "packages", "repository"}
    assert {"registryType", "identifier", "version", "transport"} <= PACKAGE.keys()
    assert PACKAGE["transport"] == {"type": "stdio"}


def test_the_registrys_entry_is_of_this_version() -> None:
    assert (SERVER["version"], PACKAGE["version"]) == (__version__, __version__)


def test_the_registrys_entry_runs_a_command_of_the_package() -> None:
    assert (PACKAGE["registryType"], PACKAGE["identifier"]) == ("pypi", "enhanced-memory")
    [argument] = PACKAGE["packageArguments"]
    assert argument["type"] == "positional"
    assert argument["value"] in COMMANDS


def test_the_registry_finds_its_name_in_the_readme_that_the_package_carries() -> None:
    assert f"mcp-name: {SERVER['name']}" in (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_variables_of_the_registrys_entry_are_settings_with_their_words_and_defaults() -> None:
    for variable in PACKAGE["environmentVariables"]:
        spec = SETTINGS[variable["name"]]
        assert variable["description"] == spec.metadata["meaning"]
        assert variable["default"] == spec.default
        if variable["name"] == "MEMORY_TOOLS":
            assert tuple(variable["choices"]) == TOOL_PROFILES


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    """The bundle as the script builds it."""
    built = []
    for folder in (tmp_path_factory.mktemp("one"), tmp_path_factory.mktemp("two")):
        command = [sys.executable, str(ROOT / "scripts" / "build_mcpb.py"), str(folder)]
        done = subprocess.run(command, capture_output=True, text=True, cwd="/")
        assert done.returncode == 0, done.stderr
        built.append(Path(done.stdout.strip()))
    assert built[0].name == f"enhanced-memory-{__version__}.mcpb"
    assert built[0].read_bytes() == built[1].read_bytes(), "the same sources give the same bytes"
    return zipfile.ZipFile(built[0])


@pytest.fixture(scope="module")
def manifest(bundle: zipfile.ZipFile) -> dict[str, Any]:
    """The bundle's manifest."""
    told: dict[str, Any] = json.loads(bundle.read("manifest.json"))
    return told


ALLOWED = {
    "": {
        *("manifest_version", "name", "display_name", "version", "description", "author", "license", "keywords"),
        *("server", "tools", "prompts_generated", "compatibility", "user_config"),
    },
    "server": {"type", "entry_point", "mcp_config"},
    "mcp_config": {"command", "args", "env"},
    "compatibility": {"platforms", "runtimes"},
}
"""Keys of the manifest's specification, version 0.4, as far as we use them: it allows no others."""


@pytest.mark.process
def test_the_bundles_manifest_is_as_its_specification_has_it(manifest: dict[str, Any]) -> None:
    assert manifest["manifest_version"] == "0.4"
    assert {"name", "version", "description", "author", "server"} <= manifest.keys() <= ALLOWED[""]
    assert manifest["author"].keys() == {"name"}
    assert manifest["server"].keys() <= ALLOWED["server"]
    assert manifest["server"]["type"] == "uv"
    assert manifest["server"]["mcp_config"].keys() <= ALLOWED["mcp_config"]
    assert manifest["compatibility"].keys() <= ALLOWED["compatibility"]
    assert set(manifest["compatibility"]["platforms"]) <= {"darwin", "win32", "linux"}
    for asked in manifest["user_config"].values():
        assert (
            {"type", "title", "description"} <= asked.keys() <= {"type", "title", "description", "default", "required"}
        )
        assert asked["type"] in {"string", "number", "boolean", "directory", "file"}


@pytest.mark.process
def test_the_bundle_is_of_this_version_and_names_the_core_tools(manifest: dict[str, Any]) -> None:
    assert manifest["version"] == __version__
    core = [declared.name for declared in operations().values() if declared.core]
    assert [tool["name"] for tool in manifest["tools"]] == core
    assert all(tool.keys() == {"name", "description"} and tool["description"] for tool in manifest["tools"])


@pytest.mark.process
def test_what_the_bundle_asks_for_goes_to_settings(manifest: dict[str, Any]) -> None:
    environment = manifest["server"]["mcp_config"]["env"]
    assert set(environment.values()) == {f"${{user_config.{key}}}" for key in manifest["user_config"]}
    for variable, value in environment.items():
        asked = manifest["user_config"][value.removeprefix("${user_config.").removesuffix("}")]
        assert asked["default"] == SETTINGS[variable].default


@pytest.mark.process
def test_the_bundle_holds_the_sources_whole_and_no_packages(bundle: zipfile.ZipFile, manifest: dict[str, Any]) -> None:
    names = bundle.namelist()
    assert bundle.testzip() is None
    entry_point = manifest["server"]["entry_point"]
    assert {"manifest.json", "pyproject.toml", entry_point, "enhanced_memory/py.typed"} <= set(names)
    assert bundle.read("enhanced_memory/store/sqlite/schema.sql") == (ROOT / "schema.sql").read_bytes()
    assert not [name for name in names if "__pycache__" in name or ".venv" in name or name.startswith(("tests/", "."))]


@pytest.mark.process
def test_the_server_of_an_unpacked_bundle_starts(bundle: zipfile.ZipFile, tmp_path: Path) -> None:
    bundle.extractall(tmp_path)
    done = subprocess.run(
        [sys.executable, str(tmp_path / "server.py"), "--version"],
        capture_output=True,
        text=True,
        cwd="/",
        env={"PATH": "/usr/bin:/bin", "HOME": str(tmp_path)},
    )
    assert done.stdout == f"memory-mcp {__version__}\n", done.stderr


DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")


def test_the_container_is_made_of_files_that_are_there_and_not_ignored() -> None:
    copied = [name for line in re.findall(r"^COPY (?!--)(.*)$", DOCKERFILE, re.MULTILINE) for name in line.split()[:-1]]
    assert "enhanced_memory" in copied
    kept = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    for name in copied:
        assert (ROOT / name).exists(), name
        assert f"!{name}" in kept


def test_the_container_runs_a_command_of_ours_as_nobody_special_with_the_memory_in_a_volume() -> None:
    [entry] = re.findall(r'^ENTRYPOINT \["(.*)"\]$', DOCKERFILE, re.MULTILINE)
    assert f'\n{entry} = "' in (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    [user] = re.findall(r"^USER (.*)$", DOCKERFILE, re.MULTILINE)
    assert user not in {"root", "0"}
    [volume] = re.findall(r"^VOLUME (.*)$", DOCKERFILE, re.MULTILINE)
    given = dict(re.findall(r"(MEMORY_\w+)=(\S+)", DOCKERFILE))
    assert given
    assert given.keys() <= SETTINGS.keys()
    assert all(path.startswith(f"{volume}/") for path in given.values())
