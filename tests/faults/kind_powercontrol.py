"""The negative control of power cuts: a guard that never flushes, which the harness must find out."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Iterable
from itertools import cycle, islice
from pathlib import Path

import pygit2

from faults.cuts import image_after, make_disk, run, verdict
from faults.disk import FILE_SYSTEMS, missing
from faults.kinds import Outcome, Result, Trial

_CUTS = 60


class PowerControl:
    """A trial is one run of such a guard, cut until something is torn or lost; it survives if that was found."""

    name, default, counts = "powercontrol", 3, True

    def available(self) -> str:
        """Return what this machine lacks."""
        return missing()

    def trials(self, seed: int, number: int) -> Iterable[Trial]:
        """Return each file system in turn."""
        return (Trial(self.name, "apply", (fs,), seed + n) for n, fs in islice(enumerate(cycle(FILE_SYSTEMS)), number))

    def close(self) -> None:
        """Leave nothing: everything lies in the directory that the caller removes."""

    def run(self, trial: Trial, room: Path) -> Result:
        """Run it once, and cut it until the harness finds out."""
        began, fs, chance = time.monotonic(), FILE_SYSTEMS[trial.faults[0]], random.Random(trial.seed)
        (room / "disk").mkdir()
        before = make_disk(fs, room / "disk.img", room / "disk", trial.journey)
        travelled = run(fs, room / "disk.img", before, room, trial.journey, _never_flush)
        for _ in range(_CUTS):
            cut = travelled.moment(chance.choice(("ack", "lossy")), chance.random())
            image_after(travelled, cut, chance, room / "cut.img")
            if verdict(fs, room / "cut.img", travelled, cut, room, trial.journey)[0] is not Outcome.SURVIVED:
                return Result(trial, Outcome.SURVIVED, time.monotonic() - began)
        return Result(trial, Outcome.ERROR, time.monotonic() - began, "a guard that never flushes was not found out")


def _never_flush() -> None:
    """Let this process leave out every flush but those of SQLite."""
    os.fsync = os.fdatasync = lambda _: None
    os.sync = lambda: None
    pygit2.option(pygit2.enums.Option.ENABLE_FSYNC_GITDIR, False)


KIND = PowerControl()
