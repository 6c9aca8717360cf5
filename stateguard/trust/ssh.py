"""SSHSIG in process: sign with the guard's ed25519 key, verify over raw bytes, armored as ssh-keygen writes it.

Format: PROTOCOL.sshsig of OpenSSH. The signed blob is ``SSHSIG``, namespace, reserved, hash name and hash.
"""

from __future__ import annotations

import hashlib
import struct
from dataclasses import dataclass

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from stateguard.errors import TrustError
from stateguard.trust.armor import SSH_SIGNATURE, armored, unarmored
from stateguard.trust.public import ASSERTION_BYTES, PublicKey, fingerprint_of, kind_of, string, take

GIT_NAMESPACE = "git"
"""The namespace in which git signs commits and tags."""

TRUST_NAMESPACE = "stateguard"
"""The namespace in which changes of trust are signed: a signature that git made is none of those."""

_MAGIC = b"SSHSIG"
_TYPE = b"ssh-ed25519"
_HASHES = {b"sha256": hashlib.sha256, b"sha512": hashlib.sha512}


class SigningKey:
    """An ed25519 private key."""

    def __init__(self, key: Ed25519PrivateKey) -> None:
        """Wrap a key of the cryptography library."""
        self._key = key
        self.public = PublicKey(string(_TYPE) + string(key.public_key().public_bytes_raw()))

    @classmethod
    def generate(cls) -> SigningKey:
        """Make a new key."""
        return cls(Ed25519PrivateKey.generate())

    @classmethod
    def load(cls, content: bytes) -> SigningKey:
        """Read an unencrypted OpenSSH private key.

        Raises:
            TrustError: it is none, or needs a passphrase, or is of another type.
        """
        try:
            key = serialization.load_ssh_private_key(content, password=None)
        except (ValueError, TypeError, UnsupportedAlgorithm) as error:
            message = f"the private key cannot be read: {error}"
            raise TrustError(message, next_step="restore it from your backup of keys/") from error
        if not isinstance(key, Ed25519PrivateKey):
            message = "the private key is no ed25519 key"
            raise TrustError(message)
        return cls(key)

    def dump(self) -> bytes:
        """Return the key as an unencrypted OpenSSH private key."""
        return self._key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption()
        )

    def sign(self, content: bytes, namespace: str = GIT_NAMESPACE) -> str:
        """Return the armored signature of these bytes in a namespace."""
        digest = hashlib.sha512(content).digest()
        signature = self._key.sign(_to_sign(namespace.encode(), b"sha512", digest))
        blob = _MAGIC + struct.pack(">I", 1) + string(self.public.blob) + string(namespace.encode())
        blob += string(b"") + string(b"sha512") + string(string(_TYPE) + string(signature))
        return armored(blob, SSH_SIGNATURE)


@dataclass(frozen=True, slots=True)
class Signature:
    """What an SSH signature says of itself; nothing in it is checked yet.

    ``assertion`` is what a key in hardware says beside it: flags and a counter.
    """

    key: bytes
    namespace: bytes
    hash_name: bytes
    algorithm: str
    signature: bytes
    assertion: bytes = b""

    @property
    def kind(self) -> str:
        """The kind of key that it says it was made with."""
        return kind_of(self.key)

    @property
    def fingerprint(self) -> str:
        """The name of the key that it says it was made with."""
        return fingerprint_of(self.key)


def parse_signature(text: str) -> Signature:
    """Read an armored SSH signature.

    Raises:
        TrustError: it is malformed, or there is not exactly one.
    """
    blob = unarmored(text, SSH_SIGNATURE)
    try:
        return _parse(blob)
    except (ValueError, struct.error) as error:
        message = f"the signature is malformed: {error}"
        raise TrustError(message) from error


def verify(content: bytes, text: str, key: PublicKey, namespace: str = GIT_NAMESPACE) -> None:
    """Check that exactly this key signed these bytes in this namespace.

    Raises:
        TrustError: it did not, or the signature is malformed, or there is more than one.
    """
    check(content, parse_signature(text), key, namespace)


def check(content: bytes, found: Signature, key: PublicKey, namespace: str) -> None:
    """Check that a signature is of these bytes, in this namespace, by exactly this key.

    Raises:
        TrustError: it is not.
    """
    if found.key != key.blob:
        message = f"signed by another key than {key.fingerprint}"
        raise TrustError(message)
    if found.namespace != namespace.encode():
        message = f"signed for namespace {found.namespace!r}, not {namespace!r}"
        raise TrustError(message)
    digest = _HASHES[found.hash_name](content).digest()
    key.check(found.algorithm, found.signature, _to_sign(found.namespace, found.hash_name, digest), found.assertion)


def _parse(blob: bytes) -> Signature:
    if blob[:6] != _MAGIC or struct.unpack(">I", blob[6:10])[0] != 1:
        raise ValueError("no SSHSIG version 1")
    key, rest = take(blob[10:])
    namespace, rest = take(rest)
    _, rest = take(rest)
    hash_name, rest = take(rest)
    wrapped, rest = take(rest)
    algorithm, inner = take(wrapped)
    signature, inner = take(inner)
    if rest or len(inner) != (ASSERTION_BYTES if algorithm.startswith(b"sk-") else 0):
        raise ValueError("something stands behind it")
    if hash_name not in _HASHES:
        raise ValueError("its hash is neither sha256 nor sha512")
    return Signature(key, namespace, hash_name, algorithm.decode("ascii"), signature, inner)


def _to_sign(namespace: bytes, hash_name: bytes, digest: bytes) -> bytes:
    return _MAGIC + string(namespace) + string(b"") + string(hash_name) + string(digest)
