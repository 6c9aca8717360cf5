"""The pure decisions of response, by table and by property."""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from typing import Any

import pytest
from hypothesis import given, strategies as st

from stateguard.model.baseline import Baseline, Grade, Signer, Statement
from stateguard.model.condition import Condition, Severity
from stateguard.model.health import Health
from stateguard.model.incident import UNSETTLED, Incident, IncidentState
from stateguard.model.moment import Moment
from stateguard.model.policy import SHIPPED_ARMING, Arming, Trigger
from stateguard.respond.authority import Action, Decision, decide, decide_apply
from stateguard.respond.lifecycle import is_outside, may_become, review_is_mandatory, worse
from stateguard.respond.loopguard import Budget, Tried, stopped_by
from stateguard.respond.promote import Promotion, Soak, may_promote
from stateguard.respond.withdraw import Change, targets

ARMED = dict.fromkeys(Trigger, Arming.ACT)


def condition(
    probe: str | None = "a/p", *, external: bool = False, severity: Severity = Severity.HIGH, also: tuple[str, ...] = ()
) -> Condition:
    return Condition("AGENT_FAILED", "a", severity, "R", "m", "probe", probe=probe, external=external, also=also)


# authority


@pytest.mark.parametrize(
    ("probe", "also", "soaking", "trigger"),
    [
        ("a/p", (), True, Trigger.SOAK),
        ("a/p", (), False, Trigger.FAILURE),
        ("a/old", (), True, Trigger.FAILURE),
        ("a/old", ("a/p",), True, Trigger.SOAK),
        (None, (), True, Trigger.SOAK),
        (None, (), False, Trigger.FAILURE),
    ],
)
def test_what_counted_for_the_change_is_blamed_on_it_while_it_soaks(
    probe: str | None, also: tuple[str, ...], soaking: bool, trigger: Trigger
) -> None:
    found = decide(
        [condition(probe, also=also)],
        soaking=soaking,
        counted=frozenset({"a/p"}),
        arming=ARMED,
        suspended=False,
        stopped="",
    )
    assert (found.action, found.trigger) == (Action.ROLLBACK, trigger)


@pytest.mark.parametrize(
    ("level", "suspended", "stopped", "action"),
    [
        (Arming.ACT, False, "", Action.ROLLBACK),
        (Arming.ACT, False, "it would loop", Action.STOP),
        (Arming.ACT, True, "", Action.OBSERVE),
        (Arming.ACT, True, "it would loop", Action.OBSERVE),
        (Arming.PROPOSE, False, "", Action.PROPOSE),
        (Arming.PROPOSE, False, "it would loop", Action.PROPOSE),
        (Arming.PROPOSE, True, "", Action.OBSERVE),
        (Arming.OBSERVE, False, "", Action.OBSERVE),
        (Arming.OBSERVE, True, "it would loop", Action.OBSERVE),
    ],
)
def test_arming_suspension_and_the_loop_guard_limit_what_is_done(
    level: Arming, suspended: bool, stopped: str, action: Action
) -> None:
    arming = ARMED | {Trigger.SOAK: level}
    found = decide(
        [condition()], soaking=True, counted=frozenset({"a/p"}), arming=arming, suspended=suspended, stopped=stopped
    )
    assert found.action is action
    assert not stopped or action is not Action.STOP or stopped in found.reason


conditions = st.lists(
    st.builds(condition, st.none() | st.sampled_from(["a/p", "b/q"]), external=st.booleans()), min_size=1
)
armings = st.fixed_dictionaries({t: st.sampled_from(Arming) for t in Trigger})
counted = st.sets(st.sampled_from(["a/p", "b/q", "/s"])).map(frozenset)


@given(
    conditions, st.booleans(), st.booleans(), counted, armings, st.booleans(), st.sampled_from(["", "it would loop"])
)
def test_the_guard_acts_only_when_everything_allows_it(
    found: list[Condition],
    soaking: bool,
    unproven: bool,
    counts: frozenset[str],
    arming: dict[Trigger, Arming],
    suspended: bool,
    stopped: str,
) -> None:
    decision = decide(
        found, soaking=soaking, unproven=unproven, counted=counts, arming=arming, suspended=suspended, stopped=stopped
    )
    internal = [c for c in found if not c.external]
    if not internal:
        assert decision == Decision(Action.TELL, None, decision.reason)
        return
    blamed = soaking and any(c.probe is None or c.probe in counts for c in internal)
    change = Trigger.APPLY if unproven else Trigger.SOAK
    assert decision.trigger is (change if blamed else Trigger.FAILURE)
    acts = arming[decision.trigger] is Arming.ACT and not suspended
    assert (decision.action is Action.ROLLBACK) == (acts and not stopped)
    assert (decision.action is Action.STOP) == (acts and bool(stopped))
    assert decision.reason


@given(st.sampled_from(Arming), st.booleans(), st.booleans())
def test_what_main_has_not_taken_is_always_put_back(level: Arming, awaiting: bool, suspended: bool) -> None:
    decision = decide_apply(level, awaiting=awaiting, suspended=suspended)
    assert decision.trigger is Trigger.APPLY
    allowed = level is Arming.ACT and not suspended
    assert (decision.action is Action.ROLLBACK) == (awaiting or allowed)
    assert (decision.action is Action.PROPOSE) == (not awaiting and not suspended and level is Arming.PROPOSE)
    assert decision.reason


@given(st.sampled_from(Arming), st.booleans())
def test_what_was_left_as_it_is_is_decided_in_the_same_words_later(level: Arming, suspended: bool) -> None:
    arming = ARMED | {Trigger.APPLY: level}
    later = decide(
        [condition()],
        soaking=True,
        unproven=True,
        counted=frozenset({"a/p"}),
        arming=arming,
        suspended=suspended,
        stopped="",
    )
    assert later == decide_apply(level, awaiting=False, suspended=suspended)


def test_a_decision_is_kept_as_json() -> None:
    assert Decision(Action.TELL, None, "r").as_json() == {"action": "tell", "trigger": None, "reason": "r"}
    assert Decision(Action.ROLLBACK, Trigger.SOAK, "r").as_json()["trigger"] == "soak"


def test_as_shipped_only_a_change_beside_the_failure_is_undone() -> None:
    def action(soaking: bool) -> Action:
        return decide(
            [condition()],
            soaking=soaking,
            counted=frozenset({"a/p"}),
            arming=SHIPPED_ARMING,
            suspended=False,
            stopped="",
        ).action

    assert (action(True), action(False)) == (Action.ROLLBACK, Action.PROPOSE)


# the loop guard


@pytest.mark.parametrize(
    ("tried", "words"),
    [
        (Tried(0, 0, 0, in_reached_state=False), ""),
        (Tried(2, 1, 3, in_reached_state=False), ""),
        (Tried(0, 0, 0, in_reached_state=True), "would loop"),
        (Tried(3, 0, 0, in_reached_state=False), "3 attempts"),
        (Tried(0, 2, 2, in_reached_state=False), "2 automatic rollbacks in the last hour"),
        (Tried(0, 0, 4, in_reached_state=False), "4 automatic rollbacks in the last day"),
        (Tried(0, 0, 0, in_reached_state=False, nowhere=True), "no earlier state"),
    ],
)
def test_the_shipped_budget(tried: Tried, words: str) -> None:
    found = stopped_by(tried, Budget())
    assert words in found
    assert bool(found) == bool(words)


numbers = st.integers(0, 6)


@given(
    st.builds(Tried, numbers, numbers, numbers, in_reached_state=st.booleans(), nowhere=st.booleans()),
    st.builds(Budget, numbers, numbers, numbers),
)
def test_who_is_stopped_stays_stopped_when_more_was_tried(tried: Tried, budget: Budget) -> None:
    more = [
        Tried(tried.attempts + 1, tried.last_hour, tried.last_day, tried.in_reached_state, tried.nowhere),
        Tried(tried.attempts, tried.last_hour + 1, tried.last_day + 1, tried.in_reached_state, tried.nowhere),
        Tried(tried.attempts, tried.last_hour, tried.last_day, in_reached_state=True, nowhere=tried.nowhere),
        Tried(tried.attempts, tried.last_hour, tried.last_day, tried.in_reached_state, nowhere=True),
    ]
    if stopped_by(tried, budget):
        assert all(stopped_by(one, budget) for one in more)
    else:
        assert tried.attempts < budget.attempts
        assert tried.last_hour < budget.per_hour
        assert tried.last_day < budget.per_day
        assert not tried.in_reached_state
        assert not tried.nowhere


# what a rollback goes back to


def baseline(
    number: int, revision: str, issued_at: str = "2026-01-01", *, suspect: bool = False, revoked: bool = False,
    problems: tuple[str, ...] = (),
) -> Baseline:  # fmt: skip
    statement = Statement("r", f"baseline/{number}", number, Grade.CONFIRMED, revision, "s", "f", "f", issued_at)
    return Baseline(
        statement, (Signer("guard", "k"),), f"tag{number}", problems=problems, suspect=suspect, revoked=revoked
    )


def change(before: str | None = "old", *, well: bool = True) -> Change:
    return Change("new", before, "2026-01-05", well)


ONE, TWO, LATE = baseline(1, "one", "2026-01-01"), baseline(2, "two", "2026-01-02"), baseline(3, "three", "2026-01-09")


@pytest.mark.parametrize(
    ("last", "baselines", "labels"),
    [
        (change(), [ONE, TWO, LATE], ["the state before new", "baseline/2", "baseline/1"]),
        (change("two"), [ONE, TWO], ["baseline/2", "baseline/1"]),
        (change("three"), [TWO, LATE], ["baseline/3", "baseline/2"]),
        (change(well=False), [ONE, TWO], ["baseline/2", "baseline/1"]),
        (change(None), [ONE], ["baseline/1"]),
        (change("head"), [ONE], ["baseline/1"]),
        (None, [ONE, TWO], ["baseline/2", "baseline/1"]),
        (None, [baseline(4, "head"), ONE], ["baseline/1"]),
        (None, [ONE, baseline(2, "two", suspect=True)], ["baseline/1", "baseline/2"]),
        (None, [ONE, baseline(2, "two", revoked=True), baseline(3, "x", problems=("forged",))], ["baseline/1"]),
        (None, [baseline(1, "same"), baseline(2, "same")], ["baseline/2"]),
        (change("two"), [baseline(2, "two", revoked=True)], ["the state before new"]),
        (None, [], []),
    ],
)
def test_targets_best_first(last: Change | None, baselines: list[Baseline], labels: list[str]) -> None:
    found = targets(last, baselines, "2026-01-05", "head")
    assert [t.label for t in found] == labels
    assert all(t.reason for t in found)


revisions = st.sampled_from(["one", "two", "three", "head", "new"])
many = st.lists(
    st.builds(
        baseline, st.integers(1, 9), revisions, st.sampled_from(["2026-01-01", "2026-01-05", "2026-01-06"]),
        suspect=st.booleans(), revoked=st.booleans(), problems=st.sampled_from([(), ("forged",)]),
    ),
    max_size=6,
    unique_by=lambda b: b.statement.number,
)  # fmt: skip
changes = st.none() | st.builds(change, st.none() | revisions, well=st.booleans())


@given(changes, many)
def test_no_target_is_the_head_or_untrusted_or_twice(last: Change | None, baselines: list[Baseline]) -> None:
    found = targets(last, baselines, "2026-01-05", "head")
    known = {b.statement.number: b for b in baselines}
    assert len({t.revision for t in found}) == len(found)
    for target in found:
        assert target.revision != "head"
        if target.baseline is None:
            assert last
            assert (target.revision, last.before_was_well) == (last.before, True)
        else:
            assert known[target.baseline].usable
            assert known[target.baseline].statement.revision == target.revision
            early = known[target.baseline].statement.issued_at <= "2026-01-05"
            assert early or (last and last.before == target.revision)
    plain = [b for b in baselines if b.usable and not b.suspect and b.statement.issued_at <= "2026-01-05"]
    best = max(plain, key=lambda b: b.statement.number, default=None)
    assert best is None or best.statement.revision in {"head", *(t.revision for t in found)}


# promotion


def at(seconds: float) -> Moment:
    return Moment(1_800_000_000 + seconds, seconds, "boot")


SOAK = Soak("live", 1, at(0), at(900), frozenset({"a/p"}), "old", before_was_well=True, by_rollback=False)


WELL: dict[str, Any] = {
    "health": Health.HEALTHY, "failing": 0, "drifted": 0, "open_incidents": 0, "suspended": False, "head": "live",
}  # fmt: skip


@pytest.mark.parametrize(
    ("seconds", "other", "waits"),
    [
        (900, {}, ""),
        (899, {}, "the end of the soak"),
        (900, {"suspended": True}, "resume"),
        (900, {"head": "other"}, "applied"),
        (900, {"head": None}, "applied"),
        (900, {"open_incidents": 1}, "incident"),
        (900, {"health": Health.UNKNOWN}, "health (now UNKNOWN)"),
        (900, {"health": Health.DEGRADED}, "health (now DEGRADED)"),
        (900, {"failing": 1}, "a probe that failed"),
        (900, {"drifted": 1}, "drift"),
    ],
)
def test_promotion(seconds: float, other: dict[str, Any], waits: str) -> None:
    found = may_promote(SOAK, at(seconds), **WELL | other)
    assert found.now == (not waits)
    assert waits in found.waiting_for


def test_only_everything_at_once_promotes() -> None:
    """Of all combinations exactly one signs."""
    cases = product((0.0, 900.0), (True, False), ("live", "x", None), (0, 1, 2), Health, (0, 1), (0, 3))
    found = [
        may_promote(SOAK, at(s), suspended=p, head=h, open_incidents=i, health=w, failing=f, drifted=d)
        for s, p, h, i, w, f, d in cases
    ]
    assert found.count(Promotion(now=True, waiting_for="")) == 1
    assert all(p.now != bool(p.waiting_for) for p in found)


# the life of an incident


def test_the_life_of_an_incident() -> None:
    o, m, r, c = (IncidentState.OPEN, IncidentState.MITIGATING, IncidentState.RESOLVED, IncidentState.CLOSED)
    allowed = {(a, b) for a in IncidentState for b in IncidentState if may_become(a, b)}
    assert allowed == {(s, s) for s in IncidentState} | {(o, m), (o, r), (m, o), (m, r), (r, o), (r, c)}
    assert frozenset({o, m}) == UNSETTLED


@given(st.sampled_from(Severity), st.sampled_from(Severity))
def test_severity_only_grows(one: Severity, other: Severity) -> None:
    assert worse(one, other) is worse(other, one)
    assert worse(one, other) in (one, other)
    assert worse(one, other) <= one


def test_only_critical_incidents_must_be_reviewed() -> None:
    assert [s for s in Severity if review_is_mandatory(s)] == [Severity.CRITICAL]


def test_what_fails_outside_is_known_by_its_type() -> None:
    incident = Incident(
        id=1, state=IncidentState.OPEN, severity=Severity.LOW, type="EXTERNAL_FAILED", opened_at="", detected_by="",
        summary="",
    )  # fmt: skip
    assert is_outside(incident)
    assert not is_outside(replace(incident, type="FLAPPING"))
