"""The journal in its database."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from stateguard.errors import NotFoundError
from stateguard.host.database import Database
from stateguard.model.transition import FORWARD, Direction, Kind, Plan, Step, StepName, StepState
from stateguard.transition.journal import Journal


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


def test_steps_are_told_in_the_order_in_which_they_first_began(journal: Journal) -> None:
    number, other = (journal.open("apply", "guard", "r").id for _ in range(2))
    first, second = (Step(Direction.FORWARD, stage, name) for stage, name in FORWARD[:2])
    journal.begin(number, first)
    journal.begin(other, second)
    journal.end(number, first, StepState.DONE, 0.5, "well")
    journal.begin(number, second)
    journal.begin(number, first)
    journal.end(number, second, StepState.FAILED, 1.0, "ill", health=True)
    found = journal.entries(number)
    assert [(e.step, e.state, e.detail, e.health) for e in found] == [
        (first, StepState.BEGUN, "well", False),
        (second, StepState.FAILED, "ill", True),
    ]
    journal.end(number, first, StepState.DONE, 0.25, "again")
    assert journal.entries(number)[0].duration_seconds == pytest.approx(0.75)
    assert [e.step.name for e in journal.entries(other)] == [StepName.CAPTURE]
