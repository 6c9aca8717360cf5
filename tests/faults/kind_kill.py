"""SIGKILL at named points: every passage of every point, then random ones; in a third recoveries are killed too."""

from __future__ import annotations

import random
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path

from faults.journeys import JOURNEYS
from faults.kinds import Result, Trial
from faults.scene import Struck, play, points

KILLED_ONLY = ("agents.spawned",)
"""Points where nothing can fail in earnest: the guard can only be killed there."""

SHARE_STRUCK_AGAIN = 1 / 3
_RECOVERY_POINTS = 20
"""So many points does nearly every recovery pass."""


class Kill:
    """The guard is killed for good at a named point."""

    name, default, counts = "kill", 200, True
    action = "kill"

    def available(self) -> str:
        """Return nothing: it can be tried everywhere."""
        return ""

    def trials(self, seed: int, number: int) -> Iterable[Trial]:
        """Return every passage first, shuffled, then random ones; a third of all strike one recovery, or two, too."""
        return islice(self._endless(seed), number)

    def run(self, trial: Trial, room: Path) -> Result:
        """Run one."""
        return play(trial, room, Struck())

    def close(self) -> None:
        """Nothing is left: a worker's grounds lie in the directory that its caller removes."""

    def _endless(self, seed: int) -> Iterator[Trial]:
        rng = random.Random(seed)
        every = [(j, f"{name}:{nth}:kill") for j, name, nth in passages()]
        rng.shuffle(every)
        for journey, fault in every:
            yield Trial(self.name, journey, (fault, *struck_again(rng, ("kill",))), seed)
        while True:
            journey, fault = rng.choice(every)
            yield Trial(self.name, journey, (fault, *struck_again(rng, ("kill",))), seed)


def struck_again(chance: random.Random, actions: Sequence[str]) -> list[str]:
    """Return the faults of recoveries: mostly none, in a third of the trials one or two."""
    if chance.random() >= SHARE_STRUCK_AGAIN:
        return []
    return [f"*:{chance.randint(1, _RECOVERY_POINTS)}:{chance.choice(actions)}" for _ in range(chance.randint(1, 2))]


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
