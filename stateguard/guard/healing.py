"""Put drift back where a section says so, and stop when somebody else keeps changing the same path."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence

from stateguard.config.sections import PathRules
from stateguard.errors import StateguardError
from stateguard.guard.compose import Guard
from stateguard.host.clock import wall_seconds
from stateguard.host.logs import failure, log, warn
from stateguard.live.watch import Watcher
from stateguard.model.identity import GUARD
from stateguard.model.moment import parse_rfc3339
from stateguard.model.policy import Heal
from stateguard.model.transition import Kind, Outcome
from stateguard.model.tree import Drift
from stateguard.transition.prepare import Wish


class Healer:
    """Heals drift in sections with ``heal: enforce`` after some quiet."""

    def __init__(self, guard: Guard, watcher: Watcher) -> None:
        """Work with this guard."""
        self._guard, self._watcher = guard, watcher
        self._waiting = False

    def due_seconds(self) -> float:
        """Return how long to wait before drift may be put back; a long time if there is none."""
        if not self._waiting:
            return 3600.0
        return max(0.0, self._guard.system.policy.heal_after_seconds - self._watcher.quiet_for())

    def heal(self, drifted: Sequence[Drift]) -> bool:
        """Put back what may be put back now; say whether anything was.

        While an incident is open only what had drifted when it opened: that may be its cause, and later edits are
        those of somebody who works on it.
        """
        guard = self._guard
        rules, begun = guard.books.declared.rules(guard.applied), self._trouble_began()
        mine = [d for d in drifted if enforced(rules, d.path) and self._changed_at(d.path) <= begun]
        self._waiting = bool(mine)
        policy = guard.system.policy
        if not mine or self._watcher.quiet_for() < policy.heal_after_seconds:
            return False
        since = wall_seconds() - policy.heal_war_seconds
        peaceful = [d for d in mine if guard.store.heals(d.path, since) < policy.heal_war_count]
        for lost in [d for d in mine if d not in peaceful]:
            warn("somebody keeps changing a path; it is left alone", path=lost.path)
        self._waiting = False
        return bool(peaceful) and self._put_back(peaceful)

    def _trouble_began(self) -> float:
        """Return when the oldest open incident was opened, in Unix time; without one, after all times."""
        times = [parse_rfc3339(i.opened_at) for i in self._guard.store.unsettled()]
        return min(times, default=math.inf)

    def _put_back(self, drifted: Sequence[Drift]) -> bool:
        guard = self._guard
        paths = [d.path for d in drifted]
        reason = "drift: " + ", ".join(f"{d.path} {d.kind}" for d in drifted[:5])
        operation = guard.books.journal.open("heal", GUARD, reason, {"target": guard.applied})

        def wish() -> Wish:
            return Wish(
                kind=Kind.HEAL,
                source=guard.applied,
                target=guard.applied,
                only=frozenset(paths),
                healing={path: self._changed_at(path) for path in paths},
                turns=True,
                record={"main": "keep"},
            )

        try:
            ended = guard.operations.transition(operation, wish)
        except StateguardError as error:
            failure("drift could not be put back", paths=paths)
            guard.operations.finish(operation, Outcome.REFUSED, error.message)
            self._count(paths)
            return False
        guard.operations.finish(operation, ended.outcome, ended.detail)
        self._count(paths)
        log("put drift back", operation=operation.id, paths=paths)
        return True

    def _count(self, paths: Sequence[str]) -> None:
        for path in paths:
            self._guard.store.healed(path, wall_seconds())

    def _changed_at(self, path: str) -> float:
        try:
            return os.lstat(self._guard.live / path).st_ctime
        except OSError:
            return 0.0  # what is gone may have been read by nobody knows whom: restart who reads it


def enforced(rules: PathRules, path: str) -> bool:
    """Say whether drift at a path is put back without asking."""
    section = rules.section(path)
    return section is not None and section.heal is Heal.ENFORCE
