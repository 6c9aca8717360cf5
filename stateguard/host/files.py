"""Durable files, and walking a directory that somebody hostile may be changing.

Durable replace is written once, here: a temporary file beside its target, fsync, rename, fsync of the
directory. After it returns the new content survives a power cut; at no moment can a reader see a mixture.
It cannot promise anything about a disk that lies about flushing.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Iterator
from pathlib import Path

from stateguard import faults

TEMPORARY = ".stateguard-tmp-"
"""Prefix of every temporary name; whoever finds one after a crash may delete it."""

_NAME_BYTES = 240

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


@contextlib.contextmanager
def open_root(path: Path) -> Iterator[int]:
    """Open a directory for walking below it.

    Raises:
        OSError: it is no directory.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def open_directory(root: int, parts: tuple[str, ...], *, create: bool = False) -> Iterator[int]:
    """Open the directory below a root, never following a symbolic link.

    Raises:
        FileNotFoundError: it does not exist and is not to be created.
        OSError: a component is a link (ELOOP) or no directory (ENOTDIR).
    """
    current = os.dup(root)
    try:
        for part in parts:
            try:
                deeper = os.open(part, _DIRECTORY, dir_fd=current)
            except FileNotFoundError:
                if not create:
                    raise
                os.mkdir(part, 0o755, dir_fd=current)
                os.fsync(current)
                deeper = os.open(part, _DIRECTORY, dir_fd=current)
            os.close(current)
            current = deeper
        yield current
    finally:
        os.close(current)


def replace_at(directory: int, name: str, content: bytes, mode: int, owner: tuple[int, int] | None = None) -> None:
    """Make a regular file hold exactly these bytes, durably. ``mode`` are its permission bits.

    Raises:
        OSError: the disk refused; the old file is as it was.
    """
    temporary = _temporary(name)
    with contextlib.suppress(FileNotFoundError):
        os.unlink(temporary, dir_fd=directory)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(temporary, flags, 0o600, dir_fd=directory)
    try:
        try:
            faults.point("files.write")
            _write_all(descriptor, content)
            if owner is not None and owner != (os.geteuid(), os.getegid()):
                with contextlib.suppress(PermissionError):  # only root can give files away; the rest still holds
                    os.fchown(descriptor, *owner)
            os.fchmod(descriptor, mode)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        faults.point("files.rename")
        os.rename(temporary, name, src_dir_fd=directory, dst_dir_fd=directory)
    except OSError:
        with contextlib.suppress(OSError):  # the first error is the one that says what is wrong
            os.unlink(temporary, dir_fd=directory)
        raise
    os.fsync(directory)
    faults.point("files.renamed")


def link_at(directory: int, name: str, target: str) -> None:
    """Make a symbolic link point there, durably.

    Raises:
        OSError: the disk refused; what was there is as it was.
    """
    temporary = _temporary(name)
    with contextlib.suppress(FileNotFoundError):
        os.unlink(temporary, dir_fd=directory)
    os.symlink(target, temporary, dir_fd=directory)
    faults.point("files.rename")
    os.rename(temporary, name, src_dir_fd=directory, dst_dir_fd=directory)
    os.fsync(directory)


def remove_at(directory: int, name: str) -> None:
    """Remove a file or link, durably; nothing there is fine.

    Raises:
        OSError: the disk refused.
    """
    faults.point("files.remove")
    with contextlib.suppress(FileNotFoundError):
        os.unlink(name, dir_fd=directory)
    os.fsync(directory)


def rename_at(directory: int, name: str, new: str) -> None:
    """Give a file, link or directory another name in its directory, durably; it stays the same to the last bit.

    Raises:
        OSError: the disk refused, or something else has that name.
    """
    with contextlib.suppress(FileNotFoundError):
        os.lstat(new, dir_fd=directory)
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), new)
    faults.point("files.rename")
    os.rename(name, new, src_dir_fd=directory, dst_dir_fd=directory)
    os.fsync(directory)


def remove_empty_at(directory: int, name: str) -> bool:
    """Remove a directory if it is empty; say whether it is gone."""
    try:
        os.rmdir(name, dir_fd=directory)
    except FileNotFoundError:
        return True
    except OSError as error:
        if error.errno in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR, errno.EBUSY, errno.EACCES):
            return False
        raise
    return True


def read_at(directory: int, name: str) -> tuple[bytes, os.stat_result]:
    """Return the bytes of a regular file, or the target of a link, with what fstat says of it.

    Raises:
        FileNotFoundError: nothing is there.
        IsADirectoryError: a directory is there.
        OSError: it is neither file nor link, or cannot be read.
    """
    found = os.lstat(name, dir_fd=directory)
    if stat.S_ISLNK(found.st_mode):
        return os.fsencode(os.readlink(name, dir_fd=directory)), found
    if stat.S_ISDIR(found.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), name)
    if not stat.S_ISREG(found.st_mode):
        raise OSError(errno.EINVAL, "neither a file nor a link", name)
    descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK, dir_fd=directory)
    with os.fdopen(descriptor, "rb") as stream:
        return stream.read(), os.fstat(stream.fileno())


def replace(path: Path, content: bytes, mode: int = 0o600) -> None:
    """Make the file at a path hold exactly these bytes, durably.

    Raises:
        OSError: the disk refused; the old file is as it was.
    """
    with open_root(path.parent) as directory:
        replace_at(directory, path.name, content, mode)


def _temporary(name: str) -> str:
    """Name the file beside a target, cut to what a file system takes: 255 bytes, not characters."""
    return os.fsdecode(os.fsencode(TEMPORARY + name)[:_NAME_BYTES])


def _write_all(descriptor: int, content: bytes) -> None:
    left = memoryview(content)
    while left:
        left = left[os.write(descriptor, left) :]
