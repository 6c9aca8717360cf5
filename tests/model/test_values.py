import json
from dataclasses import replace

import pytest
from hypothesis import given, strategies as st

from stateguard.model.agent import AgentSpec, Channel, HttpCheck, Probe, ProbeKind
from stateguard.model.baseline import Baseline, Grade, Signer, Statement, before_onset, next_number
from stateguard.model.condition import Condition, Severity
from stateguard.model.incident import Incident, IncidentState, TimelineEvent
from stateguard.model.policy import SHIPPED_ARMING, HostSettings, Policy, System
from stateguard.model.runtime import Supervisor
from stateguard.model.transition import (
    BACK,
    FORWARD,
    Conversations,
    Kind,
    OperationRecord,
    PathWrite,
    Plan,
    StageReport,
    StepName,
)
from stateguard.model.tree import Entry

PROBE = Probe("ready", ProbeKind.READINESS, HttpCheck("http://h/"), agent="a")


def test_probes_have_ids_and_titles() -> None:
    assert (PROBE.id, PROBE.title) == ("a/ready", "a: ready")
    state = Probe("plan", ProbeKind.READINESS, HttpCheck("http://h/"))
    assert (state.id, state.title) == ("/plan", "plan")


def test_agents_know_their_directory_and_role() -> None:
    assert AgentSpec("a", ("run",)).directory == "agents/a/"
    assert AgentSpec("a", ("run",), role="parent").parent
    assert not AgentSpec("a", ("run",)).parent


def test_variables_are_plain_or_name_a_secret() -> None:
    spec = AgentSpec("a", ("run",), environment=(("MODE", "fast"), ("TOKEN", "secret://forge")))
    assert (spec.plain, spec.secrets) == ({"MODE": "fast"}, {"TOKEN": "forge"})


def test_channels_touch_their_ends() -> None:
    channel = Channel("c", "protocols/c.yaml", "user", "a")
    assert channel.touches("a")
    assert channel.touches("user")
    assert not channel.touches("b")


def test_a_system_has_the_probes_of_all() -> None:
    of_channel = Probe("channel-c", ProbeKind.READINESS, HttpCheck("http://h/"))
    of_state = Probe("plan", ProbeKind.READINESS, HttpCheck("http://h/"))
    channels = (Channel("c", "p", "a", "b", probe=of_channel), Channel("d", "p", "a", "b"))
    system = System({"a": AgentSpec("a", ("run",), probes=(PROBE,))}, channels, Policy((), probes=(of_state,)))
    assert system.probes == (PROBE, of_channel, of_state)


def test_a_policy_takes_further_patterns_to_ignore() -> None:
    assert Policy((), ignore=("*.log",)).ignoring(["/home/"]).ignore == ("*.log", "/home/")


def test_only_the_guards_own_runtime_needs_commands() -> None:
    settings = HostSettings("/live", SHIPPED_ARMING)
    assert settings.needs_commands
    assert not replace(settings, runtime=Supervisor("/run/supervisor.sock")).needs_commands


def baseline(number: int, issued_at: str = "2025-01-01T00:00:00.000Z", **verdict: object) -> Baseline:
    statement = Statement(
        repository="r",
        tag=f"baseline/{number}",
        number=number,
        grade=Grade.CONFIRMED,
        revision="a" * 40,
        snapshot="b" * 40,
        desired_fingerprint="sha256:d",
        fingerprint="sha256:f",
        issued_at=issued_at,
    )
    return Baseline(statement, (Signer("guard", "k"),), "c" * 40, **verdict)  # type: ignore[arg-type]


def test_baselines_have_the_keys_of_the_contract() -> None:
    document = baseline(3).as_json()
    assert document["number"] == 3
    assert document["grade"] == "confirmed"
    assert {"snapshot", "issued_at", "expires_at", "signer", "valid", "suspect", "revoked"} <= document.keys()


def test_a_baseline_with_problems_is_not_usable() -> None:
    assert baseline(1).usable
    assert not baseline(1, problems=("bad signature",)).valid
    assert not baseline(1, problems=("bad signature",)).usable
    assert not baseline(1, revoked=True).usable


def test_numbers_only_grow() -> None:
    assert next_number(0, ()) == 1
    assert next_number(7, (1, 2)) == 8
    assert next_number(2, (1, 9)) == 10


@given(st.integers(0, 1000), st.lists(st.integers(0, 1000)).map(tuple))
def test_a_number_is_never_given_twice(highest: int, listed: tuple[int, ...]) -> None:
    number = next_number(highest, listed)
    assert number > highest
    assert number not in listed


def test_baselines_before_an_onset_come_newest_first_and_suspects_last() -> None:
    every = (
        baseline(1, "2025-01-01T00:00:00.000Z"),
        baseline(2, "2025-01-02T00:00:00.000Z"),
        baseline(3, "2025-01-03T00:00:00.000Z", suspect=True),
        baseline(4, "2025-01-04T00:00:00.000Z", revoked=True),
        baseline(5, "2025-01-05T00:00:00.000Z"),
    )
    assert [b.statement.number for b in before_onset(every, None)] == [5, 2, 1, 3]
    assert [b.statement.number for b in before_onset(every, "2025-01-03T12:00:00.000Z")] == [2, 1, 3]
    assert before_onset(every, "2024-01-01T00:00:00.000Z") == ()


def test_conditions_are_shown_and_told_apart() -> None:
    condition = Condition("probe-failed", "a", Severity.HIGH, "Refused", "connection refused", "probe", ("x",))
    assert condition.key == ("probe-failed", "a")
    assert condition.as_json()["severity"] == 2
    assert condition.as_json()["evidence"] == ["x"]


def test_incidents_are_listed_and_shown() -> None:
    timeline = (TimelineEvent("2025-01-01T00:00:00.000Z", "opened"),)
    incident = Incident(7, IncidentState.OPEN, Severity.CRITICAL, "t", "now", "guard", "bad", timeline=timeline)
    assert incident.head().keys() <= incident.whole().keys()
    assert incident.head()["severity"] == 1
    assert incident.whole()["timeline"] == [{"at": "2025-01-01T00:00:00.000Z", "event": "opened"}]


ENTRIES = st.none() | st.builds(Entry, st.sampled_from([0o100644, 0o120000]), st.text("0af", min_size=1, max_size=5))
TEXTS = st.lists(st.text(max_size=5), max_size=3).map(tuple)
PLANS = st.builds(
    Plan,
    kind=st.sampled_from(Kind),
    source=st.text(max_size=5),
    target=st.text(max_size=5),
    backup=st.text(max_size=5),
    writes=st.lists(st.builds(PathWrite, st.text(max_size=5), st.integers(2, 4), ENTRIES, ENTRIES)).map(tuple),
    stop=TEXTS,
    start=TEXTS,
    start_back=TEXTS,
    conversations=st.sampled_from(Conversations),
    snapshot=st.none() | st.text(max_size=5),
    judged=TEXTS,
    window_seconds=st.floats(0, 100),
    record=st.dictionaries(st.text(max_size=3), st.integers() | st.text(max_size=3)),
)


@given(PLANS)
def test_a_plan_survives_the_journal(plan: Plan) -> None:
    assert Plan.from_json(json.loads(json.dumps(plan.as_json()))) == plan


def test_steps_go_through_the_stages_in_order() -> None:
    assert [stage for stage, _ in FORWARD] == sorted(stage for stage, _ in FORWARD)
    assert [stage for stage, _ in BACK] == sorted(stage for stage, _ in BACK)
    assert [name for _, name in FORWARD] == list(StepName)


@pytest.mark.parametrize("incident", [None, 7])
def test_operations_have_the_keys_of_the_contract(incident: int | None) -> None:
    stage = StageReport(1, "stop agents", "done", 0.123456)
    record = OperationRecord(4, "apply", "succeeded", "a", "b", None, "now", 1.23456, "guard", "", incident, (stage,))
    document = record.as_json()
    assert document["stages"] == [
        {"number": 1, "name": "stop agents", "outcome": "done", "duration_seconds": 0.1235},
    ]
    assert (document["from"], document["to"], document["incident"]) == ("a", "b", incident)
    assert document["duration_seconds"] == 1.2346


def test_who_is_started_or_reloaded_is_touched() -> None:
    plan = Plan(Kind.APPLY, "a" * 40, "b" * 40, "c" * 40, start=("one", "two"), reload=("three",))
    assert plan.touched == ("one", "two", "three")
