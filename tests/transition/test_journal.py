"""The journal in its database."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from stateguard import faults
from stateguard.errors import NotFoundError, StorageError
from stateguard.host.database import Database
from stateguard.model.transition import FORWARD, Direction, Kind, Plan, Step, StepName, StepState
from stateguard.transition.engine import Engine
from stateguard.transition.journal import Journal, Operation, Ran


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    database = Database(tmp_path / "guard.db")
    yield Journal(database)
    database.close()


def test_an_operation_is_opened_once_for_a_token(journal: Journal) -> None:
    first = journal.open("apply", "person:ann", "why", {"target": "t"}, token="x")
    again = journal.open("rollback", "guard", "other", token="x")
    assert again == first
    assert (first.kind, first.request, first.plan, first.outcome, first.result) == (
        "apply", {"target": "t"}, None, None, {},
    )  # fmt: skip
    assert journal.by_token("x") == first
    assert journal.by_token("y") is None
    assert journal.open("apply", "guard", "r").id != journal.open("apply", "guard", "r").id


def test_what_is_unfinished_is_told_oldest_first(journal: Journal) -> None:
    one, two, three = (journal.open("apply", "guard", "r").id for _ in range(3))
    journal.close(two, "succeeded", {"operation": two})
    assert [o.id for o in journal.unfinished()] == [one, three]
    assert (journal.get(two).outcome, journal.get(two).result) == ("succeeded", {"operation": two})


def test_operations_of_a_kind_since_a_time(journal: Journal) -> None:
    one, two = (journal.open("rollback", "guard", "r") for _ in range(2))
    journal.open("apply", "guard", "r")
    assert [o.id for o in journal.of_kind("rollback", 0.0)] == [two.id, one.id]
    assert journal.of_kind("rollback", two.started + 3600) == []


def test_notes_and_ties_are_added(journal: Journal) -> None:
    number = journal.open("apply", "guard", "r", {"a": 1, "b": 1}).id
    journal.note(number, {"b": 2})
    journal.tie(number, 7)
    assert (journal.get(number).request, journal.get(number).incident) == ({"a": 1, "b": 2}, 7)


def test_an_unknown_operation_is_said_to_be_unknown(journal: Journal) -> None:
    with pytest.raises(NotFoundError, match="no operation 3"):
        journal.get(3)


def test_a_plan_is_kept(journal: Journal) -> None:
    number = journal.open("apply", "guard", "r").id
    plan = Plan(Kind.APPLY, "a", "b", "c", stop=("x",), record={"main": "keep"})
    journal.planned(number, plan)
    assert journal.get(number).plan == plan


def test_what_follows_is_chosen_from_what_was_just_written_down(journal: Journal) -> None:
    number = journal.open("apply", "guard", "r").id
    first = Step(Direction.FORWARD, *FORWARD[0])
    journal.turn(number, None, lambda _: first)
    seen: list[StepState] = []
    assert (
        journal.turn(number, Ran(first, StepState.DONE, 0.5), lambda found: seen.extend(e.state for e in found)) is None
    )
    assert seen == [StepState.DONE]


def test_a_turn_is_written_down_whole_or_not_at_all(journal: Journal) -> None:
    number = journal.open("apply", "guard", "r").id
    first = Step(Direction.FORWARD, *FORWARD[0])
    journal.turn(number, None, lambda _: first)
    faults.arm("database.execute:3:eio")  # the one that would begin what follows
    with pytest.raises(StorageError):
        journal.turn(number, Ran(first, StepState.DONE, 0.5), lambda _: Step(Direction.FORWARD, *FORWARD[1]))
    faults.arm(None)
    assert [(e.step, e.state) for e in journal.entries(number)] == [(first, StepState.BEGUN)]


def test_steps_are_told_in_the_order_in_which_they_first_began(journal: Journal) -> None:
    number, other = (journal.open("apply", "guard", "r").id for _ in range(2))
    first, second = (Step(Direction.FORWARD, stage, name) for stage, name in FORWARD[:2])
    assert journal.turn(number, None, lambda _: first) == first
    journal.turn(other, None, lambda _: second)
    journal.turn(number, Ran(first, StepState.DONE, 0.5, "well"), lambda _: second)
    journal.turn(number, None, lambda _: first)
    journal.turn(number, Ran(second, StepState.FAILED, 1.0, "ill", health=True), lambda _: None)
    found = journal.entries(number)
    assert [(e.step, e.state, e.detail, e.health) for e in found] == [
        (first, StepState.BEGUN, "well", False),
        (second, StepState.FAILED, "ill", True),
    ]
    journal.turn(number, Ran(first, StepState.DONE, 0.25, "again"), lambda _: None)
    assert journal.entries(number)[0].duration_seconds == pytest.approx(0.75)
    assert [e.step.name for e in journal.entries(other)] == [StepName.CAPTURE]


class Once:
    """A runner that cannot do one step, and a footing that finds nowhere to stand."""

    def __init__(self, where: StepName) -> None:
        self._where = where

    def run(self, operation: Operation, plan: Plan, step: Step) -> str:
        del operation, plan
        if step.name is self._where:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return "done"

    def take(self, *, urgent: bool) -> None:
        del urgent
        raise StorageError("there is nowhere to write")


def test_a_step_for_which_there_is_nowhere_to_write_waits_to_be_recovered(journal: Journal) -> None:
    number = journal.open("apply", "guard", "r").id
    journal.planned(number, Plan(Kind.APPLY, "a", "b", "c"))
    once = Once(StepName.CONFIGURATION)
    engine = Engine(journal, once, lambda *_: None, once)  # type: ignore[arg-type]
    with pytest.raises(StorageError):
        engine.carry_out(number)
    last = journal.entries(number)[-1]
    assert (last.step.name, last.state) == (StepName.CONFIGURATION, StepState.BEGUN)
    assert journal.get(number).outcome is None
