"""A box: a function in a forked process with mounts and processes of its own; when it ends, nothing of it is left."""

from __future__ import annotations

import contextlib
import os
import pickle
import select
import signal
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from faults.kernel import NEW_MOUNTS, NEW_PROCESSES, die_with_parent, keep_mounts_private, mount, unshare

T = TypeVar("T")


class BoxError(Exception):
    """What was done in the box raised this; the text is its traceback."""


def boxed(work: Callable[[], T], seconds: float = 120.0) -> T:
    """Run a function in a box and return what it returns.

    Raises:
        BoxError: it raised something, ended without a word, or took longer than so many seconds.
    """
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(reading)
        _outside(work, writing)
    os.close(writing)
    try:
        answer = _read(reading, seconds)
    finally:
        os.close(reading)
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    if not answer:
        message = f"no answer within {seconds:g} s, or it was killed"
        raise BoxError(message)
    well, value = pickle.loads(answer)  # noqa: S301 - written by our own child
    if not well:
        raise BoxError(value)
    return value  # type: ignore[no-any-return]


def _outside(work: Callable[[], T], writing: int) -> None:
    """Be the process between: in the new namespace of mounts, but not of processes."""
    status = 1
    try:
        die_with_parent(signal.SIGKILL)
        unshare(NEW_MOUNTS | NEW_PROCESSES)
        keep_mounts_private()
        init = os.fork()
        if init == 0:
            _inside(work, writing)
        os.close(writing)
        os.waitpid(init, 0)
        status = 0
    finally:
        os._exit(status)


def _inside(work: Callable[[], T], writing: int) -> None:
    """Be the first process of the box: its end is the end of all others in there."""
    try:
        die_with_parent(signal.SIGKILL)
        mount("proc", Path("/proc"), "proc")
        worker = os.fork()
        if worker == 0:
            _work(work, writing)
        os.close(writing)
        while os.waitpid(-1, 0)[0] != worker:
            pass
    finally:
        os._exit(0)


def _work(work: Callable[[], T], writing: int) -> None:
    try:
        answer = pickle.dumps((True, work()))
    except BaseException:  # noqa: BLE001 - told to whoever asked
        answer = pickle.dumps((False, traceback.format_exc()))
    with os.fdopen(writing, "wb") as stream:
        stream.write(answer)
    os._exit(0)


def _read(reading: int, seconds: float) -> bytes:
    found, give_up_at = b"", time.monotonic() + seconds
    while (left := give_up_at - time.monotonic()) > 0:
        if not select.select([reading], [], [], left)[0]:
            return b""
        part = os.read(reading, 1 << 20)
        if not part:
            return found
        found += part
    return b""
