"""What no threshold sees: crash loops, and probes that pass and fail by turns."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, strategies as st

from stateguard.detect.facts import Facts, Seen
from stateguard.detect.failure import AGENT_FAILED, FLAPPING, PROBE_FAILED, SYSTEM_FAILURE, TELLING, conditions
from stateguard.model.agent import AgentSpec, Probe, ProbeKind, TcpCheck
from stateguard.model.condition import Severity
from stateguard.model.health import AgentState, AgentStatus, Health

CRITICAL, HIGH, MEDIUM, LOW = Severity
AGENTS = {"a": AgentSpec("a", ("run",), critical=True), "b": AgentSpec("b", ("run",))}
UP = {name: AgentStatus(name, AgentState.RUNNING) for name in AGENTS}


def flapping(agent: str | None, turns: int, health: Health = Health.HEALTHY) -> Seen:
    return Seen(Probe("ready", ProbeKind.READINESS, TcpCheck("h", 1), agent), health, 0, None, turns)


def picture(*probes: Seen, **crashes: int) -> Facts:
    backing = {n: AgentStatus(n, AgentState.BACKOFF, message="exit 1", crashes=times) for n, times in crashes.items()}
    return Facts(AGENTS, UP | backing, probes)


@pytest.mark.parametrize(
    ("agent", "component", "severity"), [("a", "a", MEDIUM), ("b", "b", LOW), (None, "ready", MEDIUM)]
)
def test_a_probe_that_passes_and_fails_by_turns_is_told_apart(
    agent: str | None, component: str, severity: Severity
) -> None:
    assert conditions(picture(flapping(agent, 7))) == ()
    (found,) = conditions(picture(flapping(agent, 8)))
    assert (found.type, found.component, found.severity, found.probe) == (
        FLAPPING, component, severity, flapping(agent, 8).probe.id,
    )  # fmt: skip
    assert "passes and fails by turns: 8 turns" in found.message
    assert found.type not in TELLING, "it is trouble, and within the soak of a change the change's"


def test_what_fails_outright_does_not_flap_too() -> None:
    assert [c.type for c in conditions(picture(flapping(None, 12, Health.UNHEALTHY)))] == [PROBE_FAILED]


def test_a_wanted_probe_may_flap_and_an_external_one_only_tells() -> None:
    seen = flapping("a", 12)
    assert conditions(picture(replace(seen, probe=replace(seen.probe, required=False)))) == ()
    (found,) = conditions(picture(replace(seen, probe=replace(seen.probe, external=True))))
    assert found.external


@pytest.mark.parametrize(("crashes", "fails"), [(0, False), (2, False), (3, True), (5, True)])
def test_three_crashes_are_a_crash_loop(crashes: int, fails: bool) -> None:
    found = conditions(picture(b=crashes))
    assert [(c.type, c.component, c.severity, c.reason) for c in found] == (
        [(AGENT_FAILED, "b", MEDIUM, "CrashLoop")] if fails else []
    )
    assert all(f"{crashes} times within 300 s, the last time exit 1" in c.message for c in found)


def test_the_only_critical_agent_is_all_of_them() -> None:
    """The table says all critical agents, however many those are."""
    found = conditions(picture(a=3))
    assert [(c.type, c.severity) for c in found] == [(SYSTEM_FAILURE, CRITICAL), (AGENT_FAILED, HIGH)]


@pytest.mark.parametrize(
    ("role", "seconds", "severity"),
    [("parent", 30.0, HIGH), ("parent", 30.1, CRITICAL), ("domain", 3600.0, HIGH)],
)
def test_a_parent_that_is_unresponsive_for_long_is_level_one(role: str, seconds: float, severity: Severity) -> None:
    agents = AGENTS | {"a": replace(AGENTS["a"], role=role), "c": AgentSpec("c", ("run",), critical=True)}
    failing = replace(flapping("a", 0, Health.UNHEALTHY), failing_seconds=seconds)
    row = Facts(agents, UP | {"c": AgentStatus("c", AgentState.RUNNING)}, (failing,))
    assert [(c.type, c.severity) for c in conditions(row)] == [(AGENT_FAILED, severity)]


@given(st.integers(0, 21), st.integers(0, 21), st.sampled_from(["a", "b", None]), st.integers(0, 5))
def test_more_turns_and_more_crashes_are_never_milder(few: int, more: int, agent: str | None, crashes: int) -> None:
    few, more = sorted((few, more))

    def worst(turns: int, times: int) -> int:
        return min((c.severity for c in conditions(picture(flapping(agent, turns), b=times))), default=5)

    assert worst(more, crashes) <= worst(few, crashes)
    assert worst(few, crashes + 1) <= worst(few, crashes)
    assert worst(more, crashes) >= min(
        (c.severity for c in conditions(picture(flapping(agent, more, Health.UNHEALTHY), b=crashes))), default=5
    ), "to fail outright is worse than to flap"
