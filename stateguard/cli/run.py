"""``stateguard run``: the daemon, in the foreground."""

from __future__ import annotations

import click

from stateguard.cli.context import home_of


@click.command("run")
@click.pass_context
def command(ctx: click.Context) -> None:
    """Guard the home until told to stop; the agents stay running."""
    from stateguard.guard.daemon import run

    run(home_of(ctx).require())
