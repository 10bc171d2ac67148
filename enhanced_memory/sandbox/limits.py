"""How much one run may take, in one place; both ends of the pipe hold to these.

Above lie the supervisor, the zygote and the worker; below nothing. Source of the numbers: the contract's section on
code, unless a line says otherwise.
"""

from __future__ import annotations

from typing import Final

MIN_TIMEOUT_S: Final = 0.1
MAX_TIMEOUT_S: Final = 30.0

GRACE_S: Final = 0.5
"""From the polite limit, which code can swallow, to the kill, which it cannot."""

MEMORY_BYTES: Final = 256 * 1024 * 1024
"""Address space of a worker, the interpreter included (about 20 MiB of it)."""

MAX_CALLS: Final = 200
MAX_ENTITIES: Final = 500
ENTITY_LISTS: Final = ("entities", "observations", "deletions", "entityNames")
"""Entities written in one run, and the arguments whose items are entities to be written."""

MAX_STDOUT_BYTES: Final = 64 * 1024
MAX_RESULT_BYTES: Final = 1024 * 1024
"""A result as JSON."""

MAX_ARGUMENTS_BYTES: Final = 2 * 1024 * 1024
"""Arguments of one call as JSON: 500 entities of 4 KiB."""

MAX_CODE_BYTES: Final = 256 * 1024
"""Source text. RestrictedPython takes some 0.2 ms for a snippet, and about 1 s for this much."""

MAX_FROM_WORKER_BYTES: Final = MAX_ARGUMENTS_BYTES + 64 * 1024
"""A message of a worker: the largest arguments, or a result with what was printed, in which a byte may take six."""

MAX_TO_WORKER_BYTES: Final = 16 * 1024 * 1024
"""A message to a worker: its code and variables, or what a call gave. As large as a request may be."""

MAX_NESTING: Final = 60
"""Levels within a result or an argument; the wire takes 64, and a reply adds some of its own."""

MAX_CONTAINERS: Final = 199_900
"""Lists and dicts in a result or in arguments; the wire takes 200,000, and a reply adds some of its own."""

MAX_MESSAGE_CHARS: Final = 500
"""Text of an error that the code raised."""

MAX_RUNS: Final = 4
MAX_WAITING: Final = 16
"""Runs at once, and runs that wait for a place; more are refused as busy."""

WATCH_S: Final = 0.05
"""How often memory is looked at where the system does not enforce its limit."""

WAIT_S: Final = 30.0
"""The longest wait for a place, unless the supervisor is told another: as long as one run may last."""

CHECK_S: Final = 10.0
"""Time for compiling alone; the largest code takes about 1 s."""
