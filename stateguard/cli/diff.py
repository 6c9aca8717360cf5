"""``stateguard diff``: how two states differ."""

from __future__ import annotations

import click

from stateguard.cli.context import ask, show
from stateguard.errors import UsageProblemError
from stateguard.text.escape import line


@click.command("diff")
@click.argument("before", metavar="A")
@click.argument("after", required=False, metavar="[B]")
@click.option("--live", is_flag=True, help="Against the live directory; shows what is unmanaged, too.")
@click.pass_context
def command(ctx: click.Context, before: str, after: str | None, live: bool) -> None:
    """List the paths by which A (a TARGET or revision) differs from B or from the live directory."""
    if bool(after) == live:
        raise UsageProblemError("name a second state, or --live")
    document = ask(ctx, "diff", before=before, after=after)
    signs = {"added": "A", "changed": "M", "removed": "D", "unmanaged": "?"}
    show(ctx, document, [f"{sign} {line(path)}" for key, sign in signs.items() for path in document[key]])
