"""Paths and what lies at them: entries, changes between two path maps, drift, sections, stages."""

from __future__ import annotations

import hashlib
from abc import abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum

REGULAR = 0o100644
EXECUTABLE = 0o100755
SYMLINK = 0o120000
DIRECTORY = 0o040000


@dataclass(frozen=True, slots=True)
class Entry:
    """What git records of a path: its mode and the object id of its bytes (SHA-1, 40 hex digits)."""

    mode: int
    id: str


def blob_id(content: bytes) -> str:
    """Return the object id that git gives these bytes as a blob (SHA-1, 40 hex digits)."""
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()


OBSTACLE = Entry(0, "0" * 40)
"""Stands for something that git could not hold: a directory, a socket, a device."""


PathMap = Mapping[str, Entry]
"""Every path of a tree, slash-separated and relative, with its entry."""


class Nested(Mapping[str, Entry]):
    """A path map that knows its directories."""

    __slots__ = ()

    @abstractmethod
    def below(self, path: str) -> Iterator[tuple[str, Entry]]:
        """Yield what lies at a path, and all below it, sorted; an empty text is the root."""


def below(paths: PathMap, path: str) -> Iterable[str]:
    """Return the paths of a map at and below a path."""
    if isinstance(paths, Nested):
        return (one for one, _ in paths.below(path))
    return [one for one in paths if one == path or one.startswith(path + "/")]


class Overlay(Mapping[str, Entry]):
    """A path map that differs from another one at some paths: there lies something else, or (None) nothing.

    ``revision`` is the commit whose desired paths the other one is.
    """

    __slots__ = ("base", "changes", "revision")

    def __init__(self, base: PathMap, changes: Mapping[str, Entry | None], revision: str) -> None:
        """Lay changes over a path map; neither may be changed from now on."""
        self.base, self.revision = base, revision
        self.changes = {path: entry for path, entry in changes.items() if base.get(path) != entry}

    def __getitem__(self, path: str) -> Entry:
        """Return what lies at a path.

        Raises:
            KeyError: nothing does.
        """
        entry = self.changes[path] if path in self.changes else self.base[path]
        if entry is None:
            raise KeyError(path)
        return entry

    def __iter__(self) -> Iterator[str]:
        """Yield every path, sorted by nothing."""
        yield from (path for path in self.base if path not in self.changes)
        yield from (path for path, entry in self.changes.items() if entry is not None)

    def __len__(self) -> int:
        """Return how many paths there are."""
        return sum(1 for _ in self)


@dataclass(frozen=True, slots=True)
class Changes:
    """The paths by which one path map differs from another; each tuple is sorted."""

    added: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()

    @property
    def paths(self) -> tuple[str, ...]:
        """Every path that differs, sorted."""
        return tuple(sorted((*self.added, *self.changed, *self.removed)))

    def reversed(self) -> Changes:
        """Return the way back."""
        return Changes(added=self.removed, changed=self.changed, removed=self.added)

    def __bool__(self) -> bool:
        """Say whether anything differs."""
        return bool(self.added or self.changed or self.removed)


def compare(before: PathMap, after: PathMap) -> Changes:
    """Return what must be done to ``before`` to get ``after``."""
    return Changes(
        added=tuple(sorted(p for p in after if p not in before)),
        changed=tuple(sorted(p for p, entry in after.items() if p in before and before[p] != entry)),
        removed=tuple(sorted(p for p in before if p not in after)),
    )


class DriftKind(StrEnum):
    """How a live path differs from what is desired."""

    ADDED = "added"
    REMOVED = "removed"
    CHANGED = "changed"
    MODE = "mode"


@dataclass(frozen=True, slots=True)
class Drift:
    """One path of the live directory that is not as desired."""

    path: str
    kind: DriftKind


def drift_at(path: str, want: Entry, have: Entry | None) -> Drift | None:
    """Return how what lies at a desired path differs from what is wanted there; None if it does not.

    A path that only the live directory has is unmanaged, hence no drift.
    """
    if have is None:
        return Drift(path, DriftKind.REMOVED)
    if have.id != want.id or (have.mode == SYMLINK) != (want.mode == SYMLINK):
        return Drift(path, DriftKind.CHANGED)
    return Drift(path, DriftKind.MODE) if have.mode != want.mode else None


class Stage:
    """The seven stages of a transition by number."""

    STOP = 1
    SPECIFICATIONS = 2
    CONFIGURATION = 3
    CONVERSATIONS = 4
    START = 5
    CHANNELS = 6
    VALIDATE = 7


def stage_of(path: str, *, conversation: bool) -> int:
    """Return the number of the stage that writes a path: 2 specifications, 3 the rest, 4 conversations."""
    if conversation:
        return Stage.CONVERSATIONS
    if path == "agents" or path.startswith("agents/"):
        return Stage.SPECIFICATIONS
    return Stage.CONFIGURATION


def parents(path: str) -> tuple[str, ...]:
    """Return the directories above a path, nearest first, without the root."""
    parts = path.split("/")[:-1]
    return tuple("/".join(parts[:n]) for n in range(len(parts), 0, -1))


def summary(paths: Iterable[str]) -> str:
    """Say in a few words where paths lie: ``3 files in agents/nutrition``."""
    every = sorted(paths)
    if not every:
        return "no file"
    common = every[0].split("/")[:-1]
    for path in every[1:]:
        parts = path.split("/")[:-1]
        common = [a for a, b in zip(common, parts, strict=False) if a == b][: _shared(common, parts)]
    place = f" in {'/'.join(common)}" if common else ""
    return f"{len(every)} file{'s' if len(every) != 1 else ''}{place}"


def _shared(left: list[str], right: list[str]) -> int:
    count = 0
    for a, b in zip(left, right, strict=False):
        if a != b:
            break
        count += 1
    return count
