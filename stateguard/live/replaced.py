"""Files that were replaced lie beside the new ones for a moment, and go while the transition goes on.

To remove a file is the slowest part of replacing it: its blocks are given back. Nobody needs to wait for that, but an
agent that starts must not find them.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from stateguard import faults
from stateguard.host import files
from stateguard.host.logs import failure


@dataclass(frozen=True, slots=True)
class Beside:
    """A file under a temporary name beside the path that it belonged to."""

    path: str
    temporary: str


class Replaced:
    """Removes replaced files in a thread of its own. What a crash leaves of them is found by sweeping."""

    def __init__(self) -> None:
        """Nothing waits yet."""
        self._thread: threading.Thread | None = None

    def go(self, root: Path, old: Sequence[Beside]) -> None:
        """Begin to remove files below a root; one call at a time."""
        self.wait()
        if old:
            thread = threading.Thread(target=_remove, args=(root, old), name="replaced files")
            try:
                thread.start()
            except RuntimeError:  # the host allows no thread more
                _remove(root, old)
            else:
                self._thread = thread

    def wait(self) -> None:
        """Return when nothing is left of them."""
        thread, self._thread = self._thread, None
        if thread is not None:
            thread.join()


def _remove(root: Path, old: Sequence[Beside]) -> None:
    try:
        with files.walking(root) as walk:
            for one in old:
                faults.point("live.replaced")
                files.remove_at(walk.at(tuple(one.path.split("/")[:-1])), one.temporary, sync=False)
    except OSError:
        failure("replaced files could not be removed; they are swept away by the next recovery", files=len(old))
