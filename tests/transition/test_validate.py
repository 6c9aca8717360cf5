"""Verdicts of the watch: what has failed, and what is not decided yet."""

from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from stateguard.model.agent import AgentSpec, Probe, ProbeKind, TcpCheck
from stateguard.model.health import AgentState, AgentStatus, Health, Observation, Result
from stateguard.model.policy import Policy, System
from stateguard.observe.prober import Reading
from stateguard.transition.validate import Watched, failures, undecided, watching

READY = Probe("ready", ProbeKind.READINESS, TcpCheck("h", 1), "a")
PLAN = Probe("plan", ProbeKind.READINESS, TcpCheck("h", 1))
ALL = Watched(frozenset({"a/ready", "/plan"}), frozenset({"a"}))


def reading(probe: Probe, health: Health, said: str = "refused", *, doubted: bool = True) -> Reading:
    last = Observation(probe.id, Result.FAIL, said, 0.0, 0.1) if said else None
    return Reading(probe, health, 3, 0, last, 0.0, doubted=doubted)


def status(state: AgentState, exits: int = 0) -> dict[str, AgentStatus]:
    return {"a": AgentStatus("a", state, exits=exits, message="exit 1")}


@pytest.mark.parametrize(
    ("state", "exits", "words"),
    [
        (AgentState.RUNNING, 0, ()),
        (AgentState.BACKOFF, 2, ()),
        (AgentState.BACKOFF, 3, ("a: ended 3 times by itself (exit 1)",)),
        (AgentState.FATAL, 5, ("a: ended 5 times by itself (exit 1)",)),
        (AgentState.EXITED, 1, ("a: ended and is not restarted (exit 1)",)),
    ],
)
def test_a_process_has_failed(state: AgentState, exits: int, words: tuple[str, ...]) -> None:
    assert failures(Watched(frozenset(), frozenset({"a", "unknown"})), {}, status(state, exits)) == words


@pytest.mark.parametrize(
    ("health", "said", "words"),
    [
        (Health.HEALTHY, "", ()),
        (Health.UNKNOWN, "refused", ()),
        (Health.UNHEALTHY, "refused", ("a: readiness failed 3 times (refused)",)),
        (Health.UNHEALTHY, "", ("a: readiness failed 3 times",)),
    ],
)
def test_a_probe_has_failed(health: Health, said: str, words: tuple[str, ...]) -> None:
    found = failures(
        Watched(frozenset({"a/ready", "/unknown"}), frozenset()), {"a/ready": reading(READY, health, said)}, {}
    )
    assert found == words


def test_what_is_not_decided_is_named() -> None:
    assert undecided(ALL, {}, {}) == ("a: did not stay up (not started)", "/plan did not pass", "a/ready did not pass")
    readings = {"a/ready": reading(READY, Health.UNKNOWN), "/plan": reading(PLAN, Health.HEALTHY)}
    assert undecided(ALL, readings, status(AgentState.BACKOFF)) == (
        "a: did not stay up (exit 1)",
        "a: readiness did not pass (refused)",
    )


@pytest.mark.parametrize(("probed", "state", "waits"), [
    (True, AgentState.STARTING, False),
    (False, AgentState.STARTING, True),
    (False, AgentState.RUNNING, False),
])  # fmt: skip
def test_a_probe_speaks_for_an_agent_that_starts(probed: bool, state: AgentState, waits: bool) -> None:
    watched = Watched(frozenset({"a/ready"} if probed else ()), frozenset({"a"}))
    assert bool(undecided(watched, {"a/ready": reading(READY, Health.HEALTHY)}, status(state))) is waits


@pytest.mark.parametrize(("state", "waits"), [(AgentState.STARTING, True), (AgentState.RUNNING, False)])
def test_a_probe_that_never_failed_speaks_for_nobody(state: AgentState, waits: bool) -> None:
    """It may pass whatever the process does: somebody else listens on the port, or the command is ``true``."""
    watched = Watched(frozenset({"a/ready"}), frozenset({"a"}))
    readings = {"a/ready": reading(READY, Health.HEALTHY, doubted=False)}
    assert bool(undecided(watched, readings, status(state))) is waits


@pytest.mark.parametrize(("state", "waits"), [(AgentState.STARTING, True), (AgentState.RUNNING, False)])
def test_no_probe_speaks_for_an_agent_that_has_ended_once(state: AgentState, waits: bool) -> None:
    watched = Watched(frozenset({"a/ready"}), frozenset({"a"}))
    assert bool(undecided(watched, {"a/ready": reading(READY, Health.HEALTHY)}, status(state, 1))) is waits


@given(st.sampled_from(AgentState), st.integers(0, 5), st.sampled_from(Health), st.sampled_from(Health))
def test_well_is_only_what_has_neither_failed_nor_is_undecided(
    state: AgentState, exits: int, ready: Health, plan: Health
) -> None:
    readings = {"a/ready": reading(READY, ready), "/plan": reading(PLAN, plan)}
    found = status(state, exits)
    well = not failures(ALL, readings, found) and not undecided(ALL, readings, found)
    up = (state is AgentState.RUNNING and exits < 3) or (state is AgentState.STARTING and exits == 0)
    assert well == (up and ready is Health.HEALTHY and plan is Health.HEALTHY)


def test_only_what_the_system_has_is_watched() -> None:
    system = System({"a": AgentSpec("a", ("run",), probes=(READY,))}, (), Policy((), probes=(PLAN,)))
    assert watching(system, ["a/ready", "/plan", "/gone"], ["a", "gone"]) == ALL
