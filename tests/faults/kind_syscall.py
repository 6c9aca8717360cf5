"""SIGKILL at raw system calls: every one of the guard's that changes anything, and those of the git it runs."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path

from faults.calls import AtCall, calls_of, strace_missing
from faults.kinds import Result, Trial
from faults.scene import play

_SHARE_OF_GIT = 0.05

GIT_CALLS = {"openat": 40, "write": 12, "rename": 4, "mkdir": 3, "fsync": 6, "unlink": 4, "close": 30}
"""Calls of git that are struck, with the highest number of each that is tried."""

GIT_JOURNEYS = ("failing", "recover")
"""Journeys in which git itself is run; elsewhere libgit2 does all there is to do, in the guard's own process."""


class Syscall:
    """The guard dies as it makes a system call, or git does, or both at once."""

    name, default, counts = "syscall", 60, True

    def available(self) -> str:
        """Return what is missing."""
        return strace_missing()

    def trials(self, seed: int, number: int) -> Iterable[Trial]:
        """Return every call of the guard once, shuffled, with calls of git and double crashes between them."""
        return islice(self._endless(seed), number)

    def close(self) -> None:
        """Leave nothing: everything lies in the directory that the caller removes."""

    def run(self, trial: Trial, room: Path) -> Result:
        """Run one."""
        return play(trial, room, AtCall(room))

    def _endless(self, seed: int) -> Iterator[Trial]:
        rng = random.Random(seed)
        every = calls_of()
        rng.shuffle(every)
        for journey, call, nth in every:
            yield Trial(self.name, journey, (f"call={call}:{nth}:kill",), seed)
            if rng.random() < _SHARE_OF_GIT:
                yield self._git(rng, seed)
        while True:
            journey, call, nth = rng.choice(every)
            if rng.random() < _SHARE_OF_GIT:
                yield self._git(rng, seed)
            else:
                call_again = rng.choice([(c, n) for j, c, n in every if j == "recover"])
                again = f"call={call_again[0]}:{call_again[1]}:kill"
                yield Trial(self.name, journey, (f"call={call}:{nth}:kill", again), seed)

    def _git(self, rng: random.Random, seed: int) -> Trial:
        call = rng.choice(list(GIT_CALLS))
        nth, run, action = rng.randint(1, GIT_CALLS[call]), rng.randint(1, 3), rng.choice(("kill", "killboth"))
        return Trial(self.name, rng.choice(GIT_JOURNEYS), (f"call=git.{call}:{nth}:{action}:{run}",), seed)


KIND = Syscall()
