"""Asks the probes on their schedule and keeps what they say.

One thread decides what is due, a pool of workers asks. A probe is never asked twice at the same time; what an earlier
run brings after :meth:`Prober.begin` is dropped.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from stateguard.host import threads
from stateguard.host.clock import boot_seconds
from stateguard.host.logs import failure
from stateguard.host.reach import ORDINARY, Reach
from stateguard.host.sandbox import UNCONFINED, Sandbox
from stateguard.host.threads import NO_THREAD
from stateguard.model.agent import Probe, ProbeKind
from stateguard.model.health import Health, Observation
from stateguard.observe import window as windows
from stateguard.observe.ask import ask
from stateguard.observe.window import Window

_EAGER_SECONDS = 0.1
_WITHOUT_THREAD_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Reading:
    """What is known of a probe; ``passes`` and ``failures`` are consecutive, ``begun_at`` is of the boot clock.

    ``failing_seconds`` is for how long it has not passed, if it has failed. ``turns`` counts how often the latest
    results went from pass to failure or back. ``doubted`` says that some run since the beginning has not passed.
    """

    probe: Probe
    health: Health
    failures: int
    passes: int
    last: Observation | None
    begun_at: float
    failing_seconds: float = 0.0
    turns: int = 0
    doubted: bool = True


@dataclass(slots=True)
class _Entry:
    """One probe, under the prober's lock. A run belongs to an ``epoch``; ``due_at`` is when the next one begins."""

    probe: Probe
    window: Window
    due_at: float
    epoch: int = 0
    busy: bool = False

    def restart(self, now: float) -> None:
        self.epoch += 1
        self.window = windows.fresh(self.probe, now)
        self.due_at = now + self.probe.initial_delay_seconds


class Prober:
    """Asks probes until it is closed. Every method may be called from any thread."""

    def __init__(
        self,
        live: Path,
        changed: Callable[[str], None],
        workers: int = 8,
        sandbox: Sandbox = UNCONFINED,
        reach: Reach = ORDINARY,
        conceal: Callable[[str], str] = str,
    ) -> None:
        """Ask nothing yet.

        Args:
            live: directory that commands run in and files are looked for in.
            changed: called with a probe's id, outside of all locks and in a worker, when its verdict has changed.
            workers: how many probes may be asked at the same time.
            sandbox: starts the commands.
            reach: says which addresses may be asked.
            conceal: takes out of what a probe said what nobody may read.
        """
        self._live, self._changed, self._sandbox, self._reach = live, changed, sandbox, reach
        self._conceal = conceal
        self._entries: dict[str, _Entry] = {}
        self._paused: set[str] = set()
        self._ready = threading.Condition()
        self._closed = False
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix="probe")
        self._thread = threading.Thread(target=self._schedule, name="probes", daemon=True)
        threads.begin(self._thread)

    def configure(self, probes: Iterable[Probe]) -> None:
        """Set the probes; equal ones keep what is known of them, new and changed ones begin."""
        now = boot_seconds()
        with self._ready:
            before, self._entries = self._entries, {}
            for probe in probes:
                known = before.pop(probe.id, None)
                if known is None:
                    known = _Entry(probe, windows.fresh(probe, now), now + probe.initial_delay_seconds)
                elif known.probe != probe:
                    known.probe = probe
                    known.restart(now)
                self._entries[probe.id] = known
            for gone in before.values():
                gone.epoch += 1
            self._ready.notify()

    def begin(self, ids: Iterable[str]) -> None:
        """Forget what these probes said: only runs begun from now on count. Their agents are no longer paused."""
        now = boot_seconds()
        with self._ready:
            entries = [self._entries[name] for name in ids if name in self._entries]
            self._paused -= {entry.probe.agent for entry in entries if entry.probe.agent}
            for entry in entries:
                entry.restart(now)
            self._ready.notify()

    def pause(self, agents: Iterable[str]) -> None:
        """Ask nothing about these agents, and drop what runs in flight bring; their health is UNKNOWN meanwhile."""
        with self._ready:
            self._paused |= set(agents)
            for entry in self._entries.values():
                if entry.probe.agent in self._paused:
                    entry.epoch += 1

    def resume(self, agents: Iterable[str]) -> None:
        """Go on asking about these agents; what was known of them still holds."""
        with self._ready:
            self._paused -= set(agents)
            self._ready.notify()

    def readings(self) -> dict[str, Reading]:
        """Return what is known of every probe, by its id."""
        with self._ready:
            now = boot_seconds()
            return {name: self._reading(entry, now) for name, entry in self._entries.items()}

    def close(self) -> None:
        """Stop asking; waits for the runs in flight, at most for their timeouts."""
        with self._ready:
            self._closed = True
            self._ready.notify()
        self._thread.join()
        self._pool.shutdown(cancel_futures=True)

    def _reading(self, entry: _Entry, now: float) -> Reading:
        known, probe = entry.window, entry.probe
        held = probe.agent in self._paused or self._gated(entry)
        health = Health.UNKNOWN if held else windows.health(known, probe, now)
        return Reading(
            probe,
            health,
            known.failures,
            known.passes,
            known.last,
            known.begun_at,
            failing_seconds=windows.failing_seconds(known, now),
            turns=0 if held else windows.turns(known, now),
            doubted=known.doubted,
        )

    def _gated(self, entry: _Entry) -> bool:
        """Say whether an agent's startup probe has yet to succeed before this probe is asked."""
        agent = entry.probe.agent
        return (
            agent is not None
            and entry.probe.kind is not ProbeKind.STARTUP
            and any(
                other.probe.agent == agent
                and other.probe.kind is ProbeKind.STARTUP
                and other.window.verdict is not Health.HEALTHY
                for other in self._entries.values()
            )
        )

    def _wanted(self, entry: _Entry) -> bool:
        done = entry.probe.kind is ProbeKind.STARTUP and entry.window.verdict is Health.HEALTHY
        return not (entry.busy or done or entry.probe.agent in self._paused or self._gated(entry))

    def _schedule(self) -> None:
        with self._ready:
            while not self._closed:
                now = boot_seconds()
                wanted = [entry for entry in self._entries.values() if self._wanted(entry)]
                for entry in wanted:
                    if entry.due_at <= now:
                        entry.busy = self._submitted(entry, now)
                waits = [entry.due_at - now for entry in wanted if not entry.busy]
                self._ready.wait(max(0.0, min(waits)) if waits else None)

    def _submitted(self, entry: _Entry, now: float) -> bool:
        """Hand a probe to the pool; one that no thread could be started for is tried again a little later."""
        try:
            self._pool.submit(self._run, entry, entry.probe, entry.epoch)
        except RuntimeError as error:
            if str(error) != NO_THREAD:
                raise
            failure("no thread could be started for a probe", probe=entry.probe.id)
            entry.due_at = now + _WITHOUT_THREAD_SECONDS
            return False
        return True

    def _run(self, entry: _Entry, probe: Probe, epoch: int) -> None:
        begun_at = boot_seconds()
        outcome = ask(probe, self._live, self._sandbox, self._reach)
        now = boot_seconds()
        observation = Observation(probe.id, outcome.result, self._conceal(outcome.message), begun_at, now - begun_at)
        with self._ready:
            entry.busy = False
            changed = entry.epoch == epoch and self._take(entry, observation, now)
            self._ready.notify()
        if changed:
            try:
                self._changed(probe.id)
            except Exception:  # noqa: BLE001 - a listener's fault is not the probe's; the pool would swallow it
                failure("a listener for probes' verdicts failed", probe=probe.id)

    def _take(self, entry: _Entry, observation: Observation, now: float) -> bool:
        """Feed an observation and set when the next one is due; say whether the verdict changed."""
        probe, before = entry.probe, entry.window
        entry.window = windows.fed(before, probe, observation, now)
        if entry.window.eager:
            entry.due_at = max(now, observation.begun_at + min(probe.period_seconds, _EAGER_SECONDS))
        elif before.eager:
            entry.due_at = now + probe.period_seconds * random.uniform(0.5, 1.0)  # noqa: S311 - spreads the load
        else:
            entry.due_at = max(now, observation.begun_at + probe.period_seconds)
        started = before.verdict is not Health.HEALTHY and entry.window.verdict is Health.HEALTHY
        if started and probe.kind is ProbeKind.STARTUP and probe.agent is not None:
            for other in self._entries.values():
                if other.probe.agent == probe.agent and other.probe.kind is not ProbeKind.STARTUP:
                    other.restart(now)
        return entry.window.verdict is not before.verdict
