"""guard.yaml as it is whenever it is asked for; a slip of the pen in it must not blind a guard at work."""

from __future__ import annotations

import os
import threading
import time
from dataclasses import replace

from stateguard.config.host import load_host
from stateguard.config.problem import InvalidDocument
from stateguard.errors import StateguardError, StorageError
from stateguard.host.home import Home
from stateguard.host.logs import warn
from stateguard.model.policy import HostSettings

_RACY_NANOSECONDS, _COARSE_NANOSECONDS = 50_000_000, 2_500_000_000
"""Two changes within so short a time may have the same time of change; the second where times are whole seconds."""


class Settings:
    """The settings of a home; while the file is not valid, those it held last."""

    def __init__(self, home: Home) -> None:
        """Read them.

        Raises:
            InvalidDocument: guard.yaml is not valid.
            StorageError: it cannot be read.
        """
        self._home, self._lock = home, threading.Lock()
        self._stat: tuple[int, ...] | None = None
        self._last = read_settings(home)
        self.problem = ""
        """Why the file could not be used when it was last read; empty if it could."""

    def now(self) -> HostSettings:
        """Return the settings in force. The file is read again when its stat is another one, or might not be yet."""
        with self._lock:
            return self._now()

    def _now(self) -> HostSettings:
        stat, looked_at = _stat(self._home), time.time_ns()
        if stat is not None and stat == self._stat:
            return self._last
        self._stat = None
        try:
            found = read_settings(self._home)
        except StateguardError as error:
            if error.message != self.problem:
                warn("guard.yaml cannot be used; what it said before stays in force", problem=error.message)
            self.problem = error.message
            return self._last
        self._last, self.problem = found, ""
        if stat is not None and max(stat[-2:]) < looked_at - _racy(stat):
            self._stat = stat
        return found


def _racy(stat: tuple[int, ...]) -> int:
    return _RACY_NANOSECONDS if any(at % 1_000_000_000 for at in stat[-2:]) else _COARSE_NANOSECONDS


def read_settings(home: Home) -> HostSettings:
    """Read guard.yaml.

    Raises:
        InvalidDocument: it is not valid.
        StorageError: it cannot be read.
    """
    try:
        settings = load_host(home.settings.read_bytes(), str(home.settings))
    except InvalidDocument as error:
        error.next_step = f"edit {home.settings}; stateguard doctor reads it too"
        raise
    except OSError as error:
        message = f"{home.settings} cannot be read: {os.strerror(error.errno or 0)}"
        raise StorageError(message) from error
    return replace(settings, live=str(home.root / settings.live))


def _stat(home: Home) -> tuple[int, ...] | None:
    """Return what changes with the file, its times in nanoseconds last; None if there is none to be seen."""
    try:
        found = home.settings.stat()
    except OSError:
        return None
    return (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)
