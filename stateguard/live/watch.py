"""Watch the live directory: which paths were touched, and when last.

A hint, no proof: the kernel drops events when its queue overflows, and says so at most. What must be right looks
with a scan; this says when it is time for one.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

from watchdog.events import (
    DirCreatedEvent,
    DirDeletedEvent,
    DirMovedEvent,
    FileAttribEvent,
    FileCreatedEvent,
    FileDeletedEvent,
    FileModifiedEvent,
    FileMovedEvent,
    FileSystemEvent,
    FileSystemEventHandler,
)
from watchdog.observers.api import BaseObserver
from watchdog.observers.inotify import InotifyEmitter
from watchdog.observers.inotify_c import (
    CallbackId,
    InotifyConstants,
    InotifyEvent,
    InotifyFD,
    Mask,
    WatchCallback,
    WatchDescriptor,
)
from watchdog.observers.inotify_move_event_grouper import InotifyMoveEventGrouper

from stateguard.config.sections import PathRules
from stateguard.host import files
from stateguard.host.clock import boot_seconds
from stateguard.host.logs import failure, warn
from stateguard.live.gate import Gate
from stateguard.live.lock import NAME as LOCK

# Without open and close: a scan of many directories would overflow the queue with its own events.
_EVENTS: list[type[FileSystemEvent]] = [
    FileCreatedEvent,
    FileModifiedEvent,
    FileAttribEvent,
    FileDeletedEvent,
    FileMovedEvent,
    DirCreatedEvent,
    DirDeletedEvent,
    DirMovedEvent,
]
_BETWEEN_RESTARTS_SECONDS = 1.0
_LONG_SECONDS = 3600.0
_HOLD_SECONDS = 1.0
_SETTLE_SECONDS = 0.5
"""So long an event may be on its way; then the watcher is taken as one that misses some."""

InotifyMoveEventGrouper.delay = 0.002
# Watchdog waits so long, with all events behind it, when it has read the first half of a rename and not yet the other.
# It is half a second by default, and taken in full however soon the other half comes. A half alone is told as well;
# where that is one of a directory, everything is looked at.

_TEMPORARY = os.fsencode(files.TEMPORARY)
_KEPT = InotifyConstants.IN_ISDIR | InotifyConstants.IN_MOVED_TO
"""What is heard of temporary names all the same: directories are watched, and half a rename would be waited for."""

Touched = Callable[[frozenset[str]], None]
"""Is told which paths were touched; none means that any may have been."""


class Watcher(FileSystemEventHandler):
    """Tells of touched paths; starts anew when it missed some."""

    def __init__(self, root: Path, rules: PathRules, touched: Touched) -> None:
        """``touched`` is called, from another thread, when a path that is not ignored was touched."""
        self._root = os.path.realpath(root)
        self._touched = touched
        self._last_at = 0.0
        self._started_at: float | None = None
        self._watching: _Watching | None = None
        self._blind = ""
        self._run = 0
        self._asking = threading.Lock()
        self._cookie = os.path.join(self._root, LOCK)
        self._answered = threading.Event()
        self._gate = Gate()
        self.rules = rules

    def start(self) -> None:
        """Begin to watch.

        Raises:
            OSError: there is no such directory, or the kernel has no watches left.
        """
        self._started_at, self._blind = boot_seconds(), ""
        self._run += 1
        self._watching = _Watching(self._root, self, self._lost, self._gate)

    def hold(self) -> None:
        """Let events wait in the kernel for a moment, or until somebody asks: our own writing makes many.

        Threads that take them would share the interpreter with the one that writes, at each of its system calls.
        """
        self._gate.shut(_HOLD_SECONDS)

    def settled(self) -> int | None:
        """Return the number of this run once everything that happened until now was told; None if some may be missed.

        The kernel keeps events in order: the guard's own lock file is touched, and its event waited for.
        """
        with self._asking:
            run = self._run
            if not self._sees(run):
                return None
            self._gate.open()
            self._answered.clear()
            try:
                os.utime(self._cookie, follow_symlinks=False)  # an agent may have put a link there
            except OSError:
                return None
            return run if self._answered.wait(_SETTLE_SECONDS) and self._sees(run) else None

    def _sees(self, run: int) -> bool:
        return self._watching is not None and not self._blind and self._run == run

    def stop(self) -> None:
        """Stop watching."""
        self._gate.open()
        watching, self._watching, self._started_at = self._watching, None, None
        if watching is not None:
            watching.stop()

    def tend(self) -> None:
        """Start anew if events were lost, a thread of the watcher ended, or the directory is another one now.

        To be called before a scan: what is touched from here on is told.
        """
        if self._started_at is None:
            return
        why = self._blind or (self._watching.trouble() if self._watching else "it could not be started")
        if not why or boot_seconds() < self._started_at + _BETWEEN_RESTARTS_SECONDS:
            self._blind = why
            return
        try:
            self.stop()
            self.start()
        except OSError as error:
            self._started_at, self._blind = boot_seconds(), why
            warn("the live directory is not watched, only looked at now and then", why=why, error=str(error))
            return
        warn("the watcher of the live directory was started anew; everything is looked at", why=why)

    def due_seconds(self) -> float:
        """Return how long it may take until the next :meth:`tend`; a long time if all is well."""
        if not self._blind or self._started_at is None:
            return _LONG_SECONDS
        return max(0.0, self._started_at + _BETWEEN_RESTARTS_SECONDS - boot_seconds())

    def quiet_for(self) -> float:
        """Return the seconds since the last touch."""
        return boot_seconds() - self._last_at

    def on_any_event(self, event: FileSystemEvent) -> None:
        """Tell of the paths of one event."""
        if event.src_path in (self._cookie, os.fsencode(self._cookie)):
            self._answered.set()
            return
        relevant = frozenset(p for p in map(self._relative, (event.src_path, event.dest_path)) if p)
        if relevant:
            self._tell(relevant)

    def _lost(self, why: str) -> None:
        if not self._blind:
            self._blind = why
            self._tell(frozenset())

    def _tell(self, paths: frozenset[str]) -> None:
        self._last_at = boot_seconds()
        self._touched(paths)

    def _relative(self, path: bytes | str) -> str:
        text = os.fsdecode(path)
        if not text.startswith(self._root + "/"):
            return ""
        relative = text[len(self._root) + 1 :]
        name = relative.rsplit("/", 1)[-1]
        if name.startswith(files.TEMPORARY) or self.rules.ignored(relative) or self.rules.captured(relative):
            return ""
        return relative


class _Watching:
    """One run of watchdog's threads on one directory, from its beginning to its end."""

    def __init__(self, root: str, handler: FileSystemEventHandler, lost: Callable[[str], None], gate: Gate) -> None:
        self._root, self._inode = root, os.stat(root).st_ino
        self._queue = EventQueue(lost, gate)
        self._observer = BaseObserver(InotifyEmitter, inotify_fd=self._queue)
        self._queue.start()
        try:
            self._observer.schedule(handler, root, recursive=True, event_filter=_EVENTS)
            self._observer.start()
        except OSError:
            self.stop()
            raise

    def stop(self) -> None:
        threads: list[threading.Thread] = [self._queue, self._observer]
        self._queue.stop()
        self._observer.stop()
        for thread in threads:
            if thread.is_alive():
                thread.join()

    def trouble(self) -> str:
        """Return why this run sees nothing any more; nothing if it does."""
        if not all(t.is_alive() for t in (self._queue, self._observer, *self._observer.emitters)):
            return "a thread of it ended"
        try:
            same = os.stat(self._root).st_ino == self._inode
        except OSError as error:
            return f"the directory is gone: {error.strerror}"
        return "" if same else "another directory took the place of the one that was watched"


class EventQueue(InotifyFD):
    """The kernel's queue of events; tells when it lost some, and outlives what goes wrong with one of them.

    Watchdog itself would remove every watch and set it again, on a full queue. Each removal is an event: with more
    directories than the queue has room that overflows it anew, for ever. So nothing is done here.
    """

    def __init__(self, lost: Callable[[str], None], gate: Gate) -> None:
        """``lost`` is told why something was missed; no event passes while the gate is shut."""
        super().__init__()
        self._lost, self._gate = lost, gate
        self._half: tuple[int, float] | None = None
        self._moved = False

    def add_callback(self, path: bytes, mask: Mask, callback: WatchCallback, id_: CallbackId) -> WatchDescriptor:
        """Watch a path."""
        return super().add_callback(path, mask, _Outlived(callback, self._unknown), id_)

    def handle_event(self, event: InotifyEvent) -> None:
        """Pass one event on."""
        if self._half is None:  # the other half of a rename is not kept waiting
            self._gate.passing()
        if event.name.startswith(_TEMPORARY) and not event.mask & _KEPT:
            return  # of files that nobody is told of; most events of our own writing are
        if event.is_queue_overflow:
            self._lost("the kernel's queue of events overflowed")
            return
        began = time.monotonic()
        try:
            super().handle_event(event)
        except Exception:  # noqa: BLE001 - whatever watchdog met, we have to go on watching
            failure("the watcher of the live directory met an error")
            self._lost("watchdog met an error")
        if not self._follows(event, began):
            self._lost("watchdog may take a directory for another one since one was moved")

    def _unknown(self, error: KeyError) -> None:
        if not self._closed:
            self._lost(f"watchdog did not know the directory {error}")

    def _follows(self, event: InotifyEvent, began: float) -> bool:
        """Say whether watchdog knows where the directories are that it watches, after an event.

        It moves its watches where both halves of a rename come one after the other, before its delay is over. Else they
        keep their old paths, and are taken along when another directory of that path moves. Two renames at once may be
        an exchange of two directories, which it cannot follow.
        """
        half, moved = self._half, self._moved
        self._half, self._moved = None, False
        is_first, is_second = (event.is_directory and it for it in (event.is_moved_from, event.is_moved_to))
        if is_first:
            self._half = (event.cookie, began)
            return half is None and not moved
        if half is None:
            return True
        self._moved = is_second and event.cookie == half[0]
        return self._moved and time.monotonic() < half[1] + InotifyMoveEventGrouper.delay


class _Outlived(WatchCallback):
    """What watchdog does with the events of one path; it can be ended after it lost track of where its watches are."""

    __slots__ = ("_callback", "_unknown")

    def __init__(self, callback: WatchCallback, unknown: Callable[[KeyError], None]) -> None:
        self._callback, self._unknown = callback, unknown

    def on_event(self, event: InotifyEvent) -> None:
        self._callback.on_event(event)

    def on_watch_deleted(self, wd: WatchDescriptor) -> None:
        try:
            self._callback.on_watch_deleted(wd)
        except KeyError as error:  # the watch is gone all the same
            self._unknown(error)

    def on_queue_overflow(self) -> None:
        self._callback.on_queue_overflow()
