"""Rotate logs that others hold open: what is full is copied aside, then cut to nothing.

The writer keeps its descriptor. Because that appends, it goes on at the beginning of the emptied file; what it writes
between the last look at the end of the file and the cut is lost, which may cut a line: microseconds, or longer on
a busy machine. A log is never lost as a whole: the copy is complete and has its name before the original is cut.
"""

from __future__ import annotations

import errno
import os
from pathlib import Path

from stateguard.host import files

_CHUNK_BYTES = 1 << 20


def rotate(path: Path, max_bytes: int, keep: int) -> bool:
    """Set a log of more than so many bytes aside as ``.1``, earlier ones as ``.2`` to ``.keep``; say whether it was.

    With ``keep`` 0 it is only emptied. On a full disk the earlier ones are given up for the newest.

    Raises:
        OSError: the disk refused; the log is as it was.
    """
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        if os.fstat(descriptor).st_size <= max_bytes:
            return False
        if keep:
            _set_aside(descriptor, path, keep)
        os.ftruncate(descriptor, 0)
    finally:
        os.close(descriptor)
    return True


def _set_aside(descriptor: int, path: Path, keep: int) -> None:
    copy = path.with_name(files.TEMPORARY + path.name)
    try:
        try:
            copied = _copy(descriptor, copy)
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                raise
            for number in range(1, keep + 1):
                numbered(path, number).unlink(missing_ok=True)
            copied = _copy(descriptor, copy)
    except OSError:
        copy.unlink(missing_ok=True)
        raise
    numbered(path, keep).unlink(missing_ok=True)
    for number in range(keep - 1, 0, -1):
        if numbered(path, number).exists():
            numbered(path, number).rename(numbered(path, number + 1))
    copy.rename(numbered(path, 1))
    _copy_rest(descriptor, numbered(path, 1), copied)


def numbered(path: Path, number: int) -> Path:
    """Return the path of an earlier log: 1 is the newest."""
    return path.with_name(f"{path.name}.{number}")


def _copy(source: int, target: Path) -> int:
    """Copy a file from its beginning; returns how many bytes that were."""
    descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        return _append(source, descriptor, 0)
    finally:
        os.close(descriptor)


def _copy_rest(source: int, target: Path, copied: int) -> None:
    """Add what was written to the source meanwhile."""
    descriptor = os.open(target, os.O_WRONLY | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        _append(source, descriptor, copied)
    finally:
        os.close(descriptor)


def _append(source: int, target: int, offset: int) -> int:
    while chunk := os.pread(source, _CHUNK_BYTES, offset):
        left = memoryview(chunk)
        while left:
            left = left[os.write(target, left) :]
        offset += len(chunk)
    return offset
