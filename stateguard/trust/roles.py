"""Whose signatures make a decision: one of each person who has the role, is not locked, and whose key counts; pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from stateguard.errors import TrustError
from stateguard.model.trust import Person, Role, Trust
from stateguard.text.words import count


@dataclass(frozen=True, slots=True)
class Quorum:
    """Signatures counted: the places of those that count, one a person and in their order, and how many it takes."""

    counted: tuple[int, ...]
    needed: int

    @property
    def reached(self) -> bool:
        """Whether enough persons have signed."""
        return len(self.counted) >= self.needed


def quorum(trust: Trust, role: Role, keys: Sequence[str], needed: int, now_seconds: float) -> Quorum:
    """Count the signatures made by these keys (fingerprints) over the same bytes; whether they hold is known before.

    Two keys of one person are one signature. A key that has expired by now, Unix time, counts no more.

    Raises:
        ValueError: it takes none at all.
    """
    if needed < 1:
        raise ValueError("a decision takes somebody's signature")
    places: dict[str, int] = {}
    for place, key in enumerate(keys):
        try:
            person = qualified(trust, role, key, now_seconds)
        except TrustError:
            continue  # whoever does not qualify is not counted; there is nothing to be said of it here
        places.setdefault(person.name, place)
    return Quorum(tuple(places.values()), needed)


def short_of(trust: Trust, now_seconds: float) -> tuple[str, ...]:
    """Return a sentence for each decision that too few persons could sign now, Unix time."""
    found = []
    for role, needed in ((Role.BASELINE, trust.thresholds.baseline), (Role.ADMIN, trust.thresholds.admin)):
        able = [p for p in trust.holders(role) if any(_counts(trust, role, k.fingerprint, now_seconds) for k in p.keys)]
        if needed > max(len(able), 1) or (trust.holders(role) and not able):
            found.append(f"{count(len(able), 'person')} can sign as {role}, and it takes {needed}")
    return tuple(found)


def _counts(trust: Trust, role: Role, key: str, now_seconds: float) -> bool:
    try:
        qualified(trust, role, key, now_seconds)
    except TrustError:
        return False
    return True


def decided_by(before: Trust, after: Trust) -> int:
    """Return how many admins must sign a change of trust; 0: whoever commands the guard decides.

    That is so while nobody is an admin; and for locks, which only take away and must not wait.
    """
    if not before.holders(Role.ADMIN) or _only_locks(before, after):
        return 0
    return before.thresholds.admin


def _only_locks(before: Trust, after: Trust) -> bool:
    kept = {lock.name: lock.locked_at for lock in before.locked}
    found = {lock.name: lock.locked_at for lock in after.locked}
    if not kept.items() <= found.items():
        return False
    return replace(after, version=before.version, locked=before.locked) == before


def qualified(trust: Trust, role: Role, key: str, now_seconds: float) -> Person:
    """Return the person whose key this fingerprint names, if their signature counts for a role.

    Raises:
        TrustError: it is nobody's, has expired, or that person is locked or has not the role.
    """
    person = trust.owner(key)
    if person is None:
        message = f"the key {key} is trusted as nobody's"
        raise TrustError(message, next_step=f"stateguard trust add NAME --ssh KEY.pub (or --gpg KEY) --role {role}")
    lock = trust.lock_of(person.name)
    if lock is not None:
        message = f"{person.name} is {lock.words}"
        raise TrustError(message, next_step=f"stateguard trust unlock {person.name}, if that is over")
    if role not in person.roles:
        message = f"{person.name} has not the role {role}"
        roles = " ".join(f"--role {one}" for one in (*person.roles, role))
        raise TrustError(message, next_step=f"stateguard trust add {person.name} {roles}")
    known = trust.key(key)
    if known is not None and known.expired(now_seconds):
        message = f"{person.name}'s key {key} expired at {known.expires_at}"
        raise TrustError(message, next_step=f"stateguard trust rotate {person.name} --ssh NEW.pub --key {key}")
    return person
