"""The embedded runtime: agents are processes in sessions of their own, which outlive the guard.

The guard may be killed at any instruction. A process carries a mark in its environment from the moment its program
runs, and stands in the registry a moment later; :meth:`ProcessRuntime.adopt` finds it by either.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path

from stateguard import faults
from stateguard.agents.attach import Candidate, candidates, require_attachable
from stateguard.agents.board import Board
from stateguard.agents.child import (
    REVISION,
    Child,
    HostError,
    ProgramError,
    Secret,
    began_at,
    describe,
    no_secret,
    spawn,
    take_over,
)
from stateguard.agents.ending import end, end_all, remains, tell
from stateguard.agents.found import MARK_DIGITS, Found, end_orphans, look, sort_out, strays
from stateguard.agents.known import Known
from stateguard.agents.logfile import last_lines
from stateguard.agents.registry import Entry, Registry, spec_digest
from stateguard.agents.restart import (
    FATAL_EXITS,
    FATAL_WITHIN_SECONDS,
    HOST_RETRY_SECONDS,
    RUNNING_AFTER_SECONDS,
    after_exit,
    crashes,
)
from stateguard.agents.watch import Watch
from stateguard.errors import AgentsError, NotFoundError, RefusedError
from stateguard.host.clock import boot_id, boot_seconds, wall_seconds
from stateguard.host.home import Home
from stateguard.host.logs import warn
from stateguard.host.process import alive, ancestors, variables_of
from stateguard.host.reach import ORDINARY, Reach
from stateguard.host.sandbox import UNCONFINED, Sandbox
from stateguard.model.agent import AgentSpec, StopPolicy
from stateguard.model.health import ALIVE, AgentState, AgentStatus


class ProcessRuntime:
    """Runs agents as processes; see :class:`stateguard.agents.runtime.GuardRuntime`."""

    def __init__(
        self,
        live: Path,
        home: Home,
        identity: str,
        changed: Callable[[str], None],
        sandbox: Sandbox = UNCONFINED,
        reach: Reach = ORDINARY,
        secret: Secret | None = None,
    ) -> None:
        """Supervise nothing yet.

        Args:
            live: the agents' working directory.
            home: its ``run`` and ``logs`` directories are used.
            identity: the home's unique id, without a colon.
            changed: called with an agent's name, outside of all locks, whenever its state has changed; usually in the
                supervising thread, so it must not wait for long.
            sandbox: starts the processes.
            reach: says which addresses may be asked to drain.
            secret: returns what takes the place of the name of a secret; None: there are none.
        """
        self._live, self._home, self._identity, self._sandbox, self._reach = live, home, identity, sandbox, reach
        self._registry, self._secret = Registry(home.run / "agents.json"), secret or no_secret
        self._lock = threading.Lock()
        self._agents: dict[str, Known] = {}
        self._board = Board(self._lock, changed)
        self._closed = False
        self._watch = Watch(self._watched, self._act)

    def statuses(self) -> dict[str, AgentStatus]:
        """Return what is known of every agent, by name."""
        return self._board.statuses()

    def start(self, spec: AgentSpec, revision: str) -> None:
        """Start an agent and supervise it; does nothing if it runs.

        Raises:
            AgentsError: its log cannot be opened, the live directory is missing, or this runtime is closed.
        """
        agent = self._agent(spec.name)
        try:
            with agent.turn, self._lock:
                self._require_open()
                self._notice(agent)
                if agent.state in ALIVE:
                    return
                agent.begun(spec, revision)
                self._launch(agent, spec)
        finally:
            self._board.tell()

    def stop(self, name: str) -> bool:
        """End an agent by its stop policy; say whether nothing of it is left.

        Raises:
            AgentsError: this runtime is closed.
        """
        with self._lock:
            self._require_open()
            agent = self._agents.get(name)
        if agent is None:
            return True
        with agent.turn:
            with self._lock:
                self._require_open()
                self._notice(agent)
                agent.stopping, agent.due_at = True, None
                leader = agent.child.identity if agent.child else agent.left
                policy = agent.spec.stop if agent.spec else StopPolicy()
            faults.point("agents.stop")
            gone = leader is None or end(leader, policy, self._reach)
            left = [(stray, policy) for stray in strays(self._identity, name)]
            gone = end_all(left, self._reach) and gone
            with self._lock:
                self._notice(agent)
                agent.state, agent.left = AgentState.STOPPED, None if gone else leader
                agent.message = "" if gone else "stopped, but something of it survived KILL"
                if gone and not self._closed:
                    self._registry.remove([name])
                self._board.show(agent.status())
            faults.point("agents.stopped")
        self._board.tell()
        return gone

    def reload(self, name: str, signal: str) -> bool:
        """Send an agent's process a signal; False if it does not run or may not be signalled."""
        with self._lock:
            agent = self._agents.get(name)
            child = agent.child if agent and agent.state in ALIVE else None
        return child is not None and tell(child.identity, signal)

    def adopt(self, specs: Mapping[str, AgentSpec]) -> None:
        """Take over agents that run from before, and end those that these specs do not describe.

        Raises:
            AgentsError: this runtime is closed.
        """
        with self._lock:
            self._require_open()
            mine = {agent.child.identity: name for name, agent in self._agents.items() if agent.child}
            entries = self._registry.entries()
        found, lost = look(self._identity, entries)
        digests = {name: spec_digest(spec) for name, spec in specs.items() if name not in mine.values()}
        keep, leave = sort_out([one for one in found if one.identity not in mine], digests, lost)
        if leave:
            warn("agents that nobody describes are ended", processes={f.identity.pid: f.name for f in leave})
        policies = [(f.identity, specs[f.name].stop if f.name in specs else StopPolicy()) for f in leave]
        if not end_all(policies, self._reach):
            warn("not all of them ended")
        end_orphans(self._identity)
        with self._lock:
            self._registry.remove(entries.keys() - keep.keys() - set(mine.values()))
            self._require_open()
            entries_now = [
                self._adopted(spec, keep.get(name)) for name, spec in specs.items() if name not in mine.values()
            ]
            self._registry.put(*[entry for entry in entries_now if entry])
        self._watch.wake()
        self._board.tell()

    def candidates(self, specs: Mapping[str, AgentSpec]) -> dict[str, list[Candidate]]:
        """Return, for each agent that does not run, the processes that seem to be it."""
        with self._lock:
            known = {agent.child.pid for agent in self._agents.values() if agent.child}
            idle = {n: spec for n, spec in specs.items() if n not in self._agents or not self._agents[n].child}
        found = candidates(idle, self._live)
        return {name: [one for one in some if one.identity.pid not in known] for name, some in found.items()}

    def attach(self, spec: AgentSpec, pid: int, revision: str) -> None:
        """Supervise a process that runs already as this agent.

        Raises:
            NotFoundError: there is no such process.
            RefusedError: it cannot be this agent, or the agent runs.
            AgentsError: this runtime is closed.
        """
        agent = self._agent(spec.name)
        with agent.turn, self._lock:
            self._require_open()
            self._notice(agent)
            if agent.child:
                message = f"{spec.name} runs as process {agent.child.pid}"
                raise RefusedError(message, next_step=f"stop it first: stateguard agent stop {spec.name}")
            others = {a.child.pid: a.name for a in self._agents.values() if a.child}
            identity = require_attachable(pid, self._live)
            holder = next((others[p] for p in (pid, *ancestors(pid)) if p in others), None)
            if holder:
                raise RefusedError(f"process {pid} belongs to {holder}", next_step="see: stateguard agent list")
            child = take_over(identity)
            if child is None:
                raise NotFoundError(f"process {pid} has just ended", next_step="see: ps -ef")
            agent.begun(spec, revision)
            agent.runs_as(child, revision, began_at(identity), attached=True)
            self._registry.put(self._entry(agent, child, spec_digest(spec)))
            self._board.show(agent.status())
        self._watch.wake()
        self._board.tell()

    def look(self, specs: Mapping[str, AgentSpec]) -> None:
        """See which recorded agents run, without supervising or ending any."""
        del specs
        with self._lock:
            for name, entry in self._registry.entries().items():
                if entry.boot_id == boot_id() and alive(entry.identity):
                    pid, running = entry.pid, entry.revision
                    status = AgentStatus(name, AgentState.RUNNING, pid, running, entry.started_at)
                    self._board.show(status)

    def tail(self, name: str, lines: int) -> list[str]:
        """Return the last lines of an agent's log.

        Raises:
            AgentsError: the log cannot be read.
        """
        found = last_lines(self._log(name), lines)
        with self._lock:
            agent = self._agents.get(name)
            attached = agent is not None and agent.child is not None and agent.attached
        if attached and not found:
            message = f"{name} was attached as it ran: what it writes goes where it always went"
            raise AgentsError(message, next_step=f"stateguard keeps it from the next start on: agent restart {name}")
        return found

    def label(self, names: Iterable[str], revision: str) -> None:
        """Report a revision as the one these agents run."""
        with self._lock:
            entries = []
            for agent in [self._agents[name] for name in names if name in self._agents]:
                agent.revision = revision
                self._board.show(agent.status())
                if agent.child and (entry := self._registry.get(agent.name)):
                    entries.append(replace(entry, revision=revision))
            self._registry.put(*entries)

    def close(self) -> None:
        """Stop supervising; the agents stay running."""
        with self._lock:
            self._closed = True
        self._watch.close()
        with self._lock:
            for agent in self._agents.values():
                if agent.child:
                    agent.child.release()
                    agent.child = None

    def _log(self, name: str) -> Path:
        return self._home.logs / "agents" / f"{name}.log"

    def _require_open(self) -> None:
        if self._closed:
            raise AgentsError("the agents are not supervised any more: this runtime is closed")

    def _agent(self, name: str) -> Known:
        with self._lock:
            return self._agents.setdefault(name, Known(name))

    # What follows is called with the lock held, but for _watched and _act.

    def _launch(self, agent: Known, spec: AgentSpec) -> None:
        agent.due_at = None
        if agent.left and remains(agent.left):
            self._failed(agent, spec, None, "what was left of it has not ended yet")
            return
        self._notice(agent)
        agent.left, agent.stopping = None, False
        digest = spec_digest(spec)
        try:
            mark = f"{self._identity}:{spec.name}:{digest[:MARK_DIGITS]}"
            log, sandbox = self._log(spec.name), self._sandbox
            child = spawn(spec, self._live, log, mark, agent.revision, sandbox, self._secret)
        except ProgramError as error:
            self._failed(agent, spec, None, str(error))
            return
        except HostError as error:
            self._delayed(agent, f"could not be started yet: {error}; it is tried again")
            return
        faults.point("agents.spawned")
        agent.runs_as(child, agent.revision, wall_seconds(), attached=False)
        agent.state = AgentState.STARTING
        agent.due_at = boot_seconds() + RUNNING_AFTER_SECONDS
        self._registry.put(self._entry(agent, child, digest))
        faults.point("agents.registered")
        self._board.show(agent.status())
        self._watch.wake()

    def _adopted(self, spec: AgentSpec, found: Found | None) -> Entry | None:
        agent = self._agents.setdefault(spec.name, Known(spec.name))
        agent.spec = spec
        child = take_over(found.identity) if found else None
        entry = found.entry if found else None
        if child and entry:
            agent.runs_as(child, entry.revision, entry.started_at, attached=entry.attached)
        elif child:
            revision = variables_of(child.pid, {REVISION}).get(REVISION, "")
            agent.runs_as(child, revision, began_at(child.identity), attached=False)
        self._board.show(agent.status())
        return self._entry(agent, child, spec_digest(spec)) if child else None

    def _entry(self, agent: Known, child: Child, digest: str) -> Entry:
        return Entry(
            name=agent.name,
            pid=child.pid,
            began_ticks=child.identity.began_ticks,
            boot_id=boot_id(),
            revision=agent.revision,
            started_at=agent.started_at or 0.0,
            digest=digest,
            attached=agent.attached,
        )

    def _notice(self, agent: Known) -> None:
        """Take note of an exit that has happened; an exit is noticed once, by whoever sees it first."""
        if agent.child is None or not agent.child.ended():
            return
        status = agent.child.reap(with_group=not agent.stopping)
        agent.child = None
        if agent.stopping or agent.spec is None:
            return
        self._registry.remove([agent.name])
        self._failed(agent, agent.spec, status, describe(status))

    def _failed(self, agent: Known, spec: AgentSpec, status: int | None, message: str) -> None:
        now = boot_seconds()
        verdict = after_exit(spec.restart, agent.exits_at, now, status)
        agent.state, agent.exits_at = verdict.state, verdict.exits
        agent.crashed_at = crashes(agent.crashed_at, now, status)
        agent.exits += 1
        agent.due_at = None if verdict.delay_seconds is None else now + verdict.delay_seconds
        agent.message = message
        if verdict.state is AgentState.FATAL:
            agent.message += f"; given up after {FATAL_EXITS} exits within {FATAL_WITHIN_SECONDS:.0f} s"
        self._board.show(agent.status())
        self._watch.wake()

    def _delayed(self, agent: Known, message: str) -> None:
        """Start an agent a little later, whatever its restart policy: it has not ended, it has not begun."""
        agent.state, agent.message, agent.due_at = AgentState.BACKOFF, message, boot_seconds() + HOST_RETRY_SECONDS
        self._board.show(agent.status())
        self._watch.wake()

    def _due(self, agent: Known) -> None:
        agent.due_at = None
        if agent.state is AgentState.STARTING:
            agent.state = AgentState.RUNNING
            self._board.show(agent.status())
        elif agent.state is AgentState.BACKOFF and agent.spec:
            try:
                self._launch(agent, agent.spec)
            except AgentsError as error:
                self._failed(agent, agent.spec, None, error.message)

    def _watched(self) -> tuple[list[int], float | None]:
        with self._lock:
            agents = self._agents.values()
            due = min((agent.due_at for agent in agents if agent.due_at is not None), default=None)
            return [agent.child.pidfd for agent in agents if agent.child], due

    def _act(self, ready: frozenset[int]) -> None:
        with self._lock:
            if self._closed:
                return
            now = boot_seconds()
            for agent in self._agents.values():
                if agent.child and agent.child.pidfd in ready:
                    self._notice(agent)
                if agent.due_at is not None and agent.due_at <= now:
                    self._due(agent)
        self._board.tell()
