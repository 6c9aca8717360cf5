"""Every change of trust, followed through the audit chain: was each one signed by those who could decide it then?"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from stateguard.errors import StateguardError
from stateguard.model.moment import parse_rfc3339
from stateguard.model.trust import Role, Trust
from stateguard.record.audit import Audit
from stateguard.record.people import People, digest_of
from stateguard.trust.change import to_sign
from stateguard.trust.people import parse
from stateguard.trust.roles import decided_by, quorum
from stateguard.trust.ssh import TRUST_NAMESPACE

RESTORED = "restore"
"""The action of a change that puts an earlier document in force again; it may leave versions out."""


@dataclass(frozen=True, slots=True)
class Document:
    """A trust document as the chain has it. ``text`` is empty, ``trust`` None, in entries of an earlier stateguard."""

    version: int
    digest: str
    text: str = ""
    trust: Trust | None = None


@dataclass(slots=True)
class Trail:
    """What was found: how many changes, which versions came without the admins who had to sign, what is wrong.

    ``last`` is the document that the chain says is in force; ``agreed`` the last one that was decided as it took: by
    signatures of admins of the agreed one before it, or by nobody's if it took none. ``standing`` is what was wrong
    since, ``astray`` how what lies on the disk differs from the last, ``owed`` who forced a change in which
    the admins of the agreed one had no say yet. ``chain`` is what is wrong with the whole chain.
    """

    changes: int = 0
    without_admins: list[dict[str, Any]] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    unfollowed: dict[str, Any] | None = None
    last: Document | None = None
    agreed: Document | None = None
    highest: int = 0
    standing: list[str] = field(default_factory=list)
    astray: str = ""
    owed: str = ""
    chain: tuple[str, ...] = ()

    def as_json(self) -> dict[str, object]:
        """Return the keys of ``trust verify``."""
        return {
            "valid": not self.problems,
            "changes": self.changes,
            "unfollowed": self.unfollowed,
            "without_admins": self.without_admins,
            "problems": self.problems,
        }

    def wrong(self, problem: str) -> None:
        """Note a problem."""
        self.problems.append(problem)
        self.standing.append(problem)


@dataclass(frozen=True, slots=True)
class _Change:
    """One entry of the chain, read."""

    version: int
    digest: str
    text: str
    at: str
    actor: str
    action: str
    forced: bool
    signatures: tuple[dict[str, Any], ...]


def follow(audit: Audit, people: People, identity: str, *, whole: bool = False) -> Trail:
    """Follow every change in the chain, oldest first, and hold the document that lies there against the last one.

    Entries from before they held their documents cannot be followed; the first document is taken as it is then.
    Entries in commits that the guard did not sign are not followed either, and told. Whether the rest of the chain
    holds is in ``chain``, in full if it is to be looked at ``whole``, and is no problem of the trail.

    Raises:
        TrustError: the guard's key is not known.
        StorageError: the keys beside the document cannot be read.
    """
    found, entries = audit.verified(people.guard_key(), "trust", whole=whole)
    follower = _Follower(people, identity, people.armored(), Trail(chain=found.problems))
    for entry in entries:
        if entry["commit"] in found.unsound:
            follower.trail.wrong(f"{entry['commit']}: a change of trust in a commit that is not the guard's")
            continue
        try:
            change = _read(entry)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            follower.trail.wrong(f"{entry['commit']}: an entry is no change of trust: {error}")
            continue
        follower.step(change)
    _compare(follower.trail, people)
    return follower.trail


def _read(entry: dict[str, Any]) -> _Change:
    body = entry["body"]
    version, text, at = body["version"], body.get("text", ""), str(entry["at"])
    if type(version) is not int or not isinstance(text, str):
        raise TypeError("it says no version, or its document is no text")
    parse_rfc3339(at)
    signatures = tuple(dict(one) for one in body.get("signatures", []))
    return _Change(version, str(body.get("document", "")), text, at, str(entry["actor"]), str(body.get("action", "")),
                   bool(body.get("without_admins")), signatures)  # fmt: skip


def _compare(trail: Trail, people: People) -> None:
    """Hold the document in force against the last one of the chain, byte for byte."""
    try:
        trust, text = people.in_force()
    except StateguardError as error:
        trail.astray = error.message
    else:
        if trail.last is None and trust.version:
            trail.astray = f"version {trust.version} is in force, and the chain holds no change of trust"
        elif trail.last and trail.last.digest and digest_of(text.encode()) != trail.last.digest:
            trail.astray = f"the document in force is not what the chain says version {trail.last.version} is"
    if trail.astray:
        trail.problems.append(trail.astray)


def has_signed(agreed: Trust, keys: list[str], at: float) -> bool:
    """Say whether as many admins of a document have signed a next one, with these keys, as a change takes by it.

    So it is, too, if it names no admin: it takes nobody then. ``at`` is when, Unix time.
    """
    if not agreed.holders(Role.ADMIN):
        return True
    return quorum(agreed, Role.ADMIN, keys, agreed.thresholds.admin, at).reached


class _Follower:
    """Goes from one change to the next."""

    def __init__(self, people: People, identity: str, armored: dict[str, str], trail: Trail) -> None:
        self.trail, self._people, self._identity, self._armored = trail, people, identity, armored
        self._before: Trust | None = None
        self._in_place = False

    def step(self, change: _Change) -> None:
        """Judge one change by the document that was in force before it, and by the agreed one."""
        trail = self.trail
        if not change.text:
            self._untold(change)
            return
        trail.changes += 1
        try:
            after = parse(change.text, self._armored)
        except StateguardError as error:
            trail.wrong(f"version {change.version} cannot be read: {error.message}")
            return
        digest = digest_of(change.text.encode())
        right = digest == change.digest and after.version == change.version
        if not right:
            trail.wrong(f"version {change.version}: the entry says another document than it holds")
        if trail.last is None or trail.last.text != change.text:  # else: the guard was cut short, and went on with it
            self._before = self._in_force_before(change, after)
            self._in_place = self._follows(change, after)
        agreed = self._agreed(change, after) and right and self._in_place
        trail.last = Document(after.version, digest, change.text, after)
        trail.highest = max(trail.highest, after.version)
        if agreed:
            trail.agreed = trail.last
            trail.standing.clear()

    def _untold(self, change: _Change) -> None:
        """Pass an entry by that holds no document, as those of an earlier stateguard."""
        trail = self.trail
        if trail.last is not None and trail.last.text:
            trail.wrong(f"version {change.version}: the entry holds no document, though entries before it do")
            return
        passed = trail.unfollowed["changes"] if trail.unfollowed else 0
        trail.unfollowed = {"changes": passed + 1, "version": change.version, "until": change.at}
        trail.last = Document(change.version, change.digest)
        trail.highest = max(trail.highest, change.version)

    def _in_force_before(self, change: _Change, after: Trust) -> Trust | None:
        """Return what was in force before; None if the chain does not hold it."""
        trail = self.trail
        if trail.last is not None:
            return trail.last.trust
        if after.version == 1:
            return Trust()
        trail.unfollowed = {"changes": 0, "version": after.version - 1, "until": change.at}
        return None

    def _follows(self, change: _Change, after: Trust) -> bool:
        trail = self.trail
        restored = change.forced and change.action == RESTORED and after.version > trail.highest
        if trail.last is None or after.version == trail.highest + 1 or restored:
            return True
        trail.wrong(f"version {after.version} does not follow version {trail.highest}")
        return False

    def _agreed(self, change: _Change, after: Trust) -> bool:
        """Say whether the admins of the agreed document decided a change, or had not to, and tell what is wrong."""
        trail, before = self.trail, self._before
        base = trail.agreed.trust if trail.agreed else before
        needed = decided_by(before, after) if before is not None else 0
        by_agreed = decided_by(base, after) if base is not None else 0
        at, keys = parse_rfc3339(change.at), self._keys(change, before) if before is not None else []
        enough = not needed or quorum(before or Trust(), Role.ADMIN, keys, needed, at).reached
        if not enough and change.forced:
            row = {"version": change.version, "at": change.at, "actor": change.actor}
            trail.without_admins.append(row)
        elif not enough:
            sentence = "is not signed by as many admins as it takes"
            trail.wrong(f"version {change.version}, by {change.actor}, {sentence}")
        signed = base is not None and has_signed(base, keys, at)
        if signed:
            trail.owed = ""
        elif change.forced and (not enough or before is None):
            trail.owed = change.actor
        return signed or not by_agreed

    def _keys(self, change: _Change, before: Trust) -> list[str]:
        """Return the keys whose signatures of a change hold, as they stood at the time of the entry."""
        at, payload = parse_rfc3339(change.at), to_sign(self._identity, change.text)
        keys = []
        for one in change.signatures:
            key, text = str(one.get("key")), str(one.get("signature"))
            proof = self._people.prove_at(before, payload, text, key, TRUST_NAMESPACE, at)
            if proof.looked and not proof.problems:
                keys.append(key)
            for problem in proof.problems if proof.looked else proof.warnings:
                self.trail.wrong(f"version {change.version}, signed by {one.get('name')}: {problem}")
        return keys
