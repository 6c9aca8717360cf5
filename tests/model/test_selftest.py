"""What a self-test says of a probe: every decision by example and by property."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, strategies as st

from stateguard.config.defaults import default_policy
from stateguard.model.agent import AgentSpec, Channel, CommandCheck, FileCheck, HttpCheck, Probe, ProbeKind, TcpCheck
from stateguard.model.policy import System
from stateguard.model.selftest import Trial, digest, found_flaky, goes_on, is_flaky, softened

checks = st.one_of(
    st.builds(HttpCheck, st.sampled_from(["http://a/", "http://b/"])),
    st.builds(TcpCheck, st.just("h"), st.integers(1, 3)),
    st.builds(CommandCheck, st.lists(st.sampled_from("ab"), min_size=1, max_size=2).map(tuple)),
    st.builds(FileCheck, st.sampled_from("ab"), st.none() | st.just(3.0)),
)


def probes(agent: str | None) -> st.SearchStrategy[Probe]:
    return st.builds(
        Probe,
        st.sampled_from(["ready", "alive"]),
        st.sampled_from(ProbeKind),
        checks,
        st.just(agent),
        period_seconds=st.sampled_from([1.0, 2.0]),
        required=st.booleans(),
        external=st.booleans(),
    )


def several(agent: str | None) -> st.SearchStrategy[tuple[Probe, ...]]:
    return st.lists(probes(agent), max_size=2, unique_by=lambda p: p.id).map(tuple)


@st.composite
def systems(draw: st.DrawFn) -> System:
    agents = {n: AgentSpec(n, ("x",), probes=draw(several(n))) for n in draw(st.sets(st.sampled_from("ab")))}
    channel = draw(st.none() | st.builds(Probe, st.just("channel-c"), st.just(ProbeKind.READINESS), checks))
    policy = replace(default_policy(), probes=draw(several(None)))
    return System(agents, (Channel("c", "protocols/c.yaml", "a", "b", probe=channel),), policy)


@pytest.mark.parametrize(
    ("runs", "failures", "expected"),
    [(100, 0, False), (100, 1, False), (100, 2, True), (99, 1, True), (1000, 10, False), (1000, 11, True),
     (1, 0, False), (1, 1, True), (12, 10, True), (0, 0, False)],
)  # fmt: skip
def test_more_than_one_percent_is_flaky(runs: int, failures: int, expected: bool) -> None:
    assert is_flaky(runs, failures) is expected


@given(st.integers(1, 100_000), st.data())
def test_one_percent_is_the_border(runs: int, data: st.DataObject) -> None:
    failures = data.draw(st.integers(0, runs))
    assert is_flaky(runs, failures) == (failures / runs > 0.01)


@given(st.integers(1, 3000), st.integers(1, 200), st.integers(0, 200))
def test_runs_end_early_only_when_the_verdict_is_certain(wanted: int, every: int, offset: int) -> None:
    runs = failures = 0
    while goes_on(wanted, runs, failures):
        failures += (runs + offset) % every == 0
        runs += 1
    assert runs <= wanted
    if runs < wanted:
        assert is_flaky(runs, failures)
        assert is_flaky(wanted, failures), "whatever the runs left out would have brought"


@given(probes("a"), probes("a"))
def test_a_digest_is_that_of_the_specification(one: Probe, other: Probe) -> None:
    same = replace(one, required=True) == replace(other, required=True)
    assert (digest(one) == digest(other)) == same


@given(systems(), st.data())
def test_softening_takes_nothing_but_the_word_required(system: System, data: st.DataObject) -> None:
    named = [(p.id, digest(p)) for p in system.probes] + [(p.id, "of another specification") for p in system.probes]
    flaky = frozenset(data.draw(st.sets(st.sampled_from(named)))) if named else frozenset()
    soft = softened(system, flaky)
    before, after = {p.id: p for p in system.probes}, {p.id: p for p in soft.probes}
    assert before.keys() == after.keys()
    for name, probe in before.items():
        hit = (name, digest(probe)) in flaky
        assert after[name] == (replace(probe, required=False) if hit else probe)
    assert softened(soft, flaky) == soft
    assert found_flaky(soft.probes, flaky) == ()
    assert softened(system, frozenset()) is system
    assert {p.id for p in found_flaky(system.probes, flaky)} == {
        n for n, p in before.items() if p.required and (n, digest(p)) in flaky
    }


def test_a_trial_knows_its_verdict_and_its_probe() -> None:
    trial = Trial("a/ready", "digest", 10, 1, "not today", 0.5)
    assert trial.flaky
    assert not replace(trial, failures=0).flaky
    assert trial.named == ("a/ready", "digest")
