"""The guard's own metrics."""

from __future__ import annotations

from typing import Any

from stateguard.guard.applies import Say
from stateguard.guard.commands.desk import Command, Desk


def _metrics(desk: Desk, _parameters: dict[str, Any], _say: Say) -> dict[str, Any]:
    return {"exposition": desk.metrics()}


COMMANDS: dict[str, Command] = {
    "metrics": Command(_metrics),
}
