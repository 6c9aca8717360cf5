"""Tend the guard home: logs grown too large, disk space for the day without any, and what git takes at most."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from stateguard.errors import StorageError
from stateguard.host.clock import boot_seconds
from stateguard.host.logs import log, warn
from stateguard.host.rotate import rotate
from stateguard.host.space import keep_reserve, reserve_gone, space_at
from stateguard.model.policy import HostSettings
from stateguard.state.settings import configure, settings_unlike_wanted

_EVERY_SECONDS = 10.0
_SPARE = 2
"""The reserve is set aside again when so many times its size is free: whoever made room shall have some of it."""


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


class ReserveTender:
    """Sets disk space aside, at first and again after it was given up."""

    def __init__(
        self, reserve: Path, settings: Callable[[], HostSettings], every_seconds: float = _EVERY_SECONDS
    ) -> None:
        """Keep the reserve file as large as the settings have it then; look no more often than said."""
        self._reserve, self._settings, self._every_seconds = reserve, settings, every_seconds
        self._due_at, self._said = 0.0, ""

    def tend(self) -> None:
        """Look whether it is all there, if it is time to; a disk that has none left is no reason not to guard."""
        if boot_seconds() < self._due_at:
            return
        first, self._due_at = self._due_at == 0, boot_seconds() + self._every_seconds
        wanted = self._settings().reserve_bytes
        if wanted and (not reserve_gone(self._reserve, wanted) or _lies_there(self._reserve, wanted)):
            return  # all there, or the file system does not set aside what a file occupies
        if wanted and not first and space_at(self._reserve.parent).free_bytes < _SPARE * wanted:
            return
        try:
            keep_reserve(self._reserve, wanted)
        except StorageError as error:
            if error.message != self._said:
                warn("no disk reserve", error=error.message)
            self._said = error.message
        else:
            if wanted:
                log("set disk space aside", bytes=wanted)


class InputTender:
    """Tells git at most how much of a push to take, whenever guard.yaml comes to say another budget."""

    def __init__(self, repository: Path, settings: Callable[[], HostSettings]) -> None:
        """Begin with what the repository is configured for: that was renewed when the guard started."""
        self._repository, self._settings = repository, settings
        self._push = settings().push

    def tend(self) -> None:
        """Look whether the budget is another one.

        Raises:
            StorageError: git could not be told; the next look tries again.
        """
        push = self._settings().push
        if push == self._push:
            return
        if unlike := settings_unlike_wanted(self._repository, push):
            configure(self._repository, unlike)
            log("git settings follow guard.yaml", repository=self._repository.name, settings=sorted(unlike))
        self._push = push


def _lies_there(path: Path, size_bytes: int) -> bool:
    try:
        return path.lstat().st_size == size_bytes
    except OSError:
        return False
