"""What waits for people: who is locked, and what more persons must sign."""

from __future__ import annotations

from typing import Any

from stateguard.guard.compose import Guard


def locked_now(guard: Guard) -> list[dict[str, str]]:
    """Return who is locked, since when and why; nobody while the trust document cannot be used: that is a condition."""
    if guard.people.problem():
        return []
    return [{"name": x.name, "reason": x.reason, "since": x.locked_at} for x in guard.people.trust().locked]


def unsigned_now(guard: Guard) -> list[dict[str, Any]]:
    """Return what some have signed and others must sign yet: a baseline, a change of trust."""
    if guard.people.problem():
        return []
    found: list[dict[str, Any]] = []
    baseline, change = guard.approvals.pending(guard.applied), guard.changes.pending()
    if baseline is not None:
        found.append(_waiting(baseline.draft.statement.tag, [s.name for s in baseline.signers], baseline.needed))
    if change is not None:
        found.append(_waiting(f"trust version {change.after.version}", [s.name for s in change.signers], change.needed))
    return found


def _waiting(what: str, signers: list[str], needed: int) -> dict[str, Any]:
    return {"what": what, "signers": signers, "threshold": needed}
