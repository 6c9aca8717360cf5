"""What a mirror's copy of the audit chain says of the chain here: whether that was cut, or replaced from an entry on.

Only what the guard signed itself counts against the chain here: a mirror can show that entries are missing, it cannot
make any up. What this guard put there and was seen there is kept in guard.db, for when a mirror does not answer.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from stateguard.errors import StateguardError, StorageError
from stateguard.model.identity import AUDIT, short
from stateguard.record.audit import sequence_of, signature_problems
from stateguard.state.git import git
from stateguard.state.repository import Repository
from stateguard.text.words import count
from stateguard.trust.public import PublicKey


class Standing(StrEnum):
    """How the chain here stands to what a mirror holds of it."""

    HOLDS = "holds"
    """What is there is a beginning of it, or all of it."""
    CUT = "cut"
    """What is there goes on where it ends here."""
    FORKED = "forked"
    """From some entry on both differ."""
    LOST = "lost"
    """What was there last is no part of it, and cannot be looked at now."""
    FOREIGN = "foreign"
    """What is there was not signed by this guard."""
    NOTHING = "nothing"
    """There is none."""


AGAINST = frozenset({Standing.CUT, Standing.FORKED, Standing.LOST})
"""What speaks against the chain here, not against the mirror."""


@dataclass(frozen=True, slots=True)
class Finding:
    """The standing, how many entries both have in common, and a sentence about it."""

    standing: Standing
    common: int
    message: str


@dataclass(frozen=True, slots=True)
class Account:
    """What one mirror says. ``head`` is the chain's there, None for none.

    ``asked`` says that it answered just now, else it is what it was last seen to hold; ``error`` says why it did not.
    """

    mirror: str
    head: str | None
    finding: Finding
    asked: bool
    error: str | None = None


class Witness:
    """Compares chains that others hold with the one here."""

    def __init__(self, own: Repository, key: PublicKey) -> None:
        """``own`` holds the chain, ``key`` is the guard's pinned one."""
        self._own, self._key = own, key

    def holds(self, head: str) -> bool:
        """Say whether a commit is part of the chain here; what is no commit is not."""
        ours = self._own.ref(AUDIT)
        try:
            return ours is not None and self._own.has(head) and self._own.is_ancestor(head, ours)
        except StorageError:  # somebody elsewhere chose the id: it may be that of a file
            return False

    def compare(self, head: str | None, there: Repository | None) -> Finding:
        """Return how the chain here stands to one that ends with ``head``.

        ``there`` is a repository that holds the other one; None: it is only known that this guard has put it there.

        Raises:
            StorageError: git could not be read here.
        """
        if head is None:
            return Finding(Standing.NOTHING, 0, "there is no audit chain there")
        if self.holds(head):
            common = sequence_of(self._own, head)
            return Finding(Standing.HOLDS, common, f"it holds the audit chain to entry {common}")
        there = self._own if there is None and self._own.has(head) else there
        if there is None:
            message = (
                f"the audit chain here was cut or replaced: {short(head)}, put there by this guard, is no part of it"
            )
            return Finding(Standing.LOST, 0, f"{message}; how, shows when the mirror answers")
        ours = self._own.ref(AUDIT)
        mine = set(self._own.first_parents(ours)) if ours else set()
        try:
            return self._beyond(head, there, mine)
        except StateguardError as error:
            return Finding(Standing.FOREIGN, 0, f"its audit chain cannot be read: {error.message}")

    def _beyond(self, head: str, there: Repository, mine: set[str]) -> Finding:
        """Follow the other chain back to what both have; everything on the way must be the guard's."""
        shared = None
        for commit in there.first_parents(head):
            if commit in mine:
                shared = commit
                break
            problems = signature_problems(commit, there.raw(commit)[1], self._key)
            if problems:
                message = f"its audit chain ends with what this guard did not sign: {problems[0]}"
                return Finding(Standing.FOREIGN, 0, message)
        common = sequence_of(self._own, shared) if shared else 0
        more = count(sequence_of(there, head) - common, "entry", "entries")
        if shared == self._own.ref(AUDIT):
            message = f"the audit chain here was cut: it ends with entry {common}"
            return Finding(Standing.CUT, common, f"{message}, and {more} more that this guard signed are there")
        message = f"the audit chain here was forked: behind entry {common} there are others here than there"
        return Finding(Standing.FORKED, common, f"{message}, and this guard signed both")


def scratch(path: Path) -> Repository:
    """Make an empty repository that need not survive anything.

    Raises:
        StorageError: there is no room for it.
    """
    git(path, "init", "-q", "--bare", str(path))
    git(path, "config", "core.fsync", "none")
    return Repository(path)
