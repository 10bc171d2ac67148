"""What a handler is given besides its arguments: the store's transaction, the time, and who is asking.

Above it lie the operations and the wings; below it only the store's protocol, for types.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

if TYPE_CHECKING:
    from enhanced_memory.settings import Settings
    from enhanced_memory.store.base import Transaction

T = TypeVar("T")


def _waits() -> bool:
    """Of a caller of whom nothing else is known."""
    return False


@dataclass(frozen=True)
class Caller:
    """Who asks: the namespace the request works in, and the name the client gave itself, if it gave one.

    `code`: code asks that a client had executed; `client` is `sandbox` then, and whatever is written says so.
    `gone` tells whether the client has hung up, so that nobody waits for the answer.
    """

    namespace: str = "default"
    client: str | None = None
    code: bool = False
    gone: Callable[[], bool] = field(default=_waits, compare=False)


class Meaning(Protocol):
    """The model that turns texts into vectors, where there is one."""

    model: str

    @property
    def ready(self) -> bool:
        """False while the model is being loaded, and if it could not be."""

    def vector(self, text: str) -> bytes:
        """The text's vector as the store has them. Only when it is ready."""


class Checks(Protocol):
    """How much time may go into checks of what is written."""

    def is_left(self) -> bool:
        """Whether there is time for a check now."""

    def spend(self, seconds: float) -> None:
        """A check took this long."""


class CodeOutcome(Protocol):
    """What executed code came to."""

    @property
    def result(self) -> Any:
        """JSON data."""

    @property
    def stdout(self) -> str:
        """What was printed."""

    @property
    def execution_time_ms(self) -> float:
        """Milliseconds it took."""

    @property
    def memory_used_mb(self) -> float:
        """Most memory it had."""

    @property
    def operations(self) -> Mapping[str, int]:
        """Calls by name."""


class Upkeep(Protocol):
    """Backups and checks of the store, made beside the requests."""

    def backup(self, path: str | None, progress: Callable[[int, int], None]) -> Mapping[str, Any]:
        """Make one: path, bytes, sha256, entities, problems, deleted."""

    def verify(self, repair: bool, progress: Callable[[int, int], None]) -> Mapping[str, Any]:
        """Check everything, and mend what can be derived: ok, checked, problems, problem_counts, repaired."""


def _untold(done: int, total: int) -> None:
    """Progress of an operation that nobody waits long for."""


@dataclass(frozen=True)
class Service:
    """What the service tells operations about itself.

    `write` and `read` run a function of their own Context in a transaction of its own, for operations that work in
    slices; `facts` gives the figures only the running service knows (uptime, connections, queue); `scrub` overwrites
    what was erased; `running` lists the long operations under way, as list_running tells them; `changes` waits
    for writes, as wait_for_changes tells them; `ask` has another
    operation answered, and raises where it fails; `run_code` executes code in the sandbox
    (sandbox.supervisor.Supervisor.run), `check_code` only compiles it there (Supervisor.check); `checks` tells whether
    there is time to check what was written; `ask_model` gives a language model's answer to its instructions and a
    prompt, or is None where none is connected; `upkeep` makes backups and checks the store; `meaning` is None where
    vectors are off; `curating` is held by the curation that is under way.
    """

    settings: Settings
    write: Callable[[Caller, Callable[[Context], Any]], Any]
    read: Callable[[Caller, Callable[[Context], Any]], Any]
    facts: Callable[[], Mapping[str, Any]]
    scrub: Callable[[Sequence[Sequence[str]]], None]
    running: Callable[[], list[dict[str, Any]]]
    changes: Callable[[int | None, float], Mapping[str, Any]]
    ask: Callable[[Caller, str, Mapping[str, Any]], Mapping[str, Any]]
    run_code: Callable[..., CodeOutcome]
    check_code: Callable[[str], None]
    checks: Checks
    upkeep: Upkeep
    meaning: Meaning | None = None
    ask_model: Callable[[str, str, int], str] | None = None
    curating: threading.Lock = field(default_factory=threading.Lock)


@dataclass(frozen=True)
class Context:
    """One request's surroundings. `now` is UTC, ISO 8601 with microseconds and Z; no two writes share one.

    `progress` tells those who ask with list_running how far a long operation is: steps done, steps in all. It raises
    ShuttingDown when the service is ending, so that the operation ends between two slices.
    """

    store: Transaction
    now: str
    caller: Caller
    service: Service
    progress: Callable[[int, int], None] = _untold

    def write(self, work: Callable[[Context], T]) -> T:
        """Run `work` in a write transaction of its own (for operations declared with `transaction=False`)."""
        done: T = self.service.write(self.caller, work)
        return done

    def read(self, work: Callable[[Context], T]) -> T:
        """Run `work` in a read transaction of its own (for operations declared with `transaction=False`)."""
        done: T = self.service.read(self.caller, work)
        return done
