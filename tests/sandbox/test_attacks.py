"""Every attack of the corpus, run through the supervisor as any code is: nothing of any is to be seen outside."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from enhanced_memory.errors import EnhancedMemoryError
from enhanced_memory.sandbox.supervisor import Supervisor
from tests.sandbox.conftest import Cell, Sample, samples

pytestmark = [pytest.mark.process, pytest.mark.slow]

SECRET = "the-canary-of-1f0d7c"
TIMEOUT_S = 0.3
AT_ONCE = 3

ATTACKS = samples("attacks.txt")


@dataclass(frozen=True)
class Ending:
    """How an attack ended: `done` or the error's code without `sandbox_`, all that was answered, and after how long."""

    kind: str
    answer: str
    elapsed_s: float


class Canaries:
    """A file, a folder, a socket and a variable that everyone on the machine may use, so that only the sandbox bars."""

    def __init__(self) -> None:
        self.root = Path(tempfile.mkdtemp(prefix="em-", dir="/tmp"))
        self.root.chmod(0o755)
        self.folder = self.root / "folder"
        self.folder.mkdir()
        self.folder.chmod(0o777)
        self.file = self.root / "file"
        self.file.write_text(SECRET)
        self.file.chmod(0o666)
        self.socket_path = self.root / "socket"
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(str(self.socket_path))
        self.socket_path.chmod(0o777)
        self.listener.listen()
        self.listener.setblocking(False)
        os.environ["EM_CANARY"] = SECRET

    def placed_in(self, code: str) -> str:
        """`code` with the places of the canaries."""
        for name, place in (("FILE", self.file), ("FOLDER", self.folder), ("SOCKET", self.socket_path)):
            code = code.replace(f"CANARY_{name}", str(place))
        return code

    def seen(self) -> list[str]:
        """What of them was touched."""
        touched = [str(path) for path in self.folder.iterdir()]
        if self.file.read_text() != SECRET:
            touched.append("file")
        with contextlib.suppress(BlockingIOError):
            self.listener.accept()
            touched.append("socket")
        return touched

    def remove(self) -> None:
        self.listener.close()
        shutil.rmtree(self.root)
        del os.environ["EM_CANARY"]


@dataclass(frozen=True)
class Siege:
    """The attacks, all made, and what was found when they were over."""

    endings: dict[str, Ending]
    touched: list[str]
    left_processes: list[int]
    descriptors_before: int
    descriptors_after: int
    zygote_lasted: bool


@pytest.fixture(scope="module")
def siege() -> Iterator[Siege]:
    """All attacks, a few at a time."""
    canaries = Canaries()
    supervisor = Supervisor()
    cell = Cell(supervisor)
    cell.run("result = 1")
    descriptors_before = psutil.Process().num_fds()
    [zygote] = [child for child in psutil.Process().children() if "zygote" in " ".join(child.cmdline())]

    def attack(sample: Sample) -> Ending:
        started_at = time.monotonic()
        try:
            outcome = cell.run(canaries.placed_in(sample.code), timeout_s=TIMEOUT_S)
            kind, answer = "done", f"{outcome.result} {outcome.stdout}"
        except EnhancedMemoryError as error:
            kind, answer = error.code.removeprefix("sandbox_"), f"{error} {error.details}"
        return Ending(kind, answer, time.monotonic() - started_at)

    with ThreadPoolExecutor(AT_ONCE) as pool:
        endings = dict(zip([sample.name for sample in ATTACKS], pool.map(attack, ATTACKS), strict=True))
    yield Siege(
        endings,
        canaries.seen(),
        [child.pid for child in zygote.children(recursive=True)],
        descriptors_before,
        psutil.Process().num_fds(),
        zygote.is_running(),
    )
    supervisor.close()
    canaries.remove()


def test_no_attack_touches_a_file_a_folder_or_a_socket(siege: Siege) -> None:
    assert siege.touched == []


def test_no_attack_leaves_a_process_or_a_descriptor_and_the_zygote_outlives_them_all(siege: Siege) -> None:
    assert siege.left_processes == []
    assert siege.descriptors_after == siege.descriptors_before
    assert siege.zygote_lasted


def test_the_supervisor_answers_after_all_attacks(siege: Siege, cell: Cell) -> None:
    assert cell.run("result = 1").result == 1


@pytest.mark.parametrize("attack", ATTACKS, ids=[sample.name for sample in ATTACKS])
def test_an_attack_ends_as_it_should_in_time_and_learns_nothing(attack: Sample, siege: Siege) -> None:
    ending = siege.endings[attack.name]
    assert ending.kind in attack.ends.split(", ")
    assert ending.elapsed_s <= TIMEOUT_S + 1
    assert SECRET not in ending.answer
    assert "ESCAPED" not in ending.answer
    assert str(Path(__file__).parents[2]) not in ending.answer  # no path of the host either


def test_no_two_attacks_have_the_same_name() -> None:
    names = [sample.name for sample in ATTACKS]
    assert len(set(names)) == len(names) >= 500
