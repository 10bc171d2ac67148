"""How soon an assistant is answered, and what it costs in memory and in words.

    python tests/bench/bench_mcp.py [--json] [--quick]

Start-up is the time from the start of the process to its answers to `initialize` and to the first `tools/list`:
through the resident when it is up (warm), when it has to be started first (cold), standalone, and a bare FastMCP
server with one tool that does nothing, the least that anything made with FastMCP takes. They take turns. Memory is
what the processes hold together, pages they share counted once (PSS). A call is compared with the bare server's tool
and with the same operation asked over the daemon's socket. Sizes are those of the JSON an assistant is sent.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.bench import rig

BARE = """
from fastmcp import FastMCP
app = FastMCP("bare")
@app.tool
def nothing(query: str) -> dict[str, bool]:
    return {"success": True}
app.run("stdio", show_banner=False)
"""

GREETING = {
    "protocolVersion": "2025-11-25",
    "capabilities": {},
    "clientInfo": {"name": "bench", "version": "1"},
}


class Assistant:
    """A server as a process, spoken to as an assistant would."""

    def __init__(self, folder: Path, command: list[str]) -> None:
        self._begun = time.perf_counter()
        with (folder / "stderr.log").open("ab") as log:
            self.process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                env={"PATH": os.environ["PATH"], "HOME": str(folder), "FASTMCP_LOG_ENABLED": "false"},
            )
        self._number = 0
        self.greeting = self.ask("initialize", GREETING)
        self.greeted_ms = (time.perf_counter() - self._begun) * 1000
        self._send({"method": "notifications/initialized"})
        self.tools = self.ask("tools/list", {})
        self.listed_ms = (time.perf_counter() - self._begun) * 1000

    def _send(self, message: dict[str, Any]) -> None:
        assert self.process.stdin
        self.process.stdin.write(json.dumps({"jsonrpc": "2.0", **message}).encode() + b"\n")
        self.process.stdin.flush()

    def ask(self, method: str, params: dict[str, Any]) -> dict[str, Any]:
        """The result of a request."""
        self._number += 1
        self._send({"id": self._number, "method": method, "params": params})
        assert self.process.stdout
        answer = json.loads(self.process.stdout.readline())
        result: dict[str, Any] = answer["result"]
        return result

    def calls_ms(self, tool: str, arguments: dict[str, Any], count: int) -> list[float]:
        """Times of so many calls, one after the other."""
        times = []
        for _ in range(count):
            begun = time.perf_counter()
            self.ask("tools/call", {"name": tool, "arguments": arguments})
            times.append((time.perf_counter() - begun) * 1000)
        return times

    def close(self) -> None:
        """End it as an assistant does."""
        with self.process:
            assert self.process.stdin
            self.process.stdin.close()


class Place:
    """A folder with a daemon, and the servers that work there."""

    def __init__(self, folder: Path, daemon: rig.Daemon) -> None:
        self.folder = folder
        self.daemon = daemon
        self._ours = [
            *(sys.executable, str(rig.ROOT / "server.py")),
            *("--db", str(daemon.db), "--socket", str(daemon.socket_path)),
        ]

    def ours(self, *flags: str) -> Assistant:
        """Our server, started as an assistant starts it."""
        return Assistant(self.folder, [*self._ours, *flags])

    def bare(self) -> Assistant:
        """The least that FastMCP can be."""
        return Assistant(self.folder, [sys.executable, "-c", BARE])

    def residents(self) -> list[psutil.Process]:
        """The residents of this place."""
        return [
            process
            for process in psutil.process_iter(["cmdline"])
            if (words := process.info["cmdline"] or []) and words[-1].startswith(f"{self.folder}/memory.sock.mcp-")
        ]

    def end_residents(self) -> None:
        """End them, so that the next assistant finds none."""
        for process in self.residents():
            process.terminate()
            process.wait(10)


@contextmanager
def place() -> Iterator[Place]:
    """A place whose daemon holds a thousand memories; everything in it is ended afterwards."""
    with tempfile.TemporaryDirectory(prefix="em-", dir="/tmp") as name:
        folder = Path(name)
        rig.fill(folder / "memory.db", 1_000)
        with rig.running_daemon(folder, folder / "memory.db") as daemon:
            here = Place(folder, daemon)
            try:
                yield here
            finally:
                here.end_residents()


def start_up(here: Place, rounds: int, warm_rounds: int) -> dict[str, Any]:
    """Medians of the four ways to start, in turns."""

    def cold() -> Assistant:
        here.end_residents()
        return here.ours()

    ways: dict[str, Callable[[], Assistant]] = {
        "bare_fastmcp": here.bare,
        "standalone": lambda: here.ours("--standalone"),
        "cold": cold,
        "warm": here.ours,
    }
    greeted: dict[str, list[float]] = {way: [] for way in ways}
    listed: dict[str, list[float]] = {way: [] for way in ways}
    for _ in range(rounds):
        for way, start in ways.items():
            for _ in range(warm_rounds if way == "warm" else 1):
                assistant = start()
                greeted[way].append(assistant.greeted_ms)
                listed[way].append(assistant.listed_ms)
                assistant.close()
    return {
        way: {
            "initialize_ms": round(statistics.median(greeted[way]), 1),
            "tools_list_ms": round(statistics.median(listed[way]), 1),
        }
        for way in ways
    }


def memory_mb(here: Place, count: int) -> float:
    """What `count` assistants and their resident hold together, each having made a call."""
    here.end_residents()
    assistants = [here.ours() for _ in range(count)]
    for assistant in assistants:
        assistant.ask("tools/call", {"name": "search_nodes", "arguments": {"query": "meeting"}})
    processes = [*here.residents(), *(psutil.Process(assistant.process.pid) for assistant in assistants)]
    held = sum(process.memory_full_info().pss for process in processes)
    for assistant in assistants:
        assistant.close()
    return float(held) / 2**20


def calls(here: Place, count: int) -> dict[str, Any]:
    """What a call costs beside a call of nothing and the operation itself, in turns; medians."""
    query = {"query": "meeting", "limit": 5, "detail": "matched"}
    line = json.dumps({"method": "search_nodes", "params": query}).encode() + b"\n"
    ours, bare = here.ours(), here.bare()
    tool, nothing, operation = [], [], []
    for _ in range(10):
        tool += ours.calls_ms("search_nodes", query, count // 10)
        nothing += bare.calls_ms("nothing", {"query": "meeting"}, count // 10)
        operation += rig.drive(here.daemon.socket_path, [[line] * (count // 10)]).times_ms
    ours.close()
    bare.close()
    medians = [statistics.median(times) for times in (tool, nothing, operation)]
    return dict(zip(("tool_ms", "nothing_ms", "operation_ms"), (round(ms, 2) for ms in medians), strict=True))


def sizes(here: Place) -> dict[str, Any]:
    """Bytes of what an assistant is sent at the start, by profile."""
    told = {}
    for profile in ("core", "full"):
        assistant = here.ours("--tools", profile)
        compact = json.dumps(assistant.tools, ensure_ascii=False, separators=(",", ":")).encode()
        told[profile] = {"tools": len(assistant.tools["tools"]), "tools_list_bytes": len(compact)}
        told[profile]["instructions_bytes"] = len(assistant.greeting["instructions"].encode())
        assistant.close()
    return told


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="one line of JSON")
    parser.add_argument("--quick", action="store_true", help="few rounds")
    options = parser.parse_args()
    with place() as here:
        started = start_up(here, 2 if options.quick else 9, 5)
        one, ten = memory_mb(here, 1), memory_mb(here, 10)
        called = calls(here, 100 if options.quick else 1_000)
        sized = sizes(here)
    bare_ms = started["bare_fastmcp"]["initialize_ms"]
    figures = {
        "machine": rig.machine(),
        "start_up": started,
        "memory_mb": {"one_assistant": round(one, 1), "ten_assistants": round(ten, 1)},
        "call": called,
        "sizes": sized,
        "targets": {
            "warm_initialize_ms": rig.target(started["warm"]["initialize_ms"], 100),
            "cold_initialize_ms": rig.target(started["cold"]["initialize_ms"], bare_ms + 300),
            "ten_assistants_mb": rig.target(ten, 250),
            "call_ms": rig.target(called["tool_ms"], 1.3 * called["nothing_ms"] + called["operation_ms"]),
            "core_tools_list_bytes": rig.target(sized["core"]["tools_list_bytes"], 16 * 1024),
            "instructions_bytes": rig.target(sized["core"]["instructions_bytes"], 2 * 1024),
        },
    }
    rig.report(figures, as_json=options.json)


if __name__ == "__main__":
    main()
