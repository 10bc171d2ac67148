"""Kill -9 under eight writers, again and again: what is lost or half done, and how soon the next start answers.

    python tests/bench/bench_restart.py [--cycles 200] [--daemon memory_db_service.py ...] [--json] [--quick]

Each cycle starts the daemon, has eight clients write batches of three memories without a pause, and kills it: at a
random moment, or at the very moment an acknowledgement arrives. The next start is timed from the program's start to its
first reply to a search; what it takes of the processor until then says more on a machine that does other things too.
Then every acknowledged batch must be there, and none in part; at the end everything is checked.

Several daemons, as those of two checkouts, take turns, each on a database of its own.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import random
import signal
import socket
import statistics
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.bench import rig

WRITERS = 8
BATCH = 3
CYCLES = 200
PATIENCE_S = 600


class Client:
    """A connection, and requests on it one after the other."""

    def __init__(self, path: Path) -> None:
        self._connection = socket.socket(socket.AF_UNIX)
        self._connection.settimeout(PATIENCE_S)
        try:
            self._connection.connect(str(path))
        except OSError:
            self._connection.close()
            raise
        self._replies = self._connection.makefile("rb")

    def ask(self, method: str, params: dict[str, Any]) -> dict[str, Any]:
        """The reply. Raises: OSError: the daemon is gone."""
        self._connection.sendall(json.dumps({"method": method, "params": params}).encode() + b"\n")
        line = self._replies.readline()
        if not line.endswith(b"\n"):
            raise ConnectionResetError
        reply: dict[str, Any] = json.loads(line)
        return reply

    def close(self) -> None:
        self._replies.close()
        self._connection.close()


class Subject:
    """A daemon that is killed again and again, what it has acknowledged, and what was met."""

    def __init__(self, program: Path, folder: Path) -> None:
        folder.mkdir()
        self._command = [sys.executable, str(program), "--db", str(folder / "memory.db")]
        self._environment = {**os.environ, "PYTHONPATH": str(program.parent)}
        self._socket = folder / "s"
        self._log = folder / "log"
        self._process: subprocess.Popen[bytes] | None = None
        self._numbers = itertools.count()
        self.acknowledged: list[int] = []
        self._unknown: list[int] = []  # sent, and not answered: there as a whole or not at all
        self.seconds: list[float] = []
        self.processor_seconds: list[float] = []
        self.lost = 0
        self.in_part = 0

    def start(self) -> None:
        """Start it, and note what it took until a search was answered."""
        begun = time.monotonic()
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [*self._command, "--socket", str(self._socket)],
                stdout=subprocess.DEVNULL,
                stderr=log,
                env=self._environment,
            )
        while True:
            with suppress(OSError):
                client = Client(self._socket)
                break
            assert time.monotonic() - begun < PATIENCE_S
            assert self._process.poll() is None, self._log.read_text()
            time.sleep(0.002)
        assert client.ask("search_nodes", {"query": "writer"})["success"]
        self.seconds.append(time.monotonic() - begun)
        self.processor_seconds.append(_processor_seconds(self._process.pid))
        client.close()

    def load_and_kill(self, kill_at: int | None, after_s: float) -> None:
        """Write until it is killed: with the `kill_at`th acknowledgement, or without that after so many seconds."""
        assert self._process is not None
        process, left = self._process, itertools.count(1)
        lock = threading.Lock()

        def write() -> None:
            with suppress(OSError):
                client = Client(self._socket)
                while True:
                    number = next(self._numbers)
                    with lock:
                        self._unknown.append(number)
                    reply = client.ask("create_entities", {"entities": _batch(number)})
                    if next(left) == kill_at:
                        process.kill()
                    assert reply["success"], reply
                    with lock:
                        self._unknown.remove(number)
                        self.acknowledged.append(number)

        writers = [threading.Thread(target=write) for _ in range(WRITERS)]
        for writer in writers:
            writer.start()
        if kill_at is None:
            time.sleep(after_s)
            process.kill()
        for writer in writers:
            writer.join()
        assert process.wait() == -signal.SIGKILL

    def compare(self, of_last: int) -> None:
        """Look for the batches that were sent last; count what is lost and what is there in part."""
        client = Client(self._socket)
        for number in self.acknowledged[-of_last:]:
            found = self._found(client, number)
            self.lost += found < BATCH
        for number in self._unknown:
            self.in_part += 0 < self._found(client, number) < BATCH
        self._unknown.clear()
        client.close()

    @staticmethod
    def _found(client: Client, number: int) -> int:
        return len(client.ask("open_nodes", {"names": [each["name"] for each in _batch(number)]})["entities"])

    def end(self) -> dict[str, Any]:
        """Check everything, look at health, end it; gives the figures."""
        self.start()
        self.compare(len(self.acknowledged))
        client = Client(self._socket)
        checked = client.ask("verify_database", {})
        health = client.ask("get_system_health", {})
        client.close()
        assert self._process is not None
        self._process.terminate()
        assert self._process.wait(PATIENCE_S) == 0
        return {
            "cycles": len(self.seconds) - 1,
            "acknowledged": len(self.acknowledged),
            "lost": self.lost,
            "in part": self.in_part,
            "problems found": len(checked["problems"]),
            "health": f"{health['status']} {health['reasons']}",
            "answered after s": _spread(self.seconds),
            "processor until then s": _spread(self.processor_seconds),
            "over 1 s": sum(seconds > 1 for seconds in self.seconds),
        }


def _batch(number: int) -> list[dict[str, Any]]:
    return [
        {"name": f"{number} part {part}", "entityType": "thing", "observations": [f"written by a writer, {number}"]}
        for part in range(BATCH)
    ]


def _processor_seconds(pid: int) -> float:
    """What a process has had of the processor; /proc tells nanoseconds of each thread."""
    tasks = Path(f"/proc/{pid}/task")
    return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks.iterdir()) / 1e9


def _spread(values: list[float]) -> dict[str, float]:
    return {"median": round(statistics.median(values), 3), "most": round(max(values), 3)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cycles", type=int, default=CYCLES)
    parser.add_argument("--daemon", type=Path, nargs="+", default=[rig.ROOT / "memory_db_service.py"])
    parser.add_argument("--seed", type=int, default=1, help="of the moments")
    parser.add_argument("--json", action="store_true", help="figures as one line of JSON")
    parser.add_argument("--quick", action="store_true", help="10 cycles")
    options = parser.parse_args()
    chance = random.Random(options.seed)
    with rig.scratch_folder() as folder:
        subjects = {
            str(program): Subject(program.resolve(), folder / str(number))
            for number, program in enumerate(options.daemon)
        }
        for cycle in range(10 if options.quick else options.cycles):
            kill_at = chance.randrange(1, 200) if cycle % 2 else None
            after_s = chance.uniform(0.0, 0.5)
            for subject in subjects.values():
                subject.start()
                subject.compare(200)
                subject.load_and_kill(kill_at, after_s)
        figures = {name: subject.end() for name, subject in subjects.items()}
    rig.report({"machine": rig.machine(), **figures}, as_json=options.json)


if __name__ == "__main__":
    main()
