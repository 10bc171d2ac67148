"""A small model for tests: a vector tells which words a text has, and words that mean the same are one."""

from __future__ import annotations

import hashlib
import math
import re
import struct
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from enhanced_memory.embedding.base import Embedder
from enhanced_memory.service.dispatcher import MemoryDBService
from enhanced_memory.settings import Settings
from tests.operations.conftest import Ask

_SAME = {"automobile": "car", "drives": "car", "physician": "doctor", "kitty": "cat", "feline": "cat"}


class Bag:
    """The model; safe for many threads. `texts` are those it has read."""

    dimensions = 128

    def __init__(self, name: str = "bag") -> None:
        self.name = name
        self.texts: list[str] = []

    def embed(self, texts: Sequence[str]) -> list[bytes]:
        """A vector for each text."""
        self.texts += texts
        return [self._vector(text) for text in texts]

    def _vector(self, text: str) -> bytes:
        numbers = [0.01] * self.dimensions
        for word in re.findall(r"\w+", text.lower()):
            digest = hashlib.sha256(_SAME.get(word, word).encode()).digest()
            for at in range(8):
                numbers[digest[at] % self.dimensions] += 1.0 if digest[at + 8] & 1 else -1.0
        length = math.sqrt(sum(number * number for number in numbers))
        return struct.pack(f"<{self.dimensions}e", *(number / length for number in numbers))


OpenService = Callable[[Embedder | None], MemoryDBService]


@pytest.fixture
def open_service(tmp_path: Path) -> Iterator[OpenService]:
    """Open a service with an embedder on the test's one database; the one before is closed first."""
    opened: list[MemoryDBService] = []

    def open_with(embedder: Embedder | None) -> MemoryDBService:
        if opened:
            opened.pop().close()
        semantic = "off" if embedder is None else "auto"
        settings = Settings.load({"db_path": str(tmp_path / "memory.db"), "semantic": semantic})
        opened.append(MemoryDBService(settings, embedder))
        return opened[0]

    yield open_with
    for service in opened:
        service.close()


def asking(service: MemoryDBService) -> Ask:
    """Ask the service; the reply must be a success."""

    def asked(method: str, /, namespace: str | None = None, **params: Any) -> dict[str, Any]:
        reply = service.handle_request({"method": method, "params": params, "namespace": namespace or "default"})
        assert reply["success"], reply
        return reply

    return asked
