"""Packs made by hand, as git would not make them, and the ways by which git takes a pack in."""

from __future__ import annotations

import hashlib
import struct
import subprocess
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from driving import environment

COMMIT, TREE, BLOB, TAG, OFFSET_DELTA, ID_DELTA = 1, 2, 3, 4, 6, 7
NAMES = {COMMIT: b"commit", TREE: b"tree", BLOB: b"blob", TAG: b"tag"}
TRAILER_BYTES = 20
ZERO = "0" * 40


@dataclass(frozen=True, slots=True)
class Part:
    """One object of a pack: its type number, its bytes or delta, and what it hangs on.

    ``base`` is the number of an earlier part, or an id. ``size`` is what is declared, if not the truth.
    """

    kind: int
    content: bytes
    base: int | str = ""
    size: int | None = None


def identity(kind: int, content: bytes) -> str:
    """Return the id of an object."""
    return hashlib.sha1(b"%b %d\0%b" % (NAMES[kind], len(content), content), usedforsecurity=False).hexdigest()


def pack(parts: Sequence[Part], *, said: int | None = None) -> bytes:
    """Return a pack with the right checksum; ``said`` is how many objects it claims to have."""
    out, places = bytearray(b"PACK" + struct.pack(">II", 2, len(parts) if said is None else said)), list[int]()
    for part in parts:
        places.append(len(out))
        out += _head(part.kind, len(part.content) if part.size is None else part.size)
        if part.kind == OFFSET_DELTA:
            assert isinstance(part.base, int)
            out += _back(places[-1] - places[part.base])
        elif part.kind == ID_DELTA:
            out += bytes.fromhex(str(part.base))
        out += zlib.compress(part.content)
    return sealed(bytes(out))


def sealed(body: bytes) -> bytes:
    """Return the bytes of a pack with their checksum behind them."""
    return body + hashlib.sha1(body, usedforsecurity=False).digest()


def delta(base_size: int, result_size: int, *steps: bytes) -> bytes:
    """Return a delta that declares these sizes."""
    return varint(base_size) + varint(result_size) + b"".join(steps)


def copy(offset: int, length: int) -> bytes:
    """Return the step of a delta that copies from its base; all seven bytes are written."""
    return b"\xff" + struct.pack("<I", offset) + struct.pack("<I", length)[:3]


def insert(content: bytes) -> bytes:
    """Return the step of a delta that adds up to 127 bytes."""
    return bytes([len(content)]) + content


def varint(number: int) -> bytes:
    """Return a number as deltas have it."""
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*out, number])


def _head(kind: int, size: int) -> bytes:
    first, size = kind << 4 | size & 15, size >> 4
    if not size:
        return bytes([first])
    return bytes([first | 0x80]) + varint(size)


def _back(distance: int) -> bytes:
    out = [distance & 0x7F]
    while distance := distance >> 7:
        distance -= 1
        out.append(distance & 0x7F | 0x80)
    return bytes(reversed(out))


def chain(length: int, first: bytes = b"x" * 40) -> Iterator[Part]:
    """Yield a blob and so many deltas one over another, each of which changes a few bytes."""
    yield Part(BLOB, first)
    for number in range(length):
        mark = b"%08d" % number
        yield Part(OFFSET_DELTA, delta(len(first), len(first), insert(mark), copy(8, len(first) - 8)), number)


def indexed(
    pack: bytes, objects: Path, repository: Path, *, memory_kib: int = 1 << 20, checks: str = "--strict"
) -> subprocess.CompletedProcess[bytes]:
    """Take a pack in as receive-pack does, into a directory that borrows from a repository; bounded in memory."""
    (objects / "pack").mkdir(parents=True, exist_ok=True)
    borrowed = {"GIT_OBJECT_DIRECTORY": str(objects), "GIT_ALTERNATE_OBJECT_DIRECTORIES": str(repository / "objects")}
    words = ["git", "--git-dir", str(repository), "index-pack", "--stdin", "--fix-thin"]
    return subprocess.run(
        ["sh", "-c", f'ulimit -v {memory_kib}; exec "$@"', "sh", *words, *([checks] if checks else [])],
        input=pack, env=environment(**borrowed), capture_output=True, check=False, timeout=60,
    )  # fmt: skip


def connected(objects: Path, repository: Path, new: str) -> bool:
    """Say whether all that a new head names is there, as receive-pack asks before it runs a hook."""
    borrowed = {"GIT_OBJECT_DIRECTORY": str(objects), "GIT_ALTERNATE_OBJECT_DIRECTORIES": str(repository / "objects")}
    done = subprocess.run(
        ["git", "--git-dir", str(repository), "rev-list", "--objects", "--quiet", new, "--not", "--all"],
        env=environment(**borrowed), capture_output=True, check=False, timeout=60,
    )  # fmt: skip
    return done.returncode == 0


def received(repository: Path, pack: bytes, new: str, ref: str, old: str = ZERO) -> str:
    """Hand a pack and one update to ``git receive-pack``, as a client does; returns all that it answers."""
    line = f"{old} {new} {ref}\0report-status agent=test".encode()
    asked = b"%04x%b0000" % (len(line) + 4, line) + pack
    done = subprocess.run(
        ["git", "receive-pack", str(repository)],
        input=asked, env=environment(), capture_output=True, check=False, timeout=120,
    )  # fmt: skip
    return (done.stdout + done.stderr).decode(errors="replace")
