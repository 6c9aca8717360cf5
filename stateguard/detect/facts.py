"""What detectors read: everything seen in one cycle, as values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from stateguard.model.agent import AgentSpec, Probe
from stateguard.model.health import ALIVE, AgentState, AgentStatus, Finding, Health, Observation
from stateguard.model.mirror import MirrorSeen
from stateguard.model.tree import Drift


@dataclass(frozen=True, slots=True)
class Seen:
    """The verdict on one probe: consecutive failures, the last run, and how often its latest results have turned.

    ``failing_seconds`` is for how long it has not passed, if it has failed.
    """

    probe: Probe
    health: Health
    failures: int
    last: Observation | None
    turns: int = 0
    failing_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Facts:
    """One cycle's view of the system.

    ``over_ceiling`` are captured files that are not kept, each with the reason; ``not_kept`` is why the last capture
    failed, if it did; ``damaged`` are baselines that do not verify, by number. ``revision`` is the commit that is
    live, empty if that is not asked about. ``settings_problem`` is why guard.yaml cannot be used, empty if it can;
    ``trust_problem`` likewise for the trust document; ``reserve_gone`` says how much of the disk reserve is missing,
    empty if none is.
    """

    agents: Mapping[str, AgentSpec]
    statuses: Mapping[str, AgentStatus]
    probes: tuple[Seen, ...]
    drift: tuple[Drift, ...] = ()
    over_ceiling: tuple[str, ...] = ()
    not_kept: str = ""
    damaged: tuple[tuple[int, str], ...] = ()
    revision: str = ""
    mirrors: tuple[MirrorSeen, ...] = ()
    settings_problem: str = ""
    trust_problem: str = ""
    reserve_gone: str = ""


def findings(facts: Facts) -> tuple[Finding, ...]:
    """Return what health is made of: every required probe that is not external, and every process."""
    found = []
    for seen in facts.probes:
        if seen.probe.required and not seen.probe.external:
            agent = facts.agents.get(seen.probe.agent or "")
            found.append(Finding(seen.probe.agent, agent.critical if agent else True, seen.health))
    for name, spec in facts.agents.items():
        found.append(Finding(name, spec.critical, _process(facts.statuses.get(name))))
    return tuple(found)


def _process(status: AgentStatus | None) -> Health:
    if status is not None and status.state is AgentState.UNKNOWN:
        return Health.UNKNOWN
    return Health.HEALTHY if status is not None and status.state in ALIVE else Health.UNHEALTHY
