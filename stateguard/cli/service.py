"""``stateguard service``: run the guard by the host's service manager."""

from __future__ import annotations

import shlex
import sys

import click

from stateguard.cli.context import home_of, say


@click.group("service")
def command() -> None:
    """Run the guard by the host's service manager."""


@command.command("systemd")
@click.option("--user", "user_unit", is_flag=True, help="A unit of this user's own service manager.")
@click.option("--name", default="stateguard", show_default=True, metavar="NAME", help="The unit's name.")
@click.pass_context
def systemd(ctx: click.Context, user_unit: bool, name: str) -> None:
    """Print a systemd unit for this home on standard output, and how to install it on standard error."""
    from stateguard.cli.context import show
    from stateguard.guard.service import systemd_unit

    home = home_of(ctx).require()
    words = [sys.executable, "-m", "stateguard", "--home", str(home.root), "service", "systemd", "--name", name]
    invoked = shlex.join([*words, *(["--user"] if user_unit else [])])
    unit = systemd_unit(home, name, user_unit=user_unit, invoked=invoked)
    show(ctx, {"name": unit.name, "unit": unit.text, "install": list(unit.install)}, [unit.text.rstrip("\n")])
    if not ctx.obj["json"]:
        say(ctx, f"Install it{'' if user_unit else ', as root'}:")
        for line in unit.install:
            say(ctx, f"  {line}")
