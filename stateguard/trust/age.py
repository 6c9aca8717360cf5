"""Secrets that travel with the state: files encrypted with age for the guard's own identity. See https://age-encryption.org/v1."""

from __future__ import annotations

import base64
import binascii
import os
from pathlib import Path

import pyrage
from pyrage import x25519

from stateguard.errors import NotFoundError, TrustError, UsageProblemError
from stateguard.host import files

IDENTITY = "age"
"""The file in ``keys/`` with the guard's identity."""

MAX_FILE_BYTES = 128 * 1024
"""The longest file: room for the longest value, armored, for a few recipients."""

_HEADER_BYTES, _RECIPIENTS = 16 * 1024, 64
"""A header is read in a time that grows with the square of its stanzas, and nothing else goes on meanwhile."""

_BINARY = b"age-encryption.org/v1\n-> "
_ARMORED = b"-----BEGIN AGE ENCRYPTED FILE-----"


def is_age(content: bytes) -> bool:
    """Say whether a file begins as one encrypted with age does, binary or armored."""
    return content.startswith(_BINARY) or content.lstrip()[: len(_ARMORED)] == _ARMORED


def recipient_of(keys: Path) -> str | None:
    """Return for whom to encrypt so that this guard can open it, ``age1…``; None if it has no identity yet.

    Raises:
        TrustError: the identity can be read by others, or is damaged.
    """
    identity = _identity(keys)
    return None if identity is None else str(identity.to_public())


def create_identity(keys: Path) -> str:
    """Make the guard's identity, readable by its owner alone; returns the recipient.

    Raises:
        OSError: the disk refused.
    """
    identity = x25519.Identity.generate()
    files.replace(keys / IDENTITY, f"{identity}\n".encode(), 0o600)
    return str(identity.to_public())


def opened(content: bytes, keys: Path) -> bytes:
    """Return what a file holds.

    Raises:
        NotFoundError: this guard has no identity.
        TrustError: it is no file of age's, damaged, or for other recipients; or the identity cannot be used.
    """
    identity = _identity(keys)
    if identity is None:
        raise NotFoundError("this guard has no age identity", next_step="make one: stateguard secret recipient")
    hint = "encrypt it anew for this guard: stateguard secret recipient"
    if len(content) > MAX_FILE_BYTES or not is_age(content) or not _is_modest(content):
        raise TrustError("the file is not encrypted with age, too large, or for too many recipients", next_step=hint)
    try:
        return bytes(pyrage.decrypt(content, [identity]))
    except pyrage.DecryptError as error:
        raise TrustError("the file is damaged, or encrypted for others", next_step=hint) from error


def _is_modest(content: bytes) -> bool:
    """Say whether the header of a file, up to its MAC, is short enough to be read."""
    if not content.startswith(_BINARY):
        lines = content.strip().splitlines()
        try:
            content = base64.b64decode(b"".join(line.strip() for line in lines[1:-1]), validate=True)
        except binascii.Error:
            return False
    header = content.partition(b"\n---")[0]
    return len(header) <= _HEADER_BYTES and header.count(b"\n->") <= _RECIPIENTS


def sealed(value: bytes, recipients: list[str]) -> bytes:
    """Encrypt a value, armored, so that the identity of any of these recipients opens it.

    Raises:
        UsageProblemError: one of them is no recipient.
    """
    try:
        known = [x25519.Recipient.from_str(one) for one in recipients]
    except pyrage.RecipientError as error:
        hint = "recipients begin with age1; this guard's: stateguard secret recipient"
        raise UsageProblemError("that is no recipient of age's", next_step=hint) from error
    return bytes(pyrage.encrypt(value, known, armored=True))


def _identity(keys: Path) -> x25519.Identity | None:
    path = keys / IDENTITY
    try:
        mode, text = path.stat().st_mode & 0o077, path.read_text(encoding="ascii")
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        why = os.strerror(error.errno or 0) if isinstance(error, OSError) else "it is damaged"
        raise TrustError(f"the age identity {path} cannot be read: {why}", next_step="put it back") from error
    if mode:
        message = f"the age identity {path} can be read by others"
        raise TrustError(message, next_step=f"chmod 600 {path}; make a new one if others may have read it")
    try:
        return x25519.Identity.from_str(text.strip())
    except pyrage.IdentityError as error:
        raise TrustError(f"the age identity {path} is damaged", next_step="put it back from your backup") from error
