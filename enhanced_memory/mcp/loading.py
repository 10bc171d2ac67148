"""Loading what a process keeps to its end, without Python's search for garbage in it.

Above it lie the resident and the command line; below it Python's collector.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def loading() -> Iterator[None]:
    """While it lasts nothing is searched for garbage, and what is there at its end never is.

    FastMCP makes some hundred thousand objects when it is loaded, nearly all of which stay. Looking through them again
    and again takes a twentieth of the start, and finds less than a megabyte.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()
