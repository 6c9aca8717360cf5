"""``stateguard history``: what happened and why."""

from __future__ import annotations

import click

from stateguard.cli.context import ask, show, table
from stateguard.model.identity import short
from stateguard.text.words import seconds

_REASON_LENGTH = 60


@click.command("history")
@click.option("--path", metavar="P", help="Only what touched this path or what lies below it.")
@click.option("--since", metavar="T", help="Only since a time (RFC 3339) or for a duration (2h).")
@click.option("--kind", metavar="K", help="Only apply, rollback, heal, baseline, …")
@click.option("--limit", type=click.IntRange(1), metavar="N", help="At most so many.")
@click.pass_context
def command(ctx: click.Context, path: str | None, since: str | None, kind: str | None, limit: int | None) -> None:
    """List operations, newest first, from the audit chain."""
    document = ask(ctx, "history", path=path, since=since, kind=kind, limit=limit)
    rows = [
        (
            e["operation"], e["started_at"][:19] + "Z", e["kind"], e["outcome"], short(e["from"] or "-"),
            short(e["to"] or "-"), seconds(e["duration_seconds"]), e["incident"] or "-", e["actor"],
            e["reason"] if len(e["reason"]) <= _REASON_LENGTH else e["reason"][: _REASON_LENGTH - 1] + "…",
        )
        for e in document["entries"]
    ]  # fmt: skip
    head = ("OP", "WHEN", "KIND", "OUTCOME", "FROM", "TO", "TOOK", "INCIDENT", "ACTOR", "REASON")
    show(ctx, document, table(rows, head))
