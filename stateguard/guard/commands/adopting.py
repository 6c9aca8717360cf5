"""The command that makes what lies in the live directory a commit on main."""

from __future__ import annotations

from typing import Any

from stateguard.guard.adopt import adopt, adoption
from stateguard.guard.applies import Say
from stateguard.guard.commands import agents
from stateguard.guard.commands.desk import Command, Desk, actor


def _adopt(desk: Desk, parameters: dict[str, Any], say: Say) -> dict[str, Any]:
    guard = desk.guard
    found = adoption(guard, [str(p) for p in parameters.get("paths") or []], str(parameters.get("cwd") or ""))
    if parameters.get("dry_run"):
        problems = [p.as_json() for p in found.problems]
        return found.as_json() | {"valid": not problems, "problems": problems}
    document = adopt(guard, found, actor(parameters), str(parameters.get("reason") or ""), say)
    if parameters.get("restart") and document["behind"]:
        asked = {"action": "restart", "names": document["behind"], "user": parameters.get("user", "")}
        agents.COMMANDS["agent-act"].answer(desk, asked, say)
        document |= {"restarted": document["behind"], "behind": []}
    return document


COMMANDS: dict[str, Command] = {"adopt": Command(_adopt, writes=True)}
"""Writes even with ``dry_run``: it stores the blobs that it judges."""
