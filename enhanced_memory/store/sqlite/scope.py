"""What every table of one transaction shares: the connection, the namespace, the time, codec and index queue.

Above it lie the files of the tables; below it the connection.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from enhanced_memory.store.base import Analyser
from enhanced_memory.store.sqlite.connections import Connection
from enhanced_memory.store.sqlite.contents import Contents
from enhanced_memory.store.sqlite.drafts import Ready
from enhanced_memory.store.sqlite.indexing import IndexQueue
from enhanced_memory.store.sqlite.rows import Rows
from enhanced_memory.store.sqlite.signs import Signs
from enhanced_memory.store.sqlite.stamps import stamp

_NO_NAMESPACE = -1
"""Number that no namespace has: a read of an unknown namespace finds nothing."""


class Clock:
    """Stamps that only ever rise, so that the order of writes can be told from their times."""

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self._clock = clock
        self._last = datetime.min.replace(tzinfo=UTC)

    def now(self) -> str:
        """The time, for a read."""
        return stamp(self._clock())

    def tick(self) -> str:
        """The time for a write: later than that of any write before. Called by the writer's thread alone."""
        moment = self._clock()
        if moment <= self._last:
            moment = self._last + timedelta(microseconds=1)
        self._last = moment
        return stamp(moment)


@dataclass
class Scope:
    """One transaction's surroundings. `count_accesses` gathers entity numbers to be written later.

    `signs` holds what all transactions know of the vectors, `ready` by name what will likely be created.
    `namespaces` has the numbers that were looked up; a group of writes shares it until one of them fails.
    """

    connection: Connection
    namespace: str
    now: str
    contents: Contents
    rows: Rows
    analyser: Analyser
    index_queue: IndexQueue
    signs: Signs
    count_accesses: Callable[[Iterable[int]], None]
    ready: Mapping[str, Ready] = field(default_factory=dict)
    namespaces: dict[str, int] = field(default_factory=dict)

    @property
    def namespace_id(self) -> int:
        """The namespace's number, or one that matches nothing if it is not there yet."""
        return self.numbers([self.namespace]).get(self.namespace, _NO_NAMESPACE)

    def numbers(self, namespaces: Iterable[str]) -> dict[str, int]:
        """The numbers of those namespaces that exist."""
        found = {}
        for name in namespaces:
            number = self.namespaces.get(name)
            if number is None:
                row = self.connection.execute("SELECT id FROM namespaces WHERE name = ?", (name,)).fetchone()
                if row is None:
                    continue
                number = self.namespaces[name] = row[0]
            found[name] = number
        return found

    def own_namespace(self) -> int:
        """The namespace's number; made if it is not there. For writes."""
        number = self.namespace_id
        if number == _NO_NAMESPACE:
            (number,) = self.connection.execute(
                "INSERT INTO namespaces (name, created_at) VALUES (?, ?) RETURNING id", (self.namespace, self.now)
            ).fetchone()
            self.namespaces[self.namespace] = number
        return number

    def flush_index(self) -> None:
        """Let this transaction's searches see its own writes, and those of its group."""
        self.index_queue.flush(self.connection)


class _NoAnalyser:
    """For reads, which index nothing."""

    version = 0

    def label(self, _text: str, /) -> Sequence[str]:
        return ()

    def observation(self, _text: str, /) -> tuple[Sequence[str], Sequence[str]]:
        return (), ()


def reading_scope(connection: Connection, contents: Contents) -> Scope:
    """Surroundings of reads outside a store: accesses are not counted, nothing is queued or indexed."""
    return Scope(
        connection, "default", "", contents, Rows(contents), _NoAnalyser(), IndexQueue(), Signs(), lambda _ids: None
    )
