"""Watermarks: how far each captured file had grown at each capture, and which state was in force until then."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from stateguard.host.database import Database
from stateguard.model import watermark
from stateguard.model.tree import Entry
from stateguard.model.watermark import Force, Mark, Read

_TABLES = (
    """CREATE TABLE IF NOT EXISTS watermark (
        id INTEGER PRIMARY KEY AUTOINCREMENT, path TEXT NOT NULL, generation INTEGER NOT NULL, base INTEGER,
        shared INTEGER NOT NULL, length INTEGER NOT NULL, lines INTEGER, digest TEXT NOT NULL,
        revision TEXT NOT NULL, fingerprint TEXT NOT NULL, at TEXT NOT NULL, operation INTEGER)""",
    "CREATE INDEX IF NOT EXISTS watermark_path ON watermark (path, id)",
)
_GENERATIONS_BACK = 8
"""So many earlier generations of a file are looked through for the lines of one that was replaced."""


class Watermarks:
    """Owner of the table ``watermark``."""

    def __init__(self, database: Database) -> None:
        """Create the table on first use."""
        self._database = database
        database.create(*_TABLES)
        self._last: dict[str, tuple[int, Mark]] | None = None
        self.changes = 0
        """Grows whenever marks were made through this object."""

    def mark(self, seen: Mapping[str, Entry], read: Read, force: Force, at: str, operation: int | None = None) -> int:
        """Mark the files that changed since their last mark; returns how many those were.

        Raises:
            StorageError: the database could not be written.
        """
        last = self._newest()
        changed = [path for path, entry in seen.items() if path not in last or last[path][1].digest != entry.id]
        if not changed:
            return 0
        made: dict[str, tuple[int, Mark]] = {}
        with self._database.transaction():
            for path in changed:
                content = read(seen[path].id)
                if content is not None:
                    made[path] = self._write(content, read, watermark.first(path, content, force, at, operation))
        last.update(made)
        self.changes += 1
        return len(made)

    def needed(self) -> list[str]:
        """Return the blobs, the ends of generations, in which the lines of a replaced file may be found again."""
        rows = self._database.rows(
            "SELECT DISTINCT digest FROM watermark WHERE id IN (SELECT id FROM (SELECT max(id) AS id, row_number()"
            " OVER (PARTITION BY path ORDER BY max(id) DESC) AS back FROM watermark GROUP BY path, generation)"
            " WHERE back<=?) ORDER BY digest",
            (_GENERATIONS_BACK,),
        )
        return [r["digest"] for r in rows]

    def paths(self) -> list[str]:
        """Return every path that was ever marked, sorted."""
        return sorted(r["path"] for r in self._database.rows("SELECT DISTINCT path FROM watermark"))

    def of(self, path: str) -> list[Mark]:
        """Return the marks of a path, oldest first."""
        return [
            _mark(dict(r)) for r in self._database.rows("SELECT * FROM watermark WHERE path=? ORDER BY id", (path,))
        ]

    def turns(self, path: str) -> tuple[watermark.Turns, ...]:
        """Return which lines of a path, as it was last marked, were written under what."""
        return watermark.turns(self.of(path))

    def _newest(self) -> dict[str, tuple[int, Mark]]:
        if self._last is None:
            rows = self._database.rows(
                "SELECT * FROM watermark WHERE id IN (SELECT max(id) FROM watermark GROUP BY path)"
            )
            self._last = {r["path"]: (r["id"], _mark(dict(r))) for r in rows}
        return self._last

    def _write(self, content: bytes, read: Read, fresh: Mark) -> tuple[int, Mark]:
        number, last = self._newest().get(fresh.path, (0, None))
        mark = watermark.placed(fresh, content, self._ends(fresh.path) if last else (), read)
        if last is None or not watermark.stretches(last, mark):
            return self._insert(mark), mark
        values = (mark.length, mark.lines, mark.digest, mark.at, number)
        self._database.execute("UPDATE watermark SET length=?, lines=?, digest=?, at=? WHERE id=?", values)
        return number, mark

    def _ends(self, path: str) -> list[Mark]:
        """Return the last mark of each of the newest generations of a path, newest first."""
        rows = self._database.rows(
            "SELECT * FROM watermark WHERE id IN (SELECT max(id) FROM watermark WHERE path=? GROUP BY generation)"
            " ORDER BY id DESC LIMIT ?",
            (path, _GENERATIONS_BACK),
        )
        return [_mark(dict(r)) for r in rows]

    def _insert(self, mark: Mark) -> int:
        return self._database.execute(
            "INSERT INTO watermark (path, generation, base, shared, length, lines, digest, revision, fingerprint, at,"
            " operation) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                mark.path, mark.generation, mark.base, mark.shared, mark.length, mark.lines, mark.digest,
                mark.force.revision, mark.force.fingerprint, mark.at, mark.operation,
            ),
        )  # fmt: skip


def _mark(row: dict[str, Any]) -> Mark:
    return Mark(
        path=row["path"],
        generation=row["generation"],
        base=row["base"],
        shared=row["shared"],
        length=row["length"],
        lines=row["lines"],
        digest=row["digest"],
        force=Force(row["revision"], row["fingerprint"]),
        at=row["at"],
        operation=row["operation"],
    )
