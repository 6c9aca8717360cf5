"""Lock files that git left when it was killed: nothing would ever free them, and no ref could be moved again."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from stateguard.errors import StorageError
from stateguard.host import files
from stateguard.host.clock import boot_seconds
from stateguard.host.logs import warn
from stateguard.host.walk import open_root

_PATIENCE_SECONDS = 2.0
"""git holds a lock for as long as it takes to write and flush a few bytes."""
_BETWEEN_LOOKS_SECONDS = 0.05
_SUFFIX = ".lock"

_Held = tuple[int, int, int]


def free_locks(repository: Path) -> list[str]:
    """Remove the lock files of a bare repository that do not change for two seconds; returns their names.

    Those of refs, of ``HEAD``, ``config`` and ``packed-refs``. To be called by the only writer of our own refs.

    Raises:
        OSError: one cannot be removed.
    """
    waiting, give_up_at = _locks(repository), boot_seconds() + _PATIENCE_SECONDS
    while waiting and boot_seconds() < give_up_at:
        time.sleep(_BETWEEN_LOOKS_SECONDS)
        now = _locks(repository)
        waiting = {path: held for path, held in waiting.items() if now.get(path) == held}
    freed = []
    for path, held in sorted(waiting.items()):
        if _held(path) == held:
            with open_root(path.parent) as directory:
                files.remove_at(directory, path.name)
            name = path.relative_to(repository).as_posix()
            warn("a lock that a killed git left was removed", repository=repository.name, lock=name)
            freed.append(name)
    return freed


def despite_locks(repository: Path, work: Callable[[], object]) -> None:
    """Do some work of git's, and once more if locks that a killed git left stood in its way.

    Raises:
        StorageError: git refused for another reason, or the locks cannot be removed.
    """
    try:
        work()
    except StorageError as error:
        try:
            freed = free_locks(repository)
        except OSError as refusal:
            raise error from refusal
        if not freed:
            raise
        work()


def _locks(repository: Path) -> dict[Path, _Held]:
    return {path: held for path in _places(repository) if (held := _held(path)) is not None}


def _places(repository: Path) -> Iterator[Path]:
    with os.scandir(repository) as entries:
        yield from (Path(e.path) for e in entries if e.name.endswith(_SUFFIX))
    for above, _, names in os.walk(repository / "refs"):
        yield from (Path(above, name) for name in names if name.endswith(_SUFFIX))


def _held(path: Path) -> _Held | None:
    try:
        found = os.lstat(path)
    except OSError:
        return None
    return (found.st_ino, found.st_mtime_ns, found.st_size)
