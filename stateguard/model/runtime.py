"""Who runs the agents of a host, as ``guard.yaml`` says it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from stateguard.model.health import AgentState


@dataclass(frozen=True, slots=True)
class Embedded:
    """The guard runs them itself, as processes."""


@dataclass(frozen=True, slots=True)
class Supervisor:
    """A supervisord runs them; it is reached at the path of a unix socket or, with an empty ``socket``, at a URL.

    ``programs`` gives an agent's program as ``name`` or ``group:name`` where it is not called as the agent.
    """

    socket: str = ""
    url: str = ""
    username: str = ""
    password_file: str = ""
    programs: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Commands:
    """A service manager runs them that is asked by commands: argument lists in which ``{unit}`` and ``{name}`` stand.

    ``states`` pairs a state with a regular expression; the first that is found in what ``status`` prints holds (None:
    the program is unknown there). Without any, the exit status decides: 0 runs, 1 to 3 stopped, 4 unknown. ``pid`` is a
    regular expression whose first group is the process id. ``passed`` are variables handed on from the guard's own
    environment.
    """

    title: str
    start: tuple[str, ...]
    stop: tuple[str, ...]
    status: tuple[str, ...]
    logs: tuple[str, ...] = ()
    reload: tuple[str, ...] = ()
    states: tuple[tuple[AgentState | None, str], ...] = ()
    pid: str = ""
    unit: str = "{name}"
    units: Mapping[str, str] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)
    passed: tuple[str, ...] = ()
    deadline_seconds: float = 30.0
    poll_seconds: float = 5.0


RuntimeSettings = Embedded | Supervisor | Commands
