"""How long a conversation of one megabyte takes to read for facts and for secrets.

    python tests/bench/bench_extraction.py

Talk is made of the labelled sentences in tests/quality; the other texts are of one megabyte each, shaped to send a
careless pattern into a loop. Bound: two seconds for extraction of any of them.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from enhanced_memory.rules.extraction import extract
from enhanced_memory.rules.secrets import redact

MEGABYTE = 1_000_000
BOUND_S = 2.0
SENTENCES = Path(__file__).parents[1] / "quality" / "sentences.jsonl"
SHAPES = """
a|. |1 |"|[ |*|<private|<private>x</private>|user: |10:31 |May 5 |{|{"|{"role": "user", "content": "hi"}|I am |every |A.
'|password is |password |4111 |://a:|a-|-----BEGIN PRIVATE KEY-----|token for a b |sk-|aA1-|```|we use x |😀 |always
"""
HOSTILE = SHAPES.strip().replace("\n", "|").split("|")


def talk() -> str:
    """A megabyte of talk in turns of two sentences, each turn with a number of its own so that none repeats another."""

    def turns() -> Iterator[str]:
        said = [json.loads(line)["text"] for line in SENTENCES.read_text(encoding="utf-8").splitlines()]
        length = turn = 0
        while length < MEGABYTE:
            words = f"{said[turn * 7 % len(said)]} {said[turn * 11 % len(said)]} That was ticket {turn}."
            yield f"{('Ann', 'Bob')[turn % 2]}: {words}"
            length += len(words) + 6
            turn += 1

    return "\n".join(turns())


def main() -> None:
    """Print the seconds of processor time each text takes."""
    texts = {"talk": talk()} | {repr(shape): (shape * (MEGABYTE // len(shape) + 1))[:MEGABYTE] for shape in HOSTILE}
    for name, text in texts.items():
        started = time.process_time()
        facts = len(extract(text))
        extracted = time.process_time()
        redact(text)
        redacted = time.process_time()
        late = "  over the bound" if extracted - started > BOUND_S else ""
        print(
            f"{name:40} extract {extracted - started:5.2f} s  redact {redacted - extracted:5.2f} s  facts {facts}{late}"
        )


if __name__ == "__main__":
    main()
