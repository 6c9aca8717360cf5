"""Decide whether the guard may act by itself (pure)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from stateguard.model.condition import Condition
from stateguard.model.policy import Arming, Trigger


class Action(StrEnum):
    """What follows from conditions."""

    TELL = "tell"
    OBSERVE = "observe"
    PROPOSE = "propose"
    ROLLBACK = "rollback"
    STOP = "stop"


@dataclass(frozen=True, slots=True)
class Decision:
    """What is done, why, and which arming allowed or withheld it."""

    action: Action
    trigger: Trigger | None
    reason: str

    def as_json(self) -> dict[str, object]:
        """Return it as an incident keeps it."""
        return {
            "action": str(self.action),
            "trigger": str(self.trigger) if self.trigger else None,
            "reason": self.reason,
        }


_UNPROVEN = "a change that was tried does not work"
_CAUSES = {
    Trigger.APPLY: _UNPROVEN,
    Trigger.SOAK: "it fails within the soak of the last change",
    Trigger.FAILURE: "it fails without a change beside it",
}


def decide_apply(level: Arming, *, awaiting: bool, suspended: bool) -> Decision:
    """Decide what follows when a change that was tried does not work; ``level`` is how the trigger ``apply`` is armed.

    What main has not taken yet (``awaiting``: a push before its answer) is always put back, whatever arming says.
    """
    if awaiting:
        reason = "the change was tried and does not work; a failed apply is always taken back"
        return Decision(Action.ROLLBACK, Trigger.APPLY, reason)
    return _within(level, Trigger.APPLY, _UNPROVEN, suspended=suspended)


def _within(level: Arming, trigger: Trigger, cause: str, *, suspended: bool) -> Decision:
    """Return what arming and suspension leave of going back."""
    if suspended:
        return Decision(Action.OBSERVE, trigger, f"{cause}; stateguard is suspended")
    if level is Arming.OBSERVE:
        return Decision(Action.OBSERVE, trigger, f"{cause}; {trigger} is armed observe")
    if level is Arming.PROPOSE:
        return Decision(Action.PROPOSE, trigger, f"{cause}; {trigger} is armed propose")
    return Decision(Action.ROLLBACK, trigger, f"{cause}; {trigger} is armed act")


def decide(
    conditions: Sequence[Condition],
    *,
    soaking: bool,
    unproven: bool = False,
    counted: frozenset[str],
    arming: Mapping[Trigger, Arming],
    suspended: bool,
    stopped: str,
) -> Decision:
    """Decide what the guard does about the conditions of one cycle.

    A failure within the soak of a change is presumed caused by it, if a probe that counted for the change
    fails (``counted``); a failing process always counts. ``unproven`` says that the change that soaks failed when it
    was applied, was left as it is, and has not been well since. Conditions of external scope hold and tell.
    ``stopped`` is the loop guard's reason, if any.
    """
    internal = [c for c in conditions if not c.external]
    if not internal:
        return Decision(
            Action.TELL, None, "only what lies outside the system fails; no change of ours caused or cures it"
        )
    within = soaking and any(c.probe is None or counted & {c.probe, *c.also} for c in internal)
    trigger = (Trigger.APPLY if unproven else Trigger.SOAK) if within else Trigger.FAILURE
    decision = _within(arming[trigger], trigger, _CAUSES[trigger], suspended=suspended)
    if decision.action is Action.ROLLBACK and stopped:
        return Decision(Action.STOP, trigger, f"{_CAUSES[trigger]}, but {stopped}")
    return decision
