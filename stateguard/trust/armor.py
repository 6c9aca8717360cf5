"""Armor: the text form of signatures and keys. One block, nothing around it, one way to write its bytes."""

from __future__ import annotations

import base64
import binascii
import re

from stateguard.errors import TrustError

SSH_SIGNATURE = "SSH SIGNATURE"
PGP_SIGNATURE = "PGP SIGNATURE"
PGP_PUBLIC_KEY = "PGP PUBLIC KEY BLOCK"

_HEADER = re.compile(r"[A-Za-z][A-Za-z0-9-]*: ?[^\r\n]*")
_CHECKSUM = re.compile(r"=[A-Za-z0-9+/]{4}")


def unarmored(text: str, label: str) -> bytes:
    """Return the bytes of the one block with a label, such as ``SSH SIGNATURE``.

    OpenPGP's header lines and its checksum may be there; the checksum is not looked at, signatures tell damage better.

    Raises:
        TrustError: there is not exactly one such block, something stands beside it, or it is damaged.
    """
    begin, end = f"-----BEGIN {label}-----", f"-----END {label}-----"
    stripped = text.strip()
    if not (stripped.startswith(begin) and stripped.endswith(end)) or text.count("-----BEGIN ") != 1:
        message = f"there is not exactly one {label.replace('SIGNATURE', 'signature')}"
        raise TrustError(message)
    lines = stripped[len(begin) : -len(end)].strip().replace("\r\n", "\n").split("\n")
    if label.startswith("PGP"):
        lines = _without_frame(lines)
    body = "".join("".join(lines).split())
    try:
        content = base64.b64decode(body, validate=True)
    except (ValueError, binascii.Error) as error:
        message = f"the {label} is malformed: it is no base64"
        raise TrustError(message) from error
    if not content or base64.b64encode(content).decode() != body:
        message = f"the {label} is malformed: its base64 is not the one that its bytes have"
        raise TrustError(message)
    return content


def armored(content: bytes, label: str, width: int = 70) -> str:
    """Return bytes as one block of text, without header lines or checksum."""
    body = base64.b64encode(content).decode()
    lines = [body[n : n + width] for n in range(0, len(body), width)]
    head = [f"-----BEGIN {label}-----", *([""] if label.startswith("PGP") else [])]
    return "\n".join([*head, *lines, f"-----END {label}-----", ""])


def _without_frame(lines: list[str]) -> list[str]:
    """Return the lines of base64 without OpenPGP's header lines before them and the checksum behind."""
    first = next((n for n, line in enumerate(lines) if not _HEADER.fullmatch(line)), len(lines))
    kept = lines[first:]
    return kept[:-1] if kept and _CHECKSUM.fullmatch(kept[-1].strip()) else kept
