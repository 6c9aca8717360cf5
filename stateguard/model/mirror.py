"""Mirrors: copies of the served repository elsewhere."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class MirrorState(StrEnum):
    """What a mirror holds, as far as is known."""

    IN_SYNC = "IN_SYNC"
    BEHIND = "BEHIND"
    DIVERGED = "DIVERGED"
    TAMPERED = "TAMPERED"


class Breaker(StrEnum):
    """Whether a mirror is tried: always, not for now, or once to see whether it is back."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half-open"


@dataclass(frozen=True, slots=True)
class MirrorSpec:
    """One mirror of ``guard.yaml``. Times in seconds.

    ``trusted`` mirrors get captured state too. ``deadline_seconds`` bounds one git command, ``check_seconds`` is how
    often a mirror that lacks nothing is looked at, ``tell_after_seconds`` how long it may stay behind before that is a
    condition. After ``breaker_failures`` failures in a row it is left alone for ``breaker_pause_seconds``.
    """

    name: str
    url: str
    trusted: bool = False
    deadline_seconds: float = 60.0
    check_seconds: float = 900.0
    tell_after_seconds: float = 900.0
    breaker_failures: int = 5
    breaker_pause_seconds: float = 300.0


@dataclass(frozen=True, slots=True)
class MirrorSeen:
    """What detectors read about a mirror that is not in sync."""

    name: str
    state: MirrorState
    message: str
    since_seconds: float
    tell_after_seconds: float
