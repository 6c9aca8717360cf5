"""Commands about whose signatures count."""

from __future__ import annotations

import base64
from dataclasses import asdict
from typing import Any

from stateguard.admission.secrets.scan import blanked
from stateguard.errors import RefusedError, UsageProblemError
from stateguard.guard.applies import Say
from stateguard.guard.commands.desk import Command, Desk, actor
from stateguard.host.clock import now_text, wall_seconds
from stateguard.model.identity import person
from stateguard.model.trust import EXPIRY_WARNING_SECONDS, Key, Role, Trust
from stateguard.trust.keys import PRINCIPAL, load_pinned
from stateguard.trust.people import added, gpg_key, locked, removed, rotated, ssh_key, unlocked, with_threshold


def _trust_list(desk: Desk, _parameters: dict[str, Any], _say: Say) -> dict[str, Any]:
    return _document(desk, desk.guard.people.trust())


def _trust_add(desk: Desk, parameters: dict[str, Any], say: Say) -> dict[str, Any]:
    guard, name = desk.guard, str(parameters["person"])
    roles = _roles(parameters.get("roles"))
    key, expires = offered_key(parameters), _expires(parameters)
    before = guard.people.trust()
    after = added(before, guard.home.trust, name, key, roles, expires)
    known = after.find(name)
    body = {"action": "add", "name": name, "key": key.fingerprint if key else None,
            "roles": [str(r) for r in known.roles] if known else []}  # fmt: skip
    body |= {} if expires is None else {"expires_at": expires}
    guard.people.change(before, after, actor(parameters), body)
    say("nothing to change" if after == before else f"trust version {after.version}")
    return _document(desk, after)


def _trust_rotate(desk: Desk, parameters: dict[str, Any], say: Say) -> dict[str, Any]:
    guard, name, old, expires = desk.guard, str(parameters["person"]), parameters.get("key"), _expires(parameters)
    key = offered_key(parameters)
    if key is None:
        raise UsageProblemError("there is no new key", next_step="give it: --ssh FILE or --gpg FILE")
    before = guard.people.trust()
    after = rotated(before, guard.home.trust, name, key, None if old is None else str(old), expires)
    gone = next(f.key.fingerprint for f in reversed(after.former))
    body = {"action": "rotate", "name": name, "key": key.fingerprint, "former": gone}
    body |= {} if expires is None else {"expires_at": expires}
    guard.people.change(before, after, actor(parameters), body)
    say(f"trust version {after.version}")
    return _document(desk, after)


def _trust_remove(desk: Desk, parameters: dict[str, Any], say: Say) -> dict[str, Any]:
    guard, name = desk.guard, str(parameters["person"])
    fingerprint = parameters.get("key")
    before = guard.people.trust()
    after = removed(before, name, None if fingerprint is None else str(fingerprint), now_text())
    body = {"action": "remove", "name": name, "key": fingerprint}
    guard.people.change(before, after, actor(parameters), body)
    say(f"trust version {after.version}")
    return _document(desk, after)


def _trust_lock(desk: Desk, parameters: dict[str, Any], say: Say) -> dict[str, Any]:
    guard, name = desk.guard, str(parameters["person"])
    before = guard.people.trust()
    after = locked(before, name, blanked(str(parameters.get("reason") or "")), now_text())
    lock = after.lock_of(name)
    body = {"action": "lock", "name": name, "reason": lock.reason if lock else ""}
    guard.people.change(before, after, actor(parameters), body)
    say("nothing to change" if after == before else f"trust version {after.version}")
    return _document(desk, after)


def _trust_unlock(desk: Desk, parameters: dict[str, Any], say: Say) -> dict[str, Any]:
    guard, name, forced = desk.guard, str(parameters["person"]), bool(parameters.get("force"))
    before = guard.people.trust()
    after = unlocked(before, name)
    if actor(parameters) == person(name) and not forced:
        message = f"you are {name}, and nobody ends their own lock"
        raise RefusedError(message, next_step=f"ask somebody else, or: stateguard trust unlock {name} --force")
    guard.people.change(before, after, actor(parameters), {"action": "unlock", "name": name, "forced": forced})
    say(f"trust version {after.version}")
    return _document(desk, after)


def _trust_threshold(desk: Desk, parameters: dict[str, Any], say: Say) -> dict[str, Any]:
    guard, persons = desk.guard, parameters.get("persons")
    role = _role(parameters.get("role"))
    if type(persons) is not int:
        raise UsageProblemError("a threshold is a number")
    before = guard.people.trust()
    after = with_threshold(before, role, persons)
    body = {"action": "threshold", "role": str(role), "persons": persons}
    guard.people.change(before, after, actor(parameters), body)
    say("nothing to change" if after == before else f"trust version {after.version}")
    return _document(desk, after)


def offered_key(parameters: dict[str, Any]) -> Key | None:
    """Return the key that a request carries: ``ssh`` the text of a .pub file, ``gpg`` an exported key in base64.

    Raises:
        UsageProblemError: there are two, or it is no base64.
        TrustError: the key does not count.
    """
    ssh, gpg = parameters.get("ssh"), parameters.get("gpg")
    if ssh is not None and gpg is not None:
        raise UsageProblemError("there are two keys", next_step="add one key at a time")
    if ssh is not None:
        return ssh_key(str(ssh), now_text())
    if gpg is None:
        return None
    try:
        content = base64.b64decode(str(gpg), validate=True)
    except ValueError as error:
        raise UsageProblemError("the OpenPGP key is not sent as base64") from error
    return gpg_key(content, now_text())


def _expires(parameters: dict[str, Any]) -> str | None:
    """Return when the key that a request carries expires; empty: ``never``; None: it does not say."""
    given = parameters.get("expires")
    return None if given is None else "" if given == "never" else str(given)


def _roles(given: object) -> list[Role] | None:
    if given is None:
        return None
    if not isinstance(given, list):
        raise UsageProblemError("roles are a list")
    return [_role(one) for one in given]


def _role(given: object) -> Role:
    try:
        return Role(str(given))
    except ValueError as error:
        raise UsageProblemError(str(error), next_step=f"roles: {', '.join(Role)}") from error


def _document(desk: Desk, trust: Trust) -> dict[str, Any]:
    now = wall_seconds()
    pinned = load_pinned(desk.guard.home.trust)
    return {
        "version": trust.version,
        "guard": {"name": PRINCIPAL, "kind": pinned.kind, "fingerprint": pinned.fingerprint},
        "people": [
            {"name": p.name, "roles": [str(r) for r in p.roles], "keys": [_key(k) for k in p.keys]}
            for p in trust.people
        ],
        "thresholds": asdict(trust.thresholds),
        "expiring": [
            {"name": p.name, "fingerprint": k.fingerprint, "expires_at": k.expires_at, "expired": k.expired(now)}
            for p, k in trust.expiring(now + EXPIRY_WARNING_SECONDS)
        ],
        "locked": [{"name": x.name, "reason": x.reason, "since": x.locked_at} for x in trust.locked],
        "former": [{"name": f.name, **_key(f.key), "removed_at": f.removed_at} for f in trust.former],
    }


def _key(key: Key) -> dict[str, Any]:
    return {
        "kind": key.kind,
        "fingerprint": key.fingerprint,
        "added_at": key.added_at,
        "expires_at": key.expires_at or None,
    }


COMMANDS: dict[str, Command] = {
    "trust-list": Command(_trust_list),
    "trust-add": Command(_trust_add, writes=True),
    "trust-rotate": Command(_trust_rotate, writes=True),
    "trust-remove": Command(_trust_remove, writes=True),
    "trust-lock": Command(_trust_lock, writes=True),
    "trust-unlock": Command(_trust_unlock, writes=True),
    "trust-threshold": Command(_trust_threshold, writes=True),
}
