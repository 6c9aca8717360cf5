"""``stateguard completion``: what a shell runs when a person presses TAB."""

from __future__ import annotations

import click

from stateguard.cli.context import say, show

_PLACES = {
    "bash": "~/.local/share/bash-completion/completions/stateguard",
    "zsh": "a directory of $fpath, as _stateguard",
    "fish": "~/.config/fish/completions/stateguard.fish",
}


@click.command("completion")
@click.argument("shell", type=click.Choice(list(_PLACES)))
@click.pass_context
def command(ctx: click.Context, shell: str) -> None:
    """Print the completion script of a shell; kept in a file, it costs nothing when the shell starts."""
    from click.shell_completion import get_completion_class

    kind = get_completion_class(shell)
    if kind is None:
        message = f"{shell} is not known to the installed click"
        raise click.UsageError(message)
    script = kind(ctx.find_root().command, {}, "stateguard", "_STATEGUARD_COMPLETE").source()
    show(ctx, {"shell": shell, "script": script}, [script.strip("\n")])
    if not ctx.obj["json"]:
        say(ctx, f"Keep it in {_PLACES[shell]}")
