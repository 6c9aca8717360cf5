"""Whose signatures count: people, their public keys, and what each may do."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from stateguard.model.moment import parse_rfc3339

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@+-]{0,62}")
_RESERVED = frozenset({"guard", "guard@stateguard", "stateguard", "detector", "unknown"})
EXPIRY_WARNING_SECONDS = 30 * 86400.0
"""How long before a key expires it is said that it will."""

GPG = "gpg"
"""The kind of an OpenPGP key; every other kind is SSH's own word for it."""


class Role(StrEnum):
    """What a person's signature is good for."""

    PUSH = "push"
    BASELINE = "baseline"
    APPROVE = "approve"
    ADMIN = "admin"


@dataclass(frozen=True, slots=True)
class Key:
    """One public key: an ``authorized_keys`` line without comment, or an armored OpenPGP key (empty: it was lost).

    ``fingerprint`` is ``SHA256:…`` as ssh-keygen prints it, or the 40 hexadecimal digits of the primary key.
    ``expires_at`` is when it ends counting for what comes; empty: never.
    """

    kind: str
    fingerprint: str
    public: str
    added_at: str
    expires_at: str = ""

    def expired(self, now_seconds: float) -> bool:
        """Say whether it counts no more for what comes in now, Unix time."""
        return bool(self.expires_at) and parse_rfc3339(self.expires_at) <= now_seconds


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody whose signatures count."""

    name: str
    roles: tuple[Role, ...]
    keys: tuple[Key, ...]


@dataclass(frozen=True, slots=True)
class Former:
    """A key that counted once; what was accepted with it stays accepted."""

    name: str
    key: Key
    removed_at: str


@dataclass(frozen=True, slots=True)
class Lock:
    """That a name counts for nothing for the time being, whatever else is right; it need not be a trusted one."""

    name: str
    reason: str
    locked_at: str

    @property
    def words(self) -> str:
        """The lock as it stands in a sentence: ``locked since …: reason``."""
        return f"locked since {self.locked_at}" + (f": {self.reason}" if self.reason else "")


@dataclass(frozen=True, slots=True)
class Thresholds:
    """How many persons must sign: ``baseline`` to approve one, ``admin`` to change whose signatures count."""

    baseline: int = 1
    admin: int = 1


@dataclass(frozen=True, slots=True)
class Trust:
    """The trust document. Its version only grows; 0 is the one that was never written."""

    version: int = 0
    people: tuple[Person, ...] = ()
    former: tuple[Former, ...] = ()
    locked: tuple[Lock, ...] = ()
    thresholds: Thresholds = Thresholds()

    def find(self, name: str) -> Person | None:
        """Return the person of that name."""
        return next((p for p in self.people if p.name == name), None)

    def lock_of(self, name: str) -> Lock | None:
        """Return the lock on a name."""
        return next((lock for lock in self.locked if lock.name == name), None)

    def owner(self, fingerprint: str) -> Person | None:
        """Return the person whose key this is."""
        return next((p for p in self.people for k in p.keys if k.fingerprint == fingerprint), None)

    def key(self, fingerprint: str) -> Key | None:
        """Return the key of that fingerprint, if it is somebody's."""
        return next((k for k in self.current_keys() if k.fingerprint == fingerprint), None)

    def expiring(self, by_seconds: float) -> tuple[tuple[Person, Key], ...]:
        """Return the keys that will have expired at a moment, Unix time, with whose they are, the first ones first."""
        found = [(p, k) for p in self.people for k in p.keys if k.expired(by_seconds)]
        return tuple(sorted(found, key=lambda one: parse_rfc3339(one[1].expires_at)))

    def former_owner(self, fingerprint: str) -> str | None:
        """Return the name of the person whose key this was."""
        return next((f.name for f in self.former if f.key.fingerprint == fingerprint), None)

    def holders(self, role: Role) -> tuple[Person, ...]:
        """Return everybody who has a role, locked or not."""
        return tuple(p for p in self.people if role in p.roles)

    def current_keys(self) -> Iterator[Key]:
        """Yield every key that counts."""
        return (key for person in self.people for key in person.keys)

    def all_keys(self) -> Iterator[Key]:
        """Yield every key that counts or counted."""
        yield from self.current_keys()
        yield from (f.key for f in self.former)


def is_person_name(text: str) -> bool:
    """Say whether a text can name a person: one word without meaning to ssh or a shell, and not the guard's."""
    return _NAME.fullmatch(text) is not None and text.lower() not in _RESERVED
