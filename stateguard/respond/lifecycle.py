"""The life of an incident (pure)."""

from __future__ import annotations

from stateguard.model.condition import Severity
from stateguard.model.incident import IncidentState

_NEXT = {
    IncidentState.OPEN: frozenset({IncidentState.MITIGATING, IncidentState.RESOLVED}),
    IncidentState.MITIGATING: frozenset({IncidentState.OPEN, IncidentState.RESOLVED}),
    IncidentState.RESOLVED: frozenset({IncidentState.CLOSED, IncidentState.OPEN}),
    IncidentState.CLOSED: frozenset[IncidentState](),
}


def may_become(state: IncidentState, following: IncidentState) -> bool:
    """Say whether an incident in one state may go to another; staying is always allowed."""
    return state is following or following in _NEXT[state]


def worse(one: Severity, other: Severity) -> Severity:
    """Return the more severe of two: an incident's severity only grows while it is open."""
    return min(one, other)


def review_is_mandatory(severity: Severity) -> bool:
    """Say whether somebody must review the incident afterwards."""
    return severity is Severity.CRITICAL
