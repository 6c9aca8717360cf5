"""The wall clock jumps, by hours or years, in the middle of journeys, between a kill and a recovery, and in waits."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path

from faults.clockwork import environment, library
from faults.kind_kill import passages
from faults.kinds import Result, Trial
from faults.waits import WAITS

_HOUR, _DAY = 3600, 86400
_JUMPS = (31, 16 * 60, 2 * _HOUR, _DAY, 30 * _DAY, 3650 * _DAY)
"""Beyond the confirm window, beyond the soak, and so far that the clock is before, or long after, all that was done."""
_SHARE_OF_WAITS, _SHARE_THERE_AND_BACK = 0.1, 0.25
_RECOVERY_POINTS = 20
_TESTS = Path(__file__).parents[1]


class Clock:
    """The wall clock jumps; libfaketime lies to the guard. The boot clock, and what git and agents see, stays true."""

    name, default, counts = "clock", 30, True

    def __init__(self) -> None:
        """Nothing runs before the first trial."""
        self._server: subprocess.Popen[str] | None = None

    def available(self) -> str:
        """Return what this machine lacks."""
        return "" if library() else "needs libfaketime"

    def trials(self, seed: int, number: int) -> Iterable[Trial]:
        """Return jumps at every passage of every point, shuffled, again and again, with waits between them."""
        return islice(self._endless(seed), number)

    def run(self, trial: Trial, room: Path) -> Result:
        """Let a process whose clock can be turned run it; it stays for the next ones."""
        if self._server is None:
            clock = room.parent / f"clock-{room.name}"
            argv = (sys.executable, "-m", "faults.clockwork")
            pipe = subprocess.PIPE
            self._server = subprocess.Popen(
                argv, env=environment(clock), stdin=pipe, stdout=pipe, text=True, cwd=_TESTS
            )
        assert self._server.stdin is not None
        assert self._server.stdout is not None
        self._server.stdin.write(json.dumps({"trial": trial.text, "room": str(room)}) + "\n")
        self._server.stdin.flush()
        answer = self._server.stdout.readline()  # each part of a trial has a deadline of its own
        if not answer:
            self.close()
            message = "the process whose clock is turned has ended"
            raise RuntimeError(message)
        return Result.from_json(json.loads(answer))

    def close(self) -> None:
        """End the process whose clock is turned."""
        if self._server is not None:
            self._server.communicate()
            self._server = None

    def _endless(self, seed: int) -> Iterator[Trial]:
        chance = random.Random(seed)
        every = [(journey, f"{name}:{nth}") for journey, name, nth in passages()]
        while True:
            chance.shuffle(every)
            for journey, where in every:
                if chance.random() < _SHARE_OF_WAITS:
                    yield self._waiting(chance, seed)
                yield Trial(self.name, journey, _struck(chance, where), seed)

    def _waiting(self, chance: random.Random, seed: int) -> Trial:
        journey = chance.choice(list(WAITS))
        where = "journal.begun:8" if journey == "held" else "journal.closed:1"
        again = (f"*:{chance.randint(1, _RECOVERY_POINTS)}:{_jump(chance)}",)
        if chance.random() < 1 / 3:
            return Trial(self.name, journey, (f"{where}:{_jump(chance)},kill", *again), seed)
        return Trial(self.name, journey, (f"{where}:later,{_jump(chance)}",), seed)


def _struck(chance: random.Random, where: str) -> tuple[str, ...]:
    """Return the faults of a trial: only jumps; or a jump and a kill; or a kill, and a jump during the recovery."""
    jump = _jump(chance)
    if chance.random() < _SHARE_THERE_AND_BACK:
        jump += f",{_jump(chance)}"
    recovering = f"*:{chance.randint(1, _RECOVERY_POINTS)}:{_jump(chance)}"
    return chance.choice(
        (
            (f"{where}:{jump}",),
            (f"{where}:{jump},kill",),
            (f"{where}:kill", recovering),
            (f"{where}:{jump},kill", recovering),
        )
    )


def _jump(chance: random.Random) -> str:
    return f"{chance.choice(('forward', 'back'))}={chance.choice(_JUMPS)}"


KIND = Clock()
