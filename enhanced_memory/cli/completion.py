"""The command completion: the script with which a shell completes our commands, options and names.

Above it lies the program; below it click, which makes the scripts and answers the shell.
"""

from __future__ import annotations

from typing import Final

import click

from enhanced_memory.cli.session import Command, examples

SHELLS: Final = ("bash", "zsh", "fish")


@click.command(
    "completion",
    cls=Command,
    short_help="Print the script that completes commands in your shell.",
    epilog=examples(
        ("enhanced-memory completion bash > ~/.local/share/bash-completion/completions/enhanced-memory", "for bash"),
        ("enhanced-memory completion zsh > ~/.zfunc/_enhanced-memory", "for zsh, with ~/.zfunc in fpath"),
        ("enhanced-memory completion fish > ~/.config/fish/completions/enhanced-memory.fish", "for fish"),
    ),
)
@click.argument("shell", type=click.Choice(SHELLS))
@click.pass_context
def completion_command(context: click.Context, shell: str) -> None:
    """Print the script for SHELL. It completes commands and options, and names of memories while the daemon runs."""
    from click.shell_completion import BashComplete, ShellComplete, get_completion_class

    known: type[ShellComplete] | None = get_completion_class(shell)
    assert known is not None, "click knows all the shells we offer"
    program = context.find_root()
    made = known(program.command, {}, "enhanced-memory", "_ENHANCED_MEMORY_COMPLETE")
    # bash's own class first asks the bash on the path for its version, which need not be there to print a script.
    source = ShellComplete.source(made) if isinstance(made, BashComplete) else made.source()
    click.echo(source)
