"""The one orchestrator: what follows when an apply fails, when trouble comes later, and when a state has soaked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from stateguard.host.clock import moment, wall_seconds
from stateguard.host.logs import log
from stateguard.model.baseline import Baseline
from stateguard.model.condition import Condition
from stateguard.model.health import Health
from stateguard.model.identity import APPLIED, GUARD, MAIN
from stateguard.model.incident import Incident, IncidentState
from stateguard.model.moment import rfc3339
from stateguard.model.policy import Arming, Trigger
from stateguard.model.transition import Conversations, Kind, OperationRecord, Outcome
from stateguard.record.audit import Entry
from stateguard.record.baseline import Baselines
from stateguard.respond.authority import Action, Decision, decide
from stateguard.respond.carry import UNPROVEN, Carrier
from stateguard.respond.lifecycle import OUTSIDE, is_outside, is_relapse
from stateguard.respond.loopguard import Budget, Tried, stopped_by
from stateguard.respond.promote import Soak
from stateguard.respond.reporting import Reporter
from stateguard.respond.withdraw import Change, Target, targets
from stateguard.transition.journal import Operation
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

    def __init__(self, carrier: Carrier, baselines: Baselines, reporter: Reporter) -> None:
        """Work with these parts."""
        self._carrier, self._baselines, self._reporter = carrier, baselines, reporter
        self._operations, self._store, self._books = carrier.operations, carrier.store, carrier.books

    # a change that was applied

    def accepted(
        self, operation: Operation, detail: str, live: str, more: dict[str, Any] | None = None
    ) -> OperationRecord:
        """Record an applied change and begin the soak of the state it reached; ``more`` goes into the record."""
        self._carrier.soak(operation, live, by_rollback=False)  # first: what is finished is not looked at after a crash
        return self._operations.finish(operation, Outcome.SUCCEEDED, detail, more=more)

    # going back from an accepted state

    def back(self, way: Back, token: str | None = None) -> OperationRecord:
        """Go back to an earlier state by forward commit; validated, and undone if the validation fails."""
        journal, repository = self._books.journal, self._books.repository
        self._operations.footing.take(urgent=True)
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
            self._carrier.tie(way.incident, operation.id)
        return self.resume_back(operation, way)

    def resume_back(self, operation: Operation, way: Back) -> OperationRecord:
        """Carry on with a rollback from wherever it stands; the first run is no special case."""
        source, head = str(operation.request["source"]), str(operation.request["head"])

        def wish() -> Wish:
            record = self._carrier.forward(operation.id, way.target, way.reason, way.incident, head)
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
            if self._carrier.differ(head, live):
                self._store.withdraw(digest(head), head, operation.id, way.incident)
            self._store.release(digest(live))
            self._carrier.soak(self._books.journal.get(operation.id), live, by_rollback=True)

        return self._carrier.carry_back(operation, wish, way.target, reached)

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
            unproven=soak is not None and self._store.marked(UNPROVEN) == soak.revision,
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
                would = self._would(decision, onset_at)
                self._store.ledger_add(trigger, str(decision.action), decision.reason, incident.id, would)
                self._reporter.publish(incident.id)
        if decision.action is Action.ROLLBACK:
            self._go_back(incident, onset_at, decision)
        return self._store.incident(incident.id)

    def _incident(self, conditions: Sequence[Condition], onset_at: str, culprit: str | None) -> Incident:
        """Return the incident that is open, the one that was resolved too early, or a new one.

        What fails outside of the system has incidents of its own, which nothing that fails inside joins.
        """
        worst, outside = conditions[0], all(c.external for c in conditions)
        open_now = [i for i in self._store.unsettled() if is_outside(i) is outside]
        if open_now:
            return open_now[0]
        known = [i for i in self._store.incidents() if is_outside(i) is outside]
        if known and is_relapse(known[0], conditions, culprit, wall_seconds()):
            return known[0]
        kind, culprit = (OUTSIDE, None) if outside else (worst.type, culprit)
        token = f"{'outside' if outside else 'trouble'}-{onset_at}"
        return self._store.open_incident(
            token, worst.severity, kind, f"detector:{worst.method}", worst.message, culprit
        )

    def _would(self, decision: Decision, onset_at: str) -> str:
        """Say what would have been done, had it not been withheld."""
        if decision.action is Action.TELL:
            return "nothing"
        head = self._books.repository.ref(MAIN) or ""
        choice = targets(self._change(), self._baselines.all(), onset_at, head)
        label = next((t.label for t in choice if self._carrier.differ(t.revision, head)), None)
        return f"go back to {label}" if label else "nothing: there is no earlier state to go back to"

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
        if not self._carrier.differ(target.revision, self._books.repository.ref(MAIN) or ""):
            return False
        problems = self._baselines.verify(target.baseline) if target.baseline else ()
        if problems:
            self._store.event(incident, f"{target.label} does not verify: {problems[0]}")
        return not problems

    def recovered(self, incident: int, why: str) -> None:
        """Resolve an incident and publish its report; a change that was left as it is has proven itself then."""
        if not is_outside(self._store.incident(incident)):
            self._store.mark(UNPROVEN, None)
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
        policy = self._carrier.policy(self._books.repository.ref(MAIN) or "")
        return Budget(policy.attempts_per_incident, policy.rollbacks_per_hour, policy.rollbacks_per_day)

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
