"""How long a conversation of one megabyte takes to read for facts and for secrets.

    python tests/bench/bench_extraction.py

Talk is made of the labelled sentences in tests/quality; the other texts are of one megabyte each, shaped to send a
careless pattern into a loop, or to be all lines of one kind. Bound: two seconds for both, of any of them.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

sys.path.insert(0, str(Path(__file__).parents[2]))

from enhanced_memory.rules.extraction import extract
from enhanced_memory.rules.secrets import redact
from enhanced_memory.settings import Settings
from memory_db_service import MemoryDBService

MEGABYTE = 1_000_000
BOUND_S = 2.0
SENTENCES = Path(__file__).parents[1] / "quality" / "sentences.jsonl"
SHAPES = """
a|. |1 |"|[ |*|<private|<private>x</private>|user: |10:31 |May 5 |{|{"|{"role": "user", "content": "hi"}|I am |every |A.
'|password is |password |4111 |://a:|a-|-----BEGIN PRIVATE KEY-----|token for a b |sk-|aA1-|```|we use x |😀 |always
"""
LINES = """
-----BEGIN RSA PRIVATE KEY-----
私は東京で働いています。毎日コーヒーを飲みます。
ab cd ef
A: b c d
```python
{"ts": 17, "level": "info", "msg": "user 4 logged in", "token": "3f786850e387550fdab8"}
2024-05-01 10:31:22,123 INFO [worker-4] com.acme.Svc - request 3f786850e3 in 17 ms
| 4 | we use vim | always |
550e8400-e29b-41d4-a716-446655440000
4111 1111 1111 1111
DE89 3704 0044 0532 0130 00
219-09-9999
my password is hunter2 and my key is sk-aB3dE5gH7jK9mN1pQ3sT5vW7yZ9bC1dE3fG5hJ7kL9mN1pQ3
"""
HOSTILE = SHAPES.strip().replace("\n", "|").split("|") + [f"{line}\n" for line in LINES.strip().split("\n")]


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


def facts_alone() -> str:
    """A megabyte of talk in which every sentence is a fact of its own."""
    lines = (
        f"Ann: I moved to town {turn} last week.\nBob: We always use tool {turn}.\n" for turn in range(MEGABYTE // 60)
    )
    return "".join(lines)


def main() -> None:
    """Print the seconds of processor time each text takes."""
    texts = {"talk": talk()} | {repr(shape): (shape * (MEGABYTE // len(shape) + 1))[:MEGABYTE] for shape in HOSTILE}
    for name, text in texts.items():
        started = time.process_time()
        facts = len(extract(text))
        extracted = time.process_time()
        redact(text)
        redacted = time.process_time()
        late = "  over the bound" if redacted - started > BOUND_S else ""
        times = f"extract {extracted - started:5.2f} s  redact {redacted - extracted:5.2f} s"
        print(f"{name[:40]:40} {times}  facts {facts}{late}")
    with TemporaryDirectory() as folder:
        service = MemoryDBService(Settings(db_path=f"{folder}/memory.db"))
        for way, auto_store in (("told", False), ("stored", True), ("known", True)):
            params = {"conversation_text": facts_alone(), "auto_store": auto_store}
            started = time.process_time()
            reply = service.handle_request({"method": "auto_extract_facts", "params": params})
            spent = time.process_time() - started
            late = "  over the bound" if spent > BOUND_S else ""
            print(f"{f'nothing but facts, {way} by the operation':40} {spent:5.2f} s  facts {reply['count']}{late}")
        service.close()


if __name__ == "__main__":
    main()
