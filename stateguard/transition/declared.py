"""What commits declare: their system, path rules and desired paths, each read once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from stateguard.config.defaults import default_policy
from stateguard.config.sections import PathRules
from stateguard.config.system import is_declaration, load_system
from stateguard.model.policy import Policy, System
from stateguard.model.selftest import Named, softened
from stateguard.model.tree import Changes, Entry, compare
from stateguard.state import trees
from stateguard.state.repository import Repository

_KEPT = 16
_KEPT_PATHS = 300_000
"""Of large trees fewer are kept: so many paths in all, but never less than two trees."""


class Declared:
    """Reads main commits; the empty text stands for nothing at all."""

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
        self._paths: dict[str, dict[str, Entry]] = {}
        self._desired: dict[str, dict[str, Entry]] = {}
        self._files: dict[str, frozenset[str]] = {}
        self._differing: dict[tuple[str, str], Changes] = {}
        self._systems: dict[str, tuple[System, PathRules]] = {}
        self._rules: list[tuple[Policy, PathRules]] = []

    def paths(self, commit: str) -> dict[str, Entry]:
        """Return every path of a commit.

        Raises:
            StorageError: an object is missing.
        """
        if not commit:
            return {}
        known = self._paths.get(commit)
        if known is None:
            known = self._read(commit)
            for gone in _make_room(self._paths):
                del self._files[gone]
            self._paths[commit] = known
        return known

    def _read(self, commit: str) -> dict[str, Entry]:
        """Return the paths of a commit, derived from another's if one is known: what is equal in both is not read."""
        tree = self._repository.commit(commit).tree
        like = next(reversed(self._paths), None)
        if like is None:
            found = trees.path_map(self._repository, tree)
            self._files[commit] = frozenset(path for path in found if is_declaration(path))
            return found
        found, moved = (
            dict(self._paths[like]),
            trees.differing(self._repository, self._repository.commit(like).tree, tree),
        )
        _take(found, moved)
        self._files[commit] = self._files[like] - moved.keys() | {p for p in moved if p in found and is_declaration(p)}
        return found

    def system(self, commit: str) -> System:
        """Return what a commit declares, as it holds here: probes that were found flaky are not required.

        Raises:
            InvalidDocument: a declaration file is not valid.
            StorageError: an object is missing.
        """
        flaky, system = self._flaky(), self.literally(commit)
        if not flaky:
            return system
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
        known = self._desired.get(commit)
        if known is None:
            known = self._desired_of(commit)
            _make_room(self._desired)
            self._desired[commit] = known
        return known

    def _desired_of(self, commit: str) -> dict[str, Entry]:
        rules, paths = self.rules(commit), self.paths(commit)
        like = next((c for c in reversed(self._desired) if c and self.rules(c) is rules), None)
        if like is None:
            return {path: entry for path, entry in paths.items() if not rules.captured(path)}
        found = dict(self._desired[like])
        trees_of = [self._repository.commit(c).tree for c in (like, commit)]
        moved = trees.differing(self._repository, trees_of[0], trees_of[1])
        _take(found, {path: pair for path, pair in moved.items() if not rules.captured(path)})
        return found

    def differing(self, before: str, after: str) -> Changes:
        """Return the desired paths by which two commits differ, reading only where they do.

        Raises:
            InvalidDocument: a declaration file is not valid.
            StorageError: an object is missing.
        """
        if before == after:
            return Changes()
        known = self._differing.get((before, after))
        if known is None:
            if len(self._differing) >= _KEPT:
                self._differing.pop(next(iter(self._differing)))
            known = self._differing[before, after] = self._compared(before, after)
        return known

    def _compared(self, before: str, after: str) -> Changes:
        rules = self.rules(after)
        if not before or not after or self.rules(before) is not rules:
            return compare(self.desired(before), self.desired(after))
        repository = self._repository
        moved = trees.differing(repository, repository.commit(before).tree, repository.commit(after).tree)
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
        if not commit:
            return trees.tree_id({})
        without = dict.fromkeys(self.seeds(commit))
        return trees.updated(self._repository, self._repository.commit(commit).tree, without, trees.tree_id_of)

    def _both(self, commit: str) -> tuple[System, PathRules]:
        if commit not in self._systems:
            _make_room(self._systems)
            paths = self.paths(commit)
            files = {path: self._repository.blob(paths[path].id) for path in self._files.get(commit, ())}
            system = load_system(files) if commit else System({}, (), default_policy())
            self._systems[commit] = (system, self._rules_of(system.policy.ignoring(self._ignore)))
        return self._systems[commit]

    def _rules_of(self, policy: Policy) -> PathRules:
        """Return the same rules for the same policy: whoever keeps what they said can go on with it."""
        known = next((rules for other, rules in self._rules if other == policy), None)
        if known is None:
            known = PathRules(policy)
            self._rules = [*self._rules[1 - _KEPT :], (policy, known)]
        return known


def _take(paths: dict[str, Entry], moved: Mapping[str, tuple[Entry | None, Entry | None]]) -> None:
    for path, (_, entry) in moved.items():
        if entry is None:
            del paths[path]
        else:
            paths[path] = entry


def _make_room(cache: dict[str, Any]) -> list[str]:
    """Let the oldest go; returns of which commits."""
    every, gone = sum(len(one) for one in cache.values() if isinstance(one, dict)), list[str]()
    while len(cache) >= _KEPT or (len(cache) > 1 and every > _KEPT_PATHS):
        gone.append(next(iter(cache)))
        found = cache.pop(gone[-1])
        every -= len(found) if isinstance(found, dict) else 0
    return gone
