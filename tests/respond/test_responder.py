"""What follows when a change fails at once, and when trouble comes later: on a real system."""

from __future__ import annotations

from dataclasses import replace

import pytest

from helpers import eventually
from respond.responding import (
    ARMED,
    OLD_PROMPT,
    bad_later,
    events,
    failing,
    made_up,
    report,
    trouble,
    verdicts_are_in,
)
from stateguard import faults
from stateguard.detect.failure import MIXED_VERSIONS, conditions
from stateguard.guard.applies import Applies
from stateguard.guard.view import facts
from stateguard.host.clock import now_text
from stateguard.model.condition import Severity
from stateguard.model.identity import CANDIDATES, WITHDRAWN
from stateguard.model.incident import IncidentState
from stateguard.model.policy import SHIPPED_ARMING, Arming, Trigger
from stateguard.model.transition import Step, StepName
from stateguard.state.commits import split_signature
from stateguard.transition.journal import Operation
from stateguard.trust.keys import load_pinned
from stateguard.trust.ssh import verify
from transition.setting import BREAKS, CHANGE, STATE, Setting, audit_problems, everything, ignored

# a change that does not work


def test_a_push_that_fails_is_put_back_and_reported(setting: Setting) -> None:
    guard = setting.guard
    eventually(lambda: verdicts_are_in(setting))
    main, before = guard.main, everything(guard.live)
    bad = setting.commit(BREAKS)
    answer = setting.push(bad)
    assert (answer.accepted, answer.reason) == (False, "unhealthy: rolled back, incident 1")
    incident = guard.store.incident(1)
    assert (incident.state, incident.severity, incident.type) == (IncidentState.RESOLVED, Severity.HIGH, "FAILED_APPLY")
    assert incident.culprit == bad
    assert incident.decision
    assert (incident.decision["action"], incident.decision["trigger"]) == ("rollback", "apply")
    apply, rollback = (guard.books.journal.get(n) for n in incident.operations)
    assert (apply.outcome, rollback.outcome) == ("failed", "succeeded")
    assert (apply.kind, rollback.kind, rollback.actor) == ("apply", "rollback", "guard")
    assert everything(guard.live) == before
    assert guard.main == guard.applied == main
    assert guard.repository.ref(WITHDRAWN + str(apply.id)) == bad
    assert guard.repository.refs(CANDIDATES) == {}
    text = report(setting, 1)
    assert incident.report == "incidents/0001.md"
    assert "the mode is bad" in text
    assert "main never moved" in text
    assert audit_problems(guard) == ()


def test_what_was_withdrawn_is_refused_until_it_differs(setting: Setting) -> None:
    bad = setting.commit(BREAKS)
    assert not setting.push(bad).accepted
    again = setting.push(setting.commit(BREAKS))
    assert "was withdrawn as" in again.reason
    assert setting.push(setting.commit(BREAKS | {"config/helper.txt": "mode: mended\n"})).accepted


def test_putting_back_is_never_withheld_and_never_counts(setting: Setting) -> None:
    for number in range(5):
        answer = setting.push(setting.commit(BREAKS | {"config/shared.txt": f"{number}\n"}))
        assert "rolled back" in answer.reason
    new = bad_later(setting)
    incident = trouble(setting, failing(setting))
    assert (incident.state, incident.culprit) == (IncidentState.RESOLVED, new)


def test_a_push_admitted_unseen_that_fails_is_put_back_by_a_forward_commit(setting: Setting) -> None:
    guard = setting.guard
    good = setting.commit({"config/shared.txt": "two\n"})
    assert setting.push(good).accepted
    bad = setting.commit(BREAKS)
    assert setting.push(bad, "wait=none").accepted
    assert guard.main == bad
    Applies(guard).catch_up()
    assert guard.main == guard.applied != bad
    assert guard.repository.commit(guard.main).parents == (bad,)
    assert guard.books.declared.digest(guard.main) == guard.books.declared.digest(good)
    soak = guard.store.soak()
    assert soak
    assert (soak.revision, soak.by_rollback) == (guard.main, False)
    assert guard.store.incident(1).state is IncidentState.RESOLVED


def test_applying_again_what_is_live_withdraws_nothing_when_it_fails(setting: Setting) -> None:
    stuck = setting.guard.live / "stuck-helper"
    guard = setting.wake(lambda _, step: stuck.touch() if step.name is StepName.START else None)
    eventually(lambda: verdicts_are_in(setting))
    main = guard.main
    (guard.live / "config/helper.txt").write_text("mode: drifted\n")
    record = Applies(guard).apply(main, "person:ann", "mend it", ignored)
    assert record.outcome == "failed"
    assert guard.main == guard.applied == main
    assert guard.store.withdrawn(guard.books.declared.digest(main)) is None
    assert (guard.live / "config/helper.txt").read_text() == "mode: drifted\n"


def test_a_change_that_changes_nothing_goes_on_soaking(setting: Setting) -> None:
    assert setting.push(setting.commit(CHANGE)).accepted
    before = setting.guard.store.soak()
    assert setting.push(setting.commit({})).accepted
    assert before
    assert setting.guard.store.soak() == replace(before, revision=setting.guard.main)


def test_a_put_back_that_is_refused_needs_a_person(setting: Setting) -> None:
    """There is nowhere to keep what lies there now, so nothing may be changed."""
    objects = setting.guard.captured.path / "objects"
    away = objects.with_name("away")

    def block(_operation: Operation, step: Step) -> None:
        if step.name is StepName.VALIDATE:
            objects.rename(away)

    guard = setting.wake(block)
    assert not setting.push(setting.commit(BREAKS)).accepted
    away.rename(objects)
    incident = guard.store.incident(1)
    assert incident.state is IncidentState.MITIGATING
    assert any(e.startswith("a person is needed: captured.git cannot be written") for e in events(incident))
    assert [guard.books.journal.get(n).outcome for n in incident.operations] == ["failed", "refused"]
    (mixed,) = [c for c in conditions(facts(guard)) if c.type == MIXED_VERSIONS]
    assert "helper" in mixed.evidence, "the agents go on with the version that is not live"


def test_a_put_back_that_ended_before_the_crash_is_not_done_twice(setting: Setting) -> None:
    faults.arm("journal.closed:1:cut")
    with pytest.raises(faults.Cut):
        setting.push(setting.commit(BREAKS))
    faults.arm(None)
    guard = setting.restart()
    incident = guard.store.incident(1)
    assert (incident.state, len(incident.operations)) == (IncidentState.RESOLVED, 2)
    assert "the mode is bad" in report(setting, 1)


def test_a_put_back_that_does_not_become_well_needs_a_person(setting: Setting) -> None:
    guard = setting.guard
    eventually(lambda: verdicts_are_in(setting))
    (guard.live / "stuck-helper").touch()
    main = guard.main
    assert "going back failed" in setting.push(setting.commit(CHANGE)).reason
    incident = guard.store.incident(1)
    assert incident.state is IncidentState.MITIGATING
    assert any(e.startswith("a person is needed") for e in events(incident))
    assert guard.main == main
    assert (guard.live / "agents/helper/prompt.md").read_text() == OLD_PROMPT


# trouble within the soak


def test_a_failure_within_the_soak_takes_the_change_back_by_a_signed_forward_commit(setting: Setting) -> None:
    guard = setting.guard
    first = guard.main
    new = bad_later(setting)
    incident = trouble(setting, failing(setting))
    assert incident.state is IncidentState.RESOLVED
    assert incident.decision
    assert (incident.decision["action"], incident.decision["trigger"]) == ("rollback", "soak")
    forward = guard.repository.commit(guard.main)
    assert forward.parents == (new,)
    assert guard.applied == guard.main
    assert guard.books.declared.digest(guard.main) == guard.books.declared.digest(first)
    signed, signature = split_signature(guard.repository.raw(guard.main)[1])
    assert signature
    verify(signed, signature, load_pinned(guard.home.trust))
    assert "git revert --no-edit HEAD" in forward.message
    assert f"Incident: {incident.id}" in forward.message
    assert guard.repository.ref(WITHDRAWN + str(incident.operations[-1])) == new
    assert (guard.live / "agents/helper/prompt.md").read_text() == OLD_PROMPT
    assert "git revert" in report(setting, incident.id)
    assert guard.store.withdrawn(guard.books.declared.digest(new)) == (new, incident.id)
    soak = guard.store.soak()
    assert soak
    assert (soak.revision, soak.by_rollback) == (guard.main, True)
    assert audit_problems(guard) == ()


def test_what_failed_before_the_change_does_not_undo_it(setting: Setting) -> None:
    """The helper is ill before; a change that has nothing to do with it stays."""
    (setting.guard.live / "stuck-helper").touch()
    found = failing(setting)
    assert setting.push(setting.commit({"config/shared.txt": "two\n"})).accepted
    soak = setting.guard.store.soak()
    assert soak
    assert "helper/ready" not in soak.counted
    incident = trouble(setting, found, SHIPPED_ARMING)
    assert incident.decision
    assert (incident.decision["action"], incident.decision["trigger"]) == ("propose", "failure")


def test_trouble_that_comes_and_goes_is_one_incident_and_one_rollback(setting: Setting) -> None:
    """The change is taken back and it fails all the same: a person is called, however often it goes away."""
    bad_later(setting)
    first = trouble(setting, failing(setting))
    main = setting.guard.main
    for _ in range(3):
        again = trouble(setting, [made_up()])
        assert (again.id, again.state) == (first.id, IncidentState.OPEN)
        setting.guard.responder.recovered(again.id, "everything has been well for a while")
    assert (setting.guard.main, len(again.operations)) == (main, 1)
    assert again.decision
    assert again.decision["action"] == "stop"


def test_going_back_once_more_would_loop(setting: Setting) -> None:
    bad_later(setting)
    trouble(setting, failing(setting))
    main = setting.guard.main
    incident = trouble(setting, [made_up()])
    assert (incident.state, setting.guard.main) == (IncidentState.OPEN, main)
    assert incident.decision
    assert incident.decision["action"] == "stop"
    assert "would loop" in str(incident.decision["reason"])


def test_what_fails_again_after_it_was_resolved_is_open_again(setting: Setting) -> None:
    bad_later(setting)
    first = trouble(setting, failing(setting), onset="2027-01-01T00:00:00.000Z")
    assert first.state is IncidentState.RESOLVED
    again = trouble(setting, [made_up()], onset="2027-01-01T00:00:00.000Z")
    assert (again.id, again.state) == (first.id, IncidentState.OPEN)
    assert "OPEN: it fails again" in events(again)


# budgets


def test_two_rollbacks_an_hour_are_the_limit(setting: Setting) -> None:
    assert setting.push(setting.commit({"stateguard.yaml": STATE.replace("15m", "0s")})).accepted
    for number in range(3):
        text = f"mode: {number}\n"
        assert setting.push(setting.commit({"config/helper.txt": text})).accepted
        incident = trouble(setting, [made_up()])
        expected = IncidentState.RESOLVED if number < 2 else IncidentState.OPEN
        assert incident.state is expected, number
    assert incident.decision
    assert incident.decision["action"] == "stop"
    assert "2 automatic rollbacks in the last hour" in str(incident.decision["reason"])
    assert (setting.guard.live / "config/helper.txt").read_text() == "mode: 2\n"


def test_three_attempts_in_an_incident_are_the_limit(setting: Setting) -> None:
    """Nothing earlier helps: the state that fails stays, and a person is asked for."""
    guard = setting.guard
    assert setting.push(setting.commit({"config/shared.txt": "two\n"})).accepted
    assert setting.push(setting.commit({"bin/probe.sh": "#!/bin/sh\nexit 0\n"})).accepted
    (guard.live / "stuck-helper").touch()
    main, before = guard.main, everything(guard.live)
    onset = now_text()
    incident = trouble(setting, [made_up()], onset=onset)
    assert incident.state is IncidentState.OPEN
    for _ in range(3):
        incident = trouble(setting, [made_up()], onset=onset)
    assert [guard.books.journal.get(n).outcome for n in incident.operations] == ["undone"] * 3
    assert incident.decision
    assert (incident.decision["action"], incident.decision["trigger"]) == ("stop", "soak")
    assert "3 attempts" in str(incident.decision["reason"])
    assert (guard.main, guard.applied, everything(guard.live)) == (main, main, before)
    assert incident.report


# what is not armed


@pytest.mark.parametrize(
    ("arming", "suspended", "action"),
    [(Arming.PROPOSE, False, "propose"), (Arming.OBSERVE, False, "observe"), (Arming.ACT, True, "observe")],
)
def test_what_is_not_armed_is_entered_in_the_ledger_and_changes_nothing(
    setting: Setting, arming: Arming, suspended: bool, action: str
) -> None:
    guard = setting.guard
    new = bad_later(setting)
    before, found = everything(guard.live), failing(setting)
    for _ in range(3):
        incident = trouble(setting, found, ARMED | {Trigger.SOAK: arming}, onset="2027", suspended=suspended)
    assert (incident.state, guard.main, guard.applied) == (IncidentState.OPEN, new, new)
    assert everything(guard.live) == before
    assert [(e["action"], e["trigger"], e["incident"]) for e in guard.store.ledger()] == [(action, "soak", incident.id)]
    assert incident.operations == ()
    assert sum(e.startswith("decided") for e in events(incident)) == 1
    assert f"decided: {action}" in report(setting, incident.id)
    kinds = [e["kind"] for e in guard.books.audit.newest_first()]
    assert kinds.count("decision") == 1


def test_what_fails_outside_is_told(setting: Setting) -> None:
    bad_later(setting)
    incident = trouble(setting, [made_up(external=True)])
    assert incident.decision
    assert (incident.decision["action"], incident.state) == ("tell", IncidentState.OPEN)
    assert [e["action"] for e in setting.guard.store.ledger()] == ["tell"]


def test_trouble_joins_the_incident_that_is_open(setting: Setting) -> None:
    one = trouble(setting, [made_up()], SHIPPED_ARMING, onset="2027")
    worse = replace(made_up(None), component="parent", severity=Severity.CRITICAL)
    two = trouble(setting, [worse], SHIPPED_ARMING, onset="2028")
    assert (two.id, two.severity) == (one.id, Severity.CRITICAL)
    assert {c["component"] for c in two.conditions} == {"helper", "parent"}
