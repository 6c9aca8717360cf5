"""Bring a home that an earlier stateguard made up to this version, or refuse: never in the middle of a transition."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stateguard import __version__, faults
from stateguard.errors import RefusedError, StorageError
from stateguard.guard.hooks import refresh_hooks
from stateguard.guard.settings import read_settings
from stateguard.host import files
from stateguard.host.clock import now_text
from stateguard.host.database import UPGRADES, VERSION, newer
from stateguard.host.home import Home
from stateguard.host.walk import open_root
from stateguard.state.settings import configure, settings_unlike_wanted

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Migration:
    """What leads to a version from the one before: statements on guard.db, and changes of the home's files.

    ``layout`` may run more than once: a crash before the end begins the whole again.
    """

    version: int
    title: str
    statements: tuple[str, ...]
    layout: Callable[[Home], None] = lambda _: None


MIGRATIONS: tuple[Migration, ...] = (
    Migration(2, "remember which stateguard made the home and which upgraded it", (UPGRADES,)),
)
"""In order, without gaps; the last one leads to :data:`stateguard.host.database.VERSION`."""


@dataclass(frozen=True, slots=True)
class Upgrade:
    """What was, or would be, done: versions, titles of the steps, and where the old guard.db is kept."""

    before: int
    after: int
    steps: tuple[str, ...]
    backup: Path | None

    def as_json(self) -> dict[str, Any]:
        """Return the keys of ``upgrade``."""
        backup = str(self.backup) if self.backup else None
        return {"from": self.before, "to": self.after, "steps": list(self.steps), "backup": backup}


def needed(home: Home) -> Upgrade:
    """Return what an upgrade would do.

    Raises:
        RefusedError: an operation has not ended.
        StorageError: guard.db cannot be read, or was written by a newer stateguard.
    """
    path = home.database
    if not path.exists():
        return Upgrade(VERSION, VERSION, (), None)
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=30)) as connection:
            found = int(connection.execute("PRAGMA user_version").fetchone()[0])
            unfinished = _unfinished(connection) if 0 < found < VERSION else []
    except sqlite3.Error as error:
        message = f"{path} cannot be read: {error}"
        raise StorageError(message, next_step="see: stateguard doctor") from error
    if found > VERSION:
        raise newer(path, found)
    if unfinished:
        message = f"operation {unfinished[0]} of the stateguard that wrote this home has not ended"
        raise RefusedError(message, next_step="finish it with that version: stateguard recover; then upgrade")
    steps = tuple(m.title for m in MIGRATIONS if m.version > found) if found else ()
    return Upgrade(found or VERSION, VERSION, steps, path.with_name(f"{path.name}.v{found}") if steps else None)


def upgrade(home: Home, say: Say) -> Upgrade:
    """Upgrade a home under its writer lock: all steps or none, the old guard.db kept; then renew hooks and settings.

    Raises:
        RefusedError: an operation has not ended.
        StorageError: guard.db cannot be read or written, or was written by a newer stateguard.
    """
    due = needed(home)
    if due.backup is not None:
        try:
            _keep(home.database, due.backup)
            _migrate(home, due.before)
        except (sqlite3.Error, OSError) as error:
            message = f"{home.database} could not be upgraded: {error}"
            raise StorageError(message, next_step="see: stateguard doctor; df") from error
        say(f"upgraded the home from version {due.before} to {due.after}; the old guard.db is {due.backup.name}")
    renew(home, say)
    return due


def renew(home: Home, say: Say) -> None:
    """Make hooks and git settings what this installation makes them: its environment may have moved.

    Raises:
        InvalidDocument: guard.yaml is not valid.
        StorageError: git or the disk refused.
    """
    try:
        if refresh_hooks(home.repository):
            say("the git hooks were of another installation and were renewed")
    except OSError as error:
        raise StorageError(f"the hooks cannot be written: {error.strerror}", next_step="stateguard doctor") from error
    for repository, serves in ((home.repository, read_settings(home).push), (home.captured, None)):
        if unlike := settings_unlike_wanted(repository, serves):
            configure(repository, unlike)
            say(f"git settings of {repository.name} were renewed: {', '.join(unlike)}")


def _unfinished(connection: sqlite3.Connection) -> list[int]:
    tables = {row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type='table'")}
    if "operation" not in tables:
        return []
    return [int(row[0]) for row in connection.execute("SELECT id FROM operation WHERE outcome IS NULL ORDER BY id")]


def _keep(database: Path, backup: Path) -> None:
    """Copy guard.db, durably and whole."""
    copy = backup.with_name(files.TEMPORARY + backup.name)
    copy.unlink(missing_ok=True)
    with closing(sqlite3.connect(database)) as source, closing(sqlite3.connect(copy)) as target:
        source.backup(target)
        target.execute("PRAGMA journal_mode=DELETE")
    copy.chmod(0o600)
    descriptor = os.open(copy, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    copy.rename(backup)
    with open_root(backup.parent) as directory:
        os.fsync(directory)


def _migrate(home: Home, found: int) -> None:
    with closing(sqlite3.connect(home.database, isolation_level=None, timeout=30)) as connection:
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute("BEGIN IMMEDIATE")
        for migration in (m for m in MIGRATIONS if m.version > found):
            for statement in migration.statements:
                connection.execute(statement)
            migration.layout(home)
            faults.point("upgrade.step")
        connection.execute("INSERT OR REPLACE INTO upgrade VALUES (?, ?, ?)", (VERSION, now_text(), __version__))
        connection.execute(f"PRAGMA user_version={VERSION}")
        connection.execute("COMMIT")
