"""``stateguard suspend``: stop acting, keep watching."""

from __future__ import annotations

import click

from stateguard.cli.context import ask, show


@click.command("suspend")
@click.option("--for", "duration", metavar="T", help="For so long (30m, 2h); else until resume.")
@click.option("--reason", metavar="R", help="Why, for the record.")
@click.pass_context
def command(ctx: click.Context, duration: str | None, reason: str | None) -> None:
    """Stop acting, keep watching; what would have been done goes into the ledger."""
    document = ask(ctx, "suspend", **{"for": duration, "reason": reason})
    show(ctx, document, ["suspended; stateguard resume ends it"])
