"""Commands about baselines."""

from __future__ import annotations

from typing import Any

from stateguard.errors import RefusedError
from stateguard.guard import view
from stateguard.guard.applies import Say
from stateguard.guard.commands.desk import Command, Desk, actor
from stateguard.model.health import Health


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
    asking = actor(parameters)
    paths = guard.operations.preparation.keep_all(guard.applied)
    baseline = guard.baselines.create(guard.applied, paths, asking, {"health": health, "asked_by": asking})
    say(f"signed baseline/{baseline.statement.number}")
    return baseline.as_json()


def _baseline_revoke(desk: Desk, parameters: dict[str, Any], _say: Say) -> dict[str, Any]:
    number = desk.guard.baselines.find(str(parameters["number"])).statement.number
    desk.guard.baselines.revoke(number, actor(parameters), str(parameters.get("reason") or "revoked"))
    return desk.guard.baselines.get(number).as_json()


COMMANDS: dict[str, Command] = {
    "baseline-list": Command(_baseline_list),
    "baseline-show": Command(_baseline_show),
    "baseline-verify": Command(_baseline_verify),
    "baseline-create": Command(_baseline_create, writes=True),
    "baseline-revoke": Command(_baseline_revoke, writes=True),
}
