"""The one orchestrator: what follows when an apply fails, when trouble comes later, and when a state has soaked."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

from stateguard.errors import StateguardError
from stateguard.host.clock import moment, now_text, wall_seconds
from stateguard.host.logs import failure, log
from stateguard.model.baseline import Baseline
from stateguard.model.condition import Condition, Severity
from stateguard.model.health import Health
from stateguard.model.identity import APPLIED, CANDIDATES, GUARD, MAIN, WITHDRAWN, ZERO, short
from stateguard.model.incident import Incident, IncidentState
from stateguard.model.moment import rfc3339
from stateguard.model.policy import Arming, Policy, Trigger
from stateguard.model.transition import Conversations, Kind, OperationRecord, Outcome
from stateguard.record.audit import Entry
from stateguard.record.baseline import Baselines
from stateguard.respond.authority import Action, Decision, decide
from stateguard.respond.lifecycle import is_relapse
from stateguard.respond.loopguard import Budget, Tried, stopped_by
from stateguard.respond.promote import Soak
from stateguard.respond.reporting import Reporter
from stateguard.respond.store import Store
from stateguard.respond.withdraw import Change, Target, targets
from stateguard.state.forward import rollback_message
from stateguard.transition.engine import Ended
from stateguard.transition.journal import Operation
from stateguard.transition.operations import Operations
from stateguard.transition.prepare import Wish

_HOUR, _DAY = 3600.0, 86400.0
_NOWHERE = "nowhere"
_WHILE_FAILING = {IncidentState.RESOLVED: IncidentState.OPEN}


@dataclass(frozen=True, slots=True)
class Back:
    """A way back: where to, who wants it, why, and how the conversations fare.

    ``made`` says that the target is a commit made for this, with main as its parent: main moves to it as it is.
    ``any_data`` goes back even to agents that cannot read today's data.
    """

    target: Target
    actor: str
    reason: str
    incident: int | None = None
    made: bool = False
    any_data: bool = False
    conversations: Conversations = Conversations.KEEP
    snapshot: str | None = None


class Responder:
    """Decides through the pure modules of this package and acts through the transition engine."""

    def __init__(self, operations: Operations, store: Store, baselines: Baselines, reporter: Reporter) -> None:
        """Work with these parts."""
        self._operations, self._store, self._baselines, self._reporter = operations, store, baselines, reporter
        self._books = operations.books

    # a change that was applied

    def accepted(self, operation: Operation, ended: Ended, live: str) -> OperationRecord:
        """Record an applied change and begin the soak of the state it reached."""
        self.soak(operation, live, by_rollback=False)  # first: what is finished is not looked at after a crash
        return self._operations.finish(operation, Outcome.SUCCEEDED, ended.detail)

    def soak(self, operation: Operation, live: str, *, by_rollback: bool) -> None:
        """Begin the soak of what an operation reached, unless nothing changed."""
        plan = operation.plan
        earlier = self._store.soak()
        changed = plan is not None and (plan.writes or plan.start or plan.record.get("adopted"))
        if plan is None or (not changed and earlier is not None and not by_rollback):
            if earlier is not None:
                self._store.keep_soak(replace(earlier, revision=live))
            return
        now = moment()
        policy = self._policy(live)
        self._store.keep_soak(
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

    def failed(self, operation: Operation, detail: str) -> tuple[Incident, OperationRecord]:
        """Take back a change that did not work: incident, rollback, report. Safe to repeat after a crash."""
        plan = operation.plan
        if plan is None:
            message = f"operation {operation.id} failed before it had a plan"
            raise ValueError(message)
        conditions = [_condition(part) for part in detail.split("; ")]
        summary = f"{short(plan.target)} does not work: {detail}"
        incident = self._store.open_incident(
            f"apply-{operation.id}", Severity.HIGH, "FAILED_APPLY", GUARD, summary, plan.target
        )
        self._tie(incident.id, operation.id)
        self._store.conditions(incident.id, conditions)
        reason = "the change was tried and does not work; a failed apply is always taken back"
        self._store.decided(incident.id, Decision(Action.ROLLBACK, Trigger.APPLY, reason).as_json())
        self._store.become(incident.id, IncidentState.MITIGATING, "going back to the state before the change")
        record = self._put_back(operation, incident.id, detail)
        if self._differ(plan.source, plan.target):
            self._store.withdraw(self._books.declared.digest(plan.target), plan.target, record.operation, incident.id)
        if record.outcome == str(Outcome.SUCCEEDED):
            self._soak_on(plan.source)
            words = f"the system is back in the state before the change ({record.detail['message']})"
            self._store.become(incident.id, IncidentState.RESOLVED, words)
        else:
            self._store.event(incident.id, f"a person is needed: {record.detail['message']}")
        self._operations.finish(operation, Outcome.FAILED, detail)
        self._reporter.publish(incident.id)
        return self._store.incident(incident.id), record

    def _put_back(self, failed: Operation, incident: int, detail: str) -> OperationRecord:
        plan, journal = failed.plan, self._books.journal
        if plan is None:
            raise ValueError(failed.id)
        target = Target(plan.source, f"the state before {short(plan.target)}", "")
        accepted_unseen = plan.record.get("main") == "keep" and self._differ(plan.source, plan.target)
        request = {"source": plan.target, "target": plan.source, "failed": failed.id}
        reason = f"operation {failed.id} failed: {detail}"
        operation = journal.open("rollback", GUARD, reason, request, token=f"put-back-{failed.id}")
        self._tie(incident, operation.id)
        if operation.outcome is not None:
            return self._operations.finish(operation, Outcome(operation.outcome), detail)

        def wish() -> Wish:
            record: dict[str, Any] = {
                "main": "keep",
                "applied": plan.source,
                "moves": [[WITHDRAWN + str(failed.id), plan.target], [CANDIDATES + str(failed.id), ZERO]],
            }
            if accepted_unseen:
                record = self._forward(operation.id, target, detail, incident, plan.target)
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

        return self._carry_back(operation, wish, target)

    def _differ(self, one: str, other: str) -> bool:
        return self._books.declared.digest(one) != self._books.declared.digest(other)

    def _soak_on(self, revision: str) -> None:
        """Let the soak of a state go on under the name of the forward commit that brought it back."""
        soak, live = self._store.soak(), self._books.repository.ref(APPLIED)
        if soak is not None and live and soak.revision == revision:
            self._store.keep_soak(replace(soak, revision=live))

    def _carry_back(
        self, operation: Operation, wish: Callable[[], Wish], target: Target, reached: Callable[[], None] | None = None
    ) -> OperationRecord:
        """Carry out a rollback; ``reached`` notes what follows from its success before that is written down."""
        more = {"target_label": target.label}
        try:
            ended = self._operations.transition(operation, wish)
        except StateguardError as error:
            failure("a rollback could not be carried out", operation=operation.id)
            return self._operations.finish(operation, Outcome.REFUSED, str(error), more=more)
        if ended.outcome is Outcome.SUCCEEDED and reached is not None:
            reached()
        self._tell_moved(operation.id)
        return self._operations.finish(operation, ended.outcome, ended.detail, more=more | {"good": target.revision})

    def _tell_moved(self, number: int) -> None:
        """Write down what lay in the way of a rollback that does not wait for a person, and where it is now."""
        operation = self._books.journal.get(number)
        for path, name in operation.plan.aside if operation.plan else ():
            log("moved aside", operation=number, path=path, now=name)
            if operation.incident is not None:
                self._store.event(operation.incident, f"{path} is not managed and was in the way; it is now {name}")

    # going back from an accepted state

    def back(self, way: Back, token: str | None = None) -> OperationRecord:
        """Go back to an earlier state by forward commit; validated, and undone if the validation fails."""
        journal, repository = self._books.journal, self._books.repository
        request = {
            "source": repository.ref(APPLIED) or "",
            "head": repository.ref(MAIN) or "",
            "target": way.target.revision,
            "label": way.target.label,
            "made": way.made,
            "any_data": way.any_data,
            "conversations": str(way.conversations),
            "snapshot": way.snapshot,
        }
        operation = journal.open("rollback", way.actor, way.reason, request, token=token)
        if way.incident is not None:
            self._tie(way.incident, operation.id)
        return self.resume_back(operation, way)

    def resume_back(self, operation: Operation, way: Back) -> OperationRecord:
        """Carry on with a rollback from wherever it stands; the first run is no special case."""
        source, head = str(operation.request["source"]), str(operation.request["head"])

        def wish() -> Wish:
            record = self._forward(operation.id, way.target, way.reason, way.incident, head)
            return Wish(
                kind=Kind.ROLLBACK,
                source=source,
                target=way.target.revision,
                judged=self._counted(way.target.revision),
                aside=way.actor == GUARD,
                any_data=way.any_data,
                conversations=way.conversations,
                snapshot=way.snapshot,
                turns=True,
                record=record | ({"main": "move"} if way.made else {}),
            )

        def reached() -> None:
            digest = self._books.declared.digest
            live = self._books.repository.ref(MAIN) or ""
            if self._differ(head, live):
                self._store.withdraw(digest(head), head, operation.id, way.incident)
            self._store.release(digest(live))
            self.soak(self._books.journal.get(operation.id), live, by_rollback=True)

        return self._carry_back(operation, wish, way.target, reached)

    def _forward(self, operation: int, target: Target, reason: str, incident: int | None, head: str) -> dict[str, Any]:
        repository = self._books.repository
        gone = repository.between(target.revision, head) if repository.is_ancestor(target.revision, head) else []
        return {
            "main": "forward",
            "old": head,
            "message": rollback_message(target.label, reason, incident, operation, gone, head),
            "moves": [[WITHDRAWN + str(operation), head]],
        }

    def _counted(self, target: str) -> frozenset[str]:
        """Every required probe of the target, but those that failed already before the last change."""
        verdicts = self._operations.preparation.verdicts()
        soak = self._store.soak()
        old_trouble = {p for p, well in verdicts.items() if not well and soak is not None and p not in soak.counted}
        probes = self._books.declared.system(target).probes
        return frozenset(p.id for p in probes if p.required and not p.external and p.id not in old_trouble)

    # trouble that comes later

    def trouble(
        self, conditions: Sequence[Condition], onset_at: str, arming: dict[Trigger, Arming], *, suspended: bool
    ) -> Incident:
        """Open or join the incident of these conditions, decide, and act within arming and budgets."""
        soak = self._store.soak()
        incident = self._incident(conditions, onset_at, soak.revision if soak and not soak.by_rollback else None)
        self._store.become(incident.id, _WHILE_FAILING.get(incident.state, incident.state), "it fails again")
        self._store.conditions(incident.id, conditions)
        decision = decide(
            conditions,
            soaking=soak is not None and not moment().reached(soak.due),
            counted=soak.counted if soak else frozenset(),
            arming=arming,
            suspended=suspended,
            stopped=stopped_by(self._tried(incident), self._budget()),
        )
        if incident.decision is None or incident.decision != decision.as_json():
            self._store.decided(incident.id, decision.as_json())
            self._books.audit.append([Entry("decision", GUARD, {"incident": incident.id, **decision.as_json()})])
            if decision.action is not Action.ROLLBACK:
                trigger = str(decision.trigger) if decision.trigger else None
                self._store.ledger_add(trigger, str(decision.action), decision.reason, incident.id)
                self._reporter.publish(incident.id)
        if decision.action is Action.ROLLBACK:
            self._go_back(incident, onset_at, decision)
        return self._store.incident(incident.id)

    def _incident(self, conditions: Sequence[Condition], onset_at: str, culprit: str | None) -> Incident:
        """Return the incident that is open, the one that was resolved too early, or a new one."""
        open_now = self._store.unsettled()
        if open_now:
            return open_now[0]
        known = self._store.incidents()
        if known and is_relapse(known[0], conditions, culprit, wall_seconds()):
            return known[0]
        worst = conditions[0]
        token, method = f"trouble-{onset_at}", f"detector:{worst.method}"
        return self._store.open_incident(token, worst.severity, worst.type, method, worst.message, culprit)

    def _go_back(self, incident: Incident, onset_at: str, decision: Decision) -> None:
        head = self._books.repository.ref(MAIN) or ""
        choice = targets(self._change(), self._baselines.all(), onset_at, head)
        self._store.become(incident.id, IncidentState.MITIGATING, "going back by itself")
        left = self._budget().attempts - self._tried(incident).attempts
        self._store.mark(_NOWHERE, [incident.id, head])
        for target in islice((t for t in choice if self._may_help(incident.id, t)), left):
            self._store.mark(_NOWHERE, None)
            self._store.event(incident.id, f"recovery strategy: {target.label}, because {target.reason}")
            way = Back(target, GUARD, f"incident {incident.id}: {incident.summary}; {decision.reason}", incident.id)
            number = len(self._store.incident(incident.id).operations)
            record = self.back(way, token=f"incident-{incident.id}-{number}")
            if record.outcome == str(Outcome.SUCCEEDED):
                self.recovered(incident.id, f"{target.label} is live again and validated ({record.detail['message']})")
                return
            self._store.event(incident.id, f"going back to {target.label} {record.outcome}: {record.detail['message']}")
        self._store.become(incident.id, IncidentState.OPEN, "no earlier state helped; a person is needed")
        self._reporter.publish(incident.id)

    def _may_help(self, incident: int, target: Target) -> bool:
        """Say whether a target is another state than the live one, and verifies to the last byte."""
        if not self._differ(target.revision, self._books.repository.ref(MAIN) or ""):
            return False
        problems = self._baselines.verify(target.baseline) if target.baseline else ()
        if problems:
            self._store.event(incident, f"{target.label} does not verify: {problems[0]}")
        return not problems

    def recovered(self, incident: int, why: str) -> None:
        """Resolve an incident and publish its report."""
        self._store.become(incident, IncidentState.RESOLVED, why)
        self._reporter.publish(incident)
        log("incident resolved", incident=incident, why=why)

    def _change(self) -> Change | None:
        soak = self._store.soak()
        if soak is None or soak.by_rollback:
            return None
        return Change(soak.revision, soak.before, rfc3339(soak.began.wall_seconds), soak.before_was_well)

    def _tried(self, incident: Incident) -> Tried:
        now = wall_seconds()
        automatic = [
            o
            for o in self._books.journal.of_kind("rollback", now - _DAY)
            if o.actor == GUARD and "failed" not in o.request and o.outcome is not None
        ]
        soak = self._store.soak()
        return Tried(
            attempts=sum(o.incident == incident.id for o in automatic),
            last_hour=sum(o.started >= now - _HOUR and o.outcome == "succeeded" for o in automatic),
            last_day=sum(o.outcome == "succeeded" for o in automatic),
            in_reached_state=soak is not None and soak.by_rollback and not moment().reached(soak.due),
            nowhere=self._store.marked(_NOWHERE) == [incident.id, self._books.repository.ref(MAIN)],
        )

    def _budget(self) -> Budget:
        policy = self._policy(self._books.repository.ref(MAIN) or "")
        return Budget(policy.attempts_per_incident, policy.rollbacks_per_hour, policy.rollbacks_per_day)

    def _policy(self, revision: str) -> Policy:
        return self._books.declared.system(revision).policy

    # a state that has soaked

    def promote(self, soak: Soak, health: Health) -> Baseline:
        """Sign the live state as a baseline and end its soak."""
        paths = self._operations.preparation.keep_all(soak.revision)
        evidence: dict[str, Any] = {
            "health": str(health),
            "operation": soak.operation,
            "probes": sorted(i for i, well in self._operations.preparation.verdicts().items() if well),
            "soaked_seconds": round(moment().since(soak.began), 1),
        }
        baseline = self._baselines.create(soak.revision, paths, GUARD, evidence)
        self._store.keep_soak(None)
        number = baseline.statement.number
        operation = self._books.journal.open("baseline", GUARD, f"baseline/{number}: soaked", {"target": soak.revision})
        self._operations.finish(operation, Outcome.SUCCEEDED, f"signed baseline/{number}", more={"number": number})
        return baseline

    def _tie(self, incident: int, operation: int) -> None:
        self._books.journal.tie(operation, incident)
        self._store.tie(incident, operation)


def _condition(message: str) -> Condition:
    head = message.split(":", 1)[0]
    component = head if ":" in message and " " not in head else message.split(" ", 1)[0]
    return Condition("FAILED_APPLY", component, Severity.HIGH, "DidNotWork", message, "probe", (now_text(),))
