"""Every change of trust, followed through the audit chain: was each one signed by those who could decide it then?"""

from __future__ import annotations

from collections.abc import Iterable
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


@dataclass(slots=True)
class Trail:
    """What was found: how many changes, which versions came without the admins who had to sign, what is wrong."""

    changes: int = 0
    without_admins: list[dict[str, Any]] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    def as_json(self) -> dict[str, object]:
        """Return the keys of ``trust verify``."""
        return {
            "valid": not self.problems,
            "changes": self.changes,
            "without_admins": self.without_admins,
            "problems": self.problems,
        }


def follow(audit: Audit, people: People, identity: str) -> Trail:
    """Follow every change in the chain, oldest first, and hold the document that lies there against the last one.

    Changes from before entries held their documents are not followed. Whether the chain itself holds is not asked here.

    Raises:
        StorageError: the chain cannot be read.
    """
    trail = Trail()
    entries = [e for e in audit.newest_first() if e["kind"] == "trust" and "text" in e["body"]][::-1]
    known = _followed(entries, people.armored(), people, identity, trail)
    try:
        if known and people.trust() != known[max(known)]:
            trail.problems.append(f"the document in force is not what the chain says version {max(known)} is")
    except StateguardError as error:
        trail.problems.append(error.message)
    return trail


def _followed(
    entries: Iterable[dict[str, Any]], armored: dict[str, str], people: People, identity: str, trail: Trail
) -> dict[int, Trust]:
    """Judge each change by the document before it; returns the documents by their versions.

    The last version may stand there twice: it was never in force the first time, because the guard was cut short.
    """
    known: dict[int, Trust] = {}
    for entry in entries:
        body, trail.changes = entry["body"], trail.changes + 1
        try:
            after = parse(body["text"], armored)
        except StateguardError as error:
            trail.problems.append(f"version {body['version']} cannot be read: {error.message}")
            continue
        if digest_of(body["text"].encode()) != body["document"] or after.version != body["version"]:
            trail.problems.append(f"version {body['version']}: the entry says another document than it holds")
        before = known.get(after.version - 1, Trust() if after.version == 1 else None)
        if known and after.version - max(known) not in (0, 1):
            trail.problems.append(f"version {after.version} does not follow version {max(known)}")
        needed = decided_by(before, after) if before is not None else 0
        if before is not None and needed and not _signed(entry, before, needed, people, identity, trail):
            _unsigned(entry, trail)
        known[after.version] = after
    return known


def _unsigned(entry: dict[str, Any], trail: Trail) -> None:
    version = entry["body"]["version"]
    if entry["body"].get("without_admins"):
        trail.without_admins.append({"version": version, "at": entry["at"], "actor": entry["actor"]})
    else:
        trail.problems.append(f"version {version}, by {entry['actor']}, is not signed by as many admins as it takes")


def _signed(entry: dict[str, Any], before: Trust, needed: int, people: People, identity: str, trail: Trail) -> bool:
    """Say whether enough admins of the document before signed the one in an entry, judged at the time of the entry."""
    at, payload = parse_rfc3339(entry["at"]), to_sign(identity, entry["body"]["text"])
    keys = []
    for one in entry["body"].get("signatures", []):
        key = str(one.get("key"))
        proof = people.prove_by(before, payload, str(one.get("signature")), key, TRUST_NAMESPACE)
        if proof.looked and not proof.problems:
            keys.append(key)
        said = proof.problems if proof.looked else proof.warnings
        trail.problems += [f"version {entry['body']['version']}, signed by {one.get('name')}: {text}" for text in said]
    return quorum(before, Role.ADMIN, keys, needed, at).reached
