"""guard.db: one SQLite file, opened so that what was committed survives a power cut."""

from __future__ import annotations

import contextlib
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from stateguard import __version__, faults
from stateguard.errors import StorageError
from stateguard.host.clock import now_text

VERSION = 2
"""Version of a whole guard home, kept in guard.db: it grows when any package's tables, or the home's files, change."""

UPGRADES = """CREATE TABLE IF NOT EXISTS upgrade (
    version INTEGER PRIMARY KEY, at TEXT NOT NULL, stateguard TEXT NOT NULL)"""
"""Which stateguard made the home, and which brought it to each later version."""


def newer(path: Path, found: int) -> StorageError:
    """Return the refusal of a file that a newer stateguard wrote."""
    message = f"{path} has schema version {found}, this stateguard knows {VERSION}"
    return StorageError(message, next_step="use the newer stateguard that wrote it")


class Database:
    """One connection for the whole process, used under a lock.

    Each package hands in the tables it owns; nobody else touches them.
    """

    def __init__(self, path: Path) -> None:
        """Open or create the file.

        Raises:
            StorageError: it cannot be opened, is damaged, or is of another version.
        """
        self._path = path
        self._lock = threading.RLock()
        try:
            self._connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=30)
            try:
                self._prepare()
            except BaseException:  # whatever it was goes on; a connection that nobody knows must not stay open
                self._connection.close()
                raise
        except (sqlite3.Error, OSError) as error:
            message = f"{path} cannot be opened: {error}"
            raise StorageError(message, next_step="check the file, its owner and the space left on the disk") from error

    def _prepare(self) -> None:
        self._path.chmod(0o600)
        self._connection.row_factory = sqlite3.Row
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
            self._connection.execute(f"PRAGMA {pragma}")
        found = self._connection.execute("PRAGMA user_version").fetchone()[0]
        if found > VERSION:
            raise newer(self._path, found)
        if found == 0:
            self._begin_history()
        elif found < VERSION:
            message = f"{self._path} has schema version {found}, this stateguard works with {VERSION}"
            raise StorageError(message, next_step="stateguard upgrade")

    def _begin_history(self) -> None:
        self._connection.execute("BEGIN IMMEDIATE")
        self._connection.execute(UPGRADES)
        self._connection.execute("INSERT OR REPLACE INTO upgrade VALUES (?, ?, ?)", (VERSION, now_text(), __version__))
        self._connection.execute(f"PRAGMA user_version={VERSION}")
        self._connection.execute("COMMIT")

    def create(self, *statements: str) -> None:
        """Create tables that do not exist yet."""
        with self.transaction():
            for statement in statements:
                self.execute(statement)

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        """Commit everything inside together, or nothing. May be nested; the outermost one commits."""
        with self._lock:
            if self._in_transaction():
                yield
                return
            self.execute("BEGIN IMMEDIATE")
            try:
                yield
                self.execute("COMMIT")
            except BaseException:  # whatever it was goes on: all or nothing
                with contextlib.suppress(sqlite3.Error):  # SQLite has rolled some of them back by itself
                    self._connection.execute("ROLLBACK")
                raise

    def _in_transaction(self) -> bool:
        try:
            return self._connection.in_transaction
        except sqlite3.Error as error:
            message = f"{self._path}: {error}"
            raise StorageError(message, next_step="check the file") from error

    def execute(self, statement: str, values: Sequence[Any] = ()) -> int:
        """Run one statement; returns the row id of an insert, else the number of rows touched.

        Raises:
            StorageError: SQLite refused.
        """
        with self._lock:
            try:
                faults.point("database.execute")
                cursor = self._connection.execute(statement, values)
            except (sqlite3.Error, OSError) as error:
                message = f"{self._path}: {error}"
                raise StorageError(message, next_step="check the space left on the disk") from error
            return int(cursor.lastrowid or 0) if statement.lstrip().upper().startswith("INSERT") else cursor.rowcount

    def rows(self, statement: str, values: Sequence[Any] = ()) -> list[sqlite3.Row]:
        """Return all rows of a query.

        Raises:
            StorageError: SQLite refused.
        """
        with self._lock:
            try:
                return self._connection.execute(statement, values).fetchall()
            except sqlite3.Error as error:
                message = f"{self._path}: {error}"
                raise StorageError(message, next_step="check the file") from error

    def row(self, statement: str, values: Sequence[Any] = ()) -> sqlite3.Row | None:
        """Return the first row of a query, or None."""
        found = self.rows(statement, values)
        return found[0] if found else None

    def close(self) -> None:
        """Close the connection."""
        with self._lock:
            self._connection.close()
