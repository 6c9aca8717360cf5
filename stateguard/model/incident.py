"""Incidents: their states and what is known of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from stateguard.model.condition import Severity


class IncidentState(StrEnum):
    """The life of an incident."""

    OPEN = "OPEN"
    MITIGATING = "MITIGATING"
    RESOLVED = "RESOLVED"
    CLOSED = "CLOSED"


UNSETTLED = frozenset({IncidentState.OPEN, IncidentState.MITIGATING})


@dataclass(frozen=True, slots=True)
class TimelineEvent:
    """One thing that happened, with its RFC 3339 time."""

    at: str
    event: str


@dataclass(frozen=True, slots=True)
class Incident:
    """One incident as it is stored and shown. ``conditions`` and ``decision`` are their JSON documents."""

    id: int
    state: IncidentState
    severity: Severity
    type: str
    opened_at: str
    detected_by: str
    summary: str
    culprit: str | None = None
    conditions: tuple[dict[str, object], ...] = ()
    timeline: tuple[TimelineEvent, ...] = ()
    decision: dict[str, object] | None = None
    operations: tuple[int, ...] = ()
    report: str | None = None
    resolved_at: str | None = None
    extra: dict[str, object] = field(default_factory=dict)

    def head(self) -> dict[str, object]:
        """Return the keys of ``incident list``."""
        return {
            "id": self.id,
            "state": str(self.state),
            "severity": int(self.severity),
            "type": self.type,
            "opened_at": self.opened_at,
            "detected_by": self.detected_by,
            "summary": self.summary,
        }

    def whole(self) -> dict[str, object]:
        """Return the keys of ``incident show``."""
        return {
            **self.head(),
            "culprit": self.culprit,
            "conditions": list(self.conditions),
            "timeline": [{"at": e.at, "event": e.event} for e in self.timeline],
            "decision": self.decision,
            "operations": list(self.operations),
            "report": self.report,
            "resolved_at": self.resolved_at,
        }
