"""Many objects written as one: a pack that is durable before anything names what is in it."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable
from pathlib import Path

from dulwich.object_format import SHA1
from dulwich.pack import write_pack_header, write_pack_index_v2, write_pack_object
from pygit2.enums import ObjectType

from stateguard import faults
from stateguard.errors import StorageError
from stateguard.host import files
from stateguard.host.walk import open_root
from stateguard.state.repository import Repository

_FEW = 6
"""So many objects are not worth a pack: as loose ones they cost fewer flushes than its three."""
_FULL_BYTES = 16 * 1024 * 1024
_COMPRESSION = 1
_READ_ONLY = 0o444
_NAMES = {ObjectType.COMMIT: b"commit", ObjectType.TREE: b"tree", ObjectType.BLOB: b"blob", ObjectType.TAG: b"tag"}


def object_id(kind: ObjectType, content: bytes) -> str:
    """Return the id that git gives these bytes (SHA-1, 40 hex digits)."""
    return hashlib.sha1(b"%s %d\0" % (_NAMES[kind], len(content)) + content, usedforsecurity=False).hexdigest()


class Batch:
    """Collects new objects of a repository; they are there once :meth:`flush` has returned."""

    def __init__(self, repository: Repository) -> None:
        """Write into this repository."""
        self._repository = repository
        self._pending: dict[str, tuple[ObjectType, bytes]] = {}
        self._bytes = 0
        self._present: Callable[[str], bool] | None = None

    def write(self, kind: ObjectType, content: bytes) -> str:
        """Take an object that the repository may not have; returns its id.

        Raises:
            StorageError: what was collected so far is much, and the disk refused it.
        """
        name = object_id(kind, content)
        if self._present is None:
            self._present = self._repository.present()
        if name not in self._pending and not self._present(name):
            self._pending[name] = (kind, content)
            self._bytes += len(content)
            if self._bytes >= _FULL_BYTES:
                self.flush()
        return name

    def flush(self) -> None:
        """Make everything collected durable.

        Raises:
            StorageError: the disk refused.
        """
        pending, self._pending, self._bytes, self._present = self._pending, {}, 0, None
        if len(pending) <= _FEW:
            for kind, content in pending.values():
                self._repository.write(kind, content)
            return
        faults.point("batch.flush")
        try:
            _write_pack(self._repository.path / "objects/pack", pending)
        except OSError as error:
            message = f"{self._repository.path.name} cannot be written: {error}"
            raise StorageError(message, next_step="check the space left on the disk") from error
        faults.point("batch.flushed")


def forget_unfinished(repository: Path) -> int:
    """Remove what an interrupted :meth:`Batch.flush`, or a trial of the disk, left; returns how many files that were.

    Raises:
        OSError: the disk refused.
    """
    forgotten = 0
    for directory in (repository / place for place in ("objects/pack", "objects", "refs")):
        left = [path.name for path in directory.glob(f"{files.TEMPORARY}*")]
        if left:
            with open_root(directory) as opened:
                for name in left:
                    files.remove_at(opened, name)
        forgotten += len(left)
    return forgotten


def _write_pack(directory: Path, objects: dict[str, tuple[ObjectType, bytes]]) -> None:
    """Write a pack with its index; the index comes last, because git looks for packs by their indexes."""
    body = io.BytesIO()
    write_pack_header(body.write, len(objects))
    rows: list[tuple[bytes, int, int | None]] = []
    for name, (kind, content) in objects.items():
        offset = body.tell()
        checksum = write_pack_object(body.write, int(kind), [content], SHA1, compression_level=_COMPRESSION)
        rows.append((bytes.fromhex(name), offset, checksum))
    digest = hashlib.sha1(body.getbuffer(), usedforsecurity=False).digest()
    body.write(digest)
    rows.sort()
    index = io.BytesIO()
    write_pack_index_v2(index, rows, digest)
    directory.mkdir(exist_ok=True)
    stem = f"pack-{hashlib.sha1(b''.join(row[0] for row in rows), usedforsecurity=False).hexdigest()}"
    with open_root(directory) as opened:
        both = ((f"{stem}.pack", body.getvalue()), (f"{stem}.idx", index.getvalue()))
        files.replace_all_at(opened, both, _READ_ONLY)
