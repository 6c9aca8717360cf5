"""What commits declare: their system, path rules and desired paths, each read once."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from stateguard.config.defaults import default_policy
from stateguard.config.sections import PathRules
from stateguard.config.system import is_declaration, load_system
from stateguard.model.policy import System
from stateguard.model.selftest import Named, softened
from stateguard.model.tree import Entry
from stateguard.state import trees
from stateguard.state.repository import Repository

_KEPT = 16


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
        self._systems: dict[str, tuple[System, PathRules]] = {}

    def paths(self, commit: str) -> dict[str, Entry]:
        """Return every path of a commit.

        Raises:
            StorageError: an object is missing.
        """
        if not commit:
            return {}
        if commit not in self._paths:
            _make_room(self._paths)
            self._paths[commit] = trees.path_map(self._repository, self._repository.commit(commit).tree)
        return self._paths[commit]

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
        """Return the desired paths of a commit: every path but the captured ones."""
        rules = self.rules(commit)
        return {path: entry for path, entry in self.paths(commit).items() if not rules.captured(path)}

    def seeds(self, commit: str) -> dict[str, Entry]:
        """Return the captured paths of a commit: seeds for sections that are still empty."""
        rules = self.rules(commit)
        return {path: entry for path, entry in self.paths(commit).items() if rules.captured(path)}

    def digest(self, commit: str) -> str:
        """Return the id of the tree of the desired paths alone; equal trees have equal digests."""
        return trees.tree_id(self.desired(commit))

    def _both(self, commit: str) -> tuple[System, PathRules]:
        if commit not in self._systems:
            _make_room(self._systems)
            files = {p: self._repository.blob(e.id) for p, e in self.paths(commit).items() if is_declaration(p)}
            system = load_system(files) if commit else System({}, (), default_policy())
            self._systems[commit] = (system, PathRules(system.policy.ignoring(self._ignore)))
        return self._systems[commit]


def _make_room(cache: dict[str, Any]) -> None:
    if len(cache) >= _KEPT:
        cache.pop(next(iter(cache)))
