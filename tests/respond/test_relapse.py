"""Trouble that comes, goes and comes again is one incident; of another change it is another."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, strategies as st

from stateguard.model.condition import Condition, Severity
from stateguard.model.incident import Incident, IncidentState
from stateguard.model.moment import rfc3339
from stateguard.respond.lifecycle import is_relapse

BEGAN = 1_800_000_000.0
FAILS = Condition("FLAPPING", "plan", Severity.MEDIUM, "Oscillates", "by turns", "pattern", probe="/plan")
LAST = Incident(
    id=1,
    state=IncidentState.RESOLVED,
    severity=Severity.MEDIUM,
    type="FLAPPING",
    opened_at=rfc3339(BEGAN),
    detected_by="detector:pattern",
    summary="by turns",
    culprit="c" * 40,
    conditions=(FAILS.as_json(),),
    resolved_at=rfc3339(BEGAN + 10),
)


@pytest.mark.parametrize(
    ("last", "now", "culprit", "again"),
    [
        (LAST, 20.0, "c" * 40, True),
        (LAST, 310.0, "c" * 40, True),
        (LAST, 310.1, "c" * 40, False),
        (LAST, 20.0, None, True),
        (LAST, 20.0, "d" * 40, False),
        (replace(LAST, culprit=None), 20.0, None, True),
        (replace(LAST, culprit=None), 20.0, "d" * 40, False),
        (replace(LAST, state=IncidentState.CLOSED), 20.0, "c" * 40, False),
        (replace(LAST, state=IncidentState.OPEN, resolved_at=None), 20.0, "c" * 40, False),
        (replace(LAST, conditions=(replace(FAILS, component="other").as_json(),)), 20.0, "c" * 40, False),
        (replace(LAST, conditions=(replace(FAILS, type="PROBE_FAILED").as_json(),)), 20.0, "c" * 40, False),
    ],
)
def test_what_counts_as_the_same_trouble(last: Incident, now: float, culprit: str | None, again: bool) -> None:
    assert is_relapse(last, [FAILS], culprit, BEGAN + now) is again


@given(
    st.sampled_from(IncidentState), st.floats(0, 1000), st.sampled_from([None, "c" * 40, "d" * 40]),
    st.lists(st.sampled_from(["plan", "disk"]), max_size=2, unique=True),
)  # fmt: skip
def test_only_what_was_resolved_lately_and_fails_alike_is_opened_again(
    state: IncidentState, later: float, culprit: str | None, failing: list[str]
) -> None:
    found = [replace(FAILS, component=name) for name in failing]
    if is_relapse(replace(LAST, state=state), found, culprit, BEGAN + 10 + later):
        assert (state, "plan" in failing) == (IncidentState.RESOLVED, True)
        assert later <= 300.0
        assert culprit in (None, LAST.culprit)
