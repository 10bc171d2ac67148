"""How well conflicts between observations are told: scores on the labelled pairs beside this file.

    python tests/quality/conflicts.py [--misses]

`conflict_pairs.jsonl` holds one pair a line: `old`, `new`, `label` (contradiction, update, duplicate, compatible or
unrelated), `phenomenon` and `half`. Where it matters whose observations they are, `of` tells name and type of the two
entities; such pairs have a line of their own. Compatible and unrelated pairs count as none. The rules were tuned on the
part `tune`; `held` was written after them, and its misses are not printed.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from itertools import product
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))

from enhanced_memory.rules.conflicts import compare, judge
from enhanced_memory.rules.owners import owner_of

PAIRS = Path(__file__).with_name("conflict_pairs.jsonl")
FOUND = ("contradiction", "update", "duplicate")
SURE = 0.8
"""Confidence from which at least that share of findings is to be right."""


def f1(right: int, found: int, wanted: int) -> float:
    """Harmonic mean of precision and recall, 0..1."""
    return 2 * right / (found + wanted) if right else 0.0


def scores(counts: Counter[tuple[str, str]]) -> dict[str, float]:
    """Macro-F1 over four labels, F1 of finding any conflict, and the share of pairs without one that gave a finding."""
    labels = (*FOUND, "none")
    each = [
        f1(
            counts[label, label],
            sum(n for (_, got), n in counts.items() if got == label),
            sum(n for (gold, _), n in counts.items() if gold == label),
        )
        for label in labels
    ]
    conflict = {"contradiction", "update"}
    quiet = sum(n for (gold, _), n in counts.items() if gold == "none")
    return {
        "pairs": counts.total(),
        "macro_f1": sum(each) / len(each),
        "conflict_f1": f1(
            sum(n for (gold, got), n in counts.items() if gold in conflict and got in conflict),
            sum(n for (_, got), n in counts.items() if got in conflict),
            sum(n for (gold, _), n in counts.items() if gold in conflict),
        ),
        "false_alarms": sum(n for (gold, got), n in counts.items() if gold == "none" != got) / max(1, quiet),
        **dict(zip((f"f1_{label}" for label in labels), each, strict=True)),
    }


def told(row: dict[str, Any]) -> tuple[str, float]:
    """The label found for a pair, and how sure it is."""
    if "of" not in row:
        finding = judge(row["old"], row["new"])
        return (finding.kind, finding.confidence) if finding else ("none", 0.0)
    (one, one_type), (other, other_type) = row["of"]
    owners = owner_of(one, one_type), owner_of(other, other_type)
    verdict = compare([row["old"]], [row["new"]], same_type=one_type == other_type, owners=owners)
    return (verdict.conflict_type, verdict.confidence) if verdict else ("none", 0.0)


def main() -> None:
    """Print the scores of each part, and how often findings of each confidence are right."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--misses", action="store_true", help="print the pairs of the tuning part that went wrong")
    misses = parser.parse_args().misses
    rows = [json.loads(line) for line in PAIRS.read_text(encoding="utf-8").splitlines()]
    for half, owned in product(("tune", "held"), (False, True)):
        counts: Counter[tuple[str, str]] = Counter()
        sure: Counter[tuple[bool, bool]] = Counter()
        for row in (row for row in rows if row["half"] == half and ("of" in row) == owned):
            gold = row["label"] if row["label"] in FOUND else "none"
            got, confidence = told(row)
            counts[gold, got] += 1
            if got != "none":
                sure[confidence >= SURE, gold == got] += 1
            if misses and half == "tune" and gold != got:
                print("  ", gold, got, row["old"], row["new"], sep=" | ")
        print(
            f"{half:5} {'of an entity ' if owned else ''}",
            *(f"{name}={value:.3g}" for name, value in scores(counts).items()),
        )
        for is_sure, name in ((True, f"confidence >= {SURE}"), (False, f"confidence < {SURE}")):
            found = sure[is_sure, True] + sure[is_sure, False]
            print(f"      {name}: {sure[is_sure, True]} of {found} right")


if __name__ == "__main__":
    main()
