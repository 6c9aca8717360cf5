"""Power cuts on ext4 (also without its guesses at what to flush) and xfs; also with a cache that loses, and twice."""

from __future__ import annotations

import contextlib
import random
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from faults.box import BoxError
from faults.cuts import Run, image_after, make_disk, run, run_recovery, verdict
from faults.disk import FILE_SYSTEMS, missing
from faults.journeys import JOURNEYS, Before
from faults.kinds import Outcome, Result, Trial

_CUTS_PER_RUN = 12
_TWICE = 0.2
_HOWS = ("cut", "ack", "lossy")
"""At any record; right after something was acknowledged; at any record, and what was not flushed may be lost."""


class Power:
    """One trial: ``FILE_SYSTEM+HOW@SHARE``, perhaps with a second cut, of the recovery from the first."""

    name, default, counts = "power", 90, True

    def __init__(self) -> None:
        """Nothing is made before the first trial."""
        self._place: Path | None = None
        self._disks: dict[tuple[str, str], tuple[Path, Before]] = {}
        self._runs: dict[tuple[str, str], tuple[Run, int]] = {}

    def available(self) -> str:
        """Return what this machine lacks."""
        return missing()

    def trials(self, seed: int, number: int) -> Iterator[Trial]:
        """Yield trials: each journey on each file system, cut at moments chosen by the seed."""
        chance = random.Random(seed)
        grounds = [(fs, journey) for fs in FILE_SYSTEMS for journey in JOURNEYS]
        for n in range(number):
            fs, journey = grounds[n * len(grounds) // number]
            faults = [fs, f"{chance.choice(_HOWS)}@{chance.random():.4f}"]
            if chance.random() < _TWICE:
                faults.append(f"{chance.choice(('cut', 'lossy'))}@{chance.random():.4f}")
            yield Trial(self.name, journey, tuple(faults), chance.randrange(1 << 30))

    def run(self, trial: Trial, room: Path) -> Result:
        """Cut, start again, check."""
        began = time.monotonic()
        outcome, detail = self._tried(trial, room)
        spent = time.monotonic() - began
        detail = "" if outcome is Outcome.SURVIVED else detail
        return Result(trial, outcome, spent, detail, again=len(trial.faults) - 2)

    def _tried(self, trial: Trial, room: Path) -> tuple[Outcome, str]:
        fs, chance = FILE_SYSTEMS[trial.faults[0]], random.Random(trial.seed)
        travelled = self._run(trial.faults[0], trial.journey)
        known = travelled.noted
        for number, fault in enumerate(trial.faults[1:]):
            how, share = fault.split("@")
            image = room / f"after-{number + 1}.img"
            if number:
                travelled = run_recovery(fs, travelled.image, travelled, known, self._scratch())
            cut = travelled.moment(how, float(share))
            known = travelled.known(cut)
            image_after(travelled, cut, chance if how == "lossy" else None, image)
            travelled = Run(image, travelled.before, travelled.writes, travelled.begun, travelled.ended, known)
        return verdict(fs, image, travelled, cut, self._scratch(), trial.journey)

    def _run(self, fs: str, journey: str) -> Run:
        """Return a run to cut; each is used for some cuts, because no two runs write the same."""
        key = (fs, journey)
        found, left = self._runs.get(key, (None, 0))
        if found is None or left == 0:
            self._runs.clear()
            found, left = self._travel(fs, journey), _CUTS_PER_RUN
        self._runs[key] = (found, left - 1)
        return found

    def _travel(self, fs: str, journey: str) -> Run:
        image, before = self._disk(fs, journey)
        for last in (False, False, True):
            try:
                return run(FILE_SYSTEMS[fs], image, before, self._scratch(), journey)
            except BoxError:
                if last:
                    raise
        raise AssertionError(fs)

    def _disk(self, fs: str, journey: str) -> tuple[Path, Before]:
        key, scratch = (fs, journey), self._scratch()
        if key not in self._disks:
            image = scratch / f"{fs}-{journey}.img"
            self._disks[key] = (image, make_disk(FILE_SYSTEMS[fs], image, scratch / "disk", journey))
        return self._disks[key]

    def _scratch(self) -> Path:
        if self._place is None:
            self._place = Path(tempfile.mkdtemp(prefix="stateguard-power-", dir=_memory()))
            (self._place / "disk").mkdir()
        return self._place

    def close(self) -> None:
        """Remove the disks."""
        if self._place is not None:
            with contextlib.suppress(OSError):
                shutil.rmtree(self._place)


def _memory() -> Path | None:
    memory = Path("/dev/shm")  # noqa: S108 - the file system in memory: a disk of a trial is only a file there
    return memory if memory.is_dir() else None


KIND = Power()
