"""The life of an incident (pure)."""

from __future__ import annotations

from collections.abc import Sequence

from stateguard.model.condition import Condition, Severity
from stateguard.model.incident import Incident, IncidentState
from stateguard.model.moment import parse_rfc3339

_RELAPSE_SECONDS = 300.0
_NEXT = {
    IncidentState.OPEN: frozenset({IncidentState.MITIGATING, IncidentState.RESOLVED}),
    IncidentState.MITIGATING: frozenset({IncidentState.OPEN, IncidentState.RESOLVED}),
    IncidentState.RESOLVED: frozenset({IncidentState.CLOSED, IncidentState.OPEN}),
    IncidentState.CLOSED: frozenset[IncidentState](),
}


OUTSIDE = "EXTERNAL_FAILED"
"""Type of the incidents of what fails outside of the system, where no change of ours causes or cures it."""


def is_outside(incident: Incident) -> bool:
    """Say whether an incident is about something outside of the system."""
    return incident.type == OUTSIDE


def may_become(state: IncidentState, following: IncidentState) -> bool:
    """Say whether an incident in one state may go to another; staying is always allowed."""
    return state is following or following in _NEXT[state]


def is_relapse(last: Incident, conditions: Sequence[Condition], culprit: str | None, now: float) -> bool:
    """Say whether trouble is that of an incident again which was resolved less than 300 s ago (``now`` is Unix time).

    The same components fail in the same way, and no other change has been applied since: what comes and goes is one
    incident, with one budget of attempts, not a new one each time.
    """
    if last.state is not IncidentState.RESOLVED or last.resolved_at is None:
        return False
    same = {(c["type"], c["component"]) for c in last.conditions} & {c.key for c in conditions}
    recent = now - parse_rfc3339(last.resolved_at) <= _RELAPSE_SECONDS
    return bool(same) and recent and culprit in (None, last.culprit)


def worse(one: Severity, other: Severity) -> Severity:
    """Return the more severe of two: an incident's severity only grows while it is open."""
    return min(one, other)


def review_is_mandatory(severity: Severity) -> bool:
    """Say whether somebody must review the incident afterwards."""
    return severity is Severity.CRITICAL
