"""What a managed runtime knows of one agent's program, and how that changes; called with the runtime's lock held."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from dataclasses import dataclass, field

from stateguard.agents.child import Child, began_at, take_over
from stateguard.agents.manager import Program
from stateguard.agents.registry import Entry
from stateguard.agents.restart import RUNNING_AFTER_SECONDS, crashes
from stateguard.host.clock import boot_seconds
from stateguard.host.process import ProcessIdentity, alive, identify
from stateguard.model.agent import AgentSpec
from stateguard.model.health import ALIVE, AgentState, AgentStatus

_OVER = frozenset({AgentState.STOPPED, AgentState.EXITED, AgentState.FATAL})


@dataclass(slots=True)
class Unit:
    """One agent's program.

    ``turn`` lets one command at a time start or stop it; meanwhile it is ``taken``, and ``turns`` has moved on.
    ``identity`` is the process that the manager reported last, ``child`` its descriptor where there is one. ``earlier``
    is the process of an earlier guard's record, ``dead`` one whose end the manager has not noticed yet. ``held`` is a
    state that stays until the program is seen alive: it was stopped by us, or could not be started. A program counts
    as running from ``settles_at`` on (boot clock).
    """

    name: str
    turn: threading.Lock = field(default_factory=threading.Lock)
    taken: bool = False
    turns: int = 0
    spec: AgentSpec | None = None
    state: AgentState = AgentState.STOPPED
    pid: int | None = None
    identity: ProcessIdentity | None = None
    child: Child | None = None
    earlier: ProcessIdentity | None = None
    dead: ProcessIdentity | None = None
    held: AgentState | None = None
    settles_at: float = 0.0
    revision: str = ""
    started_at: float | None = None
    exits: int = 0
    crashed_at: tuple[float, ...] = ()
    message: str = ""
    strays: tuple[ProcessIdentity, ...] = ()

    @property
    def under_way(self) -> bool:
        """Whether its state is about to change, so that it is worth looking soon."""
        return self.state in (AgentState.STARTING, AgentState.BACKOFF)

    def status(self) -> AgentStatus:
        """Return what others may know of it."""
        runs = self.state in ALIVE or (self.state is AgentState.UNKNOWN and self.child is not None)
        return AgentStatus(
            name=self.name,
            state=self.state,
            pid=self.pid if runs else None,
            running=self.revision if runs else None,
            started_at=self.started_at if runs else None,
            exits=self.exits,
            message=self.message,
            strays=tuple(process.pid for process in self.strays),
            crashes=len(self.crashed_at),
        )

    def remember(self, entry: Entry) -> None:
        """Note which process ran it when an earlier guard looked last, and from which revision."""
        self.earlier, self.revision = entry.identity, entry.revision

    def begun(self, spec: AgentSpec, revision: str) -> None:
        """Note that it is being started, and forget its past."""
        self.spec, self.revision, self.exits, self.message = spec, revision, 0, ""
        self.held = self.dead = self.earlier = None
        self.crashed_at = ()
        self.settles_at = boot_seconds() + RUNNING_AFTER_SECONDS

    def failed(self, problem: str, program: Program) -> None:
        """Note that it could not be started, or, with no problem to tell, that it ended at once."""
        self._lose()
        self.state, self.held = program.state, None
        if program.state in _OVER:
            self.state = self.held = AgentState.FATAL if problem else AgentState.EXITED
        self.message, self.exits = program.message or problem or "it ended at once", max(1, self.exits)

    def stopped(self, *, gone: bool) -> None:
        """Note that it does not run because it shall not, or that something of it could not be ended."""
        self._lose()
        self.state = self.held = AgentState.STOPPED
        self.dead = self.earlier = None
        self.revision = ""
        self.message = "" if gone else "stopped, but something of it could not be ended"
        self.strays = tuple(process for process in self.strays if alive(process))

    def missing(self, sentence: str) -> None:
        """Note that its manager knows no such program."""
        self._lose()
        self.state, self.message, self.held = AgentState.FATAL, sentence, None

    def unanswered(self, why: str) -> None:
        """Note that nobody says how it is; a process that is known to run goes on being watched."""
        self.state = AgentState.UNKNOWN
        self.message = f"{why}; its process {self.pid} still runs" if self.child else why

    def ended(self, title: str) -> None:
        """Note that its process has ended, before its manager says so."""
        self.dead = self.identity
        if self.state is AgentState.UNKNOWN:
            self.message = f"ended, and {title} does not answer"
        else:
            if self.state in ALIVE:
                self._exited()
            self.state, self.message = AgentState.BACKOFF, f"ended, {title} has not said how yet"
        self._let_go()

    def merge(self, program: Program) -> None:
        """Take over what its manager says."""
        self.strays = tuple(process for process in self.strays if alive(process))
        if program.alive:
            self._runs(program)
        else:
            self._does_not_run(program)

    def add_strays(self, processes: Iterable[ProcessIdentity]) -> None:
        """Note processes that were this agent and are not its manager's any more."""
        known = {*self.strays, self.identity}
        self.strays = (*self.strays, *(p for p in processes if p not in known and alive(p)))

    def release(self) -> None:
        """Let go of the descriptor; the process stays as it is."""
        if self.child:
            self.child.release()
            self.child = None

    def _runs(self, program: Program) -> None:
        found = identify(program.pid) if program.pid else None
        if self.dead and program.pid == self.dead.pid and found in (None, self.dead):
            return  # the manager has not noticed yet
        restarted = self.exits > 0 and self.state in (AgentState.BACKOFF, AgentState.EXITED, AgentState.FATAL)
        self.dead = self.held = None
        self.pid = program.pid
        if found != self.identity and (found or (self.identity and self.identity.pid != program.pid)):
            restarted = self._becomes(found) or restarted
        if restarted:
            self.settles_at = boot_seconds() + RUNNING_AFTER_SECONDS
        self.started_at = program.started_at or (began_at(found) if found else self.started_at)
        young = program.state is AgentState.RUNNING and boot_seconds() < self.settles_at
        self.state = AgentState.STARTING if young else program.state
        self.message = program.message

    def _becomes(self, found: ProcessIdentity | None) -> bool:
        """Take over another process; say whether it follows one that was watched."""
        known, before = self.identity, self.identity or self.earlier
        self._let_go()
        self.earlier, self.identity = None, found
        self.child = take_over(found) if found else None
        if known:
            if self.state in ALIVE and not alive(known):
                self._exited()
        elif before and before != found:
            self.revision = ""  # it was restarted while nobody watched
        if before and before != found:
            self.add_strays([before])
        return known is not None

    def _does_not_run(self, program: Program) -> None:
        was, before = self.state, self.identity or self.earlier
        self._lose()
        self.dead = None
        if self.held and program.state in _OVER:
            self.state = self.held
        else:
            self.held = None
            if was in ALIVE and program.state is not AgentState.STOPPED:
                self._exited()
            self.state, self.message = program.state, program.message or self.message
            if program.state is AgentState.FATAL:
                self.exits = max(1, self.exits)
        if before:
            self.add_strays([before])

    def _exited(self) -> None:
        self.exits += 1
        self.crashed_at = crashes(self.crashed_at, boot_seconds(), None)

    def _lose(self) -> None:
        self._let_go()
        self.pid = self.started_at = None
        self.earlier = None

    def _let_go(self) -> None:
        self.release()
        self.identity = None
