"""The block ``retention`` of ``guard.yaml``: how much of the past is kept."""

from __future__ import annotations

from stateguard.config.fields import Count, Duration, Period, Strict
from stateguard.model.retention import Retention

_SHIPPED = Retention()


class KeptBaselinesModel(Strict):
    """Which confirmed baselines keep their complete state; approved ones always do."""

    newest: Count = _SHIPPED.baselines
    daily: Duration = _SHIPPED.daily_seconds


class KeptBackupsModel(Strict):
    """Which emergency backups are kept."""

    newest: Count = _SHIPPED.backups
    keep: Duration = _SHIPPED.backup_seconds


class KeptSnapshotsModel(Strict):
    """Which of the snapshots made between baselines are kept."""

    newest: Count = _SHIPPED.snapshots
    keep: Duration = _SHIPPED.snapshot_seconds


class RetentionModel(Strict):
    """How much of the past is kept."""

    baselines: KeptBaselinesModel = KeptBaselinesModel()
    backups: KeptBackupsModel = KeptBackupsModel()
    snapshots: KeptSnapshotsModel = KeptSnapshotsModel()
    every: Period = _SHIPPED.every_seconds

    def settings(self) -> Retention:
        """Return the settings."""
        return Retention(
            baselines=self.baselines.newest,
            daily_seconds=self.baselines.daily,
            backups=self.backups.newest,
            backup_seconds=self.backups.keep,
            snapshots=self.snapshots.newest,
            snapshot_seconds=self.snapshots.keep,
            every_seconds=self.every,
        )
