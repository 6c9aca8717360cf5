"""When a mirror is tried again: back-off with full jitter, a circuit breaker, growing patience; pure.

Full jitter: https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from stateguard.model.mirror import Breaker, MirrorSpec
from stateguard.model.moment import Moment

_FIRST_SECONDS = 1.0
_LONGEST_SECONDS = 60.0
_LONGEST_PAUSE_SECONDS = 900.0
_LONGEST_PATIENCE_SECONDS = 3600.0
_DOUBLINGS = 20


@dataclass(frozen=True, slots=True)
class Pace:
    """How it went lately: failures in a row, how many of the last ran out of time, when the next try is due."""

    failures: int = 0
    timeouts: int = 0
    due: Moment | None = None


def succeeded(now: Moment, check_seconds: float) -> Pace:
    """Return the pace after a success: the mirror is looked at again after its check period."""
    return Pace(due=now.plus(check_seconds))


def failed(pace: Pace, spec: MirrorSpec, now: Moment, chance: float, *, timed_out: bool) -> Pace:
    """Return the pace after a failure; ``chance`` is random, from 0 to 1."""
    failures = pace.failures + 1
    wait = pause_seconds(spec, failures, chance) if failures >= spec.breaker_failures else backoff(failures, chance)
    return Pace(failures, pace.timeouts + 1 if timed_out else 0, now.plus(wait))


def backoff(failures: int, chance: float) -> float:
    """Return the seconds to wait after so many failures in a row: anything up to a limit that doubles, 1 s to 60 s."""
    return chance * min(_LONGEST_SECONDS, _FIRST_SECONDS * 2.0 ** min(failures - 1, _DOUBLINGS))


def pause_seconds(spec: MirrorSpec, failures: int, chance: float) -> float:
    """Return how long an open breaker stays open: half to all of a pause that doubles with each failed probe."""
    beyond = min(failures - spec.breaker_failures, _DOUBLINGS)
    longest = max(spec.breaker_pause_seconds, _LONGEST_PAUSE_SECONDS)
    return (0.5 + chance / 2) * min(longest, spec.breaker_pause_seconds * 2.0**beyond)


def breaker(pace: Pace, spec: MirrorSpec, now: Moment) -> Breaker:
    """Return whether a mirror may be tried."""
    if pace.failures < spec.breaker_failures:
        return Breaker.CLOSED
    return Breaker.OPEN if wait_seconds(pace, now) > 0 else Breaker.HALF_OPEN


def wait_seconds(pace: Pace, now: Moment) -> float:
    """Return the seconds until a mirror may be tried; nothing waits for one that did not fail."""
    if not pace.failures or pace.due is None or now.reached(pace.due):
        return 0.0
    return pace.due.since(now)


def check_due_seconds(pace: Pace, now: Moment) -> float:
    """Return the seconds until a mirror must be looked at, whether something changed or not."""
    return 0.0 if pace.due is None or now.reached(pace.due) else pace.due.since(now)


def patience(spec: MirrorSpec, timeouts: int) -> float:
    """Return the deadline of one push in seconds: it doubles with each time-out, so that a slow line gets there."""
    longest = max(spec.deadline_seconds, _LONGEST_PATIENCE_SECONDS)
    return min(longest, spec.deadline_seconds * 2.0 ** min(timeouts, _DOUBLINGS))


def held_up(pace: Pace, now: Moment, check_seconds: float) -> Pace:
    """Return the pace of a mirror that waits for a person: no failure, looked at again after its check period."""
    return replace(pace, failures=0, timeouts=0, due=now.plus(check_seconds))
