"""What commits declare: their system, path rules and desired paths; read where they are asked for."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from typing import TypeVar

from stateguard.config.defaults import default_policy
from stateguard.config.sections import PathRules
from stateguard.config.state import STATE_FILE
from stateguard.config.system import is_declaration, load_system
from stateguard.model.identity import EMPTY_TREE
from stateguard.model.policy import Policy, System
from stateguard.model.selftest import Named, softened
from stateguard.model.tree import Changes, Entry, PathMap, compare
from stateguard.state import trees
from stateguard.state.repository import Repository
from stateguard.state.treemap import TreeMap

_Key = TypeVar("_Key")
_Kept = TypeVar("_Kept")

_KEPT = 16
_PLACES = ("agents", "protocols")
"""Beside the root, declarations lie in these directories and one level below."""


class Declared:
    """Reads main commits; the empty text stands for nothing at all. May be used from several threads."""

    def __init__(
        self,
        repository: Repository,
        ignore: Iterable[str] = (),
        flaky: Callable[[], frozenset[Named]] = frozenset,
    ) -> None:
        """Read from this repository.

        ``ignore`` are patterns of this host, beside those that a commit declares; ``flaky`` returns the probes that may
        not be required here, whatever a commit says.
        """
        self._repository, self._ignore, self._flaky = repository, tuple(ignore), flaky
        self._soft: dict[str, tuple[frozenset[Named], System]] = {}
        self._lock = threading.RLock()
        self._trees: dict[str, str] = {}
        self._seeds: dict[str, dict[str, Entry]] = {}
        self._differing: dict[tuple[str, str], Changes] = {}
        self._systems: dict[str, tuple[System, PathRules]] = {}
        self._rules: list[tuple[Policy, PathRules]] = []

    def paths(self, commit: str) -> TreeMap:
        """Return every path of a commit.

        Raises:
            StorageError: an object is missing.
        """
        return TreeMap(self._repository, self._tree(commit))

    def _tree(self, commit: str) -> str:
        if not commit:
            return EMPTY_TREE
        with self._lock:
            known = self._trees.get(commit)
            if known is None:
                _make_room(self._trees)
                known = self._trees[commit] = self._repository.commit(commit).tree
            return known

    def system(self, commit: str) -> System:
        """Return what a commit declares, as it holds here: probes that were found flaky are not required.

        Raises:
            InvalidDocument: a declaration file is not valid.
            StorageError: an object is missing.
        """
        flaky, system = self._flaky(), self.literally(commit)
        if not flaky:
            return system
        with self._lock:
            known = self._soft.get(commit)
            if known is None or known[0] != flaky:
                _make_room(self._soft)
                known = self._soft[commit] = (flaky, softened(system, flaky))
            return known[1]

    def literally(self, commit: str) -> System:
        """Return what a commit declares, to the letter.

        Raises:
            InvalidDocument: a declaration file is not valid.
            StorageError: an object is missing.
        """
        return self._both(commit)[0]

    def rules(self, commit: str) -> PathRules:
        """Return the path rules of a commit.

        Raises:
            InvalidDocument: a declaration file is not valid.
            StorageError: an object is missing.
        """
        return self._both(commit)[1]

    def desired(self, commit: str) -> TreeMap:
        """Return the desired paths of a commit: every path but the captured ones.

        Raises:
            InvalidDocument: a declaration file is not valid.
            StorageError: an object is missing.
        """
        return TreeMap(self._repository, self._tree(commit), self.rules(commit).captured)

    def differing(self, before: str, after: str) -> Changes:
        """Return the desired paths by which two commits differ, reading only where they do.

        Raises:
            InvalidDocument: a declaration file is not valid.
            StorageError: an object is missing.
        """
        one, other = self._tree(before), self._tree(after)
        if one == other:
            return Changes()
        with self._lock:
            known = self._differing.get((one, other))
            if known is None:
                back = self._differing.get((other, one))
                known = self._compared(before, after) if back is None else back.reversed()
                _make_room(self._differing)
                self._differing[one, other] = known
            return known

    def _compared(self, before: str, after: str) -> Changes:
        found = trees.differing(self._repository, self._tree(before), self._tree(after))
        if self.rules(before) is not self.rules(after):  # what was captured, or is from now on
            paths = found.keys() | self.seeds(before).keys() | self.seeds(after).keys()
            return compare(_some(self.desired(before), paths), _some(self.desired(after), paths))
        found = {path: pair for path, pair in found.items() if not self.rules(after).captured(path)}
        return compare(
            {path: there for path, (there, _) in found.items() if there is not None},
            {path: here for path, (_, here) in found.items() if here is not None},
        )

    def moved(self, before: str, after: str) -> tuple[str, ...]:
        """Return every path by which two commits differ, captured or not, sorted.

        Raises:
            StorageError: an object is missing.
        """
        return tuple(sorted(trees.differing(self._repository, self._tree(before), self._tree(after))))

    def seeds(self, commit: str) -> dict[str, Entry]:
        """Return the captured paths of a commit: seeds for sections that are still empty. Not to be changed.

        Raises:
            InvalidDocument: a declaration file is not valid.
            StorageError: an object is missing.
        """
        with self._lock:
            known = self._seeds.get(commit)
            if known is None:
                known = self._seeds_of(commit)
                _make_room(self._seeds)
                self._seeds[commit] = known
            return known

    def _seeds_of(self, commit: str) -> dict[str, Entry]:
        """Find them below the directories that may hold any, unless these are the same as in another commit."""
        rules, paths = self.rules(commit), self.paths(commit)
        like = next((c for c in reversed(self._seeds) if self.rules(c) is rules), None)
        if like is not None and all(self.paths(like).row(root) == paths.row(root) for root in rules.captured_roots()):
            return self._seeds[like]
        return captured_paths(paths, rules)

    def digest(self, commit: str) -> str:
        """Return the id of the tree of the desired paths alone; equal trees have equal digests."""
        without = dict.fromkeys(self.seeds(commit))
        if not without:
            return self._tree(commit)
        return trees.updated(self._repository, self._tree(commit), without, trees.tree_id_of)

    def _both(self, commit: str) -> tuple[System, PathRules]:
        with self._lock:
            known = self._systems.get(commit)
            if known is None:
                system = load_system(self._files(commit)) if commit else System({}, (), default_policy())
                _make_room(self._systems)
                known = self._systems[commit] = (system, self._rules_of(system.policy.ignoring(self._ignore)))
            return known

    def _files(self, commit: str) -> dict[str, bytes]:
        """Return the declaration files of a commit."""
        paths = self.paths(commit)
        places = [STATE_FILE]
        for directory in _PLACES:
            for name in paths.names(directory):
                place = f"{directory}/{name}"
                places += [place, *(f"{place}/{below}" for below in paths.names(place))]
        found = {path: paths.get(path) for path in places if is_declaration(path)}
        return {path: self._repository.blob(entry.id) for path, entry in found.items() if entry is not None}

    def _rules_of(self, policy: Policy) -> PathRules:
        """Return the same rules for the same policy: whoever keeps what they said can go on with it."""
        known = next((rules for other, rules in self._rules if other == policy), None)
        if known is None:
            known = PathRules(policy)
            self._rules = [*self._rules[1 - _KEPT :], (policy, known)]
        return known


def captured_paths(paths: TreeMap, rules: PathRules) -> dict[str, Entry]:
    """Return the captured ones among the paths of a tree; only directories that may hold some are read.

    Raises:
        StorageError: an object is missing or a path is no UTF-8.
    """
    every = (pair for root in rules.captured_roots() for pair in paths.below(root))
    return {path: entry for path, entry in every if rules.captured(path)}


def _some(paths: PathMap, wanted: Iterable[str]) -> dict[str, Entry]:
    """Return what a path map has at some paths."""
    return {path: entry for path in wanted if (entry := paths.get(path)) is not None}


def _make_room(cache: dict[_Key, _Kept]) -> None:
    """Let the oldest go, so that one more is not too many."""
    while len(cache) >= _KEPT:
        cache.pop(next(iter(cache)))
