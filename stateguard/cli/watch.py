"""Show something again every second: in place on a terminal, else one after another, until told to stop."""

from __future__ import annotations

import json
import signal
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from types import FrameType
from typing import Any

import click

from stateguard.errors import StateguardError
from stateguard.text.escape import terminal

Document = dict[str, Any]
Lines = Callable[[Document], Iterable[str]]
Look = Document | StateguardError
"""What one look brought."""

BETWEEN_SECONDS = 1.0


def watch_over(look: Callable[[], Document], lines: Lines, *, as_json: bool, colour: bool = True) -> None:
    """Look again and again until Ctrl-C or SIGTERM; what fails later than the first time is shown, and looked at again.

    With ``as_json`` each look is one JSON document on a line of its own.

    Raises:
        StateguardError: the first look fails.
        BrokenPipeError: nobody reads any more.
    """
    signal.signal(signal.SIGTERM, _end)
    looks = _looks(look)
    try:
        if as_json:
            _documents(looks)
        elif sys.stdout.isatty():
            _in_place(looks, lines, colour=colour)
        else:
            _one_after_another(looks, lines)
    except KeyboardInterrupt:
        return  # that is how people leave


def _end(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _looks(look: Callable[[], Document]) -> Iterator[Look]:
    yield look()
    while True:
        time.sleep(BETWEEN_SECONDS)
        try:
            yield look()
        except StateguardError as error:
            yield error


def _documents(looks: Iterator[Look]) -> None:
    for found in looks:
        document = found.as_json() if isinstance(found, StateguardError) else found
        click.echo(json.dumps(document, ensure_ascii=False))
        sys.stdout.flush()


def _one_after_another(looks: Iterator[Look], lines: Lines) -> None:
    for found in looks:
        for line in (*_told(found, lines), ""):
            click.echo(line)
        sys.stdout.flush()


def _in_place(looks: Iterator[Look], lines: Lines, *, colour: bool) -> None:
    from rich.console import Console
    from rich.live import Live
    from rich.text import Text

    first = next(looks)  # what fails at once is told on the ordinary screen
    console = Console(file=sys.stdout, highlight=False, no_color=not colour)
    with Live(Text.from_ansi("\n".join(_told(first, lines))), console=console, auto_refresh=False, screen=True) as live:
        live.refresh()
        for found in looks:
            live.update(Text.from_ansi("\n".join(_told(found, lines))), refresh=True)


def _told(found: Look, lines: Lines) -> list[str]:
    if isinstance(found, StateguardError):
        return [f"stateguard: {terminal(found.message)}", f"  next: {terminal(found.next_step)}", "", "(asking again)"]
    return list(lines(found))
