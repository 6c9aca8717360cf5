"""The guard is frozen at a named point while another one tries to work: it is refused by name, then all ends well."""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path

from faults.ground import at_work
from faults.journeys import JOURNEYS
from faults.kind_kill import passages
from faults.kinds import Outcome, Result, Trial
from faults.processes import Note, forked
from faults.scene import STAGE
from faults.verdict import Broken, check
from helpers import eventually
from stateguard import faults
from stateguard.errors import LockHeldError
from stateguard.host.home import Home
from transition.setting import copied

_LATE_SECONDS = 60.0


class Freeze:
    """One trial: ``POINT:N:pause`` in a journey, with a second guard that wants to recover meanwhile."""

    name, default, counts = "freeze", 20, True

    def available(self) -> str:
        """Return nothing: it can be tried everywhere."""
        return ""

    def trials(self, seed: int, number: int) -> Iterable[Trial]:
        """Return passages of points, shuffled by the seed, again and again."""
        return islice(self._endless(seed), number)

    def close(self) -> None:
        """Leave nothing: a worker's grounds lie in the directory that its caller removes."""

    def run(self, trial: Trial, room: Path) -> Result:
        """Freeze, try, thaw, check."""
        began, ground = time.monotonic(), STAGE.ground(room)
        template, before = ground.template(trial.journey, JOURNEYS[trial.journey])
        home, journey = copied(template, room), JOURNEYS[trial.journey]
        refused = [False]

        def work(note: Note) -> None:
            with at_work(home) as setting:
                faults.arm(trial.faults[0])
                journey.begin(setting.guard, before, note)
                faults.arm(None)

        def beside(pid: int) -> None:
            try:
                eventually(lambda: _state(pid) in ("T", ""), _LATE_SECONDS)
                if _state(pid) == "T":
                    refused[0] = _is_refused(home)
            finally:
                if _state(pid):
                    os.kill(pid, signal.SIGCONT)

        try:
            told = forked(work, _LATE_SECONDS, beside)
            if told.late or told.problem:
                return Result(trial, Outcome.STUCK, time.monotonic() - began, told.problem or "it did not go on")
            with at_work(home) as setting:
                reached = check(setting, journey, before, told.noted)
        except Broken as error:
            return Result(trial, error.outcome, time.monotonic() - began, error.what)
        finally:
            ground.clear()
        outcome = Outcome.SURVIVED if refused[0] and reached == journey.ends else Outcome.TORN
        detail = "" if outcome is Outcome.SURVIVED else f"refused: {refused[0]}, reached the {reached} state"
        return Result(trial, outcome, time.monotonic() - began, detail, hit=refused[0])

    def _endless(self, seed: int) -> Iterator[Trial]:
        chance = random.Random(seed)
        every = [(j, f"{name}:{nth}:pause") for j, name, nth in passages() if j != "recover"]
        while True:
            chance.shuffle(every)
            for journey, fault in every:
                yield Trial(self.name, journey, (fault,), seed)


def _is_refused(home: Home) -> bool:
    try:
        with at_work(home):
            return False
    except LockHeldError:
        return True


def _state(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(") ")[2][0].replace("Z", "")
    except OSError:
        return ""


KIND = Freeze()
