"""Operations: opened, prepared, carried out, recorded; each step of it safe to repeat after a crash."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from stateguard.agents.runtime import AgentRuntime
from stateguard.errors import StateguardError, StorageError
from stateguard.host.clock import wall_seconds
from stateguard.host.logs import failure
from stateguard.model.identity import APPLIED, MAIN, ZERO
from stateguard.model.transition import Kind, OperationRecord, Outcome, Plan, StageReport
from stateguard.record.audit import Audit, Entry
from stateguard.record.history import operation_entry
from stateguard.state import fingerprint
from stateguard.state.forward import Signer, signed_commit
from stateguard.state.repository import RefMove, Repository
from stateguard.transition.declared import Declared
from stateguard.transition.engine import Ended, Engine
from stateguard.transition.footing import Footing
from stateguard.transition.journal import Journal, Operation
from stateguard.transition.plan import in_step, is_over, stage_reports
from stateguard.transition.prepare import Preparation, Wish


@dataclass(frozen=True, slots=True)
class Books:
    """Where operations are written down."""

    repository: Repository
    journal: Journal
    audit: Audit
    declared: Declared
    signer: Signer
    digests: fingerprint.DigestCache


class Recorder:
    """The final step of a transition: moves refs, in one transaction with their audit entry."""

    def __init__(self, books: Books, runtime: AgentRuntime) -> None:
        """Write into these books; the runtime learns which revision its agents run."""
        self._books, self._runtime = books, runtime

    def record(self, operation: Operation, plan: Plan) -> str:
        """Move main and applied as the plan says; done twice, it moves nothing the second time.

        ``plan.record`` holds ``main``: ``move`` (fast-forward to the target), ``forward`` (a commit that brings
        the target's tree back) or ``keep``; ``old``: where main was; ``applied``: what is live afterwards, when
        main is kept; ``message``: of the forward commit; ``moves``: further refs.

        Raises:
            StorageError: git refused, or a ref was moved by somebody else.
        """
        repository = self._books.repository
        wanted = [(str(name), str(new)) for name, new in plan.record.get("moves", [])]
        main, old, mode = repository.ref(MAIN), plan.record.get("old"), plan.record.get("main", "keep")
        live = plan.record.get("applied") or plan.target
        if mode == "move":
            wanted.append((MAIN, plan.target))
        elif mode == "forward":
            live = self._forward(plan) if main == old else str(main)
            wanted.append((MAIN, live))
        if plan.kind is not Kind.HEAL:
            wanted.append((APPLIED, live))
        moves = [
            RefMove(name, new, old_id or ZERO)
            for name, new in wanted
            if (old_id := repository.ref(name)) != new and not (new == ZERO and old_id is None)
        ]
        if moves:
            body = {"operation": operation.id, "moves": [[m.name, m.old, m.new] for m in moves]}
            self._books.audit.append([Entry("ref", operation.actor, body)], moves)
        agents = self._books.declared.system(live).agents
        self._runtime.label(in_step(agents, self._runtime.statuses(), plan, live), live)
        return live

    def _forward(self, plan: Plan) -> str:
        repository = self._books.repository
        tree, old = repository.commit(plan.target).tree, str(plan.record["old"])
        message = str(plan.record["message"])
        return signed_commit(repository, tree, [old], message, wall_seconds(), self._books.signer)


class Operations:
    """Runs operations from their opening to their record in history."""

    def __init__(self, books: Books, preparation: Preparation, engine: Engine, footing: Footing) -> None:
        """Work with these parts."""
        self.books, self.preparation, self.engine, self.footing = books, preparation, engine, footing

    def transition(self, operation: Operation, wish: Callable[[], Wish]) -> Ended:
        """Carry out a transition from wherever it stands. ``wish`` is asked only if there is no plan yet.

        Raises:
            RefusedError: it cannot be prepared; nothing was changed.
            StorageError: the backup cannot be made, and nothing was changed; or the journal cannot be written, and
                the operation waits to be recovered.
        """
        self.footing.take(urgent=operation.kind == Kind.ROLLBACK)
        if operation.plan is None:
            self._prepare(operation, wish)
        try:
            return self.engine.carry_out(operation.id)
        except (StateguardError, OSError):
            failure("the journal could not be written; once more from what it says", operation=operation.id)
        try:
            self.footing.take(urgent=True)
            return self.engine.carry_out(operation.id)
        except OSError as error:
            raise _interrupted(operation.id) from error

    def _prepare(self, operation: Operation, wish: Callable[[], Wish]) -> None:
        """Prepare, and once more if storage refuses: a change that failed must not stay for want of one read."""
        for last in (False, True):
            try:
                self.books.journal.planned(operation.id, self.preparation.plan(operation.id, wish()))
            except (StorageError, OSError) as error:
                if not last:
                    failure("it could not be prepared; once more", operation=operation.id)
                    self.footing.take(urgent=operation.kind == Kind.ROLLBACK)
                    continue
                if isinstance(error, StorageError):
                    raise
                message = f"the live directory cannot be read or kept: {error.strerror or error}"
                raise StorageError(message, next_step="check the disk, and who may read the files") from error
            return

    def finish(
        self,
        operation: Operation,
        outcome: Outcome,
        detail: str,
        *,
        extra: Sequence[Entry] = (),
        more: dict[str, Any] | None = None,
    ) -> OperationRecord:
        """Write an operation into history and close it in the journal; the detail explains the outcome.

        Raises:
            StorageError: it is to be refused although its transition is under way: it stays open, to be recovered.
        """
        operation = self.books.journal.get(operation.id)
        if operation.outcome is not None:
            return record_of(operation.result)
        if outcome is Outcome.REFUSED and self._under_way(operation.id):
            raise _interrupted(operation.id)
        plan = operation.plan
        target = plan.target if plan else operation.request.get("target")
        if plan and outcome is Outcome.SUCCEEDED:
            target = self.books.repository.ref(APPLIED)
        record = OperationRecord(
            operation=operation.id,
            kind=operation.kind,
            outcome=str(outcome),
            source=(plan.source if plan else operation.request.get("source")) or None,
            target=target or None,
            fingerprint=self._fingerprint(target),
            started_at=operation.started_at,
            duration_seconds=max(0.0, wall_seconds() - operation.started),
            actor=operation.actor,
            reason=operation.reason,
            incident=operation.incident,
            stages=stage_reports(self.books.journal.entries(operation.id)),
            detail={"message": detail, **_effects(plan), **_emergency(operation), **(more or {})},
        )
        self.books.audit.append([operation_entry(record.as_json()), *extra])
        self.books.journal.close(operation.id, str(outcome), record.as_json())
        return record

    def _under_way(self, operation: int) -> bool:
        entries = self.books.journal.entries(operation)
        return bool(entries) and not is_over(entries)

    def _fingerprint(self, revision: str | None) -> str | None:
        if not revision:
            return None
        try:
            tree = self.books.repository.commit(revision).tree
            return fingerprint.incremental(self.books.repository, tree, self.books.digests)
        except StateguardError:
            return None  # a refused push whose objects are gone again has no fingerprint to show


def _interrupted(operation: int) -> StorageError:
    message = f"operation {operation} was interrupted: its journal cannot be written"
    return StorageError(message, changed="a part of it", next_step="check the disk, then: stateguard recover")


def _emergency(operation: Operation) -> dict[str, Any]:
    """Return the emergency that an operation was, for whoever reviews it."""
    return {key: operation.request[key] for key in ("emergency",) if key in operation.request}


def _effects(plan: Plan | None) -> dict[str, Any]:
    if plan is None:
        return {}
    moved = {"aside": dict(plan.aside)} if plan.aside else {}
    return moved | {
        "files": [w.path for w in plan.writes][:200],
        "agents": list(plan.start),
        "reloaded": list(plan.reload),
        "backup": plan.backup,
        "conversations": str(plan.conversations),
    }


def so_far(journal: Journal, number: int, unfinished: str = "running") -> dict[str, Any]:
    """Return the record of an operation as JSON; of one without an outcome, what can be said by now, with that word.

    Raises:
        NotFoundError: there is none of that number.
    """
    operation = journal.get(number)
    if operation.result:
        return operation.result
    plan = operation.plan
    return OperationRecord(
        operation=number,
        kind=operation.kind,
        outcome=unfinished,
        source=plan.source or None if plan else None,
        target=plan.target or None if plan else None,
        fingerprint=None,
        started_at=operation.started_at,
        duration_seconds=0.0,
        actor=operation.actor,
        reason=operation.reason,
        incident=operation.incident,
        stages=stage_reports(journal.entries(number)),
        detail={},
    ).as_json()


def record_of(document: dict[str, Any]) -> OperationRecord:
    """Rebuild the record that the journal kept of a finished operation."""
    return OperationRecord(
        operation=document["operation"],
        kind=document["kind"],
        outcome=document["outcome"],
        source=document["from"],
        target=document["to"],
        fingerprint=document["fingerprint"],
        started_at=document["started_at"],
        duration_seconds=document["duration_seconds"],
        actor=document["actor"],
        reason=document["reason"],
        incident=document["incident"],
        stages=tuple(StageReport(**stage) for stage in document["stages"]),
        detail=document["detail"],
    )
