"""Space on the disk: how much is left, and a reserve that is given up when nothing else is left."""

from __future__ import annotations

import errno
import os
from dataclasses import dataclass
from pathlib import Path

from stateguard.errors import StorageError
from stateguard.host import files
from stateguard.host.logs import warn
from stateguard.host.walk import open_root
from stateguard.text.words import size

_BLOCK_BYTES = 512


@dataclass(frozen=True, slots=True)
class Space:
    """What a file system has left for those who are not root. ``total_inodes`` is 0 where it counts none."""

    free_bytes: int
    total_bytes: int
    free_inodes: int
    total_inodes: int
    device: int


def space_at(path: Path) -> Space:
    """Return what is left where a path lies.

    Raises:
        OSError: there is nothing at the path.
    """
    found = os.statvfs(path)
    return Space(
        found.f_bavail * found.f_frsize,
        found.f_blocks * found.f_frsize,
        found.f_favail,
        found.f_files,
        os.stat(path).st_dev,
    )


def reserved_bytes(path: Path) -> int:
    """Return how much disk the reserve file really occupies; 0 if there is none."""
    try:
        found = os.lstat(path)
    except FileNotFoundError:
        return 0
    return found.st_blocks * _BLOCK_BYTES


def reserve_gone(path: Path, size_bytes: int) -> str:
    """Return how much of the reserve is missing, in words; nothing if all of it is there."""
    held = reserved_bytes(path)
    return "" if held >= size_bytes else f"{size(held)} of disk are set aside instead of {size(size_bytes)}"


def keep_reserve(path: Path, size_bytes: int) -> None:
    """Make the reserve file occupy so many bytes of the disk; 0 removes it.

    Raises:
        StorageError: the disk has not that much left; what was reserved before is kept.
    """
    if size_bytes == 0:
        give_up_reserve(path)
        return
    held = reserved_bytes(path)
    if held >= size_bytes and path.stat().st_size == size_bytes:
        return
    try:
        _require_room(path, size_bytes - held)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            _occupy(descriptor, size_bytes)
        finally:
            os.close(descriptor)
    except OSError as error:
        message = f"no {size_bytes} bytes could be set aside in {path}: {error.strerror}"
        raise StorageError(
            message, next_step="free space on that disk, or set a smaller reserve in guard.yaml"
        ) from error


def _require_room(path: Path, size_bytes: int) -> None:
    """Look before asking: a file system gives all it has before it says that it is not enough, and others need that."""
    if size_bytes > space_at(path.parent).free_bytes:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))


def _occupy(descriptor: int, size_bytes: int) -> None:
    before = os.fstat(descriptor).st_size
    try:
        os.posix_fallocate(descriptor, 0, size_bytes)
    except OSError:
        os.ftruncate(descriptor, before)  # what was had of it by then must not fill the disk
        raise
    os.ftruncate(descriptor, size_bytes)
    os.fsync(descriptor)


def give_up_reserve(path: Path) -> int:
    """Remove the reserve file, so that what must be written finds room; returns the bytes that were freed.

    Raises:
        OSError: the disk refused.
    """
    freed = reserved_bytes(path)
    with open_root(path.parent) as directory:
        files.remove_at(directory, path.name)
    return freed


class Relief:
    """Gives up the reserve when the disk of a guard home is full."""

    def __init__(self, reserve: Path) -> None:
        """``reserve`` is the reserve file."""
        self._reserve = reserve

    def __call__(self) -> bool:
        """Give it up if less is left than it holds; says whether something was freed.

        Raises:
            OSError: the disk refused.
        """
        held = reserved_bytes(self._reserve)
        if held == 0 or space_at(self._reserve.parent).free_bytes >= held:
            return False
        freed = give_up_reserve(self._reserve)
        warn("the disk is full: the reserve was given up", freed_bytes=freed)
        return True
