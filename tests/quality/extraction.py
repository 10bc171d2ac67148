"""How well facts are told from talk: precision, recall and F1 on the labelled sentences beside this file.

    python tests/quality/extraction.py [--threshold 0.5] [--misses]

`sentences.jsonl` holds one sentence a line: `text`, `kind` (null where it is no fact), `talk` (a user with an
assistant, or people among themselves), `before` (what was said to the speaker just before, where it matters) and
`half`. The rules were tuned on the half `tune`; `held` was not looked at sentence by sentence, and its misses are not
printed.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))

from enhanced_memory.rules.extraction import THRESHOLD, Fact, extract

SENTENCES = Path(__file__).with_name("sentences.jsonl")
SPEAKERS = {"assistant": ("assistant", "user"), "people": ("Ben", "Ann")}


def facts_of(row: dict[str, Any], threshold: float) -> list[Fact]:
    """The facts found in one labelled sentence, said by its speaker."""
    other, speaker = SPEAKERS[row["talk"]]
    before = f"{other}: {row['before']}\n" if "before" in row else ""
    return [
        fact for fact in extract(f"{before}{speaker}: {row['text']}", threshold=threshold) if fact.speaker == speaker
    ]


def score(rows: list[dict[str, Any]], threshold: float) -> dict[str, float]:
    """Precision, recall and F1 of telling facts, and the share of found facts whose kind is the labelled one; each
    0..1."""
    found = [facts_of(row, threshold) for row in rows]
    right = [(row, facts) for row, facts in zip(rows, found, strict=True) if facts and row["kind"]]
    precision = len(right) / max(1, sum(map(bool, found)))
    recall = len(right) / max(1, sum(bool(row["kind"]) for row in rows))
    kinds = sum(any(fact.kind == row["kind"] for fact in facts) for row, facts in right) / max(1, len(right))
    f1 = 2 * precision * recall / (precision + recall) if right else 0.0
    return {"sentences": len(rows), "precision": precision, "recall": recall, "f1": f1, "kind": kinds}


def main() -> None:
    """Print the scores of each half and kind of talk."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threshold", type=float, default=THRESHOLD)
    parser.add_argument("--misses", action="store_true", help="print the sentences of the tuning half that went wrong")
    arguments = parser.parse_args()
    rows = [json.loads(line) for line in SENTENCES.read_text(encoding="utf-8").splitlines()]
    for half in ("tune", "held"):
        for talk in ("assistant", "people"):
            chosen = [row for row in rows if (row["half"], row["talk"]) == (half, talk)]
            scores = score(chosen, arguments.threshold)
            print(f"{half:5} {talk:10}", *(f"{name}={value:.3g}" for name, value in scores.items()))
    if arguments.misses:
        for row in rows:
            facts = facts_of(row, arguments.threshold)
            if row["half"] == "tune" and (row["kind"] not in [fact.kind for fact in facts] if row["kind"] else facts):
                print(row["kind"], [(fact.kind, fact.confidence) for fact in facts], row["text"], sep="\t")


if __name__ == "__main__":
    main()
