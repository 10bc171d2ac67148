"""The wall by itself: plain Python inside it gets nowhere, and it says which of its layers are there."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from enhanced_memory.sandbox import confinement, zygote
from tests.sandbox.conftest import Cell

ROOT = Path(__file__).parents[2]

PAYLOADS = {
    "read a file": "open(FOLDER + '/file').read()",
    "write a file": "open(FOLDER + '/file', 'w').write('x')",
    "make a file": "open(FOLDER + '/made', 'w')",
    "list a folder": "os.listdir(FOLDER)",
    "look at a file": "os.stat(FOLDER + '/file')",
    "make a folder": "os.mkdir(FOLDER + '/made-folder')",
    "make a link": "os.symlink('x', FOLDER + '/link')",
    "rename a file": "os.rename(FOLDER + '/file', FOLDER + '/file')",
    "change rights": "os.chmod(FOLDER, 0o777)",
    "change folder": "os.chdir('/')",
    "read the environment": "open('/proc/self/environ').read()",
    "read the memory map of the parent": "open(f'/proc/{PARENT}/maps').read()",
    "list descriptors": "os.listdir('/proc/self/fd')",
    "connect by TCP": "socket.create_connection(('127.0.0.1', PORT))",
    "send by UDP": "socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'x', ('127.0.0.1', PORT))",
    "connect to a Unix socket by its path": "socket.socket(socket.AF_UNIX).connect(SOCKET)",
    "listen on an abstract Unix socket": "socket.socket(socket.AF_UNIX).bind('\\0em-test')",
    "make a pair of sockets": "socket.socketpair()",
    "make a pipe": "os.pipe()",
    "make a file in memory": "os.memfd_create('x')",
    "fork": "os.fork() or os._exit(0)",
    "start a thread": "threading.Thread(target=int).start()",
    "execute a program": "os.execv('/bin/true', ['true'])",
    "signal the parent": "os.kill(PARENT, 0)",
    "signal everyone": "os.kill(-os.getpgid(PARENT), 0)",
    "be traced": "assert ctypes.CDLL(None).ptrace(0, 0, 0, 0) == 0",
    "take back the death with the parent": "assert ctypes.CDLL(None).prctl(1, 0, 0, 0, 0) == 0",
    "make memory that can be executed": "mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)",
    "take 300 MB": "x = bytearray(300 * 1024 * 1024)",
}  # fmt: skip


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """A folder open to all, with a file and a listening socket."""
    path = Path(tempfile.mkdtemp(prefix="em-", dir="/tmp"))
    path.chmod(0o777)
    (path / "file").write_text("x")
    (path / "file").chmod(0o666)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path / "socket"))
        (path / "socket").chmod(0o777)
        listener.listen(100)
        yield path
    shutil.rmtree(path)


def ends(mode: str, payloads: dict[str, str], folder: Path) -> dict[str, str]:
    """How each payload ended in this mode of escaped.py."""
    answer = subprocess.run(
        [sys.executable, str(Path(__file__).with_name("escaped.py")), mode, str(folder)],
        input=json.dumps(payloads),
        env={"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    told: dict[str, str] = json.loads(answer.stdout)
    return told


@pytest.mark.process
@pytest.mark.parametrize("mode", ["confined", "nobody"])
def test_plain_python_in_a_confined_worker_does_nothing_outside(mode: str, folder: Path) -> None:
    how = ends(mode, PAYLOADS, folder)
    stopped = (
        "PermissionError",
        "OSError",
        "MemoryError",
        "RuntimeError",
        "AssertionError",
        "BlockingIOError",
        "signal 31",
    )
    assert {name: end for name, end in how.items() if end not in stopped} == {}
    assert how["execute a program"] == "signal 31"  # SIGSYS
    assert how["take 300 MB"] == "MemoryError"
    assert sorted(path.name for path in folder.iterdir()) == ["file", "socket"]
    assert (folder / "file").read_text() == "x"


@pytest.mark.process
def test_the_same_python_does_it_all_where_nothing_confines_it(folder: Path) -> None:
    inside = folder / "free"
    inside.mkdir()
    (inside / "file").write_text("x")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(inside / "socket"))
        listener.listen(100)
        how = ends("free", PAYLOADS, inside)
    shutil.rmtree(inside)
    del how["execute a program"]  # it is another program then, and says nothing
    assert {name: end for name, end in how.items() if end != "done"} == {}


@pytest.mark.process
def test_what_a_worker_needs_still_works_in_it(folder: Path) -> None:
    needs = {
        "memory": "x = bytearray(100 * 1024 * 1024); del x",
        "time": "import time; time.monotonic(); time.sleep(0.001)",
        "chance": "os.urandom(8)",
        "alarm": "signal.setitimer(signal.ITIMER_REAL, 10)",
        "own signals": "signal.signal(signal.SIGALRM, signal.SIG_DFL)",
    }
    assert ends("confined", needs, folder) == dict.fromkeys(needs, "done")


@pytest.mark.process
def test_the_report_names_every_layer_and_isolation_is_the_kernels(cell: Cell) -> None:
    report = cell.supervisor.confinement_report()
    assert report["isolation"] == "kernel"
    assert list(report["layers"]) == ["guards", "process", *confinement.LAYERS]
    assert report["layers"]["seccomp"] == report["layers"]["limits"] == report["layers"]["no_new_privileges"] == "on"
    assert set(report["layers"].values()) <= {"on", "missing"}


@pytest.mark.parametrize(
    ("missing", "isolation"),
    [
        ([], "kernel"),
        (["landlock", "unprivileged_user"], "kernel"),
        (["seccomp"], "partial"),
        (["limits"], "partial"),
        (["seccomp", "landlock"], "language"),
        (["no_new_privileges", "seccomp", "landlock"], "language"),
    ],
)
def test_isolation_is_the_kernels_only_with_the_filter(missing: list[str], isolation: str) -> None:
    assert confinement.isolation({layer: layer not in missing for layer in confinement.LAYERS}) == isolation


X86_64, AARCH64 = 0xC000003E, 0xC00000B7
ALLOW, DENY, KILL = 0x7FFF0000, 0x00050001, 0x80000000


def verdict(machine: str, architecture: int, number: int, third: int = 0, fourth: int = 0) -> int:
    """What the filter says of a system call: the kernel's BPF, as far as the filter uses it."""
    words = {0: number, 4: architecture, 32: third, 40: fourth}
    program = confinement.program(machine)
    at = loaded = 0
    while True:
        operation, if_true, if_false, operand = program[at]
        at += 1
        if operation == 0x20:
            loaded = words[operand]
        elif operation == 0x06:
            return operand
        else:
            true = {0x15: loaded == operand, 0x35: loaded >= operand, 0x45: bool(loaded & operand)}[operation]
            at += if_true if true else if_false


@pytest.mark.parametrize(
    ("machine", "architecture", "read", "socket_", "execve", "mmap", "mprotect"),
    [("x86_64", X86_64, 0, 41, 59, 9, 10), ("aarch64", AARCH64, 63, 198, 221, 222, 226)],
)
def test_the_filter_lets_through_what_is_named_and_only_memory_that_cannot_be_executed(
    machine: str, architecture: int, read: int, socket_: int, execve: int, mmap: int, mprotect: int
) -> None:
    other = AARCH64 if architecture == X86_64 else X86_64
    assert verdict(machine, architecture, read) == ALLOW
    assert verdict(machine, architecture, socket_) == DENY
    assert verdict(machine, architecture, execve) == KILL
    assert verdict(machine, other, read) == KILL
    assert verdict(machine, architecture, 0x40000000 + read) == KILL
    assert verdict(machine, architecture, mprotect, third=3) == ALLOW
    assert verdict(machine, architecture, mprotect, third=7) == DENY
    assert verdict(machine, architecture, mmap, third=3, fourth=0x22) == ALLOW
    assert verdict(machine, architecture, mmap, third=7, fourth=0x22) == DENY
    assert verdict(machine, architecture, mmap, third=3, fourth=0x02) == DENY
    assert [number for number in range(500) if verdict(machine, architecture, number, 3, 0x22) == ALLOW] == sorted(
        [*confinement.ALLOWED[machine].values(), mmap, mprotect]
    )


def test_the_memory_of_a_process_can_be_seen_and_that_of_none_is_nothing() -> None:
    assert zygote.resident_bytes(os.getpid()) > 1024 * 1024
    process = subprocess.Popen(["true"])
    process.wait()
    assert zygote.resident_bytes(process.pid) == 0
