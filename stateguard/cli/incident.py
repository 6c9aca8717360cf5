"""``stateguard incident``: what went wrong, and the report on it."""

from __future__ import annotations

import click

from stateguard.cli.context import NUMBER, ask, show, table, word
from stateguard.text.escape import line, terminal


@click.group("incident")
def command() -> None:
    """List and show incidents, print their reports."""


@command.command("list")
@click.pass_context
def list_(ctx: click.Context) -> None:
    """List every incident, newest first."""
    document = ask(ctx, "incident-list")
    rows = [
        (i["id"], i["state"], i["severity"], i["type"], i["opened_at"], i["summary"]) for i in document["incidents"]
    ]
    show(ctx, document, table(rows, ("ID", "STATE", "LEVEL", "TYPE", "OPENED", "SUMMARY")))


@command.command("show")
@click.argument("number", type=NUMBER, metavar="ID")
@click.pass_context
def show_(ctx: click.Context, number: int) -> None:
    """Show one incident: conditions, timeline, decision, operations, report."""
    document = ask(ctx, "incident-show", id=number)
    decision = document["decision"] or {}
    lines = [
        f"incident {number}: {line(document['summary'])}",
        f"state      {word(document['state'])}, level {document['severity']} ({document['type']})",
        f"decision   {line(str(decision.get('action', 'none')))}: {line(str(decision.get('reason', '')))}",
        f"operations {', '.join(map(str, document['operations'])) or 'none'}",
        f"report     {document['report'] or 'not written yet'} (branch incidents); stateguard incident report {number}",
        "",
        *(f"{e['at']}  {line(e['event'])}" for e in document["timeline"]),
    ]
    show(ctx, document, lines)


@command.command("report")
@click.argument("number", type=NUMBER, metavar="ID")
@click.pass_context
def report(ctx: click.Context, number: int) -> None:
    """Print the report of an incident as Markdown."""
    document = ask(ctx, "incident-report", id=number)
    show(ctx, document, [terminal(document["markdown"])])
