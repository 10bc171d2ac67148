"""The commands that become another program."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from enhanced_memory import __version__
from tests.cli.conftest import start
from tests.conftest import PATIENCE_S

pytestmark = pytest.mark.process


def test_serve_is_the_daemon_with_the_same_flags(short_folder: Path) -> None:
    db, socket_path = short_folder / "m.db", short_folder / "s"
    with start(
        "--db", str(db), "serve", "--socket", str(socket_path), "--max-queue", "7", stdout=subprocess.PIPE
    ) as daemon:
        assert daemon.stdout is not None
        assert daemon.stdout.readline()
        with start("call", "ping", "--no-autostart", "--socket", str(socket_path), stdout=subprocess.PIPE) as call:
            reply = json.loads(call.communicate(timeout=PATIENCE_S)[0])
        assert reply["pid"] == daemon.pid
        assert db.exists()
        daemon.send_signal(signal.SIGTERM)
        assert daemon.wait(PATIENCE_S) == 0


def test_stop_ends_the_daemon_and_waits_until_it_has(short_folder: Path) -> None:
    db, socket_path = short_folder / "m.db", short_folder / "s"
    with start("--db", str(db), "serve", "--socket", str(socket_path), stdout=subprocess.PIPE) as daemon:
        assert daemon.stdout is not None
        assert daemon.stdout.readline()
        for said in (f"The daemon (pid {daemon.pid}) has ended.\n", "No daemon runs.\n"):
            with start("--db", str(db), "stop", "--socket", str(socket_path), stdout=subprocess.PIPE) as stop:
                assert stop.communicate(timeout=PATIENCE_S)[0].decode() == said
            assert not Path(f"{db}.lock").exists()
        assert daemon.wait(PATIENCE_S) == 0


def test_mcp_is_the_server_for_assistants(short_folder: Path) -> None:
    hello = {
        "jsonrpc": "2.0",
        "id": 1,
        "method": "initialize",
        "params": {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "test", "version": "1"}},
    }
    with start("mcp", "--no-autostart", stdin=subprocess.PIPE, stdout=subprocess.PIPE) as server:
        out, _ = server.communicate(json.dumps(hello).encode() + b"\n", timeout=PATIENCE_S)
    assert json.loads(out.splitlines()[0])["result"]["serverInfo"]["version"] == __version__


def test_mcp_is_not_led_astray_by_what_lies_in_the_current_folder(short_folder: Path) -> None:
    (short_folder / "fastmcp.py").write_text("raise SystemExit('imported from the current folder')")
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    program = "from enhanced_memory.cli.main import main; main(['mcp', '--version'])"
    ended = subprocess.run(
        [sys.executable, "-P", "-c", program], cwd=short_folder, env=environment, capture_output=True, text=True
    )
    assert ended.stdout == f"memory-mcp {__version__}\n"
