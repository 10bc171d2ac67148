"""What a handler is given besides its arguments: the store's transaction, the time, and who is asking.

Above it lie the operations and the wings; below it only the store's protocol, for types.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

if TYPE_CHECKING:
    from enhanced_memory.settings import Settings
    from enhanced_memory.store.base import Transaction

T = TypeVar("T")


@dataclass(frozen=True)
class Caller:
    """Who asks: the namespace the request works in, and the name the client gave itself, if it gave one."""

    namespace: str = "default"
    client: str | None = None


class Meaning(Protocol):
    """The model that turns texts into vectors, where there is one."""

    model: str

    @property
    def ready(self) -> bool:
        """False while the model is being loaded, and if it could not be."""

    def vector(self, text: str) -> bytes:
        """The text's vector as the store has them. Only when it is ready."""


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
    (sandbox.supervisor.Supervisor.run); `meaning` is None where vectors are off.
    """

    settings: Settings
    write: Callable[[Caller, Callable[[Context], Any]], Any]
    read: Callable[[Caller, Callable[[Context], Any]], Any]
    facts: Callable[[], Mapping[str, Any]]
    scrub: Callable[[Sequence[str]], None]
    running: Callable[[], list[dict[str, Any]]]
    changes: Callable[[int | None, float], Mapping[str, Any]]
    ask: Callable[[Caller, str, Mapping[str, Any]], Mapping[str, Any]]
    run_code: Callable[..., CodeOutcome]
    meaning: Meaning | None = None


@dataclass(frozen=True)
class Context:
    """One request's surroundings. `now` is UTC, ISO 8601 with microseconds and Z; no two writes share one.

    `progress` tells those who ask with list_running how far a long operation is: steps done, steps in all.
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
