"""A store on an empty database, with the analyser the service gives it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from enhanced_memory.rules import text
from enhanced_memory.store.sqlite.store import SQLiteStore


class Analyser:
    """The rules' analyser, with a version of its own where a test wants another."""

    label = staticmethod(text.analyse)
    observation = staticmethod(text.subject_and_body)

    def __init__(self, version: int = text.ANALYSER_VERSION) -> None:
        self.version = version


@pytest.fixture
def path(tmp_path: Path) -> str:
    """Where the database lies."""
    return str(tmp_path / "memory.db")


@pytest.fixture
def store(path: str) -> Iterator[SQLiteStore]:
    """A store on an empty database."""
    opened = SQLiteStore(path, Analyser())
    yield opened
    opened.close()


Run = Callable[[Callable[[Any], Any]], Any]


@pytest.fixture
def write(store: SQLiteStore) -> Run:
    """Run a function in a write transaction of the default namespace."""
    return lambda work: store.write(work, "default", 10.0)


@pytest.fixture
def read(store: SQLiteStore) -> Run:
    """Run a function in a read transaction of the default namespace."""
    return lambda work: store.read(work, "default", 10.0)
