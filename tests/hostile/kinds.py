"""What a kind of attack is: how many there are, and what became of each."""

from __future__ import annotations

import random
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

Attempt = tuple[str, Callable[[], bool]]
"""A description to find it again by, and what tries it: says whether it came out as it must; raising never is."""


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind: ``attempts`` yields so many of them, the same ones for the same random numbers.

    It is given a directory for what it needs on disk. ``must`` says in words what has to become of each.
    """

    name: str
    must: str
    trials: int
    sample: int
    attempts: Callable[[random.Random, int, Path], Iterator[Attempt]]


@dataclass(slots=True)
class Tally:
    """How the attempts of one kind came out."""

    kind: Kind
    seed: int
    tried: int = 0
    wrong: list[str] = field(default_factory=list)
    """Of the first ones that came out otherwise, what they were."""
    failures: int = 0


_SHOWN = 20


def run(kind: Kind, trials: int, seed: int, place: Path, told: Callable[[], object]) -> Tally:
    """Make so many attempts; whatever one raises is a failure of ours."""
    tally = Tally(kind, seed)
    for what, attempt in kind.attempts(random.Random(f"{kind.name} {seed}"), trials, place):
        try:
            well, why = attempt(), "came out otherwise"
        except Exception:  # noqa: BLE001 - this is what is looked for
            well, why = False, traceback.format_exc(limit=-3)
        tally.tried += 1
        if not well:
            tally.failures += 1
            if len(tally.wrong) < _SHOWN:
                tally.wrong.append(f"{what}: {why}")
        told()
    return tally
