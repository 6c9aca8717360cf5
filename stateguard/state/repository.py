"""One bare repository: objects durable before they are named, refs moved by compare-and-swap."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import pygit2
from pygit2.enums import ObjectType

from stateguard import faults
from stateguard.errors import NotFoundError, StorageError
from stateguard.model.identity import ZERO
from stateguard.state.git import git
from stateguard.state.locks import despite_locks
from stateguard.state.refs import WRITER, moved_here
from stateguard.state.settings import SHIPPED_SERVICE, configure, wanted_settings

pygit2.option(pygit2.enums.Option.ENABLE_FSYNC_GITDIR, True)  # noqa: FBT003 - the library's own signature

_Object = TypeVar("_Object")
_BLOB = int(ObjectType.BLOB)
_DEFAULT_LEVEL = -1
"""Of compression: libgit2 wants to be told, although nothing is written by this way."""

pygit2.settings.mwindow_size = 1024 * 1024
pygit2.settings.mwindow_mapped_limit = 16 * 1024 * 1024
"""So much of all packs is mapped into memory at once, where libgit2 by itself would hold on to gigabytes."""


@dataclass(frozen=True, slots=True)
class RefMove:
    """One ref and where it goes: 40 zeros as ``old`` means it must not exist, as ``new`` that it is deleted."""

    name: str
    new: str
    old: str


@dataclass(frozen=True, slots=True)
class CommitView:
    """What a commit says. ``committed_at`` is Unix time in seconds."""

    id: str
    tree: str
    parents: tuple[str, ...]
    author: str
    email: str
    message: str
    committed_at: float


class Repository:
    """A bare repository; may be used from several threads."""

    def __init__(self, path: Path, quarantine: Path | None = None) -> None:
        """``quarantine`` is where receive-pack keeps the objects of a push that is not yet admitted."""
        self.path = path
        self._quarantine = quarantine
        self._local = threading.local()
        self._renewals = 0
        self.moves = 0
        """Grows whenever refs were moved through this object, or may have been."""

    @classmethod
    def create(cls, path: Path, *, served: bool) -> Repository:
        """Make a bare repository with settings under which nothing acknowledged is lost.

        Raises:
            StorageError: git could not.
        """
        git(path, "init", "-q", "--bare", "--initial-branch=main", str(path))
        configure(path, wanted_settings(SHIPPED_SERVICE if served else None))
        return cls(path)

    @property
    def handle(self) -> pygit2.Repository:
        """This thread's pygit2 repository.

        Raises:
            StorageError: there is no repository.
        """
        found, renewals = getattr(self._local, "handle", None), self._renewals
        if found is None or self._local.renewals != renewals:
            try:
                found = pygit2.Repository(str(self.path), pygit2.enums.RepositoryOpenFlag.BARE)
            except pygit2.GitError as error:
                message = f"{self.path} is no git repository: {error}"
                raise StorageError(message) from error
            if self._quarantine is not None:
                found.odb.add_disk_alternate(str(self._quarantine))
            self._local.handle, self._local.renewals = found, renewals
        return found

    def renew(self) -> None:
        """Let every thread open the repository anew: a handle would hold on to packs that were taken away."""
        self._renewals += 1

    def ref(self, name: str) -> str | None:
        """Return the object id that a ref names, or None; a symbolic ref that leads nowhere names none.

        Raises:
            StorageError: the ref is damaged.
        """
        try:
            found = self.handle.references.get(name)
            return None if found is None else str(found.resolve().target)
        except KeyError:
            return None
        except pygit2.GitError as error:
            message = f"{name} in {self.path.name} cannot be read: {error}"
            raise StorageError(message, next_step="look at the ref; its reflog says what it named") from error

    def refs(self, prefix: str) -> dict[str, str]:
        """Return every ref below a prefix with its object id.

        Raises:
            StorageError: one of them is damaged.
        """
        names = [n for n in self.handle.references if n.startswith(prefix)]
        return {name: target for name in sorted(names) if (target := self.ref(name))}

    def every_ref(self) -> dict[str, str]:
        """Return all refs with their object ids, read by git in a process of its own: other threads are not held up.

        Raises:
            StorageError: git could not.
        """
        listed = git(self.path, "for-each-ref", "--format=%(objectname) %(refname)").decode(errors="replace")
        rows = (line.partition(" ") for line in listed.splitlines())
        return {name: object_id for object_id, _, name in rows}

    def move(self, moves: Sequence[RefMove]) -> None:
        """Move refs under locks on all of them, in this order, each only if it is still where it was thought to be.

        Raises:
            StorageError: one of them was not, or git could not write.
        """
        faults.point("repository.move")
        try:
            if not moved_here(self.handle, [(m.name, m.new, m.old) for m in moves]):
                self._move_by_git(moves)
        finally:
            self.moves += 1  # refused, too: some may have moved before another could not
        faults.point("repository.moved")

    def _move_by_git(self, moves: Sequence[RefMove]) -> None:
        lines = [f"delete {m.name} {m.old}" if m.new == ZERO else f"update {m.name} {m.new} {m.old}" for m in moves]
        asked = "\n".join(["start", *lines, "prepare", "commit", ""]).encode()
        who = dict(zip(("NAME", "EMAIL"), WRITER, strict=True))
        extra = {f"GIT_{role}_{what}": value for role in ("AUTHOR", "COMMITTER") for what, value in who.items()}
        despite_locks(self.path, lambda: git(self.path, "update-ref", "--stdin", stdin=asked, extra=extra))

    def resolve(self, text: str) -> str:
        """Return the id of the commit that a revision names.

        Raises:
            NotFoundError: there is none.
        """
        try:
            found = self.handle.revparse_single(text)
            return str(found.peel(pygit2.Commit).id)
        except (KeyError, ValueError, pygit2.GitError) as error:
            message = f"{text!r} names no commit in {self.path.name}"
            raise NotFoundError(message, next_step="see: stateguard history") from error

    def has(self, object_id: str) -> bool:
        """Say whether an object is there."""
        try:
            return bool(self.handle.odb.exists(object_id))
        except ValueError:
            return False

    def present(self) -> Callable[[str], bool]:
        """Return what says of many objects whether they are there; it learns of none that come later.

        It does not look for packs that are new, as :meth:`has` does at each object that is not there. Those of other
        repositories that this one borrows from count as not there.
        """
        objects = str(self.path / "objects")
        packed, loose = pygit2.OdbBackendPack(objects), pygit2.OdbBackendLoose(objects, _DEFAULT_LEVEL, False)  # noqa: FBT003
        return lambda object_id: packed.exists(object_id) or loose.exists(object_id)

    def commit(self, object_id: str) -> CommitView:
        """Return what a commit says.

        Raises:
            StorageError: it is missing or no commit.
        """
        found = self._get(object_id, pygit2.Commit)
        message = found.read_raw().partition(b"\n\n")[2]  # libgit2 itself leaves out line ends at the beginning
        return CommitView(
            id=str(found.id),
            tree=str(found.tree_id),
            parents=tuple(str(p) for p in found.parent_ids),
            author=_decoded(found.author.raw_name),
            email=_decoded(found.author.raw_email),
            message=_decoded(message),
            committed_at=float(found.commit_time),
        )

    def blob(self, object_id: str) -> bytes:
        """Return the bytes of a blob.

        Raises:
            StorageError: it is missing or no blob.
        """
        kind, content = self.raw(object_id)  # half the time of looking it up as an object of its kind
        if kind != _BLOB:
            message = f"object {object_id} in {self.path.name} is no blob"
            raise StorageError(message)
        return content

    def blob_size(self, object_id: str) -> int:
        """Return the size of an object in bytes without reading it.

        Raises:
            StorageError: it is missing.
        """
        try:
            return int(self.handle.odb.read_header(object_id)[1])
        except (KeyError, pygit2.GitError) as error:
            message = f"object {object_id} is missing in {self.path.name}"
            raise StorageError(message) from error

    def raw(self, object_id: str) -> tuple[int, bytes]:
        """Return type number and bytes of any object.

        Raises:
            StorageError: it is missing or damaged.
        """
        try:
            kind, content = self.handle.odb.read(object_id)
        except (KeyError, ValueError, pygit2.GitError) as error:
            message = f"object {object_id} is missing in {self.path.name}"
            raise StorageError(message) from error
        return int(kind), bytes(content)

    def write(self, kind: ObjectType, content: bytes) -> str:
        """Write an object durably; returns its id.

        Raises:
            StorageError: the disk refused.
        """
        try:
            faults.point("repository.write")
            return str(self.handle.write(kind, content))
        except (pygit2.GitError, OSError) as error:
            message = f"{self.path.name} cannot be written: {error}"
            raise StorageError(message, next_step="check the space left on the disk") from error

    def is_ancestor(self, older: str, newer: str) -> bool:
        """Say whether one commit is reachable from another, itself included.

        Raises:
            StorageError: a commit is missing.
        """
        try:
            return older == newer or bool(self.handle.descendant_of(newer, older))
        except (KeyError, ValueError, pygit2.GitError) as error:
            message = f"the commits between {older} and {newer} cannot be read in {self.path.name}"
            raise StorageError(message) from error

    def between(self, older: str, newer: str) -> list[CommitView]:
        """Return the commits reachable from ``newer`` and not from ``older``, newest first.

        Raises:
            StorageError: a commit is missing.
        """
        return [self.commit(one) for one in self.beyond([older] if older else [], newer)]

    def beyond(self, known: Iterable[str], newest: str) -> list[str]:
        """Return the ids of the commits reachable from one and from none of the known ones, newest first.

        Raises:
            StorageError: a commit is missing.
        """
        try:
            walker = self.handle.walk(newest, pygit2.enums.SortMode.TOPOLOGICAL)
            for one in known:
                walker.hide(one)
            return [str(commit.id) for commit in walker]
        except (KeyError, ValueError, pygit2.GitError) as error:
            message = f"the commits that {newest} brings cannot be read in {self.path.name}"
            raise StorageError(message) from error

    def first_parents(self, newest: str) -> Iterable[str]:
        """Yield a commit and its first parents, newest first."""
        current: str | None = newest
        while current:
            yield current
            parents = self.commit(current).parents
            current = parents[0] if parents else None

    def _get(self, object_id: str, kind: type[_Object]) -> _Object:
        try:
            found = self.handle.get(object_id)
        except (ValueError, pygit2.GitError) as error:
            message = f"{object_id!r} cannot be read in {self.path.name}: {error}"
            raise StorageError(message) from error
        if not isinstance(found, kind):
            message = f"object {object_id} in {self.path.name} is missing or no {kind.__name__.lower()}"
            raise StorageError(message)
        return found


def _decoded(raw: bytes) -> str:
    """Decode as UTF-8, whatever encoding a commit claims: whoever pushes writes the claim."""
    return raw.decode(errors="replace")
