"""I/O errors: at named points, at raw system calls of the guard, at those of git, and writes that end half-way."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path

from faults.calls import AtCall, calls_of, strace_missing
from faults.kind_kill import KILLED_ONLY, passages, struck_again
from faults.kind_syscall import GIT_CALLS, GIT_JOURNEY
from faults.kinds import Result, Trial
from faults.scene import Struck, play

ERRORS = ("EIO", "ENOSPC", "EMFILE", "EDQUOT")
_LATER = ("eio", "enospc", "kill")
_SHARE_OF_CALLS = 0.4
_SHARE_OF_GIT = 0.1
_SHARE_CUT_SHORT = 0.1
_LONGEST_FILE_BYTES = 1200


class Errno:
    """Storage refuses: the guard goes on, puts back or says so, and whatever it left is brought back afterwards."""

    name, default, counts = "errno", 100, True

    def available(self) -> str:
        """Return nothing: without strace only the named points are tried."""
        return ""

    def trials(self, seed: int, number: int) -> Iterable[Trial]:
        """Return every passage with every error, shuffled, and system calls between; some strike recoveries too."""
        return islice(self._endless(seed), number)

    def close(self) -> None:
        """Leave nothing: everything lies in the directory that the caller removes."""

    def run(self, trial: Trial, room: Path) -> Result:
        """Run one."""
        return play(trial, room, AtCall(room) if "call=" in trial.faults[0] else Struck())

    def _endless(self, seed: int) -> Iterator[Trial]:
        rng = random.Random(seed)
        named = [(j, f"{n}:{k}:{a}") for j, n, k in passages() if n not in KILLED_ONLY for a in ("eio", "enospc")]
        calls = [] if strace_missing() else calls_of()
        rng.shuffle(named)
        for journey, fault in named:
            yield Trial(self.name, journey, (fault, *struck_again(rng, _LATER)), seed)
            while calls and rng.random() < _SHARE_OF_CALLS:
                yield self._at_call(rng, calls, seed)
        while True:
            if calls and rng.random() < 2 * _SHARE_OF_CALLS:
                yield self._at_call(rng, calls, seed)
            else:
                journey, fault = rng.choice(named)
                yield Trial(self.name, journey, (fault, *struck_again(rng, _LATER)), seed)

    def _at_call(self, rng: random.Random, calls: list[tuple[str, str, int]], seed: int) -> Trial:
        journey, call, nth = rng.choice(calls)
        if rng.random() < _SHARE_CUT_SHORT:
            return Trial(self.name, journey, (f"call=file:{rng.randint(1, _LONGEST_FILE_BYTES)}:short",), seed)
        if rng.random() < _SHARE_OF_GIT:
            call = rng.choice(list(GIT_CALLS))
            fault = f"call=git.{call}:{rng.randint(1, GIT_CALLS[call])}:{rng.choice(ERRORS)}"
            return Trial(self.name, GIT_JOURNEY, (fault,), seed)
        return Trial(self.name, journey, (f"call={call}:{nth}:{rng.choice(ERRORS)}",), seed)


KIND = Errno()
