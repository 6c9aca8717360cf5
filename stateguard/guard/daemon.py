"""The daemon: takes the lock, recovers, starts what is missing, then cycles until it is told to stop."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from typing import Any

from stateguard.errors import StateguardError
from stateguard.guard.api import Server, application
from stateguard.guard.applies import Applies
from stateguard.guard.commands.desk import Desk
from stateguard.guard.compose import Guard, compose
from stateguard.guard.cycle import Cycle
from stateguard.guard.eject import refuse_ejected
from stateguard.guard.libraries import refuse_holes
from stateguard.guard.maintenance import Maintenance
from stateguard.guard.metrics.instruments import Instruments
from stateguard.guard.metrics.source import Pulse
from stateguard.guard.recover import come_home, recover
from stateguard.guard.scrub import Scrub
from stateguard.guard.tending import InputTender, LogTender, ReserveTender
from stateguard.guard.upgrade import upgrade
from stateguard.guard.watchdog import Watchdog, notify
from stateguard.guard.worker import Worker
from stateguard.host.clock import boot_seconds
from stateguard.host.home import Home
from stateguard.host.lock import WriterLock
from stateguard.host.logs import failure, log, to_stderr
from stateguard.host.memory import give_back
from stateguard.host.process import ancestors, gains_no_privileges, session_of
from stateguard.host.sandbox import Confined
from stateguard.live.lock import claim
from stateguard.live.watch import Watcher
from stateguard.mirror.keeper import Keeper
from stateguard.model.transition import Step
from stateguard.transition.journal import Operation

_TIDY_EVERY_SECONDS = 10.0
_PATIENCE_SECONDS = 60.0
_AFTER_FAULT_SECONDS = 1.0
_HANGING_SECONDS = 120.0
"""So long beyond what it was expected to take, whatever the guard's thread does hangs."""


def run(home: Home) -> None:
    """Guard a home until SIGTERM or SIGINT; the agents stay running.

    Raises:
        LockHeldError: another guard is at work there, or owns the live directory.
        StateguardError: the home is damaged.
    """
    to_stderr()
    with WriterLock(home.writer_lock, "daemon").acquire(_PATIENCE_SECONDS):
        refuse_ejected(home)
        refuse_holes()
        upgrade(home, log)
        steps = Steps()
        guard = compose(home, steps)
        try:
            claim(guard.live, guard.identity, home.root)
            daemon = Daemon(guard)
            steps.listener = daemon.step
            daemon.serve()
        finally:
            guard.close()


class Steps:
    """Passes the steps of transitions on to a listener that exists only later."""

    listener: Callable[[Operation, Step], None] | None = None

    def __call__(self, operation: Operation, step: Step) -> None:
        """Pass one step on."""
        if self.listener is not None:
            self.listener(operation, step)


class Daemon:
    """One guard at work."""

    def __init__(self, guard: Guard) -> None:
        """Work with this guard."""
        self._guard = guard
        self._stop = threading.Event()
        self._tidied_at = 0.0
        self._watchdog = Watchdog()
        self._tender = LogTender(guard.home.logs, lambda: guard.settings)
        self._reserver = ReserveTender(guard.home.reserve, lambda: guard.settings)
        self._taker = InputTender(guard.home.repository, lambda: guard.settings)
        self._applies = Applies(guard)
        self._watcher = Watcher(guard.live, guard.scanner().rules, self._touched)
        self.worker = Worker(guard.wake, self._busy_with)
        pulse = Pulse(lambda: self.worker.waiting, lambda: self.worker.busy, lambda: self._cycle.drifted)
        self._instruments = Instruments(guard, pulse)
        self._keeper = Keeper(guard.mirrors)
        self._scrub = Scrub(guard)
        self._maintenance = Maintenance(guard, self._occupied)
        self._cycle = Cycle(guard, self._applies, self._watcher, self._scrub, lambda: self.worker.waiting > 0)
        self._server = Server(guard.home.socket, application(self._desk, self.worker), self._is_agent)

    def serve(self) -> None:
        """Serve until told to stop."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: self._told_to_stop())
        self._server.start()
        self._watchdog.beat(self._patience())
        self._watchdog.start()
        try:
            self._begin()
            notify("READY=1")
            log("guarding", home=str(self._guard.home.root), live=str(self._guard.live), pid=os.getpid())
            self._loop()
        finally:
            notify("STOPPING=1")
            self._keeper.stop()
            self._watchdog.stop()
            self._server.stop()
            self._watcher.stop()
            self._scrub.stop()
            self._maintenance.stop()
            log("stopped; the agents stay running")

    def _touched(self, paths: frozenset[str]) -> None:
        self._guard.tracked.touched(paths)
        self._guard.wake.set()

    def _begin(self) -> None:
        self._reserver.tend()
        self._guard.supervise()
        recovered = recover(self._guard, self._applies)
        self._guard.store.mark("stopped", None)
        started = self._guard.start_missing()
        self._watcher.start()
        self._guard.tracked.believe(self._watcher)
        self._scrub.start()
        self._maintenance.start()
        if recovered or started:
            log("caught up", recovered=recovered, started=started)

    def _loop(self) -> None:
        next_turn = boot_seconds()
        while not self._stop.is_set():
            pause = max(0.0, next_turn - boot_seconds())
            self._watchdog.beat(pause + _HANGING_SECONDS)
            woken = self._guard.wake.wait(pause)
            self._guard.wake.clear()
            self._watchdog.beat(self._patience())
            worked = self.worker.run_waiting()
            self._maintenance.between()
            if self._stop.is_set():
                return
            if woken or worked or boot_seconds() >= next_turn:
                next_turn = boot_seconds() + self._turn()
                self._tidy()

    def _tidy(self) -> None:
        """Give memory back now and then, when nobody waits."""
        if boot_seconds() > self._tidied_at + _TIDY_EVERY_SECONDS and not self.worker.waiting:
            give_back()
            self._tidied_at = boot_seconds()

    def _turn(self) -> float:
        """One cycle; a fault in it never silences the monitor."""
        began = boot_seconds()
        try:
            self._tender.tend()
            self._reserver.tend()
            self._taker.tend()
            come_home(self._guard)
            self._cycle.turn()
            self._instruments.cycled(boot_seconds() - began)
            self._keeper.nudge(self._guard.settings.mirrors)
            return self._cycle.next_due_seconds()
        except (StateguardError, OSError):
            failure("monitor degraded: a cycle failed")
        except Exception:  # noqa: BLE001 - as above: whatever it was, the next cycle looks again
            failure("monitor degraded: a cycle failed unexpectedly")
        return _AFTER_FAULT_SECONDS

    def step(self, operation: Operation, step: Step) -> None:
        """Take note that a step of a transition begins."""
        plan = operation.plan
        self._watchdog.beat(max(map(self._patience, {plan.source, plan.target} if plan else {""})))
        self._maintenance.step_aside()
        self.worker.progress(operation, step)

    def _patience(self, revision: str = "") -> float:
        """Return how many seconds one step, or one job without steps, may take before it must be said to hang."""
        try:
            system = self._guard.books.declared.system(revision or self._guard.applied)
        except StateguardError:
            return _HANGING_SECONDS  # whatever is wrong with it, the step or the cycle meets it and tells
        endings = sum(agent.stop.grace_period_seconds for agent in system.agents.values())
        return _HANGING_SECONDS + system.policy.confirm_window_seconds + endings

    def _told_to_stop(self) -> None:
        self._stop.set()
        self._guard.wake.set()

    def _occupied(self) -> bool:
        """Say whether a command or a transition runs, or waits."""
        return self.worker.busy or self.worker.waiting > 0 or self._busy_with() is not None

    def _busy_with(self) -> int | None:
        current = self._guard.operations.engine.current
        return current[0].id if current else None

    def _is_agent(self, pid: int) -> bool:
        """Say whether a process belongs to an agent: those are guarded, they do not command the guard.

        One that has left its agent's session, and every ancestor, is known by what being confined leaves on it.
        """
        marked = isinstance(self._guard.sandbox, Confined) and not gains_no_privileges(os.getpid())
        if marked and gains_no_privileges(pid):
            return True
        mine = {s.pid for s in self._guard.runtime.statuses().values() if s.pid is not None}
        return session_of(pid) in mine or not mine.isdisjoint((pid, *ancestors(pid)))

    def _desk(self) -> Desk:
        return Desk(self._guard, self._applies, os.getpid(), self._conditions, self._instruments.exposition)

    def _conditions(self) -> list[dict[str, Any]]:
        return [c.as_json() for c in self._cycle.conditions]
