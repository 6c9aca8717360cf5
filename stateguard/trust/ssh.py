"""SSHSIG with ed25519, in process: sign, verify over raw bytes, armored as ssh-keygen writes it.

Format: PROTOCOL.sshsig of OpenSSH. The signed blob is ``SSHSIG``, namespace, reserved, hash name and hash.
"""

from __future__ import annotations

import base64
import hashlib
import struct
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from stateguard.errors import TrustError

GIT_NAMESPACE = "git"
"""The namespace in which git signs commits and tags."""

_MAGIC = b"SSHSIG"
_BEGIN, _END = "-----BEGIN SSH SIGNATURE-----", "-----END SSH SIGNATURE-----"
_TYPE = b"ssh-ed25519"
_HASHES = {b"sha256": hashlib.sha256, b"sha512": hashlib.sha512}


@dataclass(frozen=True, slots=True)
class PublicKey:
    """An ed25519 public key; ``raw`` are its 32 bytes."""

    raw: bytes

    @property
    def blob(self) -> bytes:
        """The key in SSH's wire form."""
        return _string(_TYPE) + _string(self.raw)

    @property
    def line(self) -> str:
        """The key as authorized_keys and allowed_signers write it, without principal or comment."""
        return f"ssh-ed25519 {base64.b64encode(self.blob).decode()}"

    @property
    def fingerprint(self) -> str:
        """The key's name, as ssh-keygen -l prints it."""
        return "SHA256:" + base64.b64encode(hashlib.sha256(self.blob).digest()).decode().rstrip("=")


class SigningKey:
    """An ed25519 private key."""

    def __init__(self, key: Ed25519PrivateKey) -> None:
        """Wrap a key of the cryptography library."""
        self._key = key
        self.public = PublicKey(key.public_key().public_bytes_raw())

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
        blob = _MAGIC + struct.pack(">I", 1) + _string(self.public.blob) + _string(namespace.encode())
        blob += _string(b"") + _string(b"sha512") + _string(_string(_TYPE) + _string(signature))
        body = base64.b64encode(blob).decode()
        lines = [body[n : n + 70] for n in range(0, len(body), 70)]
        return "\n".join([_BEGIN, *lines, _END, ""])


def parse_public(line: str) -> PublicKey:
    """Read ``ssh-ed25519 BASE64 [comment]``.

    Raises:
        TrustError: it is no such line.
    """
    parts = line.split()
    try:
        blob = base64.b64decode(parts[1], validate=True) if len(parts) > 1 and parts[0] == _TYPE.decode() else b""
        kind, rest = _take(blob)
        raw, rest = _take(rest)
    except (ValueError, struct.error) as error:
        message = f"no ed25519 public key: {line[:60]!r}"
        raise TrustError(message) from error
    if kind != _TYPE or len(raw) != 32 or rest:  # noqa: PLR2004 - ed25519 keys have 32 bytes
        message = f"no ed25519 public key: {line[:60]!r}"
        raise TrustError(message)
    return PublicKey(raw)


def verify(content: bytes, armored: str, key: PublicKey, namespace: str = GIT_NAMESPACE) -> None:
    """Check that exactly this key signed these bytes in this namespace.

    Raises:
        TrustError: it did not, or the signature is malformed, or there is more than one.
    """
    text = armored.strip()
    if not text.startswith(_BEGIN) or not text.endswith(_END) or text.count(_BEGIN) != 1:
        raise TrustError("there is not exactly one SSH signature")
    try:
        blob = base64.b64decode("".join(text[len(_BEGIN) : -len(_END)].split()), validate=True)
        found = _parse(blob)
    except (ValueError, struct.error) as error:
        raise TrustError("the signature is malformed") from error
    if found.key != key.blob:
        message = f"signed by another key than {key.fingerprint}"
        raise TrustError(message)
    if found.namespace != namespace.encode():
        message = f"signed for namespace {found.namespace!r}, not {namespace!r}"
        raise TrustError(message)
    digest = _HASHES[found.hash_name](content).digest()
    try:
        public = Ed25519PublicKey.from_public_bytes(key.raw)
        public.verify(found.signature, _to_sign(found.namespace, found.hash_name, digest))
    except (InvalidSignature, ValueError) as error:
        raise TrustError("the signature does not fit what it should sign") from error


@dataclass(frozen=True, slots=True)
class _Signature:
    key: bytes
    namespace: bytes
    hash_name: bytes
    signature: bytes


def _parse(blob: bytes) -> _Signature:
    if blob[:6] != _MAGIC or struct.unpack(">I", blob[6:10])[0] != 1:
        raise ValueError("no SSHSIG version 1")
    key, rest = _take(blob[10:])
    namespace, rest = _take(rest)
    _, rest = _take(rest)
    hash_name, rest = _take(rest)
    wrapped, rest = _take(rest)
    kind, inner = _take(wrapped)
    signature, inner = _take(inner)
    if rest or inner or kind != _TYPE or hash_name not in _HASHES:
        raise ValueError("not an ed25519 SSHSIG")
    return _Signature(key, namespace, hash_name, signature)


def _to_sign(namespace: bytes, hash_name: bytes, digest: bytes) -> bytes:
    return _MAGIC + _string(namespace) + _string(b"") + _string(hash_name) + _string(digest)


def _string(content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + content


def _take(content: bytes) -> tuple[bytes, bytes]:
    length = struct.unpack(">I", content[:4])[0]
    if len(content) < 4 + length:
        raise ValueError("truncated")
    return content[4 : 4 + length], content[4 + length :]
