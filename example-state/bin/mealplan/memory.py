"""Conversations in a SQLite database, for an agent that looks things up in them."""

from __future__ import annotations

import sqlite3
import threading
import uuid
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_TABLE = """CREATE TABLE IF NOT EXISTS turn (
    id TEXT PRIMARY KEY, at TEXT NOT NULL, role TEXT NOT NULL, content TEXT NOT NULL, conversation TEXT NOT NULL)"""
_ANSWERS = "SELECT COUNT(*) FROM turn WHERE role = 'assistant' AND conversation = ?"


def now() -> str:
    """Return the time as turns carry it: UTC, in milliseconds."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")[:-6] + "Z"


class Memory:
    """The turns of one agent in table ``turn``; errors of the database are raised as OSError."""

    def __init__(self, path: Path) -> None:
        """Open the database, or make it; in WAL mode, so that others can read it at any time."""
        self._path = path
        self._lock = threading.Lock()
        path.parent.mkdir(exist_ok=True)
        with self._errors():
            self._database = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
            self._database.execute("PRAGMA journal_mode=WAL")
            self._database.execute(_TABLE)
            self.remembered = self._number("SELECT COUNT(*) FROM turn")

    def append(self, role: str, content: str, conversation: str) -> None:
        """Add one turn."""
        row = (uuid.uuid4().hex, now(), role, content, conversation)
        with self._lock, self._errors():
            self._database.execute("INSERT INTO turn VALUES (?, ?, ?, ?, ?)", row)

    def answers(self, conversation: str) -> int:
        """Return how often this agent has answered in a conversation."""
        with self._lock, self._errors():
            return self._number(_ANSWERS, conversation)

    def close(self) -> None:
        """Write everything into the one file, and close it."""
        self._database.close()

    def _number(self, query: str, *values: str) -> int:
        return int(self._database.execute(query, values).fetchone()[0])

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            message = f"{self._path}: {error}"
            raise OSError(message) from error
