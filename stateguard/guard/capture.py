"""Keep what agents write between transitions, a while after it was written."""

from __future__ import annotations

from collections.abc import Callable

from stateguard.errors import StateguardError
from stateguard.guard.compose import Guard
from stateguard.host.clock import boot_seconds, wall_seconds
from stateguard.host.logs import failure, log
from stateguard.live.scan import Captured
from stateguard.state.snapshot import Line, baseline_ref, close_line, line_to, running_ref
from stateguard.transition.archive import GivesWay

_LONG_SECONDS = 3600.0
_LINE_SNAPSHOTS = 100
_LINE_SECONDS = 86400.0
"""Snapshots hang in lines of at most so many, begun at most so long ago: retention lets go of whole lines."""


class Capture:
    """Takes a snapshot of the complete state when captured files changed, at most one in a while."""

    def __init__(self, guard: Guard, urgent: Callable[[], bool]) -> None:
        """Work with this guard; ``urgent`` says whether a push, or another command, waits."""
        self._guard, self._urgent = guard, urgent
        self._seen = Captured()
        self._kept_stamp: int | None = None
        self._changed_at: float | None = None
        self._line: tuple[str, Line] | None = None
        self.failed = ""

    def look(self) -> Captured:
        """Return what there is of the captured paths, and note whether any of it is new."""
        self._seen = self._guard.archive.captured()
        if self._seen.stamp != self._kept_stamp and self._changed_at is None:
            self._changed_at = boot_seconds()
        return self._seen

    def due_seconds(self) -> float:
        """Return how long to wait before something is to be kept; a long time if nothing changed."""
        if self._changed_at is None:
            return _LONG_SECONDS
        after = self._guard.system.policy.capture_after_seconds
        return max(0.0, self._changed_at + after - boot_seconds())

    def turn(self) -> None:
        """Keep what was new when it was looked at last, if it is time; what goes wrong is tried again later."""
        if self.due_seconds() > 0:
            return
        stamp, changed_at, self._changed_at = self._seen.stamp, self._changed_at, None
        try:
            self._snapshot()
        except GivesWay:
            self._changed_at = changed_at
            return
        except (StateguardError, OSError) as error:
            self.failed = error.message if isinstance(error, StateguardError) else str(error)
            failure("captured files could not be kept")
            return
        self._kept_stamp, self.failed = stamp, ""

    def _snapshot(self) -> None:
        guard, captured = self._guard, self._guard.captured
        revision = guard.applied
        paths = guard.archive.all(revision, revision, urgent=self._urgent)
        number = guard.baselines.highest()
        line, since = running_ref(number), captured.ref(baseline_ref(number))
        last = captured.ref(line)
        before = last or since
        if before is not None and captured.commit(before).tree == guard.archive.tree(paths):
            return
        if last is not None and self._full(last, since):
            close_line(captured, number)
            last, before = None, since
        commit = guard.archive.write(paths, line, f"Complete state at {revision}\n", [before] if before else [])
        self._line = (commit, self._longer(last))
        log("kept what agents wrote", snapshot=commit, since_baseline=number)

    def _full(self, last: str, since: str | None) -> bool:
        """Say whether a line of snapshots has become long or old; after a start it is counted once."""
        if self._line is None or self._line[0] != last:
            self._line = (last, line_to(self._guard.captured, last, since))
        line = self._line[1]
        return line.snapshots >= _LINE_SNAPSHOTS or wall_seconds() - line.began_at >= _LINE_SECONDS

    def _longer(self, last: str | None) -> Line:
        """Return the line that has one snapshot more now, made now."""
        now = wall_seconds()
        if last is None or self._line is None:
            return Line(1, now, now)
        line = self._line[1]
        return Line(line.snapshots + 1, line.began_at, now)
