"""What follows when a state has soaked, and what a crash leaves of it: on a real system."""

from __future__ import annotations

import pytest

from damage import rot
from respond.responding import (
    bad_later,
    events,
    failing,
    made_up,
    trouble,
)
from stateguard import faults
from stateguard.model.health import Health
from stateguard.model.identity import INCIDENTS, short
from stateguard.model.incident import IncidentState
from transition.setting import BREAKS, CHANGE, Setting


def soaked(setting: Setting, text: str) -> int:
    """Apply a change and let it become a baseline; returns its number."""
    guard = setting.guard
    assert setting.push(setting.commit({"config/shared.txt": text})).accepted
    soak = guard.store.soak()
    assert soak
    return guard.responder.promote(soak, Health.HEALTHY).statement.number


def damage(setting: Setting, number: int) -> None:
    """Spoil the tree of the snapshot of this baseline."""
    guard = setting.guard
    tree = guard.captured.commit(guard.baselines.get(number).statement.snapshot).tree
    rot([guard.captured.path, guard.repository.path], tree)


def test_a_state_that_has_soaked_becomes_a_baseline(setting: Setting) -> None:
    guard = setting.guard
    number = soaked(setting, "two\n")
    found = guard.baselines.get(number)
    assert (number, found.statement.revision, guard.baselines.verify(number)) == (2, guard.main, ())
    assert found.statement.evidence["health"] == "HEALTHY"
    assert found.statement.evidence["probes"] == ["helper/ready", "parent/ready"]
    assert guard.store.soak() is None
    assert guard.books.journal.of_kind("baseline", 0.0)[0].outcome == "succeeded"


def test_a_baseline_that_does_not_verify_is_skipped(setting: Setting) -> None:
    guard = setting.guard
    first = guard.main
    number = soaked(setting, "two\n")
    assert number == 2
    assert setting.push(setting.commit({"config/shared.txt": "three\n"})).accepted
    guard.store.keep_soak(None)
    damage(setting, 2)
    incident = trouble(setting, [made_up()])
    assert incident.state is IncidentState.RESOLVED
    assert any(e.startswith("baseline/2 does not verify") for e in events(incident))
    assert guard.books.declared.digest(guard.main) == guard.books.declared.digest(first)


def test_where_nothing_verifies_it_is_said_once(setting: Setting) -> None:
    """Cycle after cycle the same: the timeline and the incidents branch must not grow."""
    guard = setting.guard
    assert setting.push(setting.commit({"config/shared.txt": "two\n"})).accepted
    guard.store.keep_soak(None)
    damage(setting, 1)
    for _ in range(2):
        incident = trouble(setting, [made_up()], onset="2027-01-01T00:00:00.000Z")
    length, head = len(incident.timeline), guard.repository.ref(INCIDENTS)
    for _ in range(3):
        incident = trouble(setting, [made_up()], onset="2027-01-01T00:00:00.000Z")
    assert (len(incident.timeline), guard.repository.ref(INCIDENTS)) == (length, head)
    assert incident.decision
    assert "no earlier state that verifies" in str(incident.decision["reason"])
    assert incident.operations == ()


def test_a_state_like_the_live_one_is_no_way_out(setting: Setting) -> None:
    """After a rollback has soaked, its baseline holds the same files under another commit."""
    bad_later(setting)
    first = trouble(setting, failing(setting))
    assert first.state is IncidentState.RESOLVED
    setting.guard.store.keep_soak(None)
    incident = trouble(setting, [made_up()])
    assert incident.operations == first.operations
    assert incident.state is IncidentState.OPEN


# after a crash


@pytest.mark.parametrize("fault", ["journal.close", "journal.closed"])
def test_a_soak_is_not_lost_at_the_last_moment(setting: Setting, fault: str) -> None:
    new = setting.commit(CHANGE)
    faults.arm(f"{fault}:1:cut")
    with pytest.raises(faults.Cut):
        setting.push(new)
    faults.arm(None)
    soak = setting.restart().store.soak()
    assert soak
    assert (soak.revision, soak.by_rollback) == (new, False)
    (setting.guard.live / "late").touch()
    found = failing(setting)
    faults.arm(f"{fault}:1:cut")
    with pytest.raises(faults.Cut):
        trouble(setting, found)
    faults.arm(None)
    guard = setting.restart()
    soak = guard.store.soak()
    assert soak
    assert (soak.revision, soak.by_rollback) == (guard.main, True)
    assert guard.store.withdrawn(guard.books.declared.digest(new)) == (new, 1)


def test_a_report_that_cannot_be_published_makes_nothing_worse(setting: Setting) -> None:
    """A person pushed something else onto the branch's name: a directory of refs lies in its way."""
    guard = setting.guard
    (guard.repository.path / "refs/heads/incidents/x").mkdir(parents=True)
    (guard.repository.path / "refs/heads/incidents/x/y").write_text(guard.main + "\n")
    assert "rolled back" in setting.push(setting.commit(BREAKS)).reason
    incident = guard.store.incident(1)
    assert (incident.state, incident.report) == (IncidentState.RESOLVED, None)
    assert "the mode is bad" in guard.reporter.text(1)


def test_a_report_without_its_diff_is_better_than_none(setting: Setting) -> None:
    guard = setting.guard
    bad = setting.commit(BREAKS)
    setting.push(bad)
    assert "+mode: bad" in guard.reporter.text(1)
    blob = guard.books.declared.paths(bad)["config/helper.txt"].id
    (guard.repository.path / "objects" / blob[:2] / blob[2:]).unlink()
    without = guard.reporter.text(1)
    assert f"git could not make it; see: git diff {short(guard.main)} {short(bad)}" in without
    assert "the mode is bad" in without
