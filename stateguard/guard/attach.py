"""Processes that run already become agents: chosen by their command, or named by a person."""

from __future__ import annotations

from collections.abc import Mapping

from stateguard.agents.runtime import GuardRuntime
from stateguard.errors import NotFoundError, RefusedError
from stateguard.model.agent import AgentSpec

_SEVERAL = "say which one: stateguard agent attach NAME PID, or init --process NAME=PID; or end the others"


def choose(runtime: GuardRuntime, specs: Mapping[str, AgentSpec]) -> dict[str, int]:
    """Return the process of each agent that does not run and that exactly one process seems to be.

    Raises:
        RefusedError: several processes seem to be one agent, or one process several agents.
    """
    found = runtime.candidates(specs)
    for name, some in found.items():
        if len(some) > 1:
            listed = "\n".join(f"  {one.text()}" for one in some)
            raise RefusedError(f"{len(some)} processes seem to be {name}:\n{listed}", next_step=_SEVERAL)
    chosen = {name: some[0] for name, some in found.items() if some}
    owners: dict[int, str] = {}
    for name, one in chosen.items():
        other = owners.setdefault(one.identity.pid, name)
        if other != name:
            raise RefusedError(f"{one.text()} may be {other} or {name}", next_step=_SEVERAL)
    return {name: one.identity.pid for name, one in chosen.items()}


def choose_one(runtime: GuardRuntime, spec: AgentSpec) -> int:
    """Return the process that seems to be an agent.

    Raises:
        NotFoundError: there is none.
        RefusedError: there are several.
    """
    chosen = choose(runtime, {spec.name: spec})
    if spec.name not in chosen:
        message = f"no process of this user at the live directory runs the command of {spec.name}"
        raise NotFoundError(message, next_step=f"name it: stateguard agent attach {spec.name} PID")
    return chosen[spec.name]


def require_none(runtime: GuardRuntime, specs: Mapping[str, AgentSpec]) -> None:
    """Refuse to start agents that seem to run already: they would be doubled.

    Raises:
        RefusedError: some do.
    """
    found = [f"  {one.text()} seems to be {name}" for name, some in runtime.candidates(specs).items() for one in some]
    if found:
        hint = "take them over as they run: init --attach; or end them first"
        raise RefusedError("\n".join(["agents run already, and would run twice:", *found]), next_step=hint)
