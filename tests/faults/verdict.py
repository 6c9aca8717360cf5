"""What must hold after a guard has recovered, whatever struck it."""

from __future__ import annotations

import time
from typing import Any

from faults.journeys import Apply, Before, Failing, Heal, Journey
from faults.kinds import Outcome
from stateguard.guard.compose import Guard
from stateguard.model.incident import IncidentState
from stateguard.model.tree import OBSTACLE, PathMap
from transition.setting import Setting, audit_problems, leftovers

_SHOWN_SECONDS = 3.0


class Broken(Exception):  # noqa: N818 - it is the verdict of a check
    """Something that must hold does not."""

    def __init__(self, outcome: Outcome, what: str) -> None:
        """Say which guarantee it is that was broken, and how."""
        super().__init__(f"{outcome}: {what}")
        self.outcome, self.what = outcome, what


def check(setting: Setting, journey: Journey, before: Before, noted: tuple[Any, ...]) -> str:
    """Check all that must hold after a guard has recovered; returns which state was reached, ``old`` or ``new``.

    Raises:
        Broken: something does not hold.
    """
    guard = setting.guard
    unfinished = guard.books.journal.unfinished()
    _require(not unfinished, Outcome.STUCK, f"operations without an outcome: {[o.id for o in unfinished]}")
    reached = _state(guard, before)
    _kept(guard, before)
    _told(guard, journey, reached, noted)
    running = _running(setting)
    _require(running == sorted(set(running)), Outcome.DOUBLED, f"agents run twice: {running}")
    _require(running == sorted(guard.system.agents), Outcome.LOST, f"agents that run: {running}")
    labels = {s.running for s in guard.runtime.statuses().values()}
    _require(labels == {guard.applied}, Outcome.TORN, f"agents run {labels}, live is {guard.applied}")
    _require(not leftovers(setting.home), Outcome.TORN, f"temporary files are left: {leftovers(setting.home)}")
    return reached


def _running(setting: Setting) -> list[str]:
    """Return which agents run; the kernel shows the mark of one that has just been started a moment later."""
    give_up_at = time.monotonic() + _SHOWN_SECONDS
    while True:
        running = setting.running()
        if running == sorted(setting.guard.system.agents) or time.monotonic() > give_up_at:
            return running
        time.sleep(0.01)


def _state(guard: Guard, before: Before) -> str:
    declared = guard.books.declared
    old, new, now = (declared.desired(c) for c in (before.old, before.new, guard.applied))
    paths = sorted({*old, *new, *now})
    live = guard.scanner().observe(paths)
    wrong = sorted(p for p in paths if live.get(p) != now.get(p) and not _holds_others(p, now, live))
    _require(not wrong, Outcome.TORN, f"the live directory is between two states: {wrong}")
    _require(guard.main == guard.applied, Outcome.TORN, f"main is {guard.main}, live is {guard.applied}")
    _require(now in (old, new), Outcome.TORN, "what is live is neither the old nor the new state")
    return "old" if now == old else "new"


def _holds_others(path: str, wanted: PathMap, live: PathMap) -> bool:
    """Say whether a path that holds no file is a directory that other wanted paths lie in."""
    inside = any(p.startswith(f"{path}/") for p in wanted)
    return path not in wanted and live.get(path) == OBSTACLE and inside


def _kept(guard: Guard, before: Before) -> None:
    problems = audit_problems(guard)
    _require(not problems, Outcome.LOST, f"the audit chain: {problems}")
    length = guard.books.audit.length()
    _require(length >= before.audit, Outcome.LOST, f"{before.audit - length} audit entries are gone")
    highest = guard.baselines.highest()
    _require(highest == before.baselines, Outcome.LOST, f"the highest baseline is {highest}")
    wrong = guard.baselines.verify(1)
    _require(not wrong, Outcome.LOST, f"baseline/1 does not verify: {wrong}")


def _told(guard: Guard, journey: Journey, reached: str, noted: tuple[Any, ...]) -> None:
    """Hold what was said to whoever waited, or is said to one who asks again, against what is."""
    answers = [value for what, value in noted if what == "answered"]
    if isinstance(journey, Heal):
        return
    if answers:
        true = answers[-1] == (reached == "new")
        _require(true, Outcome.LOST, f"told {answers[-1]}, but the state is the {reached} one")
    if isinstance(journey, Apply):
        operation = guard.books.journal.by_token("push")
        if operation is not None:
            true = (operation.outcome == "succeeded") == (reached == "new")
            _require(true, Outcome.LOST, f"the push {operation.outcome}, but the state is the {reached} one")
    if isinstance(journey, Failing):
        settled = all(i.state is IncidentState.RESOLVED for i in guard.store.incidents())
        _require(settled, Outcome.STUCK, f"incidents: {[str(i.state) for i in guard.store.incidents()]}")


def _require(holds: object, outcome: Outcome, what: str) -> None:
    if not holds:
        raise Broken(outcome, what)
