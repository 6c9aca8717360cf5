"""What was read at each path, and under which stat: a file is read again only when that changed."""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence

from stateguard.model.tree import Entry

_RACY_NANOSECONDS = 50_000_000
_ONE = struct.Struct("=Qqqqq")
_CHANGED_AT = slice(3, None, 5)
"""Where a signature holds times of change: the file's own, and that of a log beside it."""

Signature = tuple[int, ...]
"""Of one file, or of two: inode, size, time of modification, time of change, mode; times in nanoseconds."""


class Seen:
    """What was found at each path, packed: of a large tree this is most of what the guard holds in memory."""

    _HEAD = struct.Struct("=?I20s")

    def __init__(self) -> None:
        """Remember nothing yet."""
        self._packed: dict[str, bytes] = {}
        self.read = 0
        """How often something was read because it was not known."""

    def keep(self, path: str, signature: Signature, hashed_at: float, entry: Entry) -> None:
        """Remember what was read at a path at ``hashed_at`` (nanoseconds of Unix time), after a look at its stat.

        It is trusted if any later change would show in the signature: that was old enough when the file was read. One
        through a mapping of memory that was dirty before shows in no stat; those are for the scrub.
        """
        trusted = max(signature[_CHANGED_AT]) < hashed_at - _RACY_NANOSECONDS
        head = self._HEAD.pack(trusted, entry.mode, bytes.fromhex(entry.id))
        self._packed[path] = head + _packed(signature)
        self.read += 1

    def forget(self, path: str) -> None:
        """Read a path again when it is asked for next."""
        self._packed.pop(path, None)

    def trusted(self, path: str, signature: Signature) -> Entry | None:
        """Return what lies at a path if its stat is as it was, and would not be after a change."""
        known = self._packed.get(path)
        if known is None or not known[0] or known[self._HEAD.size :] != _packed(signature):
            return None
        return self._entry(known)

    def both(self, path: str) -> tuple[Entry, bytes] | None:
        """Return what was found at a path, with its packed signature, if that is trusted."""
        known = self._packed.get(path)
        return (self._entry(known), known[self._HEAD.size :]) if known is not None and known[0] else None

    def signature(self, path: str) -> bytes:
        """Return the packed signature under which a path was read last; nothing if it never was."""
        return self._packed.get(path, b"")[self._HEAD.size :]

    def packed(self, but: Callable[[str], bool]) -> tuple[bytes, bytes]:
        """Return what is known and trusted of files that are told by one stat, for :meth:`unpack`.

        ``but`` says of a path that it is left out. May be called while another thread reads files.
        """
        one = self._HEAD.size + _ONE.size
        every = list(self._packed.items())
        some = [(path, known) for path, known in every if known[0] and len(known) == one and not but(path)]
        return "\0".join([path for path, _ in some]).encode(errors="surrogateescape"), b"".join(
            [known for _, known in some]
        )

    def unpack(self, packed: Sequence[bytes], but: Callable[[str], bool]) -> None:
        """Know what another knew of the same files; ``but`` says of a path that it is left out.

        Raises:
            ValueError: nobody packed this.
        """
        paths, known = packed
        names, one = paths.decode(errors="surrogateescape").split("\0") if paths else [], self._HEAD.size + _ONE.size
        if len(known) != len(names) * one:
            raise ValueError("not as many stats as paths")
        cut = (known[at : at + one] for at in range(0, len(known), one))
        self._packed |= {path: each for path, each in zip(names, cut, strict=True) if not but(path)}

    def _entry(self, known: bytes) -> Entry:
        _, mode, name = self._HEAD.unpack_from(known)
        return Entry(mode, name.hex())


def _packed(signature: Signature) -> bytes:
    return struct.pack("=" + len(signature) // 5 * "Qqqqq", *signature)
