"""How long writers wait while a backup is made, and how long that and a check of everything take.

    python tests/bench/bench_backup.py [--json] [--quick]

On a store of 100,000 memories (--quick: 2,000), eight clients write without a pause: first alone, then while backups
are made one after the other, then while everything is checked. What counts is the longest any of them waited.
"""

from __future__ import annotations

import argparse
import json
import socket
import sys
import threading
import time
from itertools import count
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.bench import rig

CLIENTS = 8
ROUNDS = 3
CREATES = 60
"""Creates of each client in a part without upkeep, and again and again in one with it."""


def asked(path: Path, method: str) -> float:
    """Seconds a request took."""
    begun = time.monotonic()
    with socket.socket(socket.AF_UNIX) as connection, connection.makefile("rwb") as stream:
        connection.connect(str(path))
        stream.write(json.dumps({"method": method}).encode() + b"\n")
        stream.flush()
        reply = json.loads(stream.readline())
        assert reply["success"], reply
    return time.monotonic() - begun


def measure(folder: Path, size: int) -> dict[str, Any]:
    """The figures of a store that holds `size` memories when it begins."""
    db = folder / "memory.db"
    rig.fill(db, size)
    numbers = count(1_000_000)

    def lines() -> list[list[bytes]]:
        return [[rig.create_line(rig.memory(next(numbers))) for _ in range(CREATES)] for _ in range(CLIENTS)]

    figures: dict[str, Any] = {}
    with rig.running_daemon(folder, db) as daemon:
        for name, method in (("alone", None), ("during a backup", "backup"), ("during a check", "verify_database")):
            runs: list[rig.Run] = []
            times: list[float] = []
            for _ in range(ROUNDS):
                prepared = [lines() for _ in range(1 if method is None else 4)]
                upkeep = None
                if method is not None:
                    upkeep = threading.Thread(target=lambda m=method, t=times: t.append(asked(daemon.socket_path, m)))
                    upkeep.start()
                for each in prepared:
                    runs.append(rig.drive(daemon.socket_path, each))
                    if upkeep is not None and not upkeep.is_alive():
                        break
                if upkeep is not None:
                    upkeep.join()
            waits = sorted(time_ms for run in runs for time_ms in run.times_ms)
            figures[f"a write {name}"] = {
                **rig.told(waits),
                "longest_ms": round(waits[-1], 1),
                "writes": len(waits),
                "failures": sum(run.failures for run in runs),
            }
            if times:
                figures[f"{method}, s"] = round(sorted(times)[len(times) // 2], 2)
        newest = max((db.parent / "backups").glob("*.gz"), key=lambda path: path.stat().st_mtime)
        figures["database, MB"] = round(db.stat().st_size / 1e6, 1)
        figures["backup, MB"] = round(newest.stat().st_size / 1e6, 1)
    return figures


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print one line of JSON")
    parser.add_argument("--quick", action="store_true", help="a store of 2,000 memories")
    options = parser.parse_args()
    figures: dict[str, Any] = {"machine": rig.machine()}
    with rig.scratch_folder() as folder:
        size = 2_000 if options.quick else 100_000
        figures[f"store of {size:,} memories"] = measure(folder, size)
    rig.report(figures, as_json=options.json)


if __name__ == "__main__":
    main()
