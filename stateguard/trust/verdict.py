"""Whose signature is this? One answer for SSH and GPG, by the keys that people are trusted with."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from stateguard.errors import TrustError
from stateguard.model.trust import GPG, Role, Trust
from stateguard.trust import ssh
from stateguard.trust.armor import PGP_SIGNATURE, SSH_SIGNATURE
from stateguard.trust.gpg import GpgMissingError
from stateguard.trust.gpgstatus import Finding, Sighting
from stateguard.trust.public import read_key

GpgVerify = Callable[[Sequence[str], bytes, str], Sighting]
"""Gives what gpg finds of an armored signature over bytes, knowing some armored keys only."""

_X509 = "-----BEGIN SIGNED MESSAGE-----"


class Standing(StrEnum):
    """What a signature is worth."""

    UNSIGNED = "unsigned"
    KNOWN = "known"
    UNKNOWN = "unknown"
    BAD = "bad"


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whose signature it is. ``name`` and ``roles`` are a known person's; ``detail`` says why it is unknown or bad.

    A locked person is known and has no roles; likewise one whose key has expired. ``detail`` says so, and since when.
    """

    standing: Standing
    name: str = ""
    fingerprint: str = ""
    detail: str = ""
    roles: tuple[Role, ...] = ()

    @property
    def words(self) -> str:
        """The verdict as it stands in a sentence, such as ``signed by alice``."""
        if self.standing is Standing.KNOWN:
            return f"signed by {self.name}" + (f", {self.detail}" if self.detail else "")
        if self.standing is Standing.UNSIGNED:
            return "unsigned"
        return self.detail


@dataclass(frozen=True, slots=True)
class Proof:
    """An accepted signature looked at again; without problems it holds, warnings or not.

    ``looked``: it could be looked at; else a warning says what kept us from it.
    """

    problems: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    looked: bool = True


def judge(
    content: bytes, text: str | None, trust: Trust, gpg: GpgVerify, *, now_seconds: float,
    namespace: str = ssh.GIT_NAMESPACE,
) -> Verdict:  # fmt: skip
    """Return whose signature an armored one over these bytes is, judged now (Unix time); None is none.

    Raises:
        StorageError: gpg could not be given what it needs.
    """
    if text is None:
        return Verdict(Standing.UNSIGNED)
    if text.lstrip().startswith(f"-----BEGIN {PGP_SIGNATURE}-----"):
        return _of_gpg(content, text, trust, gpg, now_seconds)
    if text.lstrip().startswith(_X509):
        return Verdict(Standing.UNKNOWN, detail="signed with X.509, which is not checked")
    return _of_ssh(content, text, trust, namespace, now_seconds)


def prove(
    content: bytes, text: str | None, fingerprint: str, trust: Trust, gpg: GpgVerify,
    namespace: str = ssh.GIT_NAMESPACE, *, lasting: bool = True,
) -> Proof:  # fmt: skip
    """Look again at a signature that was accepted as one by this key; that the key no longer counts is no problem.

    ``lasting`` says that it is none either if key or signature have expired, or the key was revoked, as gpg sees it.

    Raises:
        StorageError: gpg could not be given what it needs.
    """
    warnings = () if trust.owner(fingerprint) else (f"the key {fingerprint} is not trusted any more; it was then",)
    if text is not None and text.lstrip().startswith(f"-----BEGIN {SSH_SIGNATURE}-----"):
        try:
            found = ssh.parse_signature(text)
            if found.fingerprint != fingerprint:
                return Proof((f"signed by another key than {fingerprint}",))
            ssh.check(content, found, read_key(found.key), namespace)
        except TrustError as error:
            return Proof((error.message,))
        return Proof((), warnings)
    keys = [k.public for k in trust.all_keys() if k.kind == GPG and k.fingerprint == fingerprint and k.public]
    try:
        sighting = gpg(keys, content, text or "")
    except GpgMissingError as error:
        return Proof((), (*warnings, f"its signature was not looked at again: {error.message}"), looked=False)
    if sighting.finding is Finding.UNKNOWN_KEY:
        warning = f"its signature was not looked at again: the key {fingerprint} is not at hand"
        return Proof((), (*warnings, warning), looked=False)
    if sighting.primary != fingerprint:
        return Proof((sighting.detail or f"signed by another key than {fingerprint}",))
    if sighting.finding is not Finding.GOOD and not lasting:
        return Proof((sighting.detail,))
    return Proof((), (*warnings, *([sighting.detail] if sighting.detail else [])))


def _of_ssh(content: bytes, text: str, trust: Trust, namespace: str, now_seconds: float) -> Verdict:
    try:
        found = ssh.parse_signature(text)
    except TrustError as error:
        return _bad(error.message)
    try:
        key = read_key(found.key)
    except TrustError as error:
        detail = f"signed by a key that does not count ({found.fingerprint}: {error.message})"
        return Verdict(Standing.UNKNOWN, fingerprint=found.fingerprint, detail=detail)
    try:
        ssh.check(content, found, key, namespace)
    except TrustError as error:
        return _bad(error.message, found.fingerprint)
    return _known(trust, key.fingerprint, now_seconds)


def _of_gpg(content: bytes, text: str, trust: Trust, gpg: GpgVerify, now_seconds: float) -> Verdict:
    keys = [k.public for k in trust.current_keys() if k.kind == GPG and k.public]
    try:
        sighting = gpg(keys, content, text)
    except GpgMissingError as error:
        return Verdict(Standing.UNKNOWN, detail=f"signed with GPG, which cannot be checked ({error.message})")
    if sighting.finding is Finding.GOOD:
        return _known(trust, sighting.primary, now_seconds)
    if sighting.finding is Finding.UNKNOWN_KEY:  # what it claims is not proven: it may well name a key that counts
        return Verdict(Standing.UNKNOWN, fingerprint=sighting.key, detail=f"signed by an unknown key ({sighting.key})")
    owner = trust.owner(sighting.primary)
    whose = f" (by {owner.name})" if owner else ""
    return _bad(f"{sighting.detail}{whose}", sighting.primary)


def _known(trust: Trust, fingerprint: str, now_seconds: float) -> Verdict:
    owner = trust.owner(fingerprint)
    lock = trust.lock_of(owner.name) if owner else None
    if owner is not None and lock is not None:
        return Verdict(Standing.KNOWN, owner.name, fingerprint, f"who is {lock.words}")
    key = trust.key(fingerprint)
    if owner is not None and key is not None and key.expired(now_seconds):
        return Verdict(Standing.KNOWN, owner.name, fingerprint, f"whose key {fingerprint} expired at {key.expires_at}")
    if owner is not None:
        return Verdict(Standing.KNOWN, owner.name, fingerprint, roles=owner.roles)
    was = trust.former_owner(fingerprint)
    whose = f"a key of {was}'s that was removed" if was else "an unknown key"
    return Verdict(Standing.UNKNOWN, fingerprint=fingerprint, detail=f"signed by {whose} ({fingerprint})")


def _bad(reason: str, fingerprint: str = "") -> Verdict:
    return Verdict(Standing.BAD, fingerprint=fingerprint, detail=f"its signature does not hold: {reason}")
