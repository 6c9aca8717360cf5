"""Read everything anew in the background, slowly: bytes that changed under an unchanged stat, baselines that rot."""

from __future__ import annotations

import threading
from collections.abc import Callable
from heapq import merge

from stateguard.errors import StateguardError
from stateguard.guard.compose import Guard
from stateguard.host import threads
from stateguard.host.clock import boot_seconds, thread_seconds
from stateguard.host.logs import failure, log, warn

_SLICE_SECONDS = 0.005
_RETRY_SECONDS = 60.0


class StoppedError(Exception):
    """The guard ends in the midst of a scrub."""


class Pace:
    """Rests between slices of work, so that a thread takes no more than its share of a core."""

    def __init__(self, stop: threading.Event, percent: Callable[[], int]) -> None:
        """``stop`` ends all rests; ``percent`` is of one core."""
        self._stop, self._percent = stop, percent
        self._began = thread_seconds()

    def __call__(self) -> None:
        """Rest if a slice of work was done.

        Raises:
            StoppedError: the guard ends.
        """
        worked = thread_seconds() - self._began
        if worked >= _SLICE_SECONDS:
            self._stop.wait(worked * (100 / self._percent() - 1))
            self._began = thread_seconds()
        if self._stop.is_set():
            raise StoppedError


class Scrub:
    """One round after another: the live directory, then every baseline."""

    def __init__(self, guard: Guard) -> None:
        """Work with this guard; nothing is changed, what is found is told."""
        self._guard = guard
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="scrub", daemon=True)
        self._damaged: dict[int, str] = {}

    def start(self) -> None:
        """Begin with the first round."""
        threads.begin(self._thread)

    def stop(self) -> None:
        """End, in the midst of a round if need be."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()

    def damaged(self) -> tuple[tuple[int, str], ...]:
        """Return the baselines that did not verify when they were read last, each with what is wrong."""
        return tuple(sorted(self._damaged.items()))

    def round(self, pace: Callable[[], None]) -> tuple[int, int]:
        """Read everything once; returns how many live files and baselines were read.

        Raises:
            StateguardError: storage failed.
            OSError: a live file cannot be read.
        """
        return self._live(pace), self._baselines(pace)

    def _live(self, pace: Callable[[], None]) -> int:
        guard = self._guard
        if not guard.applied:
            return 0
        scanner = guard.scanner()
        read = 0
        for path in merge(guard.books.declared.desired(guard.applied), scanner.captured().paths):
            if scanner.changed_unseen(path):
                warn("a file changed although its size and times did not", path=path)
                guard.wake.set()
            read += 1
            pace()
        return read

    def _baselines(self, pace: Callable[[], None]) -> int:
        guard, found = self._guard, [b for b in self._guard.baselines.all() if not b.revoked]
        for baseline in found:
            number = baseline.statement.number
            problems = guard.baselines.verify(number, pace)
            if problems and self._damaged.get(number) != problems[0]:
                warn("a baseline does not verify any more", number=number, problem=problems[0])
                self._damaged[number] = problems[0]
                guard.wake.set()
            elif not problems:
                self._damaged.pop(number, None)
        for gone in self._damaged.keys() - {b.statement.number for b in found}:
            self._damaged.pop(gone, None)
        return len(found)

    def _run(self) -> None:
        pace = Pace(self._stop, lambda: self._guard.settings.scrub_percent)
        while not self._stop.is_set():
            began = boot_seconds()
            try:
                files, baselines = self.round(pace)
            except StoppedError:
                return
            except (StateguardError, OSError):
                failure("a scrub was cut short; it is tried again")
                self._stop.wait(_RETRY_SECONDS)
                continue
            log("scrubbed", files=files, baselines=baselines, seconds=round(boot_seconds() - began, 1))
            self._stop.wait(max(0.0, began + self._guard.settings.scrub_every_seconds - boot_seconds()))
