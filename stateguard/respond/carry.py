"""What every way back shares: the record that moves main, the transition, the soak of what was reached."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from stateguard.errors import StateguardError
from stateguard.host.clock import moment
from stateguard.host.logs import failure, log
from stateguard.model.identity import APPLIED, WITHDRAWN
from stateguard.model.policy import Policy
from stateguard.model.transition import OperationRecord, Outcome
from stateguard.respond.promote import Soak
from stateguard.respond.store import Store
from stateguard.respond.withdraw import Target
from stateguard.state.forward import rollback_message
from stateguard.transition.journal import Operation
from stateguard.transition.operations import Operations
from stateguard.transition.prepare import Wish

UNPROVEN = "unproven"
"""Mark: the live commit whose apply failed and was left as it is."""


class Carrier:
    """Carries out rollbacks and notes what follows from them."""

    def __init__(self, operations: Operations, store: Store) -> None:
        """Work with these parts."""
        self.operations, self.store = operations, store
        self.books = operations.books

    def tie(self, incident: int, operation: int) -> None:
        """Say that an operation belongs to an incident."""
        self.books.journal.tie(operation, incident)
        self.store.tie(incident, operation)

    def policy(self, revision: str) -> Policy:
        """Return the policy that a commit declares."""
        return self.books.declared.system(revision).policy

    def soak(self, operation: Operation, live: str, *, by_rollback: bool) -> None:
        """Begin the soak of what an operation reached, unless nothing changed."""
        plan = operation.plan
        earlier = self.store.soak()
        changed = plan is not None and (plan.writes or plan.start or plan.record.get("adopted"))
        if plan is None or (not changed and earlier is not None and not by_rollback):
            if earlier is not None:
                self.store.keep_soak(replace(earlier, revision=live))
            return
        self.store.mark(UNPROVEN, None)
        now = moment()
        policy = self.policy(live)
        self.store.keep_soak(
            Soak(
                revision=live,
                operation=operation.id,
                began=now,
                due=now.plus(policy.soak_seconds),
                counted=frozenset(plan.judged),
                before=plan.source or None,
                before_was_well=bool(operation.request.get("was_well", False)),
                by_rollback=by_rollback,
            )
        )

    def differ(self, one: str, other: str) -> bool:
        """Say whether two commits desire different states."""
        return self.books.declared.digest(one) != self.books.declared.digest(other)

    def soak_on(self, revision: str) -> None:
        """Let the soak of a state go on under the name of the forward commit that brought it back."""
        soak, live = self.store.soak(), self.books.repository.ref(APPLIED)
        if soak is not None and live and soak.revision == revision:
            self.store.keep_soak(replace(soak, revision=live))

    def forward(self, operation: int, target: Target, reason: str, incident: int | None, head: str) -> dict[str, Any]:
        """Return the record under which main gets a forward commit and what it withdraws is kept."""
        repository = self.books.repository
        gone = repository.between(target.revision, head) if repository.is_ancestor(target.revision, head) else []
        return {
            "main": "forward",
            "old": head,
            "message": rollback_message(target.label, reason, incident, operation, gone, head),
            "moves": [[WITHDRAWN + str(operation), head]],
        }

    def carry_back(
        self, operation: Operation, wish: Callable[[], Wish], target: Target, reached: Callable[[], None] | None = None
    ) -> OperationRecord:
        """Carry out a rollback; ``reached`` notes what follows from its success before that is written down."""
        more = {"target_label": target.label}
        try:
            ended = self.operations.transition(operation, wish)
        except StateguardError as error:
            failure("a rollback could not be carried out", operation=operation.id)
            return self.operations.finish(operation, Outcome.REFUSED, str(error), more=more)
        if ended.outcome is Outcome.SUCCEEDED and reached is not None:
            reached()
        self._tell_moved(operation.id)
        return self.operations.finish(operation, ended.outcome, ended.detail, more=more | {"good": target.revision})

    def _tell_moved(self, number: int) -> None:
        """Write down what lay in the way of a rollback that does not wait for a person, and where it is now."""
        operation = self.books.journal.get(number)
        for path, name in operation.plan.aside if operation.plan else ():
            log("moved aside", operation=number, path=path, now=name)
            if operation.incident is not None:
                self.store.event(operation.incident, f"{path} is not managed and was in the way; it is now {name}")
