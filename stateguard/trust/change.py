"""The bytes that admins sign to change whose signatures count; pure."""

from __future__ import annotations

from stateguard.errors import TrustError

_HEAD = "stateguard trust"


def to_sign(identity: str, document: str) -> bytes:
    """Return what is signed for a document to be the next one in force in the home of this identity.

    The document says its version, and each version is in force once: a signature is good for this change alone.
    """
    return f"{_HEAD} {identity}\n\n{document}".encode()


def document_in(payload: bytes) -> str:
    """Return the document in bytes that are to be signed, for whoever signs to look at.

    Raises:
        TrustError: they are no change of trust.
    """
    head, blank, document = payload.partition(b"\n\n")
    try:
        if not head.startswith(f"{_HEAD} ".encode()) or b"\n" in head or not blank:
            raise TrustError("these bytes are no change of trust; they were not signed")
        return document.decode()
    except UnicodeDecodeError as error:
        raise TrustError("these bytes are no text; they were not signed") from error
