"""``stateguard example``: a complete small system to try things on."""

from __future__ import annotations

from pathlib import Path

import click

from stateguard.cli.context import show, table


@click.command("example")
@click.argument("directory", type=click.Path(path_type=Path), metavar="DIR", required=False)
@click.option("--scenario", metavar="NAME", help="Make this bad change in DIR, a copy or a clone of the example.")
@click.option("--list", "listed", is_flag=True, help="List the scenarios.")
@click.pass_context
def command(ctx: click.Context, directory: Path | None, scenario: str | None, listed: bool) -> None:
    """Copy the meal-planning system to DIR, on ports that are free; or break it there on purpose."""
    from stateguard.demo.example import copy_example, scenarios

    if listed:
        if directory is not None or scenario is not None:
            raise click.UsageError("--list takes no directory and no scenario", ctx)
        _list(ctx)
        return
    if directory is None:
        raise click.UsageError("Missing argument 'DIR'.", ctx)
    if scenario is not None:
        _break(ctx, directory, scenario)
        return
    ports = copy_example(directory)
    document = {"directory": str(directory), "ports": ports, "scenarios": scenarios()}
    lines = [
        f"copied to {directory}, agents on ports {', '.join(map(str, ports))}",
        f"next: stateguard --home DIR init --from {directory}",
        "break it later, in a clone: stateguard example CLONE --scenario NAME; see: stateguard example --list",
    ]
    show(ctx, document, lines)


def _list(ctx: click.Context) -> None:
    from stateguard.demo.example import scenario, scenarios

    told = [scenario(name) for name in scenarios()]
    document = {"scenarios": [{"name": s.name, "summary": s.summary, "in_words": s.expect.words()} for s in told]}
    show(ctx, document, table([(s.name, s.summary) for s in told], ("SCENARIO", "WHAT HAPPENS")))


def _break(ctx: click.Context, directory: Path, name: str) -> None:
    from stateguard.demo.example import play

    told = play(directory, name)
    lines = [
        told["summary"],
        f"changed:  {', '.join(told['changed'])}",
        *(f"first:    {step}" for step in told["before"]),
        "then:     git add -A, git commit -m MESSAGE, git push",
        *(f"then:     {step}" for step in told["after"]),
        f"expected: {told['in_words']}",
    ]
    show(ctx, told, lines)
