"""The MCP server's entry: a pipe to the resident where the command line holds settings only, else the whole command.

Above it stand the door `server.py` and the command `memory-mcp`; below it the pump and the command line. Nothing heavy
is loaded before it is known to be needed.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from enhanced_memory.mcp import pump


def main(argv: Sequence[str] | None = None) -> None:
    """Run the MCP server with `argv`, or the process's own arguments; ends the process with its exit code."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    flags = pump.settings_in(arguments)
    if flags is not None:
        try:
            session = pump.session(flags)
        except pump.Unusable as reason:
            if str(reason):
                print(f"memory-mcp: serving alone, since the resident cannot be had: {reason}", file=sys.stderr)
        else:
            if sys.stdin.isatty():
                print("memory-mcp waits for an assistant's messages; Ctrl-C ends it.", file=sys.stderr)
            sys.exit(pump.pump(session))
    from enhanced_memory.mcp.command import command

    command.main(args=arguments, prog_name="memory-mcp")
