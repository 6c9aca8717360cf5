"""``stateguard audit``: the tamper-evident chain."""

from __future__ import annotations

import json
from typing import Any

import click

from stateguard.cli.context import ask, show, table
from stateguard.text.escape import line


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
@click.option("--offline", is_flag=True, help="Ask no mirror: compare with what each was last seen to hold.")
@click.pass_context
def verify(ctx: click.Context, offline: bool) -> int:
    """Check form, sequence, hashes and signatures of the whole chain, and compare it with what mirrors hold of it."""
    document = ask(ctx, "audit-verify", offline=offline)
    head = f"{document['entries']} entries, head {document['head']}"
    told = [text for mirror in document["mirrors"] for text in _told(mirror)]
    show(ctx, document, [head, *map(line, told), *([line(p) for p in document["problems"]] or ["the chain holds"])])
    return 0 if document["valid"] else 10


def _told(mirror: dict[str, Any]) -> list[str]:
    """Return what a mirror says of the chain, unless that is among the problems."""
    seen = "" if mirror["asked"] else " (as last seen there)"
    away = [f"{mirror['name']}: did not answer: {mirror['error']}"] if mirror["error"] else []
    return away if mirror["against"] else [*away, f"{mirror['name']}: {mirror['message']}{seen}"]


@command.command("export")
@click.pass_context
def export(ctx: click.Context) -> None:
    """Print every entry as it was written, oldest first, one JSON document a line."""
    document = ask(ctx, "audit-export")
    show(ctx, {"entries": [json.loads(line) for line in document["lines"]]}, document["lines"])
