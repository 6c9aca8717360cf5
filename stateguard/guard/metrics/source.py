"""What every source of metrics is, and what only the running guard knows of itself."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from stateguard.guard.compose import Guard

LATENCIES_SECONDS = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)
"""Upper bounds of the buckets of what transitions take."""

CYCLES_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
"""Upper bounds of the buckets of what a look at the system takes."""


@dataclass(frozen=True, slots=True)
class Pulse:
    """Answers that only the process of a running guard has: jobs that wait, whether one is done, paths that drifted."""

    waiting: Callable[[], int]
    busy: Callable[[], bool]
    drifted: Callable[[], int]


class Source(Protocol):
    """A group of metrics in one registry; made with ``(registry)``.

    A new subject (mirrors, for instance) is one more file beside this one with its class, and a line in the table of
    :mod:`stateguard.guard.metrics.instruments`.
    """

    def refresh(self, guard: Guard, pulse: Pulse | None) -> None:
        """Bring the values up to now; without a running guard ``pulse`` is None."""
        ...
