"""Names of entities as a shell completes them: asked of a daemon that runs and answers fast, or not at all.

Above it lie the commands that take names; below it settings and client, imported when the shell asks.
"""

from __future__ import annotations

import os
import re
from typing import Final

import click

PATIENCE_S: Final = 0.5
"""Seconds a person may wait for the Tab key."""

MOST: Final = 30


def names(_context: click.Context, _parameter: click.Parameter, beginning: str) -> list[str]:
    """Names that begin so, the most recently used first where nothing is typed yet. Starts no daemon; never raises."""
    from enhanced_memory.client import BlockingMemoryClient
    from enhanced_memory.errors import EnhancedMemoryError
    from enhanced_memory.settings import Settings

    word = re.match(r"\W*(\w*)", beginning)
    query = f"name:{word[1]}*" if word and word[1] else ""
    try:
        client = BlockingMemoryClient(
            settings=Settings.load(), client="enhanced-memory", timeout_s=PATIENCE_S, max_connections=1
        )
        reply = client.call("search_nodes", {"query": query, "detail": "names", "limit": MOST})
        found = [result["name"] for result in reply.get("results", [])]
    except (EnhancedMemoryError, OSError):
        return []
    fitting = [name for name in found if name.casefold().startswith(beginning.casefold()) and name.isprintable()]
    # bash puts a word on the line as it is given; the other shells quote it themselves.
    in_bash = os.environ.get("_ENHANCED_MEMORY_COMPLETE") == "bash_complete"
    return [re.sub(r"([^\w@%+=:,./-])", r"\\\1", name) for name in fitting] if in_bash else fitting
