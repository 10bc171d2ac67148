"""The figures for Prometheus, read with Prometheus' own parser: from the port, and from the file."""

from __future__ import annotations

import http.client
import signal
import socket
import stat
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from enhanced_memory.errors import InvalidParams, ServiceError
from enhanced_memory.service.dispatcher import MemoryDBService
from enhanced_memory.service.metrics import shown
from enhanced_memory.settings import Settings
from tests.conftest import PATIENCE_S, StartDaemon

Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]


@pytest.fixture
def service(tmp_path: Path) -> Iterator[MemoryDBService]:
    """A service on an empty database."""
    opened = MemoryDBService(Settings.load({"db_path": str(tmp_path / "memory.db")}))
    yield opened
    opened.close()


@pytest.fixture
def port() -> int:
    """A port of the loopback address that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        free: int = probe.getsockname()[1]
        return free


def get(port: int, path: str = "/metrics", host: str | None = None) -> tuple[int, str]:
    """Status and text that the port answers with; `host` is what the header Host says, where it is not the truth."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE_S)
    connection.request("GET", path, headers={} if host is None else {"Host": host})
    response = connection.getresponse()
    text = response.read().decode()
    connection.close()
    return response.status, text


def samples(text: str) -> Samples:
    """Every sample of a page, by name and labels."""
    return {
        (sample.name.removeprefix("enhanced_memory_"), tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_the_page_tells_what_health_tells(service: MemoryDBService, port: int) -> None:
    entity = {"name": "Ann", "entityType": "person", "observations": ["drinks tea"]}
    for request in (
        {"method": "create_entities", "params": {"entities": [entity]}},
        {"method": "open_nodes", "params": {}},
        {"method": "Ann's secret"},
    ):
        service.handle_request(request)
    file = Path(service.settings.db_path)
    before = file.stat().st_size
    with shown(f"127.0.0.1:{port}", service):
        status, text = get(port)
    assert status == 200
    told = samples(text)
    assert "Ann" not in text
    assert told["up", ()] == 1
    assert told["entities", ()] == 1
    assert [told["status", (("status", state),)] for state in ("healthy", "degraded", "failing")] == [1, 0, 0]
    assert told["database_bytes", ()] in (
        before,
        file.stat().st_size,
    )  # the log is brought in when nothing else is to do
    assert told["requests_total", (("code", "ok"), ("method", "create_entities"))] == 1
    assert told["requests_total", (("code", "invalid_params"), ("method", "open_nodes"))] == 1
    assert told["requests_total", (("code", "unknown_method"), ("method", "?"))] == 1
    assert told["request_seconds_count", (("method", "create_entities"),)] == 1
    assert told["request_seconds_sum", (("method", "create_entities"),)] > 0
    assert {"wal_bytes", "disk_free_bytes", "queue_depth", "connections", "cpu_seconds_total"} <= {k for k, _ in told}


def test_the_buckets_of_a_histogram_rise_to_the_count(service: MemoryDBService, port: int) -> None:
    for took_s in (0.000_001, 0.003, 0.003, 0.2, 5000.0):
        service.tally.note("ping", "ok", took_s)
    with shown(f"127.0.0.1:{port}", service):
        told = samples(get(port)[1])
    buckets = {float(dict(labels)["le"]): value for (name, labels), value in told.items() if name.endswith("_bucket")}
    values = [buckets[bound] for bound in sorted(buckets)]
    assert values == sorted(values)
    assert values[0] == 1
    assert buckets[float("inf")] == told["request_seconds_count", (("method", "ping"),)] == 5
    for bound, value in buckets.items():
        assert value == sum(took_s <= bound for took_s in (0.000_001, 0.003, 0.003, 0.2, 5000.0))


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:80", "192.168.1.7", "", "[::1", "127.0.0.1.evil.example"]
)
def test_a_request_under_another_name_is_refused(service: MemoryDBService, port: int, host: str) -> None:
    with shown(f"127.0.0.1:{port}", service):
        status, text = get(port, host=host)
        assert (status, "enhanced_memory" in text) == (403, False)
        assert get(port, host="localhost:1234")[0] == 200
        assert get(port, host="[::1]")[0] == 200


def test_nothing_else_is_served(service: MemoryDBService, port: int) -> None:
    with shown(f"localhost:{port}", service):
        assert get(port, "/")[0] == 404
        assert get(port, "/metrics?x=1")[0] == 200


def test_a_program_that_connects_and_says_nothing_does_not_keep_the_page_from_others(
    service: MemoryDBService, port: int
) -> None:
    with shown(f"127.0.0.1:{port}", service), socket.create_connection(("127.0.0.1", port)):
        assert get(port)[0] == 200


@pytest.mark.parametrize(
    "where", ["0.0.0.0:9464", "192.168.1.7:9464", "example.org:9464", ":9464", "9464", "127.0.0.1", "[::]:1", "h:99999"]
)
def test_what_is_not_this_machine_alone_is_refused(service: MemoryDBService, where: str) -> None:
    with pytest.raises(InvalidParams, match="MEMORY_METRICS"), shown(where, service):
        pass


def test_a_port_that_is_taken_is_named(service: MemoryDBService, port: int) -> None:
    with (
        shown(f"127.0.0.1:{port}", service),
        pytest.raises(ServiceError, match=f"port {port}"),
        shown(f"127.0.0.1:{port}", service),
    ):
        pass


def test_the_file_is_written_again_and_again_and_is_gone_at_the_end(service: MemoryDBService, tmp_path: Path) -> None:
    path = tmp_path / "memory.prom"
    with shown(str(path), service, every_s=0.01):
        assert samples(path.read_text())["entities", ()] == 0
        assert stat.S_IMODE(path.stat().st_mode) == 0o644
        first = path.stat().st_ino
        until = time.monotonic() + PATIENCE_S
        while path.stat().st_ino == first:
            assert time.monotonic() < until
        assert samples(path.read_text())["up", ()] == 1
    assert not any(".prom" in file.name for file in tmp_path.iterdir())


def test_a_file_that_cannot_be_written_is_named(service: MemoryDBService, tmp_path: Path) -> None:
    with pytest.raises(ServiceError, match="cannot write the metrics"), shown(str(tmp_path / "no" / "m.prom"), service):
        pass


@pytest.mark.process
def test_the_daemon_shows_its_figures_where_the_setting_says(start_daemon: StartDaemon, port: int) -> None:
    daemon: Any = start_daemon("--metrics", f"127.0.0.1:{port}")
    assert daemon.ask("ping")["success"]
    told = samples(get(port)[1])
    assert told["requests_total", (("code", "ok"), ("method", "ping"))] == 1
    assert told["connections", ()] <= 1
    assert daemon.end(signal.SIGTERM) == 0


@pytest.mark.process
def test_a_daemon_that_cannot_show_them_does_not_start(run_daemon: Any, short_folder: Path) -> None:
    process = run_daemon(
        *("--db", short_folder / "m.db", "--socket", short_folder / "s", "--metrics", "0.0.0.0:9464"),
        stderr=subprocess.PIPE,
    )
    out, err = process.communicate(timeout=PATIENCE_S)
    assert (process.returncode, out) == (1, "")
    assert "may name this machine alone" in err
    assert err.count("\n") == 1
