"""What the checks look at, and what they find."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from stateguard.config.host import load_host
from stateguard.config.problem import InvalidDocument
from stateguard.host.home import Home
from stateguard.model.policy import HostSettings

Mending = Callable[[], None]


class Level(StrEnum):
    """How much a finding matters: only a problem makes the answer no."""

    OK = "ok"
    NOTE = "note"
    WARNING = "warning"
    PROBLEM = "problem"


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check found: what is and why that matters in ``message``, the command that mends it in ``mend``.

    ``fix`` mends it from here; only where there is one right way.
    """

    check: str
    level: Level
    message: str
    mend: str = ""
    fix: Mending | None = None

    def as_json(self) -> dict[str, str]:
        """Return the keys of ``doctor``."""
        return {"check": self.check, "level": str(self.level), "message": self.message, "mend": self.mend}


@dataclass(frozen=True, slots=True)
class Subject:
    """What is examined: a home that exists, or None; its settings, or None if they cannot be read.

    ``machine`` is the directory below which ``proc`` and ``run`` lie; ``ejected`` says that the home guards nothing any
    more, so that it is not examined.
    """

    home: Home | None
    settings: HostSettings | None
    machine: Path = Path("/")
    ejected: bool = False

    @property
    def live(self) -> Path | None:
        """The live directory, if it is known."""
        if self.home is None or self.settings is None:
            return None
        return self.home.root / self.settings.live


def subject_of(home: Home, machine: Path = Path("/")) -> Subject:
    """Return what there is to examine of a home, however damaged it is."""
    if home.ejected.exists():
        return Subject(None, None, machine, ejected=True)
    parts = (home.settings, home.repository, home.database, home.keys)
    if not any(os.path.lexists(part) for part in parts):
        return Subject(None, None, machine)
    try:
        settings = load_host(home.settings.read_bytes(), str(home.settings))
    except (OSError, InvalidDocument):
        settings = None  # the check of the home says what is wrong with it
    return Subject(home, settings, machine)


def ok(check: str, message: str) -> Finding:
    """Return that all is well."""
    return Finding(check, Level.OK, message)


def note(check: str, message: str, mend: str = "", fix: Mending | None = None) -> Finding:
    """Return something worth knowing."""
    return Finding(check, Level.NOTE, message, mend, fix)


def warning(check: str, message: str, mend: str = "", fix: Mending | None = None) -> Finding:
    """Return something that will bite some day."""
    return Finding(check, Level.WARNING, message, mend, fix)


def problem(check: str, message: str, mend: str = "", fix: Mending | None = None) -> Finding:
    """Return something that keeps the guard from its work."""
    return Finding(check, Level.PROBLEM, message, mend, fix)
