"""The service without its socket, and a witness: every reply is held against the shape its operation declares."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from enhanced_memory.registry import operations
from enhanced_memory.service.dispatcher import MemoryDBService
from enhanced_memory.settings import Settings

Ask = Callable[..., dict[str, Any]]


@pytest.fixture
def service(tmp_path: Path) -> Iterator[MemoryDBService]:
    """A service on an empty database."""
    opened = MemoryDBService(Settings.load({"db_path": str(tmp_path / "memory.db")}))
    yield opened
    opened.close()


@pytest.fixture
def ask(service: MemoryDBService) -> Ask:
    """Ask the service, and check that the reply has the declared shape."""

    def asked(method: str, /, namespace: str | None = None, **params: Any) -> dict[str, Any]:
        request: dict[str, Any] = {"method": method, "params": params}
        if namespace is not None:
            request["namespace"] = namespace
        reply = service.handle_request(request)
        if reply["success"]:
            operations()[method].check_result({key: value for key, value in reply.items() if key != "success"})
        else:
            assert reply.keys() <= {"success", "error", "code", "hint", "details"}
            assert reply["code"] != "internal", reply
        return reply

    return asked


@pytest.fixture
def remember(ask: Ask) -> Callable[..., dict[str, Any]]:
    """Create one entity; gives its line of the reply."""

    def create(name: str, *observations: str, type_: str = "thing", **fields: Any) -> dict[str, Any]:
        entity = {"name": name, "entityType": type_, "observations": list(observations), **fields}
        reply = ask("create_entities", entities=[entity])
        assert reply["success"], reply
        written: dict[str, Any] = reply["results"][0]
        return written

    return create
