"""The MCP server's command line: settings, log, and serving an assistant in this process.

Above it lies `main`; below it the server. FastMCP is loaded when the command line has been read, so that `--help` and
`--version` answer at once.
"""

from __future__ import annotations

import dataclasses
import logging
import signal
import sys
from collections.abc import Callable
from typing import Any

import click

from enhanced_memory import __version__
from enhanced_memory.errors import InvalidParams
from enhanced_memory.mcp.loading import loading
from enhanced_memory.mcp.logs import prepare_logging
from enhanced_memory.settings import LOG_LEVELS, TOOL_PROFILES, Settings

_log = logging.getLogger(__name__)

_FIELDS = {spec.name: spec.metadata for spec in dataclasses.fields(Settings)}


def _setting(flag: str, name: str, **kind: Any) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """The flag of a setting, with the setting's own words and variable in the help."""
    words = f"{_FIELDS[name]['meaning']} [{_FIELDS[name]['variable']}]"
    return click.option(flag, name, default=None, help=words, **kind)


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@_setting("--db", "db_path", metavar="FILE")
@_setting("--socket", "socket_path", metavar="PATH")
@_setting("--namespace", "namespace", metavar="NAME")
@_setting("--tools", "tools", type=click.Choice(TOOL_PROFILES, case_sensitive=False))
@_setting("--log-level", "log_level", type=click.Choice(LOG_LEVELS, case_sensitive=False))
@_setting("--autostart/--no-autostart", "autostart")
@click.option(
    "--standalone",
    is_flag=True,
    expose_value=False,  # who comes here serves in this process, for whatever reason
    help="Serve in this process, without the resident that assistants share.",
)
@click.option(
    "--http", "address", metavar="HOST:PORT", help="Serve over HTTP instead, as at 127.0.0.1:8765; needs a token."
)
@click.option(
    "--http-allow", "names", multiple=True, metavar="NAME", help="With --http: a name by which other machines may ask."
)
@click.version_option(__version__, prog_name="memory-mcp", message="%(prog)s %(version)s")
def command(address: str | None, names: tuple[str, ...], **flags: Any) -> None:
    """Serve the memory to an assistant over the Model Context Protocol, on standard input and output.

    An assistant starts this program by itself; the memory's daemon is started when nobody answers on its socket. What
    the assistants have in common, a resident process does for all of them; it is started when needed too.

    With --http every request must carry the bearer token in MEMORY_HTTP_TOKEN, or in the file http-token beside the
    database, which is made at first use.
    """
    try:
        settings = Settings.load(flags)
    except InvalidParams as error:
        raise click.UsageError(error.message) from None
    prepare_logging(settings.log_level, logging.StreamHandler(sys.stderr))
    if address is not None:
        from enhanced_memory.mcp.http import serve

        try:
            return serve(settings, address, names)
        except InvalidParams as error:
            raise click.UsageError(error.message) from None
    if names:
        raise click.UsageError("--http-allow goes with --http")
    # There is nothing to save: the daemon keeps all state. Waiting for the thread that reads standard input would
    # make the first Ctrl-C do nothing.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    if sys.stdin.isatty():
        click.echo("memory-mcp waits for an assistant's messages on standard input; Ctrl-C ends it.", err=True)

    with loading():
        from enhanced_memory.mcp.app import build

    try:
        build(settings).run("stdio", show_banner=False)
    except* BrokenPipeError:
        _log.info("the assistant went away before it had read everything")
