"""What of the live directory can be adopted, by path; every refusal says why."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable

from stateguard.config.sections import literal
from stateguard.errors import NotFoundError, RefusedError, UsageProblemError
from stateguard.guard.compose import Guard
from stateguard.guard.gather import Directory, Skipped
from stateguard.guard.view import drift_now
from stateguard.live.ground import exists
from stateguard.live.place import meant
from stateguard.model.tree import DriftKind, Entry, PathMap


class Look:
    """One look at the live directory, with a reason for whatever is not to be adopted."""

    def __init__(self, guard: Guard) -> None:
        """Look at the drift and the rules as they are now."""
        self._guard = guard
        self._drift = {d.path: str(d.kind) for d in drift_now(guard)}
        self._desired: PathMap = guard.books.declared.desired(guard.applied)
        self._rules = guard.books.declared.rules(guard.applied)
        self._home = guard.home.inside(guard.live)
        policy = guard.system.policy.ignoring([literal(self._home)] if self._home else [])
        self._directory = Directory(guard.live, guard.repository, policy)

    def drifted(self, below: str = "") -> dict[str, str]:
        """Return how the desired paths at and below a path drifted, by path."""
        return {path: self._kind(path) for path in self._drift if _within(path, below)}

    def named(self, texts: Iterable[str], cwd: str) -> dict[str, str]:
        """Return what is adopted by naming paths in ``cwd``: drift and unmanaged files at and below them.

        Raises:
            RefusedError: something named cannot be adopted.
            NotFoundError: it is neither there nor on main.
            UsageProblemError: it lies outside of the live directory.
        """
        found: dict[str, str] = {}
        live = self._guard.live
        for text in texts:
            place = meant(live, text, cwd, lambda path: exists(live, path) or self._known(path))
            if place is None:
                message = f"{text!r} does not lie in the live directory {live}"
                raise UsageProblemError(message, next_step="name a path below it")
            found |= self._place(place)
        return found

    def content(self, path: str) -> Entry:
        """Store what lies at a path.

        Raises:
            RefusedError: it cannot be taken.
        """
        taken = self._directory.take(os.fsencode(path))
        if taken is None:
            raise RefusedError(f"{path} has just gone", next_step="try again")
        if isinstance(taken, Skipped):
            raise RefusedError(f"{taken.path} cannot be adopted: {taken.reason}", next_step="leave it out")
        return taken

    def _known(self, place: str) -> bool:
        return any(_within(path, place) for path in self._desired)

    def _kind(self, path: str) -> str:
        """Return how a desired path drifted; what git cannot hold there counts as gone."""
        kind = self._drift[path]
        try:
            mode = (self._guard.live / path).lstat().st_mode
        except OSError:
            return str(DriftKind.REMOVED)
        return kind if stat.S_ISREG(mode) or stat.S_ISLNK(mode) else str(DriftKind.REMOVED)

    def _place(self, place: str) -> dict[str, str]:
        if self._home and _within(place, self._home):
            raise RefusedError(
                f"{place} lies in the guard home, whose secrets are never adopted", next_step="leave it out"
            )
        if place and self._rules.captured(place):
            raise RefusedError(_captured(place), next_step="leave it out")
        live = self._guard.live
        found = self.drifted(place)
        if place in self._desired and not (live / place).is_dir():
            return found
        if place and not exists(live, place):
            if found or self._known(place):
                return found
            raise NotFoundError(f"{place} is neither in {live} nor on main", next_step="stateguard diff main --live")
        if place and not (live / place).is_dir():
            return found | {place: str(DriftKind.ADDED)}
        if (live / place).is_symlink():
            return found | {place: str(DriftKind.ADDED)}
        return found | self._unmanaged(place, found)

    def _unmanaged(self, place: str, found: dict[str, str]) -> dict[str, str]:
        seen = [os.fsdecode(raw) for raw in self._directory.visible(place) if not raw.endswith(b"/")]
        new = [p for p in seen if p not in self._desired and not self._rules.captured(p)]
        if not new and not found and seen and all(self._rules.captured(p) for p in seen):
            raise RefusedError(_captured(place), next_step="leave it out")
        if not new and not found and not seen and any((self._guard.live / place).iterdir()):
            message = f"all that lies in {place} is ignored"
            raise RefusedError(message, next_step="name its files one by one to adopt them all the same")
        return dict.fromkeys(new, str(DriftKind.ADDED))


def _captured(place: str) -> str:
    return f"{place} is the running system's own: it is kept with every baseline, and no commit on main changes it"


def _within(path: str, place: str) -> bool:
    return not place or path == place or path.startswith(place + "/")
