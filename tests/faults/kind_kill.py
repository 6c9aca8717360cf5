"""SIGKILL at named points: every passage of every point, then random ones with a second and a third kill."""

from __future__ import annotations

import random
import tempfile
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path

from faults.journeys import JOURNEYS
from faults.kinds import Result, Trial
from faults.scene import Struck, play, points

KILLED_ONLY = ("agents.spawned",)
"""Points where nothing can fail in earnest: the guard can only be killed there."""

_RECOVERY_POINTS = 60
"""About so many points does a recovery pass."""


class Kill:
    """The guard is killed for good at a named point."""

    name, default, counts = "kill", 200, True
    action = "kill"

    def available(self) -> str:
        """Return nothing: it can be tried everywhere."""
        return ""

    def trials(self, seed: int, number: int) -> Iterable[Trial]:
        """Return every single passage first, shuffled, then random double and triple crashes."""
        return islice(self._endless(seed), number)

    def run(self, trial: Trial, room: Path) -> Result:
        """Run one."""
        return play(trial, room, Struck())

    def close(self) -> None:
        """Nothing is left: a worker's grounds lie in the directory that its caller removes."""

    def _endless(self, seed: int) -> Iterator[Trial]:
        rng = random.Random(seed)
        every = [(j, f"{name}:{nth}:{action}") for j, name, nth in passages() for action in self.actions()]
        rng.shuffle(every)
        for journey, fault in every:
            yield Trial(self.name, journey, (fault,), seed)
        while True:
            journey, fault = rng.choice(every)
            more = [f"*:{rng.randint(1, _RECOVERY_POINTS)}:{self.later()}" for _ in range(rng.choice((0, 1, 1, 2)))]
            yield Trial(self.name, journey, (fault, *more), seed)

    def actions(self) -> tuple[str, ...]:
        """Return what may happen at a point."""
        return ("kill",)

    def later(self) -> str:
        """Return what happens during recoveries."""
        return "kill"


def passages() -> list[tuple[str, str, int]]:
    """Return every journey's every passage of a named point."""
    if not _PASSAGES:
        with tempfile.TemporaryDirectory(prefix="stateguard-points-") as room:
            place = Path(room) / "room"
            place.mkdir()
            _PASSAGES.extend((j, name, nth) for j in JOURNEYS for name, nth in points(j, place))
    return _PASSAGES


_PASSAGES: list[tuple[str, str, int]] = []

KIND = Kill()
