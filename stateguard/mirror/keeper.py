"""One thread for each mirror, so that a dead or slow one holds up nothing and nobody."""

from __future__ import annotations

import threading
from collections.abc import Sequence

from stateguard.errors import StateguardError
from stateguard.host import threads
from stateguard.host.clock import moment
from stateguard.host.logs import failure
from stateguard.mirror.cadence import check_due_seconds, wait_seconds
from stateguard.mirror.plan import missing
from stateguard.mirror.sync import Syncing
from stateguard.model.mirror import MirrorSpec

SETTLE_SECONDS = 0.5
"""How long changes are gathered before they are sent."""

_AFTER_FAULT_SECONDS = 30.0
_AFTER_OTHERS_SECONDS = 1.0
_STOP_SECONDS = 2.0


class Keeper:
    """Keeps every mirror up to date in the background."""

    def __init__(self, syncing: Syncing) -> None:
        """Nothing runs before the first nudge."""
        self._syncing = syncing
        self._lines: dict[str, _Line] = {}

    def nudge(self, specs: Sequence[MirrorSpec]) -> None:
        """Say that refs may have changed, and which mirrors there are. Returns at once."""
        wanted = {spec.name: spec for spec in specs}
        for name in [n for n, line in self._lines.items() if wanted.get(n) != line.spec]:
            self._lines.pop(name).stop()
        for name, spec in wanted.items():
            if name not in self._lines:
                self._lines[name] = _Line(spec, self._syncing)
            self._lines[name].nudge()

    def stop(self) -> None:
        """End every thread and what it started, without waiting for any remote."""
        self._syncing.cancel.cancel()
        for line in self._lines.values():
            line.stop()
        for line in self._lines.values():
            line.join()
        self._lines.clear()


class _Line:
    """The thread of one mirror."""

    def __init__(self, spec: MirrorSpec, syncing: Syncing) -> None:
        self.spec, self._syncing = spec, syncing
        self._nudged = threading.Event()
        self._stopped = False
        self._sent: dict[str, str] | None = None
        self._thread = threading.Thread(target=self._run, name=f"mirror {spec.name}", daemon=True)
        threads.begin(self._thread)

    def nudge(self) -> None:
        self._nudged.set()

    def stop(self) -> None:
        self._stopped = True
        self._nudged.set()

    def join(self) -> None:
        self._thread.join(_STOP_SECONDS)

    def _run(self) -> None:
        wait = 0.0
        while True:
            if self._nudged.wait(wait) and self._syncing.cancel.wait(SETTLE_SECONDS):
                return
            if self._stopped:  # asked last: it may have been taken away while changes were gathered
                return
            self._nudged.clear()
            try:
                wait = self._turn()
            except StateguardError:
                failure("a mirror could not be worked on", mirror=self.spec.name)
                wait = _AFTER_FAULT_SECONDS
            except Exception:  # noqa: BLE001 - one mirror's fault must not end its thread for good; it is logged
                failure("a mirror could not be worked on, unexpectedly", mirror=self.spec.name)
                wait = _AFTER_FAULT_SECONDS

    def _turn(self) -> float:
        """Sync if that is due; returns the seconds until it may be due again."""
        spec, store, now = self.spec, self._syncing.store, moment()
        standing = store.standing(spec)
        pace = standing.pace
        if (wait := wait_seconds(pace, now)) > 0:
            return wait
        check = check_due_seconds(pace, now)
        if check > 0 and (standing.conflicts or standing.tampered):
            return check
        ours = self._syncing.sources.refs(spec)
        if check > 0 and not pace.failures and (ours == self._sent or not missing(ours, store.known(spec))):
            self._sent = ours
            return check
        after = self._syncing.sync(spec)
        if after is None:
            return _AFTER_OTHERS_SECONDS
        return max(wait_seconds(after.pace, moment()), 0.0) if after.pace.failures else spec.check_seconds
