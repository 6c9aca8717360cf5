"""What gpg says about a signature on its status pipe, read strictly. Pure: bytes in, one finding out.

Lines: doc/DETAILS of GnuPG. Texts that a signer chooses (user ids, notations) stand behind a keyword on the same line,
line feeds in them escaped by gpg; so they can say what they like. Only line feeds end lines here.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

_PREFIX = b"[GNUPG:] "
_FINGERPRINT = re.compile(r"[0-9A-F]{40}")
_HASHES = frozenset({"8", "9", "10"})
"""SHA-256, SHA-384, SHA-512, as OpenPGP numbers them."""

_BINARY_DOCUMENT = "00"
_NO_PUBLIC_KEY = "9"
_VALIDSIG_FIELDS = 10
_ERRSIG_FIELDS = 6


class Finding(StrEnum):
    """What a signature turned out to be."""

    GOOD = "good"
    BAD = "bad"
    UNKNOWN_KEY = "unknown-key"
    EXPIRED_SIGNATURE = "expired-signature"
    EXPIRED_KEY = "expired-key"
    REVOKED_KEY = "revoked-key"
    UNREADABLE = "unreadable"


@dataclass(frozen=True, slots=True)
class Sighting:
    """One signature as gpg saw it.

    ``primary`` is the fingerprint of the primary key, 40 hexadecimal digits, where gpg could compute the signature
    with a key it had: for what is good, and for what is good but for a key or signature that expired or was revoked.
    ``key`` names the key that a signature of an unknown key claims.
    """

    finding: Finding
    primary: str = ""
    key: str = ""
    detail: str = ""


_VERDICTS = {
    "GOODSIG": Finding.GOOD,
    "BADSIG": Finding.BAD,
    "EXPSIG": Finding.EXPIRED_SIGNATURE,
    "EXPKEYSIG": Finding.EXPIRED_KEY,
    "REVKEYSIG": Finding.REVOKED_KEY,
    "ERRSIG": Finding.UNREADABLE,
}
_BESIDES = frozenset(
    {
        "BEGIN_DECRYPTION", "DECRYPTION_FAILED", "DECRYPTION_INFO", "DECRYPTION_KEY", "DECRYPTION_OKAY", "ENC_TO",
        "ERROR", "FAILURE", "IMPORTED", "IMPORT_OK", "NODATA", "PLAINTEXT", "PLAINTEXT_LENGTH", "SESSION_KEY",
        "UNEXPECTED",
    }
)  # fmt: skip
"""Keywords that must not stand beside a signature that holds: there was more, or less, than one signature."""


def read_status(output: bytes) -> Sighting:
    """Return what gpg found, given everything that it wrote to its status pipe.

    Whatever is not exactly one signature, said in exactly the lines that one signature has, is UNREADABLE.
    """
    *lines, rest = output.split(b"\n")
    if rest or any(not line.startswith(_PREFIX) for line in lines):
        return _unreadable("gpg wrote something else than status lines, or was cut short")
    said = [line.removeprefix(_PREFIX).decode("utf-8", "replace").split(" ") for line in lines]
    verdicts = [words for words in said if words[0] in _VERDICTS]
    valid = [words[1:] for words in said if words[0] == "VALIDSIG"]
    if len(verdicts) != 1 or sum(words[0] == "NEWSIG" for words in said) > 1:
        return _unreadable("there is not exactly one signature")
    keyword, *fields = verdicts[0]
    finding = _VERDICTS[keyword]
    if keyword == "ERRSIG":
        return _not_checked(fields) if not valid else _unreadable("gpg contradicts itself")
    if finding is Finding.BAD:
        return Sighting(finding, detail="it does not fit what it should sign")
    expected = {"FAILURE"} if finding is not Finding.GOOD else set()  # gpg's word for its own exit status
    besides = sorted({words[0] for words in said} & _BESIDES - expected)
    if besides:
        return _unreadable(f"it is more than a detached signature ({', '.join(besides)})")
    return _computed(finding, fields, valid)


def _computed(finding: Finding, fields: list[str], valid: list[list[str]]) -> Sighting:
    """Read the VALIDSIG line that belongs to a verdict on a signature that is right as far as numbers go."""
    if len(valid) != 1 or len(valid[0]) != _VALIDSIG_FIELDS or not fields:
        return _unreadable("gpg did not say by which key it is")
    signing, primary, hashing, what = valid[0][0], valid[0][9], valid[0][7], valid[0][8]
    if not (_FINGERPRINT.fullmatch(signing) and _FINGERPRINT.fullmatch(primary) and signing.endswith(fields[0])):
        return _unreadable("gpg did not name its key by a full fingerprint")
    if hashing not in _HASHES:
        return _unreadable("its hash function is too weak; SHA-256, SHA-384 and SHA-512 count")
    if what != _BINARY_DOCUMENT:
        return _unreadable("it is not a signature of bytes as they are")
    return Sighting(finding, primary, signing, _WORDS[finding])


def _not_checked(fields: list[str]) -> Sighting:
    if len(fields) >= _ERRSIG_FIELDS and fields[5] == _NO_PUBLIC_KEY:
        named = fields[6] if len(fields) > _ERRSIG_FIELDS else ""
        return Sighting(Finding.UNKNOWN_KEY, key=named if _FINGERPRINT.fullmatch(named) else fields[0])
    return _unreadable("gpg cannot check it")


def _unreadable(detail: str) -> Sighting:
    return Sighting(Finding.UNREADABLE, detail=detail)


_WORDS = {
    Finding.GOOD: "",
    Finding.EXPIRED_SIGNATURE: "the signature has expired",
    Finding.EXPIRED_KEY: "the key has expired",
    Finding.REVOKED_KEY: "the key was revoked by its owner",
}
