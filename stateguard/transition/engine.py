"""The engine: the next step, run, done; the same code on the first run and after any crash."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from stateguard import faults
from stateguard.errors import StateguardError
from stateguard.host.clock import boot_seconds
from stateguard.host.logs import failure
from stateguard.model.transition import (
    BACK,
    Direction,
    JournalEntry,
    Kind,
    Outcome,
    Plan,
    Step,
    StepName,
    StepState,
)
from stateguard.transition.footing import Footing
from stateguard.transition.journal import Journal, Operation, Ran
from stateguard.transition.plan import WRITE_STAGES, next_step


class StageError(StateguardError):
    """A step did not reach its end. ``health`` says that the system is not well, rather than the engine."""

    code = "stage-failed"
    exit = 1

    def __init__(self, message: str, *, health: bool) -> None:
        """Keep the one sentence and whose fault it is."""
        super().__init__(message, changed="the transition is turned round or taken back")
        self.health = health


class Runner(Protocol):
    """Does the work of one step; idempotent by contract."""

    def run(self, operation: Operation, plan: Plan, step: Step) -> str:
        """Carry out one step; returns a sentence for the record.

        Raises:
            StageError: the step failed.
            StateguardError: storage or the runtime failed.
        """
        ...


@dataclass(frozen=True, slots=True)
class Ended:
    """How a transition ended, and the sentence that explains it."""

    outcome: Outcome
    detail: str
    entries: tuple[JournalEntry, ...]


class Engine:
    """Carries out planned operations step by step."""

    def __init__(
        self, journal: Journal, runner: Runner, announce: Callable[[Operation, Step], None], footing: Footing
    ) -> None:
        """``announce`` is told each step before it begins."""
        self._journal, self._runner, self._announce, self._footing = journal, runner, announce, footing
        self._cancelled: set[int] = set()
        self.current: tuple[Operation, Step] | None = None

    def cancel(self, operation: int) -> bool:
        """Ask a running operation to turn round before its next step; False if it does not run."""
        running = self.current is not None and self.current[0].id == operation
        if running:
            self._cancelled.add(operation)
        return running

    def carry_out(self, number: int) -> Ended:
        """Run an operation from wherever it stands to its end.

        Raises:
            ValueError: it has no plan yet.
        """
        operation = self._journal.get(number)
        if operation.plan is None:
            message = f"operation {number} has no plan"
            raise ValueError(message)
        try:
            step = self._journal.turn(number, None, next_step)
            while step is not None:
                self.current = (operation, step)
                self._announce(operation, step)
                step = self._journal.turn(number, self._step(operation, operation.plan, step), next_step)
        finally:
            self.current = None
            self._cancelled.discard(number)
        return ended(self._journal.entries(number))

    def _step(self, operation: Operation, plan: Plan, step: Step) -> Ran:
        began = boot_seconds()
        detail, failed = self._once(operation, plan, step)
        if failed is not None and _tries_again(plan, step, failed):
            # Where there is nowhere to write, that leaves the engine: the step has not failed, it is to be recovered.
            self._footing.take(urgent=plan.kind is Kind.ROLLBACK or step.direction is Direction.BACK)
            detail, failed = self._once(operation, plan, step)
        spent = boot_seconds() - began
        if failed is None:
            return Ran(step, StepState.DONE, spent, detail)
        health = isinstance(failed, StageError) and failed.health and not plan.turns
        if not isinstance(failed, StageError):
            failure("a step failed", failed, operation=operation.id, step=str(step.name))
        return Ran(step, StepState.FAILED, spent, str(failed), health)

    def _once(self, operation: Operation, plan: Plan, step: Step) -> tuple[str, StateguardError | OSError | None]:
        """Run a step once; returns what it says, and what kept it from its end."""
        if operation.id in self._cancelled and step.direction is Direction.FORWARD:
            return "", StageError("cancelled by a person", health=False)
        try:
            detail = self._runner.run(operation, plan, step)
            faults.point(f"stage.{step.name}")
        except (StateguardError, OSError) as error:
            return "", error
        return detail, None


def _tries_again(plan: Plan, step: Step, error: Exception) -> bool:
    """Say whether a step that failed once is tried again: what storage or the runtime refused always is.

    A step that did its work in vain is, if it leads to a state that is known to be good.
    """
    if not isinstance(error, StageError):
        return True
    known_good = plan.kind is not Kind.APPLY or step.direction is Direction.BACK
    return known_good and (step.name in WRITE_STAGES or step.name is StepName.START)


def ended(entries: Sequence[JournalEntry]) -> Ended:
    """Return how a transition ended from what its journal says."""
    failed = [e for e in entries if e.state is StepState.FAILED]
    if not failed:
        said = next((e.detail for e in entries if e.step.name is StepName.VALIDATE), "")
        return Ended(Outcome.SUCCEEDED, said, tuple(entries))
    back = [e for e in entries if e.step.direction is Direction.BACK]
    if failed[0].health:
        return Ended(Outcome.FAILED, failed[0].detail, tuple(entries))
    if len(back) == len(BACK) and all(e.state is StepState.DONE for e in back):
        return Ended(Outcome.UNDONE, failed[0].detail, tuple(entries))
    detail = "; then the way back failed: ".join(e.detail for e in failed)
    return Ended(Outcome.FAILED, detail, tuple(entries))
