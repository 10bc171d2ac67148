"""What history costs: ten thousand observations added one by one to one entity, and an old version read back.

    python tests/bench/bench_history.py [--json] [--quick]

Prints medians of the first and the last additions beyond a bare synced commit, bytes on disk against the text, and the
time to read back the version in the middle. Works in a temporary folder, on the service without its socket.
"""

from __future__ import annotations

import argparse
import json
import random
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from enhanced_memory.service.dispatcher import MemoryDBService
from enhanced_memory.settings import Settings

_SYLLABLES = [a + b for a in "bdfgklmnprstvz" for b in ("a", "e", "i", "o", "u", "an", "er", "is")]


def facts(count: int) -> list[str]:
    """Facts of about sixty characters, all different, from made-up words."""
    dice = random.Random(11)
    words = ["".join(dice.choices(_SYLLABLES, k=dice.randint(1, 4))) for _ in range(4_000)]
    return [f"{' '.join(dice.choices(words, k=9))} {number}" for number in range(count)]


def timed(work: Callable[[], Any]) -> float:
    """Milliseconds that `work` takes."""
    started = time.perf_counter()
    work()
    return (time.perf_counter() - started) * 1000


def commit_ms(folder: Path) -> float:
    """Median of a bare synced commit of one small row."""
    with sqlite3.connect(folder / "bare.db", isolation_level=None) as db:
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = FULL")
        db.execute("CREATE TABLE t (x)")
        return statistics.median(timed(lambda: db.execute("INSERT INTO t VALUES ('x')")) for _ in range(200))


def measure(count: int) -> dict[str, Any]:
    """All figures for `count` additions."""
    texts = facts(count)
    with tempfile.TemporaryDirectory(prefix="em-bench-") as name:
        folder = Path(name)
        bare = commit_ms(folder)
        service = MemoryDBService(Settings.load({"db_path": str(folder / "memory.db")}, {}))

        def ask(method: str, **params: Any) -> dict[str, Any]:
            reply = service.handle_request({"method": method, "params": params})
            assert reply["success"], reply
            return reply

        ask("create_entities", entities=[{"name": "log", "entityType": "log", "observations": texts[:1]}])
        took = [
            timed(lambda text=text: ask("add_observations", observations=[{"entityName": "log", "contents": [text]}]))  # type: ignore[misc]
            for text in texts[1:]
        ]
        middle = count // 2
        found: list[Any] = []
        read = timed(lambda: found.extend(ask("open_nodes", names=["log"], version=middle)["entities"]))
        assert found[0]["observations"] == texts[:middle]
        service.close()
        size = (folder / "memory.db").stat().st_size
    text_bytes = sum(len(text.encode()) for text in texts)
    head, tail = max(1, count // 10), max(1, count // 100)
    return {
        "additions": count,
        "bare_commit_ms": round(bare, 2),
        "first_tenth_ms_beyond_commit": round(statistics.median(took[:head]) - bare, 2),
        "last_hundredth_ms_beyond_commit": round(statistics.median(took[-tail:]) - bare, 2),
        "file_bytes": size,
        "allowed_bytes": 3 * text_bytes + 300 * count,
        "bytes_a_version_beyond_text": round((size - text_bytes) / count, 1),
        "middle_version_ms": round(read, 1),
    }


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--json", action="store_true", help="one JSON line")
    parser.add_argument("--quick", action="store_true", help="1,000 additions instead of 10,000")
    arguments = parser.parse_args()
    figures = measure(1_000 if arguments.quick else 10_000)
    if arguments.json:
        print(json.dumps(figures))
    else:
        for key, value in figures.items():
            print(f"{key:34} {value:>12,}")


if __name__ == "__main__":
    main()
