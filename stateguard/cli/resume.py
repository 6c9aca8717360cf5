"""``stateguard resume``: act again."""

from __future__ import annotations

import click

from stateguard.cli.context import ask, show


@click.command("resume")
@click.pass_context
def command(ctx: click.Context) -> None:
    """Act again; what was pushed meanwhile is applied now."""
    show(ctx, ask(ctx, "resume"), ["resumed"])
