"""What is known about mirrors, kept in guard.db: how it went, and what was put into every ref of each."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from stateguard.host.database import Database
from stateguard.mirror.cadence import Pace
from stateguard.mirror.plan import Known, Move
from stateguard.model.mirror import MirrorSpec, MirrorState
from stateguard.model.moment import Moment, rfc3339

_TABLES = (
    """CREATE TABLE IF NOT EXISTS mirror (
        name TEXT PRIMARY KEY, url TEXT NOT NULL, pace TEXT NOT NULL DEFAULT '{}', error TEXT,
        attempt_at REAL, success_at REAL, behind_since REAL, conflicts TEXT NOT NULL DEFAULT '[]',
        extra INTEGER NOT NULL DEFAULT 0, verified_at REAL, tampered TEXT NOT NULL DEFAULT '[]')""",
    """CREATE TABLE IF NOT EXISTS mirror_ref (
        mirror TEXT NOT NULL, ref TEXT NOT NULL, status TEXT NOT NULL CHECK (status IN ('held', 'sent', 'permitted')),
        object TEXT NOT NULL, PRIMARY KEY (mirror, ref, status, object)) WITHOUT ROWID""",
)


@dataclass(frozen=True, slots=True)
class Standing:
    """How it stands with one mirror. Times are Unix seconds.

    ``conflicts`` are what a person must decide, as ``ref``, ``theirs``, ``ours``, ``why``; ``tampered`` is what the
    last verification found to be forged or damaged.
    """

    pace: Pace = field(default_factory=Pace)
    error: str | None = None
    attempt_at: float | None = None
    success_at: float | None = None
    behind_since: float | None = None
    conflicts: tuple[dict[str, str], ...] = ()
    extra: int = 0
    verified_at: float | None = None
    tampered: tuple[str, ...] = ()

    def state(self, missing: int) -> MirrorState:
        """Return the state of a mirror that lacks so many refs."""
        if self.tampered:
            return MirrorState.TAMPERED
        if self.conflicts:
            return MirrorState.DIVERGED
        well = self.success_at is not None and not self.pace.failures and not missing
        return MirrorState.IN_SYNC if well else MirrorState.BEHIND


class MirrorStore:
    """Owner of the tables ``mirror`` and ``mirror_ref``."""

    def __init__(self, database: Database) -> None:
        """Make the tables if they are missing."""
        self._database = database
        database.create(*_TABLES)

    def standing(self, spec: MirrorSpec) -> Standing:
        """Return how it stands with a mirror; one whose address changed is a new one."""
        row = self._database.row("SELECT * FROM mirror WHERE name=? AND url=?", (spec.name, spec.url))
        if row is None:
            return Standing()
        return Standing(
            pace=_pace(json.loads(row["pace"])),
            error=row["error"],
            attempt_at=row["attempt_at"],
            success_at=row["success_at"],
            behind_since=row["behind_since"],
            conflicts=tuple(json.loads(row["conflicts"])),
            extra=int(row["extra"]),
            verified_at=row["verified_at"],
            tampered=tuple(json.loads(row["tampered"])),
        )

    def keep(self, spec: MirrorSpec, standing: Standing) -> None:
        """Remember how it stands with a mirror, but for what verification found: that is kept by :meth:`verified`."""
        s = standing
        with self._database.transaction():
            self._begin(spec)
            self._database.execute(
                "UPDATE mirror SET pace=?, error=?, attempt_at=?, success_at=?, behind_since=?, conflicts=?, extra=? "
                "WHERE name=?",
                (_written(s.pace), s.error, s.attempt_at, s.success_at, s.behind_since, json.dumps(s.conflicts),
                 s.extra, spec.name),
            )  # fmt: skip

    def verified(self, spec: MirrorSpec, at_seconds: float, tampered: Sequence[str]) -> None:
        """Remember what a verification found; nothing found lets the mirror be sent to again."""
        with self._database.transaction():
            self._begin(spec)
            self._database.execute(
                "UPDATE mirror SET verified_at=?, tampered=? WHERE name=?",
                (at_seconds, json.dumps(list(tampered)), spec.name),
            )

    def known(self, spec: MirrorSpec) -> dict[str, Known]:
        """Return what was put into every ref of a mirror."""
        rows = self._database.rows(
            "SELECT ref, status, object FROM mirror_ref JOIN mirror ON name=mirror WHERE mirror=? AND url=?",
            (spec.name, spec.url),
        )
        found: dict[str, Known] = {}
        for row in rows:
            one = found.get(row["ref"], Known())
            if row["status"] == "sent":
                found[row["ref"]] = replace(one, sent=one.sent | {row["object"]})
            else:
                found[row["ref"]] = replace(one, **{row["status"]: row["object"]})
        return found

    def sending(self, spec: MirrorSpec, moves: Iterable[Move]) -> None:
        """Remember, before it is sent, what a mirror may hold from now on."""
        self._put(spec, [(m.ref, "sent", m.new) for m in moves])

    def sent(self, spec: MirrorSpec, moves: Sequence[Move]) -> None:
        """Remember that a mirror has taken these moves: nothing else can be there any more."""
        with self._database.transaction():
            for move in moves:
                self._database.execute("DELETE FROM mirror_ref WHERE mirror=? AND ref=?", (spec.name, move.ref))
            self._put(spec, [(m.ref, "held", m.new) for m in moves if set(m.new) != {"0"}])

    def holds(self, spec: MirrorSpec, known: Mapping[str, Known], holds: Mapping[str, str]) -> None:
        """Remember what a mirror was seen to hold of what this guard put there."""
        changed = {ref: object_id for ref, object_id in holds.items() if known.get(ref, Known()).held != object_id}
        if not changed:
            return
        with self._database.transaction():
            for ref in changed:
                self._database.execute(
                    "DELETE FROM mirror_ref WHERE mirror=? AND ref=? AND status='held'", (spec.name, ref)
                )
            self._put(spec, [(ref, "held", object_id) for ref, object_id in changed.items()])

    def permit(self, spec: MirrorSpec, theirs: Mapping[str, str]) -> None:
        """Remember what a person has seen on a mirror and allowed to be overwritten, damage included."""
        with self._database.transaction():
            self._begin(spec)
            self._database.execute("UPDATE mirror SET tampered='[]' WHERE name=?", (spec.name,))
            self._database.execute("DELETE FROM mirror_ref WHERE mirror=? AND status='permitted'", (spec.name,))
            self._put(spec, [(ref, "permitted", object_id) for ref, object_id in theirs.items()])

    def _begin(self, spec: MirrorSpec) -> None:
        """Make the row of a mirror; what is known of another place under that name is forgotten."""
        row = self._database.row("SELECT url FROM mirror WHERE name=?", (spec.name,))
        if row is not None and row["url"] == spec.url:
            return
        self._database.execute("DELETE FROM mirror_ref WHERE mirror=?", (spec.name,))
        self._database.execute("INSERT OR REPLACE INTO mirror (name, url) VALUES (?, ?)", (spec.name, spec.url))

    def _put(self, spec: MirrorSpec, rows: Iterable[tuple[str, str, str]]) -> None:
        with self._database.transaction():
            self._begin(spec)
            for ref, status, object_id in rows:
                self._database.execute(
                    "INSERT OR REPLACE INTO mirror_ref (mirror, ref, status, object) VALUES (?, ?, ?, ?)",
                    (spec.name, ref, status, object_id),
                )


def at(seconds: float | None) -> str | None:
    """Return Unix seconds as RFC 3339, or None."""
    return None if seconds is None else rfc3339(seconds)


def _written(pace: Pace) -> str:
    due = pace.due
    return json.dumps(
        {
            "failures": pace.failures,
            "timeouts": pace.timeouts,
            "due": None if due is None else [due.wall_seconds, due.boot_seconds, due.boot_id],
        }
    )


def _pace(kept: dict[str, Any]) -> Pace:
    due = kept.get("due")
    return Pace(kept.get("failures", 0), kept.get("timeouts", 0), Moment(*due) if due else None)
