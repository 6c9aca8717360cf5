"""Make paths of the live directory equal a tree; doing it twice changes nothing the second time."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from stateguard import faults
from stateguard.errors import StorageError
from stateguard.host import files
from stateguard.host.walk import Walk, open_directory, open_root
from stateguard.live import database
from stateguard.live.replaced import Beside, Replaced
from stateguard.model.tree import EXECUTABLE, SYMLINK, Entry, parents

_ABSENT = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP)
_FEW = 32
"""So many paths are flushed one by one; for more, one flush of the whole file system is cheaper."""

Read = Callable[[str], bytes]
"""Returns the bytes of a blob by object id."""


def make_equal(
    root: Path,
    paths: Iterable[tuple[str, Entry | None]],
    read: Read,
    captured: Callable[[str], bool] = lambda _: False,
    replaced: Replaced | None = None,
) -> int:
    """Make every path hold its entry (None: nothing); returns how many had to be touched.

    Removals come first, so that a directory can take the place of a file; then every new file is written beside its
    place, all are made durable together, and each changes places with the old one: no reader ever sees a part of one,
    and after a power cut each path holds the old or the new bytes. When this returns, all of it is durable, and the
    old files are gone or (with ``replaced``) go in the background. Replaced files keep owner and permission bits, of
    which git versions only the executable one. Directories that a removal leaves empty go, and so do the logs beside
    a captured SQLite database: what they hold was kept with it. Logs elsewhere are somebody's.

    Raises:
        StorageError: the disk refused, or something stands in the way that is not ours to remove.
    """
    wanted = sorted(paths, key=lambda item: _place(item[0]))
    writing = _Writing(read, captured, together=len(wanted) > _FEW, keeps_old=replaced is not None)
    try:
        with open_root(root) as top:
            writing.all(top, wanted)
        if replaced is not None:
            replaced.go(root, writing.old, [path for path, _ in wanted])
    except OSError as error:
        message = f"{root}: {error.strerror or error} ({error.filename or 'no path'})"
        changed = f"{writing.touched} of {len(wanted)} paths"
        raise StorageError(message, changed=changed, next_step="look at the disk and at what lies there") from error
    except StorageError as error:
        error.changed = f"{writing.touched} of {len(wanted)} paths"
        raise
    return writing.touched


def _place(path: str) -> tuple[str, str]:
    """Return where a path lies, and its name: by this order, paths of one directory follow each other."""
    directory, _, name = path.rpartition("/")
    return directory, name


@dataclass(frozen=True, slots=True)
class _Ready:
    """A new file that waits beside its place."""

    path: str
    temporary: str
    spoils: bool
    replaces: bool


class _Writing:
    """One call of :func:`make_equal`."""

    def __init__(self, read: Read, captured: Callable[[str], bool], *, together: bool, keeps_old: bool) -> None:
        self._read, self._captured, self._together, self._keeps_old = read, captured, together, keeps_old
        self.touched = 0
        self.old: list[Beside] = []
        """Files that were replaced, and wait to be removed."""

    def all(self, top: int, wanted: list[tuple[str, Entry | None]]) -> None:
        self._top, self._walk = top, Walk(top)
        try:
            self._all(wanted)
        finally:
            self._walk.close()

    def _all(self, wanted: list[tuple[str, Entry | None]]) -> None:
        for path, entry in wanted:
            if entry is None:
                self.touched += self._remove(path)
        ready: list[_Ready] = []
        try:
            self._write(wanted, ready)
        except (OSError, StorageError):
            self._forget(*(Beside(one.path, one.temporary) for one in ready), *self.old)
            raise
        if not self._keeps_old:
            self._forget(*self.old)

    def _write(self, wanted: list[tuple[str, Entry | None]], ready: list[_Ready]) -> None:
        """Write what is wanted; ``ready`` holds at any moment what lies beside its place and is not there yet."""
        for path, entry in wanted:
            if entry is not None:
                self._prepare(path, entry, ready)
        if self._together and ready:
            files.sync_file_system(self._top)
        ready.reverse()
        while ready:
            self._place(ready[-1])
            ready.pop()
            self.touched += 1
        if self._together and self.touched:
            files.sync_file_system(self._top)

    def _prepare(self, path: str, entry: Entry, ready: list[_Ready]) -> None:
        """Write the new bytes beside their place, unless what lies there is as wanted."""
        *parts, name = path.split("/")
        directory = self._directory(tuple(parts))
        owner = _owner(os.fstat(directory))
        bits = 0o755 if entry.mode == EXECUTABLE else 0o644
        content = self._read(entry.id)
        spoils = self._captured(path) and database.is_database(content)
        same, found = _compared(directory, name, content)
        if found is not None:
            if same and _same_kind(found, entry):
                self.touched += min(database.forget_logs(directory, name), 1) if spoils else 0
                return
            owner = _owner(found)
            if stat.S_ISREG(found.st_mode):
                bits = _bits(found.st_mode, executable=entry.mode == EXECUTABLE)
        faults.point("live.put")
        if entry.mode == SYMLINK:
            temporary = files.link_beside(directory, name, os.fsdecode(content))
        else:
            temporary = files.write_beside(directory, name, content, bits, owner, sync=not self._together)
        ready.append(_Ready(path, temporary, spoils, replaces=found is not None))

    def _place(self, one: _Ready) -> None:
        *parts, name = one.path.split("/")
        directory = self._walk.at(tuple(parts))
        if one.spoils:
            database.forget_logs(directory, name)
        faults.point("files.rename")
        if one.replaces and files.exchange_at(directory, one.temporary, name):
            self._take_out(directory, one, name)
        else:
            os.rename(one.temporary, name, src_dir_fd=directory, dst_dir_fd=directory)
        if not self._together:
            os.fsync(directory)
        faults.point("files.renamed")

    def _take_out(self, directory: int, one: _Ready, name: str) -> None:
        """Note what a new file changed places with; a directory that came meanwhile gets its place back."""
        if stat.S_ISDIR(os.lstat(one.temporary, dir_fd=directory).st_mode):
            files.exchange_at(directory, one.temporary, name)
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), name)
        self.old.append(Beside(one.path, one.temporary))

    def _forget(self, *every: Beside) -> None:
        for one in every:
            try:
                files.forget_beside(self._walk.at(tuple(one.path.split("/")[:-1])), one.temporary)
            except OSError as error:
                if error.errno not in _ABSENT:
                    raise

    def _directory(self, parts: tuple[str, ...]) -> int:
        """Open a directory, made if need be, in place of a link that took its place."""
        try:
            return self._walk.at(parts, create=True)
        except OSError as error:
            if error.errno not in (errno.ELOOP, errno.ENOTDIR):
                raise
        _clear_links(self._top, parts)
        return self._walk.at(parts, create=True)

    def _remove(self, path: str) -> int:
        *parts, name = path.split("/")
        removed = 0
        try:
            directory = self._walk.at(tuple(parts))
            if stat.S_ISDIR(os.lstat(name, dir_fd=directory).st_mode):
                return 0
            if self._captured(path) and database.lies_at(directory, name):
                database.forget_logs(directory, name)
            files.remove_at(directory, name, sync=not self._together)
            removed = 1
        except OSError as error:
            if error.errno not in _ABSENT:
                raise
        self._remove_empty(path)
        return removed

    def _remove_empty(self, path: str) -> None:
        """Remove the directories above a path that are empty, also those that an interrupted removal left."""
        for above in parents(path):
            *upper, last = above.split("/")
            try:
                with open_directory(self._top, tuple(upper)) as directory:
                    if not files.remove_empty_at(directory, last):
                        return
                    self._walk.close()
            except OSError as error:
                if error.errno not in _ABSENT:
                    raise


def _clear_links(top: int, parts: tuple[str, ...]) -> None:
    """Remove a symbolic link that took the place of a directory; what it points to is not touched."""
    for depth in range(len(parts)):
        try:
            with open_directory(top, parts[:depth]) as directory:
                if stat.S_ISLNK(os.lstat(parts[depth], dir_fd=directory).st_mode):
                    files.remove_at(directory, parts[depth])
        except FileNotFoundError:
            return


def _compared(directory: int, name: str, content: bytes) -> tuple[bool, os.stat_result | None]:
    """Say whether exactly these bytes lie there, with the stat of what does (None: nothing)."""
    try:
        found = os.lstat(name, dir_fd=directory)
        if stat.S_ISREG(found.st_mode) and found.st_size != len(content):
            return False, found
        present, found = files.read_at(directory, name)
    except FileNotFoundError:
        return False, None
    return present == content, found


def _same_kind(found: os.stat_result, entry: Entry) -> bool:
    if entry.mode == SYMLINK:
        return stat.S_ISLNK(found.st_mode)
    return stat.S_ISREG(found.st_mode) and bool(found.st_mode & stat.S_IXUSR) == (entry.mode == EXECUTABLE)


def _bits(mode: int, *, executable: bool) -> int:
    bits = stat.S_IMODE(mode) & 0o777
    return bits | ((bits & 0o444) >> 2) | stat.S_IXUSR if executable else bits & ~0o111


def _owner(found: os.stat_result) -> tuple[int, int]:
    return (found.st_uid, found.st_gid)
