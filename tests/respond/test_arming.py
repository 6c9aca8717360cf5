"""A failed apply under arming: what was not accepted always goes back, the rest as far as the trigger apply allows."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from respond.test_responder import ARMED, events, failing, report, trouble
from stateguard import faults
from stateguard.config.host import with_arming
from stateguard.guard.applies import Applies
from stateguard.model.condition import Condition
from stateguard.model.incident import Incident, IncidentState
from stateguard.model.policy import Arming, Trigger
from stateguard.model.transition import OperationRecord
from transition.setting import BREAKS, Setting, audit_problems, everything, ignored

LEVELS = [(Arming.PROPOSE, False, "propose"), (Arming.OBSERVE, False, "observe"), (Arming.ACT, True, "observe")]


def arm(setting: Setting, level: Arming, *, suspended: bool = False) -> Mapping[Trigger, Arming]:
    """Set the level of the trigger apply in guard.yaml; returns all levels, the others armed."""
    path = setting.home.settings
    path.write_text(with_arming(path.read_text(), Trigger.APPLY, level))
    setting.guard.store.mark("suspended", {"reason": "", "until": None} if suspended else None)
    return ARMED | {Trigger.APPLY: level}


def unseen(setting: Setting) -> OperationRecord:
    """Let main move at admission to what does not work, and apply it."""
    assert setting.push(setting.commit(BREAKS), "wait=none").accepted
    record = Applies(setting.guard).catch_up(ignored)
    assert record is not None
    return record


def incident_of(setting: Setting, record: OperationRecord) -> Incident:
    assert record.incident is not None
    return setting.guard.store.incident(record.incident)


@pytest.mark.parametrize("level", [Arming.PROPOSE, Arming.OBSERVE])
def test_a_push_that_waits_for_its_answer_is_put_back_whatever_arming_says(setting: Setting, level: Arming) -> None:
    arm(setting, level)
    main, before = setting.guard.main, everything(setting.guard.live)
    assert "rolled back" in setting.push(setting.commit(BREAKS)).reason
    assert everything(setting.guard.live) == before
    assert setting.guard.main == setting.guard.applied == main
    assert setting.guard.store.ledger() == []


@pytest.mark.parametrize(("level", "suspended", "action"), LEVELS)
def test_what_was_accepted_unseen_is_left_as_it_is_and_proposed(
    setting: Setting, level: Arming, suspended: bool, action: str
) -> None:
    guard, first = setting.guard, setting.guard.main
    arming = arm(setting, level, suspended=suspended)
    record = unseen(setting)
    bad = guard.main
    assert (record.outcome, guard.applied, record.target) == ("failed", bad, bad)
    assert (guard.live / "config/helper.txt").read_text() == "mode: bad\n"
    assert setting.running() == ["helper", "parent"]
    incident = incident_of(setting, record)
    assert (incident.state, incident.culprit, incident.operations) == (IncidentState.OPEN, bad, (record.operation,))
    assert incident.decision
    assert (incident.decision["action"], incident.decision["trigger"]) == (action, "apply")
    (entry,) = guard.store.ledger()
    assert (entry["action"], entry["trigger"], entry["incident"]) == (action, "apply", incident.id)
    assert entry["would"] == f"go back to the state before {bad[:10]}"
    assert entry["reason"] == incident.decision["reason"]
    assert f"decided: {action}" in report(setting, incident.id)

    found = failing(setting)
    for _ in range(2):
        same = trouble(setting, found, arming, suspended=suspended)
    assert (same.id, guard.main, same.operations) == (incident.id, bad, incident.operations)
    assert len(guard.store.ledger()) == 1, "said once, though the soak trigger is armed act"
    healed = trouble(setting, found, ARMED)
    assert healed.state is IncidentState.RESOLVED
    assert guard.books.declared.digest(guard.main) == guard.books.declared.digest(first)
    assert audit_problems(guard) == ()


def test_a_commit_that_a_person_names_is_left_on_main_as_a_forward_commit(setting: Setting) -> None:
    guard, first = setting.guard, setting.guard.main
    bad = setting.commit(BREAKS)
    arm(setting, Arming.PROPOSE)
    said: list[str] = []
    record = Applies(guard).apply(bad, "person:ann", "try it", said.append)
    assert record.outcome == "failed"
    assert any(s.startswith("left as it is (") for s in said)
    assert guard.main == guard.applied != bad
    assert guard.repository.commit(guard.main).parents == (first,)
    assert guard.books.declared.digest(guard.main) == guard.books.declared.digest(bad)
    assert incident_of(setting, record).state is IncidentState.OPEN


def test_armed_act_takes_it_back(setting: Setting) -> None:
    before = everything(setting.guard.live)
    record = unseen(setting)
    assert record.outcome == "failed"
    assert incident_of(setting, record).state is IncidentState.RESOLVED
    assert everything(setting.guard.live) == before
    assert setting.guard.store.ledger() == []


def test_once_it_was_well_a_new_failure_is_one_of_the_soak(setting: Setting) -> None:
    guard = setting.guard
    arming = arm(setting, Arming.PROPOSE)
    record = unseen(setting)
    found: list[Condition] = failing(setting)
    guard.responder.recovered(record.incident or 0, "everything has been well")
    incident = trouble(setting, found, arming)
    assert incident.decision
    assert (incident.decision["action"], incident.decision["trigger"]) == ("rollback", "soak")


@pytest.mark.parametrize("point", ["audit.append:1", "audit.appended:1", "audit.append:2", "journal.close:1"])
def test_interrupted_it_is_left_as_it_is_all_the_same(setting: Setting, point: str) -> None:
    arm(setting, Arming.PROPOSE)
    assert setting.push(setting.commit(BREAKS), "wait=none").accepted
    bad = setting.guard.main
    applies = Applies(setting.guard)

    def armed(text: str) -> None:
        if "failed" in text:
            faults.arm(f"{point}:cut")

    with pytest.raises(faults.Cut):
        applies.catch_up(armed)
    faults.arm(None)
    guard = setting.restart()
    assert guard.books.journal.unfinished() == []
    assert guard.main == guard.applied == bad
    (incident,) = guard.store.incidents()
    assert incident.state is IncidentState.OPEN
    assert sum(e.startswith("decided") for e in events(incident)) == 1
    assert len(guard.store.ledger()) == 1
    assert audit_problems(guard) == ()
