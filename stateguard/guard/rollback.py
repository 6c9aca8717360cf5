"""A person's rollback: which target, what it would do, and doing it."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from stateguard.config.sections import PathRules
from stateguard.errors import NotFoundError, RefusedError, TrustError, UsageProblemError
from stateguard.guard.admit import judge_commit
from stateguard.guard.applies import Say
from stateguard.guard.compose import Guard
from stateguard.guard.view import commit_of
from stateguard.host.clock import now_text, wall_seconds
from stateguard.model.baseline import Baseline
from stateguard.model.graph import reads
from stateguard.model.identity import short
from stateguard.model.moment import rfc3339
from stateguard.model.policy import System
from stateguard.model.transition import STAGE_NAMES, Conversations, Kind, OperationRecord, Outcome, Plan
from stateguard.model.tree import Stage, summary
from stateguard.respond.responder import Back
from stateguard.respond.withdraw import Change, Target, targets
from stateguard.state import trees
from stateguard.state.forward import signed_commit
from stateguard.text.words import count
from stateguard.transition.prepare import Wish

_SECONDS_PER_AGENT = 0.4
_SECONDS_AT_LEAST = 0.5


@dataclass(frozen=True, slots=True)
class Choice:
    """A target with what is wanted of the way there."""

    target: Target
    baseline: Baseline | None
    only: frozenset[str] | None
    conversations: Conversations


def choose(guard: Guard, parameters: dict[str, Any]) -> Choice:
    """Return the target that a person names, or the best there is.

    Raises:
        NotFoundError: it names nothing, or there is nothing to go back to.
        UsageProblemError: an option has a value that it cannot have.
    """
    wanted = parameters.get("target")
    if wanted is not None and (not isinstance(wanted, str) or not wanted):
        raise UsageProblemError("a target is text", next_step="see: stateguard help targets")
    target = _named(guard, wanted) if wanted else _best(guard)
    baseline = guard.baselines.get(target.baseline) if target.baseline else None
    try:
        conversations = Conversations(str(parameters.get("conversations") or "keep"))
    except ValueError as error:
        message = f"--conversations takes {' or '.join(Conversations)}"
        raise UsageProblemError(message, next_step="quarantine comes with a later version") from error
    if conversations is Conversations.RESTORE and baseline is None:
        raise UsageProblemError("conversations can only be restored from a baseline", next_step="name baseline/N")
    if conversations is Conversations.RESTORE and baseline is not None and baseline.thinned:
        message = f"the conversations of baseline/{target.baseline} are not kept any more: retention thinned it"
        raise RefusedError(message, next_step="leave out --conversations restore, or see: stateguard baseline list")
    return Choice(target, baseline, _only(guard, target, parameters.get("agents") or []), conversations)


def _named(guard: Guard, wanted: str) -> Target:
    if wanted == "-1":
        before = _one_before(guard)
        return Target(before, f"the state before {short(guard.main)}", "asked for")
    try:
        baseline = guard.baselines.find(wanted)
    except NotFoundError:
        revision = commit_of(guard, wanted)
        if not guard.repository.is_ancestor(revision, guard.main):
            message = f"{wanted} was never on main"
            raise NotFoundError(message, next_step="see: stateguard history, stateguard baseline list") from None
        return Target(revision, f"commit {short(revision)}", "asked for")
    number, asked = baseline.statement.number, wanted.removeprefix("baseline/")
    if baseline.problems and asked.isdigit() and int(asked) != number:
        message = f"{wanted} does not verify: {baseline.problems[0]}"
        raise TrustError(message, next_step="choose another: stateguard baseline list")
    return Target(baseline.statement.revision, f"baseline/{number}", "asked for", number)


def _one_before(guard: Guard) -> str:
    parents = guard.repository.commit(guard.main).parents if guard.main else ()
    if not parents:
        raise NotFoundError("there is no state before this one", next_step="see: stateguard history")
    return parents[0]


def _best(guard: Guard) -> Target:
    soak = guard.store.soak()
    change = None
    if soak is not None and not soak.by_rollback:
        change = Change(soak.revision, soak.before, rfc3339(soak.began.wall_seconds), soak.before_was_well)
    found = targets(change, guard.baselines.all(), guard.store.marked("onset") or now_text(), guard.main)
    if not found:
        raise NotFoundError("there is no earlier state to go back to", next_step="see: stateguard baseline list")
    return found[0]


def _only(guard: Guard, target: Target, agents: Sequence[str]) -> frozenset[str] | None:
    if not agents:
        return None
    declared = guard.books.declared
    here, there = declared.system(guard.applied), declared.system(target.revision)
    unknown = [a for a in agents if a not in here.agents and a not in there.agents]
    if unknown:
        message = f"there is no agent {unknown[0]!r}"
        raise NotFoundError(message, next_step=f"agents: {', '.join(sorted(here.agents))}")
    paths = {*declared.desired(guard.applied), *declared.desired(target.revision)}
    return frozenset(p for p in paths if any(_belongs(p, a, here, there) for a in agents))


def _belongs(path: str, agent: str, *systems: System) -> bool:
    found = [s for s in systems if agent in s.agents]
    return any(reads(s.agents[agent], (), path, PathRules.glob) for s in found if path.startswith("agents/")) or any(
        c.path == path and c.touches(agent) for s in found for c in s.channels
    )


def _made(guard: Guard, target: Target, only: frozenset[str], reason: str) -> Target:
    """Make the commit that holds main, but some paths as the target has them."""
    declared, repository = guard.books.declared, guard.repository
    theirs = declared.paths(target.revision)
    paths = {p: e for p, e in declared.paths(guard.main).items() if p not in only}
    paths |= {p: theirs[p] for p in only if p in theirs}
    tree = trees.build(repository, paths)
    message = f"Roll back {summary(only)} to {target.label}\n\n{reason}\n"
    commit = signed_commit(repository, tree, [guard.main], message, wall_seconds(), guard.books.signer)
    verdict = judge_commit(guard, repository, commit, pushed=False)
    if verdict.problems:
        raise RefusedError(verdict.problems[0].text(), next_step="roll back without --agent")
    return Target(commit, f"{summary(only)} of {target.label}", target.reason)


def plan_of(guard: Guard, revision: str) -> Plan:
    """Return the plan of a transition to a commit, without changing anything."""
    return guard.operations.preparation.plan(0, Wish(Kind.APPLY, guard.applied, revision), backup=False)


def planned(guard: Guard, choice: Choice) -> dict[str, Any]:
    """Return the document of ``plan``: what a rollback to this target would do."""
    wish = Wish(
        Kind.ROLLBACK,
        guard.applied,
        choice.target.revision,
        only=choice.only,
        conversations=choice.conversations,
        snapshot=choice.baseline.statement.snapshot if choice.baseline else None,
    )
    plan = guard.operations.preparation.plan(0, wish, backup=False)
    document = documented(guard, plan, choice.target.label)
    problems = guard.baselines.verify(choice.baseline.statement.number) if choice.baseline else ()
    trouble = bool(guard.store.unsettled()) or guard.store.marked("onset") is not None
    document["recommended"] = trouble and not problems and bool(plan.writes)
    document["advice"] = _advice(choice, plan, trouble=trouble, problems=problems)
    document["risks"] += [f"{choice.target.label} does not verify: {p}" for p in problems]
    return document


def _advice(choice: Choice, plan: Plan, *, trouble: bool, problems: Sequence[str]) -> str:
    if problems:
        return f"not recommended: {choice.target.label} does not verify ({problems[0]})"
    if not plan.writes:
        return f"not needed: the live directory holds {choice.target.label} already"
    if not trouble:
        return "not recommended: nothing is failing; a rollback takes working changes away"
    return f"recommended: something fails, and {choice.target.reason or 'this state worked before'}"


def documented(guard: Guard, plan: Plan, label: str) -> dict[str, Any]:
    """Return a plan as people and scripts read it."""
    writes = plan.writes
    numbers = {w.stage for w in writes} | {Stage.VALIDATE} | ({Stage.STOP, Stage.START} if plan.start else set())
    numbers |= {Stage.START} if plan.reload else set()
    numbers |= {Stage.CHANNELS} if plan.touched and guard.books.declared.system(plan.target).channels else set()
    displaced = [w.path for w in writes if w.stage == Stage.CONVERSATIONS]
    risks = [f"{count(len(plan.start), 'agent')} restarted: {', '.join(plan.start)}"] if plan.start else []
    risks += (
        [f"{count(len(displaced), 'conversation file')} displaced (kept in the emergency backup)"] if displaced else []
    )
    return {
        "target": label,
        "revision": plan.target,
        "recommended": False,
        "advice": "",
        "stages": [{"number": n, "name": STAGE_NAMES[n]} for n in sorted(numbers)],
        "files": {
            "added": [w.path for w in writes if w.before is None],
            "changed": [w.path for w in writes if w.before is not None and w.after is not None],
            "removed": [w.path for w in writes if w.after is None],
        },
        "agents": list(plan.start),
        "reloaded": list(plan.reload),
        "conversations": str(plan.conversations),
        "estimated_seconds": _estimate(guard, plan),
        "risks": risks,
    }


def _estimate(guard: Guard, plan: Plan) -> float:
    """Return the median of what rollbacks took here lately, else a rule of thumb."""
    done = [o.result for o in guard.books.journal.of_kind("rollback", 0.0) if o.outcome == str(Outcome.SUCCEEDED)]
    if done:
        return round(statistics.median(float(d["duration_seconds"]) for d in done[:20]), 2)
    return round(_SECONDS_AT_LEAST + _SECONDS_PER_AGENT * len(plan.start), 2)


def roll_back(guard: Guard, parameters: dict[str, Any], actor: str, say: Say) -> OperationRecord:
    """Go back, as a person asked; target and reason are said first.

    Raises:
        NotFoundError: the target names nothing.
        RefusedError: nothing would change.
        TrustError: the baseline does not verify; ``--force`` does not overrule that.
    """
    choice = choose(guard, parameters)
    reason = str(parameters.get("reason") or "asked for by a person")
    say(f"rolling back to {choice.target.label} ({short(choice.target.revision)}): {reason}")
    if choice.baseline is not None:
        if choice.baseline.revoked:
            raise TrustError(f"{choice.target.label} was revoked", next_step="stateguard baseline list")
        problems = guard.baselines.verify(choice.baseline.statement.number)
        if problems:
            message = f"{choice.target.label} does not verify: {problems[0]}"
            raise TrustError(message, next_step="choose another: stateguard baseline list")
    if choice.target.revision == guard.main == guard.applied and choice.conversations is Conversations.KEEP:
        raise RefusedError(
            f"{choice.target.label} is what main holds already", next_step="stateguard apply puts drift back"
        )
    open_now = guard.store.unsettled()
    target = choice.target if choice.only is None else _made(guard, choice.target, choice.only, reason)
    way = Back(
        target=target,
        actor=actor,
        reason=reason,
        incident=open_now[0].id if open_now else None,
        made=choice.only is not None,
        any_data=bool(parameters.get("force")),
        conversations=choice.conversations,
        snapshot=choice.baseline.statement.snapshot if choice.baseline else None,
    )
    record = guard.responder.back(way)
    say(f"{record.outcome}: {record.detail['message']}")
    return record
