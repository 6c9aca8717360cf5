"""Keep what lies in the live directory in captured.git, and mark how far each conversation had grown by then."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from pygit2.enums import ObjectType

from stateguard.config.sections import PathRules
from stateguard.errors import StateguardError
from stateguard.host.clock import now_text, wall_seconds
from stateguard.host.logs import failure
from stateguard.live.scan import Captured, Scanner
from stateguard.model.tree import Entry, PathMap
from stateguard.model.watermark import Force
from stateguard.record.watermarks import Watermarks
from stateguard.state import fingerprint, trees
from stateguard.state.fingerprint import DigestCache
from stateguard.state.repository import Repository
from stateguard.state.snapshot import write_snapshot
from stateguard.transition.declared import Declared


@dataclass(frozen=True, slots=True)
class Kept:
    """Where things are kept: both repositories, the watermarks, and digests that were computed before."""

    repository: Repository
    captured: Repository
    watermarks: Watermarks
    digests: DigestCache


class GivesWay(Exception):  # noqa: N818 - no error: what was kept so far is not kept again
    """Something more urgent waits; keeping can go on later."""


class Archive:
    """Reads the live directory and keeps it; changes nothing there."""

    def __init__(self, store: Kept, declared: Declared, scanner: Callable[[], Scanner]) -> None:
        """``scanner`` returns the scanner of the live directory under the rules in force."""
        self._store, self._declared, self._scanner = store, declared, scanner

    def all(
        self,
        commit: str,
        force: str,
        more: Iterable[str] = (),
        operation: int | None = None,
        urgent: Callable[[], bool] = lambda: False,
    ) -> dict[str, Entry]:
        """Keep the desired paths of a commit, the captured ones, and some more; returns what lies there.

        ``force`` is the main commit that was in force until now, ``operation`` the transition that asks. ``urgent``
        says whether something else has to come first.

        Raises:
            GivesWay: something has.
            StorageError: captured.git or the database could not be written.
            OSError: something there cannot be read.
        """
        paths = {*self._declared.desired(commit), *more}
        return self.these(paths, force, operation, urgent)

    def these(
        self,
        paths: Iterable[str],
        force: str,
        operation: int | None = None,
        urgent: Callable[[], bool] = lambda: False,
    ) -> dict[str, Entry]:
        """Keep these paths and the captured ones, as :meth:`all` does."""
        scanner, captured = self._scanner(), self._store.captured

        def store(content: bytes) -> str:
            if urgent():
                raise GivesWay
            return captured.write(ObjectType.BLOB, content)

        wanted = sorted({*paths, *scanner.captured().paths})
        kept = scanner.keep(wanted, store, captured.has)
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
        return write_snapshot(self._store.captured, paths, ref, message, wall_seconds(), parents)

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
