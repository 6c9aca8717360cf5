"""From what is seen to what it means: the rows of the severity table that this version knows."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, strategies as st

from stateguard.detect.facts import Facts, Seen, findings
from stateguard.detect.failure import (
    AGENT_DOUBLED,
    AGENT_FAILED,
    CAPTURE_CEILING,
    CAPTURE_FAILED,
    DRIFT,
    EXTERNAL_FAILED,
    MIXED_VERSIONS,
    PROBE_FAILED,
    RESERVE_GONE,
    RUNTIME_SILENT,
    SETTINGS_INVALID,
    SYSTEM_FAILURE,
    TELLING,
    TRUST_INVALID,
    conditions,
)
from stateguard.model.agent import AgentSpec, Probe, ProbeKind, TcpCheck
from stateguard.model.condition import Condition, Severity
from stateguard.model.health import ALIVE, AgentState, AgentStatus, Health, Observation, Result, overall
from stateguard.model.tree import Drift, DriftKind

UP = AgentState.RUNNING
CRITICAL, HIGH, MEDIUM, LOW = Severity


def spec(name: str, *, critical: bool = False) -> AgentSpec:
    return AgentSpec(name, ("run",), critical=critical)


def seen(
    name: str = "ready", agent: str | None = "a", health: Health = Health.UNHEALTHY, *, required: bool = True,
    external: bool = False, said: str = "refused",
) -> Seen:  # fmt: skip
    probe = Probe(name, ProbeKind.READINESS, TcpCheck("h", 1), agent, required=required, external=external)
    last = Observation(probe.id, Result.FAIL, said, 1.0, 0.25) if said else None
    return Seen(probe, health, 3, last)


def facts(agents: list[AgentSpec], states: dict[str, AgentState] | None = None, probes: tuple[Seen, ...] = ()) -> Facts:
    given_states = states or {}
    statuses = {a.name: AgentStatus(a.name, given_states.get(a.name, UP), message="exit 1") for a in agents}
    return Facts({a.name: a for a in agents}, statuses, probes)


def shown(found: tuple[Condition, ...]) -> list[tuple[str, str, Severity]]:
    return [(c.type, c.component, c.severity) for c in found]


A, B, C = spec("a", critical=True), spec("b", critical=True), spec("c")
D, E, F = spec("d", critical=True), spec("e", critical=True), spec("f", critical=True)


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        # nothing wrong
        (facts([A, C], probes=(seen(health=Health.HEALTHY), seen("s", None, Health.UNKNOWN))), []),
        # one critical agent failed: 2
        (facts([A, B], {"a": AgentState.FATAL}), [(AGENT_FAILED, "a", HIGH)]),
        (facts([A, B], {"a": AgentState.EXITED}), [(AGENT_FAILED, "a", HIGH)]),
        (facts([A, B], probes=(seen(),)), [(AGENT_FAILED, "a", HIGH)]),
        # one that is about to be started again, or is stopped on purpose, has not failed
        (facts([A, B], {"a": AgentState.BACKOFF, "b": AgentState.STOPPED}), []),
        # a probe that is wanted, not required, has no say
        (facts([A, B], probes=(seen(required=False),)), []),
        # non-critical agent: 3
        (facts([A, C], {"c": AgentState.FATAL}), [(AGENT_FAILED, "c", MEDIUM)]),
        (facts([A, C], probes=(seen(agent="c"),)), [(AGENT_FAILED, "c", MEDIUM)]),
        # a probe of the whole state: 2
        (facts([A, C], probes=(seen("plan", None),)), [(PROBE_FAILED, "plan", HIGH)]),
        # all critical agents: 1
        (
            facts([A, B, C], {"a": AgentState.FATAL}, (seen(agent="b"),)),
            [(SYSTEM_FAILURE, "system", CRITICAL), (AGENT_FAILED, "a", HIGH), (AGENT_FAILED, "b", HIGH)],
        ),
        # more than three critical agents, though not all: 1
        (
            facts([A, B, C, D, E, F], dict.fromkeys("abde", AgentState.FATAL)),
            [(SYSTEM_FAILURE, "system", CRITICAL), *((AGENT_FAILED, n, HIGH) for n in "abde")],
        ),
        # three of five: 2
        (
            facts([A, B, C, D, E, F], dict.fromkeys("abd", AgentState.FATAL)),
            [(AGENT_FAILED, n, HIGH) for n in "abd"],
        ),
        # what fails outside does not make the system fail
        (facts([A, B], {"a": AgentState.FATAL}, (seen(agent="b", external=True),)),
         [(AGENT_FAILED, "a", HIGH), (EXTERNAL_FAILED, "b: ready", MEDIUM)]),
        # an agent that nobody describes any more is a probe of the whole state
        (facts([A], probes=(seen(agent="gone"),)), [(PROBE_FAILED, "ready", HIGH)]),
    ],
)  # fmt: skip
def test_the_rows(row: Facts, expected: list[tuple[str, str, Severity]]) -> None:
    assert shown(conditions(row)) == expected


def test_drift_and_large_files_are_told_and_nothing_more() -> None:
    drift = tuple(Drift(f"config/{n:02}", DriftKind.CHANGED) for n in range(30))
    row = replace(facts([A]), drift=drift, over_ceiling=("conversations/big: too large",), not_kept="no space")
    found = conditions(row)
    assert shown(found) == [
        (CAPTURE_FAILED, "live", MEDIUM),
        (DRIFT, "live", LOW),
        (CAPTURE_CEILING, "live", LOW),
    ]
    assert {c.type for c in found} <= TELLING
    assert found[0].message.endswith("no space")
    found = found[1:]
    assert found[0].message == "30 live paths differ from what is desired"
    assert found[0].evidence[0] == "config/00: changed"
    assert len(found[0].evidence) == 20
    assert found[1].evidence == ("conversations/big: too large",)


@pytest.mark.parametrize(
    ("live", "running", "other"),
    [("r2", "r2", ()), ("r2", "r1", ("a",)), ("r2", None, ()), ("", "r1", ())],
)
def test_an_agent_of_another_revision_is_told(live: str, running: str | None, other: tuple[str, ...]) -> None:
    row = replace(facts([A]), revision=live)
    row = replace(row, statuses={n: AgentStatus(n, UP, running=running) for n in ("a", "gone")})
    found = conditions(row)
    assert shown(found) == [(MIXED_VERSIONS, "system", LOW)] * bool(other)
    assert all((c.evidence, c.type in TELLING) == (other, True) for c in found)


def test_a_silent_runtime_is_told_and_failed_probes_do_not_act_meanwhile() -> None:
    row = facts([A, C], {"c": AgentState.UNKNOWN}, (seen(agent="c"), seen("whole", None), seen(agent="a")))
    found = {(c.type, c.component): c for c in conditions(row)}
    assert found[RUNTIME_SILENT, "runtime"].evidence == ("c",)
    assert found[RUNTIME_SILENT, "runtime"].type in TELLING
    assert found[AGENT_FAILED, "c"].external
    assert found[PROBE_FAILED, "whole"].external
    assert not found[AGENT_FAILED, "a"].external
    assert overall(findings(facts([A], {"a": AgentState.UNKNOWN}))) is Health.UNKNOWN


@pytest.mark.parametrize(("pid", "how"), [(7, "runs twice"), (None, "runs outside of what runs it")])
def test_a_process_that_was_left_over_is_told(pid: int | None, how: str) -> None:
    row = replace(facts([A]), statuses={"a": AgentStatus("a", UP, pid, strays=(5,)), "gone": AgentStatus("gone", UP)})
    (found,) = conditions(row)
    assert (found.type, found.component, found.severity, found.evidence) == (AGENT_DOUBLED, "a", HIGH, ("process 5",))
    assert how in found.message
    assert found.type in TELLING


def test_settings_that_cannot_be_used_are_told() -> None:
    (found,) = conditions(replace(facts([A]), settings_problem="guard.yaml:3: cycel is unknown"))
    assert (found.type, found.severity) == (SETTINGS_INVALID, Severity.MEDIUM)
    assert "cycel" in found.message
    assert found.type in TELLING


def test_a_trust_document_that_cannot_be_used_is_told() -> None:
    (found,) = conditions(replace(facts([A]), trust_problem="trust.yaml was changed past the guard"))
    assert (found.type, found.severity) == (TRUST_INVALID, Severity.HIGH)
    assert "changed past the guard" in found.message
    assert found.type in TELLING


def test_a_reserve_that_was_given_up_is_told() -> None:
    (found,) = conditions(replace(facts([A]), reserve_gone="0 bytes of disk are set aside instead of 64 MiB"))
    assert (found.type, found.severity) == (RESERVE_GONE, Severity.MEDIUM)
    assert "instead of 64 MiB" in found.message
    assert found.type in TELLING


def test_a_condition_carries_its_evidence() -> None:
    (found,) = conditions(facts([C], probes=(seen(agent="c"),)))
    assert found.message == "c: ready failed 3 times (refused)"
    assert found.evidence == ("fail: refused", "last run took 0.250 s")
    assert (found.method, found.probe, found.confidence) == ("probe", "c/ready", 1.0)
    (found,) = conditions(facts([C], probes=(seen(agent="c", said=""),)))
    assert (found.message, found.evidence) == ("c: ready failed 3 times", ())


def test_two_probes_of_one_agent_are_one_condition_that_names_both() -> None:
    """Otherwise an old trouble would hide the probe that a change broke."""
    (found,) = conditions(facts([C], probes=(seen("old", "c"), seen("new", "c"))))
    assert (found.probe, found.also) == ("c/old", ("c/new",))
    assert found.message == "c: old failed 3 times (refused); c: new failed 3 times (refused)"
    assert len(found.evidence) == 4


def test_a_failed_process_speaks_for_itself() -> None:
    (found,) = conditions(facts([C], {"c": AgentState.FATAL}, (seen("old", "c"),)))
    assert (found.probe, found.also, found.reason) == (None, (), "FATAL")


def test_what_fails_outside_does_not_excuse_what_fails_inside() -> None:
    inside, outside = conditions(facts([C], probes=(seen("out", "c", external=True), seen("in", "c"))))
    assert (inside.external, inside.probe, inside.also) == (False, "c/in", ())
    assert (outside.type, outside.component, outside.external) == (EXTERNAL_FAILED, "c: out", True)
    (found,) = conditions(facts([C], probes=(seen("out", "c", external=True),)))
    assert found.external


def test_a_failed_system_names_the_probes_that_say_so() -> None:
    """So that what failed before a change is not blamed on it in another guise."""
    found = conditions(facts([A, B], probes=(seen("x", "a"), seen("y", "b"))))[0]
    assert (found.type, found.probe, found.also) == (SYSTEM_FAILURE, "a/x", ("b/y",))
    assert found.message == "2 of 2 critical agents failed: a, b"
    found = conditions(facts([A, B], {"a": AgentState.FATAL}, (seen("y", "b"),)))[0]
    assert (found.probe, found.also) == (None, ())


def test_health_is_made_of_processes_and_required_probes_that_are_ours() -> None:
    row = facts([A, C], {"c": AgentState.BACKOFF}, (seen(), seen("w", required=False), seen("o", external=True)))
    assert [(f.agent, f.critical, f.health) for f in findings(row)] == [
        ("a", True, Health.UNHEALTHY),
        ("a", True, Health.HEALTHY),
        ("c", False, Health.UNHEALTHY),
    ]
    assert [f.critical for f in findings(facts([], probes=(seen("s", None),)))] == [True]
    assert overall(findings(Facts({"a": A}, {}, ()))) is Health.UNHEALTHY
    assert [f.health for f in findings(facts([A], dict.fromkeys("a", AgentState.STARTING)))] == [Health.HEALTHY]


# properties

AGENT_ORDER = [AgentState.RUNNING, AgentState.STARTING, AgentState.BACKOFF, AgentState.EXITED, AgentState.FATAL]
PROBE_ORDER = [Health.HEALTHY, Health.UNKNOWN, Health.UNHEALTHY]


@st.composite
def pictures(draw: st.DrawFn) -> Facts:
    agents = [spec(n, critical=draw(st.booleans())) for n in "abcdef"[: draw(st.integers(0, 6))]]
    states = {a.name: draw(st.sampled_from(AGENT_ORDER)) for a in agents}
    owners = st.sampled_from([None, *(a.name for a in agents)])
    probes = st.builds(
        seen, st.sampled_from("pq"), owners, st.sampled_from(PROBE_ORDER), required=st.booleans(),
        external=st.booleans(),
    )  # fmt: skip
    found = draw(st.lists(probes, max_size=5, unique_by=lambda s: s.probe.id))
    drift = (Drift("x", DriftKind.MODE),) if draw(st.booleans()) else ()
    return replace(facts(agents, states, tuple(found)), drift=drift)


def worst(row: Facts) -> int:
    return min((c.severity for c in conditions(row)), default=5)


def worse_by_one(row: Facts) -> list[Facts]:
    """Return every picture in which one agent or one probe is one step worse."""
    found = []
    for name, status in row.statuses.items():
        at = AGENT_ORDER.index(status.state)
        found += [
            replace(row, statuses={**row.statuses, name: replace(status, state=state)})
            for state in AGENT_ORDER[at + 1 :]
        ]
    for n, one in enumerate(row.probes):
        at = PROBE_ORDER.index(one.health)
        found += [
            replace(row, probes=(*row.probes[:n], replace(one, health=health), *row.probes[n + 1 :]))
            for health in PROBE_ORDER[at + 1 :]
        ]
    return found


@given(pictures())
def test_worse_is_never_milder(row: Facts) -> None:
    before = worst(row)
    assert all(worst(worsened) <= before for worsened in worse_by_one(row))


@given(pictures())
def test_every_condition_once_worst_first(row: Facts) -> None:
    found = conditions(row)
    assert len({c.key for c in found}) == len(found)
    assert [c.severity for c in found] == sorted(c.severity for c in found)
    assert conditions(row) == found


@given(pictures())
def test_every_failure_is_named(row: Facts) -> None:
    """No required failure classifies as nothing, and every probe that fails is blamed or spoken for by a process."""
    found = conditions(row)
    named = {c.component for c in found if c.type == AGENT_FAILED}
    down = {n for n, s in row.statuses.items() if s.state in (AgentState.FATAL, AgentState.EXITED)}
    assert down <= named
    for one in row.probes:
        if one.health is Health.UNHEALTHY and one.probe.required and not one.probe.external:
            component = one.probe.agent or one.probe.name
            mine = [c for c in found if c.component == component]
            assert mine
            assert any(c.probe is None or one.probe.id in (c.probe, *c.also) for c in mine)


@given(pictures())
def test_an_unhealthy_system_has_a_condition_unless_it_is_being_restarted(row: Facts) -> None:
    restarting = any(s.state not in ALIVE and s.state is AgentState.BACKOFF for s in row.statuses.values())
    if overall(findings(row)) in (Health.UNHEALTHY, Health.DEGRADED) and not restarting:
        assert any(c.type not in TELLING for c in conditions(row))
