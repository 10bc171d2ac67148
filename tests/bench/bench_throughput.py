"""How many memories a second are stored safely, and how long one takes.

    python tests/bench/bench_throughput.py [--json] [--quick]

Measured on stores that hold 1,000 and 100,000 memories already (--quick: 1,000): durable creates with 1, 8 and 50
clients, one entity of three observations each. Held against two things of the same run: the raw commit, one FTS5 row
in a transaction of SQLite's own, synced to the same disk; and a bare echo over a Unix socket, asked by the same 50
clients with the same requests. All three take turns in short parts, since a machine and its disk have moods.
"""

from __future__ import annotations

import argparse
import sqlite3
import sys
import time
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.bench import rig

SIZES = (1_000, 100_000)
CLIENTS = {1: 150, 8: 40, 50: 25}
"""Creates of each client in a part, by how many clients there are."""

PARTS = 4
RAW_COMMITS = 60
"""Raw commits in a part."""

ECHOES = 10
"""Times each request goes to the echo, which would be done too soon to be measured otherwise."""


class RawCommits:
    """Commits of one FTS5 row each, in SQLite's own time: write-ahead log, synced before each returns."""

    def __init__(self, path: Path) -> None:
        self._connection = sqlite3.connect(path, isolation_level=None)
        self._connection.execute("PRAGMA journal_mode = WAL")
        self._connection.execute("PRAGMA synchronous = FULL")
        self._connection.execute("CREATE VIRTUAL TABLE rows USING fts5 (text)")
        self.times_ms: list[float] = []

    def run(self) -> None:
        """Make `RAW_COMMITS` more of them."""
        for number in range(len(self.times_ms), len(self.times_ms) + RAW_COMMITS):
            text = " ".join(rig.memory(number)["observations"])
            begun = time.perf_counter()
            self._connection.execute("BEGIN IMMEDIATE")
            self._connection.execute("INSERT INTO rows (text) VALUES (?)", (text,))
            self._connection.execute("COMMIT")
            self.times_ms.append((time.perf_counter() - begun) * 1000)


def new_memories() -> Iterator[bytes]:
    """Requests that each create an entity that is not there yet, of three observations."""
    for number in count(1_000_000):
        entity = rig.memory(number)
        yield rig.create_line({**entity, "observations": entity["observations"][:3]})


def measure(folder: Path, size: int) -> dict[str, Any]:
    """The figures of a store that holds `size` memories when it begins."""
    db = folder / f"{size}.db"
    rig.fill(db, size)
    raw = RawCommits(folder / f"raw-{size}.db")
    lines = new_memories()
    figures: dict[str, Any] = {}
    echoes: list[rig.Run] = []
    with rig.running_daemon(folder, db) as daemon, rig.running_echo(folder) as echo_path:
        for clients, creates in CLIENTS.items():
            commits = daemon.commits()
            runs = []
            for _ in range(PARTS):
                requests = [[next(lines) for _ in range(creates)] for _ in range(clients)]
                raw.run()
                runs.append(rig.drive(daemon.socket_path, requests))
                if clients == max(CLIENTS):
                    echoes.append(rig.drive(echo_path, [each * ECHOES for each in requests]))
            run = rig.in_all(runs)
            figures[f"creates, {clients} client{'s' if clients > 1 else ''}"] = {
                "per_s": round(run.per_second),
                **rig.told(run.times_ms),
                "commits_per_create": round((daemon.commits() - commits) / len(run.times_ms), 3),
                "failures": run.failures,
            }
        figures["daemon_rss_mb"] = round(daemon.rss_mb(), 1)
    echo = rig.in_all(echoes)
    figures["raw commits"] = {"per_s": round(1000 * len(raw.times_ms) / sum(raw.times_ms)), **rig.told(raw.times_ms)}
    figures["bare echo, 50 clients"] = {"per_s": round(echo.per_second), **rig.told(echo.times_ms)}
    alone, together = figures["creates, 1 client"], figures["creates, 50 clients"]
    figures["targets"] = {
        "p50 of a create alone, ms (2 raw commits + 1)": rig.target(
            alone["p50_ms"], 2 * figures["raw commits"]["p50_ms"] + 1
        ),
        "commits a create, 50 clients": rig.target(together["commits_per_create"], 0.1),
        "share of the bare echo, 50 clients": rig.target(together["per_s"] / echo.per_second, 0.1, at_least=True),
    }
    return figures


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print one line of JSON")
    parser.add_argument("--quick", action="store_true", help="only the store of 1,000 memories")
    options = parser.parse_args()
    figures: dict[str, Any] = {"machine": rig.machine()}
    with rig.scratch_folder() as folder:
        for size in SIZES[:1] if options.quick else SIZES:
            figures[f"store of {size:,} memories"] = measure(folder, size)
    rig.report(figures, as_json=options.json)


if __name__ == "__main__":
    main()
