"""Changes that want to go live: pushes, what main holds beyond the live state, and commits a person names."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from stateguard import __version__
from stateguard.admission.refs import RefUpdate
from stateguard.admission.secrets.scan import blanked
from stateguard.config.sections import glob
from stateguard.config.system import is_declaration
from stateguard.detect.facts import findings
from stateguard.errors import RefusedError, StateguardError
from stateguard.guard.admit import judge_commit, overridden, withdrawn_as
from stateguard.guard.budget import Deadline
from stateguard.guard.candidates import drop_candidates
from stateguard.guard.compose import Guard
from stateguard.guard.emergency import emergency_of, note, reason_of
from stateguard.guard.lockdown import lock_problems
from stateguard.guard.view import REFUSED_MAIN, facts
from stateguard.host.clock import boot_seconds
from stateguard.host.logs import log
from stateguard.model.graph import reads
from stateguard.model.health import Health, overall
from stateguard.model.identity import CANDIDATES, GUARD, MAIN, ZERO, person, short
from stateguard.model.incident import Incident
from stateguard.model.transition import Kind, OperationRecord, Outcome, Plan
from stateguard.record.audit import Entry
from stateguard.state.repository import RefMove
from stateguard.text.words import count, seconds
from stateguard.transition.journal import Operation
from stateguard.transition.prepare import Wish

Say = Callable[[str], None]
"""Tells whoever waits one line."""


def quiet(text: str) -> None:
    """Tell nobody; the log knows."""
    log("said to nobody", text=text)


@dataclass(frozen=True, slots=True)
class Answer:
    """What the pusher's git is told: the ref moved, or why it did not."""

    accepted: bool
    reason: str

    def as_json(self) -> dict[str, Any]:
        """Return it as it crosses the control socket."""
        return {"ok": self.accepted, "reason": self.reason}


class Applies:
    """Tries changes on the running system; one at a time, on the guard's own thread."""

    def __init__(self, guard: Guard) -> None:
        """Work with this guard."""
        self._guard = guard

    # pushes

    def receive(self, token: str, old: str, new: str, options: Sequence[str], user: str, say: Say) -> Answer:
        """Try a push to main and answer it; a push that was answered before gets the same answer again."""
        reason = next((o.removeprefix("reason=") for o in options if o.startswith("reason=")), "")
        urgent = reason_of(options)
        reason = f"emergency: {urgent}" if urgent else reason
        request = {"token": token, "old": old, "new": new, "options": list(options), "user": user, "target": new}
        journal = self._guard.books.journal
        operation = journal.open("apply", person(user), reason or "git push", request, token=token)
        if operation.outcome is not None:
            return self._answer(operation.id)
        if operation.plan is None and self._guard.main == new != old:
            self._guard.operations.finish(operation, Outcome.SUCCEEDED, "admitted", more={"admitted_only": True})
            return self._answer(operation.id)
        if operation.plan is None:
            refusal = self._refusal(operation, old, new, options)
            if refusal:
                self._guard.operations.finish(operation, Outcome.REFUSED, refusal)
                return Answer(accepted=False, reason=refusal)
            suspended = bool(self._guard.store.marked("suspended"))
            if suspended or "wait=none" in options:
                return self._unseen(operation, old, new, say, suspended=suspended)
            self._pin(operation, new)
        answer = self._try(operation, lambda: self._push_wish(operation, old, new, options), say)
        if self._guard.repository.ref(CANDIDATES + str(operation.id)) is not None:
            drop_candidates(self._guard)
        return answer

    def _refusal(self, operation: Operation, old: str, new: str, options: Sequence[str]) -> str:
        """Return why a push is not tried at its turn: what admitted it may not hold any more, a signature neither."""
        guard, update = self._guard, RefUpdate(MAIN, old, new)
        if new == ZERO:
            return "main cannot be deleted"
        if guard.main != old or not guard.repository.is_ancestor(old, new):
            return "main has moved: run git fetch origin, then git rebase origin/main, and push again"
        try:
            emergency, problems = emergency_of(guard, guard.repository, [update], options)
            if not emergency:
                problems = problems or lock_problems(guard, guard.repository, [update], str(operation.request["user"]))
        except StateguardError as error:  # whose signatures count cannot be told
            return error.message
        deadline = None if emergency else Deadline()
        problems = problems or [*judge_commit(guard, guard.repository, new, deadline=deadline).problems]
        if problems:
            return blanked(problems[0].text())
        withdrawn = withdrawn_as(guard, guard.repository, new)
        if withdrawn and not emergency and not overridden(withdrawn, options):
            return f"this state was withdrawn as {short(withdrawn[0])}; change it and push again"
        try:
            guard.operations.preparation.check(Wish(Kind.APPLY, guard.applied, new, differing=True))
        except RefusedError as error:
            return f"{error.message}; {error.next_step}"
        if emergency:
            note(guard, operation, emergency)
        return ""

    def _unseen(self, operation: Operation, old: str, new: str, say: Say, *, suspended: bool) -> Answer:
        """Move main at admission; the apply follows, and a failure then is a rollback by forward commit."""
        guard = self._guard
        body = {"operation": operation.id, "moves": [[MAIN, old, new]], "suspended": suspended}
        guard.store.mark("admitted", {"revision": new, "actor": operation.actor, "reason": operation.reason})
        guard.books.audit.append([Entry("ref", operation.actor, body)], [RefMove(MAIN, new, old)])
        words = (
            "admitted, not applied: stateguard is suspended"
            if suspended
            else "admitted; it is applied next, and taken back by a forward commit if it fails"
        )
        say(words if not suspended else f"{words}; it is applied after stateguard resume")
        guard.operations.finish(operation, Outcome.SUCCEEDED, words, more={"admitted_only": True})
        return Answer(accepted=True, reason=words)

    def _pin(self, operation: Operation, new: str) -> None:
        name = CANDIDATES + str(operation.id)
        if self._guard.repository.ref(name) is None:
            body = {"operation": operation.id, "moves": [[name, ZERO, new]]}
            self._guard.books.audit.append([Entry("ref", operation.actor, body)], [RefMove(name, new, ZERO)])

    def _push_wish(self, operation: Operation, old: str, new: str, options: Sequence[str]) -> Wish:
        return Wish(
            kind=Kind.APPLY,
            source=self._guard.applied,
            target=new,
            differing=True,
            hold="wait=confirmed" in options,
            record={"main": "move", "old": old, "moves": [[CANDIDATES + str(operation.id), ZERO]]},
        )

    # main beyond the live state, and commits a person names

    def catch_up(self, say: Say = quiet) -> OperationRecord | None:
        """Apply main if it is not what is live; a failure is a rollback by forward commit."""
        guard = self._guard
        head, live = guard.main, guard.applied
        if not head or head == live:
            return None
        admitted = guard.store.marked("admitted") or {}
        mine = admitted.get("revision") == head
        refused = {"revision": head, "live": live, "version": __version__}
        if not mine and refused == {k: v for k, v in (guard.store.marked(REFUSED_MAIN) or {}).items() if k in refused}:
            return None  # said once: nothing has changed since
        actor = admitted["actor"] if mine else GUARD
        reason = admitted["reason"] if mine else "main moved while the guard did not run"
        token = f"catch-up-{live}-{head}-{len(guard.books.journal.of_kind('apply', 0.0))}"
        request = {"target": head, "catch_up": True, "admitted": mine}
        operation = guard.books.journal.open("apply", actor, reason, request, token=token)
        answer = self.resume(operation, say)
        not_valid = guard.books.journal.get(operation.id).request.get("not_valid")
        guard.store.mark(REFUSED_MAIN, refused | {"message": answer.reason} if not_valid else None)
        return self._recorded(operation)

    def apply(self, revision: str, actor: str, reason: str, say: Say) -> OperationRecord:
        """Apply a commit that a person names; one that is not the head of main becomes a forward commit.

        Raises:
            RefusedError: its state is not valid.
        """
        guard = self._guard
        verdict = judge_commit(guard, guard.repository, revision, pushed=False)
        if verdict.problems:
            raise RefusedError(blanked(verdict.problems[0].text()), next_step="stateguard validate shows every problem")
        request = {"target": revision, "named": revision != guard.main}
        operation = guard.books.journal.open("apply", actor, reason, request)
        self.resume(operation, say)
        return self._recorded(operation)

    def resume(self, operation: Operation, say: Say = quiet) -> Answer:
        """Carry on with an apply from wherever it stands."""
        request = operation.request
        if "token" in request:
            return self.receive(
                request["token"], request["old"], request["new"], request["options"], request["user"], say
            )
        return self._try(operation, lambda: self._named_wish(operation), say)

    def _named_wish(self, operation: Operation) -> Wish:
        guard, target = self._guard, str(operation.request["target"])
        record: dict[str, Any] = {"main": "keep"}
        if operation.request.get("named"):
            message = f"Apply {short(target)} again\n\n{operation.reason}\n"
            record = {"main": "forward", "old": guard.main, "message": message}
        catching_up = bool(operation.request.get("catch_up"))
        if catching_up and not operation.request.get("admitted"):
            self._require_valid(operation.id, target)
        return Wish(Kind.APPLY, guard.applied, target, differing=catching_up, record=record)

    def _require_valid(self, operation: int, target: str) -> None:
        """Refuse what somebody moved main to past the hooks, unless a push of it would have come in."""
        verdict = judge_commit(self._guard, self._guard.repository, target, pushed=False)
        if verdict.problems:
            self._guard.books.journal.note(operation, {"not_valid": True})
            message = f"main was moved past the hooks to what would be refused: {blanked(verdict.problems[0].text())}"
            hint = "push what mends it, or make what is live the head of main again: stateguard apply REV"
            raise RefusedError(message, next_step=hint)

    # what they share

    def _try(self, operation: Operation, wish: Callable[[], Wish], say: Say) -> Answer:
        guard, began = self._guard, boot_seconds()
        if operation.plan is None:
            was_well = overall(findings(facts(guard))) is Health.HEALTHY
            guard.books.journal.note(operation.id, {"was_well": was_well})
        try:
            ended = guard.operations.transition(operation, wish)
        except StateguardError as error:
            guard.operations.finish(operation, Outcome.REFUSED, error.message)
            say(f"{error.message}; nothing was changed")
            if error.next_step:
                say(error.next_step)
            return Answer(accepted=False, reason=error.message)
        operation = guard.books.journal.get(operation.id)
        plan = operation.plan
        if ended.outcome is Outcome.SUCCEEDED and plan is not None:
            live = guard.applied
            record = guard.responder.accepted(operation, ended.detail, live)
            every = len(guard.system.agents)
            reloaded = f", {len(plan.reload)} reloaded" if plan.reload else ""
            agents = f"{len(plan.start)} of {count(every, 'agent')} restarted{reloaded}"
            done = agents if every else _written(plan)
            say(f"applied in {seconds(_applying(record))}, {done}{_healthy(guard)}")
            if unread := _unread(guard, plan):
                more = f" and {count(len(unread) - 1, 'more path')}" if len(unread) > 1 else ""
                say(f"no agent has {unread[0]}{more} in its restart_on: none was restarted for that")
            soak = guard.system.policy.soak_seconds
            number = guard.baselines.highest() + 1
            say(f"accepted; soaking for {seconds(soak)}, then baseline/{number}")
            return self._answer(operation.id)
        if ended.outcome is Outcome.FAILED and plan is not None and any(e.health for e in ended.entries):
            for part in ended.detail.split("; "):
                say(part)
            incident, back = guard.fail(operation, ended.detail)
            say(_taken_back(guard, back, incident.id) if back else _left(incident))
            answer = self._answer(operation.id)
            guard.store.event(incident.id, f"told {operation.actor}: {answer.reason}")
            return answer
        guard.operations.finish(operation, ended.outcome, ended.detail)
        say(f"{ended.detail}; the live directory is as it was ({seconds(boot_seconds() - began)})")
        return self._answer(operation.id)

    def _answer(self, number: int) -> Answer:
        """Return what the pusher of a finished operation is told; always the same."""
        guard = self._guard
        operation = guard.books.journal.get(number)
        if operation.incident is None:
            return answer_of(operation)
        others = (guard.books.journal.get(one) for one in guard.store.incident(operation.incident).operations)
        ways = [one for one in others if one.id > number and one.kind == str(Kind.ROLLBACK)]
        return answer_of(operation, ways[0].outcome if ways else None)

    def _recorded(self, operation: Operation) -> OperationRecord:
        finished = self._guard.books.journal.get(operation.id)
        return self._guard.operations.finish(finished, Outcome.FAILED, "interrupted")


def answer_of(operation: Operation, back: str | None = None) -> Answer:
    """Return what the pusher of a finished operation is told; ``back`` is how the way back ended, if there was one."""
    message = str(operation.result.get("detail", {}).get("message", ""))
    if operation.outcome == str(Outcome.SUCCEEDED):
        return Answer(accepted=True, reason=message)
    left = operation.result.get("detail", {}).get("why")
    if left and operation.incident is not None:
        return Answer(accepted=False, reason=f"unhealthy: left as it is ({left}), incident {operation.incident}")
    if operation.outcome == str(Outcome.FAILED) and operation.incident is not None:
        if back not in (None, str(Outcome.SUCCEEDED)):
            return Answer(accepted=False, reason=f"unhealthy: going back {back}, incident {operation.incident}")
        return Answer(accepted=False, reason=f"unhealthy: rolled back, incident {operation.incident}")
    if operation.outcome == str(Outcome.UNDONE):
        return Answer(accepted=False, reason=f"could not be applied: {message}; undone")
    return Answer(accepted=False, reason=message or "interrupted before anything was changed; push again")


def _left(incident: Incident) -> str:
    why = str((incident.decision or {}).get("reason", ""))
    return f"left as it is ({why}); incident {incident.id}: stateguard incident show {incident.id}; stateguard rollback"


def _unread(guard: Guard, plan: Plan) -> list[str]:
    """Return the written paths that no agent takes for its input: such a change shows when one starts again."""
    system = guard.system
    written = [w.path for w in plan.writes if not is_declaration(w.path)] if system.agents else []
    return [p for p in written if not any(reads(a, system.channels, p, glob) for a in system.agents.values())]


def _applying(record: OperationRecord) -> float:
    return sum(stage.duration_seconds for stage in record.stages)


def _written(plan: Plan) -> str:
    return f"{count(len(plan.writes), 'file')} written"


def _healthy(guard: Guard) -> str:
    """Return how many agents are healthy; nothing where there are none to speak of."""
    well, every = guard.watch.healthy(guard.system)
    return f", {well}/{every} healthy" if every else ""


def _taken_back(guard: Guard, back: OperationRecord, incident: int) -> str:
    took = seconds(back.duration_seconds)
    if back.outcome == str(Outcome.SUCCEEDED):
        hint = f"incident {incident}: stateguard incident show {incident}"
        return f"rolled back in {took}{_healthy(guard)}; {hint}"
    why = back.detail.get("message", "")
    return f"going back {back.outcome}: {why}; a person is needed: stateguard incident show {incident}"
