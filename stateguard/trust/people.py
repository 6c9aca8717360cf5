"""The trust document as files, and what a change of it may be: values in, a new document out."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from stateguard.config.trust import TRUST_FILE, load_trust, trust_document
from stateguard.errors import NotFoundError, RefusedError, StorageError, TrustError, UsageProblemError
from stateguard.host import files
from stateguard.model.moment import parse_rfc3339, rfc3339
from stateguard.model.trust import GPG, Former, Key, Lock, Person, Role, Trust, is_person_name
from stateguard.text.words import count
from stateguard.trust.gpg import read_key
from stateguard.trust.keys import ALLOWED_SIGNERS, guard_lines, load_pinned
from stateguard.trust.public import parse_public

_ARMORED = re.compile(r"([0-9A-F]{40})\.asc")
_LONGEST_REASON = 300
_DECIDING = (Role.BASELINE, Role.ADMIN)
"""The roles whose decisions may take several persons."""
_PRIVATE = re.compile(rb"-----BEGIN [A-Z ]*PRIVATE KEY")


def load(folder: Path) -> Trust:
    """Read ``trust.yaml`` and the armored keys beside it; a home where nobody was trusted yet has none.

    Raises:
        InvalidDocument: it does not hold.
        StorageError: it cannot be read.
    """
    return read(folder)[0]


def read(folder: Path) -> tuple[Trust, bytes]:
    """Return what :func:`load` does, and the bytes that say so; none if there is no document.

    Raises:
        InvalidDocument: it does not hold.
        StorageError: it cannot be read.
    """
    path = folder / TRUST_FILE
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return Trust(), b""
    except OSError as error:
        message = f"{path} cannot be read: {os.strerror(error.errno or 0)}"
        raise StorageError(message, next_step="put it back from your backup") from error
    return load_trust(content, str(path), _told, armored_in(folder)), content


def armored_in(folder: Path) -> dict[str, str]:
    """Return the OpenPGP keys that lie beside a document, by their fingerprints.

    Raises:
        StorageError: they cannot be read.
    """
    try:
        return {
            match[1]: file.read_text(encoding="ascii", errors="replace")
            for file in sorted(folder.iterdir())
            if (match := _ARMORED.fullmatch(file.name))
        }
    except OSError as error:
        message = f"the keys in {folder} cannot be read: {os.strerror(error.errno or 0)}"
        raise StorageError(message, next_step="put them back from your backup") from error


def parse(document: str, armored: Mapping[str, str]) -> Trust:
    """Return the trust that the text of a document declares; ``armored`` maps fingerprints to OpenPGP keys.

    Raises:
        InvalidDocument: it does not hold.
    """
    return load_trust(document.encode(), TRUST_FILE, _told, armored)


def armored_keys(trust: Trust) -> dict[str, str]:
    """Return the OpenPGP keys of a document, which are not part of its text, by their fingerprints."""
    return {key.fingerprint: key.public for key in trust.all_keys() if key.kind == GPG and key.public}


def save(folder: Path, trust: Trust, document: str = "") -> None:
    """Write the document, the keys beside it, and ``allowed_signers`` for stock ssh-keygen and git, durably.

    ``document`` is its text, if that is to be another than it would be written with.

    Raises:
        StorageError: the disk refused; the document is the old one or the new one.
    """
    try:
        for key in trust.all_keys():
            path = folder / f"{key.fingerprint}.asc"
            if key.kind == GPG and key.public and not (path.is_file() and path.read_text("ascii") == key.public):
                files.replace(path, key.public.encode(), 0o644)
        lines = guard_lines(folder)
        files.replace(folder / TRUST_FILE, (document or trust_document(trust)).encode(), 0o644)
        people = [
            f'{p.name} namespaces="git,stateguard" {k.public}'
            for p in trust.people
            for k in p.keys
            if k.kind != GPG and trust.lock_of(p.name) is None
        ]
        files.replace(folder / ALLOWED_SIGNERS, "\n".join([*lines, *people, ""]).encode(), 0o644)
    except OSError as error:
        message = f"the trust document cannot be written: {os.strerror(error.errno or 0)}"
        changed = "the audit chain may name a change that is not in force"
        raise StorageError(message, changed=changed, next_step="mend the disk and try again") from error


def ssh_key(offered: str, at: str) -> Key:
    """Return the one key that the text of a ``.pub`` file holds. ``at`` is now, RFC 3339.

    Raises:
        TrustError: there is not exactly one, it is private, too short or of a kind that does not count.
    """
    refuse_private(offered.encode())
    lines = [line for line in offered.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    if len(lines) != 1:
        message = f"there is not exactly one SSH public key but {len(lines)} lines"
        raise TrustError(message, next_step="give one key at a time, such as ~/.ssh/id_ed25519.pub")
    public = parse_public(lines[0])
    return Key(public.kind, public.fingerprint, public.line, at)


def gpg_key(offered: bytes, at: str) -> Key:
    """Return the one OpenPGP key that a file holds. ``at`` is now, RFC 3339.

    Raises:
        TrustError: there is not exactly one, it is private, or unfit; or gpg is missing.
    """
    refuse_private(offered)
    found = read_key(offered)
    return Key(GPG, found.fingerprint, found.armored, at)


def refuse_private(content: bytes) -> None:
    """Refuse a private key in text form: it has no business with the guard.

    Raises:
        TrustError: there is one.
    """
    if _PRIVATE.search(content):
        message = "this is a private key; it was not stored anywhere"
        raise TrustError(message, next_step="give the public key: the file that ends in .pub, or gpg --armor --export")


def added(
    trust: Trust, folder: Path, name: str, key: Key | None, roles: Sequence[Role] | None, expires: str | None = None
) -> Trust:
    """Return the trust with a key under a name; ``roles`` None leaves a person's, and gives a new one ``push``.

    ``expires`` is when the key ends counting, RFC 3339; empty: never; None leaves what a known key has.

    Raises:
        UsageProblemError: the name cannot name a person, or the expiry is none, past, or of no key.
        NotFoundError: there is neither a key nor such a person.
        RefusedError: the key is another person's, or the guard's own.
    """
    if not is_person_name(name):
        message = f"{name!r} cannot name a person"
        raise UsageProblemError(
            message, next_step="use letters, digits and . _ @ + -, such as alice, and no name of the guard's"
        )
    known = trust.find(name)
    if key is None and known is None:
        message = f"nobody is trusted under the name {name}"
        raise NotFoundError(message, next_step="give a key: --ssh FILE or --gpg FILE")
    if key is not None:
        _check_owner(trust, folder, name, key)
    if expires is not None and key is None:
        raise UsageProblemError("there is no key that could expire", next_step="give it: --ssh FILE or --gpg FILE")
    before = known or Person(name, (Role.PUSH,), ())
    keys = before.keys
    if key is not None:
        same = next((k for k in keys if k.fingerprint == key.fingerprint), None)
        kept = replace(key, added_at=same.added_at, expires_at=same.expires_at) if same else key
        kept = kept if expires is None else replace(kept, expires_at=_expiry(expires, key.added_at))
        keys = (*(k for k in keys if k != same), kept) if kept != same else keys
    chosen = before.roles if roles is None else tuple(role for role in Role if role in roles)
    after = Person(name, chosen, keys)
    if after == known:
        return trust
    people = [after if p.name == name else p for p in trust.people] + ([] if known else [after])
    fingerprint = key.fingerprint if key else None
    former = tuple(f for f in trust.former if f.key.fingerprint != fingerprint)
    return replace(trust, version=trust.version + 1, people=tuple(people), former=former)


def _expiry(text: str, now: str) -> str:
    if not text:
        return ""
    try:
        at = parse_rfc3339(text)
        written = rfc3339(at)
    except (ValueError, OverflowError) as error:
        raise UsageProblemError(str(error), next_step="write it so: 2027-01-31T00:00:00Z") from error
    if at <= parse_rfc3339(now):
        message = f"{text} is past; a key that has expired would count for nothing"
        raise UsageProblemError(message, next_step="give a time to come, or trust remove takes the key away")
    return written


def rotated(trust: Trust, folder: Path, name: str, key: Key, old: str | None, expires: str | None = None) -> Trust:
    """Return the trust with a person's key replaced by another in one version; the old one stays known.

    ``old`` is its fingerprint; None: the only one there is. The time of it is when the new key was given.

    Raises:
        NotFoundError: there is no such person or key.
        UsageProblemError: which of several keys is not said, or the expiry is none or past.
        RefusedError: the new key is in use already, here or elsewhere.
    """
    known = trust.find(name)
    if known is None:
        message = f"nobody is trusted under the name {name}"
        raise NotFoundError(message, next_step="see: stateguard trust list")
    if old is None and len(known.keys) > 1:
        message = f"{name} has {count(len(known.keys), 'key')}; which one goes is not said"
        raise UsageProblemError(message, next_step=f"add: --key {known.keys[0].fingerprint}")
    if any(k.fingerprint == key.fingerprint for k in known.keys):
        message = f"the key {key.fingerprint} is {name}'s already"
        raise RefusedError(message, next_step=f"stateguard trust remove {name} --key OLD takes the other one away")
    both = added(trust, folder, name, key, None, expires)
    after = removed(both, name, old or known.keys[0].fingerprint, key.added_at)
    return replace(after, version=trust.version + 1)


def _check_owner(trust: Trust, folder: Path, name: str, key: Key) -> None:
    owner = trust.owner(key.fingerprint)
    if owner is not None and owner.name != name:
        message = f"the key {key.fingerprint} is {owner.name}'s; a key has one owner"
        raise RefusedError(message, next_step=f"stateguard trust remove {owner.name} --key {key.fingerprint}")
    earlier = trust.former_owner(key.fingerprint)
    if earlier not in (None, name):
        message = (
            f"the key {key.fingerprint} was {earlier}'s, whose signatures with it still count for what was accepted"
        )
        raise RefusedError(message, next_step=f"give a key of {name}'s own: ssh-keygen -t ed25519")
    if key.fingerprint == load_pinned(folder).fingerprint:
        raise RefusedError("this is the guard's own key; it is nobody else's", next_step="give a key of the person's")


def removed(trust: Trust, name: str, fingerprint: str | None, at: str) -> Trust:
    """Return the trust without a person's key, or without the person; the keys stay known as former ones.

    Raises:
        NotFoundError: there is no such person or key.
    """
    known = trust.find(name)
    if known is None:
        message = f"nobody is trusted under the name {name}"
        raise NotFoundError(message, next_step="see: stateguard trust list")
    gone = [k for k in known.keys if fingerprint in (None, k.fingerprint)]
    if not gone:
        message = f"{name} has no key {fingerprint}"
        raise NotFoundError(message, next_step="see: stateguard trust list")
    left = replace(known, keys=tuple(k for k in known.keys if k not in gone))
    people = tuple(left if p.name == name else p for p in trust.people if p.name != name or left.keys)
    former = (*trust.former, *(Former(name, k, at) for k in gone))
    return replace(trust, version=trust.version + 1, people=people, former=former)


def locked(trust: Trust, name: str, reason: str, at: str) -> Trust:
    """Return the trust with a name locked; it need not be a trusted person's. A second time, the reason is replaced.

    Raises:
        UsageProblemError: the name cannot name a person, or the reason is too long.
    """
    if not is_person_name(name):
        message = f"{name!r} cannot name a person"
        raise UsageProblemError(message, next_step="give a name of trust list, or of a user who pushes")
    said = " ".join("".join(c if c.isprintable() else " " for c in reason).split())
    if len(said) > _LONGEST_REASON:
        raise UsageProblemError(f"the reason has {len(said)} characters", next_step=f"use at most {_LONGEST_REASON}")
    known = trust.lock_of(name)
    lock = Lock(name, said or (known.reason if known else ""), known.locked_at if known else at)
    if lock == known:
        return trust
    return replace(trust, version=trust.version + 1, locked=(*(x for x in trust.locked if x != known), lock))


def unlocked(trust: Trust, name: str) -> Trust:
    """Return the trust with a name locked no longer.

    Raises:
        NotFoundError: it is not locked.
    """
    known = trust.lock_of(name)
    if known is None:
        message = f"{name} is not locked"
        raise NotFoundError(message, next_step="see: stateguard trust list")
    return replace(trust, version=trust.version + 1, locked=tuple(x for x in trust.locked if x != known))


def with_threshold(trust: Trust, role: Role, persons: int) -> Trust:
    """Return the trust in which so many persons must sign what a role decides.

    Raises:
        UsageProblemError: nothing is decided by so many, or by that role.
        RefusedError: fewer persons have the role, so that nothing could be decided any more.
    """
    if persons < 1 or role not in _DECIDING:
        message = f"a threshold of {persons} for the role {role} cannot be"
        raise UsageProblemError(message, next_step=f"use 1 or more, for {' or '.join(_DECIDING)}")
    holders = trust.holders(role)
    if persons > max(len(holders), 1):
        message = f"{count(len(holders), 'person')} with the role {role} cannot make {persons} signatures"
        raise RefusedError(message, next_step=f"stateguard trust add NAME --ssh KEY.pub --role {role}, then again")
    thresholds = replace(trust.thresholds, **{str(role): persons})
    return trust if thresholds == trust.thresholds else replace(trust, version=trust.version + 1, thresholds=thresholds)


def _told(line: str) -> tuple[str, str]:
    key = parse_public(line)
    return key.kind, key.fingerprint
