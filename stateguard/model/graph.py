"""Dependency order, cycles, and which agents a change concerns."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from stateguard.model.agent import AgentSpec, Channel
from stateguard.model.secret import sealed_name


def layers(agents: Mapping[str, AgentSpec]) -> tuple[tuple[str, ...], ...]:
    """Return the agents in starting order: each layer depends only on the layers before it.

    The parent comes before others of its layer. Dependencies on agents that do not exist are left out.

    Raises:
        ValueError: the dependencies form a cycle.
    """
    left = {name: {d for d in spec.depends_on if d in agents} for name, spec in agents.items()}
    result: list[tuple[str, ...]] = []
    while left:
        free = [name for name, needs in left.items() if not needs & left.keys()]
        if not free:
            msg = f"agents depend on each other in a circle: {' -> '.join(cycle(agents))}"
            raise ValueError(msg)
        result.append(tuple(sorted(free, key=lambda name: (not agents[name].parent, name))))
        for name in free:
            del left[name]
    return tuple(result)


def start_order(agents: Mapping[str, AgentSpec]) -> tuple[str, ...]:
    """Return every agent, dependencies first, the parent as early as it may."""
    return tuple(name for layer in layers(agents) for name in layer)


def stop_order(agents: Mapping[str, AgentSpec]) -> tuple[str, ...]:
    """Return every agent: the not critical ones first, dependents before what they need, the parent last."""
    order = start_order(agents)
    place = {name: n for n, name in enumerate(order)}
    return tuple(sorted(order, key=lambda name: (agents[name].parent, agents[name].critical, -place[name])))


def stop_batches(agents: Mapping[str, AgentSpec], names: Iterable[str]) -> tuple[tuple[str, ...], ...]:
    """Return agents, given in stopping order, in batches: those of one need nothing of each other and end together.

    Critical agents and the parent are kept apart from those before them. An agent without specification counts as
    neither.
    """
    batches: list[list[str]] = []
    last: tuple[bool, bool] | None = None
    for name in names:
        spec = agents.get(name)
        rank = (spec.parent, spec.critical) if spec else (False, False)
        needed = bool(batches) and any(name in agents[other].depends_on for other in batches[-1] if other in agents)
        if rank != last or needed:
            batches.append([])
        batches[-1].append(name)
        last = rank
    return tuple(map(tuple, batches))


def cycle(agents: Mapping[str, AgentSpec]) -> tuple[str, ...]:
    """Return one circle of dependencies, its first agent repeated at the end; empty if there is none."""
    done: set[str] = set()
    for root in sorted(agents):
        path = {} if root in done else {root: iter(agents[root].depends_on)}
        while path:
            name = next(reversed(path))
            needed = next(path[name], None)
            if needed is None:
                path.popitem()
                done.add(name)
            elif needed in path:
                names = tuple(path)
                return (*names[names.index(needed) :], needed)
            elif needed in agents and needed not in done:
                path[needed] = iter(agents[needed].depends_on)
    return ()


def dependents(agents: Mapping[str, AgentSpec], names: Iterable[str]) -> frozenset[str]:
    """Return the agents themselves and all that depend on them, directly or not."""
    reached = {name for name in names if name in agents}
    grew = True
    while grew:
        more = {n for n, spec in agents.items() if n not in reached and reached & set(spec.depends_on)}
        grew = bool(more)
        reached |= more
    return frozenset(reached)


def reads(spec: AgentSpec, channels: Iterable[Channel], path: str, matches: Callable[[str, str], bool]) -> bool:
    """Say whether a path is an input of an agent.

    Its own directory is, its channels, its globs for restart and reload, and the encrypted files of its secrets.
    """
    if _own(spec, channels, path) or _seals(spec, path):
        return True
    globs = (*spec.restart_on, *(spec.reload.on if spec.reload else ()))
    return any(matches(pattern, path) for pattern in globs)


def reloads(spec: AgentSpec, channels: Iterable[Channel], path: str, matches: Callable[[str, str], bool]) -> bool:
    """Say whether an agent can take a change of this input while it runs.

    With ``reload`` it can if the path lies in its own directory or is a channel of it, or matches ``reload.on``,
    whatever ``restart_on`` says; its own specification never, because that says how it is started, nor the encrypted
    file of a secret, which it gets as it starts.
    """
    if spec.reload is None or path == f"{spec.directory}agent.yaml" or _seals(spec, path):
        return False
    return _own(spec, channels, path) or any(matches(pattern, path) for pattern in spec.reload.on)


def _own(spec: AgentSpec, channels: Iterable[Channel], path: str) -> bool:
    if path.startswith(spec.directory):
        return True
    return any(channel.path == path and channel.touches(spec.name) for channel in channels)


def _seals(spec: AgentSpec, path: str) -> bool:
    """Say whether a path is the encrypted file of one of an agent's secrets."""
    return sealed_name(path) in spec.secrets.values()
