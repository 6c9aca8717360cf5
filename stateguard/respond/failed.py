"""A change that was tried and does not work: taken back, or left as it is where arming says so."""

from __future__ import annotations

from typing import Any

from stateguard.host.clock import now_text
from stateguard.model.condition import Condition, Severity
from stateguard.model.identity import CANDIDATES, GUARD, WITHDRAWN, ZERO, short
from stateguard.model.incident import Incident, IncidentState
from stateguard.model.policy import Arming, Trigger
from stateguard.model.transition import Kind, OperationRecord, Outcome, Plan
from stateguard.record.audit import Entry
from stateguard.respond.authority import Action, Decision, decide_apply
from stateguard.respond.carry import UNPROVEN, Carrier
from stateguard.respond.reporting import Reporter
from stateguard.respond.withdraw import Target
from stateguard.transition.journal import Operation
from stateguard.transition.operations import Recorder
from stateguard.transition.prepare import Wish


class FailedApply:
    """Decides about failed applies and carries the decision out; safe to repeat after a crash."""

    def __init__(self, carrier: Carrier, recorder: Recorder, reporter: Reporter) -> None:
        """Work with these parts; ``recorder`` moves the refs of what is left as it is."""
        self._carrier, self._recorder, self._reporter = carrier, recorder, reporter
        self._operations, self._store, self._books = carrier.operations, carrier.store, carrier.books

    def respond(
        self, operation: Operation, detail: str, level: Arming, *, suspended: bool
    ) -> tuple[Incident, OperationRecord | None]:
        """Open the incident of a failed apply, decide and act; returns the rollback, None if it was left as it is."""
        plan = operation.plan
        if plan is None:
            message = f"operation {operation.id} failed before it had a plan"
            raise ValueError(message)
        self._operations.footing.take(urgent=True)
        conditions = [_condition(part) for part in detail.split("; ")]
        summary = f"{short(plan.target)} does not work: {detail}"
        incident = self._store.open_incident(
            f"apply-{operation.id}", Severity.HIGH, "FAILED_APPLY", GUARD, summary, plan.target
        )
        self._carrier.tie(incident.id, operation.id)
        self._store.conditions(incident.id, conditions)
        # A change that main has not taken yet has somebody waiting for its answer, or nobody who would miss it.
        decision = decide_apply(level, awaiting=plan.record.get("main") == "move", suspended=suspended)
        self._store.decided(incident.id, decision.as_json())
        if decision.action is Action.ROLLBACK:
            return self._take_back(operation, plan, incident.id, detail)
        return self._leave(operation, plan, incident.id, detail, decision), None

    def _take_back(
        self, operation: Operation, plan: Plan, incident: int, detail: str
    ) -> tuple[Incident, OperationRecord]:
        store, declared = self._store, self._books.declared
        store.become(incident, IncidentState.MITIGATING, "going back to the state before the change")
        record = self._put_back(operation, plan, incident, detail)
        if self._carrier.differ(plan.source, plan.target):
            store.withdraw(declared.digest(plan.target), plan.target, record.operation, incident)
        if record.outcome == str(Outcome.SUCCEEDED):
            self._carrier.soak_on(plan.source)
            words = f"the system is back in the state before the change ({record.detail['message']})"
            store.become(incident, IncidentState.RESOLVED, words)
        else:
            store.event(incident, f"a person is needed: {record.detail['message']}")
        self._operations.finish(operation, Outcome.FAILED, detail)
        self._reporter.publish(incident)
        return store.incident(incident), record

    def _leave(self, operation: Operation, plan: Plan, incident: int, detail: str, decision: Decision) -> Incident:
        """Leave a failed change live: refs follow it, it soaks as the suspect, the ledger says what was withheld."""
        live = self._recorder.record(operation, plan)
        self._carrier.soak(operation, live, by_rollback=False)
        self._store.mark(UNPROVEN, live)
        self._books.audit.append([Entry("decision", GUARD, {"incident": incident, **decision.as_json()})])
        would = f"go back to the state before {short(plan.target)}"
        self._store.ledger_add(str(Trigger.APPLY), str(decision.action), decision.reason, incident, would)
        more = {"left": str(decision.action), "why": decision.reason}
        self._operations.finish(operation, Outcome.FAILED, detail, more=more)
        self._reporter.publish(incident)
        return self._store.incident(incident)

    def _put_back(self, failed: Operation, plan: Plan, incident: int, detail: str) -> OperationRecord:
        journal = self._books.journal
        target = Target(plan.source, f"the state before {short(plan.target)}", "")
        accepted_unseen = plan.record.get("main") == "keep" and self._carrier.differ(plan.source, plan.target)
        request = {"source": plan.target, "target": plan.source, "failed": failed.id}
        reason = f"operation {failed.id} failed: {detail}"
        operation = journal.open("rollback", GUARD, reason, request, token=f"put-back-{failed.id}")
        self._carrier.tie(incident, operation.id)
        if operation.outcome is not None:
            return self._operations.finish(operation, Outcome(operation.outcome), detail)

        def wish() -> Wish:
            record: dict[str, Any] = {
                "main": "keep",
                "applied": plan.source,
                "moves": [[WITHDRAWN + str(failed.id), plan.target], [CANDIDATES + str(failed.id), ZERO]],
            }
            if accepted_unseen:
                record = self._carrier.forward(operation.id, target, detail, incident, plan.target)
            return Wish(
                kind=Kind.ROLLBACK,
                source=plan.target,
                target=plan.source,
                differing=True,
                restore={w.path: w.before for w in plan.writes},
                aside=True,
                any_data=True,
                judged=frozenset(plan.judged),
                record=record,
            )

        return self._carrier.carry_back(operation, wish, target)


def _condition(message: str) -> Condition:
    head = message.split(":", 1)[0]
    component = head if ":" in message and " " not in head else message.split(" ", 1)[0]
    return Condition("FAILED_APPLY", component, Severity.HIGH, "DidNotWork", message, "probe", (now_text(),))
