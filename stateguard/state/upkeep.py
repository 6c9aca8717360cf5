"""Keep a repository small: many small packs and loose objects into few packs, and what no ref holds any more out.

git does the work, as a program of low priority and bounded memory that may be called off or killed at any moment: a
pack is complete before it has its name, and nothing is taken away before all that is needed of it lies in another.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from stateguard.host.clock import wall_seconds
from stateguard.host.command import Cancel
from stateguard.state.git import git_idle
from stateguard.state.repository import Repository

_PACKS = Path("objects", "pack")
_INDEX = ".idx"
_DISCARDED = "discarded"
_HEX = frozenset("0123456789abcdef")
_FANOUT_LENGTH = 2
_BLOCK_BYTES = 512
_LEFT_BEHIND = ("pack/tmp_*", "pack/.tmp-*", "??/tmp_obj_*")
_LONG_SECONDS = 86400.0
_ROUNDS = 6
"""So often what was added meanwhile is packed too, before the rest is left for another time."""


class CalledOffError(Exception):
    """The work was called off, or its deadline passed; the repository is as good as before."""


@dataclass(frozen=True, slots=True)
class Extent:
    """In how many pieces a repository lies."""

    loose: int
    packs: int


@dataclass(frozen=True, slots=True)
class Background:
    """Runs git in the background until it is called off, each command for at most so long."""

    cancel: Cancel
    deadline_seconds: float

    def git(self, repository: Path, *argv: str) -> bytes:
        """Run a command; returns what it prints.

        Raises:
            CalledOffError: it did not end by itself.
            StorageError: it failed.
        """
        if self.cancel.cancelled:
            raise CalledOffError
        done = git_idle(repository, *argv, cancel=self.cancel, deadline_seconds=self.deadline_seconds)
        if done.status is None:
            raise CalledOffError
        return done.output


def extent(path: Path) -> Extent:
    """Count loose objects and packs.

    Raises:
        OSError: a directory cannot be read.
    """
    fans = [fan for fan in (path / "objects").iterdir() if len(fan.name) == _FANOUT_LENGTH and set(fan.name) <= _HEX]
    return Extent(sum(_entries(fan) for fan in fans), len(_packs(path)))


def occupied_bytes(path: Path) -> int:
    """Return the disk space of everything in a repository.

    Raises:
        OSError: a directory cannot be read.
    """
    total = 0
    for place, _, names in os.walk(path):
        for name in names:
            with contextlib.suppress(FileNotFoundError):  # somebody's temporary file
                total += Path(place, name).lstat().st_blocks * _BLOCK_BYTES
    return total


def consolidate(repository: Repository, background: Background) -> None:
    """Put loose objects and small packs together into larger ones, reachable or not: nothing is let go.

    Each pack is then at least twice as large as the next smaller one, so their number stays logarithmic and no object
    is copied more often than that.

    Raises:
        CalledOffError: it was called off.
        StorageError: git failed.
    """
    background.git(repository.path, "repack", "--geometric=2", "-d", "-q")
    background.git(repository.path, "pack-refs", "--all")
    repository.renew()


@dataclass(slots=True)
class Release:
    """Letting go of what no ref holds any more, in two parts.

    :meth:`gather` copies all that is held into new packs, which takes long. :meth:`discard` then takes the old packs
    away, which is short. It must run where nothing is being written into the repository that no ref holds yet, and
    only if no ref has moved since: such a moment is asked for with ``at_rest``, which returns what changes with them.
    """

    repository: Repository
    at_rest: Callable[[], object]
    old: tuple[str, ...] = ()
    _new: list[str] = field(default_factory=list)
    _seen: object = None

    def gather(self, background: Background) -> bool:
        """Copy what is held; call again for what was added meanwhile. Says whether there is anything to discard.

        Raises:
            CalledOffError: it was called off.
            StorageError: git failed.
            OSError: the disk did.
        """
        path = self.repository.path
        if not self._new:
            background.git(path, "repack", "--geometric=2", "-d", "-q")  # no loose object is left that is not younger
            self.old = tuple(stem for stem in sorted(_packs(path)) if not (path / _PACKS / f"{stem}.keep").exists())
        self._seen = self.at_rest()
        kept = [f"--keep-pack={stem}.pack" for stem in self._new]
        target = str(path / _PACKS / "pack")
        words = ("--all", "--reflog", "--indexed-objects", "--non-empty", "--delta-base-offset", "-q", *kept, target)
        made = background.git(path, "pack-objects", *words).decode().split()
        self._new += [f"pack-{name}" for name in made]
        _flush(path / _PACKS)
        return bool(set(self.old) - set(self._new))

    def discard(self) -> bool:
        """Take the old packs away, unless something was written since; says whether it did.

        Raises:
            OSError: the disk refused; what is left lies there twice.
        """
        if self.at_rest() != self._seen:
            return False
        path = self.repository.path
        discarded = path / _DISCARDED
        discarded.mkdir(exist_ok=True)
        doomed = set(self.old) - set(self._new)
        parts = [part for part in (path / _PACKS).iterdir() if part.stem in doomed]
        # An index without its pack is an error to git, a pack without its index is nothing.
        for part in sorted(parts, key=lambda one: one.suffix != _INDEX):
            part.rename(discarded / part.name)
        self.repository.renew()
        return True


def release(release: Release, background: Background, calmly: Callable[[Callable[[], bool]], bool]) -> bool:
    """Let go of what no ref holds; ``calmly`` runs the short part where it may run. Says whether it came to that.

    Raises:
        CalledOffError: it was called off.
        StorageError: git failed.
        OSError: the disk did.
    """
    for _ in range(_ROUNDS):
        if not release.gather(background):
            return True
        if calmly(release.discard):
            sweep(release.repository.path)
            return True
    return False


def sweep(path: Path) -> None:
    """Remove what was discarded, now or before a crash, and what git left behind when it was killed long ago.

    Raises:
        OSError: the disk refused.
    """
    with contextlib.suppress(FileNotFoundError):
        shutil.rmtree(path / _DISCARDED)
    left = [path / "packed-refs.lock", *(p for name in _LEFT_BEHIND for p in (path / "objects").glob(name))]
    for file in left:
        with contextlib.suppress(FileNotFoundError):
            if wall_seconds() - file.stat().st_mtime > _LONG_SECONDS:
                file.unlink()


def _entries(directory: Path) -> int:
    with os.scandir(directory) as found:
        return sum(1 for _ in found)


def _packs(path: Path) -> set[str]:
    """Return the names of all packs, without their endings."""
    return {part.stem for part in (path / _PACKS).glob(f"pack-*{_INDEX}")}


def _flush(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
