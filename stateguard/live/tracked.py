"""Where the live directory is not as desired: known at any moment, by looking only where something was touched."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from typing import Protocol

from stateguard.host.clock import boot_seconds
from stateguard.live.scan import Scanner
from stateguard.model.tree import Drift, Entry, PathMap, below, drift_at

_WHOLE_EVERY_SECONDS = 60.0
_SHARE = 200
"""Looking at everything now and then takes at most this fraction of the time."""


class Watch(Protocol):
    """Tells of touched paths; a run of it that missed nothing has a number."""

    def settled(self) -> int | None:
        """Return the number of the run once all that happened until now was told; None: something may be missed."""
        ...

    def hold(self) -> None:
        """Let what happens now wait for a moment, or until somebody asks."""
        ...


class Tracked:
    """Remembers which desired paths the live directory holds otherwise.

    A hint of the watcher is enough to look at a path again, never to believe anything of it. Everything is looked at
    when the watcher cannot vouch for having told all, when there is none, and now and then all the same.
    """

    def __init__(self, scanner: Callable[[], Scanner], differing: Callable[[str, str], Iterable[str]]) -> None:
        """``differing`` returns the desired paths by which two commits differ."""
        self._scanner, self._differing = scanner, differing
        self._lock, self._hints = threading.RLock(), threading.Lock()
        self._watch: Watch | None = None
        self._dirty: set[str] = set()
        self._run: int | None = None
        self._revision: str | None = None
        self._found: dict[str, Drift] = {}
        self._whole_at = self._whole_seconds = 0.0

    def believe(self, watch: Watch | None) -> None:
        """Rely on a watcher from now on, or on none."""
        with self._lock:
            self._watch, self._run = watch, None

    def touched(self, paths: frozenset[str]) -> None:
        """Look at these paths, and at all below them, when it is asked next; may be called from any thread."""
        with self._hints:
            self._dirty |= paths

    def hold(self) -> None:
        """Do not listen for a moment, or until somebody asks: whoever calls writes many files now."""
        watch = self._watch
        if watch is not None:
            watch.hold()

    @property
    def trusted(self) -> bool:
        """Whether the watcher vouches for the last answer: the next one may look only where something was touched."""
        return self._run is not None

    def drift(self, revision: str, desired: PathMap) -> tuple[Drift, ...]:
        """Return the paths of a commit's desired state that the live directory holds otherwise, sorted.

        Raises:
            OSError: something there cannot be read.
        """
        with self._lock:
            run = self._watch.settled() if self._watch is not None else None
            with self._hints:
                dirty, self._dirty = self._dirty, set()
            try:
                if run is None or run != self._run or self._revision is None or self._is_due():
                    self._whole(desired)
                else:
                    self._again(revision, desired, dirty)
            except BaseException:  # the hints are used up, whatever it was: the next answer looks at everything
                self._run = None
                raise
            self._run, self._revision = run, revision
            return tuple(self._found[path] for path in sorted(self._found))

    def _is_due(self) -> bool:
        return boot_seconds() > self._whole_at + max(_WHOLE_EVERY_SECONDS, _SHARE * self._whole_seconds)

    def _whole(self, desired: PathMap) -> None:
        began = boot_seconds()
        self._found = self._unlike(desired.items())
        self._whole_at = boot_seconds()
        self._whole_seconds = self._whole_at - began

    def _again(self, revision: str, desired: PathMap, dirty: set[str]) -> None:
        look = set(self._found)
        if revision != self._revision:
            look |= set(self._differing(self._revision or "", revision))
        for path in dirty:
            look |= set(below(desired, path))
        for path in look:
            self._found.pop(path, None)
        self._found |= self._unlike((path, want) for path in sorted(look) if (want := desired.get(path)) is not None)

    def _unlike(self, wanted: Iterable[tuple[str, Entry]]) -> dict[str, Drift]:
        """Look at paths one after the other; returns those that hold something else."""
        return {
            path: found for path, want, have in self._scanner().beside(wanted) if (found := drift_at(path, want, have))
        }
