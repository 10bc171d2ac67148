"""The daemon as a process: how it starts, what it takes and leaves alone, how it ends, and how it comes back."""

from __future__ import annotations

import contextlib
import json
import os
import resource
import shlex
import signal
import socket
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from enhanced_memory import __version__
from enhanced_memory.service.socket_path import listening
from tests.conftest import PATIENCE_S

pytestmark = pytest.mark.process

ROOT = Path(__file__).resolve().parents[2]
RunDaemon = Callable[..., "subprocess.Popen[str]"]
StartDaemon = Callable[..., Any]


def refusal(process: subprocess.Popen[str]) -> str:
    """The one line on standard error of a daemon that did not start."""
    out, err = process.communicate(timeout=PATIENCE_S)
    assert (process.returncode, out) == (1, "")
    assert err.startswith("memory-db-service: ")
    assert err.count("\n") == 1, err
    return err


def mode(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


@pytest.fixture
def systemd(short_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    """Where a daemon of this test sends its notes to systemd."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        receiver.settimeout(PATIENCE_S)
        receiver.bind(str(short_folder / "notify"))
        monkeypatch.setenv("NOTIFY_SOCKET", str(short_folder / "notify"))
        yield receiver


# ------------------------------------------------------------------------------------------------------- starting


def test_it_prints_one_line_when_it_is_ready_and_nothing_more(start_daemon: StartDaemon) -> None:
    daemon = start_daemon()
    pid = daemon.process.pid
    assert daemon.ready_line == f"memory-db-service ready: {daemon.socket_path} (database {daemon.db}, pid {pid})\n"
    assert daemon.ask("ping")["success"]
    assert daemon.end(signal.SIGTERM) == 0
    assert daemon.process.stdout.read() == ""


def test_database_folder_and_socket_are_the_users_alone_whatever_the_umask(
    start_daemon: StartDaemon, short_folder: Path
) -> None:
    daemon = start_daemon(db=short_folder / "new" / "deep" / "memory.db", umask=0)
    assert daemon.ask("ping")["success"]
    assert mode(daemon.socket_path) == 0o600
    assert mode(daemon.db.parent) == mode(daemon.db.parent.parent) == 0o700
    assert {mode(file) for file in daemon.db.parent.iterdir()} == {0o600}


def test_flags_win_over_the_environment_and_the_environment_over_the_default(
    run_daemon: RunDaemon, short_folder: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MEMORY_DB_SOCKET", str(short_folder / "$NAME.sock"))
    monkeypatch.setenv("NAME", "from-environment")
    process = run_daemon("--db", "~/from-flag.db")
    assert process.stdout is not None
    line = process.stdout.readline()
    assert str(short_folder / "from-environment.sock") in line
    assert str(home / "from-flag.db") in line


def test_a_start_with_standard_streams_closed_works(short_folder: Path, systemd: socket.socket) -> None:
    command = [sys.executable, str(ROOT / "memory_db_service.py"), "--db", str(short_folder / "m.db")]
    closed = f"exec {shlex.join(command)} --socket {short_folder / 's'} <&- >&- 2>&-"
    with subprocess.Popen(["/bin/sh", "-c", closed]) as process:
        assert systemd.recv(4096) == b"READY=1"
        with socket.socket(socket.AF_UNIX) as client, client.makefile("rwb") as stream:
            client.connect(str(short_folder / "s"))
            stream.write(b'{"method":"ping"}\n')
            stream.flush()
            assert json.loads(stream.readline())["success"]
        process.terminate()
        assert process.wait(PATIENCE_S) == 0


def test_help_names_a_flag_for_every_setting_of_the_daemon(run_daemon: RunDaemon) -> None:
    out, _ = run_daemon("--help").communicate(timeout=PATIENCE_S)
    for flag in ("--db", "--socket", "--log-level", "--max-connections", "--request-timeout-s", "--version"):
        assert f"  {flag} " in out
    for clients_own in ("--namespace", "--tools", "--autostart"):
        assert clients_own not in out


def test_version_names_the_program(run_daemon: RunDaemon) -> None:
    out, _ = run_daemon("--version").communicate(timeout=PATIENCE_S)
    assert out.startswith("memory-db-service 0.")


@pytest.mark.parametrize("flags", [["--max-connections", "0"], ["--log-level", "LOUD"], ["--no-such-flag"]])
def test_a_wrong_flag_ends_with_status_2_and_a_sentence(run_daemon: RunDaemon, flags: list[str]) -> None:
    process = run_daemon(*flags, stderr=subprocess.PIPE)
    _, err = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 2
    assert "Error: " in err


# ----------------------------------------------------------------------------------------- what it takes and leaves


def test_a_second_daemon_on_the_same_database_is_refused_while_the_first_answers(
    start_daemon: StartDaemon, run_daemon: RunDaemon, short_folder: Path
) -> None:
    first = start_daemon()
    second = run_daemon("--db", first.db, "--socket", short_folder / "other", stderr=subprocess.PIPE)
    assert f"pid {first.process.pid}" in refusal(second)
    assert not (short_folder / "other").exists()
    assert first.ask("ping")["success"]


def test_a_second_name_of_the_database_is_the_same_database(
    start_daemon: StartDaemon, run_daemon: RunDaemon, short_folder: Path
) -> None:
    first = start_daemon()
    (short_folder / "link.db").symlink_to(first.db)
    second = run_daemon("--db", short_folder / "link.db", "--socket", short_folder / "other", stderr=subprocess.PIPE)
    assert f"pid {first.process.pid}" in refusal(second)


def test_a_second_daemon_on_the_same_socket_is_refused_while_the_first_answers(
    start_daemon: StartDaemon, run_daemon: RunDaemon, short_folder: Path
) -> None:
    first = start_daemon()
    inode = first.socket_path.stat().st_ino
    second = run_daemon("--db", short_folder / "b.db", "--socket", first.socket_path, stderr=subprocess.PIPE)
    assert f"pid {first.process.pid}" in refusal(second)
    assert first.socket_path.stat().st_ino == inode
    assert first.ask("ping")["success"]


def test_of_daemons_that_start_together_on_one_socket_exactly_one_wins(
    run_daemon: RunDaemon, short_folder: Path
) -> None:
    path = short_folder / "s"
    with socket.socket(socket.AF_UNIX) as stale:  # what each of them finds there and may replace
        stale.bind(str(path))
    processes = [
        run_daemon("--db", short_folder / f"{number}.db", "--socket", path, stderr=subprocess.PIPE)
        for number in range(4)
    ]
    lines = [process.stdout.readline() for process in processes if process.stdout is not None]
    winners = [process for process, line in zip(processes, lines, strict=True) if line]
    assert len(winners) == 1
    for process in processes:
        if process not in winners:
            assert f"pid {winners[0].pid}" in refusal(process)
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(path))


def test_a_socket_on_which_another_program_listens_is_left_alone(run_daemon: RunDaemon, short_folder: Path) -> None:
    path = short_folder / "s"
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(path))
        other.listen()
        process = run_daemon("--db", short_folder / "m.db", "--socket", path, stderr=subprocess.PIPE)
        assert str(path) in refusal(process)
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(path))


@pytest.mark.parametrize("kind", ["a file", "a folder", "a link", "a pipe"])
def test_what_is_no_socket_is_left_alone_and_named(run_daemon: RunDaemon, short_folder: Path, kind: str) -> None:
    path = short_folder / "s"
    with socket.socket(socket.AF_UNIX) as stale:
        stale.bind(str(short_folder / "target"))
    if kind == "a file":
        path.touch()
    elif kind == "a folder":
        path.mkdir()
    elif kind == "a pipe":
        os.mkfifo(path)
    else:
        path.symlink_to(short_folder / "target")
    before = path.lstat()
    process = run_daemon("--db", short_folder / "m.db", "--socket", path, stderr=subprocess.PIPE)
    assert f"{path} is {kind} " in refusal(process)
    assert path.lstat() == before


def test_a_socket_path_over_the_limit_is_refused_in_a_sentence(run_daemon: RunDaemon, short_folder: Path) -> None:
    path = short_folder / ("x" * (108 - len(str(short_folder)) - 1))
    process = run_daemon("--db", short_folder / "m.db", "--socket", path, stderr=subprocess.PIPE)
    assert "has 108 bytes and may have 107" in refusal(process)


def test_a_socket_path_of_the_largest_length_is_served(start_daemon: StartDaemon, short_folder: Path) -> None:
    path = short_folder / ("x" * (107 - len(str(short_folder)) - 1))
    assert start_daemon(socket_path=path).ask("ping")["success"]


def test_a_database_whose_folder_cannot_be_made_is_refused_in_a_sentence(
    run_daemon: RunDaemon, short_folder: Path
) -> None:
    (short_folder / "file").touch()
    process = run_daemon("--db", short_folder / "file" / "m.db", "--socket", short_folder / "s", stderr=subprocess.PIPE)
    assert str(short_folder / "file" / "m.db") in refusal(process)


# --------------------------------------------------------------------------------------------------------- ending


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_with_status_0_and_nothing_is_left_but_the_database(
    start_daemon: StartDaemon, short_folder: Path, signum: int
) -> None:
    daemon = start_daemon()
    assert daemon.ask("ping")["success"]
    assert daemon.end(signum) == 0
    assert [file.name for file in short_folder.iterdir()] == ["memory.db"]


def test_what_was_sent_before_the_end_is_answered_and_what_was_acknowledged_is_kept(start_daemon: StartDaemon) -> None:
    daemon = start_daemon()
    requests = [
        {
            "method": "create_entities",
            "params": {"entities": [{"name": f"e{number}", "entityType": "thing", "observations": ["one"]}]},
        }
        for number in range(200)
    ]
    with daemon.connect() as client, client.makefile("rb") as replies:
        client.sendall("".join(json.dumps(request) + "\n" for request in requests).encode())
        first = json.loads(replies.readline())
        assert first["success"]
        daemon.process.send_signal(signal.SIGTERM)
        answers = [first, *map(json.loads, replies)]
    assert daemon.process.wait(PATIENCE_S) == 0
    acknowledged = sum(answer["success"] for answer in answers)
    assert len(answers) == 200
    assert {answer["code"] for answer in answers if not answer["success"]} <= {"shutting_down"}
    assert start_daemon().ask("get_memory_status")["total_entities"] == acknowledged


def test_a_second_signal_ends_it_without_waiting_for_a_slow_client(
    start_daemon: StartDaemon, systemd: socket.socket, home: Path
) -> None:
    daemon = start_daemon()
    assert systemd.recv(4096) == b"READY=1"
    entities = [{"name": f"e{n}", "entityType": "t", "observations": [f"{n} " + "x" * 50_000]} for n in range(20)]
    assert daemon.ask("create_entities", {"entities": entities})["success"]
    with daemon.connect() as client:
        client.sendall(b'{"method":"read_graph"}\n')
        client.recv(1)  # the reply has begun, and nobody takes the rest
        daemon.process.send_signal(signal.SIGTERM)
        assert systemd.recv(4096) == b"STOPPING=1"
        assert daemon.process.poll() is None
        daemon.process.send_signal(signal.SIGTERM)
        assert daemon.process.wait(PATIENCE_S) == 0
    assert "they are cut off" not in (home / "daemon0.log").read_text()  # as after the 10 s of waiting


def test_a_socket_path_that_was_left_is_not_taken_again(short_folder: Path) -> None:
    path = short_folder / "s"
    with listening(str(path), backlog=1) as place:
        assert place.retake() is None
        path.unlink()
        place.server.close()
        taken = place.retake()
        assert taken is not None
        assert path.exists()
    assert not path.exists()
    assert place.retake() is None
    assert not path.exists()
    taken.close()


def test_a_socket_that_has_come_in_the_place_of_its_own_is_left_alone(start_daemon: StartDaemon) -> None:
    daemon = start_daemon()
    daemon.socket_path.unlink()
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(daemon.socket_path))
        assert daemon.end(signal.SIGTERM) == 0
        assert daemon.socket_path.exists()


def test_after_a_kill_it_starts_again_over_what_was_left(start_daemon: StartDaemon) -> None:
    killed = start_daemon()
    entity = {"name": "Ann", "entityType": "person", "observations": ["likes tea"]}
    assert killed.ask("create_entities", {"entities": [entity]})["success"]
    assert killed.end(signal.SIGKILL) == -signal.SIGKILL
    assert killed.socket_path.exists()
    daemon = start_daemon()
    assert daemon.ask("get_memory_status")["total_entities"] == 1
    assert mode(daemon.socket_path) == 0o600


# ---------------------------------------------------------------------------------------------------- its surroundings


def test_its_log_begins_with_the_versions_of_itself_and_of_sqlite(start_daemon: StartDaemon, home: Path) -> None:
    daemon = start_daemon()
    assert daemon.end(signal.SIGTERM) == 0
    first = (home / "daemon0.log").read_text().splitlines()[0]
    assert first.endswith(f" INFO version {__version__}, SQLite {sqlite3.sqlite_version}, schema 3")


@pytest.mark.parametrize("opened_by", ["a client", "a shell"])
def test_a_log_file_that_a_client_opened_for_it_is_kept_small_and_one_that_a_shell_opened_is_left_alone(
    start_daemon: StartDaemon, home: Path, opened_by: str
) -> None:
    path, most = home / "large.log", 10 * 1024 * 1024
    path.write_bytes(b"".join(b"%9d\n" % number for number in range(most // 10 + 1)))
    access = os.O_RDWR if opened_by == "a client" else os.O_WRONLY
    with os.fdopen(os.open(path, access | os.O_APPEND), "rb" if opened_by == "a client" else "ab") as file:
        daemon = start_daemon(stderr=file)
    assert daemon.end(signal.SIGTERM) == 0
    lines = path.read_bytes().split(b"\n")
    assert lines[-2].endswith(b" INFO ended")
    if opened_by == "a shell":
        assert path.stat().st_size > most
        assert lines[0] == b"        0"
    else:
        assert most / 2 - 10 < path.stat().st_size < most / 2 + 10_000
        numbers = [int(line) for line in lines if line.strip().isdigit()]
        assert numbers == list(range(numbers[0], most // 10 + 1))


def test_a_pipe_on_standard_error_that_nobody_reads_holds_up_no_request(start_daemon: StartDaemon) -> None:
    daemon = start_daemon("--log-level", "DEBUG", stderr=subprocess.PIPE)
    with daemon.connect() as client, client.makefile("rb") as replies:
        for _ in range(5):
            client.sendall(b'{"method":"ping"}\n' * 1000)
            assert all(json.loads(replies.readline())["success"] for _ in range(1000))
    assert daemon.end(signal.SIGTERM) == 0


def test_without_descriptors_a_newcomer_is_told_busy_and_those_who_are_there_are_served(
    start_daemon: StartDaemon,
) -> None:
    limit = 48
    daemon = start_daemon(preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit)))
    with contextlib.ExitStack() as stack:
        codes = []
        clients = [stack.enter_context(daemon.connect()) for _ in range(limit)]
        for client in clients:
            with contextlib.suppress(BrokenPipeError):  # told already
                client.sendall(b'{"method":"ping"}\n')
            codes.append(json.loads(client.recv(4096)).get("code"))
        assert codes == sorted(codes, key=bool)
        assert set(codes) == {None, "busy"}
        clients[0].sendall(b'{"method":"ping"}\n')
        assert json.loads(clients[0].recv(4096))["success"]
        clients[0].shutdown(socket.SHUT_WR)
        assert clients[0].recv(4096) == b""  # its descriptor is free now, or will be in an instant
        while not daemon.ask("ping")["success"]:
            pass
    assert daemon.end(signal.SIGTERM) == 0


def test_systemd_hears_of_readiness_of_life_and_of_the_end(
    start_daemon: StartDaemon, systemd: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WATCHDOG_USEC", "30000")
    daemon = start_daemon()
    assert systemd.recv(4096) == b"READY=1"
    assert [systemd.recv(4096) for _ in range(3)] == [b"WATCHDOG=1"] * 3
    assert daemon.end(signal.SIGTERM) == 0
    systemd.setblocking(False)
    notes = []
    with contextlib.suppress(BlockingIOError):
        while True:
            notes.append(systemd.recv(4096))
    assert b"STOPPING=1" in notes


def test_a_watchdog_meant_for_another_process_is_not_fed(
    start_daemon: StartDaemon, systemd: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WATCHDOG_USEC", "1000")
    monkeypatch.setenv("WATCHDOG_PID", "1")
    daemon = start_daemon()
    assert daemon.end(signal.SIGTERM) == 0
    assert [systemd.recv(4096), systemd.recv(4096)] == [b"READY=1", b"STOPPING=1"]


def test_a_socket_of_systemds_is_served_and_left_in_place(short_folder: Path, systemd: socket.socket) -> None:
    path = short_folder / "activated"
    command = [sys.executable, str(ROOT / "memory_db_service.py"), "--db", str(short_folder / "m.db")]
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        server.listen()
        start_as_systemd_does = (
            "import os, sys; os.dup2(int(sys.argv[1]), 3); "
            "os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS='1'); os.execv(sys.argv[2], sys.argv[2:])"
        )
        with (
            socket.socket(socket.AF_UNIX) as client,
            subprocess.Popen(
                [sys.executable, "-c", start_as_systemd_does, str(server.fileno()), *command],
                pass_fds=[server.fileno()],
                stdout=subprocess.PIPE,
                text=True,
            ) as process,
        ):
            client.settimeout(PATIENCE_S)
            client.connect(str(path))
            client.sendall(b'{"method":"ping"}\n')
            assert json.loads(client.recv(4096))["success"]
            assert systemd.recv(4096) == b"READY=1"
            process.terminate()
            assert process.wait(PATIENCE_S) == 0
            assert process.stdout is not None
            assert process.stdout.read().startswith(f"memory-db-service ready: {path} ")
        assert path.exists()
        with socket.socket(socket.AF_UNIX) as late:
            late.connect(str(path))  # waits in the queue for the next daemon
