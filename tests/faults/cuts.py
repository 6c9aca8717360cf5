"""Power cuts of journeys: each on a logged disk, of which any moment can be brought back."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from faults.blocklog import Counter, Write, surviving, write_image
from faults.box import BoxError
from faults.disk import FileSystem, logged, make_image, on_disk
from faults.journeys import JOURNEYS, Before, set_out
from faults.kinds import Outcome
from faults.system import files
from faults.verdict import Broken, check
from helpers import eventually
from stateguard import faults
from stateguard.errors import StateguardError
from stateguard.guard.compose import Guard
from stateguard.host.home import Home
from stateguard.model.identity import AUDIT
from stateguard.state.git import git
from transition.setting import Setting, founded


@dataclass(frozen=True, slots=True)
class Noted:
    """Something that was acknowledged, and how many records the log of the disk had by then."""

    at: int
    fact: tuple[str, Any]


@dataclass(frozen=True, slots=True)
class Run:
    """What one run wrote to its disk, and what it acknowledged; it was about records ``begun`` to ``ended``."""

    image: Path
    before: Before
    writes: list[Write]
    begun: int
    ended: int
    noted: tuple[Noted, ...]

    def moment(self, how: str, where: float) -> int:
        """Return the number of records that were written when the power went.

        ``ack``: right after something was acknowledged; else at any record. ``where`` is a share from 0 to 1.
        """
        if how == "ack":
            told = sorted({n.at for n in self.noted if n.at >= self.begun} or {self.ended})
            return told[min(int(where * len(told)), len(told) - 1)]
        return self.begun + round(where * (self.ended - self.begun))

    def known(self, cut: int) -> tuple[Noted, ...]:
        """Return what had been acknowledged by then."""
        return tuple(n for n in self.noted if n.at <= cut)


class _Listener(list[str]):
    """Hears every fault point, and notes what has been acknowledged when one is passed."""

    def __init__(self, guard: Guard, counter: Counter) -> None:
        super().__init__()
        self._guard, self._counter = guard, counter
        self._audited = ""
        self.noted: list[Noted] = []

    def append(self, name: str) -> None:
        if self._audited:  # its writer has gone on: the entry counts as written
            self.note(("audit", self._audited))
            self._audited = ""
        if name == "audit.appended":
            self._audited = self._guard.repository.ref(AUDIT) or ""
        elif name in ("journal.opened", "journal.closed"):
            row = self._guard.database.row("SELECT max(id) AS id FROM operation")
            number = int(row["id"]) if row is not None else 0
            self.note(("operation", (number, self._guard.books.journal.get(number).outcome)))

    def note(self, fact: tuple[str, Any]) -> None:
        self.noted.append(Noted(self._counter.read(), fact))


def make_disk(fs: FileSystem, image: Path, at: Path, journey: str) -> Before:
    """Make a disk with a home from which a journey begins, its agents stopped."""
    make_image(fs, image)
    return on_disk(fs, image, at, partial(_prepare, at, journey), keep=True)


def _prepare(disk: Path, name: str) -> Before:
    home = founded(disk, files())
    setting = Setting(home)
    setting.restart()
    try:
        return set_out(setting, JOURNEYS[name])
    finally:
        setting.end()


def run(
    fs: FileSystem,
    image: Path,
    before: Before,
    scratch: Path,
    journey: str,
    spoil: Callable[[], None] = lambda: None,
) -> Run:
    """Let a journey run to its end on a logged disk; ``spoil`` is called just before it begins."""
    told = logged(fs, image, scratch, partial(_travel, Home(scratch / "disk" / "home"), journey, before, spoil))
    (begun, ended, noted), writes = told
    return Run(image, before, writes, begun, ended, noted)


def run_recovery(fs: FileSystem, image: Path, first: Run, known: tuple[Noted, ...], scratch: Path) -> Run:
    """Let a guard start after a cut, on a logged disk; what was acknowledged before stays so."""
    told = logged(fs, image, scratch, partial(_start, Home(scratch / "disk" / "home")))
    (begun, ended, noted), writes = told
    earlier = tuple(Noted(0, n.fact) for n in known)
    return Run(image, first.before, writes, begun, ended, earlier + noted)


def _travel(
    home: Home, name: str, before: Before, spoil: Callable[[], None], counter: Counter
) -> tuple[int, int, tuple[Noted, ...]]:
    if name == "recover":
        return _start(home, counter)
    setting = Setting(home)
    guard = setting.restart()
    listener, begun = _Listener(guard, counter), counter.read()
    spoil()
    faults.record(listener)
    JOURNEYS[name].begin(guard, before, listener.note)
    listener.append("end")
    ended = counter.read()
    faults.record(None)
    # On a host that starves its processes a journey may end otherwise; such a run proves nothing about power cuts.
    if name != "heal":
        check(setting, JOURNEYS[name], before, tuple(n.fact for n in listener.noted))
    return begun, ended, tuple(listener.noted)


def _start(home: Home, counter: Counter) -> tuple[int, int, tuple[Noted, ...]]:
    setting = Setting(home)
    setting.restart()
    return 0, counter.read(), ()


def image_after(run: Run, cut: int, chance: random.Random | None, target: Path) -> None:
    """Write the disk as a cut left it; ``chance`` decides what a volatile cache lost."""
    write_image(run.image, surviving(run.writes, cut, chance), target)


def verdict(fs: FileSystem, image: Path, run: Run, cut: int, scratch: Path, journey: str) -> tuple[Outcome, str]:
    """Start a guard from what a cut has left, and check all that must hold."""
    home = Home(scratch / "disk" / "home")
    try:
        return on_disk(fs, image, scratch / "disk", partial(_judge, home, run.before, run.known(cut), journey))
    except BoxError as error:
        return Outcome.STUCK, str(error)[-2000:]


def _judge(home: Home, before: Before, noted: tuple[Noted, ...], name: str) -> tuple[Outcome, str]:
    setting = Setting(home)
    guard = setting.restart()
    if name == "heal":  # a guard looks again, and sees the drift that it had not begun to put back
        JOURNEYS[name].begin(guard, before, lambda _: None)
    try:
        # A process that was forked this very moment has not become the agent yet.
        eventually(lambda: len(setting.running()) >= len(guard.system.agents), 5.0)
        reached = check(setting, JOURNEYS[name], before, tuple(n.fact for n in noted))
        for one in noted:
            _demand(guard, *one.fact)
        for repository in (home.repository, home.captured):
            locks = [p.name for p in repository.rglob("*.lock")]
            _require(not locks, Outcome.STUCK, f"locks are left: {locks}")
            try:
                git(repository, "fsck", "--full", "--strict", "--no-dangling")
            except StateguardError as error:
                _require(holds=False, outcome=Outcome.LOST, what=error.message)
    except Broken as error:
        return error.outcome, error.what
    except AssertionError as error:
        return Outcome.LOST, f"agents that run: {setting.running()} ({error})"
    return Outcome.SURVIVED, reached


def _demand(guard: Guard, what: str, value: Any) -> None:  # noqa: ANN401 - each kind of fact has its own
    if what == "audit":
        head = guard.repository.ref(AUDIT)
        there = head is not None and guard.repository.has(value) and guard.repository.is_ancestor(value, head)
        _require(there, Outcome.LOST, f"audit entry {value} was written and is gone")
    if what == "operation":
        number, outcome = value
        row = guard.database.row("SELECT outcome FROM operation WHERE id=?", (number,))
        kept = row is not None and outcome in (None, row["outcome"])
        _require(kept, Outcome.LOST, f"operation {number} was {outcome}, now {row and row['outcome']}")


def _require(holds: object, outcome: Outcome, what: str) -> None:
    if not holds:
        raise Broken(outcome, what)
