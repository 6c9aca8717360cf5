"""What is left over when a push was answered: nothing that pins it, and a report that is published in the end."""

from __future__ import annotations

from damage import held
from stateguard.model.identity import CANDIDATES, INCIDENTS, WITHDRAWN, ZERO
from stateguard.model.incident import IncidentState
from stateguard.model.transition import Direction, Step, StepName
from stateguard.state.repository import RefMove
from stateguard.transition.journal import Operation
from transition.setting import BREAKS, CHANGE, Setting, audit_problems


def test_an_undone_push_leaves_no_pin(setting: Setting) -> None:
    def announce(_operation: Operation, step: Step) -> None:
        if (step.name, step.direction) == (StepName.CONFIGURATION, Direction.FORWARD):
            (setting.guard.live / "config/new").touch()  # in the way

    setting.wake(announce)
    assert "undone" in setting.push(setting.commit(CHANGE)).reason
    assert setting.guard.repository.refs(CANDIDATES) == {}
    assert audit_problems(setting.guard) == ()


def test_a_pin_that_a_dead_guard_left_goes_and_what_failed_stays_reachable(setting: Setting) -> None:
    culprit = setting.commit(BREAKS)
    assert not setting.push(culprit).accepted
    guard = setting.guard
    failed = guard.books.journal.of_kind("apply", 0.0)[0].id
    running = guard.books.journal.open("heal", "guard", "r").id
    kept = [RefMove(f"{CANDIDATES}{name}", culprit, ZERO) for name in (str(running), "not-ours")]
    gone = [RefMove(f"{CANDIDATES}{failed}", culprit, ZERO), RefMove(f"{WITHDRAWN}{failed}", ZERO, culprit)]
    guard.repository.move([*kept, *gone])
    restarted = setting.restart()
    assert restarted.repository.ref(f"{WITHDRAWN}{failed}") == culprit
    assert set(restarted.repository.refs(CANDIDATES)) == {f"{CANDIDATES}not-ours"}, "the other one ended by recovery"


def test_a_report_that_could_not_be_published_is_owed(setting: Setting) -> None:
    with held(setting.guard.repository.path / "refs/heads/incidents.lock"):
        assert not setting.push(setting.commit(BREAKS)).accepted
        assert setting.guard.store.incident(1).state is IncidentState.RESOLVED
        assert setting.guard.repository.ref(INCIDENTS) is None
        guard = setting.wake()
        assert guard.store.unreported() == [1]
        guard.reporter.catch_up()
        assert guard.store.unreported() == [1], "git refuses still"
    guard.reporter.catch_up()
    assert guard.store.unreported() == []
    head = guard.repository.ref(INCIDENTS)
    assert head is not None
    text = guard.repository.blob(guard.books.declared.paths(head)["incidents/0001.md"].id).decode()
    assert "RESOLVED" in text
    guard.reporter.catch_up()
    assert guard.repository.ref(INCIDENTS) == head
