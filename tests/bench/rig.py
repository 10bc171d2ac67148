"""What the benches share: made-up memories, the daemon and a bare echo as processes, clients as processes, figures.

Clients are processes, since one interpreter cannot load a daemon: each has a connection of its own, sends a request
when the reply to the one before is there, and keeps its own times.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import random
import selectors
import shutil
import socket
import sqlite3
import statistics
import struct
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import Any

import psutil

sys.path.insert(0, str(Path(__file__).parents[2]))

from enhanced_memory import wire
from enhanced_memory.settings import Settings
from memory_db_service import MemoryDBService

ROOT = Path(__file__).resolve().parents[2]
_FORK = multiprocessing.get_context("fork")
_PATIENCE_S = 120

# ------------------------------------------------------------------------------------------------------- made-up text


def _words(text: str) -> list[str]:
    return text.split()


PEOPLE = [
    f"{first} {last}"
    for first in _words(
        """Marta Deniz Aoife Kwame Priya Tomasz Ingrid Hassan Yuki Bea Mireille Jonas Farah Pavel Noor Silvia Bram
        Chidi Leena Oskar Ximena Tariq Wanda Goran Elif Hugo Nadia Ravi Saskia Ewan"""
    )
    for last in _words(
        """Okafor Lindgren Moreau Castellanos Ibrahim Novak Whitlock Tanaka Byrne Sato Keller Duarte Petrov Haddad
        Romero Vance Eriksen Mbeki Costa Fischer Quint Alvarez Dahl Nakamura Osei Pellegrini Rao Sousa Thorne Ueda"""
    )
]

PLAIN = _words(
    """house meeting team car customer budget dog school plan report garden deadline design office travel family train
    doctor recipe server database holiday coffee bicycle invoice contract kitchen library ticket garage printer lease
    museum piano ferry concert passport neighbour bakery orchard tent camera drawer ladder mortgage pension battery
    keyboard backup certificate warehouse courier harbour tram auditor dentist violin allotment greenhouse sketch"""
)
"""Words everybody uses, the frequent ones first."""

SENTENCES = [
    line.strip()
    for line in """
    {p} moved the {w} about {r} to {d}
    {p} would rather have a {r} {w} than a {r} one
    the {w} near {r} belongs to {p} and {q}
    {q} asked {p} to repair the {w} before {d}
    {p} is allergic to {r}, and so is {q}
    since {d} the {w} runs on {r} instead of {r}
    {p} bought a second {w} in {r} for {n} euros
    never deploy the {r} {w} without telling {q}
    {p} learned {r} from {q} in {n} lessons
    the password of the {w} is kept by {p}, not by {q}
    {q} cancelled the {r} {w} because of {r}
    {p} lives in {r}, two streets from the {w}
    every {w} is painted {r} by {q}
    {p} and {q} argued over the {r} {w}
    the {w} of {p} broke on {d}, and {q} lent a {r} one
    {p} writes about {r} and {r} for the {w}
    tests of {r} fail whenever the {w} is slow
    {q} promised {p} a {w} made of {r}
    {p} takes {n} mg of {r} before the {w}
    we chose {r} over {r} for the {w}, says {p}
    {p} drives to {r} on {d} to fetch the {w}
    the {r} {w} costs {n} euros a month
    {q} was born in {r} and grew up near a {w}
    {p} sings {r} at the {w} with {q}
    do not invite {q} when {r} is served at the {w}
    {p} swapped the {w} for {n} {r}
    the {w} closes at {n} and opens for {r} only
    {q} manages the {w} and reports on {r}
    {p} keeps {n} {r} behind the {w}
    remind {p} of the {r} {w} on {d}
    """.strip().splitlines()
]

MONTHS = _words("January February March April May June July August September October November December")

TYPES = _words("person project decision preference event place")

CODED_EVERY = 20
"""One memory in so many has a code of a project, and an invoice."""


def _rare_words(count: int) -> list[str]:
    """Words nobody uses, all different; put together from syllables."""
    syllables = [a + b for a in "bdfgklmnprstvz" for b in ("a", "e", "i", "o", "u", "an", "er", "is", "ol")]
    chance = random.Random(7)
    return sorted({"".join(chance.choices(syllables, k=3)) for _ in range(count)})


RARE = _rare_words(20_000)


def _by_rank(count: int) -> list[float]:
    """Weights as Zipf found them in texts: a word is met in proportion to 1 / rank; the first ranks are evened out."""
    return list(accumulate(1 / (rank + 15) for rank in range(count)))


_PLAIN_WEIGHTS, _RARE_WEIGHTS = _by_rank(len(PLAIN)), _by_rank(len(RARE))


def plain_word(chance: random.Random) -> str:
    return chance.choices(PLAIN, cum_weights=_PLAIN_WEIGHTS)[0]


def rare_word(chance: random.Random) -> str:
    return chance.choices(RARE, cum_weights=_RARE_WEIGHTS)[0]


def project_code(number: int) -> str:
    """A code that only the memory of this number has."""
    return f"{('PRJ', 'OPS', 'WEB', 'ADR')[number % 4]}-{number:05}/v{number % 7}.{number % 10}"


def invoice_code(number: int) -> str:
    """Another, without punctuation."""
    return f"rn{number:06}x"


def memory(number: int) -> dict[str, Any]:
    """The made-up memory of this number: always the same, four observations, about 270 bytes of text."""
    chance = random.Random(number)
    person, other = chance.sample(PEOPLE, 2)

    def filled(sentence: str) -> str:
        while "{" in sentence:
            sentence = sentence.replace("{p}", person).replace("{q}", other)
            sentence = sentence.replace("{w}", plain_word(chance), 1).replace("{r}", rare_word(chance), 1)
            sentence = sentence.replace("{n}", str(chance.randint(2, 900)), 1)
            sentence = sentence.replace("{d}", f"{chance.randint(1, 28)} {chance.choice(MONTHS)}", 1)
        return sentence

    observations = [filled(sentence) for sentence in chance.sample(SENTENCES, 4)]
    if number % CODED_EVERY == 0:
        observations[3] = f"{project_code(number)} is billed as {invoice_code(number)} by {other}"
    return {
        "name": f"{person}, {plain_word(chance)} {number}",
        "entityType": chance.choice(TYPES),
        "observations": observations,
    }


def memory_of(number: int, observations: int, length: int) -> dict[str, Any]:
    """The memory of this number with as many observations, of about as many characters, of the words of several."""
    words = (
        word
        for part in range(number, number + 10**9, 10**6)
        for sentence in memory(part)["observations"]
        for word in sentence.split()
    )
    texts = []
    for _ in range(observations):
        text = next(words)
        while len(text) < length - 3:
            text += " " + next(words)
        texts.append(text)
    return {**memory(number), "observations": texts}


def text_bytes(entity: dict[str, Any]) -> int:
    """Bytes of what a memory says: name, type and observations in UTF-8."""
    return len("".join([entity["name"], entity["entityType"], *entity["observations"]]).encode())


def create_line(entity: dict[str, Any]) -> bytes:
    """The request that creates one entity."""
    return wire.encode({"method": "create_entities", "params": {"entities": [entity]}})


# ---------------------------------------------------------------------------------------------------------- processes


@contextmanager
def scratch_folder() -> Iterator[Path]:
    """A folder on the disk that temporary files go to, gone afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="em-bench-", dir="/tmp"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


def fill(db: Path, count: int, make: Callable[[int], dict[str, Any]] = memory) -> int:
    """Put the first `count` made-up memories into a database, without a daemon; returns the bytes of their text."""
    service = MemoryDBService(Settings(db_path=str(db)))
    total = 0
    for start in range(0, count, 1_000):
        entities = [make(number) for number in range(start, min(start + 1_000, count))]
        total += sum(map(text_bytes, entities))
        reply = service.handle_request({"method": "create_entities", "params": {"entities": entities}})
        assert reply["success"], reply
    service.close()
    return total


class Daemon:
    """The daemon as a process, on a database that lies in `folder`."""

    def __init__(self, folder: Path, db: Path) -> None:
        self.db = db
        self.socket_path = folder / "memory.sock"
        command = [sys.executable, str(ROOT / "memory_db_service.py"), "--db", str(db)]
        with (folder / "daemon.log").open("wb") as log:
            self._process = subprocess.Popen(
                [*command, "--socket", str(self.socket_path)], stdout=subprocess.PIPE, stderr=log
            )
        assert self._process.stdout is not None
        with selectors.DefaultSelector() as selector:
            selector.register(self._process.stdout, selectors.EVENT_READ)
            assert selector.select(_PATIENCE_S), "the daemon did not get ready"
        assert self._process.stdout.readline(), (folder / "daemon.log").read_text()

    def settle(self) -> None:
        """Wait until it has made a dictionary of its own words, which it does once when there are enough of them."""
        until = time.monotonic() + _PATIENCE_S
        entities, trained_on = 500, 0
        with sqlite3.connect(f"file:{self.db}?mode=ro", uri=True) as connection:
            while entities >= 500 and trained_on * 4 <= entities and time.monotonic() < until:
                time.sleep(0.2)
                entities, trained_on = connection.execute(
                    "SELECT (SELECT coalesce(max(id), 0) FROM entities), (SELECT max(trained_on) FROM dictionaries)"
                ).fetchone()
        connection.close()

    def commits(self) -> int:
        """Transactions committed to the write-ahead log since its index was made.

        SQLite counts them in the third number of that index, the file beside the database that all its readers share.
        """
        with open(f"{self.db}-shm", "rb") as index:
            return int(struct.unpack_from("=3I", index.read(12))[2])

    def rss_mb(self) -> float:
        """Memory the process has in use, in MiB."""
        return float(psutil.Process(self._process.pid).memory_info().rss) / 2**20

    def end(self) -> None:
        """End it as a user would, and wait."""
        self._process.terminate()
        assert self._process.wait(_PATIENCE_S) == 0


@contextmanager
def running_daemon(folder: Path, db: Path) -> Iterator[Daemon]:
    """A daemon that has settled, ended afterwards."""
    daemon = Daemon(folder, db)
    try:
        daemon.settle()
        yield daemon
    finally:
        daemon.end()


@contextmanager
def running_echo(folder: Path) -> Iterator[Path]:
    """A server that sends back what it gets, a thread for each connection: what any Python daemon pays at least."""
    path = folder / "echo.sock"
    server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    server.bind(str(path))
    server.listen(128)
    process = _FORK.Process(target=_echo, args=(server,))
    process.start()
    server.close()
    try:
        yield path
    finally:
        process.kill()
        process.join()
        path.unlink()


def _echo(server: socket.socket) -> None:
    def serve(connection: socket.socket) -> None:
        with connection:
            while data := connection.recv(65_536):
                connection.sendall(data)

    while True:
        connection, _ = server.accept()
        threading.Thread(target=serve, args=(connection,), daemon=True).start()


# ------------------------------------------------------------------------------------------------------------ clients


@dataclass(frozen=True)
class Run:
    """What clients met: each request's round trip in ms, the time from the first request to the last reply."""

    times_ms: list[float]
    elapsed_s: float
    failures: int

    @property
    def per_second(self) -> float:
        return len(self.times_ms) / self.elapsed_s


def in_all(runs: Sequence[Run]) -> Run:
    """Runs that followed one another, as one."""
    return Run(
        [time_ms for run in runs for time_ms in run.times_ms],
        sum(run.elapsed_s for run in runs),
        sum(run.failures for run in runs),
    )


def drive(path: Path, requests: Sequence[Sequence[bytes]]) -> Run:
    """Have one client a list send its requests, one after the other; all begin together."""
    barrier = _FORK.Barrier(len(requests))
    results: Any = _FORK.SimpleQueue()
    clients = [_FORK.Process(target=_client, args=(path, lines, barrier, results)) for lines in requests]
    for client in clients:
        client.start()
    answers = [results.get() for _ in clients]
    for client in clients:
        client.join()
    times_ms = [time_ms for answer in answers for time_ms in answer[2]]
    elapsed_s = max(answer[1] for answer in answers) - min(answer[0] for answer in answers)
    return Run(times_ms, elapsed_s, sum(answer[3] for answer in answers))


def _client(path: Path, lines: Sequence[bytes], barrier: Any, results: Any) -> None:
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    connection.settimeout(_PATIENCE_S)
    connection.connect(str(path))
    times_ms, failures = [], 0
    barrier.wait()
    begun = time.monotonic()
    for line in lines:
        sent = time.perf_counter()
        connection.sendall(line)
        reply = connection.recv(262_144)
        while not reply.endswith(b"\n"):
            reply += connection.recv(262_144)
        times_ms.append((time.perf_counter() - sent) * 1000)
        failures += reply.startswith(b'{"success":false')
    results.put((begun, time.monotonic(), times_ms, failures))


# ------------------------------------------------------------------------------------------------------------ figures


def percentile(values: Sequence[float], percent: int) -> float:
    """The value that `percent` of 100 do not exceed."""
    return statistics.quantiles(values, n=100, method="inclusive")[percent - 1]


def told(values: Sequence[float]) -> dict[str, float]:
    """p50, p95 and p99 of times."""
    return {f"p{percent}_ms": round(percentile(values, percent), 3) for percent in (50, 95, 99)}


def machine() -> dict[str, Any]:
    """What the figures were taken on."""
    return {
        "cores": os.cpu_count(),
        "load": round(os.getloadavg()[0], 1),
        "python": sys.version.split()[0],
        "sqlite": sqlite3.sqlite_version,
    }


def target(figure: float, bound: float, *, at_least: bool = False) -> dict[str, Any]:
    """A figure held against what is promised of it."""
    met = figure >= bound if at_least else figure <= bound
    return {"figure": round(figure, 3), "bound": round(bound, 3), "met": met}


def report(figures: dict[str, Any], *, as_json: bool) -> None:
    """Print the figures, as one line of JSON or for a person."""
    if as_json:
        print(json.dumps(figures))
    else:
        _print(figures, "")


def _print(figures: dict[str, Any], indent: str) -> None:
    width = max(len(key) for key in figures)
    for key, value in figures.items():
        if not isinstance(value, dict):
            print(f"{indent}{key:{width}}  {value}")
        elif all(not isinstance(inner, dict) for inner in value.values()):
            print(f"{indent}{key:{width}}  " + "  ".join(f"{name} {inner}" for name, inner in value.items()))
        else:
            print(f"{indent}{key}")
            _print(value, indent + "  ")
