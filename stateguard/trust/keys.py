"""The guard's own key, and the keys it trusts."""

from __future__ import annotations

import os
from pathlib import Path

from stateguard.errors import TrustError
from stateguard.host import files
from stateguard.trust.public import PublicKey, parse_public
from stateguard.trust.ssh import SigningKey

PRINCIPAL = "guard@stateguard"
"""The name under which the guard's key stands in allowed_signers."""

ALLOWED_SIGNERS = "allowed_signers"
"""The file in ``trust/`` that pins the guard's key; people's SSH keys stand behind it, for stock ssh-keygen and git."""


def create_guard_key(keys: Path, trust: Path) -> SigningKey:
    """Make the guard's key: private in ``keys/``, public and pinned in ``trust/allowed_signers``.

    Raises:
        OSError: the disk refused.
    """
    key = SigningKey.generate()
    files.replace(keys / "guard", key.dump(), 0o600)
    files.replace(keys / "guard.pub", f"{key.public.line} {PRINCIPAL}\n".encode(), 0o644)
    line = f'{PRINCIPAL} namespaces="git,stateguard" {key.public.line}\n'
    files.replace(trust / ALLOWED_SIGNERS, line.encode(), 0o644)
    return key


def load_guard_key(keys: Path) -> SigningKey:
    """Read the guard's private key.

    Raises:
        TrustError: it is missing, readable by others, or damaged.
    """
    path = keys / "guard"
    try:
        mode = path.stat().st_mode & 0o077
        content = path.read_bytes()
    except OSError as error:
        message = f"the guard's key {path} cannot be read: {os.strerror(error.errno or 0)}"
        raise TrustError(message, next_step="put it back from your backup; without it nothing can be signed") from error
    if mode:
        message = f"the guard's key {path} can be read by others"
        raise TrustError(message, next_step=f"chmod 600 {path}, and replace the key if others may have read it")
    return SigningKey.load(content)


def load_pinned(trust: Path) -> PublicKey:
    """Read the guard's public key as pinned in ``trust/allowed_signers``.

    Raises:
        TrustError: it is missing or not exactly one.
    """
    path = trust / ALLOWED_SIGNERS
    lines = guard_lines(trust)
    if len(lines) != 1:
        message = f"{path} names {len(lines)} keys for {PRINCIPAL}, not one"
        raise TrustError(message, next_step="put it back from your backup")
    _, kind, rest = lines[0].partition("ssh-ed25519 ")
    return parse_public(kind + rest)


def guard_lines(trust: Path) -> list[str]:
    """Return the lines of ``trust/allowed_signers`` that pin the guard's key; there should be one.

    Raises:
        TrustError: the file cannot be read.
    """
    path = trust / ALLOWED_SIGNERS
    try:
        return [line for line in path.read_text(encoding="utf-8").splitlines() if line.startswith(f"{PRINCIPAL} ")]
    except (OSError, UnicodeDecodeError) as error:
        message = f"the pinned keys {path} cannot be read"
        raise TrustError(message, next_step="put it back from your backup") from error
