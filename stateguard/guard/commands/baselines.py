"""Commands about baselines."""

from __future__ import annotations

import base64
from typing import Any

from stateguard.errors import NotFoundError, RefusedError, UsageProblemError
from stateguard.guard import view
from stateguard.guard.applies import Say
from stateguard.guard.commands.desk import Command, Desk, actor
from stateguard.model.health import Health
from stateguard.record.approval import Pending

_MOST_DIGITS = 18


def _baseline_list(desk: Desk, _parameters: dict[str, Any], _say: Say) -> dict[str, Any]:
    pending = desk.guard.approvals.pending(desk.guard.applied)
    return {
        "baselines": [b.as_json() for b in desk.guard.baselines.all()],
        "pending": [] if pending is None else [pending.as_json()],
    }


def _baseline_show(desk: Desk, parameters: dict[str, Any], _say: Say) -> dict[str, Any]:
    pending = _waiting(desk, str(parameters["number"]))
    if pending is not None:
        return pending.as_json() | {"evidence": pending.draft.statement.evidence, "tag": None}
    baseline = desk.guard.baselines.find(str(parameters["number"]))
    return baseline.as_json() | {"evidence": baseline.statement.evidence, "tag": baseline.tag_object}


def _baseline_verify(desk: Desk, parameters: dict[str, Any], _say: Say) -> dict[str, Any]:
    wanted = parameters.get("number")
    pending = _waiting(desk, str(wanted)) if wanted else None
    if pending is not None:
        message = f"{pending.draft.statement.tag} waits: it has {len(pending.signers)} of {pending.needed} signatures"
        raise NotFoundError(message, next_step=f"look at it: stateguard baseline show {wanted}")
    chosen = [desk.guard.baselines.find(str(wanted))] if wanted else desk.guard.baselines.all()
    results = []
    for baseline in chosen:
        number = baseline.statement.number  # a tag moved to another's object says another number than its name
        problems = dict.fromkeys((*baseline.problems, *desk.guard.baselines.verify(number)))
        anew = desk.guard.baselines.get(number)
        results.append(
            {"number": number, "valid": not problems, "problems": list(problems), "warnings": list(anew.warnings),
             "grade": str(baseline.statement.grade), "signer": baseline.signer, "key": baseline.key,
             "signers": [s.as_json() for s in baseline.signers], "threshold": baseline.statement.threshold}
        )  # fmt: skip
    return {"valid": all(r["valid"] for r in results), "baselines": results}


def _baseline_create(desk: Desk, parameters: dict[str, Any], say: Say) -> dict[str, Any]:
    evidence = _fit(desk, parameters)
    guard = desk.guard
    paths = guard.operations.preparation.keep_all(guard.applied)
    baseline = guard.baselines.create(guard.applied, paths, actor(parameters), evidence)
    say(f"signed baseline/{baseline.statement.number}")
    return baseline.as_json()


def _baseline_prepare(desk: Desk, parameters: dict[str, Any], say: Say) -> dict[str, Any]:
    """Answer with the bytes that a person is to sign; ``key`` is the fingerprint it will be done with."""
    guard = desk.guard
    evidence = _fit(desk, parameters)
    person = guard.approvals.signer(str(parameters.get("key")))
    paths = guard.operations.preparation.keep_all(guard.applied)
    draft = guard.approvals.prepare(guard.applied, paths, evidence)
    say(f"baseline/{draft.statement.number} waits for {person.name}'s signature")
    return {"number": draft.statement.number, "unsigned": base64.b64encode(draft.unsigned).decode()}


def _baseline_pending(desk: Desk, parameters: dict[str, Any], say: Say) -> dict[str, Any]:
    """Answer with the bytes that others have signed and the owner of ``key``, a fingerprint, is to sign too."""
    guard, number = desk.guard, _number(parameters)
    person = guard.approvals.signer(str(parameters.get("key")))
    pending = guard.approvals.waiting(number, guard.applied)
    say(f"baseline/{number} is signed by {pending.names} and waits for {person.name}'s signature")
    return pending.as_json() | {"unsigned": base64.b64encode(pending.draft.unsigned).decode()}


def _baseline_submit(desk: Desk, parameters: dict[str, Any], say: Say) -> dict[str, Any]:
    guard = desk.guard
    try:
        unsigned = base64.b64decode(str(parameters.get("unsigned")), validate=True)
    except ValueError as error:
        raise UsageProblemError("what was signed is not sent as base64") from error
    draft = guard.approvals.prepared(unsigned, guard.applied)
    found = guard.approvals.submit(draft, str(parameters.get("signature")), actor(parameters))
    if isinstance(found, Pending):
        say(f"{draft.statement.tag} has {len(found.signers)} of {found.needed} signatures ({found.names})")
    else:
        say(f"{draft.statement.tag} is approved, signed by {found.signer}")
    return found.as_json()


def _fit(desk: Desk, parameters: dict[str, Any]) -> dict[str, Any]:
    """Return the evidence for a baseline of the live state, which must be as it should be."""
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
    return {"health": health, "asked_by": actor(parameters)}


def _number(parameters: dict[str, Any]) -> int:
    """Return the number that a request names as ``N`` or ``baseline/N``.

    Raises:
        NotFoundError: it names none.
    """
    text = str(parameters.get("number")).removeprefix("baseline/")
    if not (text.isascii() and text.isdigit() and len(text) <= _MOST_DIGITS):
        message = f"{text!r} is no number of a baseline"
        raise NotFoundError(message, next_step="see: stateguard baseline list")
    return int(text)


def _waiting(desk: Desk, target: str) -> Pending | None:
    """Return the baseline that waits for signatures, if a TARGET names it."""
    pending = desk.guard.approvals.pending(desk.guard.applied)
    named = target.removeprefix("baseline/")
    return pending if pending is not None and named == str(pending.draft.statement.number) else None


def _baseline_revoke(desk: Desk, parameters: dict[str, Any], say: Say) -> dict[str, Any]:
    pending = _waiting(desk, str(parameters["number"]))
    if pending is not None:
        desk.guard.approvals.give_up(pending, actor(parameters), str(parameters.get("reason") or "given up"))
        say(f"{pending.draft.statement.tag} is given up; nobody else needs to sign it")
        return pending.as_json() | {"pending": False}
    number = desk.guard.baselines.find(str(parameters["number"])).statement.number
    desk.guard.baselines.revoke(number, actor(parameters), str(parameters.get("reason") or "revoked"))
    return desk.guard.baselines.get(number).as_json()


COMMANDS: dict[str, Command] = {
    "baseline-list": Command(_baseline_list),
    "baseline-show": Command(_baseline_show),
    "baseline-verify": Command(_baseline_verify),
    "baseline-create": Command(_baseline_create, writes=True),
    "baseline-prepare": Command(_baseline_prepare, writes=True),
    "baseline-pending": Command(_baseline_pending),
    "baseline-submit": Command(_baseline_submit, writes=True),
    "baseline-revoke": Command(_baseline_revoke, writes=True),
}
