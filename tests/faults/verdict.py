"""What must hold after a guard has recovered, whatever struck it."""

from __future__ import annotations

import time
from typing import Any

from faults.journeys import PERSON, Apply, Before, Confirm, Failing, Heal, Journey, approve
from faults.kinds import Outcome
from stateguard.errors import StateguardError
from stateguard.guard.compose import Guard
from stateguard.model.incident import IncidentState
from stateguard.model.tree import OBSTACLE, PathMap
from stateguard.model.trust import Role
from stateguard.trust.statement import of_tag
from transition.setting import Setting, audit_problems, leftovers

_SHOWN_SECONDS = 3.0
_SLOW_SECONDS = 10.0


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
    _waited(noted)
    _kept(guard, journey, before, noted)
    _told(guard, journey, reached, noted)
    running = _running(setting)
    _require(running == sorted(set(running)), Outcome.DOUBLED, f"agents run twice: {running}")
    _require(running == sorted(guard.system.agents), Outcome.LOST, f"agents that run: {running}")
    labels = {s.running for s in guard.runtime.statuses().values()}
    _require(labels == {guard.applied}, Outcome.TORN, f"agents run {labels}, live is {guard.applied}")
    _require(not leftovers(setting.home), Outcome.TORN, f"temporary files are left: {leftovers(setting.home)}")
    return reached


def _waited(noted: tuple[Any, ...]) -> None:
    """Check that what waited for a time by the boot clock took that time, and not much more."""
    for wanted, took in (value for what, value in noted if what == "waited"):
        well = wanted <= took < wanted + _SLOW_SECONDS
        _require(well, Outcome.STUCK, f"a wait of {wanted} s took {took:.2f} s")


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


def _kept(guard: Guard, journey: Journey, before: Before, noted: tuple[Any, ...]) -> None:
    problems = audit_problems(guard)
    _require(not problems, Outcome.LOST, f"the audit chain: {problems}")
    length = guard.books.audit.length()
    _require(length >= before.audit, Outcome.LOST, f"{before.audit - length} audit entries are gone")
    person = guard.people.trust().owner(PERSON.public.fingerprint)
    trusted = person is not None and person.name == "ann" and Role.BASELINE in person.roles
    _require(trusted, Outcome.LOST, f"ann's key belongs to {person}")
    _baselines(guard, journey, before, noted)


def _baselines(guard: Guard, journey: Journey, before: Before, noted: tuple[Any, ...]) -> None:
    """Check that every baseline that was accepted before or acknowledged since holds, and that another can be made."""
    highest = guard.baselines.highest()
    most = before.baselines + journey.signs
    _require(before.baselines <= highest <= most, Outcome.LOST, f"the highest baseline is {highest}")
    acknowledged = [value for what, value in noted if what == "baseline"]
    there = {b.statement.number: (str(b.statement.grade), b.signer) for b in guard.baselines.all()}
    for number, *made in acknowledged:
        _require(
            there.get(number) == tuple(made), Outcome.LOST, f"baseline/{number} was {made}, is {there.get(number)}"
        )
    missing = set(range(1, before.baselines + 1)) - there.keys()
    _require(not missing, Outcome.LOST, f"baselines are gone: {sorted(missing)}")
    for number in there:
        wrong = guard.baselines.verify(number)
        _require(not wrong, Outcome.LOST, f"baseline/{number} does not verify: {wrong}")
    prepared = [value for what, value in noted if what == "prepared"]
    if not isinstance(journey, Confirm):
        return
    if prepared and highest == before.baselines:
        try:
            guard.approvals.prepared(prepared[-1], of_tag(prepared[-1]).revision)
        except StateguardError as error:
            raise Broken(Outcome.LOST, f"what waited for a signature is gone: {error.message}") from error
    approve(guard, lambda _: None)  # what was cut short is in nobody's way
    newest = guard.baselines.usable()
    _require(newest and newest.signer == "ann", Outcome.STUCK, "no baseline could be approved afterwards")


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
