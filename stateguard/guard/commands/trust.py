"""Commands about whose signatures count."""

from __future__ import annotations

import base64
from dataclasses import asdict
from typing import Any

from stateguard.admission.secrets.scan import blanked
from stateguard.errors import NotFoundError, RefusedError, UsageProblemError
from stateguard.guard.applies import Say
from stateguard.guard.commands.desk import Command, Desk, actor
from stateguard.host.clock import now_text, wall_seconds
from stateguard.model.identity import person
from stateguard.model.trust import EXPIRY_WARNING_SECONDS, Key, Role, Trust
from stateguard.record.changes import Proposal
from stateguard.record.trail import follow
from stateguard.trust.keys import PRINCIPAL, load_pinned
from stateguard.trust.people import added, gpg_key, locked, removed, rotated, ssh_key, unlocked, with_threshold
from stateguard.trust.roles import decided_by, short_of


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
    return _decide(desk, parameters, before, after, body, say)


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
    return _decide(desk, parameters, before, after, body, say)


def _trust_remove(desk: Desk, parameters: dict[str, Any], say: Say) -> dict[str, Any]:
    guard, name = desk.guard, str(parameters["person"])
    fingerprint = parameters.get("key")
    before = guard.people.trust()
    after = removed(before, name, None if fingerprint is None else str(fingerprint), now_text())
    body = {"action": "remove", "name": name, "key": fingerprint}
    return _decide(desk, parameters, before, after, body, say)


def _trust_lock(desk: Desk, parameters: dict[str, Any], say: Say) -> dict[str, Any]:
    guard, name = desk.guard, str(parameters["person"])
    before = guard.people.trust()
    after = locked(before, name, blanked(str(parameters.get("reason") or "")), now_text())
    lock = after.lock_of(name)
    body = {"action": "lock", "name": name, "reason": lock.reason if lock else ""}
    return _decide(desk, parameters, before, after, body, say)


def _trust_unlock(desk: Desk, parameters: dict[str, Any], say: Say) -> dict[str, Any]:
    guard, name, forced = desk.guard, str(parameters["person"]), bool(parameters.get("force"))
    before = guard.people.trust()
    after = unlocked(before, name)
    if actor(parameters) == person(name) and not forced:
        message = f"you are {name}, and nobody ends their own lock"
        raise RefusedError(message, next_step=f"ask somebody else, or: stateguard trust unlock {name} --force")
    body = {"action": "unlock", "name": name, "forced": forced}
    return _decide(desk, parameters, before, after, body, say)


def _trust_threshold(desk: Desk, parameters: dict[str, Any], say: Say) -> dict[str, Any]:
    guard, persons = desk.guard, parameters.get("persons")
    role = _role(parameters.get("role"))
    if type(persons) is not int:
        raise UsageProblemError("a threshold is a number")
    before = guard.people.trust()
    after = with_threshold(before, role, persons)
    body = {"action": "threshold", "role": str(role), "persons": persons}
    return _decide(desk, parameters, before, after, body, say)


def _decide(
    desk: Desk, parameters: dict[str, Any], before: Trust, after: Trust, body: dict[str, Any], say: Say
) -> dict[str, Any]:
    """Put a change in force, or answer with what an admin is to sign for it: ``by`` is the fingerprint of whose key."""
    changes, by = desk.guard.changes, parameters.get("by")
    if by is not None and after != before and decided_by(before, after):
        found = changes.propose(before, after, body, str(by))
        return _to_sign(desk, found)
    changes.change(before, after, actor(parameters), body, force=bool(parameters.get("force")))
    say("nothing to change" if after == before else f"trust version {after.version}")
    _warn(before, after, say)
    return _document(desk, after)


def _warn(before: Trust, after: Trust, say: Say) -> None:
    """Say at once what a change leaves nobody able to decide, or to anybody."""
    for sentence in short_of(after, wall_seconds()):
        say(f"warning: {sentence}")
    if before.holders(Role.ADMIN) and not after.holders(Role.ADMIN):
        say("warning: nobody is an admin any more: whoever commands the guard changes whose signatures count")


def _to_sign(desk: Desk, found: Proposal) -> dict[str, Any]:
    """Answer with the bytes to sign, and the document to show them against: as the audit chain has it, not the disk."""
    base = found.base or desk.guard.changes.base()
    payload = base64.b64encode(found.payload).decode()
    return found.as_json() | {"payload": payload, "document": base.text, "since": base.version}


def _trust_pending(desk: Desk, parameters: dict[str, Any], _say: Say) -> dict[str, Any]:
    """Answer with the bytes that another admin, the owner of ``key``, a fingerprint, is to sign too."""
    desk.guard.changes.signer(str(parameters.get("key")))
    found = desk.guard.changes.pending()
    if found is None:
        raise NotFoundError("no change of trust waits for signatures", next_step="see: stateguard trust list")
    return _to_sign(desk, found)


def _trust_submit(desk: Desk, parameters: dict[str, Any], say: Say) -> dict[str, Any]:
    try:
        payload = base64.b64decode(str(parameters.get("payload")), validate=True)
    except ValueError as error:
        raise UsageProblemError("what was signed is not sent as base64") from error
    before = desk.guard.people.trust()
    found = desk.guard.changes.submit(payload, str(parameters.get("signature")), actor(parameters))
    if isinstance(found, Proposal):
        say(f"trust version {found.after.version} has {len(found.signers)} of {found.needed} signatures")
    else:
        say(f"trust version {found.version}")
        _warn(before, found, say)
    return _document(desk, desk.guard.people.trust())


def _trust_drop(desk: Desk, parameters: dict[str, Any], say: Say) -> dict[str, Any]:
    found = desk.guard.changes.drop(actor(parameters))
    say(f"the change to version {found.after.version} is given up")
    return _document(desk, desk.guard.people.trust())


def _trust_restore(desk: Desk, parameters: dict[str, Any], say: Say) -> dict[str, Any]:
    forced = bool(parameters.get("force"))  # else anybody who commands the guard may put back what was in force
    found = desk.guard.changes.restore(actor(parameters), force=forced)
    how = "as admins agreed to it last; this is on record" if forced else "as the audit chain has it"
    say(f"trust version {found.version} is in force, {how}")
    return _document(desk, found)


def _trust_verify(desk: Desk, _parameters: dict[str, Any], _say: Say) -> dict[str, Any]:
    guard = desk.guard
    return follow(guard.books.audit, guard.people, guard.identity).as_json()


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
    now, pending = wall_seconds(), desk.guard.changes.pending()
    pinned = load_pinned(desk.guard.home.trust)
    return {
        "version": trust.version,
        "guard": {"name": PRINCIPAL, "kind": pinned.kind, "fingerprint": pinned.fingerprint},
        "people": [
            {"name": p.name, "roles": [str(r) for r in p.roles], "keys": [_key(k) for k in p.keys]}
            for p in trust.people
        ],
        "thresholds": asdict(trust.thresholds),
        "pending": None if pending is None else pending.as_json(),
        "without_admins": desk.guard.people.without_admins() or None,
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
    "trust-pending": Command(_trust_pending),
    "trust-submit": Command(_trust_submit, writes=True),
    "trust-drop": Command(_trust_drop, writes=True),
    "trust-restore": Command(_trust_restore, writes=True),
    "trust-verify": Command(_trust_verify),
    "trust-threshold": Command(_trust_threshold, writes=True),
}
