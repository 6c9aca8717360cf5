"""``stateguard hook``: what the git hooks call when no guard runs."""

from __future__ import annotations

import json
import sys

import click

from stateguard.cli.context import home_of
from stateguard.errors import UsageProblemError


@click.command("hook", hidden=True)
@click.argument("name", type=click.Choice(["admit", "push"]))
@click.pass_context
def command(ctx: click.Context, name: str) -> int:
    """Answer one hook from a request on standard input."""
    from stateguard.githooks.fallback import run

    try:
        request = json.load(sys.stdin)
    except ValueError as error:
        raise UsageProblemError(f"the request is no JSON: {error}") from error
    try:
        return run(home_of(ctx), name, request)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise UsageProblemError(
            "the request is not what a hook sends", next_step="it is git that calls hooks"
        ) from error
