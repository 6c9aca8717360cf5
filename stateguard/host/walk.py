"""Opening directories below a root that somebody hostile may be changing: no link is ever followed."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
from collections.abc import Iterator
from pathlib import Path

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC

_OPENAT2 = 437
"""The number of openat2(2), the same on every machine that Linux numbers alike: all but alpha."""
_NO_MAGIC_LINKS, _NO_LINKS, _BENEATH = 0x02, 0x04, 0x08
"""RESOLVE_NO_MAGICLINKS, RESOLVE_NO_SYMLINKS and RESOLVE_BENEATH of openat2(2)."""
_CLOSED = -1

_libc = ctypes.CDLL(None, use_errno=True)
_libc.syscall.restype = ctypes.c_long


class _How(ctypes.Structure):
    _fields_ = (("flags", ctypes.c_uint64), ("mode", ctypes.c_uint64), ("resolve", ctypes.c_uint64))


_how = _How(_DIRECTORY, 0, _NO_MAGIC_LINKS | _NO_LINKS | _BENEATH)


@contextlib.contextmanager
def open_root(path: Path) -> Iterator[int]:
    """Open a directory for walking below it.

    Raises:
        OSError: it is no directory.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        _require_apart(path, descriptor)
        yield descriptor
    finally:
        os.close(descriptor)


_apart: dict[str, tuple[str, str]] = {}


def keep_apart(root: Path, hidden: Path, own: str) -> None:
    """From now on do not open a root that leads into a directory, or above it: somebody may have made a link of it.

    ``own`` is where it lies in there, if it was put there, or the directory itself, if that was put into the root.
    """
    _apart[os.fspath(root)] = (os.path.realpath(hidden), own)


def _require_apart(path: Path, descriptor: int) -> None:
    hidden, own = _apart.get(os.fspath(path), ("", ""))
    if not hidden or own == hidden:
        return
    place = os.readlink(f"/proc/self/fd/{descriptor}").rstrip("/") + "/"
    inside = place.startswith(hidden + "/") and not (own and place.startswith(own + "/"))
    if inside or f"{hidden}/".startswith(place):
        raise OSError(errno.EXDEV, "it leads to the guard home", os.fspath(path))


@contextlib.contextmanager
def open_directory(root: int, parts: tuple[str, ...], *, create: bool = False) -> Iterator[int]:
    """Open the directory below a root, never following a symbolic link.

    Raises:
        FileNotFoundError: it does not exist and is not to be created.
        OSError: a component is a link (ELOOP or ENOTDIR) or no directory (ENOTDIR).
    """
    walk = Walk(root)
    try:
        yield walk.at(parts, create=create)
    finally:
        walk.close()


class Walk:
    """Directories below a root, one after the other: the last one stays open until another is asked for."""

    def __init__(self, root: int) -> None:
        """Walk below this open directory."""
        self._root = root
        self._here = _CLOSED
        self._parts: tuple[str, ...] = ()

    def at(self, parts: tuple[str, ...], *, create: bool = False) -> int:
        """Return the open directory at these parts, never following a link; good until the next call.

        Raises:
            FileNotFoundError: it does not exist and is not to be created.
            OSError: a component is a link (ELOOP or ENOTDIR) or no directory (ENOTDIR).
        """
        if parts != self._parts:
            self.close()
            self._here = _opened(self._root, parts, create=create)
            self._parts = parts
        return self._here if parts else self._root

    def close(self) -> None:
        """Let the directory go: it may be removed, or another may take its place."""
        if self._here != _CLOSED:
            os.close(self._here)
        self._here, self._parts = _CLOSED, ()


@contextlib.contextmanager
def walking(path: Path) -> Iterator[Walk]:
    """Open a directory for walking below it.

    Raises:
        OSError: it is no directory.
    """
    with open_root(path) as root:
        walk = Walk(root)
        try:
            yield walk
        finally:
            walk.close()


def _opened(root: int, parts: tuple[str, ...], *, create: bool) -> int:
    """Open a directory, in one system call where there is such a one and everything is there."""
    if not parts:
        return _CLOSED
    try:
        return open_beneath(root, "/".join(parts))
    except FileNotFoundError:
        if not create:
            raise
    except OSError as error:
        if error.errno not in (errno.ENOSYS, errno.EPERM, errno.ENAMETOOLONG, errno.EAGAIN):
            raise
    return open_in_steps(root, parts, create=create)


def open_beneath(root: int, path: str) -> int:
    """Open a directory below another one by openat2(2), whatever its depth.

    Raises:
        OSError: as :meth:`Walk.at` has it; ENOSYS or EPERM: there is no such call here; ENAMETOOLONG: too long for it.
    """
    raw = os.fsencode(path)
    if b"\0" in raw:
        raise ValueError("embedded null byte")
    descriptor = int(_libc.syscall(_OPENAT2, root, raw, ctypes.byref(_how), ctypes.c_size_t(ctypes.sizeof(_how))))
    if descriptor < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), path)
    return descriptor


def open_in_steps(root: int, parts: tuple[str, ...], *, create: bool) -> int:
    """Open a directory below another one, one part after the other.

    Raises:
        OSError: as :meth:`Walk.at` has it.
    """
    here = os.dup(root)
    for part in parts:
        try:
            deeper = _open_in(here, part, create=create)
        finally:
            os.close(here)
        here = deeper
    return here


def _open_in(directory: int, name: str, *, create: bool) -> int:
    try:
        return os.open(name, _DIRECTORY, dir_fd=directory)
    except FileNotFoundError:
        if not create:
            raise
    os.mkdir(name, 0o755, dir_fd=directory)
    os.fsync(directory)
    return os.open(name, _DIRECTORY, dir_fd=directory)
