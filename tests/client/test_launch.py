"""Starting the daemon when nobody answers: once, on its own, and with a reason when it does not work.

Some tests start the real daemon, some a small program in its place that does at a start what a daemon should not.
"""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import signal
import socket
import stat
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from enhanced_memory import wire
from enhanced_memory.client import launch
from enhanced_memory.client.launch import ensure_daemon
from enhanced_memory.settings import Settings
from memory_client import BlockingMemoryClient, DaemonUnavailable, MemoryClient
from tests.conftest import PATIENCE_S

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def settings(short_folder: Path) -> Iterator[Settings]:
    """Settings for a fresh machine; whatever daemon was started with them is killed at the end."""
    made = Settings.load(
        {"db_path": str(short_folder / "memories" / "memory.db"), "socket_path": str(short_folder / "memory.sock")}
    )
    yield made
    for process in psutil.process_iter(["cmdline"]):
        if made.db_path in (process.info["cmdline"] or []):
            process.kill()
            process.wait(PATIENCE_S)


def pid_of(settings: Settings) -> int:
    """The process that answers on the socket."""
    with BlockingMemoryClient(settings=settings) as client:
        pid: int = client.ping()["pid"]
        return pid


def kill(pid: int) -> None:
    process = psutil.Process(pid)
    process.kill()
    process.wait(PATIENCE_S)


@pytest.fixture
def program(short_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Have another program started in the daemon's place."""

    def put(source: str) -> None:
        path = short_folder / "program.py"
        path.write_text(source)
        monkeypatch.setattr(launch, "_PROGRAM", path)

    return put


# --------------------------------------------------------------------------------------------------------- the real one


@pytest.mark.process
def test_a_daemon_is_started_once_and_found_from_then_on(settings: Settings) -> None:
    assert ensure_daemon(settings) is True
    pid = pid_of(settings)
    assert ensure_daemon(settings) is False
    assert pid_of(settings) == pid


@pytest.mark.process
def test_a_started_daemon_stands_on_its_own_and_its_files_are_private(settings: Settings) -> None:
    ensure_daemon(settings)
    process = psutil.Process(pid_of(settings))
    assert os.getsid(process.pid) == process.pid
    assert process.cwd() == "/"
    folder = Path(settings.db_path).parent
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o600}
    assert (folder / "daemon.log").exists()


@pytest.mark.process
def test_ten_programs_that_start_together_share_one_daemon(settings: Settings) -> None:
    source = """if True:
        import json, sys
        from enhanced_memory.client.launch import ensure_daemon
        from enhanced_memory.settings import Settings
        from memory_client import BlockingMemoryClient
        settings = Settings.load({"db_path": sys.argv[1], "socket_path": sys.argv[2]})
        print("at the line", flush=True)
        sys.stdin.readline()
        started = ensure_daemon(settings, timeout_s=60)
        print(json.dumps([started, BlockingMemoryClient(settings=settings).ping()["pid"]]))
    """
    command = [sys.executable, "-c", source, settings.db_path, settings.socket_path]
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True, "cwd": ROOT}
    programs = [subprocess.Popen(command, **pipes) for _ in range(10)]
    for each in programs:
        assert each.stdout is not None
        assert each.stdout.readline() == "at the line\n"
    for each in programs:
        assert each.stdin is not None
        each.stdin.write("go\n")
        each.stdin.flush()
    answers = [json.loads(each.communicate(timeout=PATIENCE_S)[0]) for each in programs]
    assert len({pid for _, pid in answers}) == 1
    assert sorted(started for started, _ in answers) == [False] * 9 + [True]


@pytest.mark.process
def test_both_clients_start_a_daemon_and_another_when_that_one_was_killed(settings: Settings) -> None:
    with BlockingMemoryClient(settings=settings, autostart=True) as client:
        client.create_entities([{"name": "tea", "entityType": "drink", "observations": ["Ann likes green tea"]}])
        kill(client.ping()["pid"])
        assert [result["name"] for result in client.search_nodes("green tea")["results"]] == ["tea"]

    async def in_mid_life() -> list[str]:
        async with MemoryClient(settings=settings, autostart=True) as client:
            kill((await client.ping())["pid"])
            replies = await asyncio.gather(*(client.search_nodes("green tea") for _ in range(5)))
            return [reply["results"][0]["name"] for reply in replies]

    assert asyncio.run(in_mid_life()) == ["tea"] * 5


@pytest.mark.process
def test_a_client_asked_while_the_daemon_shuts_down_gets_its_answer_from_the_next(settings: Settings) -> None:
    with BlockingMemoryClient(settings=settings, autostart=True) as client:
        first = client.ping()["pid"]
        os.kill(first, signal.SIGTERM)
        reply = client.create_entities([{"name": "tea", "entityType": "drink", "observations": ["hot"]}])
        assert reply["success"], reply
        assert client.open_nodes(["tea"])["missing"] == []
        assert client.ping()["pid"] != first


@pytest.mark.process
def test_a_stand_in_that_says_it_is_shutting_down_is_replaced(settings: Settings) -> None:
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(settings.socket_path)
    listener.listen()

    def refuse_once() -> None:
        connection, _ = listener.accept()
        listener.close()
        with connection:
            connection.recv(65536)
            connection.sendall(wire.encode({"success": False, "error": "ending", "code": "shutting_down"}))

    server = threading.Thread(target=refuse_once)
    server.start()
    with BlockingMemoryClient(settings=settings, autostart=True) as client:
        assert client.create_entities([{"name": "tea", "entityType": "drink", "observations": ["hot"]}])["success"]
    server.join(PATIENCE_S)


# --------------------------------------------------------------------------------------------------- waiting for others


@pytest.mark.process
@pytest.mark.parametrize("lock", ["lock", "start"])
def test_a_lock_that_another_holds_is_waited_for(
    settings: Settings, lock: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = Path(settings.db_path).parent
    folder.mkdir(mode=0o700)
    pauses = []

    def let_go(seconds: float) -> None:
        assert not Path(settings.socket_path).exists()
        pauses.append(seconds)
        held.close()

    monkeypatch.setattr("enhanced_memory.client.launch.time.sleep", let_go)
    with open(f"{settings.db_path}.{lock}", "w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        assert ensure_daemon(settings) is True
    assert len(pauses) == 1


@pytest.mark.parametrize(
    ("lock", "words"),
    [("lock", "a daemon holds .* and does not answer"), ("start", "another program is starting")],
)
def test_a_lock_that_is_never_given_up_is_reported_in_time(settings: Settings, lock: str, words: str) -> None:
    Path(settings.db_path).parent.mkdir(mode=0o700)
    with open(f"{settings.db_path}.{lock}", "w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(DaemonUnavailable, match=words):
            ensure_daemon(settings, timeout_s=0.1)


def test_a_listener_that_takes_connections_and_never_answers_is_reported_in_time(settings: Settings) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as mute:
        mute.bind(settings.socket_path)
        mute.listen()
        with pytest.raises(DaemonUnavailable, match="takes connections but did not answer"):
            ensure_daemon(settings, timeout_s=0.1)


# ---------------------------------------------------------------------------------------------------- what can go wrong


def test_what_stands_where_the_socket_should_be_is_left_alone_and_nothing_started(settings: Settings) -> None:
    Path(settings.socket_path).write_text("diary")
    with pytest.raises(DaemonUnavailable, match="is not a socket"):
        BlockingMemoryClient(settings=settings, autostart=True).ping()
    assert Path(settings.socket_path).read_text() == "diary"
    assert not Path(settings.db_path).parent.exists()


@pytest.mark.process
def test_a_daemon_that_cannot_start_is_reported_with_the_last_line_of_its_log(settings: Settings) -> None:
    Path(settings.db_path).mkdir(parents=True)
    with pytest.raises(DaemonUnavailable, match="the daemon did not start: ") as caught:
        BlockingMemoryClient(settings=settings, autostart=True).ping()
    [*_, last] = (Path(settings.db_path).parent / "daemon.log").read_text().splitlines()
    assert caught.value.message == f"the daemon did not start: {last}"


def test_only_what_this_start_logged_is_reported(settings: Settings, program: Callable[[str], None]) -> None:
    program("raise SystemExit(1)")
    log = Path(settings.db_path).parent / "daemon.log"
    log.parent.mkdir()
    log.write_text("an old trouble\n")
    with pytest.raises(DaemonUnavailable, match="the daemon did not start: it said nothing"):
        ensure_daemon(settings)
    assert log.read_text() == "an old trouble\n"


def test_a_daemon_is_started_with_nothing_on_its_standard_input(
    settings: Settings, program: Callable[[str], None]
) -> None:
    program("import sys\nsys.exit('read ' + repr(sys.stdin.read()))")
    with pytest.raises(DaemonUnavailable, match="did not start: read ''"):
        ensure_daemon(settings)


def test_every_setting_reaches_the_daemon(settings: Settings, program: Callable[[str], None]) -> None:
    program(
        f"import sys\nsys.path.insert(0, {str(ROOT)!r})\n"
        "from enhanced_memory.settings import Settings\nsys.exit(repr(Settings.load()))\n"
    )
    chosen = Settings.load({**vars(settings), "readers": 7, "autostart": False, "log_level": "DEBUG"})
    with pytest.raises(DaemonUnavailable) as caught:
        ensure_daemon(chosen)
    assert caught.value.message == f"the daemon did not start: {chosen}"


def test_what_systemd_told_this_program_is_not_passed_on(
    settings: Settings, program: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable in ("NOTIFY_SOCKET", "WATCHDOG_USEC", "LISTEN_FDS"):
        monkeypatch.setenv(variable, "7")
    program("import os, sys\nsys.exit(repr([name for name, value in os.environ.items() if value == '7']))")
    with pytest.raises(DaemonUnavailable, match=r"did not start: \[\]$"):
        ensure_daemon(settings)


def test_a_log_that_has_grown_large_is_set_aside_at_a_start(settings: Settings, program: Callable[[str], None]) -> None:
    program("import sys\nsys.exit('new trouble')")
    log = Path(settings.db_path).parent / "daemon.log"
    log.parent.mkdir()
    log.write_bytes(b"x" * (10 * 1024 * 1024 + 1))
    with pytest.raises(DaemonUnavailable, match="did not start: new trouble"):
        ensure_daemon(settings)
    assert log.read_text() == "new trouble\n"
    assert (log.parent / "daemon.log.1").stat().st_size == 10 * 1024 * 1024 + 1


def test_a_database_under_another_name_has_the_same_lock(settings: Settings, short_folder: Path) -> None:
    Path(settings.db_path).parent.mkdir()
    other_name = short_folder / "other.db"
    other_name.symlink_to(settings.db_path)
    with open(f"{settings.db_path}.lock", "w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(DaemonUnavailable, match=r"a daemon holds .*other.db and does not answer"):
            ensure_daemon(Settings.load({**vars(settings), "db_path": str(other_name)}), timeout_s=0.1)


def test_a_folder_that_cannot_be_made_is_reported(settings: Settings) -> None:
    Path(settings.db_path).parent.write_text("a file")
    with pytest.raises(DaemonUnavailable, match=r"cannot start the daemon: .*File exists"):
        ensure_daemon(settings)


def test_a_daemon_that_takes_long_is_left_to_finish_its_start(
    settings: Settings, program: Callable[[str], None], short_folder: Path
) -> None:
    go, done = short_folder / "go", short_folder / "done"
    os.mkfifo(go)
    os.mkfifo(done)
    program(f"open({str(go)!r}).read()\nprint('ready', flush=True)\nopen({str(done)!r}, 'w').write('well')\n")
    with pytest.raises(DaemonUnavailable, match="still starting"):
        ensure_daemon(settings, timeout_s=0.1)
    go.write_text("go")
    assert done.read_text() == "well"


def test_a_daemon_that_ends_leaves_no_zombie(settings: Settings, program: Callable[[str], None]) -> None:
    program("import os\nprint(os.getpid(), flush=True)\nos.read(0, 1)\n")
    before = set(threading.enumerate())
    ensure_daemon(settings)
    for reaper in set(threading.enumerate()) - before:
        reaper.join(PATIENCE_S)
    assert not [child for child in psutil.Process().children() if child.status() == psutil.STATUS_ZOMBIE]
