"""Transitions of the small system that tests interrupt, and what must hold after whatever happened."""

from __future__ import annotations

from collections.abc import Callable

from stateguard.model.incident import IncidentState
from stateguard.model.transition import Direction, Step, StepName
from stateguard.model.tree import Entry
from stateguard.respond.responder import Back
from stateguard.respond.withdraw import Target
from stateguard.transition.journal import Operation
from transition.setting import BREAKS, CHANGE, Setting, audit_problems, leftovers

Announce = Callable[[Operation, Step], None]


class Journey:
    """One transition: how to come where it begins, and how to begin it."""

    def __init__(self, setting: Setting) -> None:
        self.setting = setting
        self.prepare()
        self.old = self.live()
        self.main = setting.guard.main
        self.before = self.newest()

    def prepare(self) -> None:
        """Bring the system into the state from which it begins."""

    def begin(self) -> None:
        """Begin, and carry out; a journey that another process began has nothing left to begin."""

    def newest(self) -> int:
        """Return the number of the newest operation."""
        journal = self.setting.guard.books.journal
        return max((o.id for kind in ("apply", "rollback") for o in journal.of_kind(kind, 0.0)), default=0)

    @property
    def reaches(self) -> str:
        """The state that it has to reach: the old one too if it was struck before an operation was opened."""
        return "new" if self.newest() > self.before else "old"

    def live(self) -> dict[str, Entry]:
        """Return what lies in the live directory at every path that either state desires."""
        guard = self.setting.guard
        paths = {*guard.books.declared.desired(guard.baselines.get(1).statement.revision), *CHANGE}
        return guard.scanner().observe(sorted(paths))


class Apply(Journey):
    """A push that works."""

    def begin(self) -> None:
        """Push it."""
        self.setting.push(self.setting.commit(CHANGE))


class Failing(Journey):
    """A push that breaks an agent: tried, and put back."""

    reaches = "old"

    def begin(self) -> None:
        """Push it."""
        self.setting.push(self.setting.commit(BREAKS))


class Rollback(Journey):
    """A person's rollback to the first baseline."""

    def prepare(self) -> None:
        """Apply something else first."""
        assert self.setting.push(self.setting.commit(CHANGE)).accepted

    def begin(self) -> None:
        """Roll back."""
        guard = self.setting.guard
        target = Target(guard.baselines.get(1).statement.revision, "baseline/1", "asked for", 1)
        guard.responder.back(Back(target, "person:ann", "because"))


JOURNEYS: dict[str, type[Journey]] = {"apply": Apply, "rollback": Rollback, "failing": Failing}


def check(journey: Journey) -> str:
    """Check all that must hold at the end of a journey; returns which state was reached, ``old`` or ``new``."""
    guard, live = journey.setting.guard, journey.live()
    desired = guard.books.declared.desired(guard.applied)
    assert live == desired, "the live directory is between two states"
    assert guard.main == guard.applied
    assert guard.books.journal.unfinished() == []
    assert journey.setting.running() == sorted(guard.system.agents)
    assert {s.running for s in guard.runtime.statuses().values()} == {guard.applied}
    assert leftovers(journey.setting.home) == []
    assert audit_problems(guard) == ()
    soak = guard.store.soak()
    assert soak is None or soak.revision == guard.main
    assert soak is not None or live == journey.old
    last = guard.books.journal.of_kind("rollback", 0.0) or guard.books.journal.of_kind("apply", 0.0)
    reached = "old" if live == journey.old else "new"
    if isinstance(journey, Failing):
        assert all(i.state is IncidentState.RESOLVED for i in guard.store.incidents())
    elif last and last[0].id > journey.before:  # else it was struck before it was written down
        assert (last[0].outcome == "succeeded") == (reached == "new"), last[0].outcome
    assert (reached == "old") == (guard.main == journey.main)
    return reached


def last(setting: Setting) -> Operation:
    """Return the newest operation."""
    journal = setting.guard.books.journal
    return max((*journal.of_kind("apply", 0), *journal.of_kind("rollback", 0)), key=lambda o: o.id)


def steps(setting: Setting) -> list[tuple[str, str, str]]:
    return [
        (str(e.step.direction), str(e.step.name), str(e.state))
        for e in setting.guard.books.journal.entries(last(setting).id)
    ]


def at(setting: Setting, name: StepName, direction: Direction, do: Callable[[Operation], None]) -> Announce:
    """Do something each time before a step begins."""
    return lambda operation, step: do(operation) if (step.name, step.direction) == (name, direction) else None
