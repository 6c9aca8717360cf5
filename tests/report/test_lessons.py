from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from stateguard.report.lessons import Fate, Findings, Operations, fate, mending, proposals
from stateguard.report.targets import MILESTONES, Verdict

APPLY: dict[str, Any] = {"kind": "apply", "outcome": "failed", "started_at": "2026-07-01T10:00:00.000Z", "stages": []}
ROLLBACK: dict[str, Any] = {"kind": "rollback", "outcome": "succeeded"}
PROBED: dict[str, object] = {"type": "AGENT_FAILED", "component": "nutrition", "probe": "nutrition/ready"}
CALM = Findings((), (), "2026-07-01T10:00:03.000Z", Fate.NONE, (), 0)


@pytest.mark.parametrize(
    ("operations", "blamed", "forward", "expected"),
    [
        ((APPLY, ROLLBACK), False, "", Fate.NONE),
        ((APPLY, ROLLBACK), True, "", Fate.REJECTED),
        ((APPLY, ROLLBACK), True, "c" * 40, Fate.WITHDRAWN),
        (({**APPLY, "outcome": "succeeded"}, ROLLBACK), True, "", Fate.WITHDRAWN),
        (({**ROLLBACK, "outcome": "undone"},), True, "", Fate.IN_FORCE),
        ((), True, "", Fate.IN_FORCE),
    ],
)
def test_the_fate_of_a_change(operations: Operations, blamed: bool, forward: str, expected: Fate) -> None:
    assert fate(operations, blamed=blamed, forward_commit=forward) is expected


def test_one_commit_is_amended_several_are_rebased() -> None:
    assert "git commit --amend" in mending(Fate.REJECTED, ["a" * 40], "", 7)
    assert "git rebase -i origin/main" in mending(Fate.REJECTED, ["a" * 40, "b" * 40], "", 7)


def test_the_rollback_is_found_by_its_incident_when_its_commit_is_not_known() -> None:
    text = mending(Fate.WITHDRAWN, ["a" * 40], "", 7)
    assert "git revert --no-edit \"$(git log -1 --format=%H --grep='^Incident: 7$' origin/main)\"" in text


def test_a_change_in_force_is_reverted_newest_first() -> None:
    assert f"git revert --no-edit {'a' * 40} {'b' * 40}" in mending(Fate.IN_FORCE, ["a" * 40, "b" * 40], "", 7)


@pytest.mark.parametrize("what", list(Fate))
def test_nothing_but_revisions_gets_into_commands(what: Fate) -> None:
    assert "rm -rf" not in mending(what, ["; rm -rf ~"], "$(rm -rf ~)", 7)


def test_without_facts_nothing_is_proposed() -> None:
    assert proposals(CALM) == ()


def test_the_probe_that_caught_a_push_is_kept() -> None:
    found = proposals(replace(CALM, conditions=(PROBED,), operations=(APPLY,), fate=Fate.REJECTED))
    assert found == ("Keep the probe nutrition/ready required: it caught the change 3.0 s after its apply began.",)


def test_a_probe_that_caught_it_late_should_be_quicker() -> None:
    late = replace(
        CALM, conditions=(PROBED,), operations=(APPLY,), fate=Fate.WITHDRAWN, opened_at="2026-07-01T10:10:00Z"
    )
    assert proposals(late)[0].startswith("The probe nutrition/ready caught the change only 10 m after")
    assert proposals(replace(late, opened_at="soon")) == ()


def test_what_failed_when_it_ran_is_to_be_checked_before_pushing() -> None:
    apply = {**APPLY, "stages": [{"number": 7, "name": "validate", "outcome": "failed"}]}
    assert "run the failing check before pushing" in proposals(replace(CALM, operations=(apply,)))[0]


def test_an_agent_without_a_probe_that_speaks_should_get_one() -> None:
    found = proposals(replace(CALM, conditions=({**PROBED, "probe": None},)))
    assert found == ("Only the process state told of nutrition: a readiness probe would say why, and sooner.",)


def test_failures_outside_the_system_are_to_be_lived_with() -> None:
    assert "outside the system" in proposals(replace(CALM, conditions=({**PROBED, "external": True},)))[0]


def test_late_responses_are_to_be_rehearsed_and_displaced_data_looked_at() -> None:
    late = (Verdict(MILESTONES[2], 45.0, "not met, 15 s late"), Verdict(MILESTONES[3], None, "open"))
    found = proposals(replace(CALM, verdicts=late, displaced=2))
    assert found[0].startswith("The response was late (stabilised)")
    assert found[1].startswith("Look through the displaced data")
