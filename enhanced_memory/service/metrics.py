"""The figures of get_system_health for Prometheus: as a page on a loopback port, or as a file for its node exporter.

Above it lies main, which shows them if the settings ask for it; below it the dispatcher's figures and the library
prometheus-client, which is loaded only then. They are counts, sizes and times: no name and no text of a memory.
"""

from __future__ import annotations

import contextlib
import ipaddress
import logging
import os
import socket
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import TYPE_CHECKING, Any, Final, Protocol
from urllib.parse import urlsplit

from enhanced_memory.errors import EnhancedMemoryError, InvalidParams, ServiceError
from enhanced_memory.service.tally import BOUNDS_S, Figures, Tally

if TYPE_CHECKING:
    from prometheus_client.core import Metric

log = logging.getLogger(__name__)

_PREFIX: Final = "enhanced_memory"

_EVERY_S: Final = 15.0
"""How often the file is written; Prometheus' own exporters are asked about as often."""

_KEEP_S: Final = 1.0
"""A page younger than this is given again: whoever asks without a pause costs little."""

_PATIENCE_S: Final = 2.0
"""How long a program that connects to the port may take over each part of its request."""

_BUCKETS: Final = tuple(range(7, 13 * 8, 8))
"""The steps of the tally at whose ends the histogram is cut: 13 of them, each four times the one before."""

_CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"


class Service(Protocol):
    """What is shown: the reply of get_system_health, the figures behind it, and the requests that were counted."""

    tally: Tally

    def health(self) -> dict[str, Any]: ...

    def facts(self) -> Mapping[str, Any]: ...


@contextlib.contextmanager
def shown(where: str, service: Service, *, every_s: float = _EVERY_S) -> Iterator[None]:
    """Show the figures at `where` until the end: an address with a port, or a path that ends in .prom.

    Raises: InvalidParams: it is neither, or no loopback address.
            ServiceError: the port is taken, the file cannot be written, or prometheus-client is not installed.
    """
    page = _Page(service)
    with _written(where, page.text, every_s) if where.endswith(".prom") else _served(_address(where), page.text):
        yield


# ---------------------------------------------------------------------------------------------------------- the page


class _Page:
    """Makes the text from the figures of the moment. Safe for many threads."""

    def __init__(self, service: Service) -> None:
        try:
            from prometheus_client import CollectorRegistry, generate_latest
        except ImportError:
            raise ServiceError(
                "MEMORY_METRICS needs the package prometheus-client, which is not installed",
                hint='install it with: pip install "enhanced-memory[metrics]"',
            ) from None
        self._service = service
        self._lock = threading.Lock()
        self._made_at = float("-inf")
        self._text = b""
        registry = CollectorRegistry()
        registry.register(self)
        self._made: Callable[[], bytes] = lambda: generate_latest(registry)

    def describe(self) -> Iterable[Metric]:
        """Nothing: else the registry would collect to learn the names."""
        return ()

    def collect(self) -> Iterator[Metric]:
        """Every figure as the library has them."""
        from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily

        health, facts = self._service.health(), self._service.facts()
        versions = {key: str(health[key]) for key in ("version", "sqlite_version", "schema_version")}
        yield InfoMetricFamily(_PREFIX, "Versions of the program, of SQLite and of the tables.", versions)
        status = GaugeMetricFamily(f"{_PREFIX}_status", "1 for the state the service is in.", labels=["status"])
        for state in ("healthy", "degraded", "failing"):
            status.add_metric([state], health["status"] == state)
        yield status
        for name, meaning, value in _gauges(health, facts):
            if value is not None:
                yield GaugeMetricFamily(f"{_PREFIX}_{name}", meaning, value)
        yield CounterMetricFamily(f"{_PREFIX}_cpu_seconds", "Time of processors it has used.", time.process_time())
        for name in ("commits", "committed_requests"):
            meaning = f"{name.replace('_', ' ').capitalize()} since the start."
            yield CounterMetricFamily(f"{_PREFIX}_{name}", meaning, facts[name])
        yield from _requests(self._service.tally.figures())

    def text(self) -> bytes:
        """The page in Prometheus' text format. Raises: EnhancedMemoryError: the service is ending."""
        with self._lock:
            if time.monotonic() - self._made_at >= _KEEP_S:
                self._text, self._made_at = self._made(), time.monotonic()
            return self._text


def _gauges(health: Mapping[str, Any], facts: Mapping[str, Any]) -> Iterator[tuple[str, str, float | None]]:
    """Name, meaning and value of each figure that goes up and down; None where it is not known."""
    condition = facts["condition"]
    backup = health["last_backup"]
    yield "up", "1 while the service answers.", 1
    yield "entities", "Entities of all namespaces.", health["total_entities"]
    yield "database_bytes", "Size of the database's file.", condition.store_bytes
    yield "wal_bytes", "Size of its write-ahead log.", condition.log_bytes
    yield "disk_free_bytes", "Free space on its disk.", condition.disk_free_bytes
    yield "resident_memory_bytes", "Memory that the daemon holds.", facts["memory_usage_bytes"]
    yield "uptime_seconds", "Time since the start.", health["uptime_s"]
    yield "connections", "Open connections.", health["connections"]
    yield "queue_depth", "Writes that wait for the writer.", health["queue_depth"]
    yield (
        "last_backup_timestamp_seconds",
        "When the newest backup was made.",
        None if backup is None else datetime.fromisoformat(backup).timestamp(),
    )


def _requests(figures: Mapping[str, Figures]) -> Iterator[Metric]:
    """How many requests of each operation ended how, and how long they took."""
    from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily

    ended = CounterMetricFamily(f"{_PREFIX}_requests", "Requests answered.", labels=["method", "code"])
    took = HistogramMetricFamily(f"{_PREFIX}_request_seconds", "Time to answer a request.", labels=["method"])
    for method, each in figures.items():
        for code, count in sorted(each.codes.items()):
            ended.add_metric([method, code], count)
        buckets = [(f"{BOUNDS_S[step]:.6g}", float(sum(each.steps[: step + 1]))) for step in _BUCKETS]
        took.add_metric([method], [*buckets, ("+Inf", float(each.count))], each.seconds)
    yield ended
    yield took


# ---------------------------------------------------------------------------------------------------------- the port


def _address(where: str) -> tuple[str, int]:
    """The loopback address and port that `where` names. Raises: InvalidParams."""
    try:
        parts = urlsplit(f"//{where}")
        host, port = parts.hostname or "", parts.port
    except ValueError:
        host, port = "", None
    if port is None or parts.path or parts.username is not None:
        raise InvalidParams(
            f"MEMORY_METRICS must be an address with a port, as 127.0.0.1:9464, or a path that ends in .prom, "
            f"not {where!r}"
        )
    if not _is_loopback(host):
        raise InvalidParams(
            f"MEMORY_METRICS may name this machine alone, as 127.0.0.1 does, and not {host}",
            hint="let a proxy that asks for a password carry the page elsewhere",
        )
    return ("127.0.0.1" if host == "localhost" else host), port


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class _Handler(BaseHTTPRequestHandler):
    """One request: the page, for programs of this machine that know whom they talk to."""

    timeout = _PATIENCE_S
    server: _Server

    def do_GET(self) -> None:  # noqa: N802, RUF100 - the name is the library's
        """Answer GET /metrics."""
        # A page of the web whose name was made to lead to this machine would ask under that name.
        try:
            host = urlsplit(f"//{self.headers.get('Host', '')}").hostname or ""
        except ValueError:
            host = ""
        if not _is_loopback(host):
            self._answer(403, b"This page is for programs of this machine: ask for 127.0.0.1.\n")
        elif urlsplit(self.path).path != "/metrics":
            self._answer(404, b"The figures are at /metrics.\n")
        else:
            try:
                self._answer(200, self.server.text(), _CONTENT_TYPE)
            except EnhancedMemoryError as error:
                self._answer(503, f"{error.message}\n".encode())

    def _answer(self, status: int, body: bytes, content_type: str = "text/plain; charset=utf-8") -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def version_string(self) -> str:
        """What the header Server says."""
        return "enhanced-memory"

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name is the library's
        """What http.server would print."""
        log.debug(f"metrics: {format}", *args)


class _Server(HTTPServer):
    """One request at a time: the page is for one program that asks now and then."""

    def __init__(self, address: tuple[str, int], text: Callable[[], bytes]) -> None:
        self.address_family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        self.text = text
        super().__init__(address, _Handler)

    def handle_error(self, *_: Any) -> None:
        """A request that ended in an exception, as a rule since its program went away."""
        log.debug("metrics: a request was dropped", exc_info=True)


@contextlib.contextmanager
def _served(address: tuple[str, int], text: Callable[[], bytes]) -> Iterator[None]:
    """Serve the page until the end. Raises: ServiceError."""
    try:
        server = _Server(address, text)
    except OSError as error:
        raise ServiceError(
            f"cannot listen on {address[0]} port {address[1]} for metrics: {error.strerror}",
            hint="choose another port in MEMORY_METRICS",
        ) from error
    with server:
        thread = threading.Thread(target=server.serve_forever, name="metrics", daemon=True)
        thread.start()
        host = f"[{address[0]}]" if ":" in address[0] else address[0]
        log.info("metrics: http://%s:%d/metrics", host, server.server_address[1])
        try:
            yield
        finally:
            server.shutdown()
            thread.join()


# ---------------------------------------------------------------------------------------------------------- the file


@contextlib.contextmanager
def _written(path: str, text: Callable[[], bytes], every_s: float) -> Iterator[None]:
    """Write the page to `path` every so often, and remove it at the end. Raises: ServiceError."""
    try:
        _write(path, text())
    except OSError as error:
        raise ServiceError(
            f"cannot write the metrics to {path}: {error.strerror}", hint="choose another path in MEMORY_METRICS"
        ) from error
    ended = threading.Event()

    def keep_writing() -> None:
        failing = False
        while not ended.wait(every_s):
            try:
                _write(path, text())
                failing = False
            except (OSError, EnhancedMemoryError) as error:
                if not failing:
                    log.warning("metrics: %s is not written: %s", path, error)
                failing = True

    thread = threading.Thread(target=keep_writing, name="metrics", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
        with contextlib.suppress(OSError):  # what is there would be taken for the figures of a daemon that runs
            os.unlink(path)


def _write(path: str, text: bytes) -> None:
    """Replace the file at once. It may be read by all: the exporter that reads it runs as another user."""
    beside = f"{path}.{os.getpid()}"
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        with open(descriptor, "wb") as file:
            file.write(text)
            os.fchmod(descriptor, 0o644)
        os.replace(beside, path)
    except BaseException:
        os.unlink(beside)
        raise
