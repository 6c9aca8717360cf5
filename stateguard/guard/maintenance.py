"""Keep the repositories small in the background: consolidate what lies in many pieces, release what is let go.

All of git's work is done by a program of low priority (``state/upkeep.py``). The guard's own thread does one short
thing, between two pieces of its work, when nothing is half written: moving away the packs that are not needed any more.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from dataclasses import asdict
from typing import Any

from stateguard.errors import StateguardError, StorageError
from stateguard.guard.compose import Guard
from stateguard.guard.retention import hold_marked, let_go
from stateguard.host import threads
from stateguard.host.clock import boot_seconds, moment, now_text
from stateguard.host.command import Cancel
from stateguard.host.logs import failure, log
from stateguard.host.space import space_at
from stateguard.model.moment import Moment
from stateguard.model.size import MIB
from stateguard.state.repository import Repository
from stateguard.state.upkeep import (
    Background,
    CalledOffError,
    Extent,
    Release,
    consolidate,
    extent,
    occupied_bytes,
    release,
    sweep,
)  # fmt: skip
from stateguard.text.words import size

MARK = "maintenance"
"""Under this name the store keeps when maintenance was done last, and how large the repositories were then."""

_LOOK_SECONDS = 10.0
_SHORTEST_SECONDS = 1.0
_RETRY_SECONDS = 300.0
_DEADLINE_SECONDS = 3600.0
_CALM_SECONDS = 60.0
_SPARE_BYTES = 64 * MIB
_MANY = Extent(loose=2000, packs=40)
"""More pieces than these are put together at once, whatever the time."""


def done_last(guard: Guard) -> dict[str, Any] | None:
    """Return when maintenance was done last, and the bytes that each repository occupied then; None if it never was."""
    kept = guard.store.marked(MARK) or {}
    return {"at": kept["at"], "bytes": kept["bytes"]} if "at" in kept else None


class Maintenance:
    """The thread that does it."""

    def __init__(
        self, guard: Guard, busy: Callable[[], bool], many: Extent = _MANY, spare_bytes: int = _SPARE_BYTES
    ) -> None:
        """``busy`` says whether the guard works on something that people wait for; meanwhile this rests.

        More pieces than ``many`` are put together. ``spare_bytes`` of the disk are always left.
        """
        self._guard, self._busy, self._many, self._spare_bytes = guard, busy, many, spare_bytes
        self._stop = threading.Event()
        self._cancel = Cancel()
        self._wish = _Wish()
        self._thread = threading.Thread(target=self._run, name="maintenance", daemon=True)

    def start(self) -> None:
        """Begin to look now and then whether there is something to do."""
        threads.begin(self._thread)

    def stop(self) -> None:
        """End, with whatever git does."""
        self._stop.set()
        self._cancel.cancel()
        self._wish.withdraw()
        if self._thread.is_alive():
            self._thread.join()

    def step_aside(self) -> None:
        """Call off what git does for it: a transition begins. Returns at once."""
        self._cancel.cancel()

    def between(self) -> None:
        """Do the short part, if one waits: for the guard's own thread, where it has nothing half written."""
        self._wish.fulfil()

    def turn(self) -> None:
        """Look at the repositories once, do what is due, and keep what the guard knows for the one after it.

        Raises:
            CalledOffError: it was called off; another turn begins anew.
            StateguardError: a repository or the database could not be read or written.
            OSError: the disk refused.
        """
        guard, now = self._guard, moment()
        guard.remember()
        repositories = (guard.captured, guard.repository)
        if any(repository.spooled for repository in repositories):
            return  # what is borrowed must not be packed anew; there is time when it has come home
        kept = guard.store.marked(MARK)
        if kept is None:
            guard.store.mark(MARK, {"since": asdict(now)})  # a home begins with nothing to let go
            return
        due = now.since(Moment(**kept["since"])) >= guard.settings.retention.every_seconds
        self._consolidate(repositories, Extent(0, 1) if due else self._many)
        if due:
            released = self._release(owed=bool(kept.get("owed")))
            self._done(now, repositories, owed=not released)

    def _consolidate(self, repositories: Iterable[Repository], many: Extent) -> None:
        for repository in repositories:
            before = extent(repository.path)
            if before.loose > many.loose or before.packs > many.packs:
                self._require_room(repository)
                began = boot_seconds()
                consolidate(repository, self._background())
                after = extent(repository.path)
                log("consolidated", repository=repository.path.name, loose=before.loose, packs=before.packs,
                    packs_now=after.packs, seconds=round(boot_seconds() - began, 1))  # fmt: skip

    def _release(self, *, owed: bool) -> bool:
        """Let go of what is not kept any more, and release its objects; says whether that was finished."""
        guard = self._guard
        sweep(guard.captured.path)
        gone = let_go(guard)
        if not gone and not owed:
            return True
        guard.store.mark(MARK, (guard.store.marked(MARK) or {}) | {"owed": True})
        self._require_room(guard.captured)
        hold_marked(guard)
        work = Release(guard.captured, lambda: (guard.captured.moves, guard.watermarks.changes))
        done = release(work, self._background(), self._calmly)
        log("let go", baselines=list(gone.baselines), backups=len(gone.backups), snapshots=gone.snapshots, done=done)
        return done

    def _require_room(self, repository: Repository) -> None:
        """Refuse to begin what may need as much disk as there is in the repository, for a while.

        Raises:
            StorageError: there is not so much; what is left is for the guard's own work.
        """
        needed, free = occupied_bytes(repository.path) + self._spare_bytes, space_at(repository.path).free_bytes
        if free < needed:
            message = (
                f"maintenance of {repository.path.name} needs {size(needed)} for a while, and {size(free)} are free"
            )
            raise StorageError(message, next_step="free space on that disk")

    def _done(self, since: Moment, repositories: Iterable[Repository], *, owed: bool) -> None:
        sizes = {repository.path.name: occupied_bytes(repository.path) for repository in repositories}
        self._guard.store.mark(MARK, {"since": asdict(since), "at": now_text(), "bytes": sizes, "owed": owed})

    def _background(self) -> Background:
        """Return what runs git until it is called off.

        Raises:
            CalledOffError: the guard ends, or a transition runs.
        """
        self._cancel = cancel = Cancel()
        if self._stop.is_set() or self._busy():  # asked after it can be called off, so that no call is missed
            raise CalledOffError
        return Background(cancel, _DEADLINE_SECONDS)

    def _calmly(self, discard: Callable[[], bool]) -> bool:
        return self._wish.granted(discard, self._guard.wake, self._stop)

    def _pause(self) -> float:
        return max(_SHORTEST_SECONDS, min(_LOOK_SECONDS, self._guard.settings.retention.every_seconds))

    def _run(self) -> None:
        wait = self._pause()
        while not self._stop.wait(wait):
            wait = self._pause()
            if self._busy():
                continue
            try:
                self.turn()
            except CalledOffError:
                log("maintenance was called off; it begins again later")
            except (StateguardError, OSError):
                failure("maintenance failed; it is tried again")
                wait = _RETRY_SECONDS
            except Exception:  # noqa: BLE001 - it must not end for good by a fault; it is logged
                failure("maintenance failed unexpectedly; it is tried again")
                wait = _RETRY_SECONDS


class _Wish:
    """Something short that one thread wants done by another."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._work: Callable[[], bool] | None = None
        self._done = threading.Event()
        self._answer = False
        self._error: OSError | None = None

    def granted(self, work: Callable[[], bool], wake: threading.Event, stopped: threading.Event) -> bool:
        """Have it done; returns what it says, False if nobody came to it, or it is withdrawn because all stops."""
        with self._lock:
            self._work, self._answer, self._error = work, False, None
            self._done.clear()
        if not stopped.is_set():  # asked after it is wished: who stops later withdraws it
            wake.set()
            self._done.wait(_CALM_SECONDS)
        self.withdraw()
        if self._error is not None:
            raise self._error
        return self._answer

    def fulfil(self) -> None:
        """Do what is wished, if anything is."""
        with self._lock:
            work, self._work = self._work, None
            if work is None:
                return
            try:
                self._answer = work()
            except OSError as error:
                self._error = error
            self._done.set()

    def withdraw(self) -> None:
        """Wish nothing any more; one that is being fulfilled is waited for."""
        with self._lock:
            self._work = None
            self._done.set()
