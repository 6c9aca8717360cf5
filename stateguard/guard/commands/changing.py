"""Commands that change the live state, or whether the guard acts."""

from __future__ import annotations

from typing import Any

from stateguard.errors import RefusedError, UsageProblemError
from stateguard.guard import view
from stateguard.guard.admit import admit
from stateguard.guard.applies import Say
from stateguard.guard.commands.desk import Command, Desk, actor, duration
from stateguard.guard.recover import recover
from stateguard.guard.rollback import choose, documented, plan_of, planned, roll_back
from stateguard.host.clock import moment
from stateguard.model.identity import short
from stateguard.model.transition import Outcome
from stateguard.record.audit import Entry
from stateguard.text.words import count


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
    return desk.applies.apply(revision, actor(parameters), reason, say).as_json()


def _rollback(desk: Desk, parameters: dict[str, Any], say: Say) -> dict[str, Any]:
    if parameters.get("dry_run"):
        return planned(desk.guard, choose(desk.guard, parameters))
    return roll_back(desk.guard, parameters, actor(parameters), say).as_json()


def _cancel(desk: Desk, parameters: dict[str, Any], _say: Say) -> dict[str, Any]:
    operation = int(parameters["operation"])
    if not desk.guard.operations.engine.cancel(operation):
        message = f"operation {operation} does not run"
        raise RefusedError(message, next_step="see: stateguard history")
    return {"operation": operation, "cancelled": True}


def _recover(desk: Desk, _parameters: dict[str, Any], say: Say) -> dict[str, Any]:
    done = recover(desk.guard, desk.applies)
    say(f"{count(len(done), 'interrupted operation')} carried on to the end" if done else "nothing was interrupted")
    if not done:
        return {"operation": None, "kind": "recover", "outcome": str(Outcome.SUCCEEDED), "from": None,
                "to": desk.guard.applied, "fingerprint": None, "stages": [], "duration_seconds": 0.0,
                "incident": None, "reason": "nothing was interrupted"}  # fmt: skip
    say(_standing(desk))
    return desk.guard.books.journal.get(done[-1]).result | {"recovered": done}


def _standing(desk: Desk) -> str:
    """Say where a recovery left the system."""
    live, main, drifted = desk.guard.applied, desk.guard.main, view.drift_now(desk.guard)
    held = f"{count(len(drifted), 'path')} drifted from {short(live)}" if drifted else f"it holds {short(live)}"
    return f"the live directory: {held}; main: {'the same' if main == live else f'ahead, at {short(main)}'}"


def _suspend(desk: Desk, parameters: dict[str, Any], _say: Say) -> dict[str, Any]:
    until = None
    if parameters.get("for") is not None:
        lasting = duration(str(parameters["for"]))
        if lasting <= 0:
            raise UsageProblemError("nothing is suspended for no time", next_step="say for how long: --for 30m")
        after = moment().plus(lasting)
        until = {"wall_seconds": after.wall_seconds, "boot_seconds": after.boot_seconds, "boot_id": after.boot_id}
    kept = {"reason": str(parameters.get("reason") or ""), "until": until}
    desk.guard.store.mark("suspended", kept)
    desk.guard.books.audit.append([Entry("suspend", actor(parameters), {"reason": kept["reason"]})])
    return {"suspended": True, **kept}


def _resume(desk: Desk, parameters: dict[str, Any], _say: Say) -> dict[str, Any]:
    desk.guard.store.mark("suspended", None)
    desk.guard.books.audit.append([Entry("resume", actor(parameters), {})])
    return {"suspended": False}


COMMANDS: dict[str, Command] = {
    "admit": Command(_admit),
    "cancel": Command(_cancel),
    "push": Command(_push, writes=True),
    "apply": Command(_apply, writes=True),
    "rollback": Command(_rollback, writes=True),
    "recover": Command(_recover, writes=True),
    "suspend": Command(_suspend, writes=True),
    "resume": Command(_resume, writes=True),
}
