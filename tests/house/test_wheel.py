"""The wheel holds what a user needs and nothing that stands in another program's way."""

from __future__ import annotations

import configparser
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from enhanced_memory import __version__

ROOT = Path(__file__).resolve().parents[2]

pytestmark = [pytest.mark.process, pytest.mark.slow]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.Path:
    """The wheel of this tree, built from a copy: a build leaves a folder behind whose old files the next would take."""
    folder = tmp_path_factory.mktemp("wheel")
    copy = folder / "copy"
    unwanted = shutil.ignore_patterns(".*", "*.egg-info", "__pycache__", "build", "dist", "tests")
    shutil.copytree(ROOT, copy, symlinks=True, ignore=unwanted)
    command = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "--no-index"]
    built = subprocess.run([*command, "--wheel-dir", str(folder), str(copy)], capture_output=True, text=True)
    assert built.returncode == 0, built.stdout + built.stderr
    [path] = folder.glob("*.whl")
    return zipfile.Path(path)


def test_the_wheel_carries_both_modules_to_import_and_the_package_and_no_other_top_level_name(
    wheel: zipfile.Path,
) -> None:
    metadata = f"enhanced_memory-{__version__}.dist-info"
    assert {entry.name for entry in wheel.iterdir()} == {
        "enhanced_memory",
        "memory_client.py",
        "memory_db_service.py",
        metadata,
    }


def test_the_wheel_carries_every_module_of_the_package(wheel: zipfile.Path) -> None:
    inside = {name for name in wheel.root.namelist() if name.startswith("enhanced_memory/") and name.endswith(".py")}
    assert inside == {str(path.relative_to(ROOT)) for path in (ROOT / "enhanced_memory").rglob("*.py")}


def test_the_wheel_carries_the_tables_and_the_dictionary_as_they_are_in_the_tree(wheel: zipfile.Path) -> None:
    store = wheel / "enhanced_memory" / "store" / "sqlite"
    assert (store / "schema.sql").read_bytes() == (ROOT / "schema.sql").read_bytes()
    data = ROOT / "enhanced_memory" / "store" / "sqlite" / "data"
    shipped = {path.name: path.read_bytes() for path in data.iterdir()}
    assert shipped
    assert {entry.name: entry.read_bytes() for entry in (store / "data").iterdir()} == shipped


def test_the_wheel_tells_type_checkers_that_it_is_typed(wheel: zipfile.Path) -> None:
    assert (wheel / "enhanced_memory" / "py.typed").exists()


def test_the_wheel_brings_the_three_commands_and_the_licence(wheel: zipfile.Path) -> None:
    metadata = wheel / f"enhanced_memory-{__version__}.dist-info"
    commands = configparser.ConfigParser()
    commands.read_string((metadata / "entry_points.txt").read_text(encoding="utf-8"))
    assert set(commands["console_scripts"]) == {"enhanced-memory", "memory-db-service", "memory-mcp"}
    assert (metadata / "licenses" / "LICENSE").read_bytes() == (ROOT / "LICENSE").read_bytes()
