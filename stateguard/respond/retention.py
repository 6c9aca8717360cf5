"""What of the past may go, and what never does (pure).

Age is counted back from the newest of its kind, and from the clock only if that says less: a clock that jumps forward
while nothing happens lets nothing go, nor does a system that stands still lose what it has.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from stateguard.model.retention import DAY_SECONDS, KeptBackup, KeptBaseline, KeptLine, Retention

_WEEK_SECONDS = 7 * DAY_SECONDS
_FIRST_MONDAY_SECONDS = 4 * DAY_SECONDS
"""1970-01-05: weeks begin on Mondays, days at midnight, UTC."""


def baselines_to_thin(
    kept: Sequence[KeptBaseline], onsets: Iterable[float], held: Collection[int], settings: Retention, now: float
) -> frozenset[int]:
    """Return the numbers of the confirmed baselines whose complete state may go.

    Never: an approved one; one whose signature does not hold, for nobody knows then what it was; the newest that a
    rollback may go to; for each onset of an unsettled incident (Unix time in seconds) the newest sound one before it;
    what is ``held``. The newest sound ones stay, then the last sound one of each day, then of each week. One that is
    SUSPECT or revoked takes nobody's place; it stays as long as it is younger than the oldest of the newest ones.
    """
    stay = set(held) | {b.number for b in kept if b.approved or not b.readable}
    newest_first = sorted(kept, key=lambda b: -b.number)
    stay |= set(_first(b.number for b in newest_first if b.usable))
    sound = [b for b in newest_first if b.sound]
    for onset in onsets:
        stay |= set(_first(b.number for b in sound if b.at <= onset))
    newest = sound[: settings.baselines]
    stay |= {b.number for b in newest}
    oldest = newest[-1].number if len(newest) == settings.baselines else 0
    stay |= {b.number for b in kept if b.number > oldest}
    reference = min(now, max((b.at for b in sound), default=now))
    taken: set[tuple[str, int]] = set()
    for baseline in sound[settings.baselines :]:
        bucket = _bucket(baseline.at, reference, settings.daily_seconds)
        if bucket not in taken:
            taken.add(bucket)
            stay.add(baseline.number)
    return frozenset(b.number for b in kept) - stay


def _bucket(at: float, reference: float, daily_seconds: float) -> tuple[str, int]:
    """Return the day, or for what is older the week, of which only the last one stays."""
    week = int((at - _FIRST_MONDAY_SECONDS) // _WEEK_SECONDS)
    # A week is thinned as a whole, once all of it is old: else its last one could go before the week's turn comes.
    if reference - ((week + 1) * _WEEK_SECONDS + _FIRST_MONDAY_SECONDS) < daily_seconds:
        return "day", int(at // DAY_SECONDS)
    return "week", week


def backups_to_drop(
    kept: Sequence[KeptBackup], held: Collection[int], settings: Retention, now: float
) -> tuple[KeptBackup, ...]:
    """Return the emergency backups that may go: too old, not among the newest operations, and not ``held``."""
    newest_first = sorted(kept, key=lambda b: -b.operation)
    reference = min(now, max((b.at for b in kept), default=now))
    return tuple(
        b
        for b in newest_first[max(1, settings.backups) :]
        if reference - b.at > settings.backup_seconds and b.operation not in held
    )


def lines_to_drop(kept: Sequence[KeptLine], settings: Retention, now: float) -> tuple[KeptLine, ...]:
    """Return the lines of snapshots that may go: too old, or with enough snapshots in younger ones; never a current."""
    reference = min(now, max((line.at for line in kept), default=now))
    younger, gone = 0, []
    for line in sorted(kept, key=lambda one: (one.current, one.place), reverse=True):
        too_old = reference - line.at > settings.snapshot_seconds
        if not line.current and (too_old or younger >= settings.snapshots):
            gone.append(line)
        younger += line.snapshots
    return tuple(gone)


def _first(numbers: Iterable[int]) -> tuple[int, ...]:
    return tuple(numbers)[:1]
