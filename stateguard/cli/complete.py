"""What TAB offers besides commands and options; nothing heavy is imported, and nobody is asked."""

from __future__ import annotations

import re
from pathlib import Path

import click

from stateguard.host.home import Home, find_home

_TAG = re.compile(r"refs/tags/baseline/(\d+)$", re.MULTILINE)


def agents(ctx: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:
    """Return the names of agents that have ever written a log in this home."""
    del parameter
    names = (path.stem for path in _listed(_home(ctx).logs / "agents") if path.suffix == ".log")
    return sorted(name for name in names if name.startswith(incomplete))


def baselines(ctx: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:
    """Return the numbers of baselines, newest first."""
    del parameter
    repository = _home(ctx).repository
    found = {path.name for path in _listed(repository / "refs/tags/baseline") if path.name.isdigit()}
    packed = repository / "packed-refs"
    if packed.is_file():
        found.update(_TAG.findall(packed.read_text(encoding="utf-8", errors="replace")))
    return [n for n in sorted(found, key=int, reverse=True) if n.startswith(incomplete)]


def _home(ctx: click.Context) -> Home:
    return find_home(ctx.find_root().params.get("home"))


def _listed(directory: Path) -> list[Path]:
    try:
        return list(directory.iterdir())
    except OSError:
        return []  # no home, or one of somebody else: nothing is offered
