"""Hear what a long command says: lines on standard error, and a progress bar if that is a terminal."""

from __future__ import annotations

import sys
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import click

from stateguard.text.escape import terminal

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID


class Listener:
    """Prints what is said; draws a bar once a transition tells how far it is."""

    def __init__(self, *, quiet: bool) -> None:
        """``quiet`` hears everything and prints nothing."""
        self._quiet = quiet
        self._bar: Progress | None = None
        self._task: TaskID | None = None

    def hear(self, document: dict[str, Any]) -> None:
        """Take one document of the guard's."""
        if "say" in document:
            self.say(str(document["say"]))
        if "progress" in document and not self._quiet and sys.stderr.isatty():
            self._draw(document["progress"])

    def say(self, text: str) -> None:
        """Print one line."""
        if self._quiet:
            return
        if self._bar is not None:
            self._bar.console.print(terminal(text), markup=False, highlight=False)
        else:
            click.echo(terminal(text), err=True)

    def _draw(self, progress: dict[str, Any]) -> None:
        if self._bar is None:
            from rich.console import Console
            from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

            columns = (TextColumn("{task.description:<36}"), BarColumn(), TimeElapsedColumn())
            self._bar = Progress(*columns, console=Console(stderr=True), transient=True)
            self._bar.start()
            self._task = self._bar.add_task("", total=progress["of"])
        if self._task is not None:
            title, done, of = progress["title"], progress["done"], progress["of"]
            self._bar.update(self._task, description=title, completed=done, total=of)  # one bar, one job after another

    def rest(self) -> None:
        """Take the bar away while somebody is asked something at the terminal; the next progress draws a new one."""
        if self._bar is not None:
            self._bar.stop()
        self._bar = self._task = None

    def __enter__(self) -> Self:
        """Listen."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Take the bar away."""
        self.rest()
