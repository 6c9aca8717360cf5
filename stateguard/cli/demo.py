"""``stateguard demo``: the main job on the example."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import click

from stateguard.cli.context import show
from stateguard.errors import NotFoundError

_COLOUR = re.compile(r"\x1b\[[0-9;]*m")


@click.command("demo")
@click.argument("directory", type=click.Path(path_type=Path), default="demo", metavar="[DIR]")
@click.pass_context
def command(ctx: click.Context, directory: Path) -> None:
    """Play the main job in DIR (default ./demo): real pushes, real agents, every promise checked."""
    from stateguard.demo.story import tell_story

    for tool in ("git", "ssh-keygen"):
        if shutil.which(tool) is None:
            raise NotFoundError(f"{tool} is missing", next_step="apt-get install git openssh-client")

    def tell(line: str) -> None:
        click.echo(line if ctx.color is not False else _COLOUR.sub("", line), err=ctx.obj["json"])

    promises = tell_story(directory.absolute(), tell)
    show(ctx, {"directory": str(directory.absolute()), "promises": promises}, ())
