"""The resident: one process with FastMCP in it that serves a session to each assistant's pump.

    python -m enhanced_memory.mcp.resident SOCKET

It is started by the first pump that finds none, prints `ready` when it takes connections, and ends when it had no
session for as long as MEMORY_MCP_IDLE_S says, or none and its source has changed. What is its own it takes from its
environment; what belongs to a session comes with the session's first line. Above it stands the launcher; below it the
reception, which is loaded when the log is prepared, since FastMCP reads its settings then.
"""

from __future__ import annotations

import asyncio
import logging
import logging.handlers
import os
import sys
from pathlib import Path

from enhanced_memory.errors import InvalidParams
from enhanced_memory.mcp.loading import loading
from enhanced_memory.mcp.logs import prepare_logging
from enhanced_memory.settings import Settings

_LOG_BYTES = 1024 * 1024
"""The log `mcp.log` beside the database is at most this large, and so is the older one beside it."""

_log = logging.getLogger(__name__)


def _say(line: str) -> None:
    """One line to whoever started us, who then reads no more."""
    print(line, flush=True)
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, sys.stdout.fileno())
    os.close(null)


def main() -> None:
    """Run the resident; the process's only argument is its socket."""
    os.umask(0o077)
    try:
        settings = Settings.load()
    except InvalidParams:
        _say("settings")
        sys.exit(2)
    try:
        folder = Path(os.path.realpath(settings.db_path)).parent
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        handler = logging.handlers.RotatingFileHandler(folder / "mcp.log", maxBytes=_LOG_BYTES, backupCount=1)
        prepare_logging(settings.log_level, handler)
        os.chdir("/")
        with loading():
            from enhanced_memory.mcp.reception import Reception

        asyncio.run(Reception(sys.argv[1], settings).run(lambda: _say("ready")))
    except Exception as error:
        _log.exception("the resident ended")
        _say(f"{type(error).__name__}: {error}")
        sys.exit(1)


if __name__ == "__main__":
    main()
