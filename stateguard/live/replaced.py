"""Files that were replaced lie beside the new ones for a moment, and go while the transition goes on.

To remove a file is the slowest part of replacing it: its blocks are given back. Nobody needs to wait for that, but an
agent that starts must not find them.
"""

from __future__ import annotations

import contextlib
import errno
import os
import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from stateguard import faults
from stateguard.host import files
from stateguard.host.logs import failure
from stateguard.host.walk import Walk, walking

_REST_SECONDS = 0.1
_ABSENT = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP)


@dataclass(frozen=True, slots=True)
class Beside:
    """A file under a temporary name beside the path that it belonged to."""

    path: str
    temporary: str


class Replaced:
    """Removes replaced files in a thread of its own. What a crash leaves of them is found by sweeping.

    The thread rests for a moment first: it would share the interpreter with the transition, whose end somebody awaits.
    """

    def __init__(self) -> None:
        """Nothing waits yet."""
        self._thread: threading.Thread | None = None
        self._now = threading.Event()

    def go(self, root: Path, old: Sequence[Beside], written: Sequence[str]) -> None:
        """Begin to remove files below a root, and what an interrupted write left beside the written paths."""
        self.wait()
        self._now.clear()
        thread = threading.Thread(target=self._remove_soon, args=(root, old, written), name="replaced files")
        try:
            thread.start()
        except RuntimeError:  # the host allows no thread more
            _remove(root, old, written)
        else:
            self._thread = thread

    def wait(self) -> None:
        """Return when nothing is left of them."""
        thread, self._thread = self._thread, None
        self._now.set()
        if thread is not None:
            thread.join()

    def _remove_soon(self, root: Path, old: Sequence[Beside], written: Sequence[str]) -> None:
        self._now.wait(_REST_SECONDS)
        _remove(root, old, written)


def sweep(root: Path, paths: Iterable[str]) -> None:
    """Remove temporary files that an interrupted write left beside these paths.

    Raises:
        OSError: the disk refused.
    """
    directories = sorted({tuple(path.split("/")[:-1]) for path in paths})
    with walking(root) as walk:
        for parts in directories:
            try:
                directory = walk.at(parts)
            except OSError as error:
                if error.errno in _ABSENT:
                    continue
                raise
            for name in os.listdir(directory):
                if name.startswith(files.TEMPORARY):
                    with contextlib.suppress(IsADirectoryError):  # a directory is none of ours
                        files.remove_at(directory, name)


def _remove(root: Path, old: Sequence[Beside], written: Sequence[str]) -> None:
    try:
        with walking(root) as walk:
            for one in old:
                faults.point("live.replaced")
                _remove_one(walk, one)
        sweep(root, written)
    except OSError:
        failure("replaced files could not be removed; they are swept away by the next recovery", files=len(old))


def _remove_one(walk: Walk, one: Beside) -> None:
    try:
        files.remove_at(walk.at(tuple(one.path.split("/")[:-1])), one.temporary, sync=False)
    except OSError as error:
        if error.errno not in _ABSENT:  # somebody removed its directory, or moved it away: the others still go
            raise
