"""The memory of the shopping agent: a SQLite database that it writes at work and reads at its start."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from mealplan.memory import Memory

if TYPE_CHECKING:
    from pathlib import Path

    from .system import System


def remembered(path: Path) -> list[tuple[str, str]]:
    """Return role and content of every turn in a database that is whole."""
    with closing(sqlite3.connect(path)) as database:
        assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        return database.execute("SELECT role, content FROM turn ORDER BY at, rowid").fetchall()


def test_the_shopping_agent_remembers_over_a_restart(system: System) -> None:
    """The count of lists goes on, and a stopped agent leaves one whole file."""
    system.start_all()
    assert system.say("shopping list")["reply"].endswith("list 1 of this conversation")
    assert system.say("shopping list")["reply"].endswith("list 2 of this conversation")
    assert system.stop("shopping") == 0
    memory = system.root / "conversations"
    assert [p.name for p in memory.glob("shopping*")] == ["shopping.db"]
    assert [role for role, _ in remembered(memory / "shopping.db")] == ["user", "assistant"] * 2

    stream = system.start("shopping").stdout
    assert "listening" in system.first_line("shopping")
    assert stream
    assert stream.readline() == "shopping: remembers 4 turns\n"
    assert system.say("shopping list")["reply"].endswith("list 3 of this conversation")


def test_a_damaged_memory_is_named(system: System) -> None:
    """The agent does not start over with an empty one."""
    path = system.root / "conversations" / "shopping.db"
    path.write_bytes(b"this is no database" * 100)
    assert system.start("shopping").wait() == 1
    assert "conversations/shopping.db: file is not a database" in system.first_line("shopping")


def test_others_can_read_while_the_agent_writes(tmp_path: Path) -> None:
    """The database is in WAL mode, and errors of it are errors of the file."""
    path = tmp_path / "conversations" / "one.db"
    memory = Memory(path)
    memory.append("user", "hello", "a")
    memory.append("assistant", "good day", "a")
    assert remembered(path) == [("user", "hello"), ("assistant", "good day")]
    assert (memory.answers("a"), memory.answers("b")) == (1, 0)
    with closing(sqlite3.connect(path)) as database:
        assert database.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    memory.close()
    with pytest.raises(OSError, match=r"one\.db: Cannot operate on a closed database"):
        memory.append("user", "still there?", "a")
