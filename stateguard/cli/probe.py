"""``stateguard probe``: list probes, and try them many times."""

from __future__ import annotations

from typing import Any

import click

from stateguard.cli.context import ask, show, table
from stateguard.text.escape import line

_MOST = 100_000


@click.group("probe")
def command() -> None:
    """List probes, and try whether they can be relied on."""


@command.command("list")
@click.pass_context
def list_(ctx: click.Context) -> None:
    """List each probe: its health, whether it counts, and its last self-test."""
    document = ask(ctx, "probe-list")
    rows = [
        (line(p["title"]), p["kind"], p["scope"], p["counts"], p["health"], _tested(p["tested"]))
        for p in document["probes"]
    ]
    show(ctx, document, table(rows, ("PROBE", "KIND", "SCOPE", "COUNTS AS", "HEALTH", "SELF-TEST")))


@command.command("test")
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option("--count", type=click.IntRange(1, _MOST), default=100, show_default=True, help="Runs of each probe.")
@click.pass_context
def test(ctx: click.Context, names: tuple[str, ...], count: int) -> int:
    """Try probes many times in a row; one that fails in more than 1 % of its runs cannot be required."""
    document = ask(ctx, "probe-test", names=list(names), count=count)
    rows = [(line(p["title"]), p["runs"], p["failures"], line(p["last_failure"]) or "-") for p in document["probes"]]
    show(ctx, document, table(rows, ("PROBE", "RUNS", "FAILED", "LAST FAILURE")))
    return 1 if document["flaky"] else 0


def _tested(tested: dict[str, Any] | None) -> str:
    if tested is None:
        return "none yet"
    return f"{'flaky: ' if tested['flaky'] else ''}{tested['failures']} of {tested['runs']} failed, {tested['at']}"
