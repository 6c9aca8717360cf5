"""A database whose disk refuses at the worst moment."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from stateguard import faults
from stateguard.errors import StorageError
from stateguard.host.database import Database


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    made = Database(tmp_path / "guard.db")
    made.create("CREATE TABLE fact (name TEXT)")
    yield made
    faults.arm(None)
    made.close()


@pytest.mark.parametrize("statement", [1, 2, 3])
def test_what_is_written_after_a_refusal_is_kept(database: Database, statement: int, tmp_path: Path) -> None:
    """Begin, insert and commit in turn: a transaction that never ended would swallow what comes after it."""
    faults.arm(f"database.execute:{statement}:enospc")
    with pytest.raises(StorageError, match="No space left"), database.transaction():
        database.execute("INSERT INTO fact VALUES ('refused')")
    database.execute("INSERT INTO fact VALUES ('after')")
    other = Database(tmp_path / "guard.db")
    assert [row["name"] for row in other.rows("SELECT name FROM fact")] == ["after"]
    other.close()
