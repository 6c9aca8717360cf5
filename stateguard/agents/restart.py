"""Whether and when an agent that ended by itself is started again; pure.

The thresholds are supervisor's and systemd's customs: an agent counts as running after one second (startsecs), and
five unplanned exits within a minute are a reason to give up (StartLimitBurst).
"""

from __future__ import annotations

from dataclasses import dataclass

from stateguard.model.agent import Restart
from stateguard.model.health import AgentState

HOST_RETRY_SECONDS = 0.5
"""How long after a start for which the host lacked something the next one is tried."""

RUNNING_AFTER_SECONDS = 1.0
"""How long a process must live before it counts as running."""

FATAL_EXITS = 5
FATAL_WITHIN_SECONDS = 60.0

_LONGEST_DELAY_SECONDS = 30.0
_QUIET_SECONDS = 300.0
_DOUBLINGS = 5


@dataclass(frozen=True, slots=True)
class Verdict:
    """What follows an unplanned exit: a state, the delay before a restart (None: none), the exits to remember."""

    state: AgentState
    delay_seconds: float | None
    exits: tuple[float, ...]


def after_exit(policy: Restart, exits_at: tuple[float, ...], now: float, status: int | None) -> Verdict:
    """Decide what follows an unplanned exit.

    Args:
        policy: the agent's restart policy.
        exits_at: earlier unplanned exits, in seconds of the clock that ``now`` is of, oldest first.
        now: when it ended.
        status: exit status, negative for a signal, None if nobody knows (which counts as a failure).
    """
    exits = (*_row(exits_at, now), now)[-(_DOUBLINGS + 1) :]
    if policy is Restart.NEVER or (policy is Restart.ON_FAILURE and status == 0):
        return Verdict(AgentState.EXITED, None, exits)
    if sum(1 for at in exits if now - at <= FATAL_WITHIN_SECONDS) >= FATAL_EXITS:
        return Verdict(AgentState.FATAL, None, exits)
    return Verdict(AgentState.BACKOFF, min(2.0 ** (len(exits) - 1), _LONGEST_DELAY_SECONDS), exits)


def crashes(earlier_at: tuple[float, ...], now: float, status: int | None) -> tuple[float, ...]:
    """Return when an agent ended with a failure, within the last 300 s; ``status`` is that of the end at ``now``."""
    lately = tuple(at for at in earlier_at if now - at <= _QUIET_SECONDS)
    return lately if status == 0 else (*lately, now)[-FATAL_EXITS:]


def _row(exits_at: tuple[float, ...], now: float) -> tuple[float, ...]:
    """Return the latest exits that followed each other without a quiet time between."""
    later, row = now, list[float]()
    for at in reversed(exits_at):
        if later - at > _QUIET_SECONDS:
            break
        row.append(at)
        later = at
    return tuple(reversed(row))
