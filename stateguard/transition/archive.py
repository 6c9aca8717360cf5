"""Keep what lies in the live directory in captured.git, and mark how far each conversation had grown by then."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from pygit2.enums import ObjectType

from stateguard.config.sections import PathRules
from stateguard.errors import StateguardError, StorageError
from stateguard.host.clock import now_text, wall_seconds
from stateguard.host.logs import failure
from stateguard.live.scan import Captured, Scanner
from stateguard.live.tracked import Tracked
from stateguard.model.tree import Entry, Overlay, PathMap
from stateguard.model.watermark import Force
from stateguard.record.watermarks import Watermarks
from stateguard.state import fingerprint, trees
from stateguard.state.batch import Batch
from stateguard.state.fingerprint import DigestCache
from stateguard.state.repository import Repository
from stateguard.state.snapshot import name_snapshot
from stateguard.transition.declared import Declared


@dataclass(frozen=True, slots=True)
class Kept:
    """Where things are kept: both repositories, the watermarks, and digests that were computed before."""

    repository: Repository
    captured: Repository
    watermarks: Watermarks
    digests: DigestCache


@dataclass(frozen=True, slots=True)
class _Last:
    """The last snapshot of a complete state: every object of it is in captured.git, for as long as a ref names it."""

    ref: str
    commit: str
    tree: str
    paths: Overlay


class GivesWay(Exception):  # noqa: N818 - no error: what was kept so far is not kept again
    """Something more urgent waits; keeping can go on later."""


class Archive:
    """Reads the live directory and keeps it; changes nothing there."""

    def __init__(self, store: Kept, declared: Declared, scanner: Callable[[], Scanner], tracked: Tracked) -> None:
        """``scanner`` returns the scanner of the live directory as it is ruled now, ``tracked`` knows its drift."""
        self._store, self._declared, self._scanner, self._tracked = store, declared, scanner, tracked
        self._last: _Last | None = None

    def packed(self) -> bytes:
        """Return what is known of the last snapshot, for :meth:`unpack`; nothing if there is none."""
        last = self._last
        if last is None:
            return b""
        changes = {path: [entry.mode, entry.id] if entry else None for path, entry in last.paths.changes.items()}
        return json.dumps([last.ref, last.commit, last.paths.revision, changes]).encode()

    def unpack(self, packed: bytes) -> None:
        """Go on from the last snapshot of another archive of the same state, if it still has its name.

        Raises:
            StorageError: an object is missing.
        """
        ref, commit, revision, changes = json.loads(packed)
        if self._store.captured.ref(ref) == commit:
            paths = Overlay(
                self._declared.desired(revision), {p: Entry(*e) if e else None for p, e in changes.items()}, revision
            )
            self._last = _Last(ref, commit, self._store.captured.commit(commit).tree, paths)

    def all(
        self,
        commit: str,
        force: str,
        more: Iterable[str] = (),
        operation: int | None = None,
        urgent: Callable[[], bool] = lambda: False,
        drifted: Iterable[str] | None = None,
    ) -> PathMap:
        """Keep the desired paths of a commit, the captured ones, and some more; returns what lies there.

        ``force`` is the main commit that was in force until now, ``operation`` the transition that asks. ``urgent``
        says whether something else has to come first. ``drifted`` are the desired paths that lie there otherwise, if
        that was looked at a moment ago.

        Raises:
            GivesWay: something has.
            StorageError: captured.git or the database could not be written.
            OSError: something there cannot be read.
        """
        desired = self._declared.desired(commit)
        if not commit:
            return Overlay({}, self._keep(more, force, operation, urgent), "")
        look = self._unlike(commit, desired, drifted)
        look |= set(more) | set(self._scanner().captured().paths)
        kept = self._keep(look, force, operation, urgent)
        return Overlay(desired, {path: kept.get(path) for path in look}, commit)

    def these(self, paths: Iterable[str], force: str, operation: int | None = None) -> dict[str, Entry]:
        """Keep these paths and the captured ones, as :meth:`all` does."""
        return self._keep({*paths, *self._scanner().captured().paths}, force, operation, lambda: False)

    def again(self, backup: str, commit: str, operation: int) -> PathMap:
        """Keep once more what a backup of a commit's state holds, as it lies there now.

        Raises:
            StorageError: captured.git or the database could not be written.
            OSError: something there cannot be read.
        """
        last = self._last
        if last is not None and last.commit == backup:
            return self.all(commit, commit, last.paths.changes, operation)
        rules = self._scanner().rules
        return self.these((path for path in self.kept_in(backup) if not rules.captured(path)), commit, operation)

    def _unlike(self, commit: str, desired: PathMap, drifted: Iterable[str] | None) -> set[str]:
        """Return the desired paths of which the last snapshot may not hold what lies there now."""
        last = self._last
        if last is None:
            return set(desired)
        if drifted is None:
            drifted = [one.path for one in self._tracked.drift(commit, desired)]
        moved = self._declared.differing(last.paths.revision, commit).paths
        return {*drifted, *moved, *(path for path in last.paths.changes if path in desired)}

    def _keep(
        self, paths: Iterable[str], force: str, operation: int | None, urgent: Callable[[], bool]
    ) -> dict[str, Entry]:
        scanner, captured = self._scanner(), self._store.captured
        batch = Batch(captured)

        def store(content: bytes) -> str:
            if urgent():
                batch.flush()
                raise GivesWay
            return batch.write(ObjectType.BLOB, content)

        kept = scanner.keep(sorted(set(paths)), store, captured.has)
        batch.flush()
        self._mark(scanner.rules, kept, self.blob, force, operation)
        return kept

    def captured(self) -> Captured:
        """Return what there is of the paths that the running system owns."""
        return self._scanner().captured()

    def note(self, force: str, operation: int) -> None:
        """Keep the captured paths in the midst of a transition; what goes wrong is logged, and stops nobody."""
        try:
            self.these((), force, operation)
        except (StateguardError, OSError):
            failure("what agents wrote until here could not be kept", operation=operation)

    def force(self, revision: str) -> Force:
        """Return a commit with its fingerprint.

        Raises:
            StorageError: an object is missing.
        """
        if not revision:
            return Force("", "")
        repository = self._store.repository
        tree = repository.commit(revision).tree
        return Force(revision, fingerprint.incremental(repository, tree, self._store.digests))

    def write(self, paths: PathMap, ref: str, message: str, parents: Sequence[str]) -> str:
        """Write paths that are kept as a snapshot and name it; returns its commit.

        Raises:
            StorageError: captured.git could not be written.
        """
        batch = Batch(self._store.captured)
        tree = self._tree(paths, lambda content: batch.write(ObjectType.TREE, content))
        commit = name_snapshot(self._store.captured, batch, tree, ref, message, wall_seconds(), parents)
        if isinstance(paths, Overlay) and paths.revision:
            self._last = _Last(ref, commit, tree, paths)
        return commit

    def tree(self, paths: PathMap) -> str:
        """Return the id of the tree of paths that are kept, without writing it.

        Raises:
            StorageError: an object is missing.
        """
        return self._tree(paths, trees.tree_id_of)

    def _tree(self, paths: PathMap, write: Callable[[bytes], str]) -> str:
        """Make a tree, from the last snapshot's if there is one: what is equal in both is not looked at."""
        last = self._last
        if last is None or not isinstance(paths, Overlay) or not paths.revision:
            return trees.build_with(paths, write)
        moved = self._declared.differing(last.paths.revision, paths.revision).paths
        changes = {path: paths.get(path) for path in {*moved, *last.paths.changes, *paths.changes}}
        try:
            return trees.updated(self._store.captured, last.tree, changes, write)
        except StorageError:
            failure("the last snapshot cannot be read; this one is made without it", tree=last.tree)
            self._last = None
            return trees.build_with(paths, write)

    def kept_in(self, commit: str) -> dict[str, Entry]:
        """Return the paths of a snapshot.

        Raises:
            StorageError: an object is missing.
        """
        return trees.path_map(self._store.captured, self._store.captured.commit(commit).tree)

    def restoring(self, snapshot: str, rules: PathRules) -> dict[str, Entry | None]:
        """Return every captured path as a snapshot has it, and all others as absent.

        Files that pass a ceiling are left alone: they could not be kept, so they are not displaced.

        Raises:
            StorageError: an object is missing.
        """
        present = self.captured()
        wanted: dict[str, Entry | None] = dict.fromkeys(p for p in present.paths if rules.captured(p))
        wanted |= {path: entry for path, entry in self.kept_in(snapshot).items() if rules.captured(path)}
        return {path: entry for path, entry in wanted.items() if path not in {one.path for one in present.over}}

    def blob(self, object_id: str) -> bytes | None:
        """Return the bytes of a captured blob, None if it was never kept.

        Raises:
            StorageError: it is damaged.
        """
        captured = self._store.captured
        return captured.blob(object_id) if captured.has(object_id) else None

    def _mark(
        self,
        rules: PathRules,
        seen: Mapping[str, Entry],
        read: Callable[[str], bytes | None],
        force: str,
        operation: int | None,
    ) -> None:
        mine = {path: entry for path, entry in seen.items() if rules.captured(path)}
        self._store.watermarks.mark(mine, read, self.force(force), now_text(), operation)
