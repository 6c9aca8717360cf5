"""``stateguard conversations``: what the running system wrote, and under which state."""

from __future__ import annotations

from typing import Any

import click

from stateguard.cli.context import ask, show, table
from stateguard.model.identity import short
from stateguard.text.words import count


@click.group("conversations")
def command() -> None:
    """List conversations, and show which lines ran under which revision."""


@command.command("list")
@click.pass_context
def list_(ctx: click.Context) -> None:
    """List every captured file, as it was marked last."""
    document = ask(ctx, "conversations-list")
    rows = [
        (
            c["path"], _or_dash(c["bytes"]), _or_dash(c["lines"]), _revision(c) if c["at"] else "-", c["at"] or "-",
            c["not_kept"] or ("" if c["present"] else "gone"),
        )
        for c in document["conversations"]
    ]  # fmt: skip
    show(ctx, document, table(rows, ("PATH", "BYTES", "LINES", "REVISION", "MARKED", "")))


@command.command("show")
@click.argument("path")
@click.pass_context
def show_(ctx: click.Context, path: str) -> None:
    """Show which lines of a conversation were written while which revision was in force."""
    document = ask(ctx, "conversations-show", path=path)
    show(ctx, document, _lines(document))


def _lines(document: dict[str, Any]) -> list[str]:
    if document["lines"] is None:
        sizes = [(m["bytes"], m["digest"][:10], *_under(m)) for m in document["marks"]]
        return table(sizes, ("BYTES", "DIGEST", "REVISION", "FINGERPRINT", "SEEN BY", "OPERATION"))
    rows = [(f"{t['from_line']}-{t['to_line']}", *_under(t)) for t in document["turns"]]
    lines = table(rows, ("LINES", "REVISION", "FINGERPRINT", "SEEN BY", "OPERATION"))
    left = document["lines"] - document["marked_lines"]
    if left > 0:
        lines.append(f"the last {count(left, 'line')} will be marked at the next capture")
    if document["earlier"]:
        number = document["generation"] - 1
        lines.append(f"it was cut or replaced {count(number, 'time')}; what was there before: --json, earlier")
    return lines


def _under(row: dict[str, Any]) -> tuple[str, str, str, str]:
    return _revision(row), short(row["fingerprint"] or "-"), row["at"], _or_dash(row["operation"])


def _revision(row: dict[str, Any]) -> str:
    return short(row["revision"]) if row["revision"] else "(none yet)"


def _or_dash(value: object) -> str:
    return "-" if value is None else str(value)
