"""The next step follows from the journal: from every prefix, interrupted anywhere."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given, strategies as st

from stateguard.model.transition import (
    BACK,
    FORWARD,
    STAGE_NAMES,
    Direction,
    JournalEntry,
    Step,
    StepState,
)
from stateguard.transition.plan import (
    is_over,
    next_step,
    stage_reports,
)

FORWARD_STEPS = [Step(Direction.FORWARD, stage, name) for stage, name in FORWARD]
BACK_STEPS = [Step(Direction.BACK, stage, name) for stage, name in BACK]


def entry(step: Step, state: StepState, *, health: bool = False) -> JournalEntry:
    return JournalEntry(step, state, "2026-01-01T00:00:00.000Z", 0.5, health=health)


def written(found: Sequence[JournalEntry], new: JournalEntry) -> list[JournalEntry]:
    """Return the journal after one more line: a step that is there is changed in its place."""
    if any(e.step == new.step for e in found):
        return [new if e.step == new.step else e for e in found]
    return [*found, new]


class Ran:
    """Runs steps as the engine does, to the end or until it is interrupted, and remembers their order."""

    def __init__(self) -> None:
        self.journal: list[JournalEntry] = []
        self.ran: list[Step] = []

    def run(self, fates: dict[Step, tuple[StepState, bool]], interrupt_after: int | None = None) -> None:
        """Go on; ``interrupt_after`` cuts after so many journal lines."""
        lines = 0
        while step := next_step(self.journal):
            assert len(self.ran) < 100, "it never ends"
            state, health = fates.get(step, (StepState.DONE, False))
            for line in (entry(step, StepState.BEGUN), entry(step, state, health=health)):
                if interrupt_after is not None and lines >= interrupt_after:
                    return
                self.journal = written(self.journal, line)
                lines += 1
                if line.state is StepState.BEGUN:
                    self.ran.append(step)


def fate_of(failing: Step | None, back_failing: Step | None, health: bool) -> dict[Step, tuple[StepState, bool]]:
    fates = {s: (StepState.FAILED, health) for s in (failing,) if s}
    return fates | {s: (StepState.FAILED, False) for s in (back_failing,) if s}


def expected(failing: Step | None, back_failing: Step | None, health: bool) -> list[Step]:
    if failing is None:
        return FORWARD_STEPS
    forward = FORWARD_STEPS[: FORWARD_STEPS.index(failing) + 1]
    if health:
        return forward
    back = BACK_STEPS if back_failing is None else BACK_STEPS[: BACK_STEPS.index(back_failing) + 1]
    return [*forward, *back]


CASES = [
    (failing, back_failing, health)
    for failing in [None, *FORWARD_STEPS]
    for health in ([False, True] if failing else [False])
    for back_failing in ([None, *BACK_STEPS] if failing and not health else [None])
]


@pytest.mark.parametrize(("failing", "back_failing", "health"), CASES)
def test_from_every_interrupted_prefix_the_end_is_reached_in_order(
    failing: Step | None, back_failing: Step | None, health: bool
) -> None:
    """Cut after any line of the journal, go on: the same steps in the same order, only the one cut is repeated."""
    fates, order = fate_of(failing, back_failing, health), expected(failing, back_failing, health)
    whole = Ran()
    whole.run(fates)
    assert whole.ran == order
    assert is_over(whole.journal)
    for cut_at in range(2 * len(order) + 1):
        ran = Ran()
        ran.run(fates, interrupt_after=cut_at)
        assert is_over(ran.journal) == (cut_at == 2 * len(order))
        ran.run(fates)
        assert ran.journal == whole.journal
        repeated = [order[cut_at // 2]] if cut_at % 2 else []
        at = cut_at // 2
        assert ran.ran == [*order[:at], *repeated, *order[at:]]


@given(st.sampled_from(CASES), st.lists(st.integers(0, 7), max_size=20))
def test_many_interruptions_change_nothing(case: tuple[Step | None, Step | None, bool], cuts: list[int]) -> None:
    fates = fate_of(*case)
    ran = Ran()
    for cut_at in cuts:
        ran.run(fates, interrupt_after=cut_at)
    ran.run(fates)
    assert list(dict.fromkeys(ran.ran)) == expected(*case)
    assert is_over(ran.journal)


def test_nothing_after_the_turn_goes_forward() -> None:
    journal = [entry(FORWARD_STEPS[0], StepState.DONE), entry(FORWARD_STEPS[1], StepState.FAILED)]
    assert next_step(journal) == BACK_STEPS[0]
    assert next_step([*journal, entry(BACK_STEPS[0], StepState.BEGUN)]) == BACK_STEPS[0]
    assert next_step([*journal, entry(BACK_STEPS[0], StepState.FAILED)]) is None


def test_stage_reports_show_each_stage_once_in_each_direction() -> None:
    journal = [entry(s, StepState.DONE) for s in FORWARD_STEPS[:3]]
    journal += [entry(FORWARD_STEPS[3], StepState.FAILED), entry(BACK_STEPS[0], StepState.BEGUN)]
    found = stage_reports(journal)
    assert [(r.number, r.name, r.outcome, r.duration_seconds) for r in found] == [
        (1, "stop agents", "succeeded", 1.0),
        (2, "restore agent specifications", "succeeded", 0.5),
        (3, "restore configuration and protocols", "failed", 0.5),
        (1, "back: stop agents", "running", 0.5),
    ]
    assert stage_reports([]) == ()


@given(st.sampled_from(CASES))
def test_every_step_is_part_of_one_stage_report(case: tuple[Step | None, Step | None, bool]) -> None:
    ran = Ran()
    ran.run(fate_of(*case))
    found = stage_reports(ran.journal)
    assert sum(r.duration_seconds for r in found) == pytest.approx(sum(e.duration_seconds for e in ran.journal))
    assert sum(r.outcome == "failed" for r in found) == sum(e.state is StepState.FAILED for e in ran.journal)
    assert {r.number for r in found} <= STAGE_NAMES.keys()
