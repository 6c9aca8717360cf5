"""Annotated tags as raw objects, signed the way git signs them."""

from __future__ import annotations

import re
from dataclasses import dataclass

from pygit2.enums import ObjectType

from stateguard.errors import StorageError
from stateguard.host.clock import utc_offset_minutes
from stateguard.state.repository import Repository

_TAG = 4
_BEGIN = re.compile(rb"\n(?=-----BEGIN (?:SSH|PGP) SIGNATURE-----)")
_FIELDS = ("object", "type", "tag")


@dataclass(frozen=True, slots=True)
class TagView:
    """A tag object: what it names, its message, and the signature with the bytes it covers."""

    id: str
    target: str
    name: str
    message: str
    signed: bytes
    signature: str | None


def raw_tag(name: str, target: str, message: str, at: float) -> bytes:
    """Return the bytes of an unsigned tag object on a commit; ``at`` is Unix time in seconds."""
    offset = utc_offset_minutes()
    zone = f"{'-' if offset < 0 else '+'}{abs(offset) // 60:02d}{abs(offset) % 60:02d}"
    tagger = f"stateguard <guard@localhost> {int(at)} {zone}"
    return f"object {target}\ntype commit\ntag {name}\ntagger {tagger}\n\n{message}".encode()


def write_tag(repository: Repository, unsigned: bytes, armored: str) -> str:
    """Write a signed tag object durably; returns its id.

    Raises:
        StorageError: the disk refused.
    """
    return repository.write(ObjectType.TAG, unsigned + armored.strip().encode() + b"\n")


def read_tag(repository: Repository, object_id: str) -> TagView:
    """Return what a tag object says.

    Raises:
        StorageError: it is missing or no annotated tag of a commit.
    """
    kind, content = repository.raw(object_id)
    if kind != _TAG:
        message = f"{object_id} is no annotated tag"
        raise StorageError(message)
    mark = _BEGIN.search(content)
    signed = content[: mark.end()] if mark else content
    head, _, body = signed.partition(b"\n\n")
    fields = [line.partition(" ") for line in head.decode(errors="replace").split("\n")[: len(_FIELDS)]]
    values = [value for _, _, value in fields]
    if tuple(key for key, _, _ in fields) != _FIELDS or values[1] != "commit":
        message = f"{object_id} tags no commit"
        raise StorageError(message)
    return TagView(
        id=object_id,
        target=values[0],
        name=values[2],
        message=body.decode(errors="replace"),
        signed=signed,
        signature=content[mark.end() :].decode(errors="replace") if mark else None,
    )
