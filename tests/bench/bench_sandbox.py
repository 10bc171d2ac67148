"""How long running code takes, how fair runs at once are to each other, and what a thousand of them leave behind.

    python tests/bench/bench_sandbox.py [--runs 1000] [--json]

Times are those of `Supervisor.run`, in this process: from the call to the outcome, the end of the worker included. The
way through the socket and the dispatcher comes on top of that for a client.
"""

import argparse
import json
import statistics
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))

import psutil

from enhanced_memory.sandbox.supervisor import Supervisor

WARM_P50_TARGET_MS = 20
AT_ONCE = 8
ROUNDS = 25
LITTLE = "result = 1"
GUIDE = """
results = search_nodes("test", limit=100)
filtered = [r for r in results if len(r['observations']) > 2]
result = {"count": len(filtered)}
"""
FOUND = [{"name": f"test {number}", "observations": ["one", "two", "three"][: number % 4]} for number in range(100)]


def run(supervisor: Supervisor, code: str) -> float:
    """Milliseconds that one run takes."""
    begun = time.perf_counter()
    supervisor.run(code, functions={"search_nodes": ["query", "limit"]}, call=lambda *_: FOUND)
    return 1000 * (time.perf_counter() - begun)


def shares(times: list[float]) -> dict[str, float]:
    """Median, 99th percentile and maximum, in milliseconds."""
    ranked = sorted(times)
    return {
        "p50_ms": round(statistics.median(ranked), 2),
        "p99_ms": round(ranked[int(0.99 * (len(ranked) - 1))], 2),
        "max_ms": round(ranked[-1], 2),
    }


def at_once(supervisor: Supervisor) -> dict[str, Any]:
    """ROUNDS runs in each of AT_ONCE threads, and the medians of the luckiest and the unluckiest thread."""
    times: list[list[float]] = [[] for _ in range(AT_ONCE)]
    start = threading.Barrier(AT_ONCE)

    def work(mine: list[float]) -> None:
        for _ in range(ROUNDS):
            start.wait()
            mine.append(run(supervisor, LITTLE))

    threads = [threading.Thread(target=work, args=(mine,)) for mine in times]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    medians = sorted(statistics.median(mine) for mine in times)
    return {
        **shares([took for mine in times for took in mine]),
        "luckiest_p50_ms": round(medians[0], 2),
        "unluckiest_p50_ms": round(medians[-1], 2),
    }


def left_behind(work: Callable[[], object]) -> dict[str, int]:
    """What there is more of after `work`: processes, descriptors of ours and of the zygote, memory of the zygote."""

    def count() -> dict[str, int]:
        ours = psutil.Process()
        [zygote] = ours.children()
        return {
            "processes": len(ours.children(recursive=True)),
            "descriptors": ours.num_fds(),
            "zygote_descriptors": zygote.num_fds(),
            "zygote_kib": zygote.memory_info().rss // 1024,
        }

    before = count()
    work()
    after = count()
    return {what: after[what] - before[what] for what in before}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=1000, help="runs in a row")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    arguments = parser.parse_args()

    supervisor = Supervisor()
    begun = time.perf_counter()
    report = supervisor.confinement_report()
    start_ms = round(1000 * (time.perf_counter() - begun), 1)
    run(supervisor, LITTLE)
    times: list[float] = []
    left = left_behind(lambda: times.extend(run(supervisor, LITTLE) for _ in range(arguments.runs)))
    figures = {
        "isolation": report["isolation"],
        "zygote_start_ms": start_ms,
        "warm": shares(times),
        "guide": shares([run(supervisor, GUIDE) for _ in range(100)]),
        f"{AT_ONCE}_at_once": at_once(supervisor),
        "left_behind": left,
    }
    supervisor.close()
    if arguments.json:
        print(json.dumps(figures))
        return
    print(f"isolation {report['isolation']}, zygote started in {start_ms} ms")
    print(f"result = 1, {arguments.runs} in a row   {figures['warm']}   target: p50 below {WARM_P50_TARGET_MS} ms")
    print(f"the guide's example, 100 in a row   {figures['guide']}")
    print(f"{AT_ONCE} at once, {ROUNDS} rounds   {figures[f'{AT_ONCE}_at_once']}")
    print(f"left behind by the {arguments.runs}   {left}")


if __name__ == "__main__":
    main()
