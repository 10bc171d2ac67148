"""What the codec saves and how long it takes.

    python tests/bench/bench_codec.py [--facts FILE] [--json]

Saved is 1 - stored bytes / bytes of the compact JSON {"observations": [...]}, over all entities of a size, all bytes of
the blob counted. The text was seen by no dictionary: the sentences below are put together from other clauses than the
stock phrases of the shipped dictionary, and of the clauses that the held-out sentences use, the text that the retrained
dictionary learns from has only every second one. With --facts, FILE holds one JSON object with "observations" a line;
the first 70 % of the lines are learned from, the rest are measured. Made-up text repeats itself more than people do:
after retraining, real text saves less than what is printed for it.
"""

import argparse
import json
import random
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))

from enhanced_memory.store.sqlite.codec import Codec, checksum
from enhanced_memory.store.sqlite.dictionary import SHIPPED, train

SIZES = (3, 10, 50)
TARGETS = {"shipped": (42, 52, 60), "retrained": (50, 58, 62)}
"""Percent saved for 3, 10 and 50 facts; the guide's zlib(pickle) saves 25, 44 and 56."""

NAMES = "Marta Deniz Aoife Kwame Priya Tomasz Ingrid Hassan Yuki Bea Olu Mireille Jonas Farah Pavel Noor"
PLACES = "Ghent Porto Leeds Tbilisi Izmir Turku Graz Cork Nantes Osaka Halifax Quito Bergen Accra Pune Wrocław"
MOMENTS = """
two Fridays ago|on the ninth of May|in late autumn|before the kids broke up for summer|on Tuesday evening
the day after the audit|when the lease ran out|over the bank holiday|around Easter 2024|right after lunch
at six in the morning|since the flood|during the heat wave|in week 32|on 2025-11-03|just before the demo
"""

CLAUSES = (
    """
    {p} keeps bees behind the garage|{p} swapped the old boiler for a heat pump|{p} rents the flat above a bakery
    {p}'s landlord raised what they pay to 1,340 euros|{p} inherited an upright piano and has it tuned twice yearly
    {p} grows chillies on the balcony|{p} cannot stand coriander|{p} adopted a greyhound called Biscuit
    {p} sleeps badly whenever the wind turns|{p} repainted the hallway in a dark green|{p} lost the spare key again
    {p} hosts the neighbours for dumplings|{p} bakes rye with a starter from {c}|{p} has twin nephews who adore trains
    {p} sold the car and cycles everywhere
    """,
    """
    {p} handed in notice at the shipping firm|{p} leads a crew of nine welders|{p} was passed over for the {c} job
    {p} chairs the safety committee|{p} trains apprentices|{p} bills by the half hour and invoices monthly
    {p} reports straight to the chief actuary|{p} shares a desk with the night shift|{p} dreads the quarterly numbers
    {p} got the grant for the soil survey|{p} negotiated a four day week|{p} took over the payroll from {q}
    {p} wrote the tender for the {c} tramway|{p} commutes from {c} by ferry|{p} mentors {q} through the licence exam
    """,
    """
    the importer chokes on semicolons in quoted cells|we pinned lxml because wheels were missing for musl
    {p} rewrote the retry loop with jitter|nightly jobs now write to a bucket in {c}|the flaky spec was a clock skew
    the ledger rounds half to even|{p} wants trunk based branches and squashed merges|{p} vetoed another ORM
    rows older than ninety days are archived to parquet|the mobile build signs with the key that {q} holds
    the cron on the edge box drifted by forty seconds|tabs were rejected in favour of spaces|{p} is on call with {q}
    latency doubled once tracing was sampled at ten percent|the gateway strips trailing slashes
    """,
    """
    {p} sings alto in the harbour choir|{p} finished the coastal path near {c}|{p} collects tin robots
    {p} is halfway through a Russian epic|{p} beat {q} at backgammon nine times running|{p} took up fencing
    {p} restores wooden dinghies|{p} ran the {c} half in 1:52|{p} photographs moths with a borrowed lens
    {p} booked a sleeper to {c}|{p} broke a wrist skating|{p} keeps a log of every bird over the estuary
    {p} learned the banjo by ear|{p} swims in the quarry until November|{p} queued all night for the {c} derby
    """,
)
TAILS = """
, though the doctor advised against it|, which {q} finds hilarious|, and paid for it out of savings
, much to {q}'s relief|, because the previous arrangement fell apart|, mostly to keep {q} company
, and means to carry on until spring|, after years of putting it off|, and nobody has complained yet
; {q} has the paperwork|, as agreed with {q}|, despite the cost|, so {q} rearranged the rota
, and would do it again|, on the advice of a cousin in {c}
"""


def parts(text: str) -> list[str]:
    """The parts of a text, divided by bars and line ends."""
    return [part.strip() for line in text.split("\n") for part in line.split("|") if part.strip()]


def facts(seed: int, count: int, every_clause: bool) -> Iterator[str]:
    """Short facts; without `every_clause` they use only each second clause of a kind."""
    rng = random.Random(seed)
    clauses = [parts(kind)[:: 1 if every_clause else 2] for kind in CLAUSES]
    tails = parts(TAILS)[:: 1 if every_clause else 2]
    for _ in range(count):
        p, q = rng.sample(NAMES.split(), 2)
        moment = " " + rng.choice(parts(MOMENTS)) if rng.random() < 0.5 else ""
        sentence = rng.choice(rng.choice(clauses)) + moment + (rng.choice(tails) if rng.random() < 0.7 else "")
        sentence = sentence.format(p=p, q=q, c=rng.choice(PLACES.split()))
        yield sentence[0].upper() + sentence[1:] + rng.choice([".", ""])


def grouped(observations: list[str], size: int) -> list[list[str]]:
    """Entities of `size` observations, none twice; what is left over is dropped."""
    unique = list(dict.fromkeys(observations))
    return [unique[i : i + size] for i in range(0, len(unique) - size + 1, size)]


def saved(codec: Codec, entities: list[list[str]]) -> float:
    """Share saved, 0 to 1."""
    plain = sum(
        len(json.dumps({"observations": e}, ensure_ascii=False, separators=(",", ":")).encode()) for e in entities
    )
    return 1 - sum(len(codec.encode({"observations": e})) for e in entities) / plain


def microseconds(call: Callable[[], object], calls: int = 200, rounds: int = 25) -> float:
    """Time of one call in the quietest round."""
    best = float("inf")
    for _ in range(rounds):
        start = time.perf_counter()
        for _ in range(calls):
            call()
        best = min(best, (time.perf_counter() - start) / calls)
    return round(best * 1e6, 1)


def measure(learned: list[list[str]], held_out: list[str]) -> dict[str, Any]:
    start = time.perf_counter()
    own = train("\n".join(entity) for entity in learned)
    report: dict[str, Any] = {
        "train": {
            "entities": len(learned),
            "characters": sum(len(o) for e in learned for o in e),
            "seconds": round(time.perf_counter() - start, 2),
        }
    }
    dictionaries = {1: SHIPPED, 2: own}
    codecs = {"none": None, "shipped": 1, "retrained": 2}
    for name, current in codecs.items():
        codec = Codec(dictionaries, current)
        report[name] = {str(n): round(100 * saved(codec, grouped(held_out, n)), 1) for n in SIZES}
    codec = Codec(dictionaries, 1)
    report["speed"] = {}
    for size in SIZES:
        data = {"observations": grouped(held_out, size)[0]}
        blob = codec.encode(data)
        stored = checksum(blob)

        def encode(codec: Codec = codec, data: dict[str, Any] = data) -> bytes:
            return codec.encode(data)

        def decode(codec: Codec = codec, blob: bytes = blob, stored: str = stored) -> dict[str, Any]:
            return codec.decode(blob, stored)

        report["speed"][str(size)] = {
            "blob_bytes": len(blob),
            "encode_us": microseconds(encode),
            "decode_us": microseconds(decode),
        }
    return report


def main() -> int:
    parser = argparse.ArgumentParser(description="Measure what the codec saves and how long it takes.")
    parser.add_argument("--facts", type=Path, help="JSONL of entities to measure on instead of made-up facts")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    arguments = parser.parse_args()
    if arguments.facts:
        entities = [json.loads(line)["observations"] for line in arguments.facts.read_text().splitlines()]
        split = len(entities) * 7 // 10
        learned, held_out = entities[:split], [o for entity in entities[split:] for o in entity]
    else:
        learned, held_out = grouped(list(facts(1, 20_000, False)), 10), list(facts(2, 3_000, True))
    report = measure(learned, held_out)
    if arguments.json:
        print(json.dumps(report))
        return 0
    trained = report["train"]
    print(f"trained on {trained['entities']:,} entities, {trained['characters']:,} characters: {trained['seconds']} s")
    print("saved, %            " + "".join(f"{size:>4} facts" for size in SIZES))
    for name in ("none", "shipped", "retrained"):
        targets = "   target " + "/".join(map(str, TARGETS[name])) if name in TARGETS else ""
        print(f"  {name:<18}" + "".join(f"{value:>10}" for value in report[name].values()) + targets)
    for size, speed in report["speed"].items():
        times = f"encode {speed['encode_us']} µs, decode {speed['decode_us']} µs"
        print(f"{size:>3} facts: {speed['blob_bytes']:>5} bytes, {times}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
