"""Commands about the secrets of agents: their names are told and recorded, their values never."""

from __future__ import annotations

from typing import Any

from stateguard.admission.secrets.scan import in_text
from stateguard.errors import RefusedError, StorageError, UsageProblemError
from stateguard.guard.applies import Say
from stateguard.guard.commands.desk import Command, Desk, actor
from stateguard.guard.compose import Guard
from stateguard.host.secrets import require_secret
from stateguard.record.audit import Entry
from stateguard.text.words import joined
from stateguard.trust.age import create_identity, recipient_of


def _secret_list(desk: Desk, _parameters: dict[str, Any], _say: Say) -> dict[str, Any]:
    guard, used = desk.guard, _used(desk.guard)
    kept, found = guard.secrets.set.names(), []
    for name in sorted({*kept, *used}):
        content = guard.secrets.sealed(name, guard.main)
        source = "home" if name in kept else "state" if content is not None else None
        problem = guard.secrets.trouble(name, content) or None
        found.append({"name": name, "from": source, "problem": problem, "agents": _of(used, name)})
    return {"secrets": found}


def _secret_set(desk: Desk, parameters: dict[str, Any], say: Say) -> dict[str, Any]:
    guard, name, value = desk.guard, str(parameters["secret"]), parameters.get("value")
    if not isinstance(value, str):
        raise UsageProblemError("a value is text")
    if in_text(name):
        message = "the name looks like a secret itself, and is not repeated"
        raise UsageProblemError(message, next_step="if it is one, make it invalid where it came from; choose a name")
    require_secret(name, value)
    before = name in guard.secrets.set.names()
    entry = Entry("secret", actor(parameters), {"action": "replace" if before else "set", "name": name})
    guard.books.audit.append([entry])
    guard.secrets.set.keep(name, value)
    agents = _of(_used(guard), name)
    say(f"{name} is {'replaced' if before else 'set'}")
    return {"name": name, "replaced": before, "agents": agents}


def _secret_remove(desk: Desk, parameters: dict[str, Any], say: Say) -> dict[str, Any]:
    guard, name = desk.guard, str(parameters["secret"])
    agents, there = _of(_used(guard), name), name in guard.secrets.set.names()
    carried = [guard.secrets.sealed(name, revision) for revision in {guard.applied, guard.main} - {""}]
    carries = all(content is not None and not guard.secrets.unopened(name, content) for content in carried)
    if there and agents and not carries and not parameters.get("force"):
        message = f"{joined(agents)} would not start any more without the secret {name}"
        hint = f"push a state that does not name it, or: stateguard secret remove {name} --force"
        raise RefusedError(message, next_step=hint)
    if there:
        guard.books.audit.append([Entry("secret", actor(parameters), {"action": "remove", "name": name})])
    guard.secrets.set.remove(name)
    say(f"{name} is removed")
    return {"name": name, "agents": agents}


def _recipient(desk: Desk, parameters: dict[str, Any], say: Say) -> dict[str, Any]:
    keys = desk.guard.home.keys
    found = recipient_of(keys)
    if found is not None:
        return {"recipient": found, "made": False}
    try:
        made = create_identity(keys)
    except OSError as error:
        raise StorageError(f"{keys} cannot be written: {error.strerror}") from error
    desk.guard.books.audit.append([Entry("secret", actor(parameters), {"action": "recipient", "recipient": made})])
    say("this guard has an age identity now: back it up with the guard home")
    return {"recipient": made, "made": True}


def _used(guard: Guard) -> dict[str, set[str]]:
    """Return the agents of what is live and of main by the names of the secrets that they need."""
    found: dict[str, set[str]] = {}
    for revision in {guard.applied, guard.main} - {""}:
        for agent in guard.books.declared.system(revision).agents.values():
            for name in agent.secrets.values():
                found.setdefault(name, set()).add(agent.name)
    return found


def _of(used: dict[str, set[str]], name: str) -> list[str]:
    return sorted(used.get(name, ()))


COMMANDS: dict[str, Command] = {
    "secret-list": Command(_secret_list),
    "secret-set": Command(_secret_set, writes=True),
    "secret-remove": Command(_secret_remove, writes=True),
    "secret-recipient": Command(_recipient, writes=True),
}
