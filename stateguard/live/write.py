"""Make paths of the live directory equal a tree; doing it twice changes nothing the second time."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Iterable
from pathlib import Path

from stateguard import faults
from stateguard.errors import StorageError
from stateguard.host import files
from stateguard.live import database
from stateguard.model.tree import EXECUTABLE, SYMLINK, Entry, parents

_ABSENT = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP)

Read = Callable[[str], bytes]
"""Returns the bytes of a blob by object id."""


def make_equal(
    root: Path, paths: Iterable[tuple[str, Entry | None]], read: Read, captured: Callable[[str], bool] = lambda _: False
) -> int:
    """Make every path hold its entry (None: nothing); returns how many had to be touched.

    Removals come first, so that a directory can take the place of a file. Replaced files keep owner and
    permission bits, of which git versions only the executable one. Directories that a removal leaves empty go, and
    so do the logs beside a captured SQLite database: what they hold was kept with it. Logs elsewhere are somebody's.

    Raises:
        StorageError: the disk refused, or something stands in the way that is not ours to remove.
    """
    wanted = list(paths)
    touched = 0
    try:
        with files.open_root(root) as top:
            for path, entry in wanted:
                if entry is None:
                    touched += _remove(top, path, captured)
            for path, entry in wanted:
                if entry is not None:
                    touched += _put(top, path, entry, read, captured)
    except OSError as error:
        message = f"{root}: {error.strerror or error} ({error.filename or 'no path'})"
        raise StorageError(
            message, changed=f"{touched} of {len(wanted)} paths", next_step="look at the disk and at what lies there"
        ) from error
    except StorageError as error:
        error.changed = f"{touched} of {len(wanted)} paths"
        raise
    return touched


def sweep(root: Path, paths: Iterable[str]) -> None:
    """Remove temporary files that an interrupted write left beside these paths.

    Raises:
        OSError: the disk refused.
    """
    directories = {tuple(path.split("/")[:-1]) for path in paths}
    with files.open_root(root) as top:
        for parts in directories:
            try:
                with files.open_directory(top, parts) as directory:
                    for name in os.listdir(directory):
                        if name.startswith(files.TEMPORARY):
                            files.remove_at(directory, name)
            except (FileNotFoundError, NotADirectoryError):
                continue


def _remove(top: int, path: str, captured: Callable[[str], bool]) -> int:
    *parts, name = path.split("/")
    removed = 0
    try:
        with files.open_directory(top, tuple(parts)) as directory:
            if stat.S_ISDIR(os.lstat(name, dir_fd=directory).st_mode):
                return 0
            if captured(path) and database.lies_at(directory, name):
                database.forget_logs(directory, name)
            files.remove_at(directory, name)
            removed = 1
    except OSError as error:
        if error.errno not in _ABSENT:
            raise
    _remove_empty(top, path)
    return removed


def _remove_empty(top: int, path: str) -> None:
    """Remove the directories above a path that are empty, also those that an interrupted removal left."""
    for above in parents(path):
        *upper, last = above.split("/")
        try:
            with files.open_directory(top, tuple(upper)) as directory:
                if not files.remove_empty_at(directory, last):
                    return
        except OSError as error:
            if error.errno not in _ABSENT:
                raise


def _put(top: int, path: str, entry: Entry, read: Read, captured: Callable[[str], bool]) -> int:
    *parts, name = path.split("/")
    _clear_links(top, tuple(parts))
    with files.open_directory(top, tuple(parts), create=True) as directory:
        owner = _owner(os.fstat(directory))
        bits = 0o755 if entry.mode == EXECUTABLE else 0o644
        content = read(entry.id)
        spoiled = captured(path) and database.is_database(content)
        spoiling = database.forget_logs(directory, name) if spoiled else 0
        try:
            present, found = files.read_at(directory, name)
        except FileNotFoundError:
            present, found = b"", None
        if found is not None:
            if present == content and _same_kind(found, entry):
                return min(spoiling, 1)
            owner = _owner(found)
            if stat.S_ISREG(found.st_mode):
                bits = _bits(found.st_mode, executable=entry.mode == EXECUTABLE)
        faults.point("live.put")
        if entry.mode == SYMLINK:
            files.link_at(directory, name, os.fsdecode(content))
        else:
            files.replace_at(directory, name, content, bits, owner)
    return 1


def _clear_links(top: int, parts: tuple[str, ...]) -> None:
    """Remove a symbolic link that took the place of a directory; what it points to is not touched."""
    for depth in range(len(parts)):
        try:
            with files.open_directory(top, parts[:depth]) as directory:
                if stat.S_ISLNK(os.lstat(parts[depth], dir_fd=directory).st_mode):
                    files.remove_at(directory, parts[depth])
        except FileNotFoundError:
            return


def _same_kind(found: os.stat_result, entry: Entry) -> bool:
    if entry.mode == SYMLINK:
        return stat.S_ISLNK(found.st_mode)
    return stat.S_ISREG(found.st_mode) and bool(found.st_mode & stat.S_IXUSR) == (entry.mode == EXECUTABLE)


def _bits(mode: int, *, executable: bool) -> int:
    bits = stat.S_IMODE(mode) & 0o777
    return bits | ((bits & 0o444) >> 2) | stat.S_IXUSR if executable else bits & ~0o111


def _owner(found: os.stat_result) -> tuple[int, int]:
    return (found.st_uid, found.st_gid)
