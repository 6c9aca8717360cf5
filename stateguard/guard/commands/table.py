"""The one table of commands, asked by the control API and by the command line alike."""

from __future__ import annotations

from stateguard.guard.commands import (
    adopting,
    agents,
    arming,
    baselines,
    changing,
    conversations,
    looking,
    metrics,
    mirrors,
    probes,
    secrets,
    trust,
)
from stateguard.guard.commands.desk import Command

COMMANDS: dict[str, Command] = {
    **looking.COMMANDS,
    **changing.COMMANDS,
    **baselines.COMMANDS,
    **arming.COMMANDS,
    **agents.COMMANDS,
    **adopting.COMMANDS,
    **metrics.COMMANDS,
    **probes.COMMANDS,
    **mirrors.COMMANDS,
    **trust.COMMANDS,
    **secrets.COMMANDS,
    **conversations.COMMANDS,
}
"""Name → command. A name is also the path of the control API: ``POST /v1/NAME``."""
