"""Names of things: revisions, fingerprints, actors, references."""

from __future__ import annotations

import re

EMPTY_TREE = "4b825dc642cb6eb9a060e54bf8d69288fbee4904"
"""Object id of git's empty tree (SHA-1)."""

ZERO = "0" * 40
"""What git writes for "no object"."""

MAIN = "refs/heads/main"
INCIDENTS = "refs/heads/incidents"
APPLIED = "refs/stateguard/applied"
AUDIT = "refs/stateguard/audit"
CANDIDATES = "refs/stateguard/candidate/"
WITHDRAWN = "refs/stateguard/withdrawn/"
BASELINE_TAGS = "refs/tags/baseline/"
COSIGNED = "refs/stateguard/cosigned/"
SNAPSHOTS = "refs/stateguard/snapshots/"
BACKUPS = "refs/stateguard/backups/"

GUARD = "guard"
"""The actor that the guard itself is."""

_ACTOR = re.compile(r"guard|(person|detector):[^\x00-\x1f\x7f]{1,200}")
_REVISION = re.compile(r"[0-9a-f]{40}")
_FINGERPRINT = re.compile(r"sha256:[0-9a-f]{64}")
_PREFIX_LENGTH = 8


def is_revision(text: str) -> bool:
    """Say whether the text is a full SHA-1 object id."""
    return _REVISION.fullmatch(text) is not None


def is_fingerprint(text: str) -> bool:
    """Say whether the text is a full fingerprint, ``sha256:`` and 64 hexadecimal digits."""
    return _FINGERPRINT.fullmatch(text) is not None


def is_actor(text: str) -> bool:
    """Say whether the text names an actor: ``guard``, ``person:NAME`` or ``detector:NAME``."""
    return _ACTOR.fullmatch(text) is not None


def person(name: str) -> str:
    """Return the actor for a person; control characters are dropped, an empty name becomes ``unknown``."""
    clean = "".join(c for c in name if c.isprintable()).strip()[:200]
    return f"person:{clean or 'unknown'}"


def fingerprint_prefix(text: str) -> str | None:
    """Return the hexadecimal digits of a fingerprint prefix of at least 8 digits, or None if it is none."""
    digits = text.removeprefix("sha256:")
    if len(digits) >= _PREFIX_LENGTH and re.fullmatch(r"[0-9a-f]{8,64}", digits):
        return digits
    return None


def short(revision: str) -> str:
    """Return the ten characters by which people know a revision or a fingerprint."""
    return revision.removeprefix("sha256:")[:10]
