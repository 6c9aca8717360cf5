"""Watch probes and processes until a verdict: all well, something failed, or the window is over."""

from __future__ import annotations

import threading
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from stateguard.agents.runtime import AgentRuntime
from stateguard.host.clock import boot_seconds
from stateguard.model.health import ALIVE, AgentState, AgentStatus, Health
from stateguard.model.policy import System
from stateguard.observe.prober import Prober, Reading
from stateguard.text.words import count, seconds
from stateguard.transition.plan import title

_EXITS_TO_FAIL = 3
_BETWEEN_LOOKS_SECONDS = 0.02
_SHORTEST_WINDOW_SECONDS = 2.0
"""A shorter window would end before an agent has run for the second after which it counts as up."""


@dataclass(frozen=True, slots=True)
class Watched:
    """What must be well: probes by id, and the agents whose processes count."""

    probes: frozenset[str]
    agents: frozenset[str]


class Watch:
    """Waits for verdicts; woken by the prober and the runtime."""

    def __init__(self, prober: Prober, runtime: AgentRuntime, wake: threading.Event) -> None:
        """``wake`` is set by whoever learns something new."""
        self._prober, self._runtime, self._wake = prober, runtime, wake

    def until_well(self, watched: Watched, window_seconds: float, *, hold: bool = False) -> tuple[str, ...]:
        """Return nothing once all is well, else what failed; ``hold`` watches until the window ends.

        What is not decided when the window ends has failed. A window is never shorter than 2 s.
        """
        window_seconds = max(window_seconds, _SHORTEST_WINDOW_SECONDS)
        give_up_at = boot_seconds() + window_seconds
        while True:
            self._wake.clear()
            readings, statuses = self._prober.readings(), self._runtime.statuses()
            problems = failures(watched, readings, statuses)
            if problems:
                return problems
            waiting = undecided(watched, readings, statuses)
            left = give_up_at - boot_seconds()
            if not waiting and (not hold or left <= 0):
                return ()
            if left <= 0:
                return tuple(f"{name} within {seconds(window_seconds)}" for name in waiting)
            self._wake.wait(min(left, _BETWEEN_LOOKS_SECONDS))

    def give_time(self, seconds: float) -> None:
        """Let so much time pass, whatever is learned meanwhile."""
        give_up_at = boot_seconds() + seconds
        while (left := give_up_at - boot_seconds()) > 0:
            self._wake.clear()
            self._wake.wait(left)

    def healthy(self, system: System) -> tuple[int, int]:
        """Return how many of a system's agents are healthy, and how many there are."""
        readings, statuses = self._prober.readings(), self._runtime.statuses()
        well = 0
        for name, spec in system.agents.items():
            status = statuses.get(name)
            mine = [readings[p.id].health for p in spec.probes if p.required and p.id in readings]
            well += status is not None and status.state in ALIVE and all(h is Health.HEALTHY for h in mine)
        return well, len(system.agents)


def failures(watched: Watched, readings: Mapping[str, Reading], statuses: Mapping[str, AgentStatus]) -> tuple[str, ...]:
    """Return a sentence for everything watched that has failed."""
    found = []
    for name in sorted(watched.agents):
        status = statuses.get(name)
        if status is not None and (status.state is AgentState.FATAL or status.exits >= _EXITS_TO_FAIL):
            found.append(f"{name}: ended {count(status.exits, 'time')} by itself ({status.message})")
        elif status is not None and status.state is AgentState.EXITED:
            found.append(f"{name}: ended and is not restarted ({status.message})")
    for probe_id in sorted(watched.probes):
        reading = readings.get(probe_id)
        if reading is not None and reading.health is Health.UNHEALTHY:
            said = f" ({reading.last.message})" if reading.last and reading.last.message else ""
            found.append(f"{title(reading.probe)} failed {count(reading.failures, 'time')}{said}")
    return tuple(found)


def undecided(
    watched: Watched, readings: Mapping[str, Reading], statuses: Mapping[str, AgentStatus]
) -> tuple[str, ...]:
    """Return a sentence for everything watched that has no good verdict yet."""
    found = []
    # A probe that has never failed may pass whatever its process does: it vouches for nobody.
    probed = {readings[p].probe.agent for p in watched.probes if p in readings and readings[p].doubted}
    for name in sorted(watched.agents):
        status = statuses.get(name)
        # A probe vouches for a process that is still starting, but not for one that has ended by itself before.
        vouched = name in probed and status is not None and status.exits == 0
        enough = ALIVE if vouched else {AgentState.RUNNING}
        if status is None or status.state not in enough:
            found.append(f"{name}: did not stay up ({status.message if status else 'not started'})")
    for probe_id in sorted(watched.probes):
        reading = readings.get(probe_id)
        if reading is None or reading.health is not Health.HEALTHY:
            name = title(reading.probe) if reading else probe_id
            said = f" ({reading.last.message})" if reading and reading.last and reading.last.message else ""
            found.append(f"{name} did not pass{said}")
    return tuple(found)


def watching(system: System, probes: Collection[str], agents: Collection[str]) -> Watched:
    """Return what to watch: those probes and those agents that the system has."""
    known = {p.id for p in system.probes}
    return Watched(frozenset(p for p in probes if p in known), frozenset(a for a in agents if a in system.agents))
