"""What commits declare: their system, path rules and desired paths, each read once."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from stateguard.config.defaults import default_policy
from stateguard.config.sections import PathRules
from stateguard.config.system import is_declaration, load_system
from stateguard.model.identity import EMPTY_TREE
from stateguard.model.policy import Policy, System
from stateguard.model.selftest import Named, softened
from stateguard.model.tree import Changes, Entry, compare
from stateguard.state import trees
from stateguard.state.repository import Repository

_Key = TypeVar("_Key")
_Kept = TypeVar("_Kept")

_KEPT = 16
_KEPT_PATHS = 300_000
"""Of large trees fewer are kept: so many paths in all, but never less than two trees."""


@dataclass(frozen=True, slots=True)
class _Whole:
    """What a commit holds: the id of its tree, every path, and which of these are declarations."""

    tree: str
    paths: dict[str, Entry]
    files: frozenset[str]


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
        self._whole: dict[str, _Whole] = {}
        self._desired: dict[str, dict[str, Entry]] = {}
        self._differing: dict[tuple[str, str], Changes] = {}
        self._systems: dict[str, tuple[System, PathRules]] = {}
        self._rules: list[tuple[Policy, PathRules]] = []

    def paths(self, commit: str) -> dict[str, Entry]:
        """Return every path of a commit. Not to be changed.

        Raises:
            StorageError: an object is missing.
        """
        return self._whole_of(commit).paths

    def _whole_of(self, commit: str) -> _Whole:
        if not commit:
            return _Whole(EMPTY_TREE, {}, frozenset())
        with self._lock:
            known = self._whole.get(commit)
            if known is None:
                known = self._read(commit)
                _make_room(self._whole, lambda one: len(one.paths))
                self._whole[commit] = known
            return known

    def _read(self, commit: str) -> _Whole:
        """Return what a commit holds, derived from another's if one is known: what is equal in both is not read."""
        tree = self._repository.commit(commit).tree
        like = next(reversed(self._whole.values()), None)
        if like is None:
            found = trees.path_map(self._repository, tree)
            return _Whole(tree, found, frozenset(path for path in found if is_declaration(path)))
        moved = trees.differing(self._repository, like.tree, tree)
        found = _with(like.paths, moved)
        fresh = {path for path in moved if path in found and is_declaration(path)}
        return _Whole(tree, found, (like.files - moved.keys()) | fresh)

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

    def desired(self, commit: str) -> dict[str, Entry]:
        """Return the desired paths of a commit: every path but the captured ones. Not to be changed."""
        with self._lock:
            known = self._desired.get(commit)
            if known is None:
                known = self._desired_of(commit)
                _make_room(self._desired, len)
                self._desired[commit] = known
            return known

    def _desired_of(self, commit: str) -> dict[str, Entry]:
        rules, whole = self.rules(commit), self._whole_of(commit)
        like = next((c for c in reversed(self._desired) if c and self.rules(c) is rules), None)
        if like is None:
            return {path: entry for path, entry in whole.paths.items() if not rules.captured(path)}
        moved = trees.differing(self._repository, self._whole_of(like).tree, whole.tree)
        return _with(self._desired[like], {path: pair for path, pair in moved.items() if not rules.captured(path)})

    def differing(self, before: str, after: str) -> Changes:
        """Return the desired paths by which two commits differ, reading only where they do.

        Raises:
            InvalidDocument: a declaration file is not valid.
            StorageError: an object is missing.
        """
        if before == after:
            return Changes()
        with self._lock:
            known = self._differing.get((before, after))
            if known is None:
                _make_room(self._differing)
                known = self._differing[before, after] = self._compared(before, after)
            return known

    def _compared(self, before: str, after: str) -> Changes:
        rules = self.rules(after)
        if not before or not after or self.rules(before) is not rules:
            return compare(self.desired(before), self.desired(after))
        moved = trees.differing(self._repository, self._whole_of(before).tree, self._whole_of(after).tree)
        found = sorted((path, pair) for path, pair in moved.items() if not rules.captured(path))
        return Changes(
            added=tuple(path for path, (old, _) in found if old is None),
            changed=tuple(path for path, (old, new) in found if old is not None and new is not None),
            removed=tuple(path for path, (_, new) in found if new is None),
        )

    def seeds(self, commit: str) -> dict[str, Entry]:
        """Return the captured paths of a commit: seeds for sections that are still empty."""
        desired, paths = self.desired(commit), self.paths(commit)
        if len(desired) == len(paths):
            return {}
        return {path: paths[path] for path in paths.keys() - desired.keys()}

    def digest(self, commit: str) -> str:
        """Return the id of the tree of the desired paths alone; equal trees have equal digests."""
        without = dict.fromkeys(self.seeds(commit))
        return trees.updated(self._repository, self._whole_of(commit).tree, without, trees.tree_id_of)

    def _both(self, commit: str) -> tuple[System, PathRules]:
        with self._lock:
            known = self._systems.get(commit)
            if known is None:
                whole = self._whole_of(commit)
                files = {path: self._repository.blob(whole.paths[path].id) for path in whole.files}
                system = load_system(files) if commit else System({}, (), default_policy())
                _make_room(self._systems)
                known = self._systems[commit] = (system, self._rules_of(system.policy.ignoring(self._ignore)))
            return known

    def _rules_of(self, policy: Policy) -> PathRules:
        """Return the same rules for the same policy: whoever keeps what they said can go on with it."""
        known = next((rules for other, rules in self._rules if other == policy), None)
        if known is None:
            known = PathRules(policy)
            self._rules = [*self._rules[1 - _KEPT :], (policy, known)]
        return known


def _with(paths: dict[str, Entry], moved: Mapping[str, tuple[Entry | None, Entry | None]]) -> dict[str, Entry]:
    """Return paths with those that moved (before, after) as they are afterwards."""
    found = dict(paths)
    for path, (_, entry) in moved.items():
        if entry is None:
            del found[path]
        else:
            found[path] = entry
    return found


def _make_room(cache: dict[_Key, _Kept], paths: Callable[[_Kept], int] = lambda _: 0) -> None:
    """Let the oldest go, so that one more is not too many; ``paths`` says how many paths an entry holds."""
    every = sum(map(paths, cache.values()))
    while len(cache) >= _KEPT or (len(cache) > 1 and every > _KEPT_PATHS):
        every -= paths(cache.pop(next(iter(cache))))
