"""The mirrors of guard.yaml."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Gauge

from stateguard.guard.compose import Guard
from stateguard.guard.metrics.source import Pulse
from stateguard.guard.mirrors import mirror_document
from stateguard.model.mirror import MirrorState
from stateguard.model.moment import parse_rfc3339


class MirrorMetrics:
    """Gauges by the name of the mirror; one that is no longer in guard.yaml is gone."""

    def __init__(self, registry: CollectorRegistry) -> None:
        """Declare them."""
        self._state = Gauge(
            "stateguard_mirror_state",
            "1 for the word that holds of a mirror, 0 for the others.",
            ("mirror", "state"),
            registry=registry,
        )
        self._behind = Gauge(
            "stateguard_mirror_behind_refs", "Refs that a mirror does not have yet.", ("mirror",), registry=registry
        )
        self._failures = Gauge(
            "stateguard_mirror_failures", "Failed attempts since the last success.", ("mirror",), registry=registry
        )
        self._success = Gauge(
            "stateguard_mirror_last_success_timestamp_seconds",
            "When a mirror was last seen to hold everything, Unix time; 0: never.",
            ("mirror",),
            registry=registry,
        )

    def refresh(self, guard: Guard, pulse: Pulse | None) -> None:
        """Read what is known of each; no mirror is asked."""
        del pulse
        for gauge in (self._state, self._behind, self._failures, self._success):
            gauge.clear()
        for spec in guard.settings.mirrors:
            document = mirror_document(guard, spec)
            for word in MirrorState:
                self._state.labels(spec.name, word).set(document["state"] == str(word))
            self._behind.labels(spec.name).set(document["behind"])
            self._failures.labels(spec.name).set(document["failures"])
            succeeded = document["last_success"]
            self._success.labels(spec.name).set(parse_rfc3339(succeeded) if succeeded else 0)
