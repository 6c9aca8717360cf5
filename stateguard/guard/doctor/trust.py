"""Whose signatures count: whether the document can be used, and which keys will not count for long."""

from __future__ import annotations

from collections.abc import Iterator

from stateguard.errors import StateguardError
from stateguard.guard.doctor.finding import Finding, Subject, ok, problem, warning
from stateguard.host.clock import wall_seconds
from stateguard.model.trust import EXPIRY_WARNING_SECONDS, Role, Trust
from stateguard.text.words import count
from stateguard.trust.people import load
from stateguard.trust.roles import qualified

_RESTORE = "put trust/ back from your backup"


def trust(subject: Subject) -> Iterator[Finding]:
    """Look whether the trust document holds, enough people can sign, and no key expires soon."""
    if subject.home is None:
        return
    try:
        found = load(subject.home.trust)
    except StateguardError as error:
        yield problem("trust", f"whose signatures count cannot be told: {error.message}", error.next_step or _RESTORE)
        return
    now = wall_seconds()
    findings = [*_expiring(found, now), *_too_few(found, now)]
    yield from findings
    if not findings:
        yield ok("trust", f"{count(len(found.people), 'person')} trusted, version {found.version}")


def _expiring(found: Trust, now: float) -> Iterator[Finding]:
    for person, key in found.expiring(now + EXPIRY_WARNING_SECONDS):
        when = f"{'expired' if key.expired(now) else 'expires'} at {key.expires_at}"
        mend = f"stateguard trust rotate {person.name} --ssh NEW.pub --key {key.fingerprint}"
        yield warning("trust", f"{person.name}'s key {key.fingerprint} {when}", mend)


def _too_few(found: Trust, now: float) -> Iterator[Finding]:
    """Find roles of which more persons must sign than can."""
    for role, needed in ((Role.BASELINE, found.thresholds.baseline),):
        able = [p.name for p in found.holders(role) if any(_counts(found, role, k.fingerprint, now) for k in p.keys)]
        if needed > max(len(able), 1):
            message = f"{count(len(able), 'person')} can sign as {role}, and it takes {needed}"
            yield warning("trust", message, f"stateguard trust add NAME --ssh KEY.pub --role {role}")


def _counts(found: Trust, role: Role, key: str, now: float) -> bool:
    try:
        qualified(found, role, key, now)
    except StateguardError:
        return False
    return True
