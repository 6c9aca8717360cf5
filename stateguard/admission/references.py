"""Does everything that a state names exist, and only once? Pure."""

from __future__ import annotations

import posixpath
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from typing import Protocol
from urllib.parse import urlsplit

from stateguard.config.agent import OUTSIDE
from stateguard.config.fields import closest
from stateguard.config.problem import Problem, shown
from stateguard.config.state import STATE_FILE
from stateguard.config.system import is_declaration
from stateguard.model.agent import AgentSpec, Check, CommandCheck, HttpCheck, Probe, ProbeKind
from stateguard.model.graph import cycle
from stateguard.model.policy import System

Keys = tuple[str | int, ...]
Positions = Callable[[str, Keys], tuple[int, int]]

_FOLDERS = ("bin/", "agents/", "config/", "protocols/")
_LOOPBACK = ("127.", "localhost", "::1", "0.0.0.0")  # noqa: S104 - compared with, not bound to


class Places(Protocol):
    """Answers what a tree holds."""

    @property
    def noted(self) -> Collection[str]:
        """Every file that is a declaration or :func:`is_misnamed`, and maybe others."""
        ...

    def exists(self, path: str) -> bool:
        """Say whether there is such a file, or a directory with one in it."""
        ...

    def directories(self, path: str) -> Iterable[str]:
        """Return the names of the directories in a directory."""
        ...


class Keeper(Protocol):
    """Knows secrets that agents would get. What is wrong is told as the end of a sentence, nothing if all is well."""

    def trouble(self, name: str, content: bytes | None) -> str:
        """Say what keeps a secret from agents; ``content`` is the encrypted file that the state has for it."""
        ...

    def unopened(self, name: str, content: bytes) -> str:
        """Say why the encrypted file of a secret cannot be used."""
        ...


def is_misnamed(path: str) -> bool:
    """Say whether a path looks like a declaration and is none, by the ending of its name."""
    stem, ending = posixpath.splitext(path)
    return ending == ".yml" and is_declaration(f"{stem}.yaml")


def reference_problems(system: System, there: Places, positions: Positions) -> list[Problem]:
    """Return the names in a system that lead nowhere, are there twice, or go in a circle.

    ``there`` is what the tree holds; ``positions`` says where the keys of a file stand.
    """
    found = [
        *_directories(there),
        *_endings(there),
        *(p for agent in system.agents.values() for p in _agent(system, agent, there, positions)),
        *_circle(system, positions),
        *_parents(system, positions),
        *_ports(system, positions),
        *_channels(system, positions),
        *_state_probes(system, there, positions),
    ]
    return sorted(set(found))


def command_problems(system: System) -> list[Problem]:
    """Return the agents that name no command, where the guard has to run them."""
    message = (
        "command is missing; add it, or, if something else starts this agent, say so with runtime in guard.yaml "
        "(stateguard validate --runtime)"
    )
    return [Problem(agent_file(a.name), 1, "missing-key", message, 1) for a in system.agents.values() if not a.command]


def secret_problems(system: System, trouble: Callable[[str], str], positions: Positions) -> list[Problem]:
    """Return the secrets that agents name and would not get; ``trouble`` says why not, as the end of a sentence."""
    return sorted(
        _at(positions, agent_file(agent.name), ("environment", variable), "missing-secret", message)
        for agent in system.agents.values()
        for variable, name in agent.secrets.items()
        if (why := trouble(name)) and (message := f"{variable} names the secret {name}, {why}")
    )


def agent_file(name: str) -> str:
    """Return the path of an agent's specification."""
    return f"agents/{name}/agent.yaml"


def _at(positions: Positions, path: str, keys: Keys, code: str, message: str) -> Problem:
    line, column = positions(path, keys)
    return Problem(path, line, code, message, column)


def _directories(there: Places) -> Iterator[Problem]:
    for name in there.directories("agents"):
        if agent_file(name) not in there.noted:
            message = f"the directory agents/{name} has no agent.yaml; add one, or move its files"
            yield Problem(agent_file(name), 0, "missing-file", message)


def _endings(there: Places) -> Iterator[Problem]:
    for path in there.noted:
        if is_misnamed(path):
            message = f"this would not be read; rename it to {path.removesuffix('.yml')}.yaml"
            yield Problem(path, 0, "file-name", message)


def _agent(system: System, agent: AgentSpec, there: Places, positions: Positions) -> Iterator[Problem]:
    path = agent_file(agent.name)
    for needed in agent.depends_on:
        if needed not in system.agents:
            message = f"depends_on names {shown(needed)}, which is no agent; {_suggestion(needed, system)}"
            yield _at(positions, path, ("depends_on",), "unknown-agent", message)
    for key, name in (("prompt", agent.prompt), ("card", agent.card)):
        if name and not there.exists(f"{agent.directory}{name}"):
            message = f"{key} names {agent.directory}{name}, which does not exist; add it, or correct the name"
            yield _at(positions, path, (key,), "missing-file", message)
    yield from _command(path, ("command",), agent.command, there, positions)
    yield from _probes(path, agent.probes, there, positions)


def _command(path: str, keys: Keys, argv: Sequence[str], there: Places, positions: Positions) -> Iterator[Problem]:
    for number, argument in enumerate(argv):
        name = argument.removeprefix("./").rstrip("/")
        if name.startswith(_FOLDERS) and not there.exists(posixpath.normpath(name)):
            message = f"the command names {shown(argument)}, which does not exist; add it, or correct the path"
            yield _at(positions, path, (*keys, number), "missing-file", message)


def _probes(path: str, probes: Sequence[Probe], there: Places, positions: Positions) -> Iterator[Problem]:
    seen: set[str] = set()
    for number, probe in enumerate(probes):
        if probe.name in seen:
            message = f"a probe above is already called {shown(probe.name)}; rename one of them"
            yield _at(positions, path, ("probes", number, "name"), "duplicate-name", message)
        seen.add(probe.name)
        yield from _command(path, ("probes", number, "command"), _argv(probe.check), there, positions)


def _argv(check: Check) -> tuple[str, ...]:
    return check.argv if isinstance(check, CommandCheck) else ()


def _circle(system: System, positions: Positions) -> Iterator[Problem]:
    found = cycle(system.agents)
    if found:
        message = f"agents depend on each other in a circle: {' -> '.join(found)}; remove one of these dependencies"
        yield _at(positions, agent_file(found[0]), ("depends_on",), "cycle", message)


def _parents(system: System, positions: Positions) -> Iterator[Problem]:
    first, *others = sorted(name for name, agent in system.agents.items() if agent.parent) or [""]
    for name in others:
        message = f"{first} is the parent already; only one agent may have the role parent"
        yield _at(positions, agent_file(name), ("role",), "second-parent", message)


def _ports(system: System, positions: Positions) -> Iterator[Problem]:
    """Yield a problem where two agents would be asked for their readiness at the same port of this host."""
    owners: dict[int, str] = {}
    for name, agent in sorted(system.agents.items()):
        for number, probe in enumerate(agent.probes):
            port = _own_port(probe)
            if port is None or owners.setdefault(port, name) == name:
                continue
            message = f"port {port} is already the agent {owners[port]}'s; give one of them another"
            keys = ("probes", number, "http", "url")
            yield _at(positions, agent_file(name), keys, "port", message)


def _own_port(probe: Probe) -> int | None:
    if probe.kind is not ProbeKind.READINESS or probe.external or not isinstance(probe.check, HttpCheck):
        return None
    parts = urlsplit(probe.check.url)
    if not (parts.hostname or "").startswith(_LOOPBACK):
        return None
    return parts.port or (443 if parts.scheme == "https" else 80)


def _channels(system: System, positions: Positions) -> Iterator[Problem]:
    names = Counter(channel.name for channel in system.channels)
    for channel in system.channels:
        if channel.path != f"protocols/{channel.name}.yaml":
            message = f"name is {shown(channel.name)} in the file {channel.path}; make them the same"
            yield _at(positions, channel.path, ("name",), "name", message)
        if names[channel.name] > 1:
            message = f"another channel is called {shown(channel.name)} too; rename one of them"
            yield _at(positions, channel.path, ("name",), "duplicate-name", message)
        for key, end in (("from", channel.sender), ("to", channel.receiver)):
            if end not in system.agents and end not in OUTSIDE:
                message = f"{key} names {shown(end)}, which is no agent; {_suggestion(end, system, *OUTSIDE)}"
                yield _at(positions, channel.path, (key,), "unknown-agent", message)


def _state_probes(system: System, there: Places, positions: Positions) -> Iterator[Problem]:
    yield from _probes(STATE_FILE, system.policy.probes, there, positions)
    taken = {channel.probe.name: channel.path for channel in system.channels if channel.probe}
    for number, probe in enumerate(system.policy.probes):
        if probe.name in taken:
            message = f"{taken[probe.name]} has a probe called {shown(probe.name)} too; rename one of them"
            yield _at(positions, STATE_FILE, ("probes", number, "name"), "duplicate-name", message)
    for channel in system.channels:
        check = channel.probe.check if channel.probe else None
        if isinstance(check, CommandCheck):
            yield from _command(channel.path, ("probe", "command"), check.argv, there, positions)


def _suggestion(name: str, system: System, *more: str) -> str:
    known = [*sorted(system.agents), *more]
    close = closest(name, known)
    return f"did you mean {close}?" if close else "add the agent, or correct the name"
