"""``stateguard recover``: finish or undo what was interrupted."""

from __future__ import annotations

import click

from stateguard.cli.context import ask, outcome_status, show
from stateguard.cli.record import lines


@click.command("recover")
@click.pass_context
def command(ctx: click.Context) -> int:
    """Finish or undo a transition that was interrupted (the daemon does so by itself when it starts)."""
    document = ask(ctx, "recover")
    show(ctx, document, lines(document))
    return outcome_status(document)
