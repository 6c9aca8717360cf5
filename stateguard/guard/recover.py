"""After a crash: every operation without an outcome is carried on to its end, oldest first."""

from __future__ import annotations

from stateguard.errors import StateguardError
from stateguard.guard.adopt import carry_out
from stateguard.guard.applies import Applies, quiet
from stateguard.guard.candidates import drop_candidates
from stateguard.guard.compose import Guard
from stateguard.host.logs import failure, log
from stateguard.live.replaced import sweep
from stateguard.model.transition import Conversations, Outcome, StepName
from stateguard.respond.responder import Back
from stateguard.respond.withdraw import Target
from stateguard.state.batch import forget_unfinished
from stateguard.state.locks import free_locks
from stateguard.transition.journal import Operation
from stateguard.transition.plan import next_step
from stateguard.transition.prepare import Wish

_LATELY = 3
"""Replaced files of so many operations may still have been there when the guard ended."""


def recover(guard: Guard, applies: Applies) -> list[int]:
    """Finish or undo what was interrupted; returns the operations concerned.

    What blocks git since a power cut, or since a git process was killed, is cleared first.

    Raises:
        StateguardError: storage does not allow it.
    """
    _clear(guard)
    come_home(guard)
    _revive(guard)
    recovered: list[int] = []
    while left := [o for o in guard.books.journal.unfinished() if not _belongs_to_apply(o)]:
        operation = left[0]
        log("recovering", operation=operation.id, kind=operation.kind)
        _carry_on(guard, applies, operation)
        if guard.books.journal.get(operation.id).outcome is None:
            message = f"operation {operation.id} could not be finished or undone"
            raise StateguardError(message, next_step="see the guard's log; try: stateguard recover")
        recovered.append(operation.id)
    drop_candidates(guard)
    return recovered


def _clear(guard: Guard) -> None:
    for repository in (guard.repository, guard.captured):
        try:
            free_locks(repository.path)
            forget_unfinished(repository.path)
        except OSError:
            failure("what an interrupted write left could not be removed", repository=repository.path.name)
    try:
        sweep(guard.live, {w.path for plan in guard.books.journal.planned_lately(_LATELY) for w in plan.writes})
    except OSError:
        failure("replaced files could not be removed", live=str(guard.live))


def _revive(guard: Guard) -> None:
    """Start the agents that ended with the host and that the interrupted operation will not start any more.

    Their window goes on, and they would be judged although nobody runs them: without them no rollback could succeed.
    """
    planned = [o for o in guard.books.journal.unfinished() if o.plan is not None and "adopted" not in o.request]
    if not planned or (plan := planned[-1].plan) is None:
        return
    step = next_step(guard.books.journal.entries(planned[-1].id))
    if step is None or step.name is StepName.RECORD:
        return  # nobody is judged any more: they start as soon as it is clear which commit is live
    if step.name in (StepName.CHANNELS, StepName.VALIDATE):
        guard.start_missing(plan.target)
    else:
        guard.start_missing(plan.source, but={*plan.stop, *plan.start, *plan.start_back})


def come_home(guard: Guard) -> None:
    """Bring home what the repositories kept in the spool, if they can be written again; what prevents it is logged."""
    try:
        guard.operations.footing.come_home()
    except (StateguardError, OSError):
        failure("what is kept in the spool could not be brought home")


def way_of(operation: Operation) -> Back:
    """Return the way back that a rollback was opened with."""
    request = operation.request
    return Back(
        target=Target(request["target"], request["label"], ""),
        actor=operation.actor,
        reason=operation.reason,
        incident=operation.incident,
        made=bool(request.get("made")),
        any_data=bool(request.get("any_data")),
        conversations=Conversations(request.get("conversations", "keep")),
        snapshot=request.get("snapshot"),
    )


def _belongs_to_apply(operation: Operation) -> bool:
    """Say whether an operation puts back a failed apply, which carries it on itself."""
    return "failed" in operation.request


def _carry_on(guard: Guard, applies: Applies, operation: Operation) -> None:
    if "adopted" in operation.request:
        carry_out(guard, operation, quiet)
    elif operation.kind == "apply":
        applies.resume(operation)
    elif operation.kind == "rollback":
        guard.responder.resume_back(operation, way_of(operation))
    elif operation.plan is not None:
        ended = guard.operations.transition(operation, _no_wish)
        guard.operations.finish(operation, ended.outcome, ended.detail)
    else:
        guard.operations.finish(operation, Outcome.FAILED, "interrupted before anything was changed")


def _no_wish() -> Wish:
    message = "an operation with a plan needs no wish"
    raise ValueError(message)
