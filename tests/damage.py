"""What failing disks, and others at work, do to a repository."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterable, Iterator
from itertools import count
from pathlib import Path

from stateguard.state.git import git


def rot(repositories: Iterable[Path], object_id: str) -> tuple[Path, int]:
    """Flip a bit of the first object of that id; returns the file, and where in it the bit is.

    Raises:
        LookupError: none of the repositories holds it.
    """
    for repository in repositories:
        found = _place(repository, object_id)
        if found is not None:
            found[0].chmod(0o644)
            flip(*found)
            return found
    raise LookupError(object_id)


def flip(path: Path, place: int) -> None:
    """Flip a bit of a file in place: it may be mapped into memory."""
    with path.open("r+b") as stream:
        stream.seek(place)
        byte = stream.read(1)[0]
        stream.seek(place)
        stream.write(bytes([byte ^ 1]))


def _place(repository: Path, object_id: str) -> tuple[Path, int] | None:
    """Return the file that holds an object, and a place near its end that matters."""
    loose = repository / "objects" / object_id[:2] / object_id[2:]
    if loose.exists():
        return loose, loose.stat().st_size - 3
    for index in (repository / "objects/pack").glob("*.idx"):
        for line in git(repository, "verify-pack", "-v", str(index)).decode().splitlines():
            words = line.split()
            if words[0] == object_id:
                return index.with_suffix(".pack"), int(words[4]) + int(words[3]) - 3
    return None


@contextlib.contextmanager
def held(lock: Path) -> Iterator[None]:
    """Hold a lock file of git's as a process that is at work does: it changes all the time."""
    lock.parent.mkdir(parents=True, exist_ok=True)
    lock.touch()
    over = threading.Event()

    def work() -> None:
        for number in count(1):
            os.utime(lock, ns=(number, number))
            if over.wait(0.05):
                return

    worker = threading.Thread(target=work)
    worker.start()
    try:
        yield
    finally:
        over.set()
        worker.join()
        lock.unlink()
