"""Pushes of somebody who is locked: by the user of that name, or of a commit that they signed."""

from __future__ import annotations

from collections.abc import Iterable

from stateguard.admission.refs import RefUpdate
from stateguard.config.problem import Problem
from stateguard.guard.compose import Guard
from stateguard.guard.signatures import signature_of
from stateguard.model.identity import MAIN, short
from stateguard.model.trust import Lock
from stateguard.state.repository import Repository
from stateguard.trust.verdict import Standing

_HINT = "nothing of theirs comes in until somebody else runs: stateguard trust unlock"


def lock_problems(guard: Guard, repository: Repository, updates: Iterable[RefUpdate], user: str) -> list[Problem]:
    """Return what is wrong with a push by whom it is, and by who signed the last commit of each branch.

    On a branch other than main only commits that are new count: who names an old one did not get it from its signer.

    Raises:
        StateguardError: a commit or the trust document cannot be read; that it is gone unlocks nobody.
    """
    trust = guard.people.trust()
    if not trust.locked:
        return []
    lock = trust.lock_of(user)
    found = [_problem("push", lock)] if lock is not None else []
    for update in updates:
        fresh = update.name == MAIN or not guard.repository.has(update.new)
        if update.deletes or not update.name.startswith("refs/heads/") or not fresh:
            continue
        verdict = signature_of(guard, repository, update.new)
        lock = trust.lock_of(verdict.name) if verdict.standing is Standing.KNOWN else None
        found += [_problem(f"commit {short(update.new)}", lock)] if lock is not None else []
    return found


def _problem(where: str, lock: Lock) -> Problem:
    return Problem(where, 0, "locked", f"{lock.name} is {lock.words}; {_HINT} {lock.name}")
