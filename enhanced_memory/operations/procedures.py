"""Procedures: code over memories, executed in the sandbox."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field

from enhanced_memory.registry import argument_name, fields_of, operation, operations
from enhanced_memory.shapes import CodeResult

if TYPE_CHECKING:
    from enhanced_memory.context import Context

_SOURCE = "sandbox"
"""Who the history names as the author of what executed code writes."""


@operation(writes=True, transaction=False, core=True, destructive=True, administrative=True)
def execute_code(
    ctx: Context,
    code: Annotated[str, Field(min_length=1, description="Python; put the answer into `result`.")],
    context_vars: Annotated[dict[str, Any] | None, Field(description="Variables the code finds.")] = None,
    timeout_s: Annotated[float, Field(ge=0.1, le=30, description="Seconds it may take.")] = 30.0,
    read_only: Annotated[bool, Field(description="Leave out the operations that write.")] = False,
) -> CodeResult:
    """Execute Python over the memories, to filter, group or count many of them without reading them all.

    Use when an answer needs more memories than fit a reply. The tools are functions; gives the variable `result` and
    what was printed. Example: execute_code(code="result = len(search_nodes('deploy', limit=500))")

    `found = search_nodes("deploy", limit=100)` gives the list of results, `create_entities([...])` writes. Only json,
    re, math, statistics, datetime, collections, itertools and functools can be imported; there are no files and no
    network.

    Raises: SandboxRejected, SandboxError (with the line and message of the code's own error), SandboxTimeout,
    SandboxMemory, Busy.
    """
    return executed(ctx, code, context_vars or {}, timeout_s, read_only=read_only)


def executed(
    ctx: Context, code: str, variables: dict[str, Any], timeout_s: float, *, read_only: bool = False
) -> CodeResult:
    """What `code` comes to in the sandbox, with the operations that code may call. Raises: as execute_code."""
    caller = replace(ctx.caller, client=_SOURCE, code=True)

    def call(name: str, arguments: dict[str, Any]) -> Any:
        reply = ctx.service.ask(caller, name, arguments)
        return reply["results"] if name == "search_nodes" else dict(reply)

    functions = {
        declared.name: [argument_name(parameter) for parameter in fields_of(declared)]
        for declared in operations().values()
        if not declared.administrative and not (read_only and declared.writes)
    }
    outcome = ctx.service.run_code(
        code, context_vars=variables, timeout_s=timeout_s, functions=functions, call=call, gone=caller.gone
    )
    return {
        "result": outcome.result,
        "stdout": outcome.stdout,
        "execution_time_ms": outcome.execution_time_ms,
        "memory_used_mb": outcome.memory_used_mb,
        "operations": dict(outcome.operations),
    }
