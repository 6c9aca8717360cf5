"""``stateguard adopt``: an edit by hand becomes a commit on main."""

from __future__ import annotations

from pathlib import Path

import click

from stateguard.cli.context import ask, outcome_status, show
from stateguard.cli.record import lines as record_lines
from stateguard.text.escape import line

_SIGNS = {"added": "A", "changed": "M", "removed": "D", "mode": "m"}


@click.command("adopt")
@click.argument("paths", nargs=-1, metavar="[PATH]...")
@click.option("--reason", metavar="TEXT", help="Why, for the record and the commit.")
@click.option("--dry-run", is_flag=True, help="Show what would be adopted, change nothing.")
@click.option("--restart", is_flag=True, help="Restart the agents that were started before what they read changed.")
@click.pass_context
def command(ctx: click.Context, paths: tuple[str, ...], reason: str | None, dry_run: bool, restart: bool) -> int:
    """Make the live directory's drift a commit on main; with PATHs only that below them, unmanaged files too."""
    wanted = {"paths": list(paths), "cwd": str(Path.cwd()), "reason": reason, "restart": restart}
    document = ask(ctx, "adopt", dry_run=dry_run, **wanted)
    changed = [f"{_SIGNS[a['kind']]} {line(a['path'])}" for a in document["adopted"]]
    if dry_run:
        problems = [f"{line(p['path'])}: {line(p['message'])}" for p in document["problems"]]
        show(ctx, document, [*changed, *problems])
        return 0 if document["valid"] else 1
    show(ctx, document, [*changed, *record_lines(document)])
    return outcome_status(document)
