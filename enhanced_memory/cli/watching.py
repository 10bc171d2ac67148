"""Looking again and again: the option --watch, and what it does.

Above it lie the commands that show how things are; below it the session and output.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from contextlib import nullcontext
from typing import Final, NoReturn

import click

from enhanced_memory.cli import output
from enhanced_memory.cli.session import Session

WATCH_S: Final = 2.0
"""Seconds from one look to the next where none are given."""

Draw = Callable[[Iterable[output.TableOf]], object]
"""Shows tables at a terminal: below what stands there, or in its place."""

watch_option = click.option(
    "--watch",
    metavar="[SECONDS]",
    type=click.FloatRange(0.1),
    is_flag=False,
    flag_value=WATCH_S,
    help=f"Look again every so often ({WATCH_S:g}).",
)
"""Gives a command the argument `watch`: seconds from one look to the next, None to look once."""


def watched(session: Session, seconds: float, show: Callable[[Draw], object]) -> NoReturn:
    """Call `show` every so many seconds, until Ctrl-C; at a terminal, each look takes the place of the one before."""
    with output.redrawn() if output.at_terminal() and not session.json else nullcontext(output.tables) as draw:
        while True:
            show(draw)
            time.sleep(seconds)
