"""The port behind the port: a service manager that runs programs, and what it says of one."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Protocol

from stateguard.host.process import ProcessIdentity
from stateguard.model.health import ALIVE, AgentState


@dataclass(frozen=True, slots=True)
class Program:
    """What a service manager says of a program. ``started_at`` is Unix time in seconds.

    ``ending`` says that it is being stopped at this moment; until that is over it counts as alive.
    """

    state: AgentState
    pid: int | None = None
    started_at: float | None = None
    message: str = ""
    ending: bool = False

    @property
    def alive(self) -> bool:
        """Whether a process of it runs."""
        return self.state in ALIVE


class ServiceManager(Protocol):
    """Starts and stops programs that are configured elsewhere. ``agent`` is always an agent's name.

    Every method may be called from any thread and raises AgentsError when the service manager does not answer.
    """

    title: str
    quick_seconds: float
    calm_seconds: float

    def look(self, agents: Collection[str]) -> dict[str, Program]:
        """Return what is known of these agents' programs; one that is missing here is unknown to the manager."""
        ...

    def begin(self, agent: str) -> str:
        """Ask to start a program that does not run; returns why it could not be executed, or nothing.

        Raises:
            AgentsError: the program is unknown.
        """
        ...

    def end(self, agent: str) -> float:
        """Ask to stop a program; returns the seconds that the manager grants it. One that does not run is fine."""
        ...

    def signal(self, agent: str, name: str) -> bool:
        """Send a signal such as ``HUP`` to a program's main process; False if this manager cannot."""
        ...

    def tail(self, agent: str, lines: int) -> list[str]:
        """Return the last lines that a program wrote."""
        ...

    def unknown(self, agent: str) -> str:
        """Return the sentence that says that a program is unknown, and what is known instead."""
        ...

    def survivors(self, known: Mapping[str, int | None]) -> dict[str, tuple[ProcessIdentity, ...]]:
        """Return, by agent, processes that an earlier manager started and this one does not know.

        ``known`` are the agents with the process that the manager knows, if any.
        """
        ...
