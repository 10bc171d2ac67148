"""The environment that the scripts make: what is there already stays as it is when the tools of test are added."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

_PYTHON = """#!/usr/bin/env bash
if [ "$1 $2" = "-m pip" ]; then echo "$*" >>"{log}"; exit 0; fi
if [ "$1 $2" = "-m compileall" ]; then exit 0; fi
exec "{python}" "$@"
"""
"""A Python of an environment, whose pip only notes what it is asked for."""


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A folder as a checkout is after scripts/start, with an environment that holds the product."""
    for name in ("pyproject.toml", "constraints.txt"):
        shutil.copy(ROOT / name, tmp_path / name)
    (tmp_path / "scripts").mkdir()
    shutil.copy(ROOT / "scripts/bootstrap", tmp_path / "scripts/bootstrap")
    binaries = tmp_path / ".venv/bin"
    binaries.mkdir(parents=True)
    python = binaries / "python"
    python.write_text(_PYTHON.format(log=tmp_path / "pip.log", python=sys.executable))
    python.chmod(0o755)
    bash(tmp_path, '_fingerprint "$VENV/bin/python" >"$VENV/stamp-run"')
    return tmp_path


def bash(checkout: Path, line: str) -> str:
    """What a line prints that is run where the script is sourced."""
    line = f"set -euo pipefail; source '{checkout}/scripts/bootstrap'; {line}"
    return subprocess.run(["bash", "-c", line], check=True, capture_output=True, text=True).stdout


def test_the_tools_of_test_are_added_without_installing_the_product_anew(checkout: Path) -> None:
    assert "The environment is ready." in bash(checkout, "bootstrap dev")
    (asked,) = (checkout / "pip.log").read_text().splitlines()
    assert asked.endswith(f"-c constraints.txt -r {checkout}/.venv/dev-packages.txt")
    packages = (checkout / ".venv/dev-packages.txt").read_text().splitlines()
    assert [name for name in packages if name.startswith("pytest>")]
    assert bash(checkout, "bootstrap dev") == bash(checkout, "bootstrap run") == ""
    assert len((checkout / "pip.log").read_text().splitlines()) == 1
