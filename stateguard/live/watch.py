"""Watch the live directory: which paths were touched, and when last.

A hint, no proof: the kernel drops events when its queue overflows. What must be right looks with a scan.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from pathlib import Path

import watchdog.events
from watchdog.events import (
    DirCreatedEvent,
    DirDeletedEvent,
    DirMovedEvent,
    FileCreatedEvent,
    FileDeletedEvent,
    FileModifiedEvent,
    FileMovedEvent,
    FileSystemEvent,
    FileSystemEventHandler,
)
from watchdog.observers import Observer

from stateguard.config.sections import PathRules
from stateguard.host import files
from stateguard.host.clock import boot_seconds

# Without open and close: a scan of many directories would overflow the queue with its own events.
_EVENTS: list[type[FileSystemEvent]] = [
    FileCreatedEvent,
    FileModifiedEvent,
    FileDeletedEvent,
    FileMovedEvent,
    DirCreatedEvent,
    DirDeletedEvent,
    DirMovedEvent,
    # Since watchdog 7 a change of permission bits is an event of its own; before, it was a modification.
    getattr(watchdog.events, "FileAttribEvent", FileModifiedEvent),
]


class Watcher(FileSystemEventHandler):
    """Collects touched paths until somebody asks for them."""

    def __init__(self, root: Path, rules: PathRules, touched: Callable[[], None]) -> None:
        """``touched`` is called, from another thread, when a path that is not ignored was touched."""
        self._root = os.path.realpath(root)
        self._rules, self._touched = rules, touched
        self._lock = threading.Lock()
        self._paths: set[str] = set()
        self._last_at = 0.0
        self._observer = Observer()

    def start(self) -> None:
        """Begin to watch.

        Raises:
            OSError: the kernel has no watches left.
        """
        self._observer.schedule(self, self._root, recursive=True, event_filter=_EVENTS)
        self._observer.start()

    def stop(self) -> None:
        """Stop watching."""
        if self._observer.is_alive():
            self._observer.stop()
            self._observer.join()

    def take(self) -> set[str]:
        """Return the paths touched since the last call, and forget them."""
        with self._lock:
            taken, self._paths = self._paths, set()
            return taken

    def quiet_for(self) -> float:
        """Return the seconds since the last touch."""
        return boot_seconds() - self._last_at

    def on_any_event(self, event: FileSystemEvent) -> None:
        """Note the paths of one event."""
        relevant = {p for p in map(self._relative, (event.src_path, event.dest_path)) if p}
        if not relevant:
            return
        with self._lock:
            self._paths |= relevant
            self._last_at = boot_seconds()
        self._touched()

    def _relative(self, path: bytes | str) -> str:
        text = os.fsdecode(path)
        if not text.startswith(self._root + "/"):
            return ""
        relative = text[len(self._root) + 1 :]
        name = relative.rsplit("/", 1)[-1]
        if name.startswith(files.TEMPORARY) or self._rules.ignored(relative) or self._rules.captured(relative):
            return ""
        return relative
