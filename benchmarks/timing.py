"""Times: methods in turn within one run, medians, ratios, and what a row of the table promises."""

from __future__ import annotations

import os
import statistics
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

Method = Callable[[], float]
"""Does one repetition, checks its end state, and returns the seconds that the work itself took."""


@dataclass(frozen=True, slots=True)
class Row:
    """One comparison. ``most`` is what is promised: a ratio of medians, or seconds beyond the peer's if ``beyond``.

    ``gate`` says that the exit status of the run depends on it. ``peer`` may be empty: then ``most`` is a value.
    """

    work: str
    files: int
    changed: int
    ours: tuple[float, ...]
    peer: str = ""
    theirs: tuple[float, ...] = ()
    most: float | None = None
    beyond: bool = False
    gate: bool = False
    unit: str = "s"

    @property
    def figure(self) -> float:
        """The value that is promised: the ratio, or the seconds beyond the peer's, or the value itself."""
        mine = statistics.median(self.ours)
        if not self.theirs:
            return mine
        other = statistics.median(self.theirs)
        return mine - other if self.beyond else mine / other

    @property
    def held(self) -> bool:
        """Whether the promise is kept; a row without one always holds."""
        return self.most is None or self.figure <= self.most

    def as_json(self) -> dict[str, Any]:
        """Return the row as it is published."""
        return {
            "work": self.work,
            "files": self.files,
            "changed": self.changed,
            "unit": self.unit,
            "ours": [round(v, 6) for v in self.ours],
            "peer": self.peer,
            "theirs": [round(v, 6) for v in self.theirs],
            "figure": round(self.figure, 4),
            "beyond": self.beyond,
            "most": self.most,
            "gate": self.gate,
            "held": self.held,
        }


def timed(work: Callable[[], object]) -> float:
    """Return the seconds that some work takes."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def interleaved(methods: Mapping[str, Method], rounds: int) -> dict[str, tuple[float, ...]]:
    """Run all methods in turn so many times; returns their seconds by name.

    A turn before those does not count, unless there is one only. Before each, all that others left to be written is
    flushed: git does not flush its files, and whoever does would wait for them.
    """
    found: dict[str, list[float]] = {name: [] for name in methods}
    for number in range(rounds + (rounds > 1)):
        for name, method in methods.items():
            os.sync()
            took = method()
            if number or rounds == 1:
                found[name].append(took)
    return {name: tuple(values) for name, values in found.items()}


def say(text: str) -> None:
    """Say on standard error how far the run is."""
    print(f"[{time.strftime('%H:%M:%S')}] {text}", file=sys.stderr, flush=True)
