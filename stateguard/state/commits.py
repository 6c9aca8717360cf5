"""The bytes of commit objects, with and without a signature."""

from __future__ import annotations

from collections.abc import Sequence

from stateguard.host.clock import utc_offset_minutes

GUARD_IDENT = "stateguard <guard@localhost>"
"""Who writes the commits of the guard, as git has it."""


def raw_commit(
    tree: str, parents: Sequence[str], message: str, at: float, who: str = GUARD_IDENT, author: str = ""
) -> bytes:
    """Return the bytes of an unsigned commit object; ``at`` is Unix time in seconds, ``author`` is ``who`` if empty."""
    offset = utc_offset_minutes()
    zone = f"{'-' if offset < 0 else '+'}{abs(offset) // 60:02d}{abs(offset) % 60:02d}"
    lines = [f"tree {tree}", *(f"parent {p}" for p in parents)]
    lines += [f"author {author or who} {int(at)} {zone}", f"committer {who} {int(at)} {zone}", "", message]
    return "\n".join(lines).encode()


def with_signature(commit: bytes, armored: str) -> bytes:
    """Return the bytes of a commit object that carries a signature over its other bytes, as git lays it out."""
    head, _, body = commit.partition(b"\n\n")
    folded = armored.strip().replace("\n", "\n ")
    return head + b"\ngpgsig " + folded.encode() + b"\n\n" + body


def split_signature(commit: bytes) -> tuple[bytes, str | None]:
    """Return the bytes that a commit's signature covers, and the signature (None: unsigned)."""
    head, separator, body = commit.partition(b"\n\n")
    kept: list[bytes] = []
    signature: list[bytes] = []
    inside = False
    for line in head.split(b"\n"):
        if line.startswith(b"gpgsig "):
            signature.append(line[7:])
            inside = True
        elif inside and line.startswith(b" "):
            signature.append(line[1:])
        else:
            inside = False
            kept.append(line)
    armored = b"\n".join(signature).decode(errors="replace") + "\n" if signature else None
    return b"\n".join(kept) + separator + body, armored
