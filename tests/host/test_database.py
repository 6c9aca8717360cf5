from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from stateguard.errors import StorageError
from stateguard.host.database import VERSION, Database


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "guard.db"


@pytest.fixture
def database(path: Path) -> Iterator[Database]:
    made = Database(path)
    made.create("CREATE TABLE IF NOT EXISTS t (id INTEGER PRIMARY KEY, word TEXT UNIQUE)")
    yield made
    made.close()


def words(database: Database) -> list[str]:
    return [row["word"] for row in database.rows("SELECT word FROM t ORDER BY id")]


def test_it_is_durable_private_and_versioned(database: Database, path: Path) -> None:
    assert path.stat().st_mode & 0o777 == 0o600
    assert database.rows("PRAGMA journal_mode")[0][0] == "wal"
    assert database.rows("PRAGMA synchronous")[0][0] == 2
    assert database.rows("PRAGMA user_version")[0][0] == VERSION


def test_what_was_written_is_there_when_opened_again(database: Database, path: Path) -> None:
    assert database.execute("INSERT INTO t (word) VALUES (?)", ("one",)) == 1
    database.close()
    again = Database(path)
    assert words(again) == ["one"]
    again.close()


def test_a_newer_schema_is_refused(path: Path) -> None:
    Database(path).close()
    connection = sqlite3.connect(path)
    connection.execute(f"PRAGMA user_version={VERSION + 1}")
    connection.close()
    with pytest.raises(StorageError, match="schema version") as refused:
        Database(path)
    assert refused.value.exit == 12
    assert "newer" in refused.value.next_step


def test_what_is_no_database_is_refused(path: Path) -> None:
    path.write_bytes(b"this is no database, but long enough to be looked at" * 100)
    with pytest.raises(StorageError, match="cannot be opened"):
        Database(path)
    with pytest.raises(StorageError, match="cannot be opened"):
        Database(path.parent / "gone" / "guard.db")


def test_nested_transactions_commit_together(database: Database) -> None:
    with database.transaction():
        database.execute("INSERT INTO t (word) VALUES ('outer')")
        with database.transaction():
            database.execute("INSERT INTO t (word) VALUES ('inner')")
    assert words(database) == ["outer", "inner"]


def test_an_error_outside_takes_the_inner_one_back_too(database: Database) -> None:
    def fail() -> None:
        with database.transaction():
            with database.transaction():
                database.execute("INSERT INTO t (word) VALUES ('inner')")
            raise KeyError("x")

    with pytest.raises(KeyError):
        fail()
    assert words(database) == []
    database.execute("INSERT INTO t (word) VALUES ('after')")
    assert words(database) == ["after"]


def test_sqlites_refusals_are_our_errors(database: Database) -> None:
    database.execute("INSERT INTO t (word) VALUES ('one')")
    with pytest.raises(StorageError, match="UNIQUE"):
        database.execute("INSERT INTO t (word) VALUES ('one')")
    with pytest.raises(StorageError, match="no such table"):
        database.rows("SELECT * FROM missing")


def test_rows_and_counts(database: Database) -> None:
    for word in ("a", "b"):
        database.execute("INSERT INTO t (word) VALUES (?)", (word,))
    assert database.execute("UPDATE t SET word = word || '!'") == 2
    found = database.row("SELECT word FROM t WHERE id = ?", (2,))
    assert found
    assert found["word"] == "b!"
    assert database.row("SELECT word FROM t WHERE id = 3") is None


def test_transactions_of_threads_do_not_mix(database: Database) -> None:
    def work(name: str) -> None:
        for n in range(20):
            with database.transaction():
                database.execute("INSERT INTO t (word) VALUES (?)", (f"{name}{n}a",))
                database.execute("INSERT INTO t (word) VALUES (?)", (f"{name}{n}b",))

    threads = [threading.Thread(target=work, args=(name,)) for name in "xyz"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = words(database)
    assert len(found) == 120
    assert all(found[n][:-1] == found[n + 1][:-1] for n in range(0, 120, 2))
