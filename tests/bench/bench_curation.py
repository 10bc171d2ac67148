"""What a curation costs: a hundred thousand memories of mixed ages, and a client that writes all the while.

    python tests/bench/bench_curation.py [--json] [--quick]

Prints the seconds of a dry run, of a run, of a second run that finds nothing left, and of undoing the first; the
longest that one of its writes held the writer, and worked for it, which differ on a busy machine; and what a client
beside it waits for small writes. Works in a temporary folder, on the service without its socket.
"""

from __future__ import annotations

import argparse
import random
import sys
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))

from enhanced_memory.service.dispatcher import MemoryDBService
from enhanced_memory.settings import Settings
from enhanced_memory.store.sqlite.writer import Writer
from tests.bench import rig

_AGES_DAYS = (400, 200, 90, 45, 31, 12, 3)
"""How old the memories are, a part of each; of the oldest three parts some are episodes already."""

_SAY_A_HABIT = 6
"""How many episodes say the same, on the average."""


class Bench:
    """A service on a database of its own, whose clock can be set."""

    def __init__(self, folder: Path) -> None:
        self.now = datetime(2026, 1, 1, tzinfo=UTC)
        self.held_ms: list[float] = []
        self.worked_ms: list[float] = []
        self.service = MemoryDBService(
            Settings(db_path=str(folder / "memory.db"), semantic="off"), clock=lambda: self.now
        )

    def ask(self, method: str, **params: Any) -> dict[str, Any]:
        reply: dict[str, Any] = self.service.handle_request({"method": method, "params": params})
        assert reply["success"], reply
        return reply

    def fill(self, count: int) -> None:
        """Memories of all ages; a third of the old ones are episodes, of which half share a habit with others."""
        chance = random.Random(3)
        today = self.now + timedelta(days=max(_AGES_DAYS))
        habits = count // (14 * _SAY_A_HABIT)
        for part, age in enumerate(_AGES_DAYS):
            self.now = today - timedelta(days=age)
            numbers = range(part * count // len(_AGES_DAYS), (part + 1) * count // len(_AGES_DAYS))
            for start in range(numbers.start, numbers.stop, 1_000):
                some = range(start, min(start + 1_000, numbers.stop))
                entities = [_aged(number, chance, habits if part < 3 else 0) for number in some]
                self.ask("create_entities", entities=entities)
        self.now = today

    def watch(self) -> Callable[[], None]:
        """Note how long each group of writes holds the writer; gives what ends it."""
        attempt = Writer._attempt
        held_ms, worked_ms = self.held_ms, self.worked_ms

        def timed(writer: Writer, group: Any, *, careful: bool) -> None:
            started, worked = time.perf_counter(), time.thread_time()
            attempt(writer, group, careful=careful)
            held_ms.append((time.perf_counter() - started) * 1000)
            worked_ms.append((time.thread_time() - worked) * 1000)

        Writer._attempt = timed  # type: ignore[method-assign,assignment]

        def end() -> None:
            Writer._attempt = attempt  # type: ignore[method-assign]

        return end


def _aged(number: int, chance: random.Random, habits: int) -> dict[str, Any]:
    entity = rig.memory(number)
    if habits and number % 3 == 0:
        entity["tier"] = "episodic"
        if number % 2 == 0:
            habit = chance.randrange(habits)
            entity["entityType"] = ("event", "decision")[habit % 2]
            entity["observations"].append(f"habit {habit} was kept again")
    return entity


def timed(work: Callable[[], Any]) -> tuple[float, Any]:
    """Seconds that `work` takes, and what it gives."""
    started = time.perf_counter()
    result = work()
    return time.perf_counter() - started, result


def beside(bench: Bench, ended: threading.Event, waits_ms: list[float]) -> None:
    """A client that writes something small every few milliseconds."""
    number = 0
    while not ended.wait(0.005):
        number += 1
        entity = {"name": f"beside {number}", "entityType": "note", "observations": [f"note {number}"]}
        waits_ms.append(timed(lambda entity=entity: bench.ask("create_entities", entities=[entity]))[0] * 1000)  # type: ignore[misc]


def measure(count: int) -> dict[str, Any]:
    """All figures for `count` memories."""
    with rig.scratch_folder() as folder:
        bench = Bench(folder)
        filled_s, _ = timed(lambda: bench.fill(count))
        stop_watching = bench.watch()
        dry_s, dry = timed(lambda: bench.ask("autonomous_curation", dry_run=True))
        bench.held_ms.clear()
        bench.worked_ms.clear()
        spent = time.process_time()
        run_s, run = timed(lambda: bench.ask("autonomous_curation"))
        spent_s = time.process_time() - spent
        alone_ms, alone_worked_ms = list(bench.held_ms), list(bench.worked_ms)
        assert {**run, "run_id": None, "dry_run": True, "success": True} == dry
        undo_s, undone = timed(lambda: bench.ask("undo_curation", run_id=run["run_id"]))
        assert undone["skipped"] == []
        waits_ms: list[float] = []
        ended = threading.Event()
        client = threading.Thread(target=beside, args=(bench, ended, waits_ms))
        client.start()
        again_s, _ = timed(lambda: bench.ask("autonomous_curation"))
        ended.set()
        client.join()
        idle_s, idle = timed(lambda: bench.ask("autonomous_curation"))
        assert idle["moves"] == []
        stop_watching()
        bench.service.close()
    return {
        "machine": rig.machine(),
        "memories": count,
        "moved": {key: run[f"promoted_to_{key}"] for key in ("episodic", "semantic", "procedural")},
        "filled_s": round(filled_s, 1),
        "dry_run_s": round(dry_s, 2),
        "run_s": rig.target(run_s, 10.0),
        "run_processor_s": round(spent_s, 2),
        "run_beside_a_writer_s": round(again_s, 2),
        "nothing_left_s": round(idle_s, 2),
        "undo_s": round(undo_s, 2),
        "slices": len(alone_ms),
        "slice_ms": rig.told(alone_ms),
        "longest_slice_ms": rig.target(max(alone_ms), 50.0),
        "longest_slice_processor_ms": round(max(alone_worked_ms), 1),
        "write_beside_ms": {
            "p50": round(rig.percentile(waits_ms, 50), 1),
            "p99": round(rig.percentile(waits_ms, 99), 1),
        },
    }


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--json", action="store_true", help="one JSON line")
    parser.add_argument("--quick", action="store_true", help="10,000 memories instead of 100,000")
    arguments = parser.parse_args()
    rig.report(measure(10_000 if arguments.quick else 100_000), as_json=arguments.json)


if __name__ == "__main__":
    main()
