"""What an observation means: conditions with their severity and evidence."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum


class Severity(IntEnum):
    """1 is the worst."""

    CRITICAL = 1
    HIGH = 2
    MEDIUM = 3
    LOW = 4


@dataclass(frozen=True, slots=True)
class Condition:
    """Something that is the case, and matters.

    ``component`` is an agent's name, a path, or ``system``. ``probe`` is the id of the failing probe, if only
    probes speak, and ``also`` are further ones. ``external`` conditions hold and tell; they never undo a change.
    """

    type: str
    component: str
    severity: Severity
    reason: str
    message: str
    method: str
    evidence: tuple[str, ...] = ()
    confidence: float = 1.0
    probe: str | None = None
    external: bool = False
    also: tuple[str, ...] = ()

    @property
    def key(self) -> tuple[str, str]:
        """Conditions of the same type and component are one."""
        return (self.type, self.component)

    def as_json(self) -> dict[str, object]:
        """Return it as it is shown and stored."""
        return {
            "type": self.type,
            "component": self.component,
            "severity": int(self.severity),
            "reason": self.reason,
            "message": self.message,
            "method": self.method,
            "evidence": list(self.evidence),
            "confidence": self.confidence,
            "probe": self.probe,
            "external": self.external,
        }
