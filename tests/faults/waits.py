"""Journeys that wait, for a confirm window and for a soak: neither may end early or last longer for a wrong clock."""

from __future__ import annotations

import time

from faults.journeys import Apply, Before, commit
from faults.processes import Note
from faults.system import CHANGE, STATE
from stateguard.guard.applies import Applies
from stateguard.guard.compose import Guard
from stateguard.host.clock import moment
from stateguard.model.health import Health
from stateguard.respond.promote import may_promote
from transition.setting import Setting

WINDOW_SECONDS, SOAK_SECONDS = 2.0, 1.0
_SLACK_SECONDS = 10.0
_QUICK = STATE.replace("confirm_window: 30s", "confirm_window: 2s").replace("soak: 15m", "soak: 1s")


class Held(Apply):
    """A push that is watched until its confirm window is over."""

    def prepare(self, setting: Setting) -> str:
        """Make the window and the soak short; write the commit."""
        assert setting.push(commit(setting, {"stateguard.yaml": _QUICK})).accepted
        return commit(setting, CHANGE)

    def begin(self, guard: Guard, before: Before, note: Note) -> None:
        """Push it, and take the time."""
        began = time.monotonic()
        options = ("wait=confirmed",)
        answer = Applies(guard).receive("push", before.old, before.new, options, "ann", lambda _: None)
        note(("waited", (WINDOW_SECONDS, time.monotonic() - began)))
        note(("answered", answer.accepted))


class Soaking(Held):
    """A push that becomes a baseline when it has soaked."""

    signs = True

    def begin(self, guard: Guard, before: Before, note: Note) -> None:
        """Push it, and sign it as soon as a guard at work would."""
        answer = Applies(guard).receive("push", before.old, before.new, (), "ann", lambda _: None)
        note(("answered", answer.accepted))
        self._soak(guard, note)

    def goes_on(self, guard: Guard, note: Note) -> None:
        """Let a soak that was cut short come to its end."""
        self._soak(guard, note)

    def _soak(self, guard: Guard, note: Note) -> None:
        soak = guard.store.soak()
        if soak is None:
            return
        left, began = soak.due.since(moment()), time.monotonic()
        while not may_promote(
            soak,
            moment(),
            health=Health.HEALTHY,
            failing=0,
            drifted=0,
            open_incidents=0,
            suspended=False,
            head=soak.revision,
        ).now:
            assert time.monotonic() < began + _SLACK_SECONDS, f"the soak of 1 s does not end: {left} s were left"
            time.sleep(0.02)
        soaked = moment().boot_seconds - soak.began.boot_seconds
        made = guard.responder.promote(soak, Health.HEALTHY)
        note(("waited", (SOAK_SECONDS, soaked)))
        told = float(made.statement.evidence["soaked_seconds"])
        assert abs(told - soaked) < 1, f"the baseline says that it soaked for {told} s, it was {soaked} s"
        note(("baseline", (made.statement.number, str(made.statement.grade), made.signer)))


WAITS = {"held": Held(), "soak": Soaking()}
