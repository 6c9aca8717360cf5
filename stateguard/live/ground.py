"""What stands in the live directory where something is to be written, and moving it aside."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterable
from pathlib import Path

from stateguard.errors import StorageError
from stateguard.host import files
from stateguard.host.walk import Walk, open_directory, open_root, walking
from stateguard.model.ground import Ground
from stateguard.model.transition import PathWrite
from stateguard.model.tree import OBSTACLE, parents

_ABSENT = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP)


def survey(root: Path, todo: Iterable[PathWrite]) -> Ground:
    """Return what lies above and at the paths of these writes.

    Raises:
        OSError: a directory there cannot be read.
    """
    blocked: set[str] = set()
    directories: dict[str, frozenset[str]] = {}
    known: set[str] = set()
    with walking(root) as walk:
        for write in sorted(todo, key=lambda one: one.path):
            above = () if write.after is None else parents(write.path)
            for path in [p for p in above if p not in known]:
                known.add(path)
                found = _look(walk, path)
                if found is not None and not stat.S_ISDIR(found.st_mode):
                    blocked.add(path)
            if write.before == OBSTACLE:
                found = _look(walk, write.path)
                if found is not None and stat.S_ISDIR(found.st_mode):
                    directories[write.path] = frozenset(_below(root, write.path))
    return Ground(frozenset(blocked), directories)


def database_in_use(root: Path, paths: Iterable[str]) -> tuple[str, str] | None:
    """Return the first path with a SQLite log beside it, or beside where it shall come, that holds what it does not.

    Raises:
        OSError: a directory there cannot be read.
    """
    with walking(root) as walk:
        for path in paths:
            for log in (f"{path}-wal", f"{path}-journal"):
                found = _look(walk, log)
                if found is not None and stat.S_ISREG(found.st_mode) and found.st_size:
                    return path, log
    return None


def exists(root: Path, path: str) -> bool:
    """Say whether anything has this name, be it a link that leads nowhere."""
    return _seen(root, path) is not None


def set_aside(root: Path, path: str, other: str) -> None:
    """Move what lies at a path to another one beside it, unless that was done already.

    Raises:
        StorageError: the disk refused.
    """
    if not exists(root, other) and exists(root, path):
        _rename(root, path, other)


def bring_back(root: Path, path: str, other: str) -> bool:
    """Move what was set aside to its path again, in place of a file that took it; False if a directory is there.

    Raises:
        StorageError: the disk refused.
    """
    if not exists(root, other):
        return True
    present = _seen(root, path)
    if present is not None and stat.S_ISDIR(present.st_mode):
        return False
    if present is not None:
        with open_root(root) as top:
            *parts, name = path.split("/")
            with open_directory(top, tuple(parts)) as directory:
                files.remove_at(directory, name)
    _rename(root, other, path)
    return True


def _rename(root: Path, path: str, other: str) -> None:
    *parts, name = path.split("/")
    try:
        with open_root(root) as top, open_directory(top, tuple(parts)) as directory:
            files.rename_at(directory, name, other.rsplit("/", 1)[-1])
    except OSError as error:
        message = f"{path} cannot be moved aside: {error.strerror or error}"
        raise StorageError(message, next_step="move it away by hand") from error


def _seen(root: Path, path: str) -> os.stat_result | None:
    with walking(root) as walk:
        return _look(walk, path)


def _look(walk: Walk, path: str) -> os.stat_result | None:
    """Return what lstat says of a path, never looking through a link; None where nothing is."""
    *parts, name = path.split("/")
    try:
        return os.lstat(name, dir_fd=walk.at(tuple(parts)))
    except OSError as error:
        if error.errno in _ABSENT:
            return None
        raise


def _below(root: Path, path: str) -> Iterable[str]:
    for directory, names, filenames in os.walk(root / path, followlinks=False):
        here = os.path.relpath(directory, root)
        links = [n for n in names if os.path.islink(os.path.join(directory, n))]
        yield from (f"{here}/{name}" for name in (*filenames, *links))
        if not names and not filenames:
            yield here
