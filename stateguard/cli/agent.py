"""``stateguard agent``: the processes under guard."""

from __future__ import annotations

import click

from stateguard.cli import complete
from stateguard.cli.context import ask, show, table
from stateguard.errors import UsageProblemError
from stateguard.model.identity import short


@click.group("agent")
def command() -> None:
    """List, stop, start and restart agents, and read their logs."""


@command.command("list")
@click.pass_context
def list_(ctx: click.Context) -> None:
    """List every agent with its state and health."""
    document = ask(ctx, "agent-list")
    rows = [
        (a["name"], a["state"], a["health"], a["pid"] or "-", short(a["running"] or "-")) for a in document["agents"]
    ]
    show(ctx, document, table(rows, ("AGENT", "STATE", "HEALTH", "PID", "RUNNING")))


@command.command("logs")
@click.argument("name", shell_complete=complete.agents)
@click.option("--lines", "wanted", type=click.IntRange(1, 10000), default=50, show_default=True)
@click.pass_context
def logs(ctx: click.Context, name: str, wanted: int) -> None:
    """Print the last lines that an agent wrote."""
    from stateguard.text.escape import line

    document = ask(ctx, "agent-logs", agent=name, lines=wanted)
    show(ctx, document, map(line, document["lines"]))


@command.command("attach")
@click.argument("name")
@click.argument("pid", type=click.IntRange(1), required=False)
@click.pass_context
def attach(ctx: click.Context, name: str, pid: int | None) -> None:
    """Take a process that runs already as an agent, without restarting it."""
    document = ask(ctx, "agent-attach", agent=name, pid=pid)
    show(ctx, document, [])


@command.command("restart")
@click.argument("names", nargs=-1, metavar="NAME...", shell_complete=complete.agents)
@click.option("--all", "every", is_flag=True, help="Every agent.")
@click.pass_context
def restart(ctx: click.Context, names: tuple[str, ...], every: bool) -> None:
    """Stop agents and start them again."""
    _act(ctx, "restart", names, every=every)


@command.command("stop")
@click.argument("names", nargs=-1, metavar="NAME...", shell_complete=complete.agents)
@click.option("--all", "every", is_flag=True, help="Every agent.")
@click.pass_context
def stop(ctx: click.Context, names: tuple[str, ...], every: bool) -> None:
    """Stop agents; stateguard only watches until they are started again."""
    _act(ctx, "stop", names, every=every)


@command.command("start")
@click.argument("names", nargs=-1, metavar="NAME...", shell_complete=complete.agents)
@click.option("--all", "every", is_flag=True, help="Every agent.")
@click.pass_context
def start(ctx: click.Context, names: tuple[str, ...], every: bool) -> None:
    """Start agents."""
    _act(ctx, "start", names, every=every)


def _act(ctx: click.Context, action: str, names: tuple[str, ...], *, every: bool) -> None:
    if bool(names) == every:
        raise UsageProblemError("name agents, or --all", next_step="see: stateguard agent list")
    document = ask(ctx, "agent-act", action=action, names=list(names), all=every)
    show(ctx, document, [])
