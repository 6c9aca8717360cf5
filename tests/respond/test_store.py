"""What response remembers, and that it remembers it after a restart."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from stateguard.errors import NotFoundError
from stateguard.host.database import Database
from stateguard.model.condition import Condition, Severity
from stateguard.model.incident import Incident, IncidentState
from stateguard.model.moment import Moment
from stateguard.respond.promote import Soak
from stateguard.respond.store import Store

Reopen = Callable[[], Store]


@pytest.fixture
def reopen(tmp_path: Path) -> Iterator[Reopen]:
    """Open the store, and the next time close it and open it again from its file."""
    opened: list[Database] = []

    def again() -> Store:
        while opened:
            opened.pop().close()
        opened.append(Database(tmp_path / "guard.db"))
        return Store(opened[-1])

    yield again
    while opened:
        opened.pop().close()


@pytest.fixture
def store(reopen: Reopen) -> Store:
    return reopen()


def opened(store: Store, key: str = "t") -> Incident:
    return store.open_incident(key, Severity.MEDIUM, "AGENT_FAILED", "detector:probe", "a fails", "c" * 40)


def condition(component: str = "a", severity: Severity = Severity.MEDIUM, message: str = "m") -> Condition:
    return Condition("AGENT_FAILED", component, severity, "R", message, "probe")


def events(store: Store, number: int) -> list[str]:
    return [e.event for e in store.incident(number).timeline]


def test_an_incident_is_opened_once_for_a_token(store: Store) -> None:
    first = opened(store)
    assert (first.state, first.severity, first.culprit) == (IncidentState.OPEN, Severity.MEDIUM, "c" * 40)
    assert [e.event for e in first.timeline] == [
        "detected by detector:probe: a fails",
        "classified as level 3 (MEDIUM)",
    ]
    assert opened(store) == first
    other = opened(store, "u")
    assert [i.id for i in store.incidents()] == [other.id, first.id]
    assert [i.id for i in store.unsettled()] == [first.id, other.id]


def test_everything_survives_a_restart(store: Store, reopen: Reopen) -> None:
    number = opened(store).id
    store.conditions(number, [condition()])
    store.decided(number, {"action": "rollback", "reason": "why"})
    store.tie(number, 7)
    store.become(number, IncidentState.RESOLVED, "well again")
    store.reported(number, "incidents/0001.md")
    store.ledger_add("soak", "propose", "armed propose", number, "go back to baseline/1")
    store.withdraw("d", "r", 7, number)
    store.healed("config/x", 100.0)
    store.mark("onset", "2026")
    before = store.incident(number)
    assert (before.operations, before.report) == ((7,), "incidents/0001.md")
    assert before.resolved_at
    found = reopen()
    assert found.incident(number) == before
    assert found.unsettled() == []
    assert [(e["reason"], e["would"]) for e in found.ledger()] == [("armed propose", "go back to baseline/1")]
    assert found.withdrawn("d") == ("r", number)
    assert found.heals("config/x", 100.0) == 1
    assert found.marked("onset") == "2026"


def test_an_unknown_incident_is_said_to_be_unknown(store: Store) -> None:
    with pytest.raises(NotFoundError, match="no incident 5"):
        store.incident(5)


def test_the_same_words_twice_in_a_row_count_once(store: Store) -> None:
    number = opened(store).id
    for text in ("x", "x", "y", "x", "x"):
        store.event(number, text)
    assert events(store, number)[2:] == ["x", "y", "x"]


@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from(Severity)), max_size=6))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30)
def test_conditions_are_kept_once_each_and_severity_only_grows(store: Store, found: list[tuple[str, Severity]]) -> None:
    number = opened(store, f"n{len(store.incidents())}").id
    for component, severity in found:
        store.conditions(number, [condition(component, severity)])
    incident = store.incident(number)
    assert {str(c["component"]) for c in incident.conditions} == {c for c, _ in found}
    assert len(incident.conditions) == len({c for c, _ in found})
    assert incident.severity is min([Severity.MEDIUM, *(s for _, s in found)])


def test_a_decision_is_told_when_it_is_new(store: Store) -> None:
    number = opened(store).id
    for reason in ("one", "one", "two"):
        store.decided(number, {"action": "propose", "reason": reason})
    assert events(store, number)[2:] == ["decided: propose (one)", "decided: propose (two)"]
    assert store.incident(number).decision == {"action": "propose", "reason": "two"}


def test_states_follow_the_life_of_an_incident(store: Store) -> None:
    number = opened(store).id
    store.become(number, IncidentState.CLOSED, "no")
    assert store.incident(number).state is IncidentState.OPEN
    store.become(number, IncidentState.MITIGATING, "acting")
    store.become(number, IncidentState.MITIGATING, "acting")
    store.become(number, IncidentState.RESOLVED, "well")
    resolved_at = store.incident(number).resolved_at
    store.become(number, IncidentState.OPEN, "again")
    assert events(store, number)[2:] == ["MITIGATING: acting", "RESOLVED: well", "OPEN: again"]
    assert store.incident(number).resolved_at == resolved_at


def test_ties_are_kept_once(store: Store) -> None:
    number = opened(store).id
    for operation in (9, 4, 9):
        store.tie(number, operation)
    assert store.incident(number).operations == (4, 9)


def test_a_withdrawn_tree_is_released(store: Store) -> None:
    store.withdraw("d", "r1", 1, None)
    store.withdraw("d", "r2", 2, 3)
    assert store.withdrawn("d") == ("r2", 3)
    store.release("d")
    store.release("d")
    assert store.withdrawn("d") is None


def test_the_ledger_holds_each_reason_of_an_incident_once(store: Store) -> None:
    for incident, reason in ((1, "a"), (1, "a"), (1, "b"), (2, "a"), (None, "a"), (None, "a")):
        store.ledger_add("failure", "propose", reason, incident, "go back")
    found = [(e["incident"], e["reason"], e["trigger"]) for e in store.ledger()]
    assert found == [(None, "a", "failure"), (2, "a", "failure"), (1, "b", "failure"), (1, "a", "failure")]


def test_entries_of_an_earlier_version_are_still_shown(store: Store, tmp_path: Path) -> None:
    store.ledger_add("soak", "propose", "new", 1, "go back to baseline/2")
    with closing(sqlite3.connect(tmp_path / "guard.db")) as connection, connection:
        connection.execute("INSERT INTO ledger VALUES ('2026', 'soak', 'propose', 'old', 1)")
    assert [(e["reason"], e["would"]) for e in store.ledger()] == [("new", "go back to baseline/2"), ("old", "")]


def test_heals_are_counted_from_a_time_on(store: Store) -> None:
    for at in (10.0, 20.0, 30.0):
        store.healed("x", at)
    store.healed("y", 30.0)
    assert [store.heals("x", since) for since in (0.0, 20.0, 31.0)] == [3, 2, 0]


def test_a_mark_is_kept_until_it_is_forgotten(store: Store) -> None:
    assert store.marked("m") is None
    for value in ([1, "x"], {"a": None}, False, 0):
        store.mark("m", value)
        assert store.marked("m") == value
    store.mark("m", None)
    assert store.marked("m") is None


moments = st.builds(Moment, st.floats(0, 4e9), st.floats(0, 1e9), st.text(max_size=9))
soaks = st.builds(
    Soak,
    revision=st.text(max_size=9),
    operation=st.integers(1, 10**9),
    began=moments,
    due=moments,
    counted=st.frozensets(st.text(max_size=9)),
    before=st.none() | st.text(max_size=9),
    before_was_well=st.booleans(),
    by_rollback=st.booleans(),
)


@given(soaks)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)
def test_a_soak_survives_a_restart(reopen: Reopen, soak: Soak) -> None:
    reopen().keep_soak(soak)
    assert reopen().soak() == soak
    reopen().keep_soak(None)
    assert reopen().soak() is None
