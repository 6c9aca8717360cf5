"""How things are: health, agents, incidents, baseline, soak, audit."""

from __future__ import annotations

from collections import Counter as Counted

from prometheus_client import CollectorRegistry, Gauge

from stateguard.detect.facts import findings
from stateguard.guard.compose import Guard
from stateguard.guard.metrics.source import Pulse
from stateguard.guard.view import drift_now, facts
from stateguard.host.clock import moment, wall_seconds
from stateguard.model.condition import Severity
from stateguard.model.health import AgentState, Health, overall
from stateguard.model.moment import parse_rfc3339


class StateMetrics:
    """Gauges of what ``status`` says."""

    def __init__(self, registry: CollectorRegistry) -> None:
        """Declare them."""
        self._health = Gauge(
            "stateguard_health", "1 for the word that holds, 0 for the others.", ("state",), registry=registry
        )
        self._suspended = Gauge("stateguard_suspended", "1 while the guard only watches.", registry=registry)
        self._drift = Gauge("stateguard_drift_paths", "Live paths that differ from what is desired.", registry=registry)
        self._agents = Gauge(
            "stateguard_agents", "Agents by the state of their process.", ("state",), registry=registry
        )
        self._incidents = Gauge(
            "stateguard_open_incidents", "Incidents that are open or being mitigated.", ("severity",), registry=registry
        )
        self._baseline = Gauge("stateguard_baseline_number", "The newest usable baseline; 0: none.", registry=registry)
        self._age = Gauge(
            "stateguard_baseline_age_seconds",
            "Since the newest usable baseline was signed; NaN: none.",
            registry=registry,
        )
        self._soak = Gauge(
            "stateguard_soak_remaining_seconds",
            "Until what soaks may become a baseline; 0: nothing soaks.",
            registry=registry,
        )
        self._audit = Gauge("stateguard_audit_entries", "Entries of the audit chain.", registry=registry)

    def refresh(self, guard: Guard, pulse: Pulse | None) -> None:
        """Look, without a scan of the live directory if a guard runs that has just made one."""
        health = overall(findings(facts(guard))) if pulse else Health.UNKNOWN
        for word in Health:
            self._health.labels(word).set(word is health)
        self._suspended.set(bool(guard.store.marked("suspended")))
        self._drift.set(pulse.drifted() if pulse else len(drift_now(guard)))
        self._count_agents(guard)
        open_now = Counted(incident.severity for incident in guard.store.unsettled())
        for severity in Severity:
            self._incidents.labels(int(severity)).set(open_now[severity])
        self._look_back(guard)

    def _count_agents(self, guard: Guard) -> None:
        statuses = guard.runtime.statuses()
        states = [statuses[name].state if name in statuses else AgentState.STOPPED for name in guard.system.agents]
        counted = Counted(states)
        for state in AgentState:
            self._agents.labels(state).set(counted[state])

    def _look_back(self, guard: Guard) -> None:
        newest, soak = guard.baselines.usable(), guard.store.soak()
        self._baseline.set(newest.statement.number if newest else 0)
        self._age.set(wall_seconds() - parse_rfc3339(newest.statement.issued_at) if newest else float("nan"))
        self._soak.set(max(0.0, soak.due.since(moment())) if soak else 0.0)
        self._audit.set(guard.books.audit.length())
