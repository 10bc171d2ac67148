"""Power cuts, played through: what the daemon wrote under load, cut at any moment, with unsynced writes lost.

    python tests/bench/power_loss.py [--images 200] [--seed 1] [--json]

The daemon runs under `strace` while clients create entities; its writes, syncs and acknowledgements are noted in their
order. An image is what a disk may hold after a cut at a random moment: every write before the file's last sync, and any
of those after it, or none. Each image is opened by a store, and every entity acknowledged before the cut must be there.
It also counts acknowledgements whose bytes in the log were not synced before them; there must be none.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import shutil
import subprocess
import sys
import tempfile
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from enhanced_memory.client import BlockingMemoryClient  # noqa: E402 - the checkout's own
from enhanced_memory.service.dispatcher import MemoryDBService  # noqa: E402
from enhanced_memory.settings import Settings  # noqa: E402

CLIENTS = 8
CREATES = 40

CALL = re.compile(r"^(\d+) +(\w+)\((.*)\)\s+= (-?\d+)", re.DOTALL)
UNFINISHED = re.compile(r"^(\d+) +(.*) <unfinished \.\.\.>$", re.DOTALL)
RESUMED = re.compile(r"^(\d+) +<\.\.\. \w+ resumed>(.*)$", re.DOTALL)
TARGET = re.compile(r"^\d+<([^>]*)>")
PATH = re.compile(r"<((?:\\x[0-9a-f]{2})+)>")
TEXT = re.compile(r'"((?:\\x[0-9a-f]{2})*)"')


@dataclass
class Event:
    """One step that matters: write (path, offset, data), cut (path, offset), sync or gone (path), or ack (names)."""

    kind: str
    path: str = ""
    offset: int = 0
    data: bytes = b""
    names: list[str] = field(default_factory=list)


def events(trace: str, folder: Path) -> list[Event]:
    """The steps in a trace of strace, in the order in which the calls returned."""
    found: list[Event] = []
    begun: dict[str, str] = {}
    for line in trace.splitlines():
        unfinished = UNFINISHED.match(line)
        if unfinished:
            begun[unfinished[1]] = unfinished[2]
            continue
        resumed = RESUMED.match(line)
        if resumed:
            line = f"{resumed[1]} {begun.pop(resumed[1])}{resumed[2]}"
        call = CALL.match(line)
        if call is not None and call[2] == "unlink":
            found.append(Event("gone", as_bytes(call[3].strip('"')).decode()))
            continue
        target = TARGET.match(call[3]) if call else None
        if call is None or target is None or int(call[4]) < 0:
            continue
        path, text = target[1], TEXT.search(call[3])
        data = as_bytes(text[1]) if text else b""
        ours = path.startswith(str(folder)) and "memory.db" in path and not path.endswith(("-shm", ".lock"))
        if call[2] == "pwrite64" and ours:
            found.append(Event("write", path, int(call[3].rsplit(", ", 1)[1]), data[: int(call[4])]))
        elif call[2] == "ftruncate" and ours:
            found.append(Event("cut", path, int(call[3].rsplit(", ", 1)[1])))
        elif call[2] in ("fdatasync", "fsync") and ours:
            found.append(Event("sync", path))
        elif call[2] in ("sendto", "write") and data.startswith(b'{"success":true,"results":'):
            names = [result["name"] for result in json.loads(data)["results"]]
            found.append(Event("ack", names=names))
    return found


def image(steps: list[Event], folder: Path, lose: random.Random) -> set[str]:
    """Make in `folder` what a disk may hold after these steps; gives the names acknowledged by then."""
    synced = {step.path: place for place, step in enumerate(steps) if step.kind == "sync"}
    files: dict[str, bytearray] = {}
    acknowledged: set[str] = set()
    share = lose.choice((0.0, 0.5, 0.9))
    for place, step in enumerate(steps):
        acknowledged.update(step.names)
        if step.kind == "gone":
            files.pop(step.path, None)
        if step.kind not in ("write", "cut") or (place > synced.get(step.path, -1) and lose.random() >= share):
            continue
        content = files.setdefault(step.path, bytearray())
        if step.kind == "cut":
            del content[step.offset :]
            continue
        content.extend(b"\0" * (step.offset - len(content)))
        content[step.offset : step.offset + len(step.data)] = step.data
    for path, content in files.items():
        (folder / Path(path).name).write_bytes(content)
    return acknowledged


def unsynced_acknowledgements(steps: list[Event]) -> int:
    """Acknowledgements sent while the log held a write that was not synced and could be theirs.

    Other requests' writes may follow a sync before its acknowledgements go out; theirs then come with the next sync.
    """
    wrong, synced_names = 0, set[bytes]()
    pending: list[bytes] = []
    for step in steps:
        if step.kind == "write" and step.path.endswith("-wal"):
            pending.append(step.data)
        elif step.kind == "sync":
            synced_names.update(pending)
            pending.clear()
        elif step.kind == "ack":
            known = b"".join(pending)
            wrong += any(name.encode() in known for name in step.names) and not any(
                name.encode() in data for name in step.names for data in synced_names
            )
    return wrong


def record(folder: Path) -> list[Event]:
    """Run the daemon under strace, load it, and give what it did."""
    trace, socket_path = folder / "trace", folder / "s"
    calls = "trace=pwrite64,ftruncate,fdatasync,fsync,sendto,write,unlink"
    command = ["strace", "-f", "-qq", "-y", "-xx", "-s", "200000", "-e", calls, "-e", "signal=none", "-o", str(trace)]
    daemon = [sys.executable, str(ROOT / "memory_db_service.py"), "--db", str(folder / "memory.db")]
    with subprocess.Popen(
        [*command, *daemon, "--socket", str(socket_path)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()

        def create(number: int) -> None:
            with BlockingMemoryClient(str(socket_path)) as client:
                for at in range(CREATES):
                    name = f"client {number} entity {at} of the trace"
                    text = f"{name} says {at * number} things"
                    client.create_entities([{"name": name, "entityType": "thing", "observations": [text]}])

        threads = [threading.Thread(target=create, args=(number,)) for number in range(CLIENTS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        subprocess.run(["pkill", "-TERM", "-P", str(process.pid)], check=True)
    return events(PATH.sub(lambda path: f"<{as_bytes(path[1]).decode(errors='replace')}>", trace.read_text()), folder)


def as_bytes(text: str) -> bytes:
    """What strace wrote in hexadecimal digits."""
    return bytes.fromhex(text.replace("\\x", ""))


def check(folder: Path, acknowledged: set[str]) -> tuple[set[str], bool]:
    """The names an image's store does not have, of those acknowledged; and whether it says that its log was damaged."""
    if not (folder / "memory.db").exists() and not acknowledged:
        return set(), False
    service = MemoryDBService(Settings(db_path=str(folder / "memory.db"), semantic="off"))
    try:
        missing: set[str] = set()
        ordered = sorted(acknowledged)
        for start in range(0, len(ordered), 500):
            reply = service.handle_request({"method": "open_nodes", "params": {"names": ordered[start : start + 500]}})
            missing.update(reply["missing"] if reply["success"] else ordered[start : start + 500])
        return missing, service.upkeep.log_cut_at() is not None
    finally:
        service.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=200, help="power cuts to play through")
    parser.add_argument("--seed", type=int, default=1, help="of the moments and of what is lost")
    parser.add_argument("--json", action="store_true", help="figures as JSON")
    options = parser.parse_args()
    lose = random.Random(options.seed)
    with tempfile.TemporaryDirectory(prefix="em-power-", dir="/tmp") as name:
        folder = Path(name)
        steps = record(folder)
        acknowledgements = sum(step.kind == "ack" for step in steps)
        if acknowledgements != CLIENTS * CREATES:
            sys.exit(
                f"the trace shows {acknowledgements} of {CLIENTS * CREATES} acknowledgements: it was not understood"
            )
        lost: list[Any] = []
        false_alarms = 0
        for number in range(options.images):
            cut = lose.randrange(len(steps) + 1)
            place = folder / f"image{number}"
            place.mkdir()
            acknowledged = image(steps[:cut], place, lose)
            missing, told_damaged = check(place, acknowledged)
            false_alarms += told_damaged and not missing
            if missing:
                lost.append({"image": number, "cut": cut, "missing": sorted(missing)[:5]})
            shutil.rmtree(place)
    figures = {
        "writes": sum(step.kind == "write" for step in steps),
        "syncs": sum(step.kind == "sync" for step in steps),
        "acknowledgements": acknowledgements,
        "acknowledged_before_synced": unsynced_acknowledgements(steps),
        "images": options.images,
        "images_that_lost": len(lost),
        "lost": lost[:5],
        "told_of_damage_that_is_none": false_alarms,
    }
    if options.json:
        print(json.dumps(figures))
    else:
        for key, value in figures.items():
            print(f"{key.replace('_', ' ')}: {value}")
    sys.exit(1 if lost or false_alarms or figures["acknowledged_before_synced"] else 0)


if __name__ == "__main__":
    main()
