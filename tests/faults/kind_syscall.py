"""SIGKILL at raw system calls: every one of the guard's that changes anything, and those of the git it runs."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path

from faults.calls import AtCall, calls_of, strace_missing
from faults.kind_kill import SHARE_STRUCK_AGAIN
from faults.kinds import Result, Trial
from faults.scene import play

_SHARE_OF_GIT = 0.05

GIT_CALLS = {"openat": 70, "close": 50, "mmap": 50, "read": 16, "getdents64": 16, "write": 1}
"""Calls of git that are struck, with the highest number of each that is tried: it only reads, and answers."""

GIT_JOURNEY = "failing"
"""The journey in which git is run, once, for the report; all else is done in the guard's own process."""


class Syscall:
    """The guard dies as it makes a system call, or git does, or both at once."""

    name, default, counts = "syscall", 60, True

    def available(self) -> str:
        """Return what is missing."""
        return strace_missing()

    def trials(self, seed: int, number: int) -> Iterable[Trial]:
        """Return every call of the guard, shuffled, again and again; some strike recoveries too, a few git."""
        return islice(self._endless(seed), number)

    def close(self) -> None:
        """Leave nothing: everything lies in the directory that the caller removes."""

    def run(self, trial: Trial, room: Path) -> Result:
        """Run one."""
        return play(trial, room, AtCall(room))

    def _endless(self, seed: int) -> Iterator[Trial]:
        rng = random.Random(seed)
        every = calls_of()
        recovering = [f"call={call}:{nth}:kill" for journey, call, nth in every if journey == "recover"]
        recovering = recovering[: len(recovering) // 3]  # nearly every recovery makes as many calls
        while True:
            rng.shuffle(every)
            for journey, call, nth in every:
                again = rng.choices(recovering, k=rng.randint(1, 2)) if rng.random() < SHARE_STRUCK_AGAIN else []
                yield Trial(self.name, journey, (f"call={call}:{nth}:kill", *again), seed)
                if rng.random() < _SHARE_OF_GIT:
                    yield self._git(rng, seed)

    def _git(self, rng: random.Random, seed: int) -> Trial:
        call = rng.choice(list(GIT_CALLS))
        nth, action = rng.randint(1, GIT_CALLS[call]), rng.choice(("kill", "killboth"))
        return Trial(self.name, GIT_JOURNEY, (f"call=git.{call}:{nth}:{action}",), seed)


KIND = Syscall()
