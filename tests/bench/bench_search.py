"""How long a search takes, and what a memory weighs on disk and in the daemon.

    python tests/bench/bench_search.py [--json] [--quick] [--sizes 1000,1000000]
    python tests/bench/bench_search.py --space [--json] [--quick] [--sizes 100000]

Measured on stores of 1,000, 10,000 and 100,000 memories of four observations each (--quick: 1,000), by one client
over the socket, as it would be met: queries of every kind are asked in turn, each of them once, after some that do not
count. A bare echo of the same requests shows what the socket and the client cost by themselves. The text is made up,
with words as frequent as in real text: the plainest are in one observation of twenty-five, half of the others in one of
ten thousand. Questions are the hard case, since any of their words may match.

With --space nothing is searched: stores of memories of several lengths are weighed, a memory's bytes by what takes
them. Held against the bytes of the observations alone, and against those of names and types as well.
"""

from __future__ import annotations

import argparse
import random
import sqlite3
import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))

from enhanced_memory import wire
from tests.bench import rig

SIZES = (1_000, 10_000, 100_000)
ROUNDS = 150
"""Queries of each kind."""

QUICK_ROUNDS = 50
WARMING_ROUNDS = 10

SPACE_SIZES = (20_000, 100_000)
LENGTHS = ((3, 64), (4, 55), (4, 64), (4, 110), (10, 64))
"""Observations in each memory, and their characters, for --space."""


def _question(chance: random.Random) -> str:
    person, word = chance.choice(rig.PEOPLE), rig.plain_word(chance)
    return chance.choice(
        [
            f"What would {person} rather have than a {rig.rare_word(chance)} {word}?",
            f"When does {person} fetch the {word} from {rig.rare_word(chance)}?",
            f"Who asked {person} to repair the {word}?",
            f"How much did the second {word} in {rig.rare_word(chance)} cost?",
            f"Why was the {rig.rare_word(chance)} {word} cancelled in {chance.choice(rig.MONTHS)}?",
        ]
    )


def _coded(chance: random.Random, size: int) -> int:
    """The number of a memory that has codes."""
    return chance.randrange(size // rig.CODED_EVERY) * rig.CODED_EVERY


KINDS: dict[str, Callable[[random.Random, int], str]] = {
    "common word": lambda chance, size: rig.plain_word(chance),
    "two words": lambda chance, size: f"{rig.plain_word(chance)} {rig.rare_word(chance)}",
    "rare code": lambda chance, size: rig.invoice_code(_coded(chance, size)),
    "punctuation": lambda chance, size: rig.project_code(_coded(chance, size)),
    "no hit": lambda chance, size: f"xylograph{chance.randrange(10**6)}",
    "question": lambda chance, size: _question(chance),
}
"""Each kind of query, made for a store of that size."""


def request(query: str) -> bytes:
    """The request of a search as most callers send it."""
    return wire.encode({"method": "search_nodes", "params": {"query": query}})


def measure(folder: Path, size: int, rounds: int) -> dict[str, Any]:
    """The figures of a store of `size` memories."""
    db = folder / f"{size}.db"
    begun = time.monotonic()
    text_bytes = rig.fill(db, size)
    figures: dict[str, Any] = {
        "filling": {"seconds": round(time.monotonic() - begun, 1)},
        "disk": {
            "text_mb": round(text_bytes / 1e6, 2),
            "database_mb": round(db.stat().st_size / 1e6, 2),
            "bytes_per_byte_of_text": round(db.stat().st_size / text_bytes, 2),
        },
    }
    chance = random.Random(size)
    asked = [
        (kind, request(make(chance, size))) for _ in range(WARMING_ROUNDS + rounds) for kind, make in KINDS.items()
    ]
    with rig.running_daemon(folder, db) as daemon:
        run = rig.drive(daemon.socket_path, [[line for _, line in asked]])
        figures["daemon"] = {"rss_mb": round(daemon.rss_mb(), 1), "failures": run.failures}
    with rig.running_echo(folder) as echo_path:
        echo = rig.drive(echo_path, [[line for _, line in asked]])
    counted = list(zip((kind for kind, _ in asked), run.times_ms, strict=True))[WARMING_ROUNDS * len(KINDS) :]
    for kind in KINDS:
        figures[kind] = rig.told([time_ms for of_kind, time_ms in counted if of_kind == kind])
    figures["every kind"] = rig.told([time_ms for _, time_ms in counted])
    figures["bare echo"] = rig.told(echo.times_ms)
    slowest = max(figures[kind]["p50_ms"] for kind in KINDS)
    figures["targets"] = {"p50 of the slowest kind, ms": rig.target(slowest, 10)}
    return figures


def weigh(folder: Path, size: int, observations: int, length: int) -> dict[str, Any]:
    """What `size` memories of so many observations of about so many characters take on disk."""
    db = folder / f"{size}-{observations}-{length}.db"
    text = 0

    def made(number: int) -> dict[str, Any]:
        nonlocal text
        entity = rig.memory_of(number, observations, length)
        text += len("".join(entity["observations"]).encode())
        return entity

    with_names = rig.fill(db, size, made)
    with closing(sqlite3.connect(db)) as connection:
        taken = dict(connection.execute("SELECT name, sum(pgsize) FROM dbstat GROUP BY name"))
        (free,) = connection.execute("SELECT freelist_count * page_size FROM pragma_freelist_count, pragma_page_size")
    whole = db.stat().st_size
    db.unlink()
    index = sum(taken.pop(name) for name in list(taken) if name.startswith("search_index"))
    parts = {
        "entities": taken.pop("entities"),
        "search index": index,
        "names": taken.pop("idx_entities_name"),
        "types": taken.pop("idx_entities_type"),
        "versions": taken.pop("versions") + taken.pop("idx_versions_entity"),
        "free": free[0],
        "other": sum(taken.values()),
    }
    return {
        "for a byte": {
            "of observations": round(whole / text, 3),
            "of all text": round(whole / with_names, 3),
            "characters": round(text / size / observations, 1),
        },
        "bytes a memory": {name: round(part / size, 1) for name, part in parts.items()},
        "targets": {"bytes for a byte of observations": rig.target(whole / text, 2.5)},
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print one line of JSON")
    parser.add_argument("--quick", action="store_true", help="only the store of 1,000 memories, and fewer queries")
    parser.add_argument("--sizes", help="memories in each store, parted by commas")
    parser.add_argument("--space", action="store_true", help="weigh stores of several lengths instead")
    options = parser.parse_args()
    sizes = [int(size) for size in options.sizes.split(",")] if options.sizes else SIZES
    figures: dict[str, Any] = {"machine": rig.machine()}
    with rig.scratch_folder() as folder:
        for size in (SPACE_SIZES if options.space and not options.sizes else sizes)[: 1 if options.quick else None]:
            if options.space:
                for observations, length in LENGTHS:
                    title = f"{size:,} memories of {observations} observations of {length} characters"
                    figures[title] = weigh(folder, size, observations, length)
                continue
            rounds = QUICK_ROUNDS if options.quick else ROUNDS
            figures[f"store of {size:,} memories"] = measure(folder, size, rounds)
    rig.report(figures, as_json=options.json)


if __name__ == "__main__":
    main()
