"""``stateguard arming``: what stateguard may do by itself."""

from __future__ import annotations

import click

from stateguard.cli.context import ask, show, table
from stateguard.text.escape import line


@click.group("arming", invoke_without_command=True)
@click.pass_context
def command(ctx: click.Context) -> None:
    """Show and set what stateguard may do by itself."""
    if ctx.invoked_subcommand is None:
        ctx.invoke(list_)


@command.command("list")
@click.pass_context
def list_(ctx: click.Context) -> None:
    """List each trigger with its level."""
    document = ask(ctx, "arming-list")
    show(ctx, document, table(document["arming"].items(), ("TRIGGER", "LEVEL")))


@command.command("set")
@click.argument("trigger")
@click.argument("level")
@click.pass_context
def set_(ctx: click.Context, trigger: str, level: str) -> None:
    """Set TRIGGER to observe, propose or act."""
    document = ask(ctx, "arming-set", trigger=trigger, level=level)
    show(ctx, document, table(document["arming"].items(), ("TRIGGER", "LEVEL")))


@command.command("ledger")
@click.pass_context
def ledger(ctx: click.Context) -> None:
    """List what stateguard would have done."""
    document = ask(ctx, "arming-ledger")
    rows = [
        (e["at"], e["trigger"] or "-", e["action"], e["would"] or "-", e["incident"] or "-", line(e["reason"]))
        for e in document["ledger"]
    ]
    show(ctx, document, table(rows, ("AT", "TRIGGER", "DID", "WOULD", "INCIDENT", "WHY")))
