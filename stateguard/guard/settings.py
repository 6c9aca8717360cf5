"""guard.yaml: read anew whenever it is asked for; a slip of the pen in it must not blind a guard at work."""

from __future__ import annotations

import os
from dataclasses import replace

from stateguard.config.host import load_host
from stateguard.config.problem import InvalidDocument
from stateguard.errors import StateguardError, StorageError
from stateguard.host.home import Home
from stateguard.host.logs import warn
from stateguard.model.policy import HostSettings


class Settings:
    """The settings of a home; while the file is not valid, those it held last."""

    def __init__(self, home: Home) -> None:
        """Read them.

        Raises:
            InvalidDocument: guard.yaml is not valid.
            StorageError: it cannot be read.
        """
        self._home = home
        self._last = read_settings(home)
        self.problem = ""
        """Why the file could not be used when it was last read; empty if it could."""

    def now(self) -> HostSettings:
        """Return the settings in force."""
        try:
            found = read_settings(self._home)
        except StateguardError as error:
            if error.message != self.problem:
                warn("guard.yaml cannot be used; what it said before stays in force", problem=error.message)
            self.problem = error.message
            return self._last
        self._last, self.problem = found, ""
        return found


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
