"""One thread that waits for descriptors to turn readable and for the time to come."""

from __future__ import annotations

import math
import os
import select
import threading
from collections.abc import Callable, Iterable

from stateguard.host import threads
from stateguard.host.clock import boot_seconds


class Watch:
    """Calls back from a thread of its own when something has happened.

    ``watched`` returns the descriptors to wait for and the time, in seconds of the boot clock, to wait no longer than
    (None: for ever). ``act`` is given the descriptors that are readable, perhaps none.
    """

    def __init__(
        self,
        watched: Callable[[], tuple[Iterable[int], float | None]],
        act: Callable[[frozenset[int]], None],
    ) -> None:
        """Start the thread."""
        self._watched, self._act = watched, act
        self._bell = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self._lock = threading.Lock()
        self._closed = False
        self._thread = threading.Thread(target=self._loop, name="agents", daemon=True)
        threads.begin(self._thread)

    def wake(self) -> None:
        """Make the thread ask anew what to wait for."""
        with self._lock:
            if not self._closed:
                os.eventfd_write(self._bell, 1)

    def close(self) -> None:
        """End the thread, and wait for it unless this is it."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            os.eventfd_write(self._bell, 1)
        if threading.current_thread() is not self._thread:
            self._thread.join()
            os.close(self._bell)

    def _loop(self) -> None:
        while not self._closed:
            poller = select.poll()
            poller.register(self._bell, select.POLLIN)
            descriptors, due_at = self._watched()
            for descriptor in descriptors:
                poller.register(descriptor, select.POLLIN)
            wait = None if due_at is None else max(0, math.ceil((due_at - boot_seconds()) * 1000))
            ready = {descriptor for descriptor, _ in poller.poll(wait)}
            if self._bell in ready:
                os.eventfd_read(self._bell)
            self._act(frozenset(ready - {self._bell}))
