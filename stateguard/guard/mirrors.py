"""How it stands with the mirrors: for ``status``, ``mirror status`` and the detectors."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

from stateguard.guard.compose import Guard
from stateguard.host.clock import moment, wall_seconds
from stateguard.mirror.cadence import breaker
from stateguard.mirror.store import Standing, at
from stateguard.mirror.witness import AGAINST, Account
from stateguard.model.mirror import MirrorSeen, MirrorSpec, MirrorState
from stateguard.text.redact import redact
from stateguard.text.words import count

_PATIENCE_SECONDS = 10.0
"""How long a mirror has to answer who is asked about the audit chain."""


def witnesses(guard: Guard, *, ask: bool) -> list[dict[str, Any]]:
    """Return the document of what each mirror says about the audit chain: asked now, or what was last seen there.

    Raises:
        StateguardError: git or the database could not be read here.
    """
    specs = guard.settings.mirrors
    if not specs:
        return []
    testify = partial(guard.mirrors.testify, ask=ask, deadline_seconds=_PATIENCE_SECONDS)
    with ThreadPoolExecutor(len(specs), "audit witness") as pool:
        return [_account(one) for one in pool.map(testify, specs)]


def _account(one: Account) -> dict[str, Any]:
    return {
        "name": one.mirror,
        "standing": str(one.finding.standing),
        "head": one.head,
        "entries": one.finding.common,
        "asked": one.asked,
        "error": one.error,
        "message": one.finding.message,
        "against": one.finding.standing in AGAINST,
    }


def mirrors_document(guard: Guard) -> list[dict[str, Any]]:
    """Return the document of every mirror of guard.yaml."""
    return [mirror_document(guard, spec) for spec in guard.settings.mirrors]


def mirror_document(guard: Guard, spec: MirrorSpec) -> dict[str, Any]:
    """Return how it stands with one mirror; its address is shown without credentials."""
    standing, behind = guard.mirrors.store.standing(spec), guard.mirrors.missing(spec)
    due = standing.pace.due
    return {
        "name": spec.name,
        "url": redact(spec.url),
        "trusted": spec.trusted,
        "state": str(standing.state(behind)),
        "behind": behind,
        "last_success": at(standing.success_at),
        "last_attempt": at(standing.attempt_at),
        "last_error": standing.error,
        "failures": standing.pace.failures,
        "next_attempt": due.rfc3339() if due else None,
        "breaker": str(breaker(standing.pace, spec, moment())),
        "conflicts": list(standing.conflicts),
        "extra": standing.extra,
        "verified_at": at(standing.verified_at),
        "tampered": list(standing.tampered),
    }


def mirrors_seen(guard: Guard) -> tuple[MirrorSeen, ...]:
    """Return the mirrors that are not in sync, as the detectors read them; reads the database alone."""
    now, seen = wall_seconds(), []
    for spec in guard.settings.mirrors:
        standing = guard.mirrors.store.standing(spec)
        lacks = 0 if standing.behind_since is None else 1
        state = standing.state(lacks)
        if state is not MirrorState.IN_SYNC and standing.attempt_at is not None:
            since = max(0.0, now - (standing.behind_since or now))
            seen.append(MirrorSeen(spec.name, state, _message(standing), since, spec.tell_after_seconds))
    return tuple(seen)


def _message(standing: Standing) -> str:
    if standing.tampered:
        return standing.tampered[0]
    if standing.conflicts:
        first = standing.conflicts[0]
        others = f", and {count(len(standing.conflicts) - 1, 'ref')} more" if len(standing.conflicts) > 1 else ""
        return f"{first['ref']}: {first['why']}{others}"
    return standing.error or ""
