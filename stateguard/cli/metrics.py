"""``stateguard metrics``: the guard's own metrics, in Prometheus' text format."""

from __future__ import annotations

import click

from stateguard.cli.context import ask, show


@click.command("metrics")
@click.pass_context
def command(ctx: click.Context) -> None:
    """Print the guard's own metrics as Prometheus scrapes them (also: GET /metrics on the control socket)."""
    document = ask(ctx, "metrics")
    show(ctx, document, [document["exposition"].rstrip("\n")])
