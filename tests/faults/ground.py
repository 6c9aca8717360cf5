"""Where faults strike: homes from which journeys begin, made once and copied, and guards at work in them."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

from faults.journeys import Before, Journey, set_out
from faults.processes import reap
from faults.system import files
from stateguard.agents.child import VARIABLE
from stateguard.guard.compose import read_identity
from stateguard.host.home import Home
from stateguard.host.lock import WriterLock
from stateguard.host.process import with_variable
from transition.setting import Setting, founded


class Ground:
    """A template home of each journey, made once by each worker."""

    def __init__(self, root: Path, content: dict[str, str] | None = None) -> None:
        """Make the templates below a directory."""
        self.root = root
        self._homes: dict[str, tuple[Home, Before]] = {}
        plain = root / "plain"
        plain.mkdir(parents=True)
        self._plain = founded(plain, content or files())
        self.identity = read_identity(self._plain)

    def template(self, name: str, journey: Journey) -> tuple[Home, Before]:
        """Return the home from which a journey begins, its agents stopped, and what is known of it."""
        if name not in self._homes:
            place = self.root / name
            place.mkdir()
            self._homes[name] = self._make(journey, copy(self._plain, place))
        return self._homes[name]

    def _make(self, journey: Journey, home: Home) -> tuple[Home, Before]:
        setting = Setting(home)
        setting.restart()
        try:
            before = set_out(setting, journey)
        finally:
            setting.end()
            self.clear()
        return home, before

    def clear(self) -> None:
        """End every agent of these homes."""
        for pid, value in list(with_variable(VARIABLE)):
            if value.startswith(self.identity + ":"):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        reap()


@contextlib.contextmanager
def at_work(home: Home) -> Iterator[Setting]:
    """Take the lock and be the guard of a home, as the daemon is: recover, then start what is missing."""
    with WriterLock(home.writer_lock, "faults").acquire():
        setting = Setting(home)
        try:
            setting.restart()
            yield setting
        finally:
            setting.end()


def copy(template: Home, room: Path) -> Home:
    """Copy a home whose agents are stopped into a directory; git's objects, which nobody changes, are shared."""
    home = Home(room / "home")
    shutil.copytree(template.root, home.root, symlinks=True, copy_function=_copy)
    text = home.settings.read_text()
    home.settings.write_text(text.replace(str(template.root), str(home.root)))
    return home


def _copy(source: str, target: str) -> None:
    if "/objects/" in source:
        os.link(source, target)
    else:
        shutil.copy2(source, target)
