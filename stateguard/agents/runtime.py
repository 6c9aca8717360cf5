"""The port: what the guard asks of whatever runs the agents."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Protocol

from stateguard.model.agent import AgentSpec
from stateguard.model.health import AgentStatus


class AgentRuntime(Protocol):
    """Starts, supervises and stops agents. Every method may be called from any thread."""

    def statuses(self) -> dict[str, AgentStatus]:
        """Return what is known of every agent, by name; a copy that belongs to the caller."""
        ...

    def start(self, spec: AgentSpec, revision: str) -> None:
        """Start an agent and supervise it; does nothing if it runs.

        Earlier exits are forgotten. A program that cannot be executed is treated as an unplanned exit: the
        agent's status says why, and its restart policy decides.

        Raises:
            AgentsError: the guard itself cannot start it: its log cannot be opened, the live directory is missing.
        """
        ...

    def stop(self, name: str) -> bool:
        """End an agent by its stop policy and cancel a restart that is pending; say whether nothing of it is left.

        An agent that does not run is stopped already. Takes at most the grace period and four seconds.

        Raises:
            AgentsError: this runtime is closed.
        """
        ...

    def adopt(self, specs: Mapping[str, AgentSpec]) -> None:
        """Take over the agents that an earlier guard left running, and end those that these specs do not describe.

        Afterwards every agent of ``specs`` has a status; none was started.

        Raises:
            AgentsError: this runtime is closed.
        """
        ...

    def label(self, names: Iterable[str], revision: str) -> None:
        """Report a revision as the one these agents run: their inputs are the same in it."""
        ...

    def close(self) -> None:
        """Stop supervising; the agents stay running."""
        ...
