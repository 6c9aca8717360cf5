"""What the commands share: the home that is meant, asking the guard, and printing."""

from __future__ import annotations

import json
import os
import pwd
import sys
from collections.abc import Iterable
from typing import Any

import click

from stateguard.cli.progress import Listener
from stateguard.errors import GuardDownError, NetworkError
from stateguard.host.home import Home, find_home
from stateguard.text.escape import terminal

_STATE_COLOURS = {
    "HEALTHY": "green", "succeeded": "green", "RUNNING": "green", "RESOLVED": "green", "DEGRADED": "yellow",
    "UNKNOWN": "yellow", "STARTING": "yellow", "BACKOFF": "yellow", "undone": "yellow", "UNHEALTHY": "red",
    "FATAL": "red", "failed": "red", "refused": "red", "OPEN": "red", "MITIGATING": "yellow",
    "IN_SYNC": "green", "BEHIND": "yellow", "DIVERGED": "red", "TAMPERED": "red",
}  # fmt: skip

_NAMED_BY = ("LOGNAME", "USER", "LNAME", "USERNAME")

NUMBER = click.IntRange(0, 2**63 - 1)
"""What numbers things: operations, incidents; no more than the database can hold."""


def home_of(ctx: click.Context) -> Home:
    """Return the home that the command line means."""
    return find_home(ctx.obj["home"])


def user() -> str:
    """Return the name of who runs this command, as getpass has it, whose import costs a tenth of a command's start."""
    named = next((name for key in _NAMED_BY if (name := os.environ.get(key))), "")
    try:
        return named or pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return "unknown"


def ask(ctx: click.Context, name: str, **parameters: object) -> dict[str, Any]:
    """Run a command in the guard, or here if none runs; progress goes to standard error.

    Raises:
        StateguardError: whatever the command meets.
    """
    from stateguard.guard.client import stream

    home = home_of(ctx).require()
    parameters["user"] = user()
    with Listener(quiet=ctx.obj["quiet"]) as listener:
        try:
            for document in stream(home.socket, name, parameters):
                if "result" in document:
                    answer: dict[str, Any] = document["result"]
                    return answer
                listener.hear(document)
        except GuardDownError:
            from stateguard.guard.local import without_daemon
            from stateguard.guard.worker import Voice, progress

            far = Voice(listener.hear).progress
            return without_daemon(
                home, name, parameters, listener.say, lambda _, step: listener.hear(progress(step)), far
            )
    message = f"the guard ended before it answered {name!r}"
    raise NetworkError(message, changed="unknown", next_step="see: stateguard status, stateguard history")


def say(ctx: click.Context, text: str) -> None:
    """Say a line of progress on standard error."""
    if not ctx.obj["quiet"]:
        click.echo(terminal(text), err=True)


def show(ctx: click.Context, document: dict[str, Any], lines: Iterable[str]) -> None:
    """Print the document with ``--json``, else the lines."""
    if ctx.obj["json"]:
        click.echo(json.dumps(document, indent=1, ensure_ascii=False))
        return
    for line in lines:
        click.echo(line)


def word(state: str) -> str:
    """Return a state in its colour."""
    return click.style(state, fg=_STATE_COLOURS.get(state)) if state in _STATE_COLOURS else state


def table(rows: Iterable[Iterable[object]], head: Iterable[str]) -> list[str]:
    """Return rows as aligned columns under a head."""
    cells = [[terminal(str(c)) for c in row] for row in ([*head], *rows)]
    widths = [max(len(row[n]) for row in cells) for n in range(len(cells[0]))]
    lines = ["  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)).rstrip() for row in cells]
    return [click.style(lines[0], bold=True), *(_coloured(line) for line in lines[1:])]


def _coloured(line: str) -> str:
    return " ".join(word(part) for part in line.split(" "))


def outcome_status(document: dict[str, Any]) -> int:
    """Return the exit status for the outcome of an operation."""
    return 0 if document.get("outcome") in (None, "succeeded") else 1


def is_terminal() -> bool:
    """Say whether a person can be asked."""
    return sys.stdin.isatty() and sys.stderr.isatty()


def target(ctx: click.Context, parameter: click.Parameter, value: str | None) -> str | None:
    """Let ``-1`` through as a TARGET; any other word with a dash is an option that does not exist."""
    del parameter
    if value is not None and value.startswith("-") and value != "-1":
        raise click.NoSuchOption(value, ctx=ctx)
    return value
