"""Commands about single agents."""

from __future__ import annotations

from typing import Any

from stateguard.errors import NotFoundError, RefusedError
from stateguard.guard import view
from stateguard.guard.applies import Say
from stateguard.guard.attach import choose_one
from stateguard.guard.commands.desk import Command, Desk, actor
from stateguard.model.graph import start_order, stop_order
from stateguard.record.audit import Entry


def _agent_list(desk: Desk, _parameters: dict[str, Any], _say: Say) -> dict[str, Any]:
    return {"agents": view.status(desk.guard, pid=desk.pid)["agents"]}


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
    guard.books.audit.append([Entry("agent", actor(parameters), {"action": action, "agents": names})])
    if left:
        raise RefusedError(f"{', '.join(left)} could not be ended", changed="the others were stopped")
    return _agent_list(desk, parameters, say)


def _agent_logs(desk: Desk, parameters: dict[str, Any], _say: Say) -> dict[str, Any]:
    name, agents = str(parameters["agent"]), desk.guard.system.agents
    if name not in agents:
        raise NotFoundError(f"there is no agent {name!r}", next_step=f"agents: {', '.join(sorted(agents)) or 'none'}")
    return {"name": name, "lines": desk.guard.runtime.tail(name, int(parameters["lines"]))}


def _agent_attach(desk: Desk, parameters: dict[str, Any], say: Say) -> dict[str, Any]:
    guard, name = desk.guard, str(parameters["agent"])
    agents = guard.system.agents
    if name not in agents:
        raise NotFoundError(f"there is no agent {name!r}", next_step=f"agents: {', '.join(sorted(agents)) or 'none'}")
    given = parameters.get("pid")
    pid = choose_one(guard.runtime, agents[name]) if given is None else int(given)
    guard.runtime.attach(agents[name], pid, guard.applied)
    guard.prober.begin([p.id for p in guard.system.probes if p.agent in (None, name)])
    by_hand = set(guard.store.marked("stopped") or [])
    guard.store.mark("stopped", sorted(by_hand - {name}) or None)
    guard.books.audit.append([Entry("agent", actor(parameters), {"action": "attach", "agents": [name], "pid": pid})])
    say(f"{name} is process {pid} from now on")
    return _agent_list(desk, parameters, say)


COMMANDS: dict[str, Command] = {
    "agent-attach": Command(_agent_attach, writes=True),
    "agent-list": Command(_agent_list),
    "agent-logs": Command(_agent_logs),
    "agent-act": Command(_agent_act, writes=True),
}
