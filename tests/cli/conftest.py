"""What the tests of the command line share: a run of it in this process or as one of its own, and a scripted daemon."""

from __future__ import annotations

import io
import json
import os
import socketserver
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from enhanced_memory.cli.main import main
from tests.conftest import PATIENCE_S

ROOT = Path(__file__).parents[2]


@dataclass
class Ended:
    """How a run ended: its exit status and what it printed."""

    status: object
    out: str
    err: str

    @property
    def json(self) -> dict[str, Any]:
        """The one line of JSON on standard output."""
        assert self.out.endswith("\n")
        assert self.out.count("\n") == 1
        reply: dict[str, Any] = json.loads(self.out)
        return reply


Run = Callable[..., Ended]


@pytest.fixture
def run(capfdbinary: pytest.CaptureFixture[bytes], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run the command line in this process, with nobody at the terminal; `stdin` is what it may read."""

    def run_here(*arguments: str, stdin: bytes = b"") -> Ended:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin), encoding="utf-8"))
        capfdbinary.readouterr()
        with pytest.raises(SystemExit) as end:
            main(arguments)
        out, err = capfdbinary.readouterr()
        return Ended(end.value.code, out.decode(), err.decode())

    return run_here


def command(*arguments: str) -> list[str]:
    """The command line as a process of its own would be started."""
    return [sys.executable, "-c", "from enhanced_memory.cli.main import main; main()", *arguments]


def start(*arguments: str, **options: Any) -> subprocess.Popen[bytes]:
    """Start the command line as a process, in the top folder of the project."""
    return subprocess.Popen(command(*arguments), cwd=ROOT, **options)


def at_terminal(*arguments: str, kind: str = "dumb") -> tuple[int, str]:
    """The exit status of a run at a terminal 100 columns wide, and what it shows; a dumb terminal shows plain text."""
    import pty

    ours, theirs = pty.openpty()
    environment = {**os.environ, "COLUMNS": "100", "TERM": kind}
    with start(*arguments, stdin=theirs, stdout=theirs, stderr=theirs, env=environment) as process:
        os.close(theirs)
        shown = b""
        with open(ours, "rb", buffering=0) as screen:
            while part := _read(screen):
                shown += part
        return process.wait(PATIENCE_S), shown.decode().replace("\r\n", "\n")


def _read(screen: io.FileIO) -> bytes:
    """What the terminal shows next, empty when the last program at it has ended."""
    try:
        return screen.read(4096) or b""
    except OSError:  # Linux says so when the other end is closed
        return b""


class StandIn:
    """A daemon whose answers are given by the test; `requests` holds what was asked, in order."""

    def __init__(self, path: Path) -> None:
        self.requests: list[dict[str, Any]] = []
        self.answer: Callable[[str, dict[str, Any]], dict[str, Any]] = lambda _method, _params: {"success": True}
        requests, stand_in = self.requests, self

        class Conversation(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                for line in self.rfile:
                    request = json.loads(line)
                    requests.append(request)
                    reply = stand_in.answer(request["method"], request["params"])
                    self.wfile.write(json.dumps(reply).encode() + b"\n")

        self.server = socketserver.ThreadingUnixStreamServer(str(path), Conversation)
        self.server.daemon_threads = True

    def asked(self, method: str) -> list[dict[str, Any]]:
        """The parameters of every request for `method`."""
        return [request["params"] for request in self.requests if request["method"] == method]


@pytest.fixture
def stand_in(home: Path) -> Iterator[StandIn]:
    """A scripted daemon at the socket of the environment."""
    stand_in = StandIn(Path(os.environ["MEMORY_DB_SOCKET"]))
    thread = threading.Thread(target=stand_in.server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield stand_in
    stand_in.server.shutdown()
    thread.join()
    stand_in.server.server_close()


def write_lines(path: Path, *values: object) -> Path:
    """A file of JSON lines; a value that is text goes in as it is."""
    path.write_text("".join((value if isinstance(value, str) else json.dumps(value)) + "\n" for value in values))
    return path


def entity(name: str, *observations: str, kind: str = "person") -> dict[str, Any]:
    """A line for an entity."""
    return {"type": "entity", "name": name, "entityType": kind, "observations": list(observations)}


def relation(source: str, kind: str, target: str) -> dict[str, Any]:
    """A line for a relation."""
    return {"type": "relation", "from": source, "relationType": kind, "to": target}
