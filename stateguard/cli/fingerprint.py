"""``stateguard fingerprint``: the SHA-256 tree id of a revision or of the live state."""

from __future__ import annotations

import click

from stateguard.cli.context import ask, show
from stateguard.errors import UsageProblemError
from stateguard.text.escape import line


@click.command("fingerprint")
@click.argument("revision", required=False, metavar="[REV]")
@click.option("--live", is_flag=True, help="Of the complete live state, desired and captured.")
@click.option("--files", is_flag=True, help="With --live: list the files that count.")
@click.pass_context
def command(ctx: click.Context, revision: str | None, live: bool, files: bool) -> None:
    """Print sha256:…, the id that git gives the same tree in a SHA-256 repository."""
    if live and revision:
        raise UsageProblemError("name a revision or --live, not both")
    if files and not live:
        raise UsageProblemError("--files goes with --live")
    document = ask(ctx, "fingerprint", revision=revision, live=live)
    listed = document.pop("files", [])
    if files:
        document["files"] = listed
    show(ctx, document, [document["fingerprint"], *(map(line, listed) if files else ())])
