"""Whose signatures count: whether the document can be used, and which keys will not count for long."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from stateguard.errors import StateguardError
from stateguard.guard.doctor.finding import Finding, Subject, ok, problem, warning
from stateguard.guard.doctor.records import reading
from stateguard.host.clock import wall_seconds
from stateguard.model.trust import EXPIRY_WARNING_SECONDS, Trust
from stateguard.record.people import digest_of
from stateguard.text.words import count
from stateguard.trust.people import read
from stateguard.trust.roles import short_of

_RESTORE = "stateguard trust restore"


def trust(subject: Subject) -> Iterator[Finding]:
    """Look whether the trust document holds, enough people can sign, and no key expires soon."""
    if subject.home is None:
        return
    try:
        found, content = read(subject.home.trust)
    except StateguardError as error:
        yield problem("trust", f"whose signatures count cannot be told: {error.message}", error.next_step or _RESTORE)
        return
    put = _in_force(subject.home.database)
    if put and digest_of(content) not in put:
        message = "the trust document was changed past the guard: nobody's signature counts"
        yield problem("trust", message, _RESTORE)
        return
    now = wall_seconds()
    findings = [*_forced(put), *_expiring(found, now), *_too_few(found, now)]
    yield from findings
    if not findings:
        yield ok("trust", f"{count(len(found.people), 'person')} trusted, version {found.version}")


def _in_force(database: Path) -> dict[str, str]:
    """Return the digests of the documents that the guard put in force, with who did so without admins; reads only.

    Empty: it put none in force yet, or the database cannot be read, which another check says.
    """
    try:
        with contextlib.closing(reading(database)) as connection:
            rows = connection.execute("SELECT digest, without_admins FROM trust_document").fetchall()
    except sqlite3.Error:
        return {}
    return {str(row[0]): str(row[1]) for row in rows}


def _forced(put: dict[str, str]) -> Iterator[Finding]:
    for actor in filter(None, put.values()):
        message = f"{actor} put the trust document in force without the signatures of admins"
        mend = "look at it: stateguard trust list; a change that the admins from before it sign ends this"
        yield warning("trust", message, mend)


def _expiring(found: Trust, now: float) -> Iterator[Finding]:
    for person, key in found.expiring(now + EXPIRY_WARNING_SECONDS):
        when = f"{'expired' if key.expired(now) else 'expires'} at {key.expires_at}"
        mend = f"stateguard trust rotate {person.name} --ssh NEW.pub --key {key.fingerprint}"
        yield warning("trust", f"{person.name}'s key {key.fingerprint} {when}", mend)


def _too_few(found: Trust, now: float) -> Iterator[Finding]:
    """Find roles of which more persons must sign than can."""
    for message in short_of(found, now):
        yield warning(
            "trust", message, "stateguard trust add NAME --ssh KEY.pub --role ROLE, with every role of that person"
        )
