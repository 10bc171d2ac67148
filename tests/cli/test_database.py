"""A database that was named is the one that is asked."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT, StartDaemon

pytestmark = pytest.mark.process


def test_a_database_the_daemon_does_not_keep_is_refused(start_daemon: StartDaemon, short_folder: Path) -> None:
    daemon = start_daemon()
    command = [sys.executable, "-c", "from enhanced_memory.cli.main import main; main()"]

    def status(db: Path) -> subprocess.CompletedProcess[str]:
        arguments = ["--socket", str(daemon.socket_path), "--db", str(db), "status"]
        return subprocess.run([*command, *arguments], cwd=ROOT, capture_output=True, text=True, check=False)

    assert status(daemon.db).returncode == 0
    other = status(short_folder / "other.db")
    assert other.returncode == 3
    assert f"keeps {daemon.db}" in other.stderr
