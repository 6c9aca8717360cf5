"""A runtime over a service manager: agents are programs that somebody else starts, watches and restarts.

The manager is asked again and again, quickly while something is under way. In between a descriptor of each process
tells at once when it ends. What the manager says loses against what the kernel says: a process that is known to have
ended is not running, however long the manager takes to notice.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace

from stateguard.agents.attach import Candidate
from stateguard.agents.board import Board
from stateguard.agents.ending import drain, end_all, tell
from stateguard.agents.manager import Program, ServiceManager
from stateguard.agents.registry import Entry, Registry
from stateguard.agents.unit import Unit
from stateguard.agents.watch import Watch
from stateguard.errors import AgentsError
from stateguard.host.clock import boot_id, boot_seconds
from stateguard.host.home import Home
from stateguard.host.logs import log, warn
from stateguard.host.reach import ORDINARY, Reach
from stateguard.model.agent import AgentSpec, StopPolicy
from stateguard.model.health import ALIVE, AgentState, AgentStatus

_AFTER_GRACE_SECONDS = 2.0
_TO_APPEAR_SECONDS = 2.0
_DOWN = (AgentState.STOPPED, AgentState.EXITED)


class ManagedRuntime:
    """Runs agents through a service manager; see :class:`stateguard.agents.runtime.GuardRuntime`."""

    def __init__(
        self, manager: ServiceManager, home: Home, changed: Callable[[str], None], reach: Reach = ORDINARY
    ) -> None:
        """Supervise nothing yet, and ask nothing yet.

        Args:
            manager: who runs the programs.
            home: its ``run`` directory keeps which process ran which revision.
            changed: called with an agent's name, outside of all locks, whenever its state has changed.
            reach: says which addresses may be asked to drain.
        """
        self._manager, self._reach = manager, reach
        self._registry = Registry(home.run / "managed.json")
        self._lock = threading.Lock()
        self._units: dict[str, Unit] = {}
        self._board = Board(self._lock, changed)
        self._due_at: float | None = None
        self._lost = ""
        self._closed = False
        self._watch = Watch(self._watched, self._act)

    def statuses(self) -> dict[str, AgentStatus]:
        """Return what is known of every agent, by name."""
        return self._board.statuses()

    def start(self, spec: AgentSpec, revision: str) -> None:
        """Start an agent's program; does nothing if it runs.

        Raises:
            AgentsError: the manager does not answer or does not know the program, or this runtime is closed.
        """
        unit = self._unit(spec.name)
        with unit.turn, self._alone(unit):
            self._require_open()
            program = self._known(spec.name)
            if program.ending or program.state is AgentState.BACKOFF:
                program = self._gone(spec.name, self._manager.end(spec.name) + _AFTER_GRACE_SECONDS)
            problem = ""
            if not program.alive:
                with self._lock:
                    unit.begun(spec, revision)
                problem, program = self._begin(spec.name)
            with self._lock:
                unit.spec = spec
                if not program.alive:
                    unit.failed(problem, program)
                else:
                    unit.merge(program)
                self._note(unit)

    def stop(self, name: str) -> bool:
        """End an agent's program, and whatever is left of it; say whether nothing is.

        Raises:
            AgentsError: the manager does not answer, or this runtime is closed.
        """
        with self._lock:
            self._require_open()
            unit = self._units.get(name)
        if unit is None:
            return True
        with unit.turn, self._alone(unit):
            self._require_open()
            policy = unit.spec.stop if unit.spec else StopPolicy()
            program = self._manager.look([name]).get(name)
            leaders = [*unit.strays, *([unit.identity] if unit.identity else [])]
            if program and program.alive and policy.drain_url:
                drain(policy, self._reach)
            if program and (program.alive or program.state is AgentState.BACKOFF):
                granted = max(self._manager.end(name), policy.grace_period_seconds)
                program = self._gone(name, granted + _AFTER_GRACE_SECONDS)
            rest = replace(policy, drain_url=None)
            gone = end_all((leader, rest) for leader in leaders) and not (program and program.alive)
            with self._lock:
                unit.stopped(gone=gone)
                self._registry.remove([name])
                self._board.show(unit.status())
        return gone

    def reload(self, name: str, signal: str) -> bool:
        """Have the manager send a program's main process a signal, else do so; False if it cannot be told."""
        with self._lock:
            unit = self._units.get(name)
            process = unit.identity if unit and unit.status().pid else None
        try:
            if unit and unit.state in ALIVE and self._manager.signal(name, signal):
                return True
        except AgentsError as error:
            warn("a program could not be told to reload", agent=name, error=error.message)
        return process is not None and tell(process, signal)

    def adopt(self, specs: Mapping[str, AgentSpec]) -> None:
        """Attach to the programs that run; none is started or stopped.

        Raises:
            AgentsError: this runtime is closed.
        """
        self._require_open()
        self._attach(specs, first=True)
        with self._lock:
            self._registry.put(*[entry for unit in self._units.values() if (entry := self._entry(unit))])
            self._due_at = boot_seconds() + self._manager.calm_seconds
        self._watch.wake()
        self._board.tell()

    def candidates(self, specs: Mapping[str, AgentSpec]) -> dict[str, list[Candidate]]:
        """Return nothing: a manager knows its programs."""
        return {name: [] for name in specs}

    def attach(self, spec: AgentSpec, pid: int, revision: str) -> None:
        """Refuse: what the manager runs is attached to by itself.

        Raises:
            AgentsError: always.
        """
        del pid, revision
        message = f"{self._manager.title} runs {spec.name}; its process is found through that"
        raise AgentsError(message, next_step="see: stateguard agent list")

    def look(self, specs: Mapping[str, AgentSpec]) -> None:
        """See how the programs are, and keep nothing."""
        self._attach(specs, first=False)

    def label(self, names: Iterable[str], revision: str) -> None:
        """Report a revision as the one these agents run."""
        with self._lock:
            mine = [self._units[name] for name in names if name in self._units]
            for unit in mine:
                unit.revision = revision
                self._board.show(unit.status())
            self._registry.put(*[entry for unit in mine if (entry := self._entry(unit))])

    def tail(self, name: str, lines: int) -> list[str]:
        """Return the last lines that a program wrote, as its manager keeps them.

        Raises:
            AgentsError: they cannot be read.
        """
        return self._manager.tail(name, lines)

    def close(self) -> None:
        """Stop watching; the programs stay as they are."""
        with self._lock:
            self._closed = True
        self._watch.close()
        with self._lock:
            for unit in self._units.values():
                unit.release()

    # starting and stopping; the unit is this thread's alone, the lock is not held

    def _begin(self, name: str) -> tuple[str, Program]:
        """Have a program started; returns what was wrong with it, or nothing, and how it is then."""
        problem = self._manager.begin(name)
        give_up_at = time.monotonic() + _TO_APPEAR_SECONDS
        program = self._known(name)
        while not problem and program.state in _DOWN and time.monotonic() < give_up_at:
            time.sleep(self._manager.quick_seconds)
            program = self._known(name)
        return problem, program

    def _gone(self, name: str, patience_seconds: float) -> Program:
        """Wait until a program does not run any more, at most so long; returns how it is then."""
        give_up_at = time.monotonic() + patience_seconds
        while True:
            program = self._known(name)
            if not (program.alive or program.state is AgentState.BACKOFF) or time.monotonic() >= give_up_at:
                return program
            time.sleep(self._manager.quick_seconds)

    def _known(self, name: str) -> Program:
        found = self._manager.look([name]).get(name)
        if found is None:
            hint = f"add the program to {self._manager.title}, or say in guard.yaml how it is called there"
            raise AgentsError(self._manager.unknown(name), next_step=hint)
        return found

    def _alone(self, unit: Unit) -> _Alone:
        return _Alone(self._lock, unit, self._after)

    def _after(self) -> None:
        self._soon()
        self._board.tell()

    # looking

    def _attach(self, specs: Mapping[str, AgentSpec], *, first: bool) -> None:
        entries = self._registry.entries()
        with self._lock:
            for name in self._units.keys() - specs.keys():
                self._units.pop(name).release()
                self._board.forget(name)
            for name, spec in specs.items():
                unit = self._units.setdefault(name, Unit(name))
                unit.spec = spec
                entry = entries.get(name)
                if entry and unit.identity is None and entry.boot_id == boot_id():
                    unit.remember(entry)
        self._look(first=first, keep=False)
        self._count_survivors()

    def _look(self, *, first: bool = False, keep: bool = True) -> None:
        """Ask the manager once about everything, and take over what it says.

        The first time what does not run is taken as stopped, whatever it did before: a guard that comes starts it.
        """
        with self._lock:
            asked = {name: unit.turns for name, unit in self._units.items() if not unit.taken}
        try:
            found = self._manager.look(sorted(asked))
        except AgentsError as error:
            self._unanswered(error.message, asked)
            return
        regained, self._lost = bool(self._lost), ""
        with self._lock:
            for name, turns in asked.items():
                unit = self._units.get(name)
                if unit is None or unit.taken or unit.turns != turns:
                    continue
                self._take(unit, found.get(name), first=first, keep=keep)
        if regained:
            log("the service manager answers again", manager=self._manager.title)
            self._count_survivors()

    def _take(self, unit: Unit, program: Program | None, *, first: bool, keep: bool) -> None:
        before = unit.identity
        if program is None:
            unit.missing(self._manager.unknown(unit.name))
        else:
            unit.merge(program)
            if first and not program.alive and program.state is not AgentState.BACKOFF and before is None:
                unit.stopped(gone=True)
        if keep and unit.identity != before:
            self._note(unit)
        else:
            self._board.show(unit.status())

    def _unanswered(self, why: str, asked: Iterable[str]) -> None:
        if not self._lost:
            warn("the service manager does not answer", manager=self._manager.title, error=why)
        self._lost = why
        with self._lock:
            for unit in [self._units[name] for name in asked if name in self._units]:
                unit.unanswered(why)
                self._board.show(unit.status())

    def _count_survivors(self) -> None:
        if self._lost:
            return
        with self._lock:
            known = {name: unit.pid for name, unit in self._units.items()}
        try:
            found = self._manager.survivors(known)
        except AgentsError as error:
            warn("nobody says which processes are left over", manager=self._manager.title, error=error.message)
            return
        with self._lock:
            for name, processes in found.items():
                unit = self._units.get(name)
                if unit:
                    unit.add_strays(processes)
                    self._board.show(unit.status())

    # the watching thread

    def _watched(self) -> tuple[list[int], float | None]:
        with self._lock:
            free = [unit for unit in self._units.values() if not unit.taken]
            return [unit.child.pidfd for unit in free if unit.child], self._due_at

    def _act(self, ready: frozenset[int]) -> None:
        with self._lock:
            if self._closed:
                return
            for unit in self._units.values():
                if unit.child and unit.child.pidfd in ready and not unit.taken:
                    unit.ended(self._manager.title)
                    self._board.show(unit.status())
            due = bool(ready) or (self._due_at is not None and self._due_at <= boot_seconds())
        self._board.tell()
        if not due:
            return
        try:
            self._look()
        finally:
            self._soon()
            self._board.tell()

    def _soon(self) -> None:
        """Set when to look again: quickly while something is under way."""
        with self._lock:
            if self._closed:
                return
            hasty = not self._lost and any(unit.under_way for unit in self._units.values())
            self._due_at = boot_seconds() + (self._manager.quick_seconds if hasty else self._manager.calm_seconds)
        self._watch.wake()

    # what follows is called with the lock held

    def _require_open(self) -> None:
        if self._closed:
            raise AgentsError("the agents are not supervised any more: this runtime is closed")

    def _unit(self, name: str) -> Unit:
        with self._lock:
            return self._units.setdefault(name, Unit(name))

    def _entry(self, unit: Unit) -> Entry | None:
        process = unit.identity
        if process is None or unit.pid is None:
            return None
        return Entry(unit.name, process.pid, process.began_ticks, boot_id(), unit.revision, unit.started_at or 0.0, "")

    def _note(self, unit: Unit) -> None:
        """Write down which process it is, and show how it is."""
        if entry := self._entry(unit):
            self._registry.put(entry)
        self._board.show(unit.status())


class _Alone:
    """While it is entered, what others hear of a unit is not taken over: it may be older than what is done to it."""

    def __init__(self, lock: threading.Lock, unit: Unit, after: Callable[[], None]) -> None:
        self._lock, self._unit, self._after = lock, unit, after

    def __enter__(self) -> None:
        with self._lock:
            self._unit.taken, self._unit.turns = True, self._unit.turns + 1

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._unit.taken, self._unit.turns = False, self._unit.turns + 1
        self._after()
