"""Landlock: what a thread, and whatever it starts, may reach from now on, for good. See landlock(7).

There is no way to forbid one directory: what is not allowed is forbidden.
"""

from __future__ import annotations

import ctypes
import errno
import os
import stat
from collections.abc import Iterable

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
"""Numbers of the system calls, the same on every machine that Linux numbers alike: all but alpha."""
_VERSION = 1
_PATH_BENEATH = 1
_SET_NO_NEW_PRIVILEGES = 38

_RIGHTS = ((1, 13), (2, 14), (3, 15), (5, 16))
"""Since which version of Landlock how many of the rights to files there are; each is one bit."""
TRUNCATE_SINCE = 3
"""From this version on files that may not be written cannot be emptied either."""
_OF_FILES = 0b1_1100_0000_0000_0111
"""The rights that a file can have which is no directory: execute, write, read, truncate, control of devices."""
_LIST = 1 << 3
_READ = 1 << 0 | 1 << 2 | 1 << 3
_WRITE = 1 << 1 | 1 << 14
_OF_THE_HOST = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM})
MOVES_SINCE = 2
"""Before this version nobody who is confined can move a file to another directory."""

_libc = ctypes.CDLL(None, use_errno=True)
_libc.syscall.restype = ctypes.c_long


class _Beneath(ctypes.Structure):
    _pack_ = 1
    _fields_ = (("allowed", ctypes.c_uint64), ("parent", ctypes.c_int32))


def version() -> int:
    """Return the version of Landlock that the kernel has; 0: none, or it is switched off."""
    return max(0, int(_libc.syscall(_CREATE_RULESET, None, ctypes.c_size_t(0), ctypes.c_uint32(_VERSION))))


def confine(allowed: Iterable[str], read: Iterable[str] = (), written: Iterable[int] = ()) -> None:
    """Let the calling thread, and what it starts, reach nothing but these files, directories and what lies below.

    What is in ``read`` may be read and executed only, open files in ``written`` may be opened for writing once more.
    All directories may be listed, though: a program that looks around on its way is not to be surprised. They cannot
    gain privileges either. Paths that are gone or do not answer are left out. Signals are not kept from anybody: a
    probe may look by one whether a process is there.

    Raises:
        OSError: the kernel refused; the thread may reach what it could, and is of no use for anybody to be confined.
    """
    found = version()
    rights = (1 << max(count for since, count in _RIGHTS if found >= since)) - 1
    handled = ctypes.c_uint64(rights)
    rules = _called(_CREATE_RULESET, ctypes.byref(handled), ctypes.c_size_t(ctypes.sizeof(handled)), ctypes.c_uint32(0))
    try:
        _allow(rules, "/", _LIST)
        for path in allowed:
            _allow(rules, path, rights)
        for path in read:
            _allow(rules, path, _READ)
        for descriptor in written:
            _add(rules, descriptor, rights & _WRITE)
        if _libc.prctl(_SET_NO_NEW_PRIVILEGES, 1, 0, 0, 0) != 0:
            raise _refused()
        _called(_RESTRICT_SELF, rules, ctypes.c_uint32(0))
    finally:
        os.close(rules)


def _allow(rules: int, path: str, rights: int) -> None:
    try:
        descriptor = os.open(path, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return  # what cannot be looked at is not allowed: nobody reaches more than they should
    try:
        mode = os.fstat(descriptor).st_mode
        if not stat.S_ISLNK(mode):  # what a link leads to is allowed or not by itself
            _add(rules, descriptor, rights if stat.S_ISDIR(mode) else rights & _OF_FILES)
    except OSError as error:
        if error.errno in _OF_THE_HOST:
            raise
    finally:
        os.close(descriptor)


def _add(rules: int, descriptor: int, rights: int) -> None:
    rule = _Beneath(rights, descriptor)
    _called(_ADD_RULE, rules, ctypes.c_int(_PATH_BENEATH), ctypes.byref(rule), ctypes.c_uint32(0))


def _called(number: int, *arguments: object) -> int:
    result = int(_libc.syscall(number, *arguments))
    if result < 0:
        raise _refused()
    return result


def _refused() -> OSError:
    number = ctypes.get_errno()
    return OSError(number, os.strerror(number), "landlock")
