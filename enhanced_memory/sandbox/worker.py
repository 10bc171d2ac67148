"""One run, from a fork of the zygote to the answer: hostile territory, used once.

Above lies the zygote, which forks it and kills it at the hard limit; below the policy, which compiles, and
confinement. It speaks with the supervisor over descriptor 3, and whatever it says there may be a lie.

Messages to the supervisor, by `kind`: `call` {name, arguments}; and as the last one `done` {result, stdout},
`rejected` {message, line}, `error` {type, message, line, stdout}, `timeout` {stdout}, `memory` {stdout} or
`unconfined`. From it: first {code, context_vars, functions, only_compile}, then one {value} or {error} a call.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NoReturn

import timeout_decorator  # type: ignore[import-untyped]

from enhanced_memory.sandbox import confinement, frames, limits, policy
from enhanced_memory.sandbox.plain import NotPlain, to_plain

PIPE: Final = 3
"""Descriptor through which a worker speaks with the supervisor."""

_AGAIN_S: Final = 0.2
"""A `finally` with `continue` swallows any exception: the polite limit is raised anew this often."""

_RESERVE_BYTES: Final = 1024 * 1024
"""Let go when memory has run out, so that there is some to say so."""


class TimeLimit(BaseException):
    """The polite limit; its name is unknown to the code, and `except Exception` does not catch it."""

    raised = False

    def __init__(self) -> None:
        super().__init__()
        TimeLimit.raised = True


class OperationError(Exception):
    """A memory operation failed: `message`, the wire's `code`, and `hint` where there is a way out."""

    def __init__(self, message: str, code: str = "internal", hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.code = code
        self.hint = hint


def enter(pipe: int, timeout_s: float, zygote: int) -> dict[str, bool]:
    """Leave the zygote's world for good: a session of its own, no descriptors but `pipe` (as 3), confinement."""
    os.setsid()
    for standard in (1, 2):
        os.dup2(0, standard)  # the zygote's 0 is /dev/null
    os.dup2(pipe, PIPE)
    os.closerange(PIPE + 1, os.sysconf("SC_OPEN_MAX"))
    return confinement.confine(timeout_s, zygote)


def live(pipe: int, timeout_s: float, expected: Mapping[str, bool], zygote: int) -> NoReturn:
    """Do one run and end the process. Where a layer is missing that the zygote found, nothing runs."""
    try:
        held = enter(pipe, timeout_s, zygote)
        conversation = Conversation()
        if any(expected[layer] and not held[layer] for layer in expected):
            conversation.send({"kind": "unconfined"})
        else:
            request = conversation.receive()
            answer = run(timeout_s=timeout_s, conversation=conversation, **request)
            if not conversation.broken:
                conversation.send(answer)
    finally:
        os._exit(0)


class Conversation:
    """The worker's end of the pipe."""

    def __init__(self) -> None:
        self.broken = False
        """A message was cut by the time limit: nothing said after it would be understood."""
        self._calls = 0

    def send(self, message: Mapping[str, Any]) -> None:
        """Write a message. Raises: TooLarge, OSError."""
        left = memoryview(frames.encode(message, limits.MAX_FROM_WORKER_BYTES))
        self.broken = True
        while left:
            left = left[os.write(PIPE, left) :]
        self.broken = False

    def receive(self) -> dict[str, Any]:
        """Read a message. Raises: EOFError: the supervisor is gone."""
        message = frames.receive(lambda count: os.read(PIPE, count), limits.MAX_TO_WORKER_BYTES)
        if message is None:
            raise EOFError
        return message

    def call(self, name: str, arguments: Mapping[str, Any]) -> Any:
        """What the memory operation gives. Raises: OperationError, and TypeError where arguments are no JSON data."""
        if self.broken:
            raise OperationError("the run has reached its time limit", "sandbox_timeout")
        if self._calls >= limits.MAX_CALLS:
            raise OperationError(f"this run has made its {limits.MAX_CALLS} calls", "too_large")
        try:
            plain = to_plain(dict(arguments), f"{name}()", limits.MAX_ARGUMENTS_BYTES)
        except NotPlain as error:
            raise TypeError(str(error)) from None
        self._calls += 1
        self.send({"kind": "call", "name": name, "arguments": plain})
        reply = self.receive()
        if "error" in reply:
            raise OperationError(**reply["error"])
        return reply["value"]


def run(
    *,
    code: str,
    context_vars: Mapping[str, Any],
    functions: Mapping[str, Sequence[str]],
    only_compile: bool,
    timeout_s: float,
    conversation: Conversation,
) -> dict[str, Any]:
    """Compile `code`, and unless `only_compile` execute it, at most for `timeout_s`; the last message."""
    printed = policy.Printed(limits.MAX_STDOUT_BYTES)
    stubs = {name: _stub(name, parameters, conversation) for name, parameters in functions.items()}
    scope = policy.make_globals({"OperationError": OperationError, **stubs, **context_vars}, printed)
    reserve = [bytes(_RESERVE_BYTES)]

    @timeout_decorator.timeout(timeout_s, timeout_exception=TimeLimit)  # type: ignore[untyped-decorator]
    def limited() -> dict[str, Any]:
        signal.setitimer(signal.ITIMER_REAL, timeout_s, _AGAIN_S)
        return _execute(code, None if only_compile else scope, reserve)

    try:
        answer: dict[str, Any] = limited()
    except TimeLimit:
        answer = {"kind": "timeout"}
    if TimeLimit.raised:  # the code may have swallowed it and gone on to an end
        answer = {"kind": "timeout"}
    if answer["kind"] != "rejected":
        answer["stdout"] = printed.text()
    return answer


def _execute(code: str, scope: dict[str, Any] | None, reserve: list[bytes]) -> dict[str, Any]:
    """The answer of `code` in `scope`, without what it printed; without a scope it is compiled and no more."""
    failure: BaseException | None = None
    try:
        compiled = policy.compile_code(code)
        if scope is None:
            return {"kind": "done", "result": None}
        exec(compiled, scope)  # noqa: S102 - this is the place for it
        return {"kind": "done", "result": to_plain(scope.get("result"), "result", limits.MAX_RESULT_BYTES)}
    except policy.Rejected as rejected:
        return {"kind": "rejected", "message": rejected.message[: limits.MAX_MESSAGE_CHARS], "line": rejected.line}
    except NotPlain as not_plain:
        return {"kind": "error", "type": "ResultError", "message": _message(not_plain), "line": None}
    except TimeLimit:
        raise
    except BaseException as error:
        failure = error
    line = _line(failure)
    if isinstance(failure, MemoryError):
        reserve.clear()
        if scope is not None:
            scope.clear()
        failure.__traceback__ = failure.__context__ = failure.__cause__ = None
        return {"kind": "memory"}
    return {"kind": "error", "type": type(failure).__name__, "message": _message(failure), "line": line}


def _line(error: BaseException) -> int | None:
    """The line of the code, innermost function first, in which `error` was raised."""
    line, traceback = None, error.__traceback__
    while traceback is not None:
        if traceback.tb_frame.f_code.co_filename == policy.FILENAME:
            line = traceback.tb_lineno
        traceback = traceback.tb_next
    return line


def _message(error: BaseException) -> str:
    try:
        text = str(error)
    except Exception:
        return ""
    return text[: limits.MAX_MESSAGE_CHARS].encode(errors="replace").decode()


def _stub(name: str, parameters: Sequence[str], conversation: Conversation) -> Callable[..., Any]:
    """The function through which code calls the memory operation `name`."""

    def function(*args: Any, **kwargs: Any) -> Any:
        if len(args) > len(parameters):
            raise TypeError(f"{name}() takes {len(parameters)} arguments ({', '.join(parameters)}), not {len(args)}")
        arguments = dict(zip(parameters, args, strict=False))
        for twice in arguments.keys() & kwargs.keys():
            raise TypeError(f"{name}() got two values for {twice!r}")
        return conversation.call(name, {**arguments, **kwargs})

    return function
