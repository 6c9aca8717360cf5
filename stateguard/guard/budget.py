"""How much one push may change and bring, in what shape, and how long it is judged; what is there does not count."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path

from stateguard.config.problem import Problem
from stateguard.host.clock import boot_seconds
from stateguard.model.policy import PushBudget
from stateguard.model.size import MIB
from stateguard.state.packs import COMMIT, TAG, TREE, Packed, count, survey
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
        return self.left_seconds() <= 0

    def left_seconds(self) -> float:
        """Return the seconds until then."""
        return self._at - boot_seconds()


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


MOST_OBJECTS = 1_000_000
MOST_DELTAS = 4095
"""One over another: the most that ``pack.depth`` makes, where git itself stops at 50."""

LARGEST_BYTES = {COMMIT: MIB, TAG: MIB, TREE: 32 * MIB}
MOST_WORDS_BYTES = 256 * MIB
"""Of all commits and tags of a push: what libgit2 reads of them it reads without asking us."""

_PLAIN = "is it made by stock git? git repack -a -d -f --depth=50 makes it ordinary; then push again"
_PARTS = "push it in parts"


def weight_problems(quarantine: Path) -> list[Problem]:
    """Return what makes the packs of a push too heavy to be read at all; no emergency waives that.

    Raises:
        StorageError: one cannot be read, or is malformed.
    """
    packs = sorted((quarantine / "pack").glob("*.pack"))
    objects = sum(map(count, packs))
    if objects > MOST_OBJECTS:
        return [_heavy(f"has {words.count(objects, 'object')}, over {MOST_OBJECTS:,}; {_PARTS}")]
    return [problem for pack in packs for problem in _weighed(survey(pack))]


def _weighed(objects: Iterable[Packed]) -> list[Problem]:
    deepest = said = 0
    largest = dict.fromkeys(LARGEST_BYTES, 0)
    for one in objects:
        deepest = max(deepest, one.depth)
        if one.kind in largest:
            largest[one.kind] = max(largest[one.kind], one.size_bytes)
            said += one.size_bytes if one.kind != TREE else 0
    found = [
        _heavy(f"has a {_NAMES[kind]} of {words.size(size)}, over {words.size(LARGEST_BYTES[kind])}; make it smaller")
        for kind, size in largest.items()
        if size > LARGEST_BYTES[kind]
    ]
    if deepest > MOST_DELTAS:
        found.append(_heavy(f"has {deepest:,} deltas one over another, over {MOST_DELTAS:,}; {_PLAIN}"))
    if said > MOST_WORDS_BYTES:
        found.append(_heavy(f"has commits and tags of {words.size(said)}; {_PARTS}"))
    return found


_NAMES = {COMMIT: "commit", TAG: "tag", TREE: "directory"}


def _heavy(what: str) -> Problem:
    return Problem("push", 0, "budget", f"the pack of this push {what}")


def _problem(what: str, budget: PushBudget) -> Problem:
    limit = f"at most {words.count(budget.files, 'file')} and {words.size(budget.size_bytes)} come in by one push"
    return Problem("push", 0, "budget", f"this push {what}, {limit}; {_WAYS}")
