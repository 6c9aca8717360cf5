"""Whose signatures the commits of a push carry, and which of them there must be."""

from __future__ import annotations

from stateguard.config.problem import Problem
from stateguard.guard.compose import Guard
from stateguard.model.identity import short
from stateguard.model.policy import Signatures
from stateguard.model.trust import Role
from stateguard.state.commits import split_signature
from stateguard.state.repository import Repository
from stateguard.trust.verdict import Standing, Verdict

_MOST_PROBLEMS = 20


def signature_of(guard: Guard, repository: Repository, commit: str) -> Verdict:
    """Return whose signature a commit carries, by the trust in force.

    Raises:
        StateguardError: the commit or the trust document cannot be read.
    """
    signed, armored = split_signature(repository.raw(commit)[1])
    return guard.people.judge(signed, armored)


def signature_problems(guard: Guard, repository: Repository, commit: str, head: Verdict) -> list[Problem]:
    """Return what is wrong with the signatures of a push to main; ``head`` is the verdict on its last commit.

    A signature that does not hold is refused even where none is asked for: better none than one that says what is
    not so.

    Raises:
        StateguardError: a commit or the trust document cannot be read.
    """
    if head.standing is Standing.BAD:
        return [_problem(commit, f"{head.words}; sign it anew or not at all: git commit --amend")]
    wanted = guard.settings.signatures
    if wanted is Signatures.NONE:
        return []
    pushed = [commit] if wanted is Signatures.HEAD else [c.id for c in repository.between(guard.main, commit)]
    found: list[Problem] = []
    for one in pushed:
        verdict = head if one == commit else signature_of(guard, repository, one)
        if Role.PUSH not in verdict.roles:
            unfit = verdict.name and not verdict.detail
            wrong = f"{verdict.words}, who has not the role push" if unfit else verdict.words
            found.append(_problem(one, f"{wrong}; this guard takes commits signed by somebody trusted with push only"))
        if len(found) == _MOST_PROBLEMS:
            break
    return found


def _problem(commit: str, message: str) -> Problem:
    return Problem(f"commit {short(commit)}", 0, "signature", message)
