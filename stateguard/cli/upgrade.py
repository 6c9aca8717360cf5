"""``stateguard upgrade``: bring a home that an earlier stateguard made up to this version."""

from __future__ import annotations

import click

from stateguard.cli.context import home_of, say, show


@click.command("upgrade")
@click.option("--dry-run", is_flag=True, help="Only say what would be done.")
@click.pass_context
def command(ctx: click.Context, dry_run: bool) -> None:
    """Upgrade the home to this version (`run` and every writing command do so by themselves first)."""
    from stateguard.guard.upgrade import needed, upgrade
    from stateguard.host.lock import WriterLock, daemon_holds

    home = home_of(ctx).require()
    found = needed(home)
    if not dry_run and (found.steps or daemon_holds(home.writer_lock) is None):  # a guard that runs has renewed it
        with WriterLock(home.writer_lock, "upgrade").acquire():
            found = upgrade(home, lambda text: say(ctx, text))
    if not found.steps:
        lines = [f"the home is of version {found.after}; nothing is to be done"]
    else:
        lines = [f"{'would be ' if dry_run else ''}upgraded from version {found.before} to {found.after}"]
        lines += [f"  {step}" for step in found.steps]
        lines.append(f"  the old guard.db {'would be' if dry_run else 'is'} kept as {found.backup}")
    show(ctx, found.as_json() | {"dry_run": dry_run}, lines)
