"""Commands about what the guard may do by itself."""

from __future__ import annotations

from typing import Any

from stateguard.config.host import with_arming
from stateguard.errors import UsageProblemError
from stateguard.guard.applies import Say
from stateguard.guard.commands.desk import Command, Desk, actor
from stateguard.host import files
from stateguard.model.policy import Arming, Trigger
from stateguard.record.audit import Entry


def _arming_list(desk: Desk, _parameters: dict[str, Any], _say: Say) -> dict[str, Any]:
    return {"arming": {str(t): str(a) for t, a in desk.guard.settings.arming.items()}}


def _arming_ledger(desk: Desk, _parameters: dict[str, Any], _say: Say) -> dict[str, Any]:
    return {"ledger": desk.guard.store.ledger()}


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
    guard.books.audit.append([Entry("arming", actor(parameters), {"trigger": str(trigger), "level": str(level)})])
    return _arming_list(desk, {}, lambda _: None)


COMMANDS: dict[str, Command] = {
    "arming-list": Command(_arming_list),
    "arming-ledger": Command(_arming_ledger),
    "arming-set": Command(_arming_set, writes=True),
}
