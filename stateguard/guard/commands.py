"""Every command that works on a home: one table, asked by the control API and by the command line alike."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from stateguard.config.host import with_arming
from stateguard.errors import NotFoundError, RefusedError, UsageProblemError
from stateguard.guard import view
from stateguard.guard.admit import admit
from stateguard.guard.applies import Applies, Say
from stateguard.guard.compose import Guard
from stateguard.guard.recover import recover
from stateguard.guard.rollback import choose, documented, plan_of, planned, roll_back
from stateguard.host import files
from stateguard.host.clock import moment
from stateguard.model.graph import start_order, stop_order
from stateguard.model.health import Health
from stateguard.model.identity import person
from stateguard.model.moment import parse_duration, parse_rfc3339
from stateguard.model.policy import Arming, Trigger
from stateguard.model.transition import Outcome
from stateguard.record.audit import Entry
from stateguard.record.history import Question, history, show
from stateguard.trust.keys import load_pinned


@dataclass(slots=True)
class Desk:
    """Where commands are answered: a guard, and the daemon's process id if there is a daemon."""

    guard: Guard
    applies: Applies
    pid: int | None
    conditions: Callable[[], list[dict[str, Any]]]


Answering = Callable[[Desk, dict[str, Any], Say], dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Command:
    """A command: what answers it, and whether it may change something (then it waits its turn)."""

    answer: Answering
    writes: bool = False


def _actor(parameters: dict[str, Any]) -> str:
    return person(str(parameters.get("user", "")))


# reading


def _status(desk: Desk, _parameters: dict[str, Any], _say: Say) -> dict[str, Any]:
    return view.status(desk.guard, pid=desk.pid) | {"conditions": desk.conditions()}


def _fingerprint(desk: Desk, parameters: dict[str, Any], _say: Say) -> dict[str, Any]:
    if parameters.get("live"):
        return view.live_fingerprint(desk.guard)
    return view.revision_fingerprint(desk.guard, str(parameters.get("revision") or "main"))


def _plan(desk: Desk, parameters: dict[str, Any], _say: Say) -> dict[str, Any]:
    return planned(desk.guard, choose(desk.guard, parameters))


def _diff(desk: Desk, parameters: dict[str, Any], _say: Say) -> dict[str, Any]:
    return view.diff(desk.guard, str(parameters["before"]), parameters.get("after"))


def _history(desk: Desk, parameters: dict[str, Any], _say: Say) -> dict[str, Any]:
    path, since = parameters.get("path"), parameters.get("since")
    repository = desk.guard.repository
    question = Question(
        kind=parameters.get("kind"),
        since=_since(str(since)) if since is not None else None,
        limit=parameters.get("limit"),
        touches=(lambda a, b: _below(path, view.touched_paths(repository, a, b))) if path else None,
    )
    return {"entries": history(desk.guard.books.audit, question)}


def _below(path: str, touched: set[str]) -> bool:
    clean = path.rstrip("/")
    return any(p == clean or p.startswith(clean + "/") for p in touched)


def _since(text: str) -> float:
    try:
        return parse_rfc3339(text)
    except ValueError:
        return moment().wall_seconds - _duration(text)


def _duration(text: str) -> float:
    try:
        return parse_duration(text)
    except ValueError as error:
        raise UsageProblemError(str(error)) from error


def _show(desk: Desk, parameters: dict[str, Any], _say: Say) -> dict[str, Any]:
    return show(desk.guard.books.audit, int(parameters["operation"]))


def _incident_list(desk: Desk, _parameters: dict[str, Any], _say: Say) -> dict[str, Any]:
    return {"incidents": [i.head() for i in desk.guard.store.incidents()]}


def _incident_show(desk: Desk, parameters: dict[str, Any], _say: Say) -> dict[str, Any]:
    return desk.guard.store.incident(int(parameters["id"])).whole()


def _incident_report(desk: Desk, parameters: dict[str, Any], _say: Say) -> dict[str, Any]:
    number = int(parameters["id"])
    return {"id": number, "markdown": desk.guard.reporter.text(number)}


def _audit_log(desk: Desk, parameters: dict[str, Any], _say: Say) -> dict[str, Any]:
    limit = int(parameters.get("limit") or 0)
    entries = []
    for entry in desk.guard.books.audit.newest_first():
        entries.append(entry)
        if limit and len(entries) >= limit:
            break
    return {"entries": entries}


def _audit_verify(desk: Desk, _parameters: dict[str, Any], _say: Say) -> dict[str, Any]:
    return desk.guard.books.audit.verify(load_pinned(desk.guard.home.trust)).as_json()


def _baseline_list(desk: Desk, _parameters: dict[str, Any], _say: Say) -> dict[str, Any]:
    return {"baselines": [b.as_json() for b in desk.guard.baselines.all()]}


def _baseline_show(desk: Desk, parameters: dict[str, Any], _say: Say) -> dict[str, Any]:
    baseline = desk.guard.baselines.find(str(parameters["number"]))
    return baseline.as_json() | {"evidence": baseline.statement.evidence, "tag": baseline.tag_object}


def _baseline_verify(desk: Desk, parameters: dict[str, Any], _say: Say) -> dict[str, Any]:
    wanted = parameters.get("number")
    chosen = [desk.guard.baselines.find(str(wanted))] if wanted else desk.guard.baselines.all()
    results = []
    for baseline in chosen:
        number = baseline.statement.number  # a tag moved to another's object says another number than its name
        problems = dict.fromkeys((*baseline.problems, *desk.guard.baselines.verify(number)))
        results.append({"number": number, "valid": not problems, "problems": list(problems)})
    return {"valid": all(r["valid"] for r in results), "baselines": results}


def _arming_list(desk: Desk, _parameters: dict[str, Any], _say: Say) -> dict[str, Any]:
    return {"arming": {str(t): str(a) for t, a in desk.guard.settings.arming.items()}}


def _arming_ledger(desk: Desk, _parameters: dict[str, Any], _say: Say) -> dict[str, Any]:
    return {"ledger": desk.guard.store.ledger()}


# writing


def _admit(desk: Desk, parameters: dict[str, Any], _say: Say) -> dict[str, Any]:
    p = parameters
    return admit(desk.guard, p["updates"], p.get("quarantine"), p.get("options", []), str(p.get("user", ""))).as_json()


def _push(desk: Desk, parameters: dict[str, Any], say: Say) -> dict[str, Any]:
    p = parameters
    answer = desk.applies.receive(
        str(p["token"]), str(p["old"]), str(p["new"]), p.get("options", []), str(p.get("user", "")), say
    )
    return answer.as_json()


def _apply(desk: Desk, parameters: dict[str, Any], say: Say) -> dict[str, Any]:
    guard = desk.guard
    revision = view.commit_of(guard, str(parameters.get("revision") or "main"))
    if parameters.get("dry_run"):
        return documented(guard, plan_of(guard, revision), "main" if revision == guard.main else "a new commit on main")
    reason = str(parameters.get("reason") or "stateguard apply")
    return desk.applies.apply(revision, _actor(parameters), reason, say).as_json()


def _rollback(desk: Desk, parameters: dict[str, Any], say: Say) -> dict[str, Any]:
    if parameters.get("dry_run"):
        return planned(desk.guard, choose(desk.guard, parameters))
    return roll_back(desk.guard, parameters, _actor(parameters), say).as_json()


def _cancel(desk: Desk, parameters: dict[str, Any], _say: Say) -> dict[str, Any]:
    operation = int(parameters["operation"])
    if not desk.guard.operations.engine.cancel(operation):
        message = f"operation {operation} does not run"
        raise RefusedError(message, next_step="see: stateguard history")
    return {"operation": operation, "cancelled": True}


def _recover(desk: Desk, _parameters: dict[str, Any], say: Say) -> dict[str, Any]:
    done = recover(desk.guard, desk.applies)
    say(f"{len(done)} interrupted operations carried on to their end" if done else "nothing was interrupted")
    if not done:
        return {"operation": None, "kind": "recover", "outcome": str(Outcome.SUCCEEDED), "from": None,
                "to": desk.guard.applied, "fingerprint": None, "stages": [], "duration_seconds": 0.0,
                "incident": None, "reason": "nothing was interrupted"}  # fmt: skip
    return desk.guard.books.journal.get(done[-1]).result | {"recovered": done}


def _baseline_create(desk: Desk, parameters: dict[str, Any], say: Say) -> dict[str, Any]:
    guard = desk.guard
    drifted = view.drift_now(guard)
    if drifted:
        message = f"the live directory has drifted ({drifted[0].path})"
        raise RefusedError(message, next_step="stateguard apply puts it back")
    if not guard.applied:
        raise RefusedError("nothing is applied yet", next_step="stateguard apply")
    health = str(Health.UNKNOWN) if desk.pid is None else str(view.status(guard, pid=desk.pid)["health"])
    if health != str(Health.HEALTHY) and not parameters.get("force"):
        message = f"the system is {health}"
        raise RefusedError(message, next_step="wait until it is HEALTHY, or insist with --force")
    actor = _actor(parameters)
    paths = guard.operations.preparation.keep_all(guard.applied)
    baseline = guard.baselines.create(guard.applied, paths, actor, {"health": health, "asked_by": actor})
    say(f"signed baseline/{baseline.statement.number}")
    return baseline.as_json()


def _baseline_revoke(desk: Desk, parameters: dict[str, Any], _say: Say) -> dict[str, Any]:
    number = desk.guard.baselines.find(str(parameters["number"])).statement.number
    desk.guard.baselines.revoke(number, _actor(parameters), str(parameters.get("reason") or "revoked"))
    return desk.guard.baselines.get(number).as_json()


def _arming_set(desk: Desk, parameters: dict[str, Any], _say: Say) -> dict[str, Any]:
    try:
        trigger, level = Trigger(parameters["trigger"]), Arming(parameters["level"])
    except ValueError as error:
        known = f"triggers: {', '.join(Trigger)}; levels: {', '.join(Arming)}"
        raise UsageProblemError(str(error), next_step=known) from error
    guard = desk.guard
    path = guard.home.settings
    text = path.read_text(encoding="utf-8")
    files.replace(path, with_arming(text, trigger, level).encode(), 0o600)
    guard.books.audit.append([Entry("arming", _actor(parameters), {"trigger": str(trigger), "level": str(level)})])
    return _arming_list(desk, {}, lambda _: None)


def _suspend(desk: Desk, parameters: dict[str, Any], _say: Say) -> dict[str, Any]:
    until = None
    if parameters.get("for"):
        after = moment().plus(_duration(str(parameters["for"])))
        until = {"wall_seconds": after.wall_seconds, "boot_seconds": after.boot_seconds, "boot_id": after.boot_id}
    kept = {"reason": str(parameters.get("reason") or ""), "until": until}
    desk.guard.store.mark("suspended", kept)
    desk.guard.books.audit.append([Entry("suspend", _actor(parameters), {"reason": kept["reason"]})])
    return {"suspended": True, **kept}


def _resume(desk: Desk, parameters: dict[str, Any], _say: Say) -> dict[str, Any]:
    desk.guard.store.mark("suspended", None)
    desk.guard.books.audit.append([Entry("resume", _actor(parameters), {})])
    return {"suspended": False}


def _agent_list(desk: Desk, parameters: dict[str, Any], say: Say) -> dict[str, Any]:
    return {"agents": _status(desk, parameters, say)["agents"]}


def _agent_act(desk: Desk, parameters: dict[str, Any], say: Say) -> dict[str, Any]:
    guard, action = desk.guard, str(parameters["action"])
    agents = guard.system.agents
    names = list(agents) if parameters.get("all") else [str(n) for n in parameters.get("names", [])]
    unknown = [n for n in names if n not in agents]
    if unknown or not names:
        message = f"there is no agent {unknown[0]!r}" if unknown else "no agent was named"
        raise NotFoundError(message, next_step=f"agents: {', '.join(sorted(agents)) or 'none'}")
    by_hand = set(guard.store.marked("stopped") or [])
    left: list[str] = []
    if action in ("stop", "restart"):
        guard.prober.pause(names)
        for name in [n for n in stop_order(agents) if n in names]:
            if not guard.runtime.stop(name):
                left.append(name)
            say(f"{name} stopped" if name not in left else f"{name} could not be ended")
        by_hand |= set(names) if action == "stop" else set()
    guard.store.mark("stopped", sorted(by_hand) or None)
    if action in ("start", "restart"):
        for name in [n for n in start_order(agents) if n in names]:
            guard.runtime.start(agents[name], guard.applied)
            say(f"{name} started")
        guard.prober.begin([p.id for p in guard.system.probes if p.agent is None or p.agent in names])
        guard.store.mark("stopped", sorted(by_hand - set(names)) or None)
    guard.books.audit.append([Entry("agent", _actor(parameters), {"action": action, "agents": names})])
    if left:
        raise RefusedError(f"{', '.join(left)} could not be ended", changed="the others were stopped")
    return _agent_list(desk, parameters, say)


COMMANDS: dict[str, Command] = {
    "status": Command(_status),
    "fingerprint": Command(_fingerprint),
    "plan": Command(_plan),
    "diff": Command(_diff),
    "history": Command(_history),
    "show": Command(_show),
    "incident-list": Command(_incident_list),
    "incident-show": Command(_incident_show),
    "incident-report": Command(_incident_report),
    "audit-log": Command(_audit_log),
    "audit-verify": Command(_audit_verify),
    "baseline-list": Command(_baseline_list),
    "baseline-show": Command(_baseline_show),
    "baseline-verify": Command(_baseline_verify),
    "arming-list": Command(_arming_list),
    "arming-ledger": Command(_arming_ledger),
    "agent-list": Command(_agent_list),
    "admit": Command(_admit),
    "cancel": Command(_cancel),
    "push": Command(_push, writes=True),
    "apply": Command(_apply, writes=True),
    "rollback": Command(_rollback, writes=True),
    "recover": Command(_recover, writes=True),
    "baseline-create": Command(_baseline_create, writes=True),
    "baseline-revoke": Command(_baseline_revoke, writes=True),
    "arming-set": Command(_arming_set, writes=True),
    "suspend": Command(_suspend, writes=True),
    "resume": Command(_resume, writes=True),
    "agent-act": Command(_agent_act, writes=True),
}
"""Name → command. A name is also the path of the control API: ``POST /v1/NAME``."""
