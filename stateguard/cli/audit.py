"""``stateguard audit``: the tamper-evident chain."""

from __future__ import annotations

import json

import click

from stateguard.cli.context import ask, show, table


@click.group("audit")
def command() -> None:
    """Read and verify the audit chain."""


@command.command("log")
@click.option("--limit", type=click.IntRange(1), default=50, show_default=True, metavar="N")
@click.pass_context
def log(ctx: click.Context, limit: int) -> None:
    """Print the newest entries."""
    document = ask(ctx, "audit-log", limit=limit)
    rows = [
        (e["sequence"], e["at"], e["kind"], e["actor"], json.dumps(e["body"], sort_keys=True)[:100])
        for e in document["entries"]
    ]
    show(ctx, document, table(rows, ("N", "AT", "KIND", "ACTOR", "")))


@command.command("verify")
@click.pass_context
def verify(ctx: click.Context) -> int:
    """Check form, sequence, hashes and signatures of the whole chain."""
    document = ask(ctx, "audit-verify")
    head = f"{document['entries']} entries, head {document['head']}"
    show(ctx, document, [head, *(document["problems"] or ["the chain holds"])])
    return 0 if document["valid"] else 10


@command.command("export")
@click.pass_context
def export(ctx: click.Context) -> None:
    """Print every entry as it was written, oldest first, one JSON document a line."""
    document = ask(ctx, "audit-export")
    show(ctx, {"entries": [json.loads(line) for line in document["lines"]]}, document["lines"])
