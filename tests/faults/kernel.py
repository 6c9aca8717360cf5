"""System calls that Python 3.11 has no names for: mounts and namespaces."""

from __future__ import annotations

import ctypes
import os
from pathlib import Path

_LIBC = ctypes.CDLL(None, use_errno=True)

NEW_MOUNTS, NEW_PROCESSES = 0x00020000, 0x20000000
_PRIVATE, _RECURSIVE = 1 << 18, 16384
_DETACH = 2
_DEATH_SIGNAL = 1


def unshare(flags: int) -> None:
    """Leave the namespaces of these kinds for new ones."""
    _check(_LIBC.unshare(flags), "unshare")


def mount(source: str, target: Path, kind: str, options: str = "", flags: int = 0) -> None:
    """Mount a file system."""
    done = _LIBC.mount(source.encode(), os.fsencode(target), kind.encode(), flags, options.encode())
    _check(done, f"mount {target}")


def keep_mounts_private() -> None:
    """Let nothing that is mounted from here on be seen outside this namespace."""
    _check(_LIBC.mount(b"none", b"/", None, _PRIVATE | _RECURSIVE, None), "mount /")


def unmount(target: Path) -> None:
    """Unmount; whoever still uses it keeps it until then."""
    _check(_LIBC.umount2(os.fsencode(target), _DETACH), f"umount {target}")


def flush_all(path: Path) -> None:
    """Flush the file system that a directory lies on, and no other."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        _check(_LIBC.syncfs(descriptor), "syncfs")
    finally:
        os.close(descriptor)


def die_with_parent(signal_number: int) -> None:
    """Ask for a signal at the end of the parent process."""
    _check(_LIBC.prctl(_DEATH_SIGNAL, signal_number, 0, 0, 0), "prctl")


def _check(done: int, what: str) -> None:
    if done != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), what)
