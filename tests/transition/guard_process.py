"""A guard as a process of its own, to be killed: ``guard_process.py HOME JOURNEY`` begins a journey."""

from __future__ import annotations

import sys
from pathlib import Path

from stateguard.host.home import Home
from transition.journeys import JOURNEYS, Journey
from transition.setting import Setting


class Begun(Journey):
    """A journey whose beginning was prepared by another process."""

    def prepare(self) -> None:
        """Nothing is left to prepare."""


def main() -> None:
    """Begin the journey on a home whose agents run."""
    home, kind = sys.argv[1:]
    setting = Setting(Home(Path(home)))
    setting.wake()
    JOURNEYS[kind].begin(Begun(setting))


if __name__ == "__main__":
    main()
