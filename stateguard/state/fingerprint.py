"""Fingerprints: the object id that git itself gives a tree in a SHA-256 repository.

Two independent implementations: :func:`incremental` reads through pygit2 and remembers what it saw, by SHA-1
id; :func:`full` reads every object through dulwich, checks that its bytes have the SHA-1 id they are filed
under, and remembers nothing. Whatever is signed uses the full one.
"""

from __future__ import annotations

import contextlib
import hashlib
import struct
import traceback
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from dulwich.object_store import DiskObjectStore
from dulwich.objects import ObjectID
from pygit2.enums import ObjectType

from stateguard.errors import StorageError
from stateguard.model.identity import EMPTY_TREE
from stateguard.model.tree import DIRECTORY, Entry
from stateguard.state import trees
from stateguard.state.repository import Repository

_PREFIX = "sha256:"
_PAIR = struct.Struct("20s32s")
_TOO_DEEP = "tree {} is nested too deep"


def _object(kind: bytes, content: bytes) -> bytes:
    return hashlib.sha256(b"%s %d\0" % (kind, len(content)) + content).digest()


class DigestCache:
    """SHA-256 digests by SHA-1 id, both as 20 and 32 bytes, of objects that were read once; as trustworthy as SHA-1."""

    def __init__(self, most: int = 2_000_000) -> None:
        """``most`` entries are kept; beyond that the cache starts anew."""
        self._known: dict[bytes, bytes] = {}
        self._most = most
        self.computed = 0
        """How many digests were not known before."""

    def get(self, object_id: bytes, compute: Callable[[], bytes]) -> bytes:
        """Return the digest of an object, computing it at most once."""
        found = self.known(object_id)
        if found is None:
            found = compute()
            self.keep(object_id, found)
        return found

    def known(self, object_id: bytes) -> bytes | None:
        """Return the digest of an object if it was computed before."""
        return self._known.get(object_id)

    def keep(self, object_id: bytes, digest: bytes) -> None:
        """Remember the digest of an object."""
        if len(self._known) >= self._most:
            self._known.clear()
        self._known[object_id] = digest
        self.computed += 1

    def packed(self) -> bytes:
        """Return all that is known, for :meth:`unpack`; may be called while another thread computes."""
        return b"".join([part for pair in list(self._known.items()) for part in pair])

    def unpack(self, packed: bytes) -> None:
        """Know what another cache knew.

        Raises:
            ValueError: no cache packed this.
        """
        if len(packed) % _PAIR.size:
            raise ValueError("not a whole number of digests")
        self._known |= dict(_PAIR.iter_unpack(packed))


def incremental(repository: Repository | _Unwritten, tree: str, cache: DigestCache) -> str:
    """Return the fingerprint of a tree, reading only objects that the cache does not know.

    Raises:
        StorageError: an object is missing or malformed.
    """

    def of_tree(object_id: str) -> bytes:
        parts: list[bytes] = []
        for _, row in trees.in_order(repository, object_id):
            head, child = row[: -trees.ID_BYTES], row[-trees.ID_BYTES :]
            digest = cache.known(child)
            if digest is None:
                directory = trees.parsed(row)[0] == DIRECTORY
                digest = of_tree(child.hex()) if directory else _object(b"blob", repository.blob(child.hex()))
                cache.keep(child, digest)
            parts += (head if head[:1] != b"0" else _without_zeros(head), digest)
        return _object(b"tree", b"".join(parts))

    try:
        return _PREFIX + cache.get(bytes.fromhex(tree), lambda: of_tree(tree)).hex()
    except RecursionError as error:
        raise StorageError(_TOO_DEEP.format(tree)) from error


def _without_zeros(head: bytes) -> bytes:
    """Return mode and name of a row as git writes them today."""
    mode, _, rest = head.partition(b" ")
    return b"%o %s" % (int(mode, 8), rest)


def of_changed(
    repository: Repository,
    base: str,
    changes: Mapping[str, Entry | None],
    cache: DigestCache,
    blob: Callable[[str], bytes],
) -> str:
    """Return the fingerprint that a tree has by some changes (None: nothing is there); the rest is not read anew.

    ``blob`` returns the bytes of a blob by object id: the changed ones need be in no repository.

    Raises:
        StorageError: an object is missing, or a path is a file and a directory at once.
    """
    unwritten = _Unwritten(repository, blob)
    return incremental(unwritten, trees.updated(repository, base, changes, unwritten.take), cache)


class _Unwritten:
    """Tree objects that are in memory only, in front of a repository; blobs come from elsewhere."""

    def __init__(self, repository: Repository, blob: Callable[[str], bytes]) -> None:
        self._repository, self.blob = repository, blob
        self._trees: dict[str, bytes] = {}
        self.path = repository.path

    def take(self, content: bytes) -> str:
        name = trees.tree_id_of(content)
        self._trees[name] = content
        return name

    def raw(self, object_id: str) -> tuple[int, bytes]:
        content = self._trees.get(object_id)
        return self._repository.raw(object_id) if content is None else (int(ObjectType.TREE), content)


def full(path: Path, tree: str, pace: Callable[[], None] = lambda: None) -> str:
    """Return the fingerprint of a tree from its bytes alone; ``pace`` is called between two objects.

    Raises:
        StorageError: an object is missing or malformed, or its bytes are not those of its id.
    """
    store = DiskObjectStore(path / "objects")
    try:
        return _PREFIX + _full_tree(store, tree.encode(), pace).hex()
    except RecursionError as error:
        raise StorageError(_TOO_DEEP.format(tree)) from error
    finally:
        with contextlib.suppress(BufferError):  # a pack in whose midst damage was found is closed when collected
            store.close()


def _full_tree(store: DiskObjectStore, tree: bytes, pace: Callable[[], None]) -> bytes:
    rows = []
    for mode, name, child in _entries(tree, _verified(store, tree, b"tree", 2)):
        pace()
        if mode == DIRECTORY:
            digest = _full_tree(store, child, pace)
        else:
            digest = _object(b"blob", _verified(store, child, b"blob", 3))
        rows.append(b"%o %s\0" % (mode, name) + digest)
    return _object(b"tree", b"".join(rows))


def _entries(tree: bytes, content: bytes) -> Iterator[tuple[int, bytes, bytes]]:
    try:
        while content:
            head, _, rest = content.partition(b"\0")
            mode, _, name = head.partition(b" ")
            yield int(mode, 8), name, rest[:20].hex().encode()
            content = rest[20:]
    except ValueError as error:
        message = f"tree {tree.decode()} is malformed"
        raise StorageError(message) from error


def _verified(store: DiskObjectStore, object_id: bytes, kind: bytes, number: int) -> bytes:
    if object_id == EMPTY_TREE.encode() and kind == b"tree":
        return b""
    try:
        found, content = store.get_raw(ObjectID(object_id))
    except RecursionError:
        raise
    except Exception as error:  # damaged bytes make dulwich raise nearly anything
        traceback.clear_frames(error.__traceback__)  # they hold parts of the pack, which could not be closed
        message = f"object {object_id.decode()} is missing or damaged"
        raise StorageError(message, next_step="restore the repository from a mirror") from error
    name = hashlib.sha1(b"%s %d\0" % (kind, len(content)) + content, usedforsecurity=False).hexdigest()
    if found != number or name.encode() != object_id:
        message = f"object {object_id.decode()} does not hold what its name says"
        raise StorageError(message, next_step="restore the repository from a mirror")
    return content
