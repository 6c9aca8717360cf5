"""``stateguard eject``: stop guarding, and leave everything usable without stateguard."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from stateguard.cli.context import home_of, is_terminal, say, show, user
from stateguard.errors import UsageProblemError
from stateguard.model.identity import person


@click.command("eject")
@click.option(
    "--to", "copy", type=click.Path(path_type=Path), metavar="DIR", help="Also a bare copy of the repository."
)
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.pass_context
def command(ctx: click.Context, copy: Path | None, yes: bool) -> None:
    """Stop guarding: agents run on, repo.git becomes a plain git repository, the home is kept as a record."""
    from stateguard.guard.eject import eject

    home = home_of(ctx).require()
    if not yes:
        if not is_terminal():
            raise UsageProblemError("eject ends the guarding for good", next_step="say so: stateguard eject --yes")
        click.confirm(f"Stop guarding for good? {home.root} will only be a record", abort=True, err=True)
    document = eject(home, copy.absolute() if copy else None, person(user()), lambda text: say(ctx, text))
    show(ctx, document, _lines(document))


def _lines(done: dict[str, Any]) -> list[str]:
    agents = ", ".join(f"{a['name']} (process {a['pid']})" for a in done["agents"])
    found = [
        "stateguard guards nothing here any more.",
        f"live directory  {done['live']}, as it is",
        f"agents          {f'run on: {agents}; end one with its group: kill -- -PROCESS' if agents else 'none run'}",
        f"repository      {done['repository']}, a plain git repository: main, tags, incidents; pushes are not checked",
        *([f"copy            {done['copy']}"] if done["copy"] else []),
        f"home            {done['home']}, a record of history, audit, baselines and captured state: it can be removed",
        "service         if one starts the guard: systemctl disable --now stateguard",
        f"back            end the agents, then: stateguard --home NEW init --from {done['live']} --live {done['live']}",
    ]
    if done["main"] != done["revision"]:
        found.insert(1, f"main, {str(done['main'])[:10]}, was never applied; live is {str(done['revision'])[:10]}")
    return found
