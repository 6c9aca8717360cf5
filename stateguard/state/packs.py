"""What hangs on what in a pack, and how large it comes to be, from its index and the beginnings of its objects alone.

Nothing is unpacked, so that a pack can be judged before libgit2 or anything else reads an object of it: a chain of
deltas costs whoever reads its end all of its links, and a few bytes can stand for gigabytes.
"""

from __future__ import annotations

import mmap
import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from stateguard.errors import StorageError

COMMIT, TREE, BLOB, TAG = 1, 2, 3, 4
_OFFSET_DELTA, _ID_DELTA = 6, 7
_HEAD_BYTES, _TAIL_BYTES = 12, 20
_INDEX_HEAD = b"\xfftOc\0\0\0\2"
_FANOUT_BYTES = 1024
_ID_BYTES = 20
_LARGE = 1 << 31
_OBJECT_HEAD_BYTES = 64
"""At least as long as type, size and base of an object."""
_DELTA_HEAD_BYTES = 1024
"""So much of a delta is unpacked at most for the two sizes at its beginning: zlib's tables of codes may come first."""
_SIZES_BYTES = 20


@dataclass(frozen=True, slots=True)
class Packed:
    """One object: type number, size in bytes when it is whole, and over how many deltas it is reached."""

    kind: int
    size_bytes: int
    depth: int


class _MalformedError(Exception):
    """A pack or index is not what git makes."""


def count(pack: Path) -> int:
    """Return how many objects a pack says that it has.

    Raises:
        StorageError: it cannot be read, or is no pack.
    """
    try:
        with pack.open("rb") as file:
            head = file.read(_HEAD_BYTES)
    except OSError as error:
        raise _unreadable(pack, error) from error
    if len(head) < _HEAD_BYTES or not head.startswith(b"PACK"):
        raise _malformed(pack)
    return int.from_bytes(head[8:])


def survey(pack: Path) -> list[Packed]:
    """Return what a pack holds, in its order; its index must lie beside it, and its bases in it.

    Raises:
        StorageError: it cannot be read, or is malformed.
    """
    try:
        index = pack.with_suffix(".idx").read_bytes()
        with pack.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            return _survey(content, index)
    except OSError as error:
        raise _unreadable(pack, error) from error
    except (_MalformedError, ValueError, LookupError, struct.error, zlib.error) as error:
        raise _malformed(pack) from error


def _survey(content: mmap.mmap, index: bytes) -> list[Packed]:
    ids, offsets = _index(index)
    places: dict[bytes | int, int] = dict(zip(ids, offsets, strict=True))
    heads = {offset: _head(content, offset) for offset in sorted(offsets)}
    found: dict[int, Packed] = {}
    for offset in heads:
        chain, at = list[int](), offset
        while at not in found:
            kind, size, base = heads[at]
            if base is None:
                found[at] = Packed(kind, size, 0)
                break
            chain.append(at)
            at = places[base] if isinstance(base, bytes) else base
            if len(chain) > len(heads) or at not in heads:
                raise _MalformedError
        below = found[at]
        for one in reversed(chain):
            below = found[one] = Packed(below.kind, heads[one][1], below.depth + 1)
    return [found[offset] for offset in heads]


def _index(index: bytes) -> tuple[list[bytes], Sequence[int]]:
    """Return ids and offsets of the objects, in the order of their ids."""
    if not index.startswith(_INDEX_HEAD):
        raise _MalformedError
    names = len(_INDEX_HEAD) + _FANOUT_BYTES
    (total,) = struct.unpack_from(">I", index, names - 4)
    small = names + total * (_ID_BYTES + 4)
    large = small + total * 4
    if len(index) < large:
        raise _MalformedError
    ids = [index[at : at + _ID_BYTES] for at in range(names, names + total * _ID_BYTES, _ID_BYTES)]
    offsets: Sequence[int] = struct.unpack_from(f">{total}I", index, small)
    if any(offset >= _LARGE for offset in offsets):
        offsets = [
            struct.unpack_from(">Q", index, large + 8 * (offset - _LARGE))[0] if offset >= _LARGE else offset
            for offset in offsets
        ]
    return ids, offsets


def _head(content: mmap.mmap, offset: int) -> tuple[int, int, bytes | int | None]:
    """Return type and size of the object at an offset, and on what it hangs: an id, an offset, or nothing."""
    if not _HEAD_BYTES <= offset < len(content) - _TAIL_BYTES:
        raise _MalformedError
    head = content[offset : offset + _OBJECT_HEAD_BYTES]
    kind, size, at, shift = (head[0] >> 4) & 7, head[0] & 15, 1, 4
    while head[at - 1] & 0x80:
        size |= (head[at] & 0x7F) << shift
        at, shift = at + 1, shift + 7
    base: bytes | int | None = None
    if kind == _ID_DELTA:
        base, at = head[at : at + _ID_BYTES], at + _ID_BYTES
    elif kind == _OFFSET_DELTA:
        back, at = head[at] & 0x7F, at + 1
        while head[at - 1] & 0x80:
            back, at = ((back + 1) << 7) | (head[at] & 0x7F), at + 1
        base = offset - back
    elif kind not in (COMMIT, TREE, BLOB, TAG):
        raise _MalformedError
    if base is not None:
        size = _result_size(content[offset + at : offset + at + _DELTA_HEAD_BYTES])
    return kind, size, base


def _result_size(packed: bytes) -> int:
    """Return the second of the two sizes at the beginning of a delta: that of what it makes."""
    sizes, at, size = zlib.decompressobj().decompress(packed, _SIZES_BYTES), 0, 0
    for _ in range(2):
        size = shift = 0
        while True:
            size |= (sizes[at] & 0x7F) << shift
            at, shift = at + 1, shift + 7
            if not sizes[at - 1] & 0x80:
                break
    return size


def _unreadable(pack: Path, error: OSError) -> StorageError:
    return StorageError(f"{pack.name} cannot be read: {error.strerror}", next_step="push again")


def _malformed(pack: Path) -> StorageError:
    return StorageError(f"{pack.name} is no pack that git makes", next_step="push again with stock git")
