"""The cycle: observe what is, detect what it means, respond, record."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from stateguard.detect.facts import Facts, findings
from stateguard.detect.failure import TELLING, conditions
from stateguard.errors import AgentsError
from stateguard.guard.applies import Applies
from stateguard.guard.capture import Capture
from stateguard.guard.compose import Guard
from stateguard.guard.healing import Healer
from stateguard.guard.mirrors import mirrors_seen
from stateguard.guard.scrub import Scrub
from stateguard.guard.view import drift_now, facts
from stateguard.host.clock import boot_seconds, moment, now_text
from stateguard.host.logs import log, warn
from stateguard.host.space import reserve_gone
from stateguard.live.watch import Watcher
from stateguard.model.agent import ProbeKind
from stateguard.model.condition import Condition
from stateguard.model.health import ALIVE, Health, overall
from stateguard.model.moment import Moment
from stateguard.model.transition import Outcome
from stateguard.respond.lifecycle import is_outside
from stateguard.respond.promote import may_promote

_PROMOTION_RETRY_SECONDS = 1.0
_REFUSED_RETRY_SECONDS = 60.0
_REPORT_RETRY_SECONDS = 60.0


class Cycle:
    """One look at the system after another, on the guard's own thread."""

    def __init__(
        self, guard: Guard, applies: Applies, watcher: Watcher, scrub: Scrub, urgent: Callable[[], bool]
    ) -> None:
        """Work with this guard; ``watcher`` knows how long the live directory was quiet, ``urgent`` if work waits."""
        self._guard, self._applies = guard, applies
        self._watcher, self._scrub = watcher, scrub
        self._healer, self._capture = Healer(guard, watcher), Capture(guard, urgent)
        self._well_since: float | None = None
        self._quiet_since: float | None = None
        self._flaky = guard.trials.flaky()
        self._refused_until = 0.0
        self._report_after = 0.0
        self.conditions: tuple[Condition, ...] = ()
        self.drifted = 0

    def turn(self) -> None:
        """Look once, and do what follows.

        Raises:
            StateguardError: storage failed; the next turn tries again.
        """
        began = boot_seconds()
        if not self._guard.applied:
            return
        self._heed_selftests()
        seen = self._observe()
        found = conditions(seen)
        self._respond(seen, found)
        self._report(overall(findings(seen)))
        self._capture.turn()
        self._record(found, len(seen.drift), began)

    def next_due_seconds(self) -> float:
        """Return how long the guard may wait before it must look again."""
        waits = [self._guard.settings.cycle_seconds]
        soak = self._guard.store.soak()
        if soak is not None and not moment().reached(soak.due):
            waits.append(soak.due.since(moment()))
        elif soak is not None:
            waits.append(_PROMOTION_RETRY_SECONDS)
        waits += [self._healer.due_seconds(), self._capture.due_seconds(), self._watcher.due_seconds()]
        return max(0.02, min(waits))

    def _heed_selftests(self) -> None:
        """Let a probe count, or no longer, as soon as a self-test says so."""
        flaky = self._guard.trials.flaky()
        if flaky != self._flaky:
            self._flaky = flaky
            self._guard.prober.configure(self._guard.system.probes)

    def _observe(self) -> Facts:
        self._watcher.rules = self._guard.scanner().rules
        self._watcher.tend()
        captured = self._capture.look()
        over, failed = tuple(one.text() for one in captured.over), self._capture.failed
        return replace(
            facts(self._guard, drift_now(self._guard)),
            over_ceiling=over,
            not_kept=failed,
            damaged=self._scrub.damaged(),
            mirrors=mirrors_seen(self._guard),
            settings_problem=self._guard.kept_settings.problem,
            trust_problem=self._guard.people.problem(),
            reserve_gone=reserve_gone(self._guard.home.reserve, self._guard.settings.reserve_bytes),
        )

    def _respond(self, seen: Facts, found: Sequence[Condition]) -> None:
        suspended = self._suspended()
        failing = [c for c in found if c.type not in TELLING and not c.external]
        outside = [c for c in found if c.type not in TELLING and c.external]
        health = overall(findings(seen))
        self._restart_dead(seen)
        if self._stopped_by_hand(seen):
            self._well_since = None
            return
        if not suspended and self._catch_up():
            return
        if not suspended and self._healer.heal(seen.drift):
            # What failed may have failed for the drift: it is asked anew before anything is put down to a change.
            self._guard.prober.begin([p for c in failing for p in (c.probe, *c.also) if p])
            return
        self._trouble("onset-outside", outside, suspended=suspended)
        self._trouble("onset", failing, suspended=suspended)
        well = health is Health.HEALTHY and not failing
        self._well_since = (self._well_since or boot_seconds()) if well else None
        self._quiet_since = (self._quiet_since or boot_seconds()) if not outside else None
        self._settle()
        if failing or suspended:
            return
        self._promote(seen, health)

    def _trouble(self, mark: str, failing: Sequence[Condition], *, suspended: bool) -> None:
        """Respond to what fails, and remember when it began; nothing failing forgets that."""
        guard = self._guard
        onset = (guard.store.marked(mark) or now_text()) if failing else None
        if guard.store.marked(mark) != onset:
            guard.store.mark(mark, onset)
        if onset is not None:
            guard.responder.trouble(failing, onset, guard.settings.arming, suspended=suspended)

    def _catch_up(self) -> bool:
        """Apply what main holds beyond the live state, healthy or not: it may be the mend; refused, it waits."""
        if boot_seconds() < self._refused_until:
            return False
        record = self._applies.catch_up()
        if record is None:
            return False
        refused = record.outcome == str(Outcome.REFUSED)
        self._refused_until = boot_seconds() + _REFUSED_RETRY_SECONDS if refused else 0.0
        return not refused

    def _settle(self) -> None:
        """Resolve incidents once what they are about has been well for a confirm window."""
        window, now = self._guard.system.policy.confirm_window_seconds, boot_seconds()
        for incident in self._guard.store.unsettled():
            since = self._quiet_since if is_outside(incident) else self._well_since
            if since is not None and now - since >= window:
                self._guard.responder.recovered(incident.id, f"everything has been well for {window:.0f} s")

    def _promote(self, seen: Facts, health: Health) -> None:
        guard = self._guard
        soak = guard.store.soak()
        if soak is None:
            return
        verdict = may_promote(
            soak,
            moment(),
            health=health,
            failing=sum(1 for one in seen.probes if one.failures and one.probe.required and not one.probe.external),
            drifted=len(seen.drift),
            open_incidents=len(guard.store.unsettled()),
            suspended=False,
            head=guard.main if guard.main == guard.applied else None,
        )
        if verdict.now:
            baseline = guard.responder.promote(soak, health)
            log("signed a baseline", number=baseline.statement.number, revision=soak.revision)

    def _restart_dead(self, seen: Facts) -> None:
        """Restart agents whose liveness probe fails, as Kubernetes does."""
        for one in seen.probes:
            agent = one.probe.agent
            if one.probe.kind is not ProbeKind.LIVENESS or one.health is not Health.UNHEALTHY or agent is None:
                continue
            warn("liveness failed; the agent is restarted", agent=agent)
            self._guard.prober.pause([agent])
            try:
                self._guard.runtime.stop(agent)
                self._guard.runtime.start(self._guard.system.agents[agent], self._guard.applied)
            except AgentsError as error:
                warn("the agent could not be restarted", agent=agent, error=error.message)
            self._guard.prober.begin([p.id for p in self._guard.system.agents[agent].probes])

    def _report(self, health: Health) -> None:
        """Publish reports that are owed, once the probes have something to say."""
        if health is not Health.UNKNOWN and boot_seconds() >= self._report_after:
            self._report_after = boot_seconds() + _REPORT_RETRY_SECONDS
            self._guard.reporter.catch_up()

    def _suspended(self) -> bool:
        """Say whether stateguard only watches because a person said so."""
        kept: dict[str, Any] | None = self._guard.store.marked("suspended")
        if kept and kept.get("until") and moment().reached(Moment(**kept["until"])):
            self._guard.store.mark("suspended", None)
            log("resumed: the time of the suspension is over")
            kept = None
        return bool(kept)

    def _stopped_by_hand(self, seen: Facts) -> bool:
        """Say whether agents are down because a person stopped them: what fails then is nobody's fault."""
        marked = self._guard.store.marked("stopped") or []
        down = [n for n in marked if n in seen.agents and n in seen.statuses and seen.statuses[n].state not in ALIVE]
        if down != marked:
            self._guard.store.mark("stopped", down or None)
        return bool(down)

    def _record(self, found: tuple[Condition, ...], drifted: int, began: float) -> None:
        if {c.key for c in found} != {c.key for c in self.conditions}:
            log("conditions", now=[f"{c.type} {c.component}: {c.message}" for c in found])
        self.conditions, self.drifted = found, drifted
        took, limit = boot_seconds() - began, self._guard.settings.cycle_seconds
        if took > 2 * limit and not self._guard.operations.engine.current:
            warn("a cycle overran", seconds=round(took, 3), limit_seconds=limit)
