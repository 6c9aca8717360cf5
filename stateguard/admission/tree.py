"""A tree as admission reads it: directory by directory, each once, and only where it has to look."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import NamedTuple

from stateguard.admission.known import Key, Known, Row, Summary
from stateguard.admission.names import MAX_PATH_BYTES
from stateguard.admission.noted import ROOT, kind_below, noted_names
from stateguard.model.tree import DIRECTORY

_UNBOUNDED = sys.maxsize - 1


@dataclass(frozen=True, slots=True)
class Tree:
    """A whole tree by the object id of its root; what lies in it is read only when it is needed.

    ``listing`` takes the id of a directory and returns what it holds, as it is stored. ``read`` and ``size`` (in bytes)
    take that of a file. All of them raise StateguardError where the object is missing, ``listing`` also while it is
    gone through.
    """

    root: str
    listing: Callable[[str], Iterable[Row]]
    read: Callable[[str], bytes]
    size: Callable[[str], int]


class Place(NamedTuple):
    """A directory of a tree: its path with a slash at the end (empty: the root), its kind, and its object id."""

    lead: bytes
    kind: str
    id: str

    @property
    def too_long(self) -> bool:
        """Whether its path alone is longer than any that may come in: nothing in it is worth a look."""
        return len(self.lead) > MAX_PATH_BYTES + 1

    def below(self, name: bytes, child: str) -> Place:
        """Return the place of a directory in this one."""
        return Place(self.lead + name + b"/", kind_below(self.kind, name), child)


class OverBudgetError(Exception):
    """A tree holds more than may come in."""


class Reading:
    """One tree during one judgement."""

    def __init__(self, tree: Tree, known: Known, budget: int = _UNBOUNDED) -> None:
        """``budget`` is how many files and directories may be in the tree."""
        self.tree, self._known = tree, known
        self._budget = self._left = budget
        self._rows: dict[str, tuple[Row, ...]] = {}
        self._summaries: dict[Key, Summary] = {}

    @property
    def root(self) -> Place:
        """The whole tree."""
        return Place(b"", ROOT, self.tree.root)

    def open(self) -> None:
        """Learn how much is in the tree; directories that are known are not read.

        Raises:
            OverBudgetError: it is too much.
            StateguardError: an object is missing.
        """
        if self._summary((ROOT, self.tree.root)).paths > self._budget:
            raise OverBudgetError

    def close(self) -> None:
        """Remember what was learned."""
        self._known.keep(self._summaries)

    def rows(self, place: Place) -> tuple[Row, ...]:
        """Return what a directory holds, as it is stored, but for directories without any file: they are no paths."""
        found = self._read(place.id)
        empty = self._summary((place.kind, place.id)).empty
        return tuple(row for row in found if row[1] != DIRECTORY or row[2] not in empty) if empty else found

    def noted(self) -> Iterator[tuple[bytes, int, str]]:
        """Yield path, mode and object id of the files that are judged by what they are called, wherever they are."""
        todo = [self.root]
        while todo:
            place = todo.pop()
            if place.too_long:
                continue
            summary = self._summary((place.kind, place.id))
            yield from ((place.lead + name, mode, identity) for name, mode, identity in summary.noted)
            todo.extend(place.below(name, child) for name, child in summary.below)

    def _summary(self, key: Key) -> Summary:
        """Return what is in a directory and below; what is known is not read. No depth is too deep for this."""
        todo = [key]
        while todo:
            one = todo[-1]
            found = self._recalled(one)
            waiting = [] if found else [k for k in self._below(one) if self._recalled(k) is None]
            if waiting:
                todo.extend(waiting)
                continue
            self._summaries[one] = found or self._summed(one)
            todo.pop()
        return self._summaries[key]

    def _recalled(self, key: Key) -> Summary | None:
        """Return a summary that is known; from then on it is known for the whole judgement."""
        found = self._summaries.get(key) or self._known.get(key)
        if found is not None:
            self._summaries[key] = found
        return found

    def _below(self, key: Key) -> Iterator[Key]:
        """Yield the directories in a directory."""
        kind, identity = key
        return ((kind_below(kind, name), child) for name, mode, child in self._read(identity) if mode == DIRECTORY)

    def _summed(self, key: Key) -> Summary:
        kind, identity = key
        rows = self._read(identity)
        files = {name for name, mode, _ in rows if mode != DIRECTORY}
        names = noted_names(kind, files)
        paths, holds = len(rows), bool(files)
        below, empty = [], set()
        for name, mode, child in rows:
            if mode != DIRECTORY:
                continue
            one = self._summaries[kind_below(kind, name), child]
            paths, holds = min(paths + one.paths, _UNBOUNDED), holds or one.holds
            if not one.holds:
                empty.add(child)
            if one.noted or one.below:
                below.append((name, child))
        noted = tuple(row for row in rows if row[0] in names and row[1] != DIRECTORY) if names else ()
        return Summary(paths, holds, noted, tuple(below), frozenset(empty))

    def _read(self, identity: str) -> tuple[Row, ...]:
        """Return what a directory holds. No more is read than the budget: every row is a path of the tree."""
        found = self._rows.get(identity)
        if found is None:
            found = tuple(islice(self.tree.listing(identity), self._left + 1))
            self._left -= len(found)
            if self._left < 0:
                raise OverBudgetError
            self._rows[identity] = found
        return found
