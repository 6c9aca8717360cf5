"""How much one push may change and bring, and how long it is judged; what is there already does not count."""

from __future__ import annotations

import sys

from stateguard.config.problem import Problem
from stateguard.host.clock import boot_seconds
from stateguard.model.policy import PushBudget
from stateguard.text import words

JUDGING_SECONDS = 30.0

_ENDLESS = PushBudget(sys.maxsize, sys.maxsize)
_WAYS = (
    "push it in parts, bring a whole state in by stateguard init --from on the guard's host, "
    "or let an admin push it with -o emergency=REASON; guard.yaml sets the limits under push"
)


class Deadline:
    """A moment after which a push is judged no longer."""

    def __init__(self, limit_seconds: float = JUDGING_SECONDS) -> None:
        """Let it come so many seconds from now."""
        self.limit_seconds = limit_seconds
        self._at = boot_seconds() + limit_seconds

    def passed(self) -> bool:
        """Say whether it has come."""
        return boot_seconds() >= self._at


class Spending:
    """The new files of one push, counted by their sizes before any of them is read."""

    def __init__(self, budget: PushBudget = _ENDLESS, *, waived: bool = False) -> None:
        """``waived`` says that what is over the budget is counted and reported, and looked through all the same."""
        self._budget, self.waived = budget, waived
        self.files = self.bytes = 0

    def add(self, size_bytes: int) -> bool:
        """Count one new file; say whether it is worth reading."""
        self.files += 1
        self.bytes += size_bytes
        return self.waived or not self._over()

    def problem(self) -> Problem | None:
        """Return what is wrong with so much, if anything is."""
        if not self._over():
            return None
        brings = f"brings {words.count(self.files, 'new file')} with {words.size(self.bytes)}"
        return _problem(brings, self._budget)

    def _over(self) -> bool:
        return self.files > self._budget.files or self.bytes > self._budget.size_bytes


def changed_problems(changed: int, budget: PushBudget) -> list[Problem]:
    """Return what is wrong with a push that changes so many files of main, wherever their bytes come from."""
    return [] if changed <= budget.files else [_problem(f"changes {words.count(changed, 'file')} of main", budget)]


def _problem(what: str, budget: PushBudget) -> Problem:
    limit = f"at most {words.count(budget.files, 'file')} and {words.size(budget.size_bytes)} come in by one push"
    return Problem("push", 0, "budget", f"this push {what}, {limit}; {_WAYS}")
