from __future__ import annotations

from dataclasses import replace

import pytest

from stateguard.model.condition import Severity
from stateguard.model.incident import Incident, IncidentState, TimelineEvent
from stateguard.report.targets import Milestone, Verdict, judge, since

OPENED = "2026-07-01T10:00:00.000Z"
OPEN = Incident(1, IncidentState.OPEN, Severity.HIGH, "AGENT_FAILED", OPENED, "detector:failure", "it fails")


def at(seconds: int) -> str:
    return f"2026-07-01T{10 + seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}.000Z"


def verdicts(*events: tuple[int, str], now: int = 10, incident: Incident = OPEN) -> dict[str, Verdict]:
    timeline = tuple(TimelineEvent(at(seconds), event) for seconds, event in events)
    return {v.milestone.name: v for v in judge(replace(incident, timeline=timeline), at(now))}


def test_an_incident_is_detected_and_classified_when_it_is_opened() -> None:
    found = verdicts()
    assert (found["detected"].reached_seconds, found["detected"].result) == (0, "met")
    assert found["classified"].met


def test_what_is_not_reached_is_open_then_overdue() -> None:
    assert verdicts(now=30)["stabilised"].result == "open"
    assert verdicts(now=75)["stabilised"].result == "open, 45 s overdue"
    assert verdicts(now=75)["recovery executed"].result == "open"


def test_what_a_closed_incident_does_not_list_is_not_met() -> None:
    closed = replace(OPEN, state=IncidentState.CLOSED)
    assert verdicts(now=4000, incident=closed)["recovery executed"].result == "not met, not in the timeline"


def test_the_first_report_is_the_preliminary_analysis() -> None:
    assert verdicts(now=12)["preliminary analysis"].reached_seconds == 12
    assert verdicts(now=1900)["preliminary analysis"].result == "not met, 100 s late"
    published = replace(OPEN, report="incidents/0001.md")
    assert verdicts(now=12, incident=published)["preliminary analysis"].result == "open"
    told = verdicts((9, "report published"), now=4000, incident=published)
    assert told["preliminary analysis"].reached_seconds == 9


def test_an_incident_that_was_opened_again_is_not_recovered() -> None:
    events = (
        (3, "decided: rollback (it fails)"),
        (5, "RESOLVED: baseline/3 is live again"),
        (8, "OPEN: it fails again"),
    )
    found = verdicts(*events, incident=replace(OPEN, resolved_at=at(5)))
    assert found["restoration validated"].result == "open"
    assert found["recovery executed"].result == "open"
    assert found["recovery strategy chosen"].reached_seconds == 3
    assert verdicts(*events, (9, "RESOLVED: well"))["restoration validated"].reached_seconds == 9


@pytest.mark.parametrize(
    ("seconds", "result"), [(29, "met"), (30, "met"), (31, "not met, 1.0 s late"), (90, "not met, 60 s late")]
)
def test_a_milestone_is_met_up_to_its_limit(seconds: int, result: str) -> None:
    assert verdicts((seconds, "stabilised"), now=100)["stabilised"].result == result


@pytest.mark.parametrize(
    ("event", "name"),
    [
        ("emergency backup of operation 12 is durable", "stabilised"),
        ("operation 12: contained nutrition", "stabilised"),
        ("Decided: rollback to baseline/3", "recovery strategy chosen"),
        ("rolling back to baseline/3", "recovery strategy chosen"),
        ("recovery strategy: baseline/3, because it is the newest", "recovery strategy chosen"),
        ("MITIGATING: going back by itself", "recovery strategy chosen"),
        ("operation 12 (rollback): rolled back to baseline/3", "recovery executed"),
        ("apply failed, rolled back in 1.1 s", "recovery executed"),
        ("6/6 healthy", "restoration validated"),
        ("analysis: the change of nutrition is to blame", "preliminary analysis"),
    ],
)
def test_an_event_is_a_milestone_by_its_first_words(event: str, name: str) -> None:
    assert verdicts((5, event))[name].reached_seconds == 5


@pytest.mark.parametrize(
    "event",
    [
        "rollback failed",
        "could not be rolled back to baseline/3",
        "no longer healthy",
        "5/6 healthy",
        "unhealthy",
        "nutrition: ready failed 3 times (resolved, rolled back)",
        "message: validated",
    ],
)
def test_a_failure_or_a_detail_is_no_milestone(event: str) -> None:
    found = verdicts((5, event))
    assert found["recovery executed"].reached_seconds is None
    assert found["restoration validated"].reached_seconds is None


def test_a_later_milestone_proves_those_it_presupposes() -> None:
    found = verdicts((7, "rolled back to baseline/3"))
    assert found["stabilised"].reached_seconds == 7
    assert found["recovery strategy chosen"].reached_seconds == 7
    assert found["restoration validated"].reached_seconds is None


def test_resolving_is_part_of_the_timeline() -> None:
    found = verdicts(incident=replace(OPEN, state=IncidentState.RESOLVED, resolved_at=at(9)))
    assert found["restoration validated"].reached_seconds == 9
    assert found["recovery executed"].met


def test_the_first_time_counts_and_broken_times_do_not() -> None:
    assert verdicts((8, "stabilised"), (5, "stabilised"), (9, "stabilised"))["stabilised"].reached_seconds == 5
    broken = replace(OPEN, timeline=(TimelineEvent("soon", "stabilised"),))
    assert judge(broken, at(1))[2].reached_seconds is None
    assert since("soon", OPENED) is None


def test_milestones_can_be_others() -> None:
    mine = Milestone("coffee made", 5, "coffee")
    found = judge(replace(OPEN, timeline=(TimelineEvent(at(4), "coffee ready"),)), at(6), (mine,))
    assert found == (Verdict(mine, 4.0, "met"),)
