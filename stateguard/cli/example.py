"""``stateguard example``: a complete small system to try things on."""

from __future__ import annotations

from pathlib import Path

import click

from stateguard.cli.context import show


@click.command("example")
@click.argument("directory", type=click.Path(path_type=Path), metavar="DIR")
@click.option("--scenario", metavar="NAME", help="Make this bad change in DIR, a copy or a clone of the example.")
@click.pass_context
def command(ctx: click.Context, directory: Path, scenario: str | None) -> None:
    """Copy the meal-planning system to DIR, on ports that are free; or break it there on purpose."""
    from stateguard.demo.example import copy_example, play, scenarios

    if scenario is not None:
        told = play(directory, scenario)
        show(
            ctx,
            told,
            [
                str(told["summary"]),
                f"changed: {', '.join(told['changed'])}",
                f"expected: {_expected(told['expected'])}",
            ],
        )
        return
    ports = copy_example(directory)
    names = scenarios()
    document = {"directory": str(directory), "ports": ports, "scenarios": names}
    lines = [
        f"copied to {directory}, agents on ports {', '.join(map(str, ports))}",
        f"next: stateguard --home DIR init --from {directory}",
        f"break it later, in a clone: stateguard example CLONE --scenario {'|'.join(names)}",
    ]
    show(ctx, document, lines)


def _expected(told: dict[str, str]) -> str:
    """Return in words what a scenario says should happen to a push of it."""
    if told["push"] == "rejected":
        return f"git push is rejected ({told['reason']}), main does not move, the system is put back"
    return "git push is accepted; it fails soon after, and the guard goes back by a forward commit"
