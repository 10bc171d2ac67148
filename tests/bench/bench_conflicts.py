"""How long it takes to find conflicts, and how many of the planted ones are found.

    python tests/bench/bench_conflicts.py [--json] [--quick]

On stores of 100,000 memories of one type (--quick: 5,000): one whose text is made of many words, and one of only 300
words in no order, where every word is common. Pairs are planted in both, spread over the whole store: the same
observations, the same in other letters, and half of them the same. Measured are `detect_conflicts` for what is planted
and for what is new; then `detect_memory_conflicts` over everything, and how long a search of another client takes
meanwhile.
"""

from __future__ import annotations

import argparse
import multiprocessing
import random
import sys
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))

from enhanced_memory.client import BlockingMemoryClient
from enhanced_memory.settings import Settings
from memory_db_service import MemoryDBService
from tests.bench import rig

SIZES = {"whole": 100_000, "quick": 5_000}
PLANTED = 500
ASKED = 150
"""Entities that conflicts are looked up for, of each sort."""

FEW_WORDS = rig.PLAIN + rig.RARE[:240]
_FORK = multiprocessing.get_context("fork")


def many_words(number: int) -> list[str]:
    """Observations of a made-up memory."""
    observations: list[str] = rig.memory(number)["observations"]
    return observations


def few_words(number: int) -> list[str]:
    """The same of 300 words: three observations without order, of which some are short."""
    chance = random.Random(number)
    found = [" ".join(chance.choices(FEW_WORDS, k=chance.randint(6, 10))) for _ in range(3)]
    if number % 3 == 0:
        found[0] = f"{chance.choice(FEW_WORDS)} is set to {chance.choice(FEW_WORDS)}"
    return found


TEXTS = {"many words": many_words, "few words": few_words}


def planted(observations: list[str], number: int) -> list[str]:
    """Another entity's observations that are in conflict with these, of one of three sorts."""
    if number % 3 == 0:
        return observations
    if number % 3 == 1:
        return [f"{text.upper()}." for text in reversed(observations)]
    half = (len(observations) + 1) // 2
    return observations[:half] + [f"and {number} more of {place}" for place in range(len(observations) - half)]


def fill(db: Path, text: Any, size: int) -> dict[str, str]:
    """Make the store; returns the pairs planted in it, by the name of the later one."""
    chance = random.Random(1)
    pairs = {}
    later: list[dict[str, Any]] = []
    for number, place in enumerate(chance.sample(range(size), PLANTED)):
        pairs[f"again {number}"] = f"entity {place}"
        again = planted(text(place), number)
        later.append({"name": f"again {number}", "entityType": "note", "observations": again})
    everything = [
        {"name": f"entity {number}", "entityType": "note", "observations": text(number)} for number in range(size)
    ]
    for entity in later:
        everything.insert(chance.randrange(len(everything)), entity)
    service = MemoryDBService(Settings(db_path=str(db)))
    for start in range(0, len(everything), 1_000):
        params = {"entities": everything[start : start + 1_000], "check_conflicts": False}
        assert service.handle_request({"method": "create_entities", "params": params})["success"]
    service.close()
    return pairs


def asked(client: BlockingMemoryClient, text: Any, size: int) -> dict[str, Any]:
    """Times of detect_conflicts, and the share of duplicates found."""
    chance = random.Random(2)
    found, times, new = 0, [], []
    for number in range(ASKED):
        place = chance.randrange(size)
        begun = time.perf_counter()
        reply = detect(client, planted(text(place), number % 2))
        times.append((time.perf_counter() - begun) * 1000)
        found += any(conflict["existing_entity"] == f"entity {place}" for conflict in reply["conflicts"])
        begun = time.perf_counter()
        detect(client, text(10_000_000 + number))
        new.append((time.perf_counter() - begun) * 1000)
    return {
        "detect_conflicts, a duplicate": rig.told(times),
        "detect_conflicts, nothing like it": rig.told(new),
        "share of duplicates found": found / ASKED,
    }


def detect(client: BlockingMemoryClient, observations: list[str]) -> dict[str, Any]:
    """What detect_conflicts says of an entity that is not stored."""
    reply = client.detect_conflicts(entity_data={"name": "new", "entityType": "note", "observations": observations})
    assert reply["success"], reply
    return reply


def searching(path: str, begin: Any, end: Any, results: Any) -> None:
    """Another client: times of searches, alone and then until `end` is set."""
    client = BlockingMemoryClient(path)
    alone: list[float] = []
    beside: list[float] = []
    for number in range(10**9):
        if number == 200:
            begin.set()
        begun = time.perf_counter()
        assert client.search_nodes(f"{rig.PLAIN[number % 50]} {rig.RARE[number % 900]}")["success"]
        (alone if number < 200 else beside).append((time.perf_counter() - begun) * 1000)
        if end.is_set():
            break
        time.sleep(0.01)
    results.put((alone, beside))


def whole(client: BlockingMemoryClient, path: str, pairs: dict[str, str]) -> dict[str, Any]:
    """detect_memory_conflicts over everything, with another client that searches."""
    begin, end, results = _FORK.Event(), _FORK.Event(), _FORK.SimpleQueue()
    other = _FORK.Process(target=searching, args=(path, begin, end, results))
    other.start()
    begin.wait()
    begun = time.perf_counter()
    page = client.detect_memory_conflicts(limit=1_000)
    elapsed = time.perf_counter() - begun
    end.set()
    alone, beside = results.get()
    other.join()
    first = page
    told: set[tuple[str, str]] = set()
    begun = time.perf_counter()
    pages = 1
    while True:
        assert page["success"], page
        told |= {(each["entity"], each["existing_entity"]) for each in page["conflicts"]}
        if page["next_cursor"] is None:
            break
        page = client.detect_memory_conflicts(limit=1_000, cursor=page["next_cursor"])
        pages += 1
    met = sum((one, other) in told or (other, one) in told for one, other in pairs.items())
    return {
        "seconds": round(elapsed, 1),
        "total_conflicts": first["total_conflicts"],
        "by_type": str(first["by_type"]),
        "share of planted pairs found": met / len(pairs),
        "ms a further page": round((time.perf_counter() - begun) * 1000 / pages, 1),
        "searches before": rig.told(alone),
        "searches meanwhile": rig.told(beside),
    }


def measure(folder: Path, text: Any, size: int) -> dict[str, Any]:
    """The figures of one store."""
    db = folder / f"{text.__name__}.db"
    pairs = fill(db, text, size)
    with rig.running_daemon(folder, db) as daemon:
        client = BlockingMemoryClient(str(daemon.socket_path))
        figures = asked(client, text, size)
        figures["detect_memory_conflicts"] = whole(client, str(daemon.socket_path), pairs)
        figures["daemon_rss_mb"] = round(daemon.rss_mb(), 1)
        figures["targets"] = {
            "p50 of detect_conflicts, ms": rig.target(figures["detect_conflicts, a duplicate"]["p50_ms"], 30),
            "seconds for everything": rig.target(figures["detect_memory_conflicts"]["seconds"], 60),
            "share of planted pairs found": rig.target(
                figures["detect_memory_conflicts"]["share of planted pairs found"], 0.95, at_least=True
            ),
        }
    return figures


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print one line of JSON")
    parser.add_argument("--quick", action="store_true", help="stores of 5,000 memories")
    options = parser.parse_args()
    size = SIZES["quick" if options.quick else "whole"]
    figures: dict[str, Any] = {"machine": rig.machine()}
    with rig.scratch_folder() as folder:
        for name, text in TEXTS.items():
            figures[f"{size:,} memories of {name}"] = measure(folder, text, size)
    rig.report(figures, as_json=options.json)


if __name__ == "__main__":
    main()
