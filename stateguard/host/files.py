"""Durable files, in directories that somebody hostile may be changing.

Durable replace is written once, here: a temporary file beside its target, fsync, rename, fsync of the
directory. After it returns the new content survives a power cut; at no moment can a reader see a mixture.
It cannot promise anything about a disk that lies about flushing.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import hashlib
import os
import secrets
import stat
from collections.abc import Iterable
from pathlib import Path

from stateguard import faults
from stateguard.host.walk import open_root

TEMPORARY = ".stateguard-tmp-"
"""Prefix of every temporary name; whoever finds one after a crash may delete it."""

_NAME_BYTES = 240
_DIGEST_DIGITS = 32

_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_EXCHANGE = 2
"""RENAME_EXCHANGE of renameat2(2)."""

_libc = ctypes.CDLL(None, use_errno=True)

_CHUNK_BYTES, _PAGE_BYTES = 1 << 20, 1 << 12


def replace_at(directory: int, name: str, content: bytes, mode: int, owner: tuple[int, int] | None = None) -> None:
    """Make a regular file hold exactly these bytes, durably. ``mode`` are its permission bits.

    Raises:
        OSError: the disk refused; the old file is as it was.
    """
    replace_all_at(directory, ((name, content),), mode, owner)


def replace_all_at(
    directory: int, contents: Iterable[tuple[str, bytes]], mode: int, owner: tuple[int, int] | None = None
) -> None:
    """Make regular files of one directory hold these bytes, durably, in this order; a power cut may keep some of them.

    Raises:
        OSError: the disk refused; each file is as it was, or holds its new bytes.
    """
    ready: list[tuple[str, str]] = []
    try:
        for name, content in contents:
            ready.append((write_beside(directory, name, content, mode, owner, sync=True), name))
        while ready:
            faults.point("files.rename")
            os.rename(*ready[0], src_dir_fd=directory, dst_dir_fd=directory)
            ready.pop(0)
    except OSError:
        for temporary, _ in ready:
            forget_beside(directory, temporary)
        raise
    os.fsync(directory)
    faults.point("files.renamed")


def write_beside(
    directory: int, name: str, content: bytes, mode: int, owner: tuple[int, int] | None = None, *, sync: bool
) -> str:
    """Write a file beside its place, under a temporary name, which is returned; durable only with ``sync``.

    Raises:
        OSError: the disk refused; nothing is left of it.
    """
    temporary = _temporary(name)
    try:
        descriptor = os.open(temporary, _NEW, 0o600, dir_fd=directory)
    except FileExistsError:
        temporary = _freed(directory, temporary)
        descriptor = os.open(temporary, _NEW, 0o600, dir_fd=directory)
    try:
        try:
            faults.point("files.write")
            _write_all(descriptor, content)
            if owner is not None and owner != (os.geteuid(), os.getegid()):
                with contextlib.suppress(PermissionError):  # only root can give files away; the rest still holds
                    os.fchown(descriptor, *owner)
            os.fchmod(descriptor, mode)
            if sync:
                os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError:
        forget_beside(directory, temporary)
        raise
    return temporary


def link_beside(directory: int, name: str, target: str) -> str:
    """Make a symbolic link under a temporary name, which is returned.

    Raises:
        OSError: the disk refused.
    """
    temporary = _temporary(name)
    faults.point("files.write")
    try:
        os.symlink(target, temporary, dir_fd=directory)
    except FileExistsError:
        temporary = _freed(directory, temporary)
        os.symlink(target, temporary, dir_fd=directory)
    return temporary


def forget_beside(directory: int, temporary: str) -> None:
    """Remove a temporary file after an error: that error is the one that says what is wrong."""
    with contextlib.suppress(OSError):
        os.unlink(temporary, dir_fd=directory)


def sync_file_system(descriptor: int) -> None:
    """Make everything durable that was written to the file system of an open file or directory.

    One call costs about as much as two single flushes; whatever else was written there is flushed as well.

    Raises:
        OSError: the disk refused.
    """
    faults.point("files.sync")
    if _libc.syncfs(descriptor) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def exchange_at(directory: int, one: str, other: str) -> bool:
    """Let two names of a directory change places in one step; False where that cannot be, then nothing was done.

    It costs next to nothing, where a rename over a file waits until that file's blocks are given back.

    Raises:
        OSError: the disk refused.
    """
    renameat2 = getattr(_libc, "renameat2", None)
    if renameat2 is None:
        return False
    if renameat2(directory, os.fsencode(one), directory, os.fsencode(other), _EXCHANGE) == 0:
        return True
    number = ctypes.get_errno()
    if number in (errno.EINVAL, errno.ENOSYS, errno.ENOENT):
        return False
    raise OSError(number, os.strerror(number), other)


def link_at(directory: int, name: str, target: str) -> None:
    """Make a symbolic link point there, durably.

    Raises:
        OSError: the disk refused; what was there is as it was.
    """
    temporary = link_beside(directory, name, target)
    faults.point("files.rename")
    os.rename(temporary, name, src_dir_fd=directory, dst_dir_fd=directory)
    os.fsync(directory)


def remove_at(directory: int, name: str, *, sync: bool = True) -> None:
    """Remove a file or link; nothing there is fine. Durable at once only with ``sync``.

    Raises:
        OSError: the disk refused.
    """
    faults.point("files.remove")
    with contextlib.suppress(FileNotFoundError):
        os.unlink(name, dir_fd=directory)
    if sync:
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
    try:
        chunks, most = [], min(found.st_size + 1, _CHUNK_BYTES)
        while chunk := os.read(descriptor, most):
            chunks.append(chunk)
            most = _CHUNK_BYTES if len(chunk) == most else _PAGE_BYTES  # little is left after one that fell short
        read = os.fstat(descriptor)
        if not stat.S_ISREG(read.st_mode):  # something else took its place meanwhile
            raise OSError(errno.EINVAL, "neither a file nor a link", name)
        return b"".join(chunks), read
    finally:
        os.close(descriptor)


def replace(path: Path, content: bytes, mode: int = 0o600) -> None:
    """Make the file at a path hold exactly these bytes, durably.

    Raises:
        OSError: the disk refused; the old file is as it was.
    """
    with open_root(path.parent) as directory:
        replace_at(directory, path.name, content, mode)


def _freed(directory: int, temporary: str) -> str:
    """Return a temporary name at which nothing lies: what an interrupted write left there goes."""
    try:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary, dir_fd=directory)
    except IsADirectoryError:  # somebody made it: it must not keep the target from being written
        return TEMPORARY + secrets.token_hex()
    return temporary


def _temporary(name: str) -> str:
    """Name the file beside a target, cut to what a file system takes: 255 bytes, not characters.

    Names that are cut carry a digest: several of one beginning may be written at once.
    """
    whole = os.fsencode(TEMPORARY + name)
    if len(whole) <= _NAME_BYTES:
        return TEMPORARY + name
    digest = hashlib.sha256(whole).hexdigest()[:_DIGEST_DIGITS]
    return os.fsdecode(whole[: _NAME_BYTES - _DIGEST_DIGITS]) + digest


def _write_all(descriptor: int, content: bytes) -> None:
    left = memoryview(content)
    while left:
        left = left[os.write(descriptor, left) :]
