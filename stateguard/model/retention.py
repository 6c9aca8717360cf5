"""How much of what is kept of the past stays: settings, and what there is to choose from (pure values)."""

from __future__ import annotations

from dataclasses import dataclass

DAY_SECONDS = 86400.0


@dataclass(frozen=True, slots=True)
class Retention:
    """The settings of retention.

    Of confirmed baselines the newest ``baselines`` stay, then the last of each day for ``daily_seconds``, then the
    last of each week. Emergency backups stay for ``backup_seconds``, at least the newest ``backups``. Snapshots between
    baselines stay for ``snapshot_seconds``, at most about ``snapshots``. What no longer stays is let go once in
    ``every_seconds``.
    """

    baselines: int = 50
    daily_seconds: float = 30 * DAY_SECONDS
    backups: int = 50
    backup_seconds: float = 30 * DAY_SECONDS
    snapshots: int = 2000
    snapshot_seconds: float = 7 * DAY_SECONDS
    every_seconds: float = DAY_SECONDS


@dataclass(frozen=True, slots=True)
class KeptBaseline:
    """A baseline whose complete state is kept. ``at`` is when it was issued, Unix time in seconds.

    ``readable``: its statement and signature hold, so that its grade can be believed. ``sound``: readable, not revoked,
    not SUSPECT.
    """

    number: int
    approved: bool
    readable: bool
    revoked: bool
    suspect: bool
    at: float

    @property
    def sound(self) -> bool:
        """Whether it counts as a good state that is kept."""
        return self.usable and not self.suspect

    @property
    def usable(self) -> bool:
        """Whether a rollback may go to it."""
        return self.readable and not self.revoked


@dataclass(frozen=True, slots=True)
class KeptBackup:
    """The emergency backup of an operation, under one or more refs. ``at`` is Unix time in seconds of the newest."""

    operation: int
    refs: tuple[str, ...]
    at: float


@dataclass(frozen=True, slots=True)
class KeptLine:
    """A line of snapshots under one ref: how many, and when the last was made, Unix time in seconds.

    ``place`` orders the lines by when they were begun; one that still grows is ``current``.
    """

    ref: str
    place: tuple[int, int]
    snapshots: int
    at: float
    current: bool = False
