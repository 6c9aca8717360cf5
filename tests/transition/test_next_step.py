"""What comes next in a transition, and what its stages report: by property, over every course it can take."""

from __future__ import annotations

from itertools import groupby

from hypothesis import given, strategies as st

from stateguard.model.health import AgentState, AgentStatus
from stateguard.model.transition import (
    BACK,
    FORWARD,
    Direction,
    JournalEntry,
    Kind,
    Plan,
    Step,
    StepState,
)
from stateguard.transition.plan import in_step, is_over, next_step, stage_reports

NOW = "2026-01-01T00:00:00.000Z"


def ended(step: Step, outcome: str) -> JournalEntry:
    state = StepState.DONE if outcome == "done" else StepState.FAILED
    return JournalEntry(step, state, NOW, 0.5, health=outcome == "sick")


def course(outcomes: list[str]) -> list[JournalEntry]:
    """Follow a transition whose steps end so, and well when nothing more is said."""
    entries: list[JournalEntry] = []
    said = iter(outcomes)
    while (step := next_step(entries)) is not None:
        assert not is_over(entries)
        entries.append(ended(step, next(said, "done")))
    assert is_over(entries)
    return entries


courses = st.lists(st.sampled_from(["done", "done", "done", "failed", "sick"]), max_size=20).map(course)


def test_all_that_goes_well_is_every_step_forward() -> None:
    steps = [entry.step for entry in course([])]
    assert steps == [Step(Direction.FORWARD, stage, name) for stage, name in FORWARD]


@given(courses)
def test_no_step_is_done_twice_and_the_order_is_kept(entries: list[JournalEntry]) -> None:
    steps = [entry.step for entry in entries]
    assert len(set(steps)) == len(steps)
    forward = [(s.stage, s.name) for s in steps if s.direction is Direction.FORWARD]
    back = [(s.stage, s.name) for s in steps if s.direction is Direction.BACK]
    assert tuple(forward) == FORWARD[: len(forward)]
    assert tuple(back) == BACK[: len(back)]
    assert [s.direction for s in steps] == [Direction.FORWARD] * len(forward) + [Direction.BACK] * len(back)


@given(courses)
def test_only_what_failed_for_another_reason_than_health_turns_round(entries: list[JournalEntry]) -> None:
    failed = [e for e in entries if e.state is StepState.FAILED]
    turned = any(e.step.direction is Direction.BACK for e in entries)
    assert turned == (bool(failed) and not failed[0].health)
    if len(failed) == 2:
        assert failed[1].step.direction is Direction.BACK, "a way back that fails ends it"
        assert entries[-1] == failed[1]
    assert len(failed) <= 2


@given(courses, st.integers(0, 20))
def test_after_a_crash_it_is_the_step_that_was_running(entries: list[JournalEntry], seen: int) -> None:
    before = entries[:seen]
    if len(before) < len(entries):
        running = JournalEntry(entries[len(before)].step, StepState.BEGUN, NOW)
        assert next_step([*before, running]) == running.step


@given(courses, st.booleans())
def test_stages_report_every_step_once(entries: list[JournalEntry], running: bool) -> None:
    if running and entries:
        entries = [*entries[:-1], JournalEntry(entries[-1].step, StepState.BEGUN, NOW)]
    reports = stage_reports(entries)
    assert sum(report.duration_seconds for report in reports) == sum(e.duration_seconds for e in entries)
    expected = [
        (stage, direction is Direction.BACK)
        for (direction, stage), _ in groupby(entries, key=lambda e: (e.step.direction, e.step.stage))
    ]
    assert [(r.number, r.name.startswith("back: ")) for r in reports] == expected
    for report, key in zip(reports, expected, strict=True):
        mine = [e.state for e in entries if (e.step.stage, e.step.direction is Direction.BACK) == key]
        said = "failed" if StepState.FAILED in mine else "running" if StepState.BEGUN in mine else "succeeded"
        assert report.outcome == said


def test_in_step_is_who_runs_what_it_leads_to_and_was_not_behind() -> None:
    plan = Plan(Kind.APPLY, "a" * 40, "b" * 40, "c" * 40, record={"behind": ["late"]})
    running = {"one": "a" * 40, "two": "b" * 40, "late": "a" * 40, "old": "d" * 40, "new": "e" * 40, "quiet": None}
    statuses = {
        name: AgentStatus(name=name, state=AgentState.RUNNING, running=revision) for name, revision in running.items()
    }
    agents = [*running, "unknown"]
    assert in_step(agents, statuses, plan, "e" * 40) == ("one", "two", "new", "quiet", "unknown")
