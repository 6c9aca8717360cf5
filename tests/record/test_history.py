from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings, strategies as st

from record.setting import Books
from stateguard.errors import NotFoundError
from stateguard.model.identity import AUDIT, ZERO
from stateguard.model.moment import parse_rfc3339, rfc3339
from stateguard.record.audit import Audit, Entry
from stateguard.record.history import Question, history, operation_entry, show
from stateguard.state.repository import RefMove

START = 1_782_900_000.0
KINDS = ("apply", "rollback", "heal")


def record(number: int, kind: str = "apply", outcome: str = "succeeded", **more: Any) -> dict[str, Any]:  # noqa: ANN401
    usual = {
        "operation": number,
        "kind": kind,
        "outcome": outcome,
        "from": f"{number - 1:040x}",
        "to": f"{number:040x}",
        "started_at": rfc3339(START + number),
        "duration_seconds": 1.5,
        "actor": "person:ada",
        "reason": "",
        "incident": None,
    }
    return usual | more


def numbers(audit: Audit, **asked: Any) -> list[int]:  # noqa: ANN401 - fields of a question
    return [found["operation"] for found in history(audit, Question(**asked))]


class TestOrder:
    def test_newest_first_and_nothing_but_operations(self, books: Books) -> None:
        books.audit.append([operation_entry(record(1)), Entry("ref", "guard", {"operation": 7})])
        books.audit.append([operation_entry(record(2, "rollback"))])
        assert numbers(books.audit) == [2, 1]
        assert numbers(books.audit, kind="rollback") == [2]

    def test_as_they_began_though_they_ended_otherwise(self, books: Books) -> None:
        books.audit.append([operation_entry(record(n)) for n in (2, 1, 5, 4, 3)])
        assert numbers(books.audit) == [5, 4, 3, 2, 1]
        assert numbers(books.audit, limit=2) == [5, 4]

    def test_an_operation_written_twice_counts_as_written_last(self, books: Books) -> None:
        books.audit.append([operation_entry(record(1, outcome="running")), operation_entry(record(2))])
        books.audit.append([operation_entry(record(1, outcome="failed"))])
        found = history(books.audit, Question())
        assert [(r["operation"], r["outcome"]) for r in found] == [(2, "succeeded"), (1, "failed")]
        assert show(books.audit, 1)["outcome"] == "failed"

    def test_an_empty_chain_has_none(self, books: Books) -> None:
        assert numbers(books.audit) == []


class TestOne:
    def test_everything_recorded_is_shown_and_a_list_shows_its_keys_only(self, books: Books) -> None:
        whole = record(1, stages=[{"stage": 1}], detail={"message": "x"})
        books.audit.append([operation_entry(whole)])
        assert show(books.audit, 1) == whole
        assert history(books.audit, Question()) == [record(1)]

    def test_a_number_that_history_does_not_have(self, books: Books) -> None:
        with pytest.raises(NotFoundError, match="no operation 7") as refused:
            show(books.audit, 7)
        assert refused.value.exit == 15

    def test_the_actor_is_the_entrys(self, books: Books) -> None:
        books.audit.append([operation_entry(record(1))])
        assert next(books.audit.newest_first())["actor"] == "person:ada"


_records = st.lists(
    st.builds(
        record,
        st.integers(1, 40),
        st.sampled_from(KINDS),
        outcome=st.sampled_from(["succeeded", "failed"]),
        to=st.sampled_from(["a" * 40, "b" * 40]),
    ),
    max_size=40,
)


@given(
    _records,
    st.none() | st.sampled_from(KINDS),
    st.none() | st.integers(0, 45),
    st.none() | st.sampled_from(["a" * 40, "b" * 40]),
)
@settings(max_examples=25)
def test_filters_are_those_of_a_list(
    shared: Books, written: list[dict[str, Any]], kind: str | None, since: int | None, to: str | None
) -> None:
    clear(shared)
    if written:
        shared.audit.append([operation_entry(one) for one in written])
    last = {one["operation"]: one for one in written}
    expected = [
        one["operation"]
        for one in sorted(last.values(), key=lambda one: -int(one["operation"]))
        if (kind is None or one["kind"] == kind)
        and (since is None or parse_rfc3339(one["started_at"]) >= START + since)
        and (to is None or one["to"] == to)
    ]
    asked = {
        "kind": kind,
        "since": None if since is None else START + since,
        "touches": None if to is None else lambda _from, found: found == to,
    }
    assert numbers(shared.audit, **asked) == expected


@given(st.permutations(range(30)), st.integers(0, 35))
@settings(max_examples=20)
def test_a_limit_gives_the_newest_of_nearly_sorted_ones(shared: Books, shuffled: list[int], limit: int) -> None:
    clear(shared)
    near = sorted(shuffled, key=lambda number: number + shuffled[number] % 8)
    shared.audit.append([operation_entry(record(number + 1)) for number in near])
    assert numbers(shared.audit, limit=limit) == [number + 1 for number in range(29, -1, -1)][:limit]


def clear(books: Books) -> None:
    """Begin a new chain."""
    head = books.repository.ref(AUDIT)
    if head:
        books.repository.move([RefMove(AUDIT, ZERO, head)])
