"""What response remembers: incidents, withdrawn trees, the soak, suspension, the ledger. Survives any restart."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Any

from stateguard.errors import NotFoundError
from stateguard.host.clock import now_text
from stateguard.host.database import Database
from stateguard.model.condition import Condition, Severity
from stateguard.model.incident import UNSETTLED, Incident, IncidentState, TimelineEvent
from stateguard.model.moment import Moment
from stateguard.respond.lifecycle import may_become, worse
from stateguard.respond.promote import Soak

_TABLES = (
    """CREATE TABLE IF NOT EXISTS incident (
        id INTEGER PRIMARY KEY AUTOINCREMENT, token TEXT UNIQUE, state TEXT NOT NULL, severity INTEGER NOT NULL,
        type TEXT NOT NULL, opened_at TEXT NOT NULL, detected_by TEXT NOT NULL, summary TEXT NOT NULL,
        culprit TEXT, conditions TEXT NOT NULL, decision TEXT, report TEXT, resolved_at TEXT)""",
    """CREATE TABLE IF NOT EXISTS incident_event (
        incident INTEGER NOT NULL REFERENCES incident(id), at TEXT NOT NULL, event TEXT NOT NULL)""",
    """CREATE TABLE IF NOT EXISTS incident_operation (
        incident INTEGER NOT NULL REFERENCES incident(id), operation INTEGER NOT NULL,
        PRIMARY KEY (incident, operation))""",
    """CREATE TABLE IF NOT EXISTS withdrawn (
        digest TEXT PRIMARY KEY, revision TEXT NOT NULL, operation INTEGER NOT NULL, incident INTEGER)""",
    """CREATE TABLE IF NOT EXISTS ledger (
        at TEXT NOT NULL, trigger_class TEXT, action TEXT NOT NULL, reason TEXT NOT NULL, incident INTEGER)""",
    """CREATE TABLE IF NOT EXISTS withheld (
        at TEXT NOT NULL, trigger_class TEXT, action TEXT NOT NULL, would TEXT NOT NULL, reason TEXT NOT NULL,
        incident INTEGER)""",
    "CREATE TABLE IF NOT EXISTS heal (path TEXT NOT NULL, wall REAL NOT NULL)",
    "CREATE TABLE IF NOT EXISTS mark (name TEXT PRIMARY KEY, value TEXT NOT NULL)",
)

_UNREPORTED = "unreported"


class Store:
    """Owner of the tables of response."""

    def __init__(self, database: Database) -> None:
        """Create the tables on first use."""
        self._db = database
        database.create(*_TABLES)

    # incidents

    def open_incident(
        self, token: str, severity: Severity, kind: str, detected_by: str, summary: str, culprit: str | None
    ) -> Incident:
        """Open an incident; one with a known token is returned as it stands."""
        with self._db.transaction():
            row = self._db.row("SELECT id FROM incident WHERE token=?", (token,))
            if row is not None:
                return self.incident(row["id"])
            number = self._db.execute(
                "INSERT INTO incident"
                " (token, state, severity, type, opened_at, detected_by, summary, culprit, conditions)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?, '[]')",
                (token, str(IncidentState.OPEN), int(severity), kind, now_text(), detected_by, summary, culprit),
            )
            self.event(number, f"detected by {detected_by}: {summary}")
            self.event(number, f"classified as level {int(severity)} ({severity.name})")
        return self.incident(number)

    def incident(self, number: int) -> Incident:
        """Return an incident.

        Raises:
            NotFoundError: there is none of that number.
        """
        row = self._db.row("SELECT * FROM incident WHERE id=?", (number,))
        if row is None:
            message = f"there is no incident {number}"
            raise NotFoundError(message, next_step="see: stateguard incident list")
        events = self._db.rows("SELECT at, event FROM incident_event WHERE incident=? ORDER BY rowid", (number,))
        tied = self._db.rows("SELECT operation FROM incident_operation WHERE incident=? ORDER BY operation", (number,))
        return Incident(
            id=row["id"],
            state=IncidentState(row["state"]),
            severity=Severity(row["severity"]),
            type=row["type"],
            opened_at=row["opened_at"],
            detected_by=row["detected_by"],
            summary=row["summary"],
            culprit=row["culprit"],
            conditions=tuple(json.loads(row["conditions"])),
            timeline=tuple(TimelineEvent(e["at"], e["event"]) for e in events),
            decision=json.loads(row["decision"]) if row["decision"] else None,
            operations=tuple(t["operation"] for t in tied),
            report=row["report"],
            resolved_at=row["resolved_at"],
        )

    def incidents(self) -> list[Incident]:
        """Return every incident, newest first."""
        return [self.incident(r["id"]) for r in self._db.rows("SELECT id FROM incident ORDER BY id DESC")]

    def unsettled(self) -> list[Incident]:
        """Return the incidents that are open or being mitigated, oldest first."""
        states = tuple(str(s) for s in UNSETTLED)
        rows = self._db.rows("SELECT id FROM incident WHERE state IN (?, ?) ORDER BY id", states)
        return [self.incident(r["id"]) for r in rows]

    def event(self, number: int, text: str) -> None:
        """Write down that something happened in an incident; the same words twice in a row count once."""
        last = self._db.row("SELECT event FROM incident_event WHERE incident=? ORDER BY rowid DESC LIMIT 1", (number,))
        if last is None or last["event"] != text:
            self._db.execute("INSERT INTO incident_event VALUES (?, ?, ?)", (number, now_text(), text))

    def conditions(self, number: int, found: Sequence[Condition]) -> None:
        """Add conditions to an incident; its severity becomes that of the worst."""
        with self._db.transaction():
            incident = self.incident(number)
            known = {(c["type"], c["component"]): c for c in incident.conditions}
            known |= {c.key: c.as_json() for c in found}
            severity = incident.severity
            for condition in found:
                severity = worse(severity, condition.severity)
            self._db.execute(
                "UPDATE incident SET conditions=?, severity=? WHERE id=?",
                (json.dumps(list(known.values())), int(severity), number),
            )

    def decided(self, number: int, decision: dict[str, object]) -> None:
        """Keep the decision that was taken; the timeline shows every new one."""
        if self.incident(number).decision != decision:
            self._db.execute("UPDATE incident SET decision=? WHERE id=?", (json.dumps(decision), number))
            self.event(number, f"decided: {decision.get('action')} ({decision.get('reason')})")

    def tie(self, number: int, operation: int) -> None:
        """Say that an operation belongs to an incident."""
        self._db.execute("INSERT OR IGNORE INTO incident_operation VALUES (?, ?)", (number, operation))

    def become(self, number: int, state: IncidentState, why: str) -> None:
        """Move an incident to a state, if its life allows it."""
        incident = self.incident(number)
        if incident.state is state or not may_become(incident.state, state):
            return
        with self._db.transaction():
            resolved = now_text() if state is IncidentState.RESOLVED else incident.resolved_at
            self._db.execute("UPDATE incident SET state=?, resolved_at=? WHERE id=?", (str(state), resolved, number))
            self.event(number, f"{state}: {why}")
            self.mark(_UNREPORTED, sorted({*self.unreported(), number}))

    def reported(self, number: int, path: str) -> None:
        """Say where the report lies, as the incident now is."""
        with self._db.transaction():
            self._db.execute("UPDATE incident SET report=? WHERE id=?", (path, number))
            self.mark(_UNREPORTED, [n for n in self.unreported() if n != number] or None)

    def unreported(self) -> list[int]:
        """Return the incidents whose state changed since their report was published last."""
        return list(self.marked(_UNREPORTED) or [])

    # withdrawn trees

    def withdraw(self, digest: str, revision: str, operation: int, incident: int | None) -> None:
        """Remember a desired tree that did not work."""
        self._db.execute(
            "INSERT OR REPLACE INTO withdrawn VALUES (?, ?, ?, ?)", (digest, revision, operation, incident)
        )

    def withdrawn(self, digest: str) -> tuple[str, int | None] | None:
        """Return revision and incident under which a desired tree was withdrawn, or None."""
        row = self._db.row("SELECT revision, incident FROM withdrawn WHERE digest=?", (digest,))
        return None if row is None else (row["revision"], row["incident"])

    def has_withdrawn(self) -> bool:
        """Say whether any desired tree is withdrawn."""
        return self._db.row("SELECT 1 FROM withdrawn LIMIT 1") is not None

    def release(self, digest: str) -> None:
        """Forget that a desired tree was withdrawn: it is live again."""
        self._db.execute("DELETE FROM withdrawn WHERE digest=?", (digest,))

    # what would have been done

    def ledger_add(self, trigger: str | None, action: str, reason: str, incident: int | None, would: str) -> None:
        """Enter what would have been done, once for each incident and reason."""
        known = self._db.row("SELECT 1 FROM withheld WHERE reason=? AND incident IS ?", (reason, incident))
        if known is None:
            values = (now_text(), trigger, action, would, reason, incident)
            self._db.execute("INSERT INTO withheld VALUES (?, ?, ?, ?, ?, ?)", values)

    def ledger(self) -> list[dict[str, Any]]:
        """Return the ledger, newest first."""
        keys = 'at, trigger_class AS "trigger", action, {} AS would, reason, incident'
        rows = [*self._db.rows(f"SELECT {keys.format('would')} FROM withheld ORDER BY rowid DESC")]  # noqa: S608 - ours
        # Before it was written down what would have been done, entries had a table with one column less.
        rows += self._db.rows(f"SELECT {keys.format(repr(''))} FROM ledger ORDER BY rowid DESC")  # noqa: S608 - ours
        return [dict(r) for r in rows]

    # heals

    def healed(self, path: str, wall_seconds: float) -> None:
        """Remember that a path was put back."""
        self._db.execute("INSERT INTO heal VALUES (?, ?)", (path, wall_seconds))

    def heals(self, path: str, since_wall_seconds: float) -> int:
        """Return how often a path was put back since a Unix time."""
        row = self._db.row("SELECT COUNT(*) AS n FROM heal WHERE path=? AND wall>=?", (path, since_wall_seconds))
        return int(row["n"]) if row else 0

    # marks

    def mark(self, name: str, value: object) -> None:
        """Keep one JSON value under a name; None forgets it."""
        if value is None:
            self._db.execute("DELETE FROM mark WHERE name=?", (name,))
        else:
            self._db.execute("INSERT OR REPLACE INTO mark VALUES (?, ?)", (name, json.dumps(value)))

    def marked(self, name: str) -> Any:  # noqa: ANN401 - whatever JSON holds
        """Return the value kept under a name, or None."""
        row = self._db.row("SELECT value FROM mark WHERE name=?", (name,))
        return None if row is None else json.loads(row["value"])

    def keep_soak(self, soak: Soak | None) -> None:
        """Keep the state that soaks, with its due time."""
        if soak is None:
            self.mark("soak", None)
            return
        self.mark("soak", asdict(soak) | {"counted": sorted(soak.counted)})

    def soak(self) -> Soak | None:
        """Return the state that soaks, or None."""
        kept = self.marked("soak")
        if kept is None:
            return None
        soak = Soak(**kept)
        return replace(
            soak, began=Moment(**kept["began"]), due=Moment(**kept["due"]), counted=frozenset(kept["counted"])
        )
