"""What running a piece of code can end in, other than its answer.

Above lie the supervisor, which raises these, and whoever calls it; below only the tree they belong to.
"""

from __future__ import annotations

from enhanced_memory.errors import EnhancedMemoryError


class SandboxRejected(EnhancedMemoryError):
    """The code is no Python, or uses what is not available here; nothing of it ran. `details["line"]` says where."""

    code = "sandbox_rejected"


class SandboxError(EnhancedMemoryError):
    """The code raised, its result is no JSON data, or its process ended early.

    `details`: `type` and `message` of the exception, `line` in the code where known, `stdout` where it printed.
    """

    code = "sandbox_error"


class SandboxTimeout(EnhancedMemoryError):
    """The code reached its time limit and was stopped; what it had written to memory stays."""

    code = "sandbox_timeout"


class SandboxMemory(EnhancedMemoryError):
    """The code asked for more memory than it may have and was stopped; what it had written to memory stays."""

    code = "sandbox_memory"
