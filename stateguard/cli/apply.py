"""``stateguard apply``: a transition to a commit."""

from __future__ import annotations

import click

from stateguard.cli.context import ask, outcome_status, show
from stateguard.cli.plan import lines as plan_lines
from stateguard.cli.record import lines as record_lines


@click.command("apply")
@click.argument("revision", required=False, metavar="[REV]")
@click.option("--dry-run", is_flag=True, help="Show what would be done, change nothing.")
@click.option("--reason", metavar="TEXT", help="Why, for the record.")
@click.pass_context
def command(ctx: click.Context, revision: str | None, dry_run: bool, reason: str | None) -> int:
    """Make the live system hold main, or another commit as a new one on main; drift is put back."""
    document = ask(ctx, "apply", revision=revision, dry_run=dry_run, reason=reason)
    show(ctx, document, plan_lines(document, "apply") if dry_run else record_lines(document))
    return 0 if dry_run else outcome_status(document)
