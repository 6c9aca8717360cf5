"""Where commands are answered, and what they share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from stateguard.errors import UsageProblemError
from stateguard.guard.applies import Applies, Say
from stateguard.guard.compose import Guard
from stateguard.model.identity import person
from stateguard.model.moment import parse_duration

Progress = Callable[[int, int, str], None]
"""Is told how far long work is: done, of how many, and what it is."""


def nobody(_done: int, _of: int, _title: str) -> None:
    """Tell nobody how far it is."""


@dataclass(slots=True)
class Desk:
    """Where commands are answered: a guard, and the daemon's process id if there is a daemon.

    ``metrics`` returns them in Prometheus' text format; ``progress`` reaches whoever waits.
    """

    guard: Guard
    applies: Applies
    pid: int | None
    conditions: Callable[[], list[dict[str, Any]]]
    metrics: Callable[[], str]
    progress: Progress = nobody


Answering = Callable[[Desk, dict[str, Any], Say], dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Command:
    """A command: what answers it, and whether it may change something (then it waits its turn)."""

    answer: Answering
    writes: bool = False


def actor(parameters: dict[str, Any]) -> str:
    """Return who asks, as the audit names people."""
    return person(str(parameters.get("user", "")))


def duration(text: str) -> float:
    """Return a duration in seconds.

    Raises:
        UsageProblemError: the text is none.
    """
    try:
        return parse_duration(text)
    except ValueError as error:
        raise UsageProblemError(str(error)) from error
