"""The negative control: writers that are broken on purpose, which the same harness must find out.

A trial is one broken writer, killed at each of its steps in turn. It counts as survived if the harness found it.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterable
from itertools import cycle, islice
from pathlib import Path

from faults.journeys import Apply, Before
from faults.kinds import Outcome, Result, Trial
from faults.processes import Note
from faults.scene import Struck, play
from stateguard import faults
from stateguard.guard.compose import Guard
from stateguard.model.identity import APPLIED, MAIN
from stateguard.model.tree import SYMLINK
from stateguard.record.audit import Entry
from stateguard.state.repository import RefMove

_STEPS = 12


class _Writer(Apply):
    """Goes to the new state without a journal, as a script would."""

    def write(self, guard: Guard, before: Before) -> None:
        """Write every file where it lies, over what is there."""
        old, new = (guard.books.declared.desired(c) for c in (before.old, before.new))
        for path in sorted(p for p in old if p not in new):
            (guard.live / path).unlink()
        for path, entry in new.items():
            if old.get(path) == entry:
                continue
            target = guard.live / path
            if target.is_dir():
                target.rmdir()
            target.parent.mkdir(parents=True, exist_ok=True)
            content = guard.repository.blob(entry.id)
            if entry.mode == SYMLINK:
                target.symlink_to(content.decode())
                continue
            with target.open("wb") as stream:
                faults.point("control.write")
                stream.write(content)
            target.chmod(0o644)

    def move(self, guard: Guard, before: Before) -> None:
        """Move the refs, with their audit entry."""
        moves = [RefMove(name, before.new, before.old) for name in (MAIN, APPLIED)]
        guard.books.audit.append([Entry("ref", "person:ann", {})], moves)
        faults.point("control.write")


class InPlace(_Writer):
    """Writes in place, then moves the refs."""

    def begin(self, guard: Guard, before: Before, note: Note) -> None:
        """Do it."""
        del note
        self.write(guard, before)
        self.move(guard, before)


class RefsFirst(_Writer):
    """Moves the refs before a file is written."""

    def begin(self, guard: Guard, before: Before, note: Note) -> None:
        """Do it."""
        del note
        self.move(guard, before)
        self.write(guard, before)


class Forgetful(Apply):
    """Tells the pusher that all is well before it is."""

    def begin(self, guard: Guard, before: Before, note: Note) -> None:
        """Do it."""
        note(("answered", True))
        faults.point("control.write")
        super().begin(guard, before, note)


WRITERS = {"in-place": InPlace(), "refs-first": RefsFirst(), "forgetful": Forgetful()}


class Control:
    """Broken writers."""

    name, default, counts = "control", 3, True

    def available(self) -> str:
        """Return nothing: it can be tried everywhere."""
        return ""

    def trials(self, seed: int, number: int) -> Iterable[Trial]:
        """Return each writer in turn."""
        return (Trial(self.name, writer, (), seed) for writer in islice(cycle(WRITERS), number))

    def close(self) -> None:
        """Leave nothing: everything lies in the directory that the caller removes."""

    def run(self, trial: Trial, room: Path) -> Result:
        """Kill one writer at its steps until the harness finds out."""
        began = time.monotonic()
        for step in range(1, _STEPS):
            killed = Trial(trial.kind, trial.journey, (f"control.write:{step}:kill",), trial.seed)
            found = play(killed, room, Struck(), WRITERS[trial.journey])
            shutil.rmtree(room / "home")
            if found.outcome in (Outcome.TORN, Outcome.LOST):
                return Result(trial, Outcome.SURVIVED, time.monotonic() - began)
            if not found.hit:
                break
        return Result(trial, Outcome.ERROR, time.monotonic() - began, "the harness did not find this broken writer")


KIND = Control()
