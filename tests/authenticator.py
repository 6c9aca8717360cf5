"""A FIDO authenticator in software: what ssh-keygen gets from a device that holds a key, by PROTOCOL.u2f of OpenSSH."""

from __future__ import annotations

import base64
import hashlib
import struct
from dataclasses import dataclass

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, SECP256R1, EllipticCurvePrivateKey, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from stateguard.trust.armor import SSH_SIGNATURE, armored
from stateguard.trust.public import string

ED25519, ECDSA_P256 = "sk-ssh-ed25519@openssh.com", "sk-ecdsa-sha2-nistp256@openssh.com"
PRESENT, VERIFIED = 0x01, 0x04


@dataclass
class Device:
    """A device with one key; each signature takes a touch, unless told otherwise, and counts one up."""

    kind: str = ED25519
    application: bytes = b"ssh:"
    counter: int = 0

    def __post_init__(self) -> None:
        self._key = Ed25519PrivateKey.generate() if self.kind == ED25519 else generate_private_key(SECP256R1())

    @property
    def blob(self) -> bytes:
        """The public key's wire form."""
        if isinstance(self._key, Ed25519PrivateKey):
            middle = string(self._key.public_key().public_bytes_raw())
        else:
            x962 = serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint
            middle = string(b"nistp256") + string(self._key.public_key().public_bytes(*x962))
        return string(self.kind.encode()) + middle + string(self.application)

    @property
    def line(self) -> str:
        """The public key as a ``.pub`` file has it."""
        return f"{self.kind} {base64.b64encode(self.blob).decode()} ada@laptop"

    def sign(self, content: bytes, namespace: str = "git", flags: int = PRESENT) -> str:
        """Return the armored SSH signature of these bytes."""
        return armored(self.signature(content, namespace, flags), SSH_SIGNATURE)

    def signature(self, content: bytes, namespace: str = "git", flags: int = PRESENT) -> bytes:
        """Return the bytes of that signature."""
        self.counter += 1
        head = string(namespace.encode()) + string(b"") + string(b"sha512")
        message = b"SSHSIG" + head + string(hashlib.sha512(content).digest())
        assertion = struct.pack(">BI", flags, self.counter)
        made = self._signed(hashlib.sha256(self.application).digest() + assertion + hashlib.sha256(message).digest())
        wrapped = string(self.kind.encode()) + string(made) + assertion
        return b"SSHSIG" + struct.pack(">I", 1) + string(self.blob) + head + string(wrapped)

    def _signed(self, content: bytes) -> bytes:
        if isinstance(self._key, Ed25519PrivateKey):
            return self._key.sign(content)
        assert isinstance(self._key, EllipticCurvePrivateKey)
        numbers = decode_dss_signature(self._key.sign(content, ECDSA(hashes.SHA256())))
        return b"".join(string(n.to_bytes(n.bit_length() // 8 + 1)) for n in numbers)
