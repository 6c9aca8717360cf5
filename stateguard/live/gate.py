"""Holds a thread back for a moment, so that another one need not share the interpreter with it."""

from __future__ import annotations

import threading

from stateguard.host.clock import boot_seconds


class Gate:
    """Open, until it is shut for a while or until somebody opens it."""

    def __init__(self) -> None:
        """Open."""
        self._opened = threading.Condition()
        self._shut_until = 0.0

    def shut(self, seconds: float) -> None:
        """Hold back whoever passes, for at most so long."""
        with self._opened:
            self._shut_until = boot_seconds() + seconds

    def open(self) -> None:
        """Let everybody pass."""
        with self._opened:
            self._shut_until = 0.0
            self._opened.notify_all()

    def passing(self) -> None:
        """Return once it is open."""
        with self._opened:
            while (left := self._shut_until - boot_seconds()) > 0:
                self._opened.wait(left)
