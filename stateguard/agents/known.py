"""What the embedded runtime knows of one agent; called with the runtime's lock held."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

from stateguard.agents.child import Child
from stateguard.host.process import ProcessIdentity
from stateguard.model.agent import AgentSpec
from stateguard.model.health import ALIVE, AgentState, AgentStatus


@dataclass(slots=True)
class Known:
    """What is known of one agent, under the runtime's lock.

    ``turn`` lets one command at a time start or stop it. ``due_at`` (boot clock) is when a restart is due, or when a
    starting agent counts as running. ``left`` is the leader of a group that survived KILL. ``attached`` says that
    somebody else started the process.
    """

    name: str
    turn: threading.Lock = field(default_factory=threading.Lock)
    spec: AgentSpec | None = None
    state: AgentState = AgentState.STOPPED
    child: Child | None = None
    revision: str = ""
    started_at: float | None = None
    exits: int = 0
    exits_at: tuple[float, ...] = ()
    crashed_at: tuple[float, ...] = ()
    message: str = ""
    due_at: float | None = None
    stopping: bool = False
    left: ProcessIdentity | None = None
    attached: bool = False

    def status(self) -> AgentStatus:
        """Return what others may know of it."""
        alive = self.state in ALIVE and self.child is not None
        return AgentStatus(
            name=self.name,
            state=self.state,
            pid=self.child.pid if alive and self.child else None,
            running=self.revision if alive else None,
            started_at=self.started_at if alive else None,
            exits=self.exits,
            message=self.message,
            crashes=len(self.crashed_at),
        )

    def begun(self, spec: AgentSpec, revision: str) -> None:
        """Note what it is to run from now on, and forget earlier exits."""
        self.spec, self.revision = spec, revision
        self.exits, self.exits_at, self.crashed_at = 0, (), ()

    def runs_as(self, child: Child, revision: str, started_at: float, *, attached: bool) -> None:
        """Note the process that it runs as."""
        self.child, self.state, self.message, self.due_at = child, AgentState.RUNNING, "", None
        self.revision, self.started_at, self.attached, self.stopping = revision, started_at, attached, False
