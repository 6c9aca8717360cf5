"""Health of a probe, an agent and the whole system."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum


class Health(StrEnum):
    """The four words for how something is."""

    HEALTHY = "HEALTHY"
    DEGRADED = "DEGRADED"
    UNHEALTHY = "UNHEALTHY"
    UNKNOWN = "UNKNOWN"


class Result(StrEnum):
    """What one run of a probe brought: it failed, could not be asked (error), or said nothing in time."""

    PASS = "pass"  # noqa: S105 - a verdict, no password
    FAIL = "fail"
    ERROR = "error"
    NO_DATA = "no-data"


@dataclass(frozen=True, slots=True)
class Observation:
    """One run of a probe. Times are seconds of the boot clock."""

    probe: str
    result: Result
    message: str
    begun_at: float
    duration_seconds: float


class AgentState(StrEnum):
    """What the runtime knows of an agent's process; UNKNOWN: whoever runs it does not answer."""

    STOPPED = "STOPPED"
    STARTING = "STARTING"
    RUNNING = "RUNNING"
    BACKOFF = "BACKOFF"
    EXITED = "EXITED"
    FATAL = "FATAL"
    UNKNOWN = "UNKNOWN"


ALIVE = frozenset({AgentState.STARTING, AgentState.RUNNING})


@dataclass(frozen=True, slots=True)
class AgentStatus:
    """An agent's process as the runtime sees it. ``started_at`` is Unix time in seconds.

    ``exits`` counts how often it ended by itself since it was started, ``crashes`` how often it failed so within the
    300 s before it last did.
    ``strays`` are ids of processes that were this agent and run beside it, or without it.
    """

    name: str
    state: AgentState
    pid: int | None = None
    running: str | None = None
    started_at: float | None = None
    exits: int = 0
    message: str = ""
    strays: tuple[int, ...] = ()
    crashes: int = 0


@dataclass(frozen=True, slots=True)
class Finding:
    """What is known of one required thing: a probe or a process. ``agent`` is None for the whole state."""

    agent: str | None
    critical: bool
    health: Health
    counts: bool = True


def agent_health(status: AgentStatus, probes: Iterable[Health]) -> Health:
    """Return an agent's health from its process and its required probes.

    A process that should run and does not is UNHEALTHY whatever its probes last said. One that starts is
    UNKNOWN unless a probe knows better; one of which nobody knows whether it runs is never more than UNKNOWN.
    """
    found = tuple(probes)
    if status.state is AgentState.UNKNOWN:
        return Health.UNHEALTHY if Health.UNHEALTHY in found else Health.UNKNOWN
    if status.state not in ALIVE:
        return Health.UNHEALTHY
    if Health.UNHEALTHY in found:
        return Health.UNHEALTHY
    if Health.UNKNOWN in found or (not found and status.state is AgentState.STARTING):
        return Health.UNKNOWN
    return Health.HEALTHY


def overall(findings: Iterable[Finding]) -> Health:
    """Return the system's health by the rules of the semantics.

    UNHEALTHY: something required of a critical agent, or of the whole state, fails. DEGRADED: any other
    required failure. UNKNOWN: no data. Nothing to look at is healthy by integrity.
    """
    failing = unknown = False
    for finding in findings:
        if not finding.counts:
            continue
        if finding.health is Health.UNHEALTHY:
            if finding.critical or finding.agent is None:
                return Health.UNHEALTHY
            failing = True
        unknown = unknown or finding.health is Health.UNKNOWN
    if failing:
        return Health.DEGRADED
    return Health.UNKNOWN if unknown else Health.HEALTHY
