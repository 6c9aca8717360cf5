"""Conditions from probes, processes and drift, by the severity table of the procedures."""

from __future__ import annotations

from stateguard.detect.facts import Facts, Seen
from stateguard.model.agent import AgentSpec
from stateguard.model.condition import Condition, Severity
from stateguard.model.health import AgentState, Health
from stateguard.text.words import count

AGENT_FAILED = "AGENT_FAILED"
PROBE_FAILED = "PROBE_FAILED"
SYSTEM_FAILURE = "SYSTEM_FAILURE"
DRIFT = "DRIFT"
CAPTURE_CEILING = "CAPTURE_CEILING"

TELLING = frozenset({DRIFT, CAPTURE_CEILING})
"""Types that are shown and recorded, and alone never lead to an incident."""

_MANY_CRITICAL = 3


def conditions(facts: Facts) -> tuple[Condition, ...]:
    """Return what is the case, most severe first, one condition for each type and component."""
    found = [*_processes(facts), *_probes(facts)]
    found += _whole(facts, found)
    if facts.drift:
        paths = tuple(f"{d.path}: {d.kind}" for d in facts.drift)
        message = f"{count(len(facts.drift), 'live path differs', 'live paths differ')} from what is desired"
        found.append(Condition(DRIFT, "live", Severity.LOW, "Drifted", message, "watcher", paths[:20]))
    if facts.too_large:
        message = f"{count(len(facts.too_large), 'captured file is', 'captured files are')} too large to be kept"
        found.append(
            Condition(CAPTURE_CEILING, "live", Severity.LOW, "TooLarge", message, "capture", facts.too_large[:20])
        )
    unique: dict[tuple[str, str], Condition] = {}
    for condition in sorted(found, key=lambda c: (c.severity, c.external)):
        unique.setdefault(condition.key, condition)
    return tuple(unique.values())


def _processes(facts: Facts) -> list[Condition]:
    found = []
    for name, spec in facts.agents.items():
        status = facts.statuses.get(name)
        if status is not None and status.state in (AgentState.FATAL, AgentState.EXITED):
            message = f"{name} is {status.state}: {status.message}"
            found.append(Condition(AGENT_FAILED, name, _level(spec), str(status.state), message, "process state"))
    return found


def _probes(facts: Facts) -> list[Condition]:
    found = []
    for seen in facts.probes:
        if seen.health is not Health.UNHEALTHY or not seen.probe.required:
            continue
        agent = facts.agents.get(seen.probe.agent or "")
        said = seen.last.message if seen.last else ""
        message = f"{seen.probe.title} failed {count(seen.failures, 'time')}{f' ({said})' if said else ''}"
        found.append(
            Condition(
                type=AGENT_FAILED if agent else PROBE_FAILED,
                component=agent.name if agent else seen.probe.name,
                severity=_level(agent) if agent else Severity.HIGH,
                reason="ProbeFailed",
                message=message,
                method="probe",
                evidence=_evidence(seen),
                probe=seen.probe.id,
                external=seen.probe.external,
            )
        )
    return found


def _whole(facts: Facts, found: list[Condition]) -> list[Condition]:
    critical = {name for name, spec in facts.agents.items() if spec.critical}
    failed = {c.component for c in found if c.type == AGENT_FAILED and not c.external} & critical
    if not failed or (len(failed) <= _MANY_CRITICAL and failed != critical):
        return []
    message = f"{len(failed)} of {len(critical)} critical agents failed: {', '.join(sorted(failed))}"
    severity = Severity.CRITICAL if len(critical) > 1 else Severity.HIGH
    return [Condition(SYSTEM_FAILURE, "system", severity, "ManyFailed", message, "rule", tuple(sorted(failed)))]


def _level(spec: AgentSpec) -> Severity:
    return Severity.HIGH if spec.critical else Severity.MEDIUM


def _evidence(seen: Seen) -> tuple[str, ...]:
    if seen.last is None:
        return ()
    return (f"{seen.last.result}: {seen.last.message}", f"last run took {seen.last.duration_seconds:.3f} s")
