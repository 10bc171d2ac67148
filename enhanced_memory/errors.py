"""The errors every room shares: one tree, each leaf with the wire code that never changes.

Above it lies everything; below it nothing. Standard library only, since the client loads it too.

    EnhancedMemoryError
    ├── RequestError            the caller's to mend
    │   ├── ParseError          parse_error
    │   ├── InvalidRequest      invalid_request
    │   ├── UnknownMethod       unknown_method
    │   ├── InvalidParams       invalid_params
    │   └── TooLarge            too_large
    ├── StateError              what is asked does not fit what is stored
    │   ├── NotFound            not_found
    │   ├── AlreadyExists       already_exists
    │   └── VersionConflict     version_conflict
    ├── ServiceError            the service cannot do it now
    │   ├── Busy                busy
    │   ├── TimedOut            timeout
    │   ├── ShuttingDown        shutting_down
    │   ├── ReadOnly            read_only
    │   ├── DiskFull            disk_full
    │   ├── Corrupt             corrupt
    │   └── ModelFailed         model_failed
    ├── CodeError               code that was to be executed
    │   ├── SandboxRejected     sandbox_rejected
    │   ├── SandboxError        sandbox_error
    │   ├── SandboxTimeout      sandbox_timeout
    │   └── SandboxMemory       sandbox_memory
    ├── Internal                internal
    └── DaemonUnavailable       never on the wire: the client found no daemon to talk to
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar


class EnhancedMemoryError(Exception):
    """Base of every error this project raises on purpose.

    `message` is one sentence for a person, `hint` the way out where there is one, `details` plain data that
    names what is to blame.
    """

    code: ClassVar[str] = "internal"

    def __init__(self, message: str, *, hint: str | None = None, details: Mapping[str, Any] | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.details = details

    def reply(self) -> dict[str, Any]:
        """The failure as it goes over the wire: success, error, code, and hint and details where there are any."""
        reply: dict[str, Any] = {"success": False, "error": self.message, "code": self.code}
        if self.hint is not None:
            reply["hint"] = self.hint
        if self.details is not None:
            reply["details"] = dict(self.details)
        return reply


class RequestError(EnhancedMemoryError):
    """The request itself is wrong; the same request will fail again."""


class ParseError(RequestError):
    """The bytes are not one JSON value within the limits of the wire."""

    code = "parse_error"


class InvalidRequest(RequestError):
    """JSON, but not an object with a string `method` and an object `params`."""

    code = "invalid_request"


class UnknownMethod(RequestError):
    """No operation has this name."""

    code = "unknown_method"


class InvalidParams(RequestError):
    """A parameter is missing, unknown or ill-typed; `details["path"]` names it."""

    code = "invalid_params"


class TooLarge(RequestError):
    """A request, batch, entity or observation is over its limit."""

    code = "too_large"


class StateError(EnhancedMemoryError):
    """The request is well formed, but what is stored does not allow it."""


class NotFound(StateError):
    """An entity, version, branch, conflict or skill that was named is not there."""

    code = "not_found"


class AlreadyExists(StateError):
    """The name is taken."""

    code = "already_exists"


class VersionConflict(StateError):
    """`expected_version` is not the current version; `details` holds both."""

    code = "version_conflict"


class ServiceError(EnhancedMemoryError):
    """The service cannot do this now; the request may be right."""


class Busy(ServiceError):
    """The write queue or the connection limit is full."""

    code = "busy"


class TimedOut(ServiceError):
    """The operation was stopped at its time limit; nothing of it happened."""

    code = "timeout"


class ShuttingDown(ServiceError):
    """The daemon is ending and takes no new work."""

    code = "shutting_down"


class ReadOnly(ServiceError):
    """The database can be read but not written."""

    code = "read_only"


class DiskFull(ServiceError):
    """No space is left for a write; nothing of it happened."""

    code = "disk_full"


class Corrupt(ServiceError):
    """Stored bytes fail their check and are not used."""

    code = "corrupt"


class ModelFailed(ServiceError):
    """A language model could not be asked, or answered something else than it was asked for."""

    code = "model_failed"


class CodeError(EnhancedMemoryError):
    """Code that was to be executed did not come to its answer."""

    execution_time_ms: float = 0.0
    """How long it ran before that; it does not go over the wire."""


class SandboxRejected(CodeError):
    """The code is no Python, or uses what is not available here; nothing of it ran. `details["line"]` says where."""

    code = "sandbox_rejected"


class SandboxError(CodeError):
    """The code raised, its result is no JSON data, or its process ended early.

    `details`: `type` and `message` of the exception, `line` in the code where known, `stdout` where it printed.
    """

    code = "sandbox_error"


class SandboxTimeout(CodeError):
    """The code reached its time limit and was stopped; what it had written to memory stays."""

    code = "sandbox_timeout"


class SandboxMemory(CodeError):
    """The code asked for more memory than it may have and was stopped; what it had written to memory stays."""

    code = "sandbox_memory"


class Internal(EnhancedMemoryError):
    """A defect of ours; the trace is in the log under the request's id."""

    code = "internal"


class DaemonUnavailable(EnhancedMemoryError, ConnectionError):
    """The client could not reach a daemon it may trust, or lost it in the middle of a request."""

    code = "unavailable"
