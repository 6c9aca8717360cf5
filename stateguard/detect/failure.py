"""Conditions from probes, processes and drift, by the severity table of the procedures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TypedDict

from stateguard.detect.facts import Facts, Seen
from stateguard.model.agent import AgentSpec
from stateguard.model.condition import Condition, Severity
from stateguard.model.health import AgentState, Health
from stateguard.model.mirror import MirrorState
from stateguard.text.words import count, joined, seconds

AGENT_FAILED = "AGENT_FAILED"
EXTERNAL_FAILED = "EXTERNAL_FAILED"
PROBE_FAILED = "PROBE_FAILED"
SYSTEM_FAILURE = "SYSTEM_FAILURE"
FLAPPING = "FLAPPING"
DRIFT = "DRIFT"
CAPTURE_CEILING = "CAPTURE_CEILING"
CAPTURE_FAILED = "CAPTURE_FAILED"
BASELINE_DAMAGED = "BASELINE_DAMAGED"
MIXED_VERSIONS = "MIXED_VERSIONS"
MIRROR_BEHIND = "MIRROR_BEHIND"
MIRROR_DIVERGED = "MIRROR_DIVERGED"
MIRROR_TAMPERED = "MIRROR_TAMPERED"
RUNTIME_SILENT = "RUNTIME_SILENT"
AGENT_DOUBLED = "AGENT_DOUBLED"
SETTINGS_INVALID = "SETTINGS_INVALID"
TRUST_INVALID = "TRUST_INVALID"
RESERVE_GONE = "RESERVE_GONE"

TELLING = frozenset(
    {
        DRIFT,
        CAPTURE_CEILING,
        CAPTURE_FAILED,
        BASELINE_DAMAGED,
        MIXED_VERSIONS,
        MIRROR_BEHIND,
        MIRROR_DIVERGED,
        MIRROR_TAMPERED,
        RUNTIME_SILENT,
        AGENT_DOUBLED,
        SETTINGS_INVALID,
        TRUST_INVALID,
        RESERVE_GONE,
    }
)
"""Types that are shown and recorded, and alone never lead to an incident."""

_MANY_CRITICAL = 3
_PARENT_SECONDS = 30.0
_CRASH_LOOP = 3
_TURNS = 8
_SHOWN = 20


class _Blamed(TypedDict):
    probe: str | None
    also: tuple[str, ...]


def conditions(facts: Facts) -> tuple[Condition, ...]:
    """Return what is the case, most severe first, one condition for each type and component."""
    found = [*_processes(facts), *_probes(facts), *_flapping(facts)]
    found += _whole(facts, found)
    if facts.drift:
        paths = tuple(f"{d.path}: {d.kind}" for d in facts.drift)
        message = f"{count(len(facts.drift), 'live path differs', 'live paths differ')} from what is desired"
        found.append(Condition(DRIFT, "live", Severity.LOW, "Drifted", message, "watcher", paths[:_SHOWN]))
    if facts.settings_problem:
        message = f"guard.yaml cannot be used, what it said before stays in force: {facts.settings_problem}"
        found.append(Condition(SETTINGS_INVALID, "guard.yaml", Severity.MEDIUM, "Invalid", message, "settings"))
    if facts.trust_problem:
        message = f"nobody's signature counts until it is put back: {facts.trust_problem}"
        found.append(Condition(TRUST_INVALID, "trust.yaml", Severity.HIGH, "Invalid", message, "trust"))
    if facts.reserve_gone:
        message = f"a full disk can keep the next rollback from being written down: {facts.reserve_gone}"
        found.append(Condition(RESERVE_GONE, "disk", Severity.MEDIUM, "Missing", message, "disk reserve"))
    found += [*_captures(facts), *_baselines(facts), *_mixed(facts), *_runtime(facts), *_mirrors(facts)]
    unique: dict[tuple[str, str], Condition] = {}
    for condition in sorted(found, key=lambda c: (c.severity, c.external)):
        known = unique.get(condition.key)
        unique[condition.key] = _merged(known, condition) if known else condition
    return tuple(unique.values())


def _merged(worst: Condition, other: Condition) -> Condition:
    """Return two conditions of one type and component as one; what is external adds nothing to what is not."""
    if other.external != worst.external:
        return worst
    return replace(
        worst,
        message=f"{worst.message}; {other.message}",
        evidence=(*worst.evidence, *other.evidence)[:_SHOWN],
        **_blamed((worst, other)),
    )


def _blamed(found: Sequence[Condition]) -> _Blamed:
    """Return which probes speak; none if a process does, which needs no probe to be believed."""
    if any(c.probe is None for c in found):
        return {"probe": None, "also": ()}
    probes = [probe for c in found for probe in (c.probe, *c.also) if probe is not None]
    return {"probe": probes[0], "also": tuple(probes[1:])}


def _processes(facts: Facts) -> list[Condition]:
    found = []
    for name, spec in facts.agents.items():
        status = facts.statuses.get(name)
        if status is not None and status.state in (AgentState.FATAL, AgentState.EXITED):
            message = f"{name} is {status.state}: {status.message}"
            found.append(Condition(AGENT_FAILED, name, _level(spec), str(status.state), message, "process state"))
        elif status is not None and status.state is AgentState.BACKOFF and status.crashes >= _CRASH_LOOP:
            times = count(status.crashes, "time")
            message = f"{name} crashes again and again: {times} within 300 s, the last time {status.message}"
            found.append(Condition(AGENT_FAILED, name, _level(spec), "CrashLoop", message, "process state"))
    return found


def _probes(facts: Facts) -> list[Condition]:
    found = []
    for seen in facts.probes:
        if seen.health is not Health.UNHEALTHY or not seen.probe.required:
            continue
        agent = facts.agents.get(seen.probe.agent or "")
        said = seen.last.message if seen.last else ""
        message = f"{seen.probe.title} failed {count(seen.failures, 'time')}{f' ({said})' if said else ''}"
        if seen.probe.external:
            found.append(_outside(seen, message))
            continue
        found.append(
            Condition(
                type=AGENT_FAILED if agent else PROBE_FAILED,
                component=agent.name if agent else seen.probe.name,
                severity=_level(agent, seen.failing_seconds) if agent else Severity.HIGH,
                reason="ProbeFailed",
                message=message,
                method="probe",
                evidence=_evidence(seen),
                probe=seen.probe.id,
                # Nothing can be restarted while whoever runs the agents is silent: to go back would only break more.
                external=_silent(facts, seen.probe.agent),
            )
        )
    return found


def _outside(seen: Seen, message: str) -> Condition:
    """Return that something fails which is none of the system's own: it holds and tells, and never undoes a change."""
    return Condition(
        EXTERNAL_FAILED, seen.probe.title, Severity.MEDIUM, "ProbeFailed", message, "probe", _evidence(seen),
        probe=seen.probe.id, external=True,
    )  # fmt: skip


def _flapping(facts: Facts) -> list[Condition]:
    """Return what never fails often enough in a row, and never passes for long: one level below outright failure."""
    found = []
    for seen in facts.probes:
        if seen.health is Health.UNHEALTHY or not seen.probe.required or seen.turns < _TURNS:
            continue
        agent = facts.agents.get(seen.probe.agent or "")
        worst = _level(agent) if agent else Severity.HIGH
        found.append(
            Condition(
                type=FLAPPING,
                component=agent.name if agent else seen.probe.name,
                severity=Severity(worst + 1),
                reason="Oscillates",
                message=f"{seen.probe.title} passes and fails by turns: {seen.turns} turns in its latest 21 runs",
                method="pattern",
                evidence=_evidence(seen),
                probe=seen.probe.id,
                external=seen.probe.external,
            )
        )
    return found


def _whole(facts: Facts, found: list[Condition]) -> list[Condition]:
    critical = {name for name, spec in facts.agents.items() if spec.critical}
    causes = [c for c in found if c.type == AGENT_FAILED and not c.external and c.component in critical]
    failed = {c.component for c in causes}
    if not failed or (len(failed) <= _MANY_CRITICAL and failed != critical):
        return []
    message = f"{len(failed)} of {len(critical)} critical agents failed: {', '.join(sorted(failed))}"
    names = tuple(sorted(failed))
    return [
        Condition(SYSTEM_FAILURE, "system", Severity.CRITICAL, "ManyFailed", message, "rule", names, **_blamed(causes))
    ]


def _captures(facts: Facts) -> list[Condition]:
    found = []
    if facts.over_ceiling:
        number = count(len(facts.over_ceiling), "captured file passes", "captured files pass")
        evidence = facts.over_ceiling[:_SHOWN]
        message = f"{number} a ceiling; the rest is kept"
        found.append(Condition(CAPTURE_CEILING, "live", Severity.LOW, "TooLarge", message, "capture", evidence))
    if facts.not_kept:
        message = f"what agents wrote lately could not be kept: {facts.not_kept}"
        found.append(Condition(CAPTURE_FAILED, "live", Severity.MEDIUM, "NotKept", message, "capture"))
    return found


def _baselines(facts: Facts) -> list[Condition]:
    return [
        Condition(
            BASELINE_DAMAGED,
            f"baseline/{number}",
            Severity.HIGH,
            "DoesNotVerify",
            f"baseline/{number} does not verify and is not gone back to: {problem}",
            "scrub",
        )
        for number, problem in facts.damaged
    ]


def _mixed(facts: Facts) -> list[Condition]:
    running = {n: s.running for n, s in facts.statuses.items() if n in facts.agents and s.running}
    other = sorted(n for n, revision in running.items() if facts.revision and revision != facts.revision)
    if not other:
        return []
    message = f"{', '.join(other)} run another revision than the one that is live"
    return [Condition(MIXED_VERSIONS, "system", Severity.LOW, "Mixed", message, "process state", tuple(other))]


_MIRRORS = {
    MirrorState.BEHIND: (MIRROR_BEHIND, "Behind", "has been behind for {since}"),
    MirrorState.DIVERGED: (MIRROR_DIVERGED, "Diverged", "holds what this guard did not put there"),
    MirrorState.TAMPERED: (MIRROR_TAMPERED, "Tampered", "does not verify"),
}


def _mirrors(facts: Facts) -> list[Condition]:
    found = []
    for seen in facts.mirrors:
        if seen.state not in _MIRRORS:
            continue
        if seen.state is MirrorState.BEHIND and seen.since_seconds < seen.tell_after_seconds:
            continue
        name, reason, says = _MIRRORS[seen.state]
        message = f"mirror {seen.name} {says.format(since=seconds(seen.since_seconds))}"
        told = f"{message}: {seen.message}" if seen.message else message
        found.append(Condition(name, seen.name, Severity.LOW, reason, told, "mirror"))
    return found


def _silent(facts: Facts, agent: str | None) -> bool:
    """Say whether nobody says how an agent is; of the whole system, whether there is such an agent."""
    names = facts.agents if agent is None else (agent,)
    found = [facts.statuses[name] for name in names if name in facts.statuses]
    return any(status.state is AgentState.UNKNOWN for status in found)


def _runtime(facts: Facts) -> list[Condition]:
    found = []
    silent = sorted(name for name in facts.agents if _silent(facts, name))
    if silent:
        message = f"nobody says how {joined(silent)} are: {facts.statuses[silent[0]].message}"
        found.append(
            Condition(RUNTIME_SILENT, "runtime", Severity.HIGH, "NoAnswer", message, "runtime", tuple(silent[:_SHOWN]))
        )
    for name, status in sorted(facts.statuses.items()):
        if name in facts.agents and status.strays:
            pids = tuple(f"process {pid}" for pid in status.strays)
            how = "twice" if status.pid else "outside of what runs it"
            message = f"{name} runs {how}: {joined(pids)} was left over; stateguard agent restart {name} ends it"
            level = _level(facts.agents[name])
            found.append(Condition(AGENT_DOUBLED, name, level, "LeftOver", message, "runtime", pids))
    return found


def _level(spec: AgentSpec, failing_seconds: float = 0.0) -> Severity:
    if spec.parent and failing_seconds > _PARENT_SECONDS:
        return Severity.CRITICAL
    return Severity.HIGH if spec.critical else Severity.MEDIUM


def _evidence(seen: Seen) -> tuple[str, ...]:
    if seen.last is None:
        return ()
    return (f"{seen.last.result}: {seen.last.message}", f"last run took {seen.last.duration_seconds:.3f} s")
