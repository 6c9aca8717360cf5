"""Operations: counted from the journal, so that no restart of the guard loses one."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Histogram

from stateguard.guard.compose import Guard
from stateguard.guard.metrics.source import LATENCIES_SECONDS, Pulse
from stateguard.model.transition import FORWARD, Kind, Outcome
from stateguard.transition.journal import Ended

_KINDS = (Kind.APPLY, Kind.ROLLBACK, Kind.HEAL)
_STAGES = {number: str(step) for number, step in reversed(FORWARD)}
"""The seven stages by number, each called by its first step."""


class OperationMetrics:
    """Counts each operation that has ended exactly once."""

    def __init__(self, registry: CollectorRegistry) -> None:
        """Every common combination of labels is there from the start, so that a first failure shows as an increase."""
        self._count = Counter(
            "stateguard_operations", "Operations that have ended.", ("kind", "outcome"), registry=registry
        )
        self._duration = Histogram(
            "stateguard_operation_duration_seconds",
            "From the begin of an operation to its end.",
            ("kind",),
            registry=registry,
            buckets=LATENCIES_SECONDS,
        )
        self._stage = Histogram(
            "stateguard_operation_stage_duration_seconds",
            "What one stage of a transition took.",
            ("kind", "stage"),
            registry=registry,
            buckets=LATENCIES_SECONDS,
        )
        for kind in _KINDS:
            self._duration.labels(kind)
            for outcome in Outcome:
                self._count.labels(kind, outcome)
        self._upto = 0
        self._beyond: set[int] = set()

    def refresh(self, guard: Guard, pulse: Pulse | None) -> None:
        """Count what has ended since; what still runs is looked at again."""
        del pulse
        for operation, ended in guard.books.journal.ended_after(self._upto):
            if ended is not None and operation not in self._beyond:
                self._beyond.add(operation)
                self._add(ended)
            if operation == self._upto + 1 and operation in self._beyond:
                self._upto = operation
                self._beyond.discard(operation)

    def _add(self, ended: Ended) -> None:
        self._count.labels(ended.kind, ended.outcome).inc()
        self._duration.labels(ended.kind).observe(ended.duration_seconds)
        for number, seconds in ended.stages:
            self._stage.labels(ended.kind, _STAGES[number]).observe(seconds)
