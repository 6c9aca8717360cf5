"""A transition: its kind, plan, steps and outcome."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from stateguard.model.tree import Entry, Stage


class Kind(StrEnum):
    """What a transition is for; ``baseline``, ``init`` and the rest are operations without one."""

    APPLY = "apply"
    ROLLBACK = "rollback"
    HEAL = "heal"
    RESTORE = "restore"
    DRILL = "drill"


class Outcome(StrEnum):
    """How an operation ended."""

    SUCCEEDED = "succeeded"
    REFUSED = "refused"
    FAILED = "failed"
    UNDONE = "undone"


class Conversations(StrEnum):
    """What a rollback does with conversations."""

    KEEP = "keep"
    RESTORE = "restore"


STAGE_NAMES = {
    Stage.STOP: "stop agents",
    Stage.SPECIFICATIONS: "restore agent specifications",
    Stage.CONFIGURATION: "restore configuration and protocols",
    Stage.CONVERSATIONS: "restore conversations",
    Stage.START: "start agents",
    Stage.CHANNELS: "open channels",
    Stage.VALIDATE: "validate",
}


class StepName(StrEnum):
    """The steps of a transition in their order; each is idempotent."""

    STOP = "stop"
    CAPTURE = "capture"
    SPECIFICATIONS = "specifications"
    CONFIGURATION = "configuration"
    CONVERSATIONS = "conversations"
    START = "start"
    CHANNELS = "channels"
    VALIDATE = "validate"
    RECORD = "record"


FORWARD: tuple[tuple[int, StepName], ...] = (
    (Stage.STOP, StepName.STOP),
    (Stage.STOP, StepName.CAPTURE),
    (Stage.SPECIFICATIONS, StepName.SPECIFICATIONS),
    (Stage.CONFIGURATION, StepName.CONFIGURATION),
    (Stage.CONVERSATIONS, StepName.CONVERSATIONS),
    (Stage.START, StepName.START),
    (Stage.CHANNELS, StepName.CHANNELS),
    (Stage.VALIDATE, StepName.VALIDATE),
    (Stage.VALIDATE, StepName.RECORD),
)

BACK: tuple[tuple[int, StepName], ...] = (
    (Stage.STOP, StepName.STOP),
    (Stage.SPECIFICATIONS, StepName.SPECIFICATIONS),
    (Stage.CONFIGURATION, StepName.CONFIGURATION),
    (Stage.CONVERSATIONS, StepName.CONVERSATIONS),
    (Stage.START, StepName.START),
)


class Direction(StrEnum):
    """Towards tree B, or back to tree A."""

    FORWARD = "forward"
    BACK = "back"


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a plan in one direction."""

    direction: Direction
    stage: int
    name: StepName


@dataclass(frozen=True, slots=True)
class PathWrite:
    """One path to be made equal tree B; ``before`` is what lay there (tree A), None where nothing did."""

    path: str
    stage: int
    before: Entry | None
    after: Entry | None


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything a transition does, decided before its first effect.

    ``source`` and ``target`` are main commits (empty text: nothing); ``backup`` is the emergency backup commit
    in captured.git; ``snapshot`` names the commit whose conversations are restored, if any. ``judged`` are the
    probes that count, ``hold`` watches them until the window ends, ``turns`` says whether a failed validation
    turns the transition round. ``aside`` pairs what is unmanaged and in the way with the name it is moved to, and back
    from on the way back. ``record`` is what the final step needs to move refs; the engine only carries it.
    """

    kind: Kind
    source: str
    target: str
    backup: str
    writes: tuple[PathWrite, ...] = ()
    stop: tuple[str, ...] = ()
    start: tuple[str, ...] = ()
    start_back: tuple[str, ...] = ()
    reload: tuple[str, ...] = ()
    conversations: Conversations = Conversations.KEEP
    snapshot: str | None = None
    judged: tuple[str, ...] = ()
    window_seconds: float = 30.0
    hold: bool = False
    turns: bool = False
    aside: tuple[tuple[str, str], ...] = ()
    record: dict[str, Any] = field(default_factory=dict)

    @property
    def touched(self) -> tuple[str, ...]:
        """The agents that read their files anew: started or reloaded."""
        return (*self.start, *self.reload)

    def as_json(self) -> dict[str, Any]:
        """Return the document that the journal keeps."""
        return {
            "kind": str(self.kind),
            "source": self.source,
            "target": self.target,
            "backup": self.backup,
            "writes": [[w.path, w.stage, _entry(w.before), _entry(w.after)] for w in self.writes],
            "stop": list(self.stop),
            "start": list(self.start),
            "start_back": list(self.start_back),
            "reload": list(self.reload),
            "conversations": str(self.conversations),
            "snapshot": self.snapshot,
            "judged": list(self.judged),
            "window_seconds": self.window_seconds,
            "hold": self.hold,
            "turns": self.turns,
            "aside": [list(pair) for pair in self.aside],
            "record": self.record,
        }

    @classmethod
    def from_json(cls, document: dict[str, Any]) -> Plan:
        """Rebuild the plan that the journal kept."""
        return cls(
            kind=Kind(document["kind"]),
            source=document["source"],
            target=document["target"],
            backup=document["backup"],
            writes=tuple(
                PathWrite(path, stage, Entry(*before) if before else None, Entry(*after) if after else None)
                for path, stage, before, after in document["writes"]
            ),
            stop=tuple(document["stop"]),
            start=tuple(document["start"]),
            start_back=tuple(document["start_back"]),
            reload=tuple(document.get("reload", ())),  # plans of earlier versions know none
            conversations=Conversations(document["conversations"]),
            snapshot=document["snapshot"],
            judged=tuple(document["judged"]),
            window_seconds=document["window_seconds"],
            hold=document["hold"],
            turns=document["turns"],
            aside=tuple((path, name) for path, name in document.get("aside", [])),
            record=document["record"],
        )


def _entry(entry: Entry | None) -> list[Any] | None:
    return [entry.mode, entry.id] if entry else None


class StepState(StrEnum):
    """What the journal says of a step."""

    BEGUN = "begun"
    DONE = "done"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class JournalEntry:
    """One step in the journal; times are RFC 3339 UTC, the duration is in seconds."""

    step: Step
    state: StepState
    begun_at: str
    duration_seconds: float = 0.0
    detail: str = ""
    health: bool = False


@dataclass(frozen=True, slots=True)
class StageReport:
    """What the ``stages`` key of a command shows."""

    number: int
    name: str
    outcome: str
    duration_seconds: float

    def as_json(self) -> dict[str, object]:
        """Return the keys of the contract."""
        return {
            "number": self.number,
            "name": self.name,
            "outcome": self.outcome,
            "duration_seconds": round(self.duration_seconds, 4),
        }


@dataclass(frozen=True, slots=True)
class OperationRecord:
    """One operation as ``history`` and the commands show it."""

    operation: int
    kind: str
    outcome: str
    source: str | None
    target: str | None
    fingerprint: str | None
    started_at: str
    duration_seconds: float
    actor: str
    reason: str
    incident: int | None = None
    stages: tuple[StageReport, ...] = ()
    detail: dict[str, Any] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """Return the keys of the contract."""
        return {
            "operation": self.operation,
            "kind": self.kind,
            "outcome": self.outcome,
            "from": self.source,
            "to": self.target,
            "fingerprint": self.fingerprint,
            "started_at": self.started_at,
            "duration_seconds": round(self.duration_seconds, 4),
            "actor": self.actor,
            "reason": self.reason,
            "incident": self.incident,
            "stages": [s.as_json() for s in self.stages],
            "detail": self.detail,
        }
