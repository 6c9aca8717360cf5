"""The port: what is asked of whatever runs the agents."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Protocol

from stateguard.agents.attach import Candidate
from stateguard.model.agent import AgentSpec
from stateguard.model.health import AgentStatus


class AgentRuntime(Protocol):
    """What transitions ask: starts, supervises and stops agents. Every method may be called from any thread."""

    def statuses(self) -> dict[str, AgentStatus]:
        """Return what is known of every agent, by name; a copy that belongs to the caller."""
        ...

    def start(self, spec: AgentSpec, revision: str) -> None:
        """Start an agent and supervise it; does nothing if it runs.

        Earlier exits are forgotten. A program that cannot be executed is treated as an unplanned exit: the
        agent's status says why, and its restart policy decides.

        Raises:
            AgentsError: it cannot even be tried: its log cannot be opened, the live directory is missing, whoever
                runs it does not answer or does not know it.
        """
        ...

    def stop(self, name: str) -> bool:
        """End an agent by its stop policy and cancel a restart that is pending; say whether nothing of it is left.

        An agent that does not run is stopped already. Takes at most the grace period and four seconds, or what whoever
        runs it is configured to grant.

        Raises:
            AgentsError: this runtime is closed, or whoever runs the agents does not answer.
        """
        ...

    def reload(self, name: str, signal: str) -> bool:
        """Send an agent's process a signal such as ``HUP``; False if it does not run or cannot be told."""
        ...

    def label(self, names: Iterable[str], revision: str) -> None:
        """Report a revision as the one these agents run: their inputs are the same in it."""
        ...


class GuardRuntime(AgentRuntime, Protocol):
    """What a guard asks besides, when it comes and goes."""

    def adopt(self, specs: Mapping[str, AgentSpec]) -> None:
        """Take over the agents that run already; none is started, and none of ``specs`` is stopped.

        Afterwards every agent of ``specs`` has a status. Processes that an earlier guard started itself and that these
        specs do not describe are ended; what others run is left alone.

        Raises:
            AgentsError: this runtime is closed.
        """
        ...

    def candidates(self, specs: Mapping[str, AgentSpec]) -> dict[str, list[Candidate]]:
        """Return, for each agent that does not run, the processes that seem to be it; none where others run them."""
        ...

    def attach(self, spec: AgentSpec, pid: int, revision: str) -> None:
        """Supervise a process that runs already as this agent, from now on as if it had been started.

        Raises:
            NotFoundError: there is no such process.
            RefusedError: it cannot be this agent, or the agent runs.
            AgentsError: others run the agents here, and are attached to by themselves.
        """
        ...

    def look(self, specs: Mapping[str, AgentSpec]) -> None:
        """See which agents run without supervising or ending any: for reading while no guard is at work."""
        ...

    def tail(self, name: str, lines: int) -> list[str]:
        """Return the last lines that an agent wrote, as far as they are kept.

        Raises:
            AgentsError: they cannot be read.
        """
        ...

    def close(self) -> None:
        """Stop supervising; the agents stay running."""
        ...
