"""All metrics of one guard, in a registry of its own."""

from __future__ import annotations

import threading
from collections.abc import Callable

from prometheus_client import CollectorRegistry, disable_created_metrics, generate_latest

from stateguard.guard.compose import Guard
from stateguard.guard.metrics.mirrors import MirrorMetrics
from stateguard.guard.metrics.operations import OperationMetrics
from stateguard.guard.metrics.process import ProcessMetrics
from stateguard.guard.metrics.source import Pulse, Source
from stateguard.guard.metrics.state import StateMetrics

SOURCES: tuple[Callable[[CollectorRegistry], Source], ...] = (OperationMetrics, StateMetrics, MirrorMetrics)
"""What makes each group of metrics, beside those of the process."""


class Instruments:
    """Answers scrapes from any thread, one at a time, without waiting for the worker."""

    def __init__(self, guard: Guard, pulse: Pulse | None = None) -> None:
        """``pulse`` is None where no guard runs."""
        disable_created_metrics()  # type: ignore[no-untyped-call]  # counters of the journal are older than this process
        self._guard, self._pulse = guard, pulse
        self._registry = CollectorRegistry()
        self._process = ProcessMetrics(self._registry)
        self._sources: list[Source] = [self._process, *(make(self._registry) for make in SOURCES)]
        self._lock = threading.Lock()

    def cycled(self, seconds: float) -> None:
        """Count one cycle of the guard."""
        self._process.cycled(seconds)

    def exposition(self) -> str:
        """Return every metric as it is now, in Prometheus' text format.

        Raises:
            StateguardError: storage failed.
        """
        with self._lock:
            for source in self._sources:
                source.refresh(self._guard, self._pulse)
            return generate_latest(self._registry).decode()
