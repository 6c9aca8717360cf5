"""``stateguard show``: one operation in full."""

from __future__ import annotations

import click

from stateguard.cli.context import NUMBER, ask, home_of, show
from stateguard.cli.record import lines
from stateguard.text.escape import line


@click.command("show")
@click.argument("operation", type=NUMBER)
@click.pass_context
def command(ctx: click.Context, operation: int) -> None:
    """Show one operation: what it did, stage by stage, and where what it displaced is kept."""
    document = ask(ctx, "show", operation=operation)
    detail = document.get("detail", {})
    text = lines(document)
    if urgent := detail.get("emergency"):
        waived = ", ".join(f"{code} ({path})" for code, path in urgent["waived"]) or "nothing"
        text.append(line(f"emergency by {urgent['person']}: {urgent['reason']}; waived: {waived}"))
    text += [f"file {line(path)}" for path in detail.get("files", [])]
    if detail.get("backup") and not document["backup_kept"]:
        text.append("displaced content: not kept any more, see retention in guard.yaml")
    elif detail.get("backup"):
        captured = home_of(ctx).captured
        text.append(f"displaced content: git --git-dir {captured} show {detail['backup'][:10]}:PATH")
    show(ctx, document, text)
