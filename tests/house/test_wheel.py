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


def test_the_wheel_carries_every_file_of_the_package_as_it_is_in_the_tree(wheel: zipfile.Path) -> None:
    names = [name for name in wheel.root.namelist() if name.startswith("enhanced_memory/") and not name.endswith("/")]
    inside = {name: wheel.root.read(name) for name in names}
    in_tree = {
        str(path.relative_to(ROOT)): path.read_bytes()
        for path in (ROOT / "enhanced_memory").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert inside.keys() == in_tree.keys()
    assert inside == in_tree
    assert "enhanced_memory/py.typed" in inside
    assert inside["enhanced_memory/store/sqlite/schema.sql"] == (ROOT / "schema.sql").read_bytes()
    assert any(name.startswith("enhanced_memory/store/sqlite/data/") for name in inside)


def test_the_wheel_brings_the_three_commands_and_the_licence(wheel: zipfile.Path) -> None:
    metadata = wheel / f"enhanced_memory-{__version__}.dist-info"
    commands = configparser.ConfigParser()
    commands.read_string((metadata / "entry_points.txt").read_text(encoding="utf-8"))
    assert set(commands["console_scripts"]) == {"enhanced-memory", "memory-db-service", "memory-mcp"}
    assert (metadata / "licenses" / "LICENSE").read_bytes() == (ROOT / "LICENSE").read_bytes()
