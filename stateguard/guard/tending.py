"""Tend the logs in the guard home: set aside what has grown too large."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from stateguard.host.clock import boot_seconds
from stateguard.host.logs import log, warn
from stateguard.host.rotate import rotate
from stateguard.model.policy import HostSettings

_EVERY_SECONDS = 10.0


class LogTender:
    """Looks every few seconds at every ``*.log`` below a directory: agents', and the guard's own if it is one."""

    def __init__(self, logs: Path, settings: Callable[[], HostSettings]) -> None:
        """Tend the logs below a directory, under the settings as they are then."""
        self._logs, self._settings = logs, settings
        self._due_at = 0.0

    def tend(self) -> list[Path]:
        """Rotate what is larger than the settings allow, if it is time to look; returns what was rotated."""
        if boot_seconds() < self._due_at:
            return []
        self._due_at = boot_seconds() + _EVERY_SECONDS
        settings = self._settings()
        if settings.log_max_bytes == 0:
            return []
        return [path for path in self._listed() if _rotated(path, settings)]

    def _listed(self) -> Iterator[Path]:
        yield from sorted(path for path in self._logs.rglob("*.log") if path.is_file() and not path.is_symlink())


def _rotated(path: Path, settings: HostSettings) -> bool:
    try:
        done = rotate(path, settings.log_max_bytes, settings.log_keep)
    except OSError as error:
        warn("a log could not be rotated", path=str(path), error=error.strerror)
        return False
    if done:
        log("rotated a log", path=str(path), kept=settings.log_keep)
    return done
