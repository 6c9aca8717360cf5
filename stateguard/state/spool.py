"""A repository that cannot be written, carried on in the spool of the home until it can be.

The spool is a bare repository of its own that borrows the objects of the first one and begins with its refs. All that
is written meanwhile lies there: commits, the audit chain, emergency backups. When the first one can be written again,
the new objects and the refs that moved are brought home in one transaction, and the spool goes.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import threading
from collections.abc import Sequence
from pathlib import Path

from pygit2.enums import ObjectType

from stateguard import faults
from stateguard.errors import StorageError
from stateguard.host import files
from stateguard.host.logs import failure, log, warn
from stateguard.host.walk import open_root
from stateguard.model.identity import ZERO
from stateguard.state.git import git
from stateguard.state.repository import RefMove, Repository
from stateguard.state.settings import settings_of

_BASE = "stateguard-base"
"""File in a spool with the refs it began with, as ``for-each-ref`` lists them."""
_LISTING = ("for-each-ref", "--format=%(objectname) %(refname)")
_PROBE = files.TEMPORARY + "writable"


class SpooledRepository(Repository):
    """A repository that moves into a spool when it cannot be written; ``path`` is where it is now."""

    def __init__(self, path: Path, spool: Path) -> None:
        """``spool`` is where it goes; what an earlier process left there is gone on with."""
        super().__init__(spool if spool.is_dir() else path)
        self._first, self._spool = path, spool
        self._moving = threading.RLock()

    @property
    def spooled(self) -> bool:
        """Whether it lives in its spool."""
        return self.path == self._spool

    def write(self, kind: ObjectType, content: bytes) -> str:
        """Write an object durably, in the spool if the repository cannot be written.

        Raises:
            StorageError: that cannot be written either.
        """
        try:
            return super().write(kind, content)
        except StorageError:
            if not self.find_shelter():
                raise
            return super().write(kind, content)

    def move(self, moves: Sequence[RefMove]) -> None:
        """Move refs in one transaction, in the spool if the repository cannot be written.

        Raises:
            StorageError: a ref was not where it was thought to be, or the spool cannot be written either.
        """
        try:
            super().move(moves)
        except StorageError:
            if not self.find_shelter():
                raise
            super().move(moves)

    def find_shelter(self) -> bool:
        """Move into the spool if the repository cannot be written; says whether it did.

        Raises:
            StorageError: the home cannot be written either.
        """
        with self._moving:
            if self.spooled or is_writable(self._first):
                return False
            try:
                _make(self._first, self._spool)
            except OSError as error:
                message = (
                    f"neither {self._first.name} nor a spool in the home can be written: {error.strerror or error}"
                )
                raise StorageError(message, next_step="mend the disk: nothing can be recorded") from error
            except StorageError:
                failure("no spool can be made of a repository that cannot be read", repository=self._first.name)
                return False
            warn("a repository cannot be written; what is new is kept in the spool", repository=self._first.name)
            self._go(self._spool)
            return True

    def come_home(self) -> bool:
        """Bring what lies in the spool back, if the repository can be written again; says whether it did.

        Raises:
            StorageError: it cannot, because a ref was moved there meanwhile; the spool stays.
        """
        with self._moving:
            if not self.spooled:
                _sweep(self._spool)
                return False
            if not is_writable(self._first):
                return False
            _bring_home(self._spool, self._first)
            self._go(self._first)
            _remove(self._spool)
            log("what was kept in the spool was brought home", repository=self._first.name)
            return True

    def _go(self, path: Path) -> None:
        self.path = path
        self.renew()
        self.moves += 1


def is_writable(repository: Path) -> bool:
    """Say whether files can be made where a repository keeps its objects and its refs."""
    for name in ("objects", "refs"):
        probe = repository / name / _PROBE
        try:
            os.close(os.open(probe, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600))
            probe.unlink()
        except OSError:
            return False
    return True


def _make(first: Path, spool: Path) -> None:
    building = spool.with_name(files.TEMPORARY + spool.name)
    shutil.rmtree(building, ignore_errors=True)
    spool.parent.mkdir(mode=0o700, exist_ok=True)
    git(first, "init", "-q", "--bare", "--template=", "--initial-branch=main", str(building))
    for name in ("config", "HEAD"):
        shutil.copyfile(first / name, building / name)
    if "uploadpack.hiderefs" in settings_of(building):
        git(building, "config", "--unset-all", "uploadpack.hideRefs")  # what goes home is fetched from here
    (building / "objects/info").mkdir(exist_ok=True)
    (building / "objects/info/alternates").write_text(f"{first / 'objects'}\n", encoding="utf-8")
    listed = git(first, *_LISTING)
    (building / _BASE).write_bytes(listed)
    lines = [line.partition(" ") for line in listed.decode().splitlines()]
    updates = "".join(f"create {name} {object_id}\n" for object_id, _, name in lines)
    git(building, "update-ref", "--stdin", stdin=updates.encode())
    _flush(building)  # every one of these files has to be there before the spool counts as begun
    faults.point("spool.begin")
    with open_root(spool.parent) as directory:
        files.rename_at(directory, building.name, spool.name)


def _flush(top: Path) -> None:
    for directory, _, names in os.walk(top):
        for path in (*(Path(directory, name) for name in names), Path(directory)):
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)


def _bring_home(spool: Path, first: Path) -> None:
    base, now = _refs((spool / _BASE).read_bytes()), _refs(git(spool, *_LISTING))
    home = Repository(first)
    moved = {name for name in {*base, *now} if base.get(name) != now.get(name) and home.ref(name) != now.get(name)}
    wanted = sorted(name for name in moved if name in now)
    if wanted:
        git(first, "fetch", "-q", "--no-tags", "--no-write-fetch-head", str(spool), *wanted, deadline_seconds=600)
    faults.point("spool.fetched")
    if moved:
        home.move([RefMove(name, now.get(name, ZERO), base.get(name, ZERO)) for name in sorted(moved)])
    faults.point("spool.home")


def _remove(spool: Path) -> None:
    leaving = spool.with_name(files.TEMPORARY + spool.name)
    shutil.rmtree(leaving, ignore_errors=True)
    with open_root(spool.parent) as directory:
        files.rename_at(directory, spool.name, leaving.name)
    _sweep(spool)


def _sweep(spool: Path) -> None:
    """Remove what a spool that never began, or has come home, left."""
    if spool.parent.is_dir():
        shutil.rmtree(spool.with_name(files.TEMPORARY + spool.name), ignore_errors=True)
        with contextlib.suppress(OSError):
            spool.parent.rmdir()


def _refs(listed: bytes) -> dict[str, str]:
    rows = (line.partition(" ") for line in listed.decode().splitlines())
    return {name: object_id for object_id, _, name in rows}
