"""The running guard itself: its version, its cycle, its queue."""

from __future__ import annotations

import platform

from prometheus_client import CollectorRegistry, Gauge, Histogram

from stateguard import __version__
from stateguard.guard.compose import Guard
from stateguard.guard.metrics.source import CYCLES_SECONDS, Pulse
from stateguard.host.clock import wall_seconds


class ProcessMetrics:
    """What begins anew with each start of the guard."""

    def __init__(self, registry: CollectorRegistry) -> None:
        """Declare them."""
        self._build = Gauge("stateguard_build_info", "1, with the versions.", ("version", "python"), registry=registry)
        self._build.labels(__version__, platform.python_version()).set(1)
        self._running = Gauge("stateguard_guard_running", "1 if a guard runs.", registry=registry)
        self._queue = Gauge(
            "stateguard_worker_queue_length", "Commands and pushes that wait their turn.", registry=registry
        )
        self._busy = Gauge("stateguard_worker_busy", "1 while a command or push is carried out.", registry=registry)
        self._cycle = Histogram(
            "stateguard_cycle_duration_seconds",
            "What one look at the system took, and what followed from it.",
            registry=registry,
            buckets=CYCLES_SECONDS,
        )
        self._last = Gauge(
            "stateguard_last_cycle_timestamp_seconds",
            "When the last look ended, Unix time; 0: none yet.",
            registry=registry,
        )

    def refresh(self, guard: Guard, pulse: Pulse | None) -> None:
        """Ask the worker."""
        del guard
        self._running.set(pulse is not None)
        self._queue.set(pulse.waiting() if pulse else 0)
        self._busy.set(pulse.busy() if pulse else 0)

    def cycled(self, seconds: float) -> None:
        """Count one cycle."""
        self._cycle.observe(seconds)
        self._last.set(wall_seconds())
