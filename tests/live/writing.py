"""An agent that keeps its memory in SQLite: ``writing.py FILE JOURNAL_MODE [HOW]``.

It writes transaction after transaction until its input ends, and prints ``writing`` after the first. Each counts
itself in the table ``a`` and adds one to four rows of ``b``. ``HOW`` may be ``reopen`` (closes the database after
each), ``idle`` (stops after the first), ``hold`` (so, with every lock there is), ``spill`` (so, within a second
transaction of which a part is in the file already) or ``long`` (goes on within that one).
"""

from __future__ import annotations

import random
import select
import sqlite3
import sys
from contextlib import closing

_ROWS = 500


def _connected(path: str, mode: str, how: str) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None, timeout=0 if mode == "wal" and how != "reopen" else 20)
    if how == "hold":
        connection.execute("PRAGMA locking_mode=EXCLUSIVE")
    for pragma in (f"journal_mode={mode}", "synchronous=OFF", "wal_autocheckpoint=20"):
        connection.execute(f"PRAGMA {pragma}")
    return connection


def _transaction(connection: sqlite3.Connection) -> None:
    connection.execute("BEGIN IMMEDIATE")
    connection.execute("UPDATE a SET n = n + 1")
    for number in random.sample(range(_ROWS), 4):
        connection.execute("UPDATE b SET n = n + 1 WHERE rowid = ?", (number + 1,))
    connection.execute("COMMIT")


def _go_on() -> bool:
    return not select.select([sys.stdin], [], [], 0)[0]


def main() -> None:
    path, mode, how = (*sys.argv[1:], "")[:3]
    with closing(_connected(path, mode, how)) as connection:
        connection.executescript("CREATE TABLE a (n); CREATE TABLE b (n, pad); INSERT INTO a VALUES (0)")
        connection.execute("BEGIN")
        connection.executemany("INSERT INTO b VALUES (0, randomblob(?))", [(2000 + i,) for i in range(_ROWS)])
        connection.execute("COMMIT")
        _transaction(connection)
        if how in ("spill", "long"):
            connection.execute("PRAGMA cache_size=2")
            connection.execute("BEGIN IMMEDIATE")
            connection.execute("UPDATE b SET n = n + 1")
        print("writing", flush=True)  # noqa: T201 - what the test waits for
        while how == "long" and _go_on():
            connection.execute("UPDATE b SET n = n + 1")
        while not how and _go_on():
            _transaction(connection)
        if how in ("idle", "hold", "spill"):
            sys.stdin.read()
    while how == "reopen" and _go_on():
        with closing(_connected(path, mode, how)) as connection:
            _transaction(connection)


if __name__ == "__main__":
    main()
