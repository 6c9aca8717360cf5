"""The journal: operations, their plans and steps, in guard.db; what is written here survives any crash."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from stateguard import faults
from stateguard.errors import NotFoundError
from stateguard.host.clock import now_text, wall_seconds
from stateguard.host.database import Database
from stateguard.model.transition import Direction, JournalEntry, Plan, Step, StepName, StepState

_TABLES = (
    """CREATE TABLE IF NOT EXISTS operation (
        id INTEGER PRIMARY KEY AUTOINCREMENT, token TEXT UNIQUE, kind TEXT NOT NULL, actor TEXT NOT NULL,
        reason TEXT NOT NULL, request TEXT NOT NULL, plan TEXT, started_at TEXT NOT NULL, started REAL NOT NULL,
        outcome TEXT, result TEXT, incident INTEGER)""",
    """CREATE TABLE IF NOT EXISTS step (
        operation INTEGER NOT NULL REFERENCES operation(id), direction TEXT NOT NULL, stage INTEGER NOT NULL,
        name TEXT NOT NULL, state TEXT NOT NULL, begun_at TEXT NOT NULL, duration REAL NOT NULL,
        detail TEXT NOT NULL, health INTEGER NOT NULL, PRIMARY KEY (operation, direction, stage, name))""",
)


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation as the journal keeps it; ``outcome`` is None while it runs.

    ``request`` is what its starter handed over, so that whoever recovers it knows what to do at its end.
    """

    id: int
    token: str | None
    kind: str
    actor: str
    reason: str
    request: dict[str, Any]
    plan: Plan | None
    started_at: str
    started: float
    outcome: str | None
    result: dict[str, Any]
    incident: int | None


@dataclass(frozen=True, slots=True)
class Ran:
    """How a step went, and in how many seconds; ``health`` says that it was the system that is not well."""

    step: Step
    state: StepState
    seconds: float
    detail: str = ""
    health: bool = False


@dataclass(frozen=True, slots=True)
class Ended:
    """An operation that has ended, as it is counted; ``stages`` are numbers with seconds."""

    kind: str
    outcome: str
    duration_seconds: float
    stages: tuple[tuple[int, float], ...]


class Journal:
    """Owner of the tables ``operation`` and ``step``."""

    def __init__(self, database: Database) -> None:
        """Create the tables on first use."""
        self._database = database
        database.create(*_TABLES)

    def open(
        self, kind: str, actor: str, reason: str, request: dict[str, Any] | None = None, token: str | None = None
    ) -> Operation:
        """Begin an operation; one with a known token is returned as it stands."""
        with self._database.transaction():
            if token is not None and (known := self.by_token(token)) is not None:
                return known
            number = self._database.execute(
                "INSERT INTO operation (token, kind, actor, reason, request, started_at, started)"
                " VALUES (?, ?, ?, ?, ?, ?, ?)",
                (token, kind, actor, reason, json.dumps(request or {}), now_text(), wall_seconds()),
            )
        faults.point("journal.opened")
        return self.get(number)

    def planned(self, operation: int, plan: Plan) -> None:
        """Write down the plan: from here on the transition will be carried out or undone, whatever happens."""
        faults.point("journal.plan")
        self._database.execute("UPDATE operation SET plan=? WHERE id=?", (json.dumps(plan.as_json()), operation))
        faults.point("journal.planned")

    def note(self, operation: int, facts: dict[str, Any]) -> None:
        """Add facts to the request of an operation: what whoever recovers it must know."""
        with self._database.transaction():
            request = self.get(operation).request | facts
            self._database.execute("UPDATE operation SET request=? WHERE id=?", (json.dumps(request), operation))

    def turn(
        self, operation: int, ran: Ran | None, following: Callable[[list[JournalEntry]], Step | None]
    ) -> Step | None:
        """Write down how a step ended and, at once with it, that another one begins (again); returns that one.

        ``following`` chooses it from what the journal says then. What ended and what begins are one flush of the disk.
        """
        if ran is not None:
            faults.point("journal.end")
        faults.point("journal.begin")
        with self._database.transaction():
            if ran is not None:
                self._end(operation, ran)
            step = following(self.entries(operation))
            if step is not None:
                self._begin(operation, step)
        if ran is not None:
            faults.point("journal.ended")
        faults.point("journal.begun")
        return step

    def _begin(self, operation: int, step: Step) -> None:
        self._database.execute(
            "INSERT INTO step VALUES (?, ?, ?, ?, ?, ?, 0, '', 0)"
            " ON CONFLICT DO UPDATE SET state=excluded.state, begun_at=excluded.begun_at",
            (operation, str(step.direction), step.stage, str(step.name), str(StepState.BEGUN), now_text()),
        )

    def _end(self, operation: int, ran: Ran) -> None:
        step = ran.step
        self._database.execute(
            "UPDATE step SET state=?, duration=duration+?, detail=?, health=?"
            " WHERE operation=? AND direction=? AND stage=? AND name=?",
            (
                str(ran.state), ran.seconds, ran.detail, int(ran.health),
                operation, str(step.direction), step.stage, str(step.name),
            ),
        )  # fmt: skip

    def entries(self, operation: int) -> list[JournalEntry]:
        """Return the steps of an operation in the order in which they began."""
        return [
            JournalEntry(
                step=Step(Direction(r["direction"]), r["stage"], StepName(r["name"])),
                state=StepState(r["state"]),
                begun_at=r["begun_at"],
                duration_seconds=r["duration"],
                detail=r["detail"],
                health=bool(r["health"]),
            )
            for r in self._database.rows("SELECT * FROM step WHERE operation=? ORDER BY rowid", (operation,))
        ]

    def close(self, operation: int, outcome: str, result: dict[str, Any]) -> None:
        """Write down how an operation ended."""
        faults.point("journal.close")
        self._database.execute(
            "UPDATE operation SET outcome=?, result=? WHERE id=?", (outcome, json.dumps(result), operation)
        )
        faults.point("journal.closed")

    def tie(self, operation: int, incident: int) -> None:
        """Say which incident an operation belongs to."""
        self._database.execute("UPDATE operation SET incident=? WHERE id=?", (incident, operation))

    def get(self, operation: int) -> Operation:
        """Return an operation.

        Raises:
            NotFoundError: there is none of that number.
        """
        row = self._database.row("SELECT * FROM operation WHERE id=?", (operation,))
        if row is None:
            message = f"there is no operation {operation}"
            raise NotFoundError(message, next_step="see: stateguard history")
        return _operation(dict(row))

    def by_token(self, token: str) -> Operation | None:
        """Return the operation that was opened with a token."""
        row = self._database.row("SELECT * FROM operation WHERE token=?", (token,))
        return None if row is None else _operation(dict(row))

    def unfinished(self) -> list[Operation]:
        """Return the operations without an outcome, oldest first."""
        rows = self._database.rows("SELECT * FROM operation WHERE outcome IS NULL ORDER BY id")
        return [_operation(dict(r)) for r in rows]

    def planned_lately(self, most: int) -> list[Plan]:
        """Return the plans that were made last, newest first."""
        rows = self._database.rows(
            "SELECT plan FROM operation WHERE plan IS NOT NULL ORDER BY id DESC LIMIT ?", (most,)
        )
        return [Plan.from_json(json.loads(r["plan"])) for r in rows]

    def ended_after(self, operation: int) -> list[tuple[int, Ended | None]]:
        """Return the operations with a higher number, oldest first; None stands for one that still runs."""
        rows = self._database.rows(
            "SELECT id, kind, outcome, result FROM operation WHERE id>? ORDER BY id", (operation,)
        )
        return [(r["id"], _ended(r["kind"], r["outcome"], r["result"]) if r["outcome"] else None) for r in rows]

    def of_kind(self, kind: str, since_seconds: float) -> list[Operation]:
        """Return the operations of a kind begun at or after a Unix time, newest first."""
        rows = self._database.rows(
            "SELECT * FROM operation WHERE kind=? AND started>=? ORDER BY id DESC", (kind, since_seconds)
        )
        return [_operation(dict(r)) for r in rows]


def _ended(kind: str, outcome: str, result: str | None) -> Ended:
    document = json.loads(result) if result else {}
    stages = tuple((s["number"], float(s["duration_seconds"])) for s in document.get("stages", []))
    return Ended(kind, outcome, float(document.get("duration_seconds", 0.0)), stages)


def _operation(row: dict[str, Any]) -> Operation:
    return Operation(
        id=row["id"],
        token=row["token"],
        kind=row["kind"],
        actor=row["actor"],
        reason=row["reason"],
        request=json.loads(row["request"]),
        plan=Plan.from_json(json.loads(row["plan"])) if row["plan"] else None,
        started_at=row["started_at"],
        started=row["started"],
        outcome=row["outcome"],
        result=json.loads(row["result"]) if row["result"] else {},
        incident=row["incident"],
    )
