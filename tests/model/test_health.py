import pytest
from hypothesis import given, strategies as st

from stateguard.model.health import AgentState, AgentStatus, Finding, Health, agent_health, overall

H, D, U, N = Health.HEALTHY, Health.DEGRADED, Health.UNHEALTHY, Health.UNKNOWN


@pytest.mark.parametrize(
    ("state", "probes", "expected"),
    [
        (AgentState.RUNNING, [], H),
        (AgentState.RUNNING, [H, H], H),
        (AgentState.RUNNING, [H, U, N], U),
        (AgentState.RUNNING, [H, N], N),
        (AgentState.STARTING, [H], H),
        (AgentState.STARTING, [], N),
        (AgentState.STARTING, [N], N),
        (AgentState.STARTING, [U], U),
        (AgentState.STOPPED, [H], U),
        (AgentState.BACKOFF, [H], U),
        (AgentState.EXITED, [], U),
        (AgentState.FATAL, [H], U),
        (AgentState.UNKNOWN, [], N),
        (AgentState.UNKNOWN, [H], N),
        (AgentState.UNKNOWN, [H, U], U),
    ],
)
def test_an_agent_is_as_well_as_its_process_and_probes(
    state: AgentState, probes: list[Health], expected: Health
) -> None:
    assert agent_health(AgentStatus("a", state), probes) is expected


@pytest.mark.parametrize(
    ("findings", "expected"),
    [
        ([], H),
        ([Finding("a", True, H)], H),
        ([Finding("a", True, U)], U),
        ([Finding(None, False, U)], U),
        ([Finding("a", False, U)], D),
        ([Finding("a", False, U), Finding("b", True, N)], D),
        ([Finding("a", False, N)], N),
        ([Finding("a", True, U, counts=False)], H),
        ([Finding("a", False, U), Finding("b", True, U)], U),
    ],
)
def test_the_system_is_as_well_as_what_it_needs(findings: list[Finding], expected: Health) -> None:
    assert overall(findings) is expected


@given(
    st.lists(st.builds(Finding, st.sampled_from([None, "a"]), st.booleans(), st.sampled_from(Health), st.booleans()))
)
def test_order_and_what_does_not_count_make_no_difference(findings: list[Finding]) -> None:
    assert overall(findings) is overall(reversed(findings)) is overall([f for f in findings if f.counts])
