"""When a state that soaks becomes a baseline (pure)."""

from __future__ import annotations

from dataclasses import dataclass

from stateguard.model.health import Health
from stateguard.model.moment import Moment


@dataclass(frozen=True, slots=True)
class Soak:
    """A state that soaks: its main commit, since when, until when, and the probes that counted for it.

    ``before`` is the commit that was live before, ``before_was_well`` whether that state was healthy;
    ``by_rollback`` says that a rollback reached the state.
    """

    revision: str
    operation: int
    began: Moment
    due: Moment
    counted: frozenset[str]
    before: str | None
    before_was_well: bool
    by_rollback: bool


@dataclass(frozen=True, slots=True)
class Promotion:
    """Whether to sign now, and if not, what is waited for."""

    now: bool
    waiting_for: str


def may_promote(
    soak: Soak,
    now: Moment,
    *,
    health: Health,
    failing: int,
    drifted: int,
    open_incidents: int,
    suspended: bool,
    head: str | None,
) -> Promotion:
    """Decide whether a soaking state becomes a baseline: soaked in full, healthy, undrifted, no open incident.

    ``failing`` is how many required probes failed when they were asked last, although not often enough to count yet.
    """
    if not now.reached(soak.due):
        return Promotion(now=False, waiting_for="the end of the soak")
    if suspended:
        return Promotion(now=False, waiting_for="resume")
    if head != soak.revision:
        return Promotion(now=False, waiting_for="the change on main to be applied")
    if open_incidents:
        return Promotion(now=False, waiting_for="the open incident to be resolved")
    if health is not Health.HEALTHY:
        return Promotion(now=False, waiting_for=f"health (now {health})")
    if failing:
        return Promotion(now=False, waiting_for="a probe that failed to pass again, or to fail for good")
    if drifted:
        return Promotion(now=False, waiting_for="the drift of the live directory to be settled")
    return Promotion(now=True, waiting_for="")
