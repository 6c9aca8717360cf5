"""People's and the guard's SSH public keys: which kinds count, how they are named, and one signature checked.

Keys in hardware (FIDO, ``sk-…``) are as PROTOCOL.u2f of OpenSSH has them: the device signs a digest of what is to be
signed together with the application it is for, flags, and a counter.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import struct
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from stateguard.errors import TrustError

MIN_RSA_BITS = 3072
MAX_RSA_BITS = 16384
"""As in OpenSSH; a larger key is a way to make a verifier work."""

_ECDSA: dict[str, hashes.HashAlgorithm] = {
    "ecdsa-sha2-nistp256": hashes.SHA256(),
    "ecdsa-sha2-nistp384": hashes.SHA384(),
    "ecdsa-sha2-nistp521": hashes.SHA512(),
}
_RSA: dict[str, hashes.HashAlgorithm] = {"rsa-sha2-256": hashes.SHA256(), "rsa-sha2-512": hashes.SHA512()}
_SK_ED25519, _SK_ECDSA = "sk-ssh-ed25519@openssh.com", "sk-ecdsa-sha2-nistp256@openssh.com"
_WITHIN = {_SK_ED25519: "ssh-ed25519", _SK_ECDSA: "ecdsa-sha2-nistp256"}
"""The kinds of key in hardware, and the kind that each would be without it."""
_APPLICATION = b"ssh:"
"""How the application of each key begins that ssh-keygen makes; others are of web sites."""
_PRESENT = 0x01
"""The flag of a device that somebody has touched for this signature."""
ASSERTION_BYTES = 5
"""What stands behind a signature of a key in hardware: a byte of flags, four of a counter."""

KINDS = ("ssh-ed25519", *_ECDSA, "ssh-rsa", *_WITHIN)
"""The kinds of key that count. Certificates do not."""

_Key = Ed25519PublicKey | EllipticCurvePublicKey | RSAPublicKey


@dataclass(frozen=True, slots=True)
class PublicKey:
    """An SSH public key; ``blob`` is its wire form. Made by ``read_key`` and ``parse_public``, which look at it."""

    blob: bytes

    @property
    def kind(self) -> str:
        """What kind of key it is, such as ``ssh-ed25519``."""
        return kind_of(self.blob)

    @property
    def line(self) -> str:
        """The key as authorized_keys and allowed_signers write it, without principal or comment."""
        return f"{self.kind} {base64.b64encode(self.blob).decode()}"

    @property
    def fingerprint(self) -> str:
        """The key's name, as ssh-keygen -l prints it."""
        return fingerprint_of(self.blob)

    def check(self, algorithm: str, signature: bytes, content: bytes, assertion: bytes = b"") -> None:
        """Check that this key made a signature over these bytes; ``signature`` is as SSH's wire form has it.

        ``assertion`` is what a key in hardware says beside it: five bytes, flags and a counter.

        Raises:
            TrustError: it did not, nobody touched the device, or the algorithm is none that counts for this key.
        """
        key = _loaded(self.blob)
        if self.kind in _WITHIN:
            if algorithm != self.kind:
                message = f"a signature by {algorithm} with a key of kind {self.kind} does not count"
                raise TrustError(message)
            algorithm, content = _WITHIN[algorithm], _asserted(self.blob, assertion, content)
        try:
            if isinstance(key, Ed25519PublicKey) and algorithm == "ssh-ed25519":
                key.verify(signature, content)
            elif isinstance(key, EllipticCurvePublicKey) and algorithm == _WITHIN.get(self.kind, self.kind):
                key.verify(_two_numbers(signature), content, ECDSA(_ECDSA[algorithm]))
            elif isinstance(key, RSAPublicKey) and algorithm in _RSA:
                padded = signature.rjust((key.key_size + 7) // 8, b"\0")  # OpenSSH takes one without leading zeros
                key.verify(padded, content, PKCS1v15(), _RSA[algorithm])
            else:
                message = f"a signature by {algorithm} with a key of kind {self.kind} does not count"
                raise TrustError(message)
        except (InvalidSignature, ValueError) as error:
            raise TrustError("the signature does not fit what it should sign") from error


def read_key(blob: bytes) -> PublicKey:
    """Return the key that a wire form holds.

    Raises:
        TrustError: it is none, of a kind that does not count, too short, or not written in the one right way.
    """
    _loaded(blob)
    return PublicKey(blob)


def parse_public(line: str) -> PublicKey:
    """Read ``KIND BASE64 [comment]``, as a ``.pub`` file has it.

    Raises:
        TrustError: it is no such line, or a key that does not count.
    """
    parts = line.split()
    shown = f"{line.strip()[:60]!r}"
    try:
        blob = base64.b64decode(parts[1], validate=True) if len(parts) > 1 else b""
    except ValueError as error:
        message = f"no SSH public key: {shown}"
        raise TrustError(message) from error
    if not blob or kind_of(blob) != parts[0] or base64.b64encode(blob).decode() != parts[1]:
        message = f"no SSH public key: {shown}"
        raise TrustError(message)
    return read_key(blob)


def kind_of(blob: bytes) -> str:
    """Return the kind that a key's wire form claims; empty if it claims none."""
    try:
        return take(blob)[0].decode("ascii")
    except (ValueError, struct.error):
        return ""


def fingerprint_of(blob: bytes) -> str:
    """Return the name of whatever key a wire form holds, as ssh-keygen -l prints it."""
    return "SHA256:" + base64.b64encode(hashlib.sha256(blob).digest()).decode().rstrip("=")


def string(content: bytes) -> bytes:
    """Return bytes as SSH's wire form has them: length, then bytes."""
    return struct.pack(">I", len(content)) + content


def take(content: bytes) -> tuple[bytes, bytes]:
    """Return the first string of a wire form, and what follows it.

    Raises:
        ValueError, struct.error: it is cut short.
    """
    length = struct.unpack(">I", content[:4])[0]
    if len(content) < 4 + length:
        raise ValueError("truncated")
    return content[4 : 4 + length], content[4 + length :]


@functools.lru_cache(maxsize=256)
def _loaded(blob: bytes) -> _Key:
    kind = kind_of(blob)
    if kind not in KINDS:
        message = f"a key of kind {kind[:60] or 'unknown'} does not count; use ed25519, ECDSA or RSA"
        raise TrustError(message)
    if kind in _WITHIN:
        return _loaded(_without_device(blob)[0])
    line = f"{kind} {base64.b64encode(blob).decode()}".encode()
    try:
        key = serialization.load_ssh_public_key(line)
        written = key.public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        message = f"no SSH public key: {error}"
        raise TrustError(message) from error
    if written != line or not isinstance(key, Ed25519PublicKey | EllipticCurvePublicKey | RSAPublicKey):
        raise TrustError("no SSH public key: it is not written in the one right way")
    if isinstance(key, RSAPublicKey) and not MIN_RSA_BITS <= key.key_size <= MAX_RSA_BITS:
        message = f"an RSA key of {key.key_size} bits does not count; {MIN_RSA_BITS} to {MAX_RSA_BITS} bits do"
        raise TrustError(message, next_step="make a better key: ssh-keygen -t ed25519")
    return key


def _without_device(blob: bytes) -> tuple[bytes, bytes]:
    """Return the key that a device holds, as it would be without one, and the application that it signs for.

    Raises:
        TrustError: it is no such key, or for another application than SSH.
    """
    try:
        kind, rest = take(blob)
        plain = string(_WITHIN[kind.decode("ascii")].encode())
        for _ in range(2 if kind == _SK_ECDSA.encode() else 1):  # the name of the curve, the point; or the key alone
            part, rest = take(rest)
            plain += string(part)
        application, rest = take(rest)
    except (ValueError, struct.error) as error:
        message = f"no SSH public key: {error}"
        raise TrustError(message) from error
    if rest or not application.startswith(_APPLICATION):
        raise TrustError("no SSH public key: what it says of its application is not what ssh-keygen writes")
    return plain, application


def _asserted(blob: bytes, assertion: bytes, content: bytes) -> bytes:
    """Return what a device signs for bytes that it was given: never these alone.

    Raises:
        TrustError: it does not say that somebody touched it.
    """
    if len(assertion) != ASSERTION_BYTES:
        raise TrustError("the signature is malformed: a device says its flags and its counter")
    if not assertion[0] & _PRESENT:
        raise TrustError("nobody touched the device for this signature")
    application = hashlib.sha256(_without_device(blob)[1]).digest()
    return application + assertion + hashlib.sha256(content).digest()


def _two_numbers(signature: bytes) -> bytes:
    """Return an ECDSA signature, two numbers in SSH's form, as the library wants it.

    Raises:
        ValueError: it is not two numbers, each written in the one right way.
    """
    numbers = []
    rest = signature
    for _ in range(2):
        try:
            raw, rest = take(rest)
        except struct.error as error:
            raise ValueError("truncated") from error
        number = int.from_bytes(raw)
        if not raw or number.to_bytes(number.bit_length() // 8 + 1) != raw:
            raise ValueError("a number that is negative or not written in the one right way")
        numbers.append(number)
    if rest:
        raise ValueError("more than two numbers")
    return encode_dss_signature(*numbers)
