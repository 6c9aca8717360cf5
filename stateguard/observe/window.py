"""The memory of one probe: Kubernetes' thresholds over its latest observations; pure.

A window is *eager* until its first verdict: it is asked far more often than its period, a pass counts at once, but
failures count at most once per period, the first one a period after the beginning. So an agent that needs 0.3 s to
start is HEALTHY after 0.3 s, and one that never starts is UNHEALTHY after ``failure_threshold`` periods.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from itertools import pairwise

from stateguard.model.agent import Probe, ProbeKind
from stateguard.model.health import Health, Observation, Result

_PERIODS_WITHOUT_DATA = 3
_REMEMBERED = 21
_REMEMBERED_SECONDS = 300.0


@dataclass(frozen=True, slots=True)
class Window:
    """What a probe's observations amount to. All times are seconds of the boot clock.

    ``passes`` and ``failures`` are consecutive; ``failed``, ``errors`` and ``silent`` are the kinds of failure since
    the last pass, which was at ``passed_at``. ``verdict`` is UNKNOWN until a threshold was reached. ``doubted`` says
    that some run has not passed, so the probe can tell a process that is not there from one that is. ``recent`` holds
    when the latest runs ended since there is a verdict, and whether they passed.
    """

    begun_at: float
    counts_from: float
    verdict: Health = Health.UNKNOWN
    passes: int = 0
    failures: int = 0
    failed: int = 0
    errors: int = 0
    silent: int = 0
    last: Observation | None = None
    seen_at: float = -math.inf
    passed_at: float | None = None
    doubted: bool = False
    recent: tuple[tuple[float, bool], ...] = ()

    @property
    def eager(self) -> bool:
        """Whether there has been no verdict yet."""
        return self.verdict is Health.UNKNOWN


def fresh(probe: Probe, begun_at: float) -> Window:
    """Return the window of a probe that knows nothing yet; its initial delay begins now."""
    return Window(begun_at, counts_from=begun_at + probe.initial_delay_seconds + probe.period_seconds)


def fed(window: Window, probe: Probe, observation: Observation, now: float) -> Window:
    """Return the window with one more observation, which ended ``now``.

    A gap in our own schedule restarts the consecutive counters and keeps the verdict: what was not looked at neither
    passed nor failed.
    """
    last = window.last
    if last is not None and observation.begun_at - last.begun_at > patience_seconds(probe):
        window = replace(window, passes=0, failures=0, failed=0, errors=0, silent=0)
    window = replace(
        window,
        last=observation,
        seen_at=now,
        doubted=window.doubted or observation.result is not Result.PASS,
        recent=_remembered(window, observation.result, now),
    )
    if observation.result is Result.PASS:
        return _passed(window, probe)
    return _failed(window, probe, observation.result, now)


def health(window: Window, probe: Probe, now: float) -> Health:
    """Return what the probe says now: its verdict, or UNKNOWN if nothing was seen for three periods.

    A startup probe that has succeeded is not asked again, so its verdict does not grow old.
    """
    if probe.kind is ProbeKind.STARTUP and window.verdict is Health.HEALTHY:
        return Health.HEALTHY
    if now - window.seen_at > patience_seconds(probe):
        return Health.UNKNOWN
    return window.verdict


def failing_seconds(window: Window, now: float) -> float:
    """Return for how long a probe that has failed has not passed: since its last pass, or since it was begun."""
    if window.verdict is not Health.UNHEALTHY:
        return 0.0
    return max(0.0, now - (window.begun_at if window.passed_at is None else window.passed_at))


def turns(window: Window, now: float) -> int:
    """Return how often the results have turned from pass to failure or back, among the latest runs."""
    lately = [passed for at, passed in window.recent if now - at <= _REMEMBERED_SECONDS]
    return sum(one is not other for one, other in pairwise(lately))


def patience_seconds(probe: Probe) -> float:
    """Return how long silence of the prober itself means nothing: three periods and the timeout."""
    return _PERIODS_WITHOUT_DATA * probe.period_seconds + probe.timeout_seconds


def _remembered(window: Window, result: Result, now: float) -> tuple[tuple[float, bool], ...]:
    """Return the latest results once there is a verdict: while an agent starts, failures mean nothing."""
    return () if window.eager else (*window.recent, (now, result is Result.PASS))[-_REMEMBERED:]


def _passed(window: Window, probe: Probe) -> Window:
    passes = window.passes + 1
    verdict = Health.HEALTHY if passes >= probe.success_threshold else window.verdict
    return replace(
        window, passes=passes, failures=0, failed=0, errors=0, silent=0, verdict=verdict, passed_at=window.seen_at
    )


def _failed(window: Window, probe: Probe, result: Result, now: float) -> Window:
    window = replace(window, passes=0)
    if window.eager and now < window.counts_from:
        return window
    failures = window.failures + 1
    return replace(
        window,
        failures=failures,
        failed=window.failed + (result is Result.FAIL),
        errors=window.errors + (result is Result.ERROR),
        silent=window.silent + (result is Result.NO_DATA),
        verdict=Health.UNHEALTHY if failures >= probe.failure_threshold else window.verdict,
        counts_from=_next_slot(window.counts_from, probe.period_seconds, now),
    )


def _next_slot(slot: float, period: float, now: float) -> float:
    """Return the first whole number of periods after ``slot`` that lies after ``now``."""
    if period <= 0 or now < slot:
        return slot
    return slot + period * (math.floor((now - slot) / period) + 1)
