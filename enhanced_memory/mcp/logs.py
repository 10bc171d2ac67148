"""The log of whoever serves: prepared before FastMCP is loaded.

Above it lie the command line and the resident; below it the logging module.
"""

from __future__ import annotations

import logging
import os


def prepare_logging(level: str, handler: logging.Handler) -> None:
    """Plain lines from us and from the libraries, wherever `handler` writes them.

    FastMCP reads its settings when it is imported, from the environment and from `.env` in the working folder, which
    is some project's and none of ours. The libraries never go below INFO: at DEBUG they print memories.
    """
    os.environ["FASTMCP_LOG_ENABLED"] = "false"  # no handlers of its own, which are rich's and made for terminals
    os.environ["FASTMCP_ENV_FILE"] = os.devnull
    os.environ["FASTMCP_CHECK_FOR_UPDATES"] = "off"
    logging.basicConfig(handlers=[handler], level=level, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    for library in ("fastmcp", "mcp", "asyncio"):
        logging.getLogger(library).setLevel(max(logging.INFO, logging.getLogger().level))
