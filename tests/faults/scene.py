"""One trial: a copy of a home, a journey under a fault, faulty recoveries, a last one without, and a check."""

from __future__ import annotations

import os
import shutil
import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from faults.ground import Ground, at_work, copy
from faults.journeys import JOURNEYS, Before, Heal, Journey
from faults.kinds import Outcome, Result, Trial
from faults.processes import Note, Told, forked
from faults.verdict import Broken, check
from stateguard import faults
from stateguard.errors import StateguardError
from stateguard.host.home import Home

_LATE_SECONDS = 60.0


class Struck:
    """How a fault is brought about: ``arm`` in the process it strikes, ``beside`` in the one that watches it."""

    def __init__(self) -> None:
        """Strike nothing yet."""
        self._passed: list[str] = []
        self._fault = ""

    def arm(self, fault: str) -> None:
        """Arm a fault at a named point."""
        self._passed, self._fault = list[str](), fault
        faults.record(self._passed)
        faults.arm(fault)

    def came(self) -> bool:
        """Say, in the process it was to strike, whether the fault came."""
        name, _, rest = self._fault.partition(":")
        passed = len(self._passed) if name == "*" else self._passed.count(name)
        return bool(name) and passed >= int(rest.partition(":")[0])

    def seen(self) -> bool:
        """Say, in the process that watched, whether the fault came."""
        return False

    def beside(self, fault: str) -> Callable[[int], None]:
        """Return what is done beside the process, given its number."""
        del fault
        return lambda _: None


@dataclass(slots=True)
class Stage:
    """Where trials of one worker are played: its grounds, made when they are first needed."""

    grounds: dict[Path, Ground] = field(default_factory=dict)

    def ground(self, room: Path) -> Ground:
        """Return this process's ground; forked workers never share one, for agents are known by it."""
        root = room.parent / f"ground-{room.name}-{os.getpid()}"
        if root not in self.grounds:
            self.grounds = {root: Ground(root)}
        return self.grounds[root]


STAGE = Stage()


def play(trial: Trial, room: Path, struck: Struck, journey: Journey | None = None, *, must_end: bool = False) -> Result:
    """Play one trial.

    The first fault strikes the journey, each further one the recovery after it; then a recovery without a fault must
    bring everything back. ``journey`` is one that is not in the table of journeys; ``must_end`` says that the faults
    may not keep it from ending well.
    """
    began = time.monotonic()
    ground, journey = STAGE.ground(room), journey or JOURNEYS[trial.journey]
    template, before = ground.template(trial.journey, journey)
    home = copy(template, room)
    hit, again, noted = False, 0, ()
    try:
        for number, fault in enumerate(trial.faults or ("",)):
            told = _under(home, journey if number == 0 else None, before, struck, fault)
            noted += told.noted
            came = told.signal == signal.SIGKILL or bool(told.value) or struck.seen()
            hit, again = (came, 0) if number == 0 else (hit, again + came)
            if told.late or (told.problem and told.signal == 0):
                why = told.problem or "it did not end in time"
                return Result(trial, Outcome.STUCK, time.monotonic() - began, why, hit, again)
        told = forked(lambda note: _verdict(home, journey, before, noted, note), _LATE_SECONDS)
        outcome, detail = told.value or (Outcome.STUCK, told.problem or "the last recovery did not end")
        if outcome is Outcome.SURVIVED and must_end and detail != journey.ends:
            outcome, detail = Outcome.ERROR, f"it reached the {detail} state"
        detail = "" if outcome is Outcome.SURVIVED else detail
        return Result(trial, outcome, time.monotonic() - began, detail, hit, again)
    finally:
        ground.clear()


def points(journey_name: str, room: Path) -> list[tuple[str, int]]:
    """Return every named point that a journey passes, with which passage of it that is."""
    ground = STAGE.ground(room)
    journey = JOURNEYS[journey_name]
    template, before = ground.template(journey_name, journey)
    home = copy(template, room)

    def work(note: Note) -> list[str]:
        names: list[str] = []
        if not journey.begins:
            faults.record(names)
        with at_work(home) as setting:
            faults.record(names)
            journey.begin(setting.guard, before, note)
            faults.record(None)
        return names

    try:
        told = forked(work, _LATE_SECONDS)
        assert not told.problem, told.problem
        return numbered(told.value)
    finally:
        ground.clear()
        shutil.rmtree(home.root)


def numbered(names: Sequence[str]) -> list[tuple[str, int]]:
    """Return each name with how often it has come by then."""
    seen: dict[str, int] = {}
    found = []
    for name in names:
        seen[name] = seen.get(name, 0) + 1
        found.append((name, seen[name]))
    return found


def _under(home: Home, journey: Journey | None, before: Before, struck: Struck, fault: str) -> Told:
    """Let a guard begin a journey, or only recover, under a fault; its value says whether the fault struck."""

    def work(note: Note) -> bool:
        try:
            if journey is None or not journey.begins:
                struck.arm(fault)
                with at_work(home):
                    return struck.came()
            with at_work(home) as setting:
                struck.arm(fault)
                journey.begin(setting.guard, before, note)
                faults.arm(None)
        except (StateguardError, OSError):
            return True
        finally:
            faults.arm(None)
        return struck.came()

    return forked(work, _LATE_SECONDS, struck.beside(fault))


def _verdict(home: Home, journey: Journey, before: Before, noted: tuple[Any, ...], note: Note) -> tuple[Outcome, str]:
    with at_work(home) as setting:
        if isinstance(journey, Heal):
            journey.begin(setting.guard, before, note)  # what a guard at work does next
        journey.goes_on(setting.guard, note)
        try:
            reached = check(setting, journey, before, noted)
        except Broken as error:
            return error.outcome, error.what
    return Outcome.SURVIVED, reached
